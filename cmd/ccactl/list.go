package main

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func listVerb() *cobra.Command {
	var asJSON bool
	c := verb("list [--json]", "List the environments", words(0, 0), func(*cobra.Command, []string) error {
		st, err := unlocked()
		if err != nil {
			return err
		}
		if asJSON {
			return list(st.Environments)
		}
		if len(st.Environments) == 0 {
			return emit([]byte("no environments yet: ccactl import FILE, or ccactl add NAME\n"))
		}
		t := newTable(os.Stdout)
		columns := func(name, user, project, endpoint string, rest ...string) []string {
			if colourful() { // show has it
				return append([]string{name, user, project}, rest...)
			}
			return append([]string{name, user, project, endpoint}, rest...)
		}
		t.head(columns("NAME", "USER", "PROJECT", "S3 ENDPOINT", "S3 KEY", "STATE")...)
		for _, e := range st.Environments {
			t.row(columns(signed(e.State, e.Name), e.User, e.Project, e.S3.Endpoint, shortKey(e.S3.AccessKeyID), coloured(e.State))...)
		}
		return t.flush()
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// list prints the environments as JSON, and nothing as an empty list.
func list(environments []ipc.Environment) error {
	if environments == nil {
		environments = []ipc.Environment{}
	}
	data, err := json.Marshal(environments)
	if err != nil {
		return err
	}
	return emit(append(data, '\n'))
}

func showVerb() *cobra.Command {
	var asJSON, reveal bool
	c := verb("show NAME [--reveal] [--json]", "Show an environment, its secrets with --reveal", words(1, 1), func(_ *cobra.Command, args []string) error {
		path, err := environmentPath(args[0])
		if err != nil {
			return err
		}
		if reveal {
			path += "?reveal=true"
		}
		if asJSON {
			return emitJSON(path)
		}
		var e ipc.Shown
		if err := read(path, &e); err != nil {
			return err
		}
		return show(e)
	})
	c.Flags().BoolVar(&reveal, "reveal", false, "show the secrets too")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return ofEnvironments(c, 1)
}

// show prints what there is of an environment, a line each.
func show(e ipc.Shown) error {
	t := newTable(os.Stdout)
	line := func(name, value string) {
		if value != "" {
			t.row(name, plain(value))
		}
	}
	line("name", e.Name)
	t.row("state", coloured(e.State))
	line("generation", strconv.FormatUint(e.Generation, 10))
	line("user", e.User)
	line("user domain", e.UserDomain)
	line("auth URL", e.AuthURL)
	line("identity API", e.IdentityAPI)
	line("project", e.Project)
	line("project id", e.ProjectID)
	line("project domain", e.ProjectDomain)
	line("storage URL", e.StorageURL)
	line("password", copyable(e.Password))
	line("S3 endpoint", e.S3.Endpoint)
	line("S3 region", e.S3.Region)
	line("S3 access key", e.S3.AccessKeyID)
	line("S3 key without its secret", e.S3.Wanted)
	line("S3 secret key", copyable(e.SecretAccessKey))
	if e.S3.AccessKeyID != "" {
		t.row("S3 key state", coloured(e.S3.State))
	}
	line("S3 key rotates", due(e.RotationDue, time.Now()))
	line("application credential", e.ApplicationCredential)
	line("it rotates", due(e.CredentialDue, time.Now()))
	for _, source := range e.Sources {
		line("source", source)
	}
	for _, l := range e.Holders {
		line("held by", holder(l, time.Now()))
	}
	return t.flush()
}

// copyable is a secret as it is, quoted where its ends or its inside could not be
// seen.
func copyable(secret string) string {
	if plain(secret) != secret {
		return strconv.Quote(secret)
	}
	return secret
}

// holder says who holds what, and until when.
func holder(l ipc.Lease, now time.Time) string {
	who := []string{l.Program}
	if l.PID != 0 {
		who[0] += " (" + strconv.Itoa(l.PID) + ")"
	}
	if l.Parent != "" && l.Parent != l.Program {
		who = append(who, "of "+l.Parent)
	}
	who = append(who, "has "+l.View+", version "+strconv.Itoa(l.Version)+",")
	switch {
	case l.Until == nil:
		who = append(who, "until further notice")
	case l.Until.After(now):
		who = append(who, "for another "+span(l.Until.Sub(now)))
	default:
		who = append(who, "until "+relative(l.Until, now))
	}
	return strings.Join(who, " ")
}

func removeVerb() *cobra.Command {
	var yes bool
	c := verb("remove NAME [--yes]", "Forget an environment and its secrets", words(1, 1), func(_ *cobra.Command, args []string) error {
		path, err := environmentPath(args[0])
		if err != nil {
			return err
		}
		agreed := path + "?yes=true"
		if yes {
			path = agreed
		}
		var done ipc.Changes
		err = call("DELETE", path, nil, &done)
		var failure *ipc.Error
		if errors.As(err, &failure) && failure.Code == ipc.CodeOnlyCopy {
			if err = agreeToLoss(args[0], failure); err == nil {
				err = call("DELETE", agreed, nil, &done)
			}
		}
		if err != nil {
			return err
		}
		if err := tell(done, nil); err != nil || readDefault(ipc.DefaultPath()) != args[0] {
			return err
		}
		return forgetDefault(ipc.DefaultPath())
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask, even if a password that ccad made is lost for good")
	return ofEnvironments(c, 1)
}

// agreeToLoss asks where the daemon refuses to lose the only copy of a password; with
// nobody to ask, its refusal stands.
func agreeToLoss(name string, refusal *ipc.Error) error {
	hint := "ccactl show " + name + " --reveal or ccactl backup FILE first, or ccactl remove " + name + " --yes"
	if attended() {
		say("warning: " + refusal.Message)
	}
	switch yes, err := goAhead(); {
	case err != nil:
		return advised(refusal, hint)
	case !yes:
		return advised(errors.New("nothing is removed"), hint)
	}
	return nil
}
