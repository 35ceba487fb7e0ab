package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// setup is one guided run. Each step asks before it changes anything (that of the
// keyring for a passphrase), says what it did, and finds nothing to do the next
// time.
type setup struct {
	yes        bool
	leave      []string // steps left out
	name       string
	s3Endpoint string
	s3Region   string
	keyring    string
	files      []string // to import, in place of what lies in the usual places
	leftOut    []string // why files were not taken, as said
	passphrase passphraseFlags
}

// setupSteps in their order. A later one builds on the earlier ones; what fails
// in one that others need ends the run.
var setupSteps = []struct {
	name, title string
	run         func(*setup) error
	needed      bool
}{
	{"service", "The background service", (*setup).startDaemon, true},
	{"keyring", "The keyring", (*setup).openKeyring, true},
	{"import", "Your credentials", (*setup).bringCredentials, false},
	{"aws", "AWS CLI and SDKs", (*setup).writeAWS, false},
	{"shell", "Your shell", (*setup).hookShell, false},
	{"scrub", "Plain text", (*setup).scrub, false},
	{"verify", "Does it work?", (*setup).prove, false},
}

func setupVerb() *cobra.Command {
	var s setup
	var undo bool
	var names []string
	for _, step := range setupSteps {
		names = append(names, step.name)
	}
	c := verb("setup [FILE…] [--yes] | --undo [FILE…]", "Set everything up, from nothing to a working aws s3 ls", words(0, -1), func(c *cobra.Command, args []string) (err error) {
		for _, step := range s.leave {
			if !slices.Contains(names, step) {
				return misused(c, "there is no step "+quote(step))
			}
		}
		switch {
		case s.name != "" && !validName(s.name):
			return noName(s.name)
		case s.keyring != "" && !slices.Contains(keyrings, s.keyring):
			return misused(c, "there is no keyring "+quote(s.keyring)+": there are "+strings.Join(keyrings, ", "))
		case undo:
			return putBack(args)
		case !s.yes && !attended():
			return usage("setup asks before each step, and %v: --yes agrees to all", errNoTerminal)
		}
		if err := ipc.CheckHome(); err != nil {
			return err
		}
		s.files = args
		return s.all()
	})
	c.Long = `Set everything up: start ccad as your service, make or open the keyring,
import the files of credentials that lie in the usual places (or what the
portal's page shows), write the AWS profiles and the shell's line, take the
secrets out of the files that had them, and see that it works.

Each step asks before it changes anything: no leaves it out, at a passphrase
Ctrl-D does, and another run makes up for it. --yes agrees to all of them.
--undo gives the files that setup and import --scrub edited their former bytes
back, the named ones even if they were changed since, and takes away the service
that setup installed; the keyring stays, and so does the choice of it in ccad's
config.toml.`
	c.Example = `  ccactl setup
  ccactl setup openrc.sh --yes --passphrase-file F --without shell,scrub
  ccactl setup --undo`
	f := c.Flags()
	f.BoolVar(&s.yes, "yes", false, "agree to every step")
	f.BoolVar(&undo, "undo", false, "give the edited files their former bytes back, take the service away")
	f.StringSliceVar(&s.leave, "without", nil, "steps to leave out: service, keyring, import, aws, shell, scrub, verify")
	f.StringVar(&s.name, "name", "", "name of the environment, if there is one to bring in")
	f.StringVar(&s.s3Endpoint, "s3-endpoint", "", "where the S3 API is, of environments that do not say")
	f.StringVar(&s.s3Region, "s3-region", "", "the region that S3 requests are signed for")
	f.StringVar(&s.keyring, "keyring", "", "the keyring to make: file, secret-service, keychain, kwallet, pass or keyctl")
	s.passphrase.register(c)
	_ = c.RegisterFlagCompletionFunc("without", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("keyring", cobra.FixedCompletions(keyrings, cobra.ShellCompDirectiveNoFileComp))
	c.ValidArgsFunction = nil // files
	return c
}

func (s *setup) all() error {
	if !s.yes {
		s.done("ccad keeps your cloud credentials in one encrypted keyring, and hands them to the programs that ask. This sets it up in %d steps. "+
			"Before it changes anything it asks: Enter agrees, no leaves it out, Ctrl-D ends setup. ccactl setup --undo puts back every file of yours that it edits.", len(setupSteps))
	}
	var failed error
	for i, step := range setupSteps {
		printOut("%s", bold(fmt.Sprintf("%d. %s", i+1, step.title)))
		if slices.Contains(s.leave, step.name) {
			s.done("left out")
			continue
		}
		err := step.run(s)
		if errors.Is(err, errNoAnswer) {
			s.done("ended here: ccactl setup goes on another time")
			return exitCode(1)
		}
		if errors.Is(err, errDeclined) {
			s.done("left out")
			err = nil
			if step.needed {
				s.done("the rest needs it: ccactl setup goes on from here another time")
				return exitCode(1)
			}
		}
		if err != nil && step.needed {
			return err
		}
		if err != nil {
			code := exitCode(exit(err))
			if failed == nil {
				failed = code
			}
		}
	}
	wanted := !slices.Contains(s.leave, "import")
	if st, err := status(); err == nil && wanted && len(st.Environments) == 0 && failed == nil {
		return advised(errors.New("there is no environment yet"), "ccactl import FILE, or ccactl add NAME --user USER --project PROJECT")
	}
	return failed
}

// done says what a step did or found, indented, in lines that fit the terminal.
func (*setup) done(format string, args ...any) {
	for _, line := range wrapped(tilde(fmt.Sprintf(format, args...))) {
		printOut("%s", margin+line)
	}
}

// tilde writes paths in the home folder as people do.
func tilde(text string) string {
	if home := ipc.Home(); home != "/" {
		text = strings.ReplaceAll(text, home+"/", "~/")
	}
	return text
}

var errDeclined = errors.New("declined")

// agree asks whether a step may do something; it returns errDeclined for no.
func (s *setup) agree(format string, args ...any) error {
	question := tilde(fmt.Sprintf(format, args...))
	if s.yes {
		s.done("%s", question)
		return nil
	}
	for {
		answer, err := askLine(question+"?", "yes")
		switch strings.ToLower(answer) {
		case "y", "yes":
			return err
		case "n", "no":
			return errDeclined
		}
		if err != nil {
			return err
		}
		s.done("yes or no: Enter is yes")
	}
}

// hookShell puts the hook's line at the end of the rc file.
func (s *setup) hookShell() error {
	sh, known := loginShell()
	switch {
	case !known:
		s.done("there is a hook for bash, zsh and fish; programs of another shell are served by ccactl exec")
		return nil
	case sh.hooked():
		s.done("%s is hooked in %s already", sh.name, sh.rc)
		return nil
	}
	s.done("With a line in %s, ccactl use NAME sets the OS_ variables of a %s, and they follow every change.", sh.rc, sh.name)
	if err := s.agree("Add it"); err != nil {
		return err
	}
	if _, err := editKept(sh.rc, func(text string) (string, error) { return withLine(text, sh.line), nil }); err != nil {
		return err
	}
	printOut("%sadded to %s: %s", margin, plain(tilde(sh.rc)), plain(sh.line)) // the line as it was written
	return nil
}

// scrub takes the secrets that ccad holds out of the files that had them.
func (s *setup) scrub() error {
	var failed error
	found, known := 0, map[string]bool{} // two files that belong together come twice
	for _, path := range append(usualFiles(), s.absolute()...) {
		list, err := scrubs(path)
		if err != nil {
			err = s.leaveOut(err)
		}
		if err != nil {
			return err
		}
		for _, f := range list {
			if known[f.Path] {
				continue
			}
			known[f.Path] = true
			switch {
			case f.Left != "":
				found++
				s.done("%s", f.Left)
			case len(f.Lines) > 0:
				found++
				s.done("%s holds in plain text what ccad keeps now (line %s)%s. Scripts that read it there will need ccactl instead; ccactl setup --undo brings it back.", f.Path, joined(f.Lines), f.also())
				err := s.agree("Take it out")
				if err == nil {
					err = f.takeOut(s.done)
				}
				if errors.Is(err, errNoAnswer) {
					return err
				}
				if err != nil && !errors.Is(err, errDeclined) {
					failed = errors.Join(failed, err)
				}
			}
		}
	}
	if found == 0 {
		s.done("%s in the usual places holds a secret that ccad has", s.noFile())
	}
	return failed
}
