package main

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// call sends one request and says its warnings.
func call(method, path string, in, out any) error {
	warnings, err := ipc.Do(context.Background(), method, path, in, out)
	warn(warnings)
	return err
}

// readWithin is how long the daemon may take to tell what it has at hand. One that
// is stopped would be waited for without end.
var readWithin = 10 * time.Second

// atHand asks for what the daemon has at hand; nothing at the cloud is waited for.
func atHand(path string, out any) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	return ipc.Do(ctx, "GET", path, nil, out)
}

// read is atHand, and says the warnings.
func read(path string, out any) error {
	warnings, err := atHand(path, out)
	warn(warnings)
	return err
}

// emitJSON prints the daemon's own JSON.
func emitJSON(path string) error {
	var body []byte
	if err := read(path, &body); err != nil {
		return err
	}
	return emit(append(bytes.TrimRight(body, "\n"), '\n'))
}

// environmentPath is the path of an environment on the wire.
func environmentPath(name string) (string, error) {
	return "/v1/environments/" + name, checkName(name)
}

// status asks for everything there is to know. Locked is not a failure here.
func status() (ipc.Status, error) {
	var st ipc.Status
	err := read("/v1/status", &st)
	return st, err
}

// unlocked is status for verbs that can do nothing while locked.
func unlocked() (ipc.Status, error) {
	st, err := status()
	if err == nil && st.Daemon.Locked {
		err = &ipc.Error{Code: ipc.CodeLocked, Message: "ccad is locked"}
	}
	return st, err
}

// words demands the words after the verb: at least min and at most max of them,
// -1 being no limit.
func words(min, max int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return advised(usage("%s: too few words", verbOf(c)), c.UseLine())
		case max >= 0 && len(args) > max:
			return misused(c, "too many words") // none of them is shown: it could be a secret
		}
		return nil
	}
}

// verb makes a command; use is "NAME WORDS".
func verb(use, short string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: run, ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true}
}

// ofEnvironments lets the shell complete up to max names of environments, -1
// being no limit.
func ofEnvironments(c *cobra.Command, max int) *cobra.Command {
	c.ValidArgsFunction = names(max)
	return c
}

func names(max int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch {
		case max < 0 || len(args) < max:
		case strings.HasSuffix(c.Use, " -- CMD…"): // of a command, files
			return nil, cobra.ShellCompDirectiveDefault
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return environmentNames(), cobra.ShellCompDirectiveNoFileComp
	}
}

// userNames completes users.
func userNames(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
	var st ipc.Status
	if _, err := atHand("/v1/status", &st); err == nil {
		for _, u := range st.Users {
			names = append(names, u.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// environmentNames is empty, and silent, where nobody tells them.
func environmentNames() (names []string) {
	var st ipc.Status
	if _, err := atHand("/v1/status", &st); err != nil {
		return nil
	}
	for _, e := range st.Environments {
		names = append(names, e.Name)
	}
	return names
}
