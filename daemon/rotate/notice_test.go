package rotate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// found is what a watched file says of dev.
func (w *world) found(password string) (bool, error) {
	return w.Notice(w.Context(), Notice{Environment: "dev", Password: secretOf(password), By: ByFile})
}

func (w *world) foundKey(access, secret string) (bool, error) {
	return w.Notice(w.Context(), Notice{Environment: "dev", Keys: &account.KeyPair{AccessKeyID: access, Secret: secretOf(secret)}, By: ByFile})
}

func (w *world) password() string {
	v, _ := w.user().Passwords.Active()
	return v.Value.Reveal()
}

func (w *world) refusals() int {
	_, refused := w.cloud.Passwords(w.cloud.User.Name)
	return refused
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, target)
	}
}

func wantRefused(t testing.TB, err error) {
	t.Helper()
	if no := (*RefusedError)(nil); !errors.As(err, &no) {
		t.Errorf("error %v, want a refusal", err)
	}
}

// TestNoticeLocksNobodyOut: with the smallest lockout there is, whatever is found
// and whenever it is probed, at most two logins fail unattended, and the right
// password is then accepted from a person.
func TestNoticeLocksNobodyOut(t *testing.T) {
	probe := func(w *world) { _ = w.Verify(w.Context(), "dev", false) }
	file := func(password string) func(*world) {
		return func(w *world) { _, _ = w.found(password) }
	}
	for name, acts := range map[string][]func(*world){
		"probe, two files":         {probe, file("wrong-1"), file("wrong-2"), probe},
		"two files, probe":         {file("wrong-1"), file("wrong-2"), probe, file("wrong-3")},
		"file, probe, file":        {file("wrong-1"), probe, file("wrong-2"), probe},
		"many files":               {file("wrong-1"), file("wrong-2"), file("wrong-3"), file("wrong-4")},
		"a restart in between":     {probe, (*world).open, file("wrong-1"), (*world).open, file("wrong-2"), probe},
		"a token and an S3 key":    {file("wrong-1"), func(w *world) { _, _, _ = w.Token(w.Context(), "dev") }, file("wrong-2"), func(w *world) { _ = w.KeyRejected(w.Context(), "dev") }},
		"a key that needs a login": {file("wrong-1"), func(w *world) { _, _ = w.foundKey("ak", "sk") }, file("wrong-2")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3, LockoutDuration: 30 * time.Minute})
			w.cloud.SetPassword(w.cloud.User.Name, "right")
			for _, act := range acts {
				act(w)
				w.clock.step(time.Minute)
			}
			if n := w.refusals(); n != 2 {
				t.Errorf("%d logins failed", n)
			}
			if _, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf("right"), false); err != nil {
				t.Errorf("the right password of a person: %v", err)
			}
		})
	}
}

// TestNoticeRightAfterOneWrong: a typo that is corrected is adopted, found before
// the refusal of what is in force or after it.
func TestNoticeRightAfterOneWrong(t *testing.T) {
	for _, probed := range []bool{false, true} {
		w := newWorld(t)
		w.dev()
		w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3, LockoutDuration: 30 * time.Minute})
		w.cloud.SetPassword(w.cloud.User.Name, "right")
		if _, err := w.found("wrong"); err == nil {
			t.Error("a wrong password was adopted")
		}
		if probed {
			wantRefused(t, w.Verify(w.Context(), "dev", false))
			_, err := w.found("right")
			wantIs(t, err, ErrWithheld)
			wantRefused(t, w.Verify(w.Context(), "dev", true)) // a person, who sends nothing anew
		}
		if changed, err := w.found("right"); !changed || err != nil {
			t.Errorf("probed %v: %v, %v", probed, changed, err)
		}
		if w.password() != "right" || w.user().Failures != 0 {
			t.Errorf("probed %v: %q is in force, %d failures", probed, w.password(), w.user().Failures)
		}
		// The next Regenerate finds the budget whole.
		w.cloud.SetPassword(w.cloud.User.Name, "next")
		if changed, err := w.found("next"); !changed || err != nil {
			t.Errorf("the next: %v, %v", changed, err)
		}
	}
}

// TestTokenShowsThatNothingChanged: two wrong candidates do not stop the password
// in force while a token of it lives; after a restart, without one, they do.
func TestTokenShowsThatNothingChanged(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		w := newWorld(t)
		w.dev()
		_, _ = w.found("wrong-1")
		_, _ = w.found("wrong-2")
		if restarted {
			w.open()
			wantIs(t, w.Verify(w.Context(), "dev", false), ErrWithheld)
		} else if err := w.Verify(w.Context(), "dev", false); err != nil || w.user().Failures != 0 {
			t.Errorf("%v, %d failures", err, w.user().Failures)
		}
		if n := w.refusals(); n != 2 {
			t.Errorf("%d logins failed", n)
		}
		if err := w.Verify(w.Context(), "dev", true); err != nil {
			t.Error(err)
		}
	}
}

// TestNoticeNobodyAsked: nothing is sent for a user whom a person stored with
// --no-verify, whatever is found.
func TestNoticeNobodyAsked(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if _, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf("as-given"), true); err != nil {
		t.Fatal(err)
	}
	w.cloud.ResetCounts()
	_, err := w.found("other")
	wantIs(t, err, ErrWithheld)
	_, err = w.foundKey("ak", "sk")
	wantIs(t, err, ErrWithheld)
	if counts := w.cloud.Counts(); len(counts) != 0 {
		t.Errorf("asked: %v", counts)
	}
}

// TestNoticeIsTheSame: an accepted password of another user of that name, or of
// one who has no role on the project any more, is not adopted.
func TestNoticeIsTheSame(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"another user": func(w *world) {
			w.cloud.DeleteUser(w.cloud.User.Name)
			w.cloud.AddUser(w.cloud.User.Name, "theirs")
			w.cloud.JoinProject(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"]) // the very project
		},
		"another project": func(w *world) {
			w.cloud.SetPassword(w.cloud.User.Name, "theirs")
			w.cloud.LeaveProject(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			change(w)
			changed, err := w.found("theirs")
			if changed || err == nil || w.password() != "hunter2" {
				t.Errorf("%v, %v, %q in force", changed, err, w.password())
			}
			if u := w.user(); len(u.Passwords.List) != 1 {
				t.Errorf("%d passwords are stored", len(u.Passwords.List))
			}
		})
	}
	w := newWorld(t) // nobody says which project it is: that waits
	w.dev()
	w.cloud.SetPassword(w.cloud.User.Name, "theirs")
	w.clock.step(2 * time.Second)
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Skip: 1, Times: 1, Status: 503})
	_, err := w.found("theirs")
	wantIs(t, err, cloud.ErrUnreachable)
	if w.password() != "hunter2" {
		t.Error("adopted before the project was known")
	}
	if changed, err := w.found("theirs"); !changed || err != nil {
		t.Error(changed, err)
	}
}

// TestCloudDownForAnHour: a password that is found while nobody answers is
// adopted at the first look after that, though each look tried.
func TestCloudDownForAnHour(t *testing.T) {
	for name, down := range map[string]practice.Fault{
		"503": {Status: 503}, "hanging": {Break: practice.Hang}, "closed": {Break: practice.Cut},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.Keeper.cloud = cloud.New(cloud.Options{Now: w.clock.Now, Timeout: 50 * time.Millisecond})
			w.cloud.Reset(w.cloud.User.Name, "second")
			w.cloud.Fail(down)
			for range 12 {
				_, err := w.found("second")
				wantIs(t, err, cloud.ErrUnreachable)
				w.clock.step(5 * time.Minute)
			}
			w.cloud.Heal()
			w.Keeper.cloud = cloud.New(cloud.Options{Now: w.clock.Now})
			if changed, err := w.found("second"); !changed || err != nil {
				t.Errorf("%v, %v", changed, err)
			}
			w.serves()
		})
	}
}

// TestHealingIsOwed: where Keystone does not tell of the keys after a new
// password, the environments are unverified, and the checks that are owed mend
// them without anybody.
func TestHealingIsOwed(t *testing.T) {
	for name, adopt := range map[string]func(w *world) error{
		"a file": func(w *world) error { _, err := w.found("second"); return err },
		"a person": func(w *world) error {
			_, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf("second"), false)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.adopt("system", "system-ccontini")
			w.cloud.Reset(w.cloud.User.Name, "second")
			w.cloud.Fail(practice.Fault{Route: "GET /v3/users/*", Status: 503})
			if err := adopt(w); err != nil || w.password() != "second" {
				t.Fatal(err, w.password())
			}
			w.open() // owed over a restart, too
			for _, name := range []string{"dev", "system"} {
				e, _, _ := w.Environment(name)
				if KeyState(e) != StateUnverified || !Awaits(w.Contents(), e, w.clock.Now()) {
					t.Errorf("%s: the keys are %s, owed %v", name, KeyState(e), Awaits(w.Contents(), e, w.clock.Now()))
				}
			}
			w.cloud.Heal()
			w.clock.step(time.Minute)
			names, _ := Owed(w.Contents(), nil, w.clock.Now())
			for _, name := range names {
				if err := w.Verify(w.Context(), name, false); err != nil {
					t.Error(err)
				}
			}
			if left, next := Owed(w.Contents(), nil, w.clock.Now()); len(names) != 2 || len(left) != 0 || !next.IsZero() {
				t.Errorf("owed %v, then %v", names, left)
			}
			w.serves()
			w.cloud.ResetCounts()
			if asked, err := w.VerifyOwed(w.Context(), "dev"); asked || err != nil || len(w.cloud.Counts()) != 0 {
				t.Errorf("nothing is owed: %v, %v, %v", asked, err, w.cloud.Counts())
			}
		})
	}
}

// TestHealingInTheSameSecond: a password that is adopted in the very second of
// its reset costs one login more, not one for each environment.
func TestHealingInTheSameSecond(t *testing.T) {
	w := newWorld(t)
	projects := []string{"dev-ten"}
	for i := range 9 {
		projects = append(projects, fmt.Sprint("more-", i))
	}
	w.cloud.User = w.cloud.AddUser("ten", "hunter2", projects...)
	w.adopt("dev", projects[0])
	for _, project := range projects[1:] {
		w.adopt(project, project)
	}
	before, _ := w.cloud.Passwords(w.cloud.User.Name)
	w.cloud.Reset(w.cloud.User.Name, "second")
	if changed, err := w.found("second"); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if after, _ := w.cloud.Passwords(w.cloud.User.Name); after-before != 2 {
		t.Errorf("%d logins", after-before)
	}
	living := map[string]bool{}
	for _, key := range w.cloud.Keys(w.cloud.User.Name) {
		living[key.Access] = true
	}
	for name, e := range w.Contents().Environments {
		if !living[active(e.Keys).AccessKeyID] || KeyState(e) != StateOK {
			t.Errorf("%s serves a dead key, %s", name, KeyState(e))
		}
	}
}

// TestNoticeKeys: a pair is adopted if Keystone lists it for this user and
// project, and not if it only works.
func TestNoticeKeys(t *testing.T) {
	w := newWorld(t)
	first := w.dev()
	mine := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	if changed, err := w.foundKey(mine.Access, mine.Secret); !changed || err != nil {
		t.Fatal(changed, err)
	}
	w.serves()
	if changed, err := w.foundKey(mine.Access, mine.Secret); changed || err != nil {
		t.Errorf("once more: %v, %v", changed, err)
	}
	if _, err := w.foundKey(first.Access, first.Secret); !errors.Is(err, ErrOlder) {
		t.Errorf("the former: %v", err)
	}
	w.cloud.AddUser("mallory", "m", "hers")
	hers := w.cloud.CreateKey("mallory", w.cloud.User.Projects["dev-ccontini"])
	other := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["system-ccontini"])
	for _, key := range []practice.Key{hers, other, {Access: mine.Access, Secret: "wrong"}} {
		_, err := w.foundKey(key.Access, key.Secret)
		wantRefused(t, err)
	}
	if w.active("dev").AccessKeyID != mine.Access {
		t.Error("a key that is not this user's and project's was adopted")
	}

	// The key is found before the password that it came with.
	third := w.cloud.Reset(w.cloud.User.Name, "second")
	for _, key := range third {
		if key.ProjectID != w.cloud.User.Projects["dev-ccontini"] {
			continue
		}
		_, err := w.foundKey(key.Access, key.Secret)
		wantIs(t, err, ErrWaits)
		if changed, err := w.found("second"); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if changed, err := w.foundKey(key.Access, key.Secret); changed || err != nil {
			t.Errorf("healed already: %v, %v", changed, err)
		}
	}
	w.serves()
}

// TestNoticeKeysAlone: without a user it is the owner of the buckets who must be
// the same.
func TestNoticeKeysAlone(t *testing.T) {
	w := newWorld(t)
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	second := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	if err := w.takeKey("dev", key, true); err != nil {
		t.Fatal(err)
	}
	_, err := w.foundKey(second.Access, second.Secret)
	wantIs(t, err, ErrWithheld)
	if err := w.takeKey("dev", key, false); err != nil {
		t.Fatal(err)
	}
	if changed, err := w.foundKey(second.Access, second.Secret); !changed || err != nil {
		t.Fatal(changed, err)
	}
	stranger := w.cloud.AddUser("mallory", "m", "hers")
	hers := w.cloud.CreateKey("mallory", stranger.Projects["hers"])
	for _, key := range []practice.Key{hers, {Access: "nobody's", Secret: "x"}} {
		_, err := w.foundKey(key.Access, key.Secret)
		wantRefused(t, err)
	}
	if _, err := w.foundKey(key.Access, key.Secret); !errors.Is(err, ErrOlder) {
		t.Errorf("a backup: %v", err)
	}
	w.serves()
	// What replaced it dies: then the backup is as good as any.
	w.cloud.DeleteKey(second.Access)
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	if changed, err := w.foundKey(key.Access, key.Secret); !changed || err != nil {
		t.Error(changed, err)
	}
	w.serves()
}

// takeKey has a person import an environment of S3 keys alone.
func (w *world) takeKey(name string, key practice.Key, noVerify bool) error {
	w.Helper()
	s3, err := account.ParseEndpoint(w.cloud.S3URL, false)
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.Adopt(w.Context(), Offer{
		Name: name, Named: true, By: "import", NoVerify: noVerify, Keys: &account.KeyPair{AccessKeyID: key.Access, Secret: secretOf(key.Secret)},
		Environment: account.Environment{S3: account.S3{Endpoint: s3, Region: practice.Region}},
	})
	return err
}

// TestRefusedKeyIsSentOnce: a pair that S3 refuses, or that is another owner's, is
// not sent again from a file, over restarts neither, until a person hands it in. What
// was in force when it was refused is not sent again either.
func TestRefusedKeyIsSentOnce(t *testing.T) {
	w := newWorld(t)
	project := w.cloud.User.Projects["dev-ccontini"]
	first := w.cloud.CreateKey(w.cloud.User.Name, project)
	if err := w.takeKey("dev", first, false); err != nil {
		t.Fatal(err)
	}
	stranger := w.cloud.AddUser("mallory", "m", "hers")
	hers := w.cloud.CreateKey("mallory", stranger.Projects["hers"])
	early := w.cloud.CreateKey(w.cloud.User.Name, project)
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Times: 1, Status: 403, Body: "<Error><Code>AccessDenied</Code></Error>"})
	sent := func(key practice.Key) (n int) {
		w.cloud.ResetCounts()
		_, err := w.foundKey(key.Access, key.Secret)
		wantRefused(t, err)
		return w.cloud.Count("*")
	}
	for _, key := range []practice.Key{early, hers} {
		if n := sent(key); n != 1 {
			t.Errorf("sent %d times at first", n)
		}
		for range 3 {
			w.open()
			w.clock.step(24 * time.Hour)
			if n := sent(key); n != 0 {
				t.Errorf("sent %d times more", n)
			}
		}
	}
	if err := w.takeKey("other", hers, false); err != nil { // whose owner is another
		t.Error(err)
	}
	if err := w.takeKey("dev", early, false); err != nil || w.active("dev").AccessKeyID != early.Access {
		t.Errorf("a person hands it in: %v", err)
	}
	w.cloud.DeleteKey(early.Access)
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	if changed, err := w.foundKey(first.Access, first.Secret); !changed || err != nil {
		t.Error(changed, err)
	}
	w.cloud.DeleteKey(first.Access)
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	if n := sent(early); n != 0 {
		t.Errorf("what was refused in force was sent %d times more", n)
	}
}

// TestNoticeCredential: a new application credential of the same user and
// project is adopted; another project's, and one that was refused, is not, and
// the latter is sent once.
func TestNoticeCredential(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.adopt("system", "system-ccontini")
	found := func(ac account.ApplicationCredential) (bool, error) {
		return w.Notice(w.Context(), Notice{Environment: "dev", AppCred: &ac, By: ByFile})
	}
	made := func(name string) account.ApplicationCredential {
		t.Helper()
		ac, err := w.ApplicationCredential(w.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return ac
	}
	first, foreign := made("dev"), made("system")
	if changed, err := found(first); changed || err != nil {
		t.Errorf("the one in force: %v, %v", changed, err)
	}
	_, err := found(foreign)
	wantIs(t, err, ErrConflict)
	wrong := account.ApplicationCredential{ID: first.ID, Secret: secretOf("wrong")}
	w.cloud.ResetCounts()
	for range 3 {
		_, err = found(wrong)
		wantRefused(t, err)
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 1 {
		t.Errorf("a refused credential was sent %d times", n)
	}
	e, u, _ := w.Environment("dev")
	g, err := w.scopedLocked(w.Context(), u, e)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Keeper.cloud.CreateApplicationCredential(w.Context(), u.User, g, account.ApplicationCredential{Name: "second", Secret: secretOf("s2")}, cloud.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := found(second); !changed || err != nil || active(w.Contents().Environments["dev"].AppCreds).ID != second.ID {
		t.Error(changed, err)
	}
	_, err = found(first)
	wantIs(t, err, ErrOlder)
	// Deleted at the cloud, it is refused, and not asked about again from a file.
	if err := w.Keeper.refuseCredential(w.Contents().Environments["dev"], mustActive(w.Contents().Environments["dev"].AppCreds)); err == nil {
		t.Fatal("not refused")
	}
	w.cloud.ResetCounts()
	_, err = found(second)
	wantRefused(t, err)
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 0 {
		t.Errorf("it was sent %d times more", n)
	}
}

func mustActive[T vault.Value](vs vault.Versions[T]) vault.Version[T] {
	v, _ := vs.Active()
	return v
}
