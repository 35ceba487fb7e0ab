package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	c := verb("rotate NAME… [--s3|--application-credential] | --all | --user USER --password [--grace D] [--yes] [--wait] [--dry-run] [--json]", "Replace S3 keys, application credentials or a password, and lose nothing", words(0, -1), func(c *cobra.Command, args []string) error {
		switch {
		case r.keys && r.ApplicationCredential:
			return misused(c, "either --s3, or --application-credential")
		case (r.User != "") != r.Password:
			return misused(c, "--user and --password go together")
		case r.User != "" && (r.All || r.keys || r.ApplicationCredential || len(args) > 0 || r.Grace != ""):
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
	f.BoolVar(&r.ApplicationCredential, "application-credential", false, "the application credential in place of the S3 key")
	f.BoolVar(&r.All, "all", false, "those of all environments")
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
	if r.Grace != "" && !r.DryRun {
		if err := r.warn(); err != nil {
			return err
		}
	}
	ctx, stop := interrupted()
	defer stop()
	t := newTelling(r)
	err := ipc.StreamOf(ctx, "POST", "/v1/rotate", r.RotateRequest, t.line)
	switch {
	case errors.Is(err, context.Canceled):
		t.interrupted()
		return exitCode(130)
	case err != nil:
		return err
	}
	if err := t.sum(); err != nil {
		return err
	}
	if r.Password && !r.DryRun && !r.asJSON {
		say("note: the portal goes on showing the former password of " + r.User)
	}
	return nil
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
		for _, holder := range heldByEach(line.Broken) {
			broken++
			say(fmt.Sprintf("warning: %s may hold %s longer than that", holder, line.Subject))
		}
		if line.Unknown {
			broken++
			say("warning: others may hold " + line.Subject + " longer than that: it was printed, came from a file or a person, or was handed out before ccad was started anew")
		}
		return nil
	})
	if err != nil || broken == 0 || r.yes {
		return err
	}
	if yes, err := goAhead(); err == nil && !yes { // nobody to ask goes ahead
		return errors.New("nothing is rotated")
	}
	return nil
}

// heldByEach names each who holds something, once for all that he has of it until
// one end.
func heldByEach(holders []ipc.Lease) (all []string) {
	for _, l := range holders {
		if by := heldBy(l); !slices.Contains(all, by) {
			all = append(all, by)
		}
	}
	return all
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
