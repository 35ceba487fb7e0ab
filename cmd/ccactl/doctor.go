package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// A finding is what one check saw. Mend is the command, or the act, that
// mends what is wrong; it is empty where nothing is.
type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	What  string `json:"what"`
	Mend  string `json:"mend,omitempty"`
}

func fine(check, format string, args ...any) []finding {
	return []finding{{Check: check, OK: true, What: fmt.Sprintf(format, args...)}}
}

func wrong(check, mend, format string, args ...any) finding {
	return finding{Check: check, What: fmt.Sprintf(format, args...), Mend: mend}
}

// An examination is what the checks look at.
type examination struct {
	status ipc.Status
	err    error // why there is no status
}

// open reports whether ccad answers, and is unlocked.
func (x examination) open() bool { return x.err == nil && !x.status.Daemon.Locked }

// checks are all there are, in the order in which they are told. One that
// does not apply returns nothing.
var checks = []func(examination) []finding{
	checkHome, checkConfig, checkService, checkDaemon, checkKeyring, checkBus, checkClock, checkTroubles,
	checkFolders, checkProgram, checkHook, checkDefault,
	checkAWSVariables, checkOpenStackVariables, checkAWSFolder, checkAWSFiles, checkAWSCLI, checkPlainText,
}

func doctorVerb() *cobra.Command {
	var asJSON, stale bool
	c := verb("doctor [--stale] [--json]", "Look for what is wrong on this machine, and say what mends it", words(0, 0), func(*cobra.Command, []string) error {
		var x examination
		x.status, x.err = status()
		var found []finding
		for _, check := range checks {
			found = append(found, check(x)...)
		}
		if stale {
			left, err := checkLeftovers()
			if err != nil {
				return err
			}
			found = append(found, left...)
		}
		return diagnose(&stdout, found, asJSON)
	})
	c.Long = `Look for what is wrong on this machine, and say what mends it: the daemon and
its socket, the keyring, the clock, folders that others can enter, the shell's
hook, what stops or misleads AWS clients, and files that hold secrets in plain
text. Nothing is changed and no secret is printed.

It ends with 0 where nothing is wrong, with 1 where something is.`
	c.Flags().BoolVar(&stale, "stale", false, "look for former secrets, of six characters or more, in your processes, dotfiles and shell histories too")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// diagnose prints what was found. What is wrong makes the exit code 1.
func diagnose(w io.Writer, found []finding, asJSON bool) error {
	sick := 0
	for _, f := range found {
		if !f.OK {
			sick++
		}
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(map[string]any{"ok": sick == 0, "checks": found}); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			what := plain(f.What)
			if colourful() {
				what = strings.Join(cut(tilde(what), columns-15), "\n"+strings.Repeat(" ", 14))
			}
			_, _ = fmt.Fprintf(w, "%s %-11s %s\n", mark(f.OK), f.Check, what)
			if f.Mend != "" {
				_, _ = fmt.Fprintf(w, "  %-11s %s\n", "", arrow()+plain(f.Mend))
			}
		}
	}
	switch {
	case sick > 0:
		return exitCode(1)
	case asJSON:
		return nil
	}
	_, err := fmt.Fprintln(w, "nothing is wrong")
	return err
}

// checkDaemon: it answers, on a socket that is its owner's alone, and is of
// this version.
func checkDaemon(x examination) []finding {
	const check = "daemon"
	if x.err != nil {
		mend := hintFor(x.err)
		var failure *ipc.Error
		if !errors.As(x.err, &failure) && !errors.Is(x.err, ipc.ErrSlow) {
			mend = "make the folder of the socket a real one of yours with mode 0700, or point CCAD_SOCKET to where your ccad listens"
		}
		return []finding{wrong(check, mend, "%v", x.err)}
	}
	d := x.status.Daemon
	if d.Version != version {
		return []finding{wrong(check, restartAdvice(d.PID), "ccad is %s and ccactl %s", d.Version, version)}
	}
	return fine(check, "ccad %s answers at %s", d.Version, ipc.SocketPath())
}

// checkTroubles repeats what status calls wrong, so that a person who only
// knows doctor misses nothing.
func checkTroubles(x examination) (found []finding) {
	if !x.open() {
		return nil
	}
	for _, t := range troubles(x.status, now()) {
		if t.harmless {
			found = append(found, fine("cloud", "%s", t.what)...)
		} else {
			found = append(found, wrong("cloud", t.mend, "%s", t.what))
		}
	}
	if !slices.ContainsFunc(found, func(f finding) bool { return !f.OK }) {
		all := fine("cloud", "%s, %s: all as it should be", count(len(x.status.Users), "user"), count(len(x.status.Environments), "environment"))
		return append(all, found...)
	}
	return found
}

func count(n int, what string) string { return fmt.Sprintf("%d %s", n, plural(n, what)) }

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return what
}
