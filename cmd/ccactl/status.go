package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
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
		return report(&stdout, st, time.Now())
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
	if err := reportTraffic(w, st); err != nil {
		return err
	}
	if err := reportFiles(w, st, now); err != nil {
		return err
	}
	for i, t := range troubles(st, now) {
		if i == 0 {
			_, _ = fmt.Fprintln(w)
		}
		if colourful() {
			_, _ = fmt.Fprintf(w, "%s %s\n  %s%s\n", mark(t.harmless), strings.Join(cut(t.what, columns-2), "\n  "), arrow(), bold(plain(t.mend)))
		} else {
			_, _ = fmt.Fprintf(w, "%s: %s\n", plain(t.what), plain(t.mend))
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

// reportFiles tells of the files that ccactl render keeps written, and when it
// last asked for what is in them.
func reportFiles(w io.Writer, st ipc.Status, now time.Time) error {
	if len(st.Rendered) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(w)
	t := newTable(w)
	t.row("FILE", "ENVIRONMENT", "VIEW", "RENDERED")
	for _, f := range st.Rendered {
		t.row(f.Path, f.Environment, f.View, relative(f.GivenAt, now))
	}
	return t.flush()
}

// reportTraffic tells what went through the S3 gateway since ccad started, where
// anything did.
func reportTraffic(w io.Writer, st ipc.Status) error {
	t, headed := newTable(w), false
	for _, e := range st.Environments {
		if e.Traffic.Requests == 0 {
			continue
		}
		if !headed {
			headed = true
			_, _ = fmt.Fprintln(w)
			t.head("S3 GATEWAY", "REQUESTS", "UP", "DOWN")
		}
		t.row(signed("", e.Name), strconv.FormatUint(e.Traffic.Requests, 10), size(e.Traffic.BytesIn), size(e.Traffic.BytesOut))
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
