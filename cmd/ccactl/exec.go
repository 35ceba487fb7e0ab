package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/cmd/ccactl/supervise"
)

func execVerb() *cobra.Command {
	c := verb("exec NAME [--auth A] [--client C] [--endpoint] [--on-change restart|signal:SIG|ignore] -- CMD…", "Run a command with an environment's variables", words(1, -1), func(c *cobra.Command, args []string) error {
		if dash := c.ArgsLenAtDash(); dash != 1 || len(args) < 2 {
			return misused(c, "one name, then -- and the command")
		}
		query := url.Values{"format": {"environ"}, "as": {"exec"}}
		for _, flag := range []string{"auth", "client"} {
			if value := c.Flag(flag).Value.String(); value != "" {
				query.Set(flag, value)
			}
		}
		path := "env?" + query.Encode()
		change, err := reactionTo(c.Flag("on-change").Value.String())
		if err != nil {
			return misused(c, err.Error())
		}
		endpoint, _ := c.Flags().GetBool("endpoint")
		if endpoint {
			path, err = "endpoint", endpointFits(c, query, change)
		}
		if err != nil {
			return err
		}
		program, err := exec.LookPath(args[1]) // before anything is handed out for it
		if err != nil {
			return notRun(args[1], err)
		}
		h := &holding{name: args[0], path: path}
		if !endpoint && hookedView(query) {
			h.selected = h.name
		}
		warnings, err := h.fetch()
		if err != nil {
			return err
		}
		warn(warnings)
		// A person at a terminal tries again at once: ccactl stays, to report it
		// when the command fails. What runs by itself is probed soon enough.
		if change.follow || supervise.HasTerminal() {
			return supervised(h, program, args[1:], change)
		}
		return become(program, args[1:], environment(os.Environ(), h.selected, string(h.body)))
	})
	c.Long = `Run a command with an environment's variables.

--on-change says what happens to the command when one of them changes (a new
password, a new S3 key):

  restart      it gets SIGTERM, SIGKILL 10 s later, and is started anew; without
               a terminal all that it started gets them too, and ends first; one
               that fails within 10 s of that is started again, 5 times at most,
               the pause between growing from 1 to 16 s
  signal:SIG   it gets the signal, such as signal:HUP, and reads by itself what
               it needs: its variables stay as they were
  ignore       nothing (the default); without a terminal the command takes
               ccactl's place

--endpoint hands out no key, but what AWS clients fetch keys with that last an
hour; a presigned URL lasts no longer than its key. With --client aws the key
lives for weeks, and dies by ccactl revoke.

A command that runs goes on through a lock. It goes on, too, when the cloud
refuses what it was given, until there is a new value: its logins fail, and
most clouds lock a user out after some.

Signals to ccactl go on to the command, and its exit code is ccactl's: 127 where
there is no such command, and 126 where it can't be run, as in a shell. A
command that ccactl waited for and that failed is a reason to ask the cloud
whether what it was given is still good: ccad does that in the background, at
most once in ten seconds for each password and S3 key.`
	c.Example = `  ccactl exec dev -- swift list
  ccactl exec dev --client restic -- restic backup ~
  ccactl exec dev --on-change restart -- ./server`
	c.Flags().Bool("endpoint", false, "let the command fetch keys of the S3 gateway by itself, and nothing else")
	c.Flags().String("on-change", "ignore", "restart, signal:SIG or ignore")
	_ = c.RegisterFlagCompletionFunc("on-change", cobra.FixedCompletions([]string{"restart", "signal:HUP", "ignore"}, cobra.ShellCompDirectiveNoFileComp))
	clientFlags(c)
	return ofEnvironments(c, 1)
}

// endpointFits refuses what --endpoint has no use for.
func endpointFits(c *cobra.Command, query url.Values, change reaction) error {
	switch {
	case query.Has("auth"), query.Has("client") && query.Get("client") != "aws":
		return misused(c, "--endpoint is for AWS clients, and takes neither --auth nor another --client")
	case change.follow:
		return misused(c, "--endpoint lets the command follow by itself: --on-change is not for it")
	}
	return nil
}

// hookedView reports whether a view is the one that the hook of a shell loads.
func hookedView(query url.Values) bool {
	client, auth := query.Get("client"), query.Get("auth")
	return (client == "" || client == "openstack") && (auth == "" || auth == "password")
}

// environment is base changed by a view of the format environ: NAME=VALUE sets,
// NAME alone takes out what would fight with it, each ended by a zero byte.
// CCAD_ENV is what a hooked shell inside selects, "" for nothing; of what the
// hook outside has set (CCAD_SET) it may drop what the view has not changed.
func environment(base []string, selected, view string) []string {
	changed := map[string]bool{"CCAD_ENV": true, "CCAD_SET": true}
	set := []string{"CCAD_ENV=" + selected}
	for entry := range strings.SplitSeq(view, "\x00") {
		variable, _, sets := strings.Cut(entry, "=")
		if changed[variable] = true; sets {
			set = append(set, entry)
		}
	}
	for _, entry := range base {
		if outside, is := strings.CutPrefix(entry, "CCAD_SET="); is {
			names := slices.DeleteFunc(strings.Fields(outside), func(name string) bool { return changed[name] })
			set = append(set, "CCAD_SET="+strings.Join(names, " "))
		}
	}
	kept := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		variable, _, _ := strings.Cut(entry, "=")
		return changed[variable]
	})
	return append(kept, set...)
}

// notRun says why a command was not run, and ends as a shell does: with 127 where
// there is none, else 126. No hint helps, for it is none of ours.
func notRun(command string, err error) error {
	say(fmt.Sprintf("run %s: %v", quote(command), err))
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitCode(127)
	}
	return exitCode(126)
}

// become replaces this process by the command, so that its exit code, its
// signals and its terminal are its own; its pid stays the one that the lease
// was given to.
func become(program string, command, env []string) error {
	return notRun(command[0], syscall.Exec(program, command, env))
}
