package rotate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// alone stores an environment of an S3 key alone, as an AWS profile has it.
func (w *world) alone(name string, key practice.Key) {
	w.Helper()
	o := w.offer(name)
	o = Offer{Name: name, Named: true, By: "person", Environment: account.Environment{S3: o.Environment.S3},
		Keys: &account.KeyPair{AccessKeyID: key.Access, Secret: account.NewSecret(key.Secret)}}
	if _, err := w.Adopt(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// An S3 key that came a second time, without its user: both environments get the
// new one at once, and whoever holds the former one as either keeps it alive.
func TestSharedKey(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.alone("profile", key)
	was := w.Contents().Environments["profile"]
	v, _ := was.Keys.Active()
	w.ledger.Add(Lease{Environment: was.ID, Held: Held{Keys: v.N}, Until: epoch.Add(80 * time.Minute)})
	c := w.Contents()
	if got := Followers(c, c.Environments["dev"]); !slices.Equal(got, []string{"profile"}) || Leader(c, "profile") != "dev" || Leader(c, "dev") != "dev" {
		t.Errorf("dev is followed by %v, and profile follows %s", got, Leader(c, "profile"))
	}
	if p, err := w.Plan(KindKey, "dev", new(time.Duration)); err != nil || len(p.Broken) != 1 {
		t.Errorf("a grace of nothing breaks %+v, %v", p.Broken, err)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	is := w.Contents().Environments["profile"]
	if w.active("profile") != w.active("dev") || w.active("dev").AccessKeyID == key.Access || is.Generation <= was.Generation || KeyState(is) != "ok" {
		t.Errorf("after the flip dev has %s, and profile %s, %s, at generation %d", w.active("dev").AccessKeyID, w.active("profile").AccessKeyID, KeyState(is), is.Generation)
	}
	w.drains(moment{79 * time.Minute, 2}, moment{2 * time.Minute, 1})
	w.clean()
	if err := w.Verify(t.Context(), "profile", true); err != nil || len(w.Contents().Environments["profile"].Keys.List) != 1 {
		t.Errorf("profile in the end: %v, %d versions", err, len(w.Contents().Environments["profile"].Keys.List))
	}
}

// A former key that somebody has put in force again is not deleted, whichever
// environment it is.
func TestSharedKeyBackInForce(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.alone("profile", key)
	w.clock.step(2 * time.Hour)
	w.finish()
	if err := w.Verify(t.Context(), "profile", true); err != nil || len(w.keys()) != 2 {
		t.Errorf("profile's key: %v; at the cloud are %v", err, w.keys())
	}
	_ = w.Verify(t.Context(), "dev", true)
	if c := w.Contents(); len(ForeignKeys(c, c.Environments["dev"])) != 0 || !slices.Contains(c.Environments["dev"].KeysListed, key.Access) {
		t.Error("a key that ccad serves is called another's")
	}
	w.serves()
}

// A kill anywhere leaves no environment with a dead key.
func TestSharedKeyKilledAnywhere(t *testing.T) {
	for n, over := 1, false; !over; n += 2 {
		w := newWorld(t)
		w.alone("profile", w.dev())
		w.die(n)
		over = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent) == nil
		w.open()
		_ = w.Resume()
		if w.active("profile") != w.active("dev") {
			t.Errorf("killed at %d: dev has %s, and profile %s", n, w.active("dev").AccessKeyID, w.active("profile").AccessKeyID)
		}
		w.finish()
		w.clean()
		if got := w.Contents().Environments["profile"].Keys.List; len(got) != 1 || got[0].Value != w.active("dev") {
			t.Errorf("killed at %d: profile ends with %d versions", n, len(got))
		}
	}
}

// A Regenerate that is noticed for the one is for the other, too; a key that lives
// is nobody's to replace.
func TestSharedKeyRegenerated(t *testing.T) {
	for _, gone := range []bool{true, false} {
		w := newWorld(t)
		key := w.dev()
		w.alone("profile", key)
		next := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
		if gone {
			w.cloud.DeleteKey(key.Access)
		}
		if err := w.Verify(t.Context(), "dev", true); err != nil {
			t.Fatal(err)
		}
		want := key.Access
		if gone {
			want = next.Access
		}
		if dev, profile := w.active("dev").AccessKeyID, w.active("profile").AccessKeyID; dev != want || profile != want {
			t.Errorf("gone %v: dev has %s, profile %s, want %s", gone, dev, profile, want)
		}
		if err := w.Verify(t.Context(), "profile", true); err != nil {
			t.Error(err)
		}
	}
}

// east stores dev's user and project once more, under another name of the same
// Keystone: to ccad it is another user.
func (w *world) east() {
	w.Helper()
	o := w.offer("dev")
	o.Name, o.Password = "deveast", secretOf(w.cloud.Password(w.cloud.User.Name))
	auth, err := account.ParseEndpoint(strings.Replace(w.cloud.AuthURL, "127.0.0.1", "localhost", 1), false)
	if err != nil || auth.SameOrigin(o.User.Auth) {
		w.Fatalf("another name of %s: %s, %v", w.cloud.AuthURL, auth.URL, err)
	}
	o.User.Auth = auth
	if _, err := w.Adopt(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// twin stores dev's user and project twice, once by the project's name and once
// by its id, which nobody knows to be the same until the cloud is asked.
func (w *world) twin() {
	w.Helper()
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	for _, name := range []string{"dev", "deveast"} {
		o := w.offer("dev")
		o.Name, o.NoVerify, o.Password = name, true, secretOf(w.cloud.User.Password)
		if name != "dev" {
			o.Environment.Project, o.Environment.ProjectID = "", w.cloud.User.Projects["dev-ccontini"]
		}
		if _, err := w.Adopt(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
	for _, name := range []string{"dev", "deveast"} {
		if err := w.Verify(w.Context(), name, true); err != nil {
			w.Fatal(err)
		}
	}
}

// hands out an environment's key as credential-process does.
func (w *world) handOut(name string, until time.Time) {
	e := w.Contents().Environments[name]
	v, _ := e.Keys.Active()
	w.ledger.Add(Lease{Environment: e.ID, View: "credential-process", Held: Held{Keys: v.N}, Until: until})
}

// A key that two environments serve which both have a user: who holds it as either
// keeps it alive, both get the next one, and it is rotated once for both.
func TestSharedKeyOfTwoUsers(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"two names of one Keystone": func(w *world) { w.dev(); w.east() },
		"one project twice":         (*world).twin,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			was := w.Contents().Environments["deveast"]
			if w.active("deveast") != w.active("dev") {
				t.Fatal("they share no key")
			}
			w.handOut("deveast", epoch.Add(80*time.Minute))
			c := w.Contents()
			if got := Followers(c, c.Environments["dev"]); !slices.Equal(got, []string{"deveast"}) || Leader(c, "deveast") != "dev" || Leader(c, "dev") != "dev" {
				t.Errorf("dev is followed by %v, and deveast follows %s", got, Leader(c, "deveast"))
			}
			if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
				t.Fatal(err)
			}
			is := w.Contents().Environments["deveast"]
			if w.active("deveast") != w.active("dev") || is.Generation <= was.Generation || KeyState(is) != "ok" {
				t.Fatalf("after the flip dev has %s, and deveast %s, %s", w.active("dev").AccessKeyID, w.active("deveast").AccessKeyID, KeyState(is))
			}
			for _, at := range []struct {
				step time.Duration
				keys int
			}{{79 * time.Minute, 2}, {2 * time.Minute, 1}} {
				if err := w.Verify(t.Context(), "deveast", true); err != nil {
					t.Error(err)
				}
				if c := w.Contents(); len(ForeignKeys(c, c.Environments["deveast"])) != 0 {
					t.Error("a key that dev's rotation deletes is called another's")
				}
				w.clock.step(at.step)
				w.GoOn(t.Context())
				if n := len(w.keys()); n != at.keys {
					t.Errorf("%d keys, want %d", n, at.keys)
				}
			}
			w.clean()
			if list := w.Contents().Environments["deveast"].Keys.List; len(list) != 1 || list[0].Value != w.active("dev") {
				t.Errorf("deveast ends with %d versions", len(list))
			}
		})
	}
}

// Both begin at once: one of them serves, and nothing of the other is left.
func TestSharedKeyOfTwoUsersAtOnce(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.east()
	for _, name := range []string{"dev", "deveast"} {
		if _, err := w.beginKey(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		w.GoOn(t.Context())
		w.clock.step(time.Hour)
	}
	w.clean()
	if e := w.Contents().Environments["deveast"]; e.KeyRotation != nil || len(e.Keys.List) != 1 || w.active("deveast") != w.active("dev") {
		t.Errorf("deveast: journal %+v, %d versions", e.KeyRotation, len(e.Keys.List))
	}
}

// replaces puts a key in force, as the rotation of an environment that shares it does.
func (w *world) replaces(key account.KeyPair, names ...string) error {
	return w.vault.Change(func(c *vault.Contents) error {
		for _, name := range names {
			e := c.Environments[name]
			keys, v := e.Keys.Stage(key, "rotation", epoch)
			v.Accepted = true
			e.Keys = keys.With(v).Activate(v.ID)
			c.Environments[name] = e
		}
		return nil
	})
}

// What Keystone listed before a key was replaced by way of another environment
// says nothing of the one that serves now.
func TestSharedKeyListedBefore(t *testing.T) {
	w := newWorld(t)
	w.dev()
	next := pair("next", "1")
	w.cloud.Fail(practice.Fault{Route: "GET /v3/users/{user}/credentials/OS-EC2", Times: 1, Begun: func() {
		if err := w.replaces(next, "dev"); err != nil {
			t.Error(err)
		}
	}})
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Log(err)
	}
	if w.active("dev") != next {
		t.Errorf("dev serves %s again", w.active("dev").AccessKeyID)
	}
}
