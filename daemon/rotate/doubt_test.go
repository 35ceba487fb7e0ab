package rotate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// This file has what goes wrong between the change of a password and its answer.

const tokenRoute = "POST /v3/auth/tokens"

func (w *world) name() string { return w.cloud.User.Name }

// rotated changes the password and lets time pass until nothing is under way.
func (w *world) rotatePassword() error {
	return w.RotatePassword(w.Context(), w.user().ID, silent)
}

// elsewhere takes the data folder away, as a disk that is full or gone.
func (w *world) away() {
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		w.Error(err)
	}
}

func (w *world) back() {
	if err := os.Rename(w.dir+".away", w.dir); err != nil {
		w.Error(err)
	}
}

// The store can't be written for a moment, just while the change is made.
func TestPasswordStoreFailsWhileChanged(t *testing.T) {
	for _, done := range []bool{true, false} {
		w := newWorld(t)
		w.both()
		w.cloud.Fail(practice.Fault{Route: changeRoute, Times: 1, Begun: w.away, Break: practice.Cut, AfterWork: done})
		w.fault = func(point string) error {
			if point == "change: sent" {
				defer w.back()
			}
			return nil
		}
		_ = w.rotatePassword()
		w.known()
		w.settleDown()
		w.works(0)
	}
}

// A disk that is full lets nothing be asked of the cloud, and loses nothing that
// was.
func TestPasswordStoreUnwritable(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.away()
	if err := w.rotatePassword(); err == nil {
		t.Error("rotated without a journal")
	}
	if n := w.cloud.Count(changeRoute); n != 0 {
		t.Errorf("%d changes without a journal", n)
	}
	w.back()
	for _, point := range []string{"change: begun", "change: sent", "find: asked", "login: sent", "prove: asked", "flip: asked", "heal: asked"} {
		w := newWorld(t)
		w.both()
		full := false
		w.fault = func(at string) error {
			if at == point && !full {
				full = true
				w.away()
			}
			return nil
		}
		if err := w.rotatePassword(); err == nil {
			t.Errorf("%s: the disk was not missed", point)
		}
		if !full {
			t.Fatalf("%s: not reached", point)
		}
		w.back()
		w.known()
		w.settleDown()
		w.works(0)
	}
}

// A disk that is full from the change on takes what comes of it, for that much
// was reserved; where nothing can be reserved nothing is asked for.
func TestRotationsOnAFullDisk(t *testing.T) {
	for _, what := range []string{"password", "key", "credential"} {
		w := newWorld(t)
		w.both()
		if _, err := w.ApplicationCredential(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		rotate := map[string]func() error{
			"password":   w.rotatePassword,
			"key":        func() error { return w.atOnce(KindKey) },
			"credential": func() error { return w.atOnce(KindAppCred) },
		}[what]
		reserve := filepath.Join(w.dir, "reserve")
		full := func(step string) error {
			if _, err := os.Stat(reserve); step == "write" && err == nil {
				return syscall.ENOSPC
			}
			return nil
		}
		w.fault = func(point string) error {
			if point == "change: recorded" || point == "create: begun" {
				if _, err := os.Stat(reserve); err != nil {
					t.Errorf("%s: nothing is reserved at %s: %v", what, point, err)
				}
				w.vault.Fault(full)
			}
			return nil
		}
		if err := rotate(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(reserve); err == nil {
			t.Errorf("%s: the disk was not full", what)
		}
		w.works(0)
		w.fault = nil
		w.vault.Fault(func(step string) error {
			if step == "write" {
				return syscall.ENOSPC
			}
			return nil
		})
		w.cloud.ResetCounts()
		if err := rotate(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: on a full disk: %v", what, err)
		}
		if n := w.cloud.Count(changeRoute) + w.cloud.Count(createRoute) + w.cloud.Count("POST "+credentialRoute); n != 0 {
			t.Errorf("%s: %d changes were asked for", what, n)
		}
	}
}

// The request arrives when everybody has stopped waiting for it: the new password
// is in force, and nobody has it but ccad.
func TestPasswordLateChange(t *testing.T) {
	for name, c := range map[string]struct {
		restart bool
		failed  int
	}{
		"while it waits":  {false, 1},
		"after a restart": {true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
			if err := w.rotatePassword(); !errors.Is(err, ErrWithdrawn) {
				t.Fatalf("it says %v", err)
			}
			if u := w.user(); u.Refused != nil || UserState(w.Contents(), u, w.clock.Now()) != StateOK {
				t.Errorf("the old one is in force, and the user is %s", UserState(w.Contents(), u, w.clock.Now()))
			}
			w.works2()
			if w.cloud.Deliver() != 1 {
				t.Fatal("no request was kept aside")
			}
			w.known()
			w.clock.step(2 * time.Hour)
			if c.restart {
				w.open()
			}
			_ = w.Verify(t.Context(), "dev", false) // a probe notices
			w.settleDown()
			w.works(c.failed)
			w.sentWrong(1)
		})
	}
}

// works2 checks that both environments get tokens.
func (w *world) works2() {
	w.Helper()
	for _, name := range []string{"dev", "sys"} {
		if _, _, err := w.Token(w.Context(), name); err != nil {
			w.Errorf("no token for %s: %v", name, err)
		}
	}
}

// Nobody uses the password for a day, in which the request arrives: the old one
// is not given up, nor the new one, before the cloud was asked once more.
func TestPasswordLateChangeUnnoticed(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
	_ = w.rotatePassword()
	w.cloud.Deliver()
	w.open()
	w.clock.step(7 * 24 * time.Hour)
	w.settleDown()
	w.works(1)
	w.sentWrong(1)
}

// Somebody asks once more while the first request is still under way: it is the
// same new password, whichever arrives first.
func TestPasswordAskedOnceMore(t *testing.T) {
	for _, first := range []bool{true, false} {
		w := newWorld(t)
		w.both()
		w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
		_ = w.rotatePassword()
		w.clock.step(2 * time.Second)
		if first {
			w.cloud.Fail(practice.Fault{Route: changeRoute, Times: 1, Begun: func() { w.cloud.Deliver() }, Delay: time.Millisecond})
		}
		if err := w.rotatePassword(); err != nil {
			t.Errorf("it says %v", err)
		}
		w.cloud.Deliver()
		w.known()
		w.settleDown()
		w.works(1)
		w.sentWrong(1)
	}
}

// silentFrom breaks the change and all that is asked after it.
func (w *world) silentFrom(change practice.Fault) {
	change.Route, change.Times = changeRoute, 1
	change.Begun = func() { w.cloud.Fail(practice.Fault{Route: "*", Break: practice.Cut}) }
	w.cloud.Fail(change)
}

// The first request is still under way when the second one is declined.
func TestPasswordDeclinedTheSecondTime(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
	_ = w.rotatePassword()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Times: 1, Status: 400, Body: `{"error":{"code":400,"title":"Bad Request","message":"The password does not match the requirements: x."}}`})
	if err := w.rotatePassword(); !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), "requirements") {
		t.Errorf("it says %v", err)
	}
	w.cloud.Deliver()
	w.known()
	w.clock.step(time.Hour)
	_ = w.Verify(t.Context(), "dev", false)
	w.settleDown()
	w.works(1)
}

// What a person hands in while there is a doubt, and nobody could prove, is
// served; it does not make ccad forget what the cloud may hold.
func TestPasswordUnprovedInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		fault    practice.Fault
		given    string
		noVerify bool
		right    string // "": the one that ccad made
	}{
		"done, a typing error":     {practice.Fault{Break: practice.Cut, AfterWork: true}, "typo", false, ""},
		"done, --no-verify":        {practice.Fault{Break: practice.Cut, AfterWork: true}, "typo", true, ""},
		"not done, a typing error": {practice.Fault{Break: practice.Cut}, "typo", false, "hunter2"},
		"not done, --no-verify":    {practice.Fault{Break: practice.Cut}, "typo", true, "hunter2"},
		"done, the former one":     {practice.Fault{Break: practice.Cut, AfterWork: true}, "hunter2", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			w.silentFrom(c.fault)
			_ = w.rotatePassword()
			if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf(c.given), c.noVerify); err != nil {
				t.Fatal(err)
			}
			if active, _ := w.user().Passwords.Active(); active.Value.Reveal() != c.given {
				t.Errorf("a person's password is not served")
			}
			w.known()
			w.cloud.Heal()
			w.clock.step(time.Hour)
			w.settleDown()
			w.known()
			w.works(1)
			if active, _ := w.user().Passwords.Active(); c.right != "" && active.Value.Reveal() != c.right {
				t.Error("not the one that the cloud accepts")
			}
		})
	}
}

// All three are wrong, since an administrator has set a fourth.
func TestPasswordUnprovedAndAllWrong(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.silentFrom(practice.Fault{Break: practice.Cut, AfterWork: true})
	_ = w.rotatePassword()
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("typo"), true); err != nil {
		t.Fatal(err)
	}
	w.cloud.Heal()
	w.cloud.SetPassword(w.name(), "fourth")
	for range 4 {
		w.clock.step(30 * time.Minute)
		w.GoOn(t.Context())
		_ = w.Verify(t.Context(), "dev", false)
		w.open()
	}
	w.sentWrong(1)
	if w.cloud.Wrong(w.name())["typo"] != 0 {
		t.Error("what was given with --no-verify was sent without a person")
	}
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("fourth"), false); err != nil {
		t.Fatal(err)
	}
	w.settleDown()
	active, _ := w.user().Passwords.Active()
	if u := w.user(); active.Value.Reveal() != "fourth" || UserState(w.Contents(), u, w.clock.Now()) != StateOK || len(u.Passwords.List) != 1 {
		t.Errorf("the user is %s with %d passwords", UserState(w.Contents(), u, w.clock.Now()), len(u.Passwords.List))
	}
	w.sentWrong(1)
}

// Nobody answers, or everybody is asked to wait: the change is not asked for
// again and again.
func TestPasswordChangePauses(t *testing.T) {
	t.Run("Retry-After", func(t *testing.T) {
		w := newWorld(t)
		w.both()
		w.cloud.Fail(practice.Limited(changeRoute, "30"))
		began := w.clock.Now()
		err := w.rotatePassword()
		if !errors.Is(err, ErrStalled) {
			t.Errorf("it says %v", err)
		}
		if n, passed := w.cloud.Count(changeRoute), w.clock.Now().Sub(began); n > patienceOfPeople || passed < time.Duration(n-1)*30*time.Second {
			t.Errorf("%d requests in %v", n, passed)
		}
		w.cloud.Heal()
		w.settleDown()
		w.works(0)
		if w.cloud.Password(w.name()) == "hunter2" {
			t.Error("it did not go on by itself")
		}
	})
	t.Run("no connection", func(t *testing.T) {
		w := newWorld(t)
		w.both()
		before := w.Contents().Sequence
		w.fault = func(point string) error {
			if point == "change: begun" {
				w.cloud.Close()
			}
			return nil
		}
		if err := w.rotatePassword(); !errors.Is(err, ErrStalled) {
			t.Errorf("it says %v", err)
		}
		if n := w.Contents().Sequence - before; n > 40 {
			t.Errorf("%d writes of the store", n)
		}
		if j := w.user().Rotation; j == nil || Step(j.Step) != StepChange || !j.Asked.IsZero() {
			t.Errorf("the journal is %+v", j)
		}
		if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("new"), true); err != nil {
			t.Fatal(err)
		}
		_, _ = w.GoOn(t.Context())
		w.clock.step(lastPause)
		_, _ = w.GoOn(t.Context())
		if u := w.user(); u.Rotation != nil {
			t.Errorf("what was never asked for waits for nothing, and the journal is %+v", u.Rotation)
		}
	})
}

// The old password is dead already: it costs one failed login, and is served to
// nobody from then on.
func TestPasswordDeadBefore(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.SetPassword(w.name(), "elsewhere")
	var no *RefusedError
	if err := w.rotatePassword(); !errors.As(err, &no) {
		t.Errorf("it says %v", err)
	}
	if MayServePassword(w.user()) == nil || w.user().Rotation != nil {
		t.Errorf("the dead password is served; journal %+v", w.user().Rotation)
	}
	if _, refused := w.cloud.Passwords(w.name()); refused != 1 {
		t.Errorf("%d failed logins", refused)
	}
}

// An account is locked while an older token answers: so it is called.
func TestPasswordLockedOut(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 1, LockoutDuration: time.Minute})
	w.locks()
	err := w.rotatePassword()
	if !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), "locked out") {
		t.Errorf("it says %v", err)
	}
	if state := UserState(w.Contents(), w.user(), w.clock.Now()); state != StateLockedOut {
		t.Errorf("the user is %s", state)
	}
	w.clock.step(2 * time.Minute)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	w.settleDown()
	w.works(2) // somebody else's, and ours while it was locked
}

// locks has somebody else send a wrong password.
func (w *world) locks() {
	_, err := w.Keeper.cloud.Password(w.Context(), w.user().User, secretOf("bad"), account.Environment{})
	if err == nil {
		w.Error("a wrong password was accepted")
	}
}

// A password that has to be changed first is right: it is taken, served to nobody,
// and mended by its change.
func TestMustChangeHandedIn(t *testing.T) {
	for _, noVerify := range []bool{false, true} {
		w := newWorld(t)
		w.both()
		w.cloud.SetPolicy(practice.Policy{ChangeAtFirstUse: true})
		w.cloud.SetPassword(w.name(), "fromtheportal")
		w.clock.step(2 * time.Second)
		notes, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("fromtheportal"), false)
		if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "rotate --user") {
			t.Fatalf("%v, %v", notes, err)
		}
		if noVerify { // once more
			if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("fromtheportal"), true); err != nil {
				t.Fatal(err)
			}
		}
		if u := w.user(); MayServePassword(u) == nil || !u.Refused.Expired {
			t.Errorf("it is served: %+v", u.Refused)
		}
		if err := w.rotatePassword(); err != nil {
			t.Fatal(err)
		}
		w.works(2) // the update, and the proof of the change, which practice counts too
		w.sentWrong(0)
	}
}

// The change of an expired password has no answer: Keystone says of the old one
// that it is right, as often as it is asked.
func TestExpiredPasswordLostAnswer(t *testing.T) {
	for _, done := range []bool{true, false} {
		w := newWorld(t)
		w.both()
		w.cloud.ExpirePassword(w.name())
		w.clock.step(time.Second)
		w.open()
		_ = w.Verify(t.Context(), "dev", false)
		w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: done, Times: 1})
		if err := w.rotatePassword(); (err == nil) != done {
			t.Errorf("done %v, and it says %v", done, err)
		}
		w.known()
		if !done {
			if u := w.user(); u.Refused == nil || !u.Refused.Expired {
				t.Errorf("the user is %+v", u.Refused)
			}
			if err := w.rotatePassword(); err != nil {
				t.Fatal(err)
			}
		}
		w.settleDown()
		w.works(9) // of a right one, which Keystone counts not
		w.sentWrong(1)
	}
}

// What is refused by a policy, or for ever, is told and ends it.
func TestPasswordDeclined(t *testing.T) {
	for name, c := range map[string]struct{ body, words string }{
		"history":       {`{"error":{"code":400,"title":"Bad Request","message":"The new password cannot be identical to a previous password. The total number which includes the new password must be unique is 3."}}`, "used before"},
		"lock_password": {`{"error":{"code":400,"title":"Bad Request","message":"password policy disallowing password changes"}}`, "may not change"},
	} {
		w := newWorld(t)
		w.both()
		w.cloud.Fail(practice.Fault{Route: changeRoute, Status: 400, Body: c.body, Times: 1})
		if err := w.rotatePassword(); !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: it says %v", name, err)
		}
		w.works(0)
	}
}

// Two commands at once make one change.
func TestTwoPasswordRotatesAtOnce(t *testing.T) {
	for range 5 {
		w := newWorld(t)
		w.both()
		var asked sync.WaitGroup
		asked.Add(3)
		w.cloud.Fail(practice.Fault{Route: changeRoute, Times: 1, Delay: 500 * time.Millisecond, Begun: asked.Wait}) // for who is late to join
		ended := make(chan error, 3)
		for range 3 {
			go func() { asked.Done(); ended <- w.RotatePassword(context.Background(), w.user().ID, silent) }()
		}
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if n := w.cloud.Count(changeRoute); n != 1 {
			t.Errorf("%d changes", n)
		}
		w.works(0)
	}
}

// The password in force was never accepted, and is wrong: that is said, and
// nothing is asked for.
func TestPasswordUnacceptedIsTriedFirst(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("wrong"), false); err != nil {
		t.Fatal(err)
	}
	w.cloud.Heal()
	var no *RefusedError
	if err := w.rotatePassword(); !errors.As(err, &no) {
		t.Errorf("it says %v", err)
	}
	if n := w.cloud.Count(changeRoute); n != 0 {
		t.Errorf("%d changes", n)
	}
	w.works(1)
}

// The last environment of a user is not removed with a password that only ccad
// knows.
func TestRemoveInDoubt(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.silentFrom(practice.Fault{Break: practice.Cut, AfterWork: true})
	_ = w.rotatePassword()
	if err := w.Remove("dev", false); !errors.Is(err, ErrConflict) {
		t.Fatalf("removed: %v", err)
	}
	w.known()
	w.clock.step(lingers + time.Second) // and a person's word counts in the end
	if err := w.Remove("dev", false); err != nil {
		t.Fatal(err)
	}
}

// Nor is it with one that only ccad has, unless a person says so.
func TestRemoveOnlyCopy(t *testing.T) {
	w := newWorld(t)
	w.both()
	if err := w.rotatePassword(); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove("sys", false); err != nil {
		t.Fatalf("dev has it still: %v", err)
	}
	if err := w.Remove("dev", false); !errors.Is(err, ErrOnlyCopy) {
		t.Fatalf("removed: %v", err)
	}
	if err := w.Remove("dev", true); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Contents().Users); n != 0 {
		t.Errorf("%d users are left", n)
	}
}

// While it is not known which password is in force, none is handed out, and
// nobody but the rotation sends any.
func TestCertain(t *testing.T) {
	w := newWorld(t)
	w.both()
	if err := w.Certain(t.Context(), w.user().ID); err != nil {
		t.Fatal(err)
	}
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 503})
	_ = w.rotatePassword()
	if err := w.Certain(t.Context(), w.user().ID); !errors.Is(err, ErrInDoubt) {
		t.Errorf("it is certain: %v", err)
	}
	sent := w.cloud.Count(tokenRoute)
	for _, name := range []string{"dev", "sys"} {
		if _, _, err := w.Token(t.Context(), name); err == nil {
			t.Error("a token that died with the former password is handed out")
		}
		_ = w.Verify(t.Context(), name, false)
	}
	if n := w.cloud.Count(tokenRoute); n != sent {
		t.Errorf("%d passwords were sent meanwhile", n-sent)
	}
	w.cloud.Heal()
	if err := w.Verify(t.Context(), "dev", true); err != nil { // a person's word ends it
		t.Fatal(err)
	}
	if err := w.Certain(t.Context(), w.user().ID); err != nil {
		t.Error(err)
	}
	w.settleDown()
	w.works(0)
}

// A user who is disabled in mid-rotation: each of the two is tried once, both are
// kept, and when he is back a person's word ends it.
func TestUserDisabledInPasswordRotation(t *testing.T) {
	for _, step := range []Step{StepChange, StepFind, StepProve, StepFlip, StepHeal} {
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t)
			w.both()
			disabled := false
			w.fault = func(point string) error {
				if point == string(step)+": begun" && !disabled {
					disabled = true
					w.cloud.Enable(w.name(), false)
				}
				return nil
			}
			_ = w.rotatePassword()
			for range 5 {
				w.clock.step(30 * time.Minute)
				w.GoOn(t.Context())
				_ = w.Verify(t.Context(), "dev", false)
				w.open()
			}
			w.known()
			w.sentWrong(1)
			w.cloud.Enable(w.name(), true)
			w.clock.step(2 * time.Second)
			if err := w.Verify(t.Context(), "dev", true); err != nil {
				t.Fatal(err)
			}
			w.settleDown()
			w.works(9)
			w.known()
		})
	}
}

// Just before the new password is put in force another is reset and handed in,
// and then a typing error on top: the reset one was accepted last, so it stays.
func TestPasswordResetBeforeTheFlip(t *testing.T) {
	for _, step := range []Step{StepFind, StepProve, StepFlip} {
		w := newWorld(t)
		w.both()
		w.fault = func(point string) error {
			if point == string(step)+": begun" {
				return errDied
			}
			return nil
		}
		_ = w.rotatePassword()
		w.fault = nil
		w.open()
		w.cloud.SetPassword(w.name(), "reset")
		w.clock.step(2 * time.Second)
		o := w.offer("sys")
		o.Password = secretOf("reset")
		if _, err := w.Adopt(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("typo"), true); err != nil {
			t.Fatal(err)
		}
		_, _ = w.GoOn(t.Context())
		if _, stored := w.user().Passwords.Holding(secretOf("reset")); !stored {
			t.Errorf("%s: the one that the cloud accepted is forgotten", step)
		}
		w.clock.step(2 * time.Hour)
		_ = w.Verify(t.Context(), "dev", true)
		_ = w.Verify(t.Context(), "dev", true)
		if active, _ := w.user().Passwords.Active(); active.Value.Reveal() != "reset" || w.user().Refused != nil {
			t.Errorf("%s: it is not in force again: %+v", step, w.user().Refused)
		}
	}
}

// The new password, which came into force late, is handed in with --no-verify: what
// the rotation has then proved waits for nobody any more.
func TestPasswordProvedThatWasHandsOff(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
	_ = w.rotatePassword()
	w.cloud.Deliver()
	if _, _, err := w.Token(t.Context(), "dev"); err == nil {
		t.Error("the old one is accepted")
	}
	right := w.offer("sys")
	right.Password, right.NoVerify = secretOf(w.cloud.Password(w.name())), true
	if _, err := w.Adopt(t.Context(), right); err != nil {
		t.Fatal(err)
	}
	w.clock.step(2 * time.Second)
	_, _ = w.GoOn(t.Context())
	if v, _ := w.user().Passwords.Active(); !v.Accepted || v.HandsOff {
		t.Errorf("accepted %v, only a person sends it %v", v.Accepted, v.HandsOff)
	}
	right.NoVerify = false
	if _, err := w.Adopt(t.Context(), right); err != nil {
		t.Error(err)
	}
}

// A person hands in the password that is in force and served, of which it is on
// record that it has expired: all environments of the user are told, for none of
// them is served any more.
func TestPasswordExpiredWhenHandedInAgain(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.ExpirePassword(w.name())
	w.open() // without a token
	_ = w.Verify(t.Context(), "dev", false)
	err := w.commit("test", func(c *vault.Contents) error {
		u := w.user()
		u.Refused = nil // as a person's unproved one in between may have left it
		c.Users[u.ID] = u
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := w.Contents().Environments["dev"].Generation
	o := w.offer("sys")
	o.Password, o.NoVerify = secretOf("hunter2"), true
	if _, err := w.Adopt(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if u := w.user(); u.Refused == nil || !u.Refused.Expired {
		t.Errorf("refused: %+v", u.Refused)
	}
	if now := w.Contents().Environments["dev"].Generation; now <= before {
		t.Errorf("dev has generation %d after %d", now, before)
	}
}

// The new password came into force late and has expired since; a person puts it in
// force, verifies it and asks for a rotation: that changes it, for the cloud calls it right.
func TestPasswordLateAndExpired(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
	_ = w.rotatePassword()
	w.cloud.Deliver()
	w.open()
	_ = w.Verify(t.Context(), "dev", false) // the old one is refused
	w.cloud.ExpirePassword(w.name())
	late := w.cloud.Password(w.name())
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf(late), true); err != nil {
		t.Fatal(err)
	}
	_ = w.Verify(t.Context(), "dev", true)
	if err := w.rotatePassword(); err != nil {
		t.Error(err)
	}
	if w.cloud.Password(w.name()) == late {
		t.Error("it is not changed")
	}
	w.known()
	w.settleDown()
	w.works(9) // an expired one is right: it locks nobody out
	w.sentWrong(1)
}

// An expired password is right, so those before it are dead: none of them takes
// the place of one that ccad made, when a person has mistyped himself twice while
// the account was disabled.
func TestPasswordsThatAnExpiredOneProvesDead(t *testing.T) {
	for what, expires := range map[string]func(*world){
		"the cloud says so now": func(w *world) {
			w.update("reset", true)
			_ = w.Verify(w.Context(), "sys", true)
		},
		"it said so before": func(w *world) {
			w.update("reset", false)
			w.cloud.SetPassword(w.name(), "between")
			w.update("between", false)
			w.cloud.SetPassword(w.name(), "reset")
			w.cloud.ExpirePassword(w.name())
			w.update("reset", true)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			w.cloud.SetPassword(w.name(), "reset")
			w.cloud.ExpirePassword(w.name())
			expires(w)
			w.fault = func(point string) error { // from here on nothing is asked that could prove others dead
				if point == "heal: begun" {
					return errDied
				}
				return nil
			}
			_ = w.rotatePassword()
			made := w.cloud.Password(w.name())
			w.open()
			w.update("typo", true)
			w.cloud.Enable(w.name(), false)
			_ = w.rotatePassword()
			_ = w.Verify(t.Context(), "dev", false)
			w.update("typo again", true)
			w.cloud.Enable(w.name(), true)
			for range 3 {
				w.clock.step(2 * time.Hour)
				_ = w.Verify(t.Context(), "dev", true)
			}
			if v, _ := w.user().Passwords.Active(); made != w.cloud.Password(w.name()) || v.Value != secretOf(made) || w.user().Refused != nil {
				t.Errorf("what ccad made is not in force: %+v", w.user().Refused)
			}
			w.settleDown()
			w.works(9)
		})
	}
}

// While the former change may still arrive, a person brings another password,
// which the cloud accepts: then it can't.
func TestPasswordSupersededWhileItLingers(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
	_ = w.rotatePassword()
	w.cloud.SetPassword(w.name(), "regenerated")
	w.clock.step(2 * time.Second)
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("regenerated"), false); err != nil {
		t.Fatal(err)
	}
	w.cloud.Deliver()
	w.settleDown()
	w.known()
	if n := len(w.user().Passwords.List); n != 1 {
		t.Errorf("%d passwords are left", n)
	}
}

// The old one is refused after the journal was written: nothing is asked for.
func TestPasswordRefusedBeforeTheChange(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.die(1)
	_ = w.rotatePassword()
	w.cloud.SetPassword(w.name(), "elsewhere")
	w.open()
	if err := w.Verify(t.Context(), "dev", false); err == nil {
		t.Error("the dead password is accepted")
	}
	for range 3 {
		w.clock.step(time.Hour)
		w.GoOn(t.Context())
	}
	if n := w.cloud.Count(changeRoute); n != 0 || w.user().Rotation != nil {
		t.Errorf("%d changes, journal %+v", n, w.user().Rotation)
	}
	w.sentWrong(1)
}

// The new password has expired before it was proved: it is right, and mended by
// another change.
func TestPasswordExpiresInDoubt(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.fault = func(point string) error {
		if point == "prove: begun" {
			w.cloud.ExpirePassword(w.name())
			w.clock.step(time.Second)
		}
		return nil
	}
	_ = w.rotatePassword()
	w.fault = nil
	w.settleDown()
	active, _ := w.user().Passwords.Active()
	if u := w.user(); active.Value.Reveal() != w.cloud.Password(w.name()) || u.Refused == nil || !u.Refused.Expired {
		t.Fatalf("the expired one is not in force: %+v", u.Refused)
	}
	if err := w.rotatePassword(); err != nil {
		t.Fatal(err)
	}
	w.works(9)
	w.sentWrong(0)
}

// A typing error, given with --no-verify, gives way to what there was before: to
// what the cloud accepted, though it was refused since, for it is all there is.
func TestTypingErrorGivesWay(t *testing.T) {
	for name, c := range map[string]struct {
		before []string // given with --no-verify, one after another
		right  string
	}{
		"to an accepted one":                        {[]string{"typo"}, "hunter2"},
		"to one that nobody proved":                 {[]string{"right", "typo"}, "right"},
		"to an accepted one that was refused since": {[]string{"typo"}, "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			if c.right == "right" {
				w.cloud.SetPassword(w.name(), "right")
			}
			if strings.HasSuffix(name, "since") || c.right == "right" {
				w.cloud.Enable(w.name(), false)
				w.open()
				_ = w.Verify(t.Context(), "dev", false)
				w.cloud.Enable(w.name(), true)
				w.clock.step(refusedPause)
			}
			for _, value := range c.before {
				if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf(value), true); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				w.clock.step(2 * time.Second)
				_ = w.Verify(t.Context(), "dev", true)
			}
			if active, _ := w.user().Passwords.Active(); active.Value.Reveal() != c.right || w.user().Refused != nil {
				t.Errorf("not in force again: %+v", w.user().Refused)
			}
			w.sentWrong(1)
		})
	}
}

// A typing error takes the place of the old password before its change was asked
// for: the old one is right, and stays stored.
func TestTypingErrorBeforeTheChange(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.die(1)
	_ = w.rotatePassword()
	w.open()
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("typo"), true); err != nil {
		t.Fatal(err)
	}
	_, _ = w.GoOn(t.Context())
	w.known()
	if w.user().Rotation != nil {
		t.Errorf("the journal is %+v", w.user().Rotation)
	}
	_ = w.Verify(t.Context(), "dev", true)
	w.works(1)
}

// A typing error takes the place of the new password right after the flip: the new
// one is right, and stays stored.
func TestTypingErrorAfterTheFlip(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.fault = func(point string) error {
		if point == "heal: begun" {
			return errDied
		}
		return nil
	}
	_ = w.rotatePassword()
	w.open()
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("typo"), true); err != nil {
		t.Fatal(err)
	}
	w.settleDown()
	w.known()
	_ = w.Verify(t.Context(), "dev", true)
	w.works(1)
}

// Neither of the rotation's two is right, and a person brings a third: it ends the
// doubt, also where it has to be changed first, or was not to be proved.
func TestPasswordThirdEndsTheDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		expired, noVerify bool
		word              func(w *world) error
	}{
		"by an update":                       {false, false, nil},
		"one that must be changed":           {true, false, (*world).rotatePassword},
		"with --no-verify, and then verify":  {false, true, func(w *world) error { return w.Verify(w.Context(), "dev", true) }},
		"with --no-verify, and then rotated": {false, true, (*world).rotatePassword},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			w.fault = func(point string) error {
				if point == "change: sent" {
					w.cloud.SetPassword(w.name(), "third")
				}
				return nil
			}
			_ = w.rotatePassword()
			w.fault = nil
			if c.expired {
				w.cloud.ExpirePassword(w.name())
			}
			w.clock.step(2 * time.Second)
			if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("third"), c.noVerify); err != nil {
				t.Fatal(err)
			}
			if c.word != nil {
				if err := c.word(w); err != nil {
					t.Fatal(err)
				}
			}
			w.settleDown()
			w.works(9)
			w.sentWrong(1)
		})
	}
}

// The account is locked while it lingers, and whether an older token answers can't
// be asked at that moment: each of the two is tried once, and a person ends it when
// the lockout is over.
func TestPasswordLockedOutWhileItLingers(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Times: 1})
	_ = w.rotatePassword()
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 1})
	w.locks()
	w.cloud.Fail(practice.Fault{Route: "GET /v3/auth/projects", Status: 503, Times: 1})
	for range 4 {
		_ = w.Verify(t.Context(), "dev", false)
		_, _ = w.GoOn(t.Context())
		w.clock.step(lastPause)
	}
	w.known()
	if state := UserState(w.Contents(), w.user(), w.clock.Now()); state != StateRefused {
		t.Errorf("the user is %s", state)
	}
	if n := w.cloud.Count(tokenRoute); n > 8 {
		t.Errorf("%d logins", n)
	}
	w.cloud.SetPolicy(practice.Policy{})
	w.clock.step(refusedPause)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	w.settleDown()
	w.works(9)
}

// A cloud that makes keys which vanish again is not asked at full speed.
func TestNoRotationGoesRoundInCircles(t *testing.T) {
	w := newWorld(t)
	old := w.dev()
	w.fault = func(point string) error {
		if point == "prove: begun" {
			for _, id := range w.keys() {
				if id != old.Access {
					w.cloud.DeleteKey(id)
				}
			}
		}
		return nil
	}
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	_, failures := w.GoOn(t.Context())
	if err := failures["the S3 key of dev"]; !errors.Is(err, errCircling) {
		t.Errorf("it says %v", err)
	}
	if n := w.cloud.Count("POST /v3/credentials"); n > inOneGo {
		t.Errorf("%d keys were made", n)
	}
	w.fault = nil
	w.clock.step(lastPause)
	w.finish()
	w.clean()
}
