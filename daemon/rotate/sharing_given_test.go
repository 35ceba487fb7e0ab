package rotate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/test/practice"
)

// comings are the ways in which dev gets a new key that stands in Keystone's list,
// without ccad's making it.
var comings = map[string]func(*world, practice.Key) error{
	"a file": func(w *world, key practice.Key) error {
		_, err := w.foundKey(key.Access, key.Secret)
		return err
	},
	"the portal": func(w *world, key practice.Key) error {
		_, err := w.Notice(w.Context(), Notice{Environment: "dev", Keys: pairOf(key), By: ByPortal})
		return err
	},
	"update": func(w *world, key practice.Key) error {
		_, err := w.Adopt(w.Context(), Offer{Name: "dev", Named: true, Keys: pairOf(key), By: "person"})
		return err
	},
	"an import": func(w *world, key practice.Key) error {
		o := w.offer("dev")
		o.Password, o.AccessKeyID = secretOf(w.cloud.Password(w.name())), key.Access
		_, err := w.Adopt(w.Context(), o)
		return err
	},
	"verify": func(w *world, _ practice.Key) error { return w.Verify(w.Context(), "dev", true) },
}

func pairOf(key practice.Key) *account.KeyPair {
	return &account.KeyPair{AccessKeyID: key.Access, Secret: secretOf(key.Secret)}
}

// makeKey makes one more for dev's user and project.
func (w *world) makeKey() practice.Key {
	return w.cloud.CreateKey(w.name(), w.cloud.User.Projects["dev-ccontini"])
}

// Whichever way the new one comes, who shares the former gets it where that one is
// dead, also if he has been refused; one that lives is nobody's to replace.
func TestSharedKeyGiven(t *testing.T) {
	for name, comes := range comings {
		for _, gone := range []bool{true, false} {
			if !gone && (name == "verify" || name == "the portal") { // they replace none that lives
				continue
			}
			w := newWorld(t)
			key := w.dev()
			w.alone("profile", key)
			w.elsewhere("withheld", w.cloud.S3URL, key)
			w.elsewhere("other", "https://objects.other.example", key)
			next := w.makeKey()
			want := key.Access
			if gone {
				want = next.Access
				w.cloud.DeleteKey(key.Access)
				wantRefused(t, w.Verify(t.Context(), "profile", false))
			}
			was := w.Contents().Environments["profile"].Generation
			if err := comes(w, next); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for who, want := range map[string]string{"dev": next.Access, "profile": want, "withheld": want, "other": key.Access} {
				if got := w.active(who).AccessKeyID; got != want {
					t.Errorf("%s, the former gone %v: %s has %s, not %s", name, gone, who, got, want)
				}
			}
			c := w.Contents()
			if e := c.Environments["profile"]; KeyState(e) != StateOK || gone && e.Generation <= was {
				t.Errorf("%s, the former gone %v: profile's is %s, at generation %d after %d", name, gone, KeyState(e), e.Generation, was)
			}
			if v, _ := c.Environments["withheld"].Keys.Active(); !v.HandsOff {
				t.Errorf("%s, the former gone %v: what only a person may send is sent", name, gone)
			}
			if err := w.Verify(t.Context(), "profile", true); err != nil {
				t.Errorf("%s, the former gone %v: %v", name, gone, err)
			}
		}
	}
}

// A kill leaves both with the former or both with the new one.
func TestSharedKeyGivenKilledAnywhere(t *testing.T) {
	for name, comes := range comings {
		for n, over := 1, false; !over; n++ {
			w := newWorld(t)
			key := w.dev()
			w.alone("profile", key)
			w.cloud.DeleteKey(key.Access)
			next := w.makeKey()
			w.dieAnywhere(n)
			over = comes(w, next) == nil
			w.open()
			if w.active("profile") != w.active("dev") {
				t.Fatalf("%s, killed at %d: dev has %s, and profile %s", name, n, w.active("dev").AccessKeyID, w.active("profile").AccessKeyID)
			}
		}
	}
}

// A key that the cloud never accepted as dev's was given by mistake, and is perhaps
// another owner's: that Keystone does not list it for dev's says nothing of it.
func TestSharedKeyGivenByMistake(t *testing.T) {
	for name, comes := range comings {
		for _, noVerify := range []bool{true, false} {
			w := newWorld(t)
			next := w.dev()
			hers := w.cloud.CreateKey("mallory", w.cloud.AddUser("mallory", "m", "hers").Projects["hers"])
			w.alone("profile", hers)
			if !noVerify {
				w.cloud.Fail(practice.Fault{Break: practice.Cut})
				w.open() // without a token
			}
			if _, err := w.Adopt(t.Context(), Offer{Name: "dev", Named: true, Keys: pairOf(hers), NoVerify: noVerify, By: "person"}); err != nil {
				t.Fatal(err)
			}
			w.cloud.Heal()
			if w.active("dev").AccessKeyID != hers.Access {
				t.Fatal("it is not taken")
			}
			err := comes(w, next)
			if err != nil && !errors.Is(err, ErrWithheld) && !errors.Is(err, ErrOlder) {
				t.Errorf("%s: %v", name, err)
			}
			if got := w.active("profile").AccessKeyID; got != hers.Access {
				t.Errorf("%s, no verify %v: profile has %s", name, noVerify, got)
			}
		}
	}
}

// Of what had no user or no project until now the list says nothing: S3 has accepted
// the former key, as whosever.
func TestSharedKeyOfWhatIsBound(t *testing.T) {
	for name, unbound := range map[string]func(*world, *Offer){
		"no user": func(_ *world, o *Offer) { o.User = account.User{} },
		"no project": func(w *world, o *Offer) {
			o.Environment.Project, o.Password = "", secretOf(w.cloud.Password(w.name()))
		},
	} {
		w := newWorld(t)
		w.makeKey()
		hers := w.cloud.CreateKey("mallory", w.cloud.AddUser("mallory", "m", "hers").Projects["hers"])
		o := w.offer("dev")
		o.Keys = pairOf(hers)
		unbound(w, &o)
		if _, err := w.Adopt(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := w.Verify(t.Context(), "dev", true); err != nil {
			t.Fatal(err)
		}
		w.alone("profile", hers)
		w.take("dev", "dev-ccontini")
		if w.active("dev").AccessKeyID == hers.Access || w.active("profile").AccessKeyID != hers.Access {
			t.Errorf("%s: dev has %s, and profile %s", name, w.active("dev").AccessKeyID, w.active("profile").AccessKeyID)
		}
	}
}

// Who shares the key of what goes to another origin keeps it, here and there.
func TestSharedKeyOfWhatMoves(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.alone("profile", key)
	elsewhere := strings.Replace(w.cloud.S3URL, "127.0.0.1", "localhost", 1)
	w.elsewhere("there", elsewhere, key)
	w.cloud.DeleteKey(key.Access)
	next := w.makeKey()
	o := w.offer("dev")
	var err error
	if o.Environment.S3.Endpoint, err = account.ParseEndpoint(elsewhere, false); err != nil {
		t.Fatal(err)
	}
	o.Password = secretOf(w.cloud.Password(w.name()))
	if _, err := w.Adopt(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]string{"dev": next.Access, "profile": key.Access, "there": key.Access} {
		if got := w.active(who).AccessKeyID; got != want {
			t.Errorf("%s has %s, not %s", who, got, want)
		}
	}
}

// What was listed before the key was replaced by way of another environment says
// nothing of the one that serves now.
func TestSharedKeyGivenMeanwhile(t *testing.T) {
	for name, comes := range comings {
		w := newWorld(t)
		key := w.dev()
		w.alone("profile", key)
		w.cloud.DeleteKey(key.Access)
		next, newer := w.makeKey(), pair("newer", "1")
		w.cloud.Fail(practice.Fault{Route: "GET /v3/users/{user}/credentials/OS-EC2", Times: 1, Begun: func() {
			if err := w.replaces(newer, "dev", "profile"); err != nil {
				t.Error(err)
			}
		}})
		_ = comes(w, next)
		if w.active("profile") != newer {
			t.Errorf("%s: profile has %s", name, w.active("profile").AccessKeyID)
		}
	}
}

// The rotation of who gets it gives way, before its new key serves and after, and
// leaves nothing behind.
func TestSharedKeyGivenUnderRotation(t *testing.T) {
	for name, comes := range comings {
		for _, flipped := range []bool{false, true} {
			if flipped && name == "verify" { // it may take the former one, which still drains
				continue
			}
			w := newWorld(t)
			w.dev()
			w.east()
			if _, err := w.beginKey("deveast", nil); err != nil {
				t.Fatal(err)
			}
			if flipped {
				w.GoOn(t.Context())
			}
			w.cloud.DeleteKey(w.active("deveast").AccessKeyID)
			next := w.makeKey()
			if err := comes(w, next); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for range 4 {
				w.GoOn(t.Context())
				w.clock.step(time.Hour)
			}
			if e := w.Contents().Environments["deveast"]; e.KeyRotation != nil || active(e.Keys).AccessKeyID != next.Access {
				t.Errorf("%s, flipped %v: deveast has %s, journal %+v", name, flipped, active(e.Keys).AccessKeyID, e.KeyRotation)
			}
			if ids := w.keys(); len(ids) != 1 || w.active("dev").AccessKeyID != next.Access {
				t.Errorf("%s, flipped %v: dev has %s, the cloud %v", name, flipped, w.active("dev").AccessKeyID, ids)
			}
		}
	}
}

// Without a user nobody has a list: what is found for the one is for him alone.
func TestSharedKeyGivenWithoutUser(t *testing.T) {
	w := newWorld(t)
	key, next := w.makeKey(), w.makeKey()
	w.alone("dev", key)
	w.alone("profile", key)
	if changed, err := w.foundKey(next.Access, next.Secret); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if w.active("dev").AccessKeyID != next.Access || w.active("profile").AccessKeyID != key.Access {
		t.Errorf("dev has %s, and profile %s", w.active("dev").AccessKeyID, w.active("profile").AccessKeyID)
	}
}

// TestPortalLeavesWorkingKey: what the portal shows may be any of several keys, and
// takes the place of none that works; of one that is gone it does.
func TestPortalLeavesWorkingKey(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	theirs := w.makeKey()
	notice := Notice{Environment: "dev", Keys: pairOf(theirs), By: ByPortal}
	if changed, err := w.Notice(t.Context(), notice); changed || err != nil || w.active("dev").AccessKeyID != key.Access {
		t.Errorf("beside a working one: %v, %v", changed, err)
	}
	w.cloud.DeleteKey(key.Access)
	if changed, err := w.Notice(t.Context(), notice); !changed || err != nil || w.active("dev").AccessKeyID != theirs.Access {
		t.Errorf("in place of a dead one: %v, %v", changed, err)
	}
}
