package rotate

import (
	"testing"
	"time"

	"github.com/cloud-ca/ccad/test/practice"
)

// TestOlderLeavesTheLoginToTheNew: a file that still has what ccad replaced stands
// beside a Regenerate, and costs no login: the new value heals by itself.
func TestOlderLeavesTheLoginToTheNew(t *testing.T) {
	for how, replace := range map[string]func(w *world){
		"a rotation": func(w *world) {
			if err := w.RotatePassword(w.Context(), w.user().ID, silent); err != nil {
				w.Fatal(err)
			}
		},
		"an adoption": func(w *world) {
			w.cloud.SetPassword(w.cloud.User.Name, "second")
			if changed, err := w.found("second"); !changed || err != nil {
				w.Fatal(changed, err)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			replace(w)
			_, err := w.found("hunter2")
			wantIs(t, err, ErrOlder)
			w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3, LockoutDuration: 30 * time.Minute})
			w.cloud.Reset(w.cloud.User.Name, "regenerated")
			wantRefused(t, w.Verify(w.Context(), "dev", false))
			for range 2 {
				_, err = w.found("hunter2")
				wantIs(t, err, ErrOlder)
				w.open()
			}
			if n := w.refusals(); n != 1 {
				t.Errorf("%d logins failed", n)
			}
			if changed, err := w.found("regenerated"); !changed || err != nil {
				t.Error(changed, err)
			}
			w.serves()
		})
	}
}

// TestOlderIsPutBack: an administrator has put a former password back. A person's
// verify lets it be tried, and leaves one login to a new value all the same.
func TestOlderIsPutBack(t *testing.T) {
	for _, right := range []string{"hunter2", "third"} {
		w := newWorld(t)
		w.dev()
		for _, password := range []string{"first", "second"} {
			w.cloud.SetPassword(w.cloud.User.Name, password)
			if changed, err := w.found(password); !changed || err != nil {
				t.Fatal(changed, err)
			}
		}
		w.cloud.SetPassword(w.cloud.User.Name, right)
		wantRefused(t, w.Verify(w.Context(), "dev", false))
		_, err := w.found("hunter2")
		wantIs(t, err, ErrOlder)
		wantRefused(t, w.Verify(w.Context(), "dev", true)) // which sends nothing: it was refused just now
		if n := w.refusals(); n != 1 {
			t.Errorf("%s: %d logins failed", right, n)
		}
		if right == "third" {
			_, err := w.found("hunter2")
			wantRefused(t, err)
			_, err = w.found("first")
			wantIs(t, err, ErrOlder)
		}
		if changed, err := w.found(right); !changed || err != nil || w.password() != right {
			t.Errorf("%s: %v, %v", right, changed, err)
		}
	}
}

// TestOlderOfARightOne: a password that is refused as expired, or because the
// account is locked, is the right one: nothing older is sent for it, and what is
// new has its try.
func TestOlderOfARightOne(t *testing.T) {
	for how, refuse := range map[string]func(w *world){
		"expired": func(w *world) { w.cloud.ExpirePassword(w.cloud.User.Name) },
		"locked out": func(w *world) {
			w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 1, LockoutDuration: time.Hour})
			w.locks()
		},
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.cloud.SetPassword(w.cloud.User.Name, "second")
			if changed, err := w.found("second"); !changed || err != nil {
				t.Fatal(changed, err)
			}
			refuse(w)
			wantRefused(t, w.Verify(w.Context(), "dev", false))
			if no := w.user().Refused; no == nil || no.Expired == no.LockedOut {
				t.Fatalf("%+v", no)
			}
			_ = w.Verify(w.Context(), "dev", true) // a person does not make it likelier
			before := w.refusals()
			_, err := w.found("hunter2")
			wantIs(t, err, ErrOlder)
			if n := w.refusals() - before; n != 0 {
				t.Errorf("%d logins failed", n)
			}
			w.clock.step(2 * time.Hour)
			w.cloud.SetPassword(w.cloud.User.Name, "third")
			if changed, err := w.found("third"); !changed || err != nil {
				t.Error(changed, err)
			}
		})
	}
}
