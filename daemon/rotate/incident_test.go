package rotate

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// incidents follows how often something goes amiss, and how often it is well again.
func (w *world) incidents(amiss func(*vault.Contents) bool) func(began, ended int) {
	var began, ended int
	w.watcher = func(before, after *vault.Contents, _ string) {
		switch was, is := amiss(before), amiss(after); {
		case is && !was:
			began++
		case was && !is:
			ended++
		}
	}
	return func(b, e int) {
		w.Helper()
		if began != b || ended != e {
			w.Errorf("%d incidents began and %d ended, want %d and %d", began, ended, b, e)
		}
		w.clock.step(time.Minute)
	}
}

// reopen is a restart, after which the same is followed.
func (w *world) reopen() {
	w.Helper()
	follows := w.watcher
	w.open()
	w.watcher = follows
}

// TestPasswordIncidentEndsAccepted: a refused password's incident outlasts others
// that nobody has judged, or the cloud refuses too, and a restart.
func TestPasswordIncidentEndsAccepted(t *testing.T) {
	for name, accepted := range map[string]bool{"once accepted": true, "never accepted": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if accepted {
				w.dev()
			} else {
				o := w.offer("dev")
				o.Environment.Project, o.Password, o.NoVerify = "dev-ccontini", secretOf("wrong"), true
				if _, err := w.Adopt(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			want := w.incidents(func(c *vault.Contents) bool {
				return slices.ContainsFunc(slices.Collect(maps.Values(c.Users)), PasswordAmiss)
			})
			w.cloud.SetPassword(w.name(), "right")
			w.clock.step(2 * time.Second)
			wantRefused(t, w.Verify(t.Context(), "dev", true))
			want(1, 0)
			w.update("mistyped", true)
			want(1, 0)
			w.reopen()
			wantRefused(t, w.Verify(t.Context(), "dev", true))
			want(1, 0)
			w.update("right", true)
			want(1, 0)
			if err := w.Verify(t.Context(), "dev", true); err != nil {
				t.Fatal(err)
			}
			want(1, 1)
			w.update("mistaken", true)
			want(1, 1)
		})
	}
}

// TestKeyIncidentEndsAccepted is the same for the key of an environment that has
// nothing else; the refused one, given once more, ends nothing either.
func TestKeyIncidentEndsAccepted(t *testing.T) {
	w := newWorld(t)
	project := w.cloud.User.Projects["dev-ccontini"]
	first, second := w.cloud.CreateKey(w.name(), project), w.cloud.CreateKey(w.name(), project)
	gone := w.cloud.CreateKey(w.name(), project)
	w.cloud.DeleteKey(gone.Access)
	want := w.incidents(func(c *vault.Contents) bool { return KeysAmiss(c.Environments["profile"]) })
	give := func(key practice.Key) {
		t.Helper()
		if err := w.takeKey("profile", key, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.takeKey("profile", first, false); err != nil {
		t.Fatal(err)
	}
	w.cloud.DeleteKey(first.Access)
	for _, key := range []practice.Key{first, first, gone} {
		give(key)
		wantRefused(t, w.Verify(t.Context(), "profile", true))
		want(1, 0)
		if e := w.Contents().Environments["profile"]; KeyState(e) != StateRefused {
			t.Errorf("the key is %s", KeyState(e))
		}
		w.reopen()
	}
	give(first)
	want(1, 0)
	give(second)
	want(1, 0)
	if err := w.Verify(t.Context(), "profile", true); err != nil {
		t.Fatal(err)
	}
	want(1, 1)
}

// TestListedKeyIncidentEndsAccepted is the same for a key that Keystone lists no more.
func TestListedKeyIncidentEndsAccepted(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	want := w.incidents(func(c *vault.Contents) bool { return KeysAmiss(c.Environments["dev"]) })
	w.cloud.DeleteKey(key.Access)
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	want(1, 0)
	next := w.cloud.CreateKey(w.name(), w.cloud.User.Projects["dev-ccontini"])
	o := w.offer("dev")
	o.Environment.Project, o.By, o.NoVerify = "dev-ccontini", "person", true
	o.Keys = &account.KeyPair{AccessKeyID: next.Access, Secret: secretOf(next.Secret)}
	if _, err := w.Adopt(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want(1, 0)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	want(1, 1)
}

// TestCredentialIncidentEndsAccepted is the same for an application credential.
func TestCredentialIncidentEndsAccepted(t *testing.T) {
	w := newWorld(t)
	first := w.imported(cloud.Limits{})
	want := w.incidents(func(c *vault.Contents) bool { return CredentialAmiss(c.Environments["dev"]) })
	give := func(ac account.ApplicationCredential) {
		t.Helper()
		_, u, _ := w.Environment("dev")
		if _, err := w.Adopt(t.Context(), Offer{Name: "dev", Named: true, By: "person", NoVerify: true, AppCred: &ac, User: u.User, Environment: w.Contents().Environments["dev"].Environment}); err != nil {
			t.Fatal(err)
		}
	}
	w.cloud.Enable(w.name(), false)
	wantRefused(t, w.Verify(t.Context(), "dev", true))
	want(1, 0)
	wrong := account.ApplicationCredential{ID: "none", Secret: secretOf("wrong")}
	for _, ac := range []account.ApplicationCredential{wrong, first, wrong} {
		give(ac)
		want(1, 0)
		w.reopen()
		wantRefused(t, w.Verify(t.Context(), "dev", true))
		want(1, 0)
	}
	w.cloud.Enable(w.name(), true)
	give(first)
	want(1, 0)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	want(1, 1)
}
