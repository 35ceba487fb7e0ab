package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// tell says what was done to each environment, and what failed on stderr. The
// exit code is the first failure's. Hint, if there is one, names the command that
// helps.
func tell(done ipc.Changes, hint func(ipc.Change) string) error {
	return tellBy(printOut, done, hint)
}

// A teller prints what was done, a sentence at a time.
type teller func(format string, args ...any)

func printOut(format string, args ...any) { _, _ = fmt.Fprintln(&stdout, fmt.Sprintf(format, args...)) }

func printWarning(format string, args ...any) { warn([]string{fmt.Sprintf(format, args...)}) }

func tellBy(print teller, done ipc.Changes, hint func(ipc.Change) string) error {
	tellDone(print, done)
	return failures(done, hint)
}

// tellDone says what was done, and what is to be noted of it.
func tellDone(print teller, done ipc.Changes) {
	for _, c := range done.Changes {
		if c.Error != nil {
			continue
		}
		print("%s", plain(sentence(c, done.DryRun)))
		for _, note := range c.Notes {
			print("  %s", plain(note))
		}
	}
	for _, note := range done.Notes {
		print("%s", plain(note))
	}
}

// tellJSON is tell with the daemon's own document in place of sentences.
func tellJSON(done ipc.Changes, hint func(ipc.Change) string) error {
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		return err
	}
	return failures(done, hint)
}

// failures says what failed, with what is to be noted of it, and returns the
// first one's exit code.
func failures(done ipc.Changes, hint func(ipc.Change) string) (first error) {
	for _, c := range done.Changes {
		if c.Error == nil {
			continue
		}
		help := ""
		if hint != nil {
			help = hint(c)
		}
		code := exit(advised(&ipc.Error{Code: c.Error.Code, Message: subject(c) + ": " + c.Error.Message}, help))
		for _, note := range c.Notes {
			say(subject(c) + ": " + note)
		}
		if first == nil {
			first = exitCode(code)
		}
	}
	return first
}

func subject(c ipc.Change) string {
	switch {
	case c.Environment != "":
		return c.Environment
	case c.Source != "":
		return c.Source
	}
	return c.User
}

// sentence is one change in words: "added dev (user u, project p), verified".
func sentence(c ipc.Change, dryRun bool) string {
	action := c.Action
	if dryRun {
		switch action {
		case "added":
			action = "would add"
		case "merged":
			action = "would merge into"
		}
	}
	var about []string
	for _, fact := range [][2]string{{"user ", c.User}, {"project ", c.Project}, {"at ", c.AuthURL}, {"S3 key ", c.AccessKeyID}, {"S3 at ", c.S3Endpoint}, {"from ", c.Source}} {
		if fact[1] != "" {
			about = append(about, fact[0]+fact[1])
		}
	}
	s := strings.TrimSpace(action + " " + subject(c))
	if len(about) > 0 {
		s += " (" + strings.Join(about, ", ") + ")"
	}
	switch {
	case c.Missing == "password":
		s += ", the password is missing"
	case c.Missing != "":
		s += ", the S3 secret is missing"
	case c.State == "ok" && c.Unasked:
		s += ", the cloud was asked a moment ago, and is not asked again"
	case c.State == "ok":
		s += ", the cloud accepts it"
	case c.State == "unverified":
		s += ", not verified yet"
	case c.State != "":
		s += ", " + c.State
	}
	return s
}
