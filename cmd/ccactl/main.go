// Ccactl is the command of ccad's user: it asks the daemon over the socket and
// holds nothing itself.
//
// credential-process and env are what SDKs and shells run again and again. They
// go the lean way (lean.go): their words are read by hand, the socket is
// dialled, the answer is printed in one write, and no CLI framework is built.
// Whatever is unusual about the words falls through to the framework, which
// knows how to complain. Every other verb is a file or shares one; its function
// returns a *cobra.Command and its errors carry the exit code (ipc.Error).
//
// voice.go owns what is said on stderr, terminal.go what is asked, read.go what
// is read from files. Package configure edits the files of other programs,
// package shell writes the prompt hooks; neither talks to the daemon.
//
// Start-up time is a feature: nothing that costs time to import is linked
// (deps_test.go has the list), and package-level variables hold constants only,
// but for stdout, which is there for main to look at.
package main

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if done, err := lean(args); done {
		return exit(err)
	}
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"}
	}
	c := root()
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-h" && args[0] != "--help" {
		flag, _, _ := strings.Cut(args[0], "=") // what follows could be a secret
		return exit(advised(usage("a verb comes first, not %s", quote(flag)), "ccactl --help"))
	}
	c.SetArgs(args)
	c.SetOut(&stdout)
	if code := exit(c.Execute()); code != 0 {
		return code
	}
	return exit(stdout.err)
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "ccactl",
		Short: "Use the credentials that ccad keeps",
		Long: `Use the credentials that ccad, the credentials daemon, keeps.

Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon, 4 locked,
5 no such environment or user, 6 refused by the cloud.`,
		SilenceErrors:      true, // said by exit
		SilenceUsage:       true,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}, // an unknown verb is the better complaint
		Args:               cobra.ArbitraryArgs,
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},

		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,

		PersistentPreRunE: refuseEmpty,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(c, args[0])
			}
			return c.Help()
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		said, _, _ := strings.Cut(err.Error(), " in -")                   // "… 'p' in -phunter2"
		if rest, is := strings.CutPrefix(said, "invalid argument "); is { // which it repeats
			_, flag, _ := strings.Cut(rest, `" for "`)
			flag, _, _ = strings.Cut(flag, `"`)
			said = "that is no value for " + flag
		}
		return misused(c, said)
	})
	for _, group := range []struct {
		title string
		verbs []*cobra.Command
	}{
		{"Environments:", []*cobra.Command{setupVerb(), addVerb(), importVerb(), listVerb(), portalVerb(), showVerb(), removeVerb(), revokeVerb(), statusVerb(), updateVerb(), rotateVerb(), verifyVerb()}},
		{"Clients:", []*cobra.Command{credentialProcessVerb(), envVerb(), useVerb(), shellInitVerb(), promptVerb(), execVerb(), renderVerb(), configureVerb()}},
		{"Keyring and daemon:", []*cobra.Command{lockVerb(), unlockVerb(), passwdVerb(), watchVerb(), logVerb(), backupVerb(), restoreVerb()}},
		{"Other:", []*cobra.Command{doctorVerb(), completionVerb(), versionVerb()}},
	} {
		c.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, verb := range group.verbs {
			verb.GroupID = group.title
			c.AddCommand(verb)
			describe(verb)
		}
	}
	_, c.Example = manual(c.Name())
	c.SetHelpCommandGroupID("Other:")
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { _, _ = io.WriteString(c.OutOrStdout(), helpOf(c)) })
	strictHelp(c)
	return c
}

// refuseEmpty makes a flag that was given without a value, as by "$UNSET", a misuse:
// it names something, and is not as good as none.
func refuseEmpty(c *cobra.Command, _ []string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			err = misused(c, "--"+f.Name+" is empty")
		}
	})
	return err
}

// strictHelp makes "help" of a verb that there is none of a misuse, as the verb
// itself is.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return
	}
	show := help.Run
	help.Run = nil
	help.RunE = func(c *cobra.Command, args []string) error {
		if of, rest, err := root.Find(args); err != nil || of == root && len(rest) > 0 {
			return unknownVerb(root, args[0])
		}
		show(c, args)
		return nil
	}
}
