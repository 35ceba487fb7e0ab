package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// rotation is what the flags of rotate say.
type rotation struct {
	ipc.RotateRequest
	keys, yes, asJSON bool
}

func rotateVerb() *cobra.Command {
	var r rotation
	c := verb("rotate NAME… [--s3] | --all | --user USER --password [--grace D] [--yes] [--wait] [--dry-run] [--json]", "Replace S3 keys or a password, and lose nothing", words(0, -1), func(c *cobra.Command, args []string) error {
		switch {
		case (r.User != "") != r.Password:
			return misused(c, "--user and --password go together")
		case r.User != "" && (r.All || r.keys || len(args) > 0 || r.Grace != ""):
			return misused(c, "a password is changed for all environments of its user at once")
		case r.User == "" && r.All == (len(args) > 0):
			return misused(c, "either NAME…, or --all")
		}
		for _, name := range args {
			if err := checkName(name); err != nil {
				return err
			}
		}
		r.Environments = args
		if c.Flags().Changed("grace") {
			if d, err := time.ParseDuration(r.Grace); err != nil || d < 0 {
				return misused(c, "--grace is a duration, such as 30m")
			}
		}
		return r.run()
	})
	f := c.Flags()
	f.BoolVar(&r.keys, "s3", false, "the S3 key, which is what NAME means anyway")
	f.BoolVar(&r.All, "all", false, "the S3 keys of all environments")
	f.StringVar(&r.User, "user", "", "the user whose password is changed")
	_ = c.RegisterFlagCompletionFunc("user", userNames)
	f.BoolVar(&r.Password, "password", false, "change the password; the portal goes on showing the former one")
	f.StringVar(&r.Grace, "grace", "", "how long the former key lives on, whoever holds it")
	f.BoolVar(&r.yes, "yes", false, "do not ask, whoever a short --grace breaks")
	f.BoolVar(&r.Wait, "wait", false, "stay until the former key is proved dead")
	f.BoolVar(&r.DryRun, "dry-run", false, "show what would be done")
	f.BoolVar(&r.asJSON, "json", false, "print JSON lines")
	return ofEnvironments(c, -1)
}

func (r rotation) run() error {
	if r.Password && !r.DryRun && !r.asJSON {
		say("note: the portal goes on showing the former password of " + r.User)
	}
	if r.Grace != "" && !r.DryRun {
		if err := r.warn(); err != nil {
			return err
		}
	}
	ctx, stop := interrupted()
	defer stop()
	var failed []ipc.RotateLine
	err := ipc.StreamOf(ctx, "POST", "/v1/rotate", r.RotateRequest, func(raw []byte) error {
		var line ipc.RotateLine
		if err := json.Unmarshal(raw, &line); err != nil {
			return fmt.Errorf("decode a step: %w", err)
		}
		if line.Code != "" {
			failed = append(failed, line)
		}
		if r.asJSON {
			return printLine(raw)
		}
		return printStep(line)
	})
	if errors.Is(err, context.Canceled) {
		say("ccad goes on with it: ccactl status")
		return exitCode(130)
	}
	if err != nil {
		return err
	}
	return r.sum(failed)
}

// sum says what failed; the exit code is the first failure's.
func (r rotation) sum(failed []ipc.RotateLine) error {
	var first error
	for _, line := range failed {
		code := exit(&ipc.Error{Code: line.Code, Message: line.Subject + ": " + line.Error})
		if first == nil {
			first = exitCode(code)
		}
	}
	if n := len(failed); n > 0 && (r.All || len(r.Environments) > 1) {
		say(fmt.Sprintf("%d failed; the others are rotated", n))
	}
	return first
}

// warn says whom a short grace breaks, and asks where somebody is there.
func (r rotation) warn() error {
	plan := r.RotateRequest
	plan.DryRun = true
	broken := 0
	err := ipc.StreamOf(context.Background(), "POST", "/v1/rotate", plan, func(raw []byte) error {
		var line ipc.RotateLine
		if err := json.Unmarshal(raw, &line); err != nil {
			return fmt.Errorf("decode a plan: %w", err)
		}
		for _, l := range line.Broken {
			broken++
			say(fmt.Sprintf("warning: %s may hold %s longer than that", heldBy(l), line.Subject))
		}
		return nil
	})
	if err != nil || broken == 0 || r.yes || !attended() {
		return err
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil // nobody to ask goes ahead
	}
	defer tty.Close()
	_, _ = fmt.Fprint(tty, "go ahead? [y/N] ")
	answer, err := bufio.NewReader(tty).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
		return errors.New("nothing is rotated")
	}
	return nil
}

// heldBy names who holds a key: "aws (process 12, until 15:04:05)". A file has no
// process.
func heldBy(l ipc.Lease) string {
	until := "until it ends"
	if l.PID == 0 {
		until = "until it gets another"
	}
	if l.Until != nil {
		until = "until " + l.Until.Local().Format(time.TimeOnly)
	}
	name := l.Program
	if l.View == "credential-process" && l.Parent != "" {
		name = l.Parent
	}
	if l.PID == 0 {
		return fmt.Sprintf("%s (%s)", name, until)
	}
	return fmt.Sprintf("%s (process %d, %s)", name, l.PID, until)
}

// printStep prints a line of the stream for people. What failed for good is said
// at the end, on stderr.
func printStep(line ipc.RotateLine) error {
	if line.Code != "" || line.State == "start" && line.Step != "drain" {
		return nil
	}
	text := line.Subject + ": " + line.Step
	switch {
	case line.State == "failed":
		text += " failed, " + line.Error
	case line.Step == "plan" && line.Until != nil:
		text += ", " + line.Note + "; the former one would be deleted at " + line.Until.Local().Format(time.DateTime)
	case line.Note != "":
		text += ", " + line.Note
	}
	out := plain(text) + "\n"
	for _, l := range line.Holders {
		out += "  held by " + plain(heldBy(l)) + "\n"
	}
	return emit([]byte(out))
}
