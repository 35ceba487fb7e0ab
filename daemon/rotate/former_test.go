package rotate

import (
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// formerFile is an openrc of the project sys with the user's first password.
func (w *world) formerFile() Offer {
	o := w.offer("sys")
	o.Password, o.From = secretOf("hunter2"), &vault.Source{Path: "/x/openrc-sys"}
	return o
}

// TestFormerIsNotImported: a file with what the portal showed makes another
// environment of a user whose password ccad has changed since, at no failed login.
func TestFormerIsNotImported(t *testing.T) {
	for how, noVerify := range map[string]bool{"asked": false, "not asked": true} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			if err := w.RotatePassword(w.Context(), w.user().ID, silent); err != nil {
				t.Fatal(err)
			}
			stored := w.password()
			w.open()
			o := w.formerFile()
			o.NoVerify = noVerify
			out, err := w.Adopt(w.Context(), o)
			if err != nil || !out.Added || w.password() != stored || w.refusals() != 0 {
				t.Errorf("%+v, %v; %d logins failed", out, err, w.refusals())
			}
			if !slices.ContainsFunc(out.Notes, func(n string) bool {
				return n == "the password in /x/openrc-sys is a former one: the stored one is used"
			}) {
				t.Errorf("the notes are %q", out.Notes)
			}
		})
	}
}

// TestFormerIsPutBackByAFile: while the stored password is refused, a person's
// file with a former one is asked about, for an administrator may have put it back.
func TestFormerIsPutBackByAFile(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if err := w.RotatePassword(w.Context(), w.user().ID, silent); err != nil {
		t.Fatal(err)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "hunter2")
	wantRefused(t, w.Verify(w.Context(), "dev", false))
	out, err := w.Adopt(w.Context(), w.formerFile())
	if err != nil || w.password() != "hunter2" || strings.Contains(strings.Join(out.Notes, "\n"), "former") {
		t.Errorf("%+v, %v", out, err)
	}
}
