package rotate

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// remake has an administrator delete the user and make another of his name, who
// has the same projects.
func (w *world) remake(password string) {
	w.cloud.DeleteUser(w.cloud.User.Name)
	w.cloud.AddUser(w.cloud.User.Name, password)
	for _, id := range w.cloud.User.Projects {
		w.cloud.JoinProject(w.cloud.User.Name, id)
	}
}

// TestAnotherUserOfTheName: who was deleted and made anew is another user. His
// password is not taken for the stored one's, whoever hands it in; once the
// environment is removed it is.
func TestAnotherUserOfTheName(t *testing.T) {
	update := func(password string) func(w *world) error {
		return func(w *world) error {
			_, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf(password), false)
			return err
		}
	}
	imports := func(name, password string) func(w *world) error {
		return func(w *world) error {
			o := w.offer(name)
			o.Password = secretOf(password)
			_, err := w.Adopt(w.Context(), o)
			return err
		}
	}
	for how, c := range map[string]struct {
		hand    func(w *world) error
		expired bool
	}{
		"update":                    {hand: update("theirs")},
		"update, a first password":  {hand: update("theirs"), expired: true},
		"import":                    {hand: imports("dev", "theirs")},
		"import, a first password":  {hand: imports("dev", "theirs"), expired: true},
		"import of another project": {hand: imports("sys", "theirs")},
		"a file":                    {hand: func(w *world) error { _, err := w.found("theirs"); return err }},
		"a file, a first password":  {hand: func(w *world) error { _, err := w.found("theirs"); return err }, expired: true},
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			before := w.user()
			w.remake("theirs")
			if c.expired {
				w.cloud.ExpirePassword(w.cloud.User.Name)
			}
			err := c.hand(w)
			wantRefused(t, err)
			if err != nil && !strings.Contains(err.Error(), "another user's of that name") {
				t.Errorf("it says %v", err)
			}
			after := w.user()
			if w.password() != "hunter2" || len(after.Passwords.List) != 1 || after.Refused != nil || after.KeystoneID != before.KeystoneID || len(w.Contents().Environments) != 1 {
				t.Errorf("it changed: %+v, %d environments", after, len(w.Contents().Environments))
			}
			if c.expired {
				return
			}
			if err := w.Remove("dev", false); err != nil {
				t.Fatal(err)
			}
			if err := imports("dev", "theirs")(w); err != nil || w.password() != "theirs" || w.user().KeystoneID == before.KeystoneID {
				t.Errorf("imported anew: %v, %+v", err, w.user())
			}
			if err := w.RotatePassword(w.Context(), w.user().ID, silent); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAnotherUserIsFoundOutLater: a password that was stored while nobody answered
// turns out to be another user's. It goes out no more, and what was in force before
// is judged for itself; one that both users have is refused as well.
func TestAnotherUserIsFoundOutLater(t *testing.T) {
	for _, password := range []string{"theirs", "hunter2"} {
		w := newWorld(t)
		w.dev()
		w.remake(password)
		w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Times: 1, Status: 503})
		_, _ = w.UpdatePassword(w.Context(), w.user().ID, secretOf(password), false)
		if w.password() != password {
			t.Fatalf("%q is in force", w.password())
		}
		err := w.Verify(w.Context(), "dev", false)
		wantRefused(t, err)
		if err != nil && !strings.Contains(err.Error(), "another user's of that name") {
			t.Errorf("it says %v", err)
		}
		_ = w.Verify(w.Context(), "dev", false)
		if u := w.user(); w.password() != "hunter2" || u.Refused == nil || MayServePassword(u) == nil {
			t.Errorf("%q is in force: %+v", w.password(), u.Refused)
		}
	}
}
