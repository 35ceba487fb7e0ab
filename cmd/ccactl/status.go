package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func statusVerb() *cobra.Command {
	var asJSON bool
	c := verb("status [--json]", "Show users, environments, what is wrong and what mends it", words(0, 0), func(*cobra.Command, []string) error {
		if asJSON {
			return emitJSON("/v1/status")
		}
		st, err := status()
		if err != nil {
			return err
		}
		return report(os.Stdout, st, time.Now())
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// report tells how everything stands: on a terminal with signs and colours, and
// no wider than it where that is possible.
func report(w io.Writer, st ipc.Status, now time.Time) error {
	state := "unlocked"
	if st.Daemon.Locked {
		state = coloured("locked")
	}
	_, _ = fmt.Fprintf(w, "ccad %s, process %d, keyring %s, %s\n", plain(st.Daemon.Version), st.Daemon.PID, plain(st.Daemon.Keyring), state)
	t := newTable(w)
	scheduled := slices.ContainsFunc(st.Users, func(u ipc.User) bool { return u.RotationDue != nil })
	if len(st.Users) > 0 {
		_, _ = fmt.Fprintln(w)
		t.head(withDue(scheduled, "ROTATES", "USER", "AUTH URL", "PASSWORD", "CHECKED", "STATE")...)
	}
	for _, u := range st.Users {
		t.row(withDue(scheduled, due(u.RotationDue, now), signed(u.State, u.Name), u.AuthURL, numbered(u.PasswordVersion), relative(u.CheckedAt, now), coloured(u.State))...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := reportEnvironments(w, st, now); err != nil {
		return err
	}
	for i, trouble := range troubles(st, now) {
		if i == 0 {
			_, _ = fmt.Fprintln(w)
		}
		if colourful() {
			_, _ = fmt.Fprintf(w, "%s %s\n  %s\n", mark(trouble.note), plain(trouble.what), arrow()+bold(plain(trouble.mend)))
		} else {
			_, _ = fmt.Fprintf(w, "%s: %s\n", plain(trouble.what), plain(trouble.mend))
		}
	}
	return nil
}

// reportEnvironments leaves out, on a terminal, the user that all have: his
// own table names him.
func reportEnvironments(w io.Writer, st ipc.Status, now time.Time) error {
	if len(st.Environments) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(w)
	t := newTable(w)
	columns := func(name, user string, rest ...string) []string {
		if colourful() && len(st.Users) == 1 {
			return append([]string{name}, rest...)
		}
		return append([]string{name, user}, rest...)
	}
	scheduled := slices.ContainsFunc(st.Environments, func(e ipc.Environment) bool { return firstDue(e) != nil })
	t.head(withDue(scheduled, "ROTATES", columns("ENVIRONMENT", "USER", "PROJECT", "S3 KEY", "LEASES", "STATE")...)...)
	for _, e := range st.Environments {
		cells := columns(signed(e.State, e.Name), e.User, e.Project, shortKey(e.S3.AccessKeyID), strconv.Itoa(e.Leases), coloured(e.State))
		t.row(withDue(scheduled, due(firstDue(e), now), cells...)...)
	}
	return t.flush()
}

// numbered shows a version's number; 0 is none.
func numbered(n int) string {
	if n == 0 {
		return ""
	}
	return "v" + strconv.Itoa(n)
}

// trouble is something wrong and the one command that mends it; a note is only
// worth knowing.
type trouble struct {
	user, environment, what, mend string
	note                          bool
}

func troubles(st ipc.Status, now time.Time) (all []trouble) {
	if st.Daemon.Warning != "" {
		all = append(all, trouble{what: st.Daemon.Warning, mend: logAdvice()})
	}
	switch {
	case st.Daemon.Unreadable != "":
		return append(all, trouble{what: st.Daemon.Unreadable, mend: "ccactl doctor"})
	case st.Daemon.Fresh:
		return append(all, trouble{what: "there is no keyring yet, the first passphrase makes it", mend: "ccactl unlock"})
	case st.Daemon.Locked:
		return append(all, trouble{what: "ccad is locked", mend: "ccactl unlock"})
	}
	for _, u := range st.Users {
		if u.Rotation != nil {
			what := u.Name + ": the change of the password is not over (" + u.Rotation.Step + ")"
			if u.Rotation.Trouble != "" {
				what += ": " + u.Rotation.Trouble
			}
			all = append(all, trouble{user: u.Name, what: what, mend: "ccactl rotate --user " + u.Name + " --password"})
		}
		if t, is := userTrouble(u, now); is {
			all = append(all, t)
		}
		if len(u.FormerHolders) > 0 {
			all = append(all, trouble{user: u.Name, what: u.Name + ": a former password is out" + heldByAll(u.FormerHolders), mend: "a shell gets the new one at its next prompt, a program when it starts anew", note: true})
		}
		all = append(all, overdue(u.RotationDue, trouble{user: u.Name, what: u.Name + ": the password", mend: "ccactl rotate --user " + u.Name + " --password"}, now)...)
	}
	for _, e := range st.Environments {
		all = append(all, rotating(e.Name, "S3 key", "ccactl rotate "+e.Name, e.Rotation)...)
		if n := len(e.ForeignKeys); n > 0 {
			all = append(all, trouble{environment: e.Name, note: true,
				what: fmt.Sprintf("%s: the cloud has %s besides the one that serves: %s", e.Name, count(n, "S3 key"), some(e.ForeignKeys)),
				mend: "ccad touches none of them; delete what nobody uses: openstack ec2 credentials delete KEY"})
		}
		switch e.S3.State {
		case "refused":
			all = append(all, trouble{environment: e.Name, what: e.Name + ": the cloud refuses the S3 key", mend: "ccactl update " + e.Name})
		case "unverified":
			all = append(all, trouble{environment: e.Name, what: e.Name + ": the cloud has not answered about the S3 key yet", mend: "ccactl verify " + e.Name})
		}
		all = append(all, overdue(e.RotationDue, trouble{environment: e.Name, what: e.Name + ": the S3 key", mend: "ccactl rotate " + e.Name}, now)...)
		mend := "ccactl rotate " + e.Name + " --application-credential"
		all = append(all, rotating(e.Name, "application credential", mend, e.CredentialRotation)...)
		all = append(all, overdue(e.CredentialDue, trouble{environment: e.Name, what: e.Name + ": the application credential", mend: mend}, now)...)
	}
	for _, f := range st.Watched {
		all = append(all, fileTrouble(f))
	}
	return all
}

// fileTrouble tells of a watched file that ccad takes nothing from.
func fileTrouble(f ipc.WatchedFile) trouble {
	t := trouble{environment: f.Environment, what: f.Environment + ": watched file " + f.Path + ": " + f.Reason, mend: "ccactl import " + f.Path}
	switch f.State {
	case "refused":
		t.mend = "correct the file, or ccactl update"
	case "older":
		t.mend = "save the present value there; nothing is wrong with what ccad has"
	case "unsafe":
		t.mend = "chmod go-w, and make it a file of yours"
	case "missing":
		t.mend = "put it back; what ccad has goes on"
	case "waiting":
		t.mend = "nothing to do, it is tried again"
	}
	return t
}

func userTrouble(u ipc.User, now time.Time) (trouble, bool) {
	t := trouble{user: u.Name, mend: "ccactl update --user " + u.Name}
	switch u.State {
	case "refused":
		t.what = u.Name + ": the cloud refuses the password"
	case "locked-out":
		t.what, t.mend = u.Name+": the cloud seems to have locked the user out for a while", "ccactl verify, once that has ended"
	case "expiring":
		t.what = u.Name + ": the password expires " + relative(u.Expires, now)
	case "unverified":
		t.what, t.mend = u.Name+": the cloud has not answered about the password yet", "ccactl verify"
	default:
		return t, false
	}
	if u.Reason != "" {
		t.what += " (" + u.Reason + ")"
	}
	return t, true
}

// mending returns the command for an environment that the cloud refused.
func mending(name string) string {
	const otherwise = "ccactl status says what is wrong"
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var st ipc.Status
	if _, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st); err != nil {
		return otherwise
	}
	user := ""
	for _, e := range st.Environments {
		if e.Name == name {
			user = e.User
		}
	}
	for _, t := range troubles(st, time.Now()) {
		if !t.note && t.environment == name || !t.note && t.user != "" && t.user == user {
			return t.mend
		}
	}
	return otherwise
}
