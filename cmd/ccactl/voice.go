package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// The program's voice: one line on stderr, lower case, "ccactl: …", and one
// more that begins with "ccactl: hint: " where a command helps. What is said
// comes in part from the cloud, so nothing in it reaches the terminal as a
// control character.

// stdout is os.Stdout, and keeps the first error of writing to it, for those who print and look at
// none: then the program has failed.
var stdout output

type output struct{ err error }

func (o *output) Write(data []byte) (int, error) {
	n, err := os.Stdout.Write(data)
	o.err = cmp.Or(o.err, err)
	return n, err
}

func say(line string) { _, _ = fmt.Fprintln(os.Stderr, "ccactl: "+plain(line)) }
func warn(warnings []string) {
	for _, w := range warnings {
		if !strings.HasPrefix(w, "note: ") {
			w = "warning: " + w
		}
		say(w)
	}
}

// exit says what went wrong, of several things each, and returns the exit code
// of the first.
func exit(err error) int {
	if all, several := err.(interface{ Unwrap() []error }); several {
		code := 0
		for _, one := range all.Unwrap() {
			code = cmp.Or(code, exit(one))
		}
		return code
	}
	var said exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
		return int(said)
	}
	say(err.Error())
	if hint := hintFor(err); hint != "" {
		say("hint: " + hint)
	}
	return codeOf(err)
}

func codeOf(err error) int {
	var failure *ipc.Error
	if errors.As(err, &failure) {
		return failure.Exit()
	}
	return 1
}

// exitCode is an error that has been said already.
type exitCode int

func (c exitCode) Error() string { return "exit code " + strconv.Itoa(int(c)) }

// advice is an error with the command that helps.
type advice struct {
	error
	hint string
}

func (a advice) Unwrap() error { return a.error }

func advised(err error, hint string) error { return advice{err, hint} }

func hintFor(err error) string {
	var a advice
	if errors.As(err, &a) {
		return a.hint
	}
	if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) {
		return "ccactl doctor"
	}
	if errors.Is(err, ipc.ErrSlow) {
		return restartAdvice(0)
	}
	var failure *ipc.Error
	if !errors.As(err, &failure) {
		return ""
	}
	switch failure.Code {
	case ipc.CodeNoDaemon:
		if serviceInstalled() {
			return "ccad start"
		}
		return "ccactl setup"
	case ipc.CodeLocked:
		return "ccactl unlock"
	case ipc.CodeOlder:
		return "ccactl unlock --accept-older"
	case ipc.CodeUnknown:
		return "ccactl list"
	case ipc.CodeRefused:
		return "ccactl status says what is wrong"
	case ipc.CodeWithheld:
		return "ccactl verify"
	case ipc.CodeProtocol:
		return restartAdvice(0)
	}
	return ""
}

// restartAdvice is how a daemon is started anew, as the program that is installed
// now. pid is its process, 0 where that is not known.
func restartAdvice(pid int) string {
	switch {
	case serviceInstalled():
		return "ccad restart"
	case pid > 0:
		return "kill " + strconv.Itoa(pid) + "; ccactl setup"
	}
	return "end the daemon, and: ccactl setup"
}

// offered is why a value that a person gave was not taken: status has never heard
// of one that the cloud refuses.
func offered(err error) error {
	var failure *ipc.Error
	if errors.As(err, &failure) && failure.Code == ipc.CodeRefused {
		return advised(err, "")
	}
	return err
}

// usage is a misuse that no flag parser sees.
func usage(format string, args ...any) error {
	return &ipc.Error{Code: ipc.CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// misused is a misuse of c's words.
func misused(c *cobra.Command, reason string) error {
	return advised(usage("%s: %s", verbOf(c), reason), c.CommandPath()+" --help")
}

func verbOf(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), "ccactl ")
}

func unknownVerb(root *cobra.Command, verb string) error {
	hint := "ccactl --help"
	if similar := root.SuggestionsFor(verb); len(similar) > 0 {
		hint = "ccactl " + similar[0]
	}
	return advised(usage("there is no verb %s", quote(verb)), hint)
}

// quote shows what somebody typed; a long one not to its end.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

// plain makes a string one line without control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '?'
	}, strings.TrimSpace(s))
}
