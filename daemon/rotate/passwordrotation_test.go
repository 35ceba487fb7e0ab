package rotate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

const changeRoute = "POST /v3/users/{user}/password"

func (w *world) user() vault.User {
	for _, u := range w.Contents().Users {
		return u
	}
	return vault.User{}
}

func (w *world) both() {
	w.Helper()
	w.dev()
	w.adopt("sys", "system-ccontini")
}

// works checks that the stored password is the one that the cloud holds, after
// at most so many failed logins, and that no other is left.
func (w *world) works(failed int) {
	w.Helper()
	u := w.user()
	active, _ := u.Passwords.Active()
	if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused > failed {
		w.Errorf("%d failed logins, at most %d are allowed", refused, failed)
	}
	if u.Rotation != nil || len(u.Passwords.List) != 1 {
		w.Errorf("left: journal %v, %d versions", u.Rotation, len(u.Passwords.List))
	}
	if UserState(w.Contents(), u, w.clock.Now()) != StateOK {
		w.Errorf("the user is %s: %+v", UserState(w.Contents(), u, w.clock.Now()), u.Refused)
	}
	if _, err := w.Keeper.cloud.Password(w.Context(), u.User, active.Value, account.Environment{}); err != nil {
		w.Errorf("the stored password does not work: %v", err)
	}
	for _, name := range []string{"dev", "sys"} {
		if _, _, err := w.Token(w.Context(), name); err != nil {
			w.Errorf("no token for %s: %v", name, err)
		}
	}
}

// settleDown lets the rotation of the password end, without a person.
func (w *world) settleDown() {
	w.Helper()
	for range 8 {
		if _, failures := w.GoOn(w.Context()); len(failures) > 0 {
			w.Logf("resume: %v", failures)
		}
		if w.user().Rotation == nil {
			return
		}
		w.clock.step(15 * time.Minute)
	}
	w.Fatalf("the password's rotation does not end: %+v", w.user().Rotation)
}

func TestRotatePassword(t *testing.T) {
	w := newWorld(t)
	w.both()
	before := w.Contents()
	var story []string
	if err := w.RotatePassword(t.Context(), w.user().ID, func(p Progress) { story = append(story, string(p.Step)+" "+p.State) }); err != nil {
		t.Fatal(err)
	}
	want := "journal done, change start, change done, find start, find done, prove start, prove done, flip start, flip done, heal start, heal done"
	if got := strings.Join(story, ", "); got != want {
		t.Errorf("told: %s", got)
	}
	active, _ := w.user().Passwords.Active()
	if p := active.Value.Reveal(); p == w.cloud.User.Password || len(p) < 32 || len(p) > 64 {
		t.Errorf("a password of %d bytes", len(p))
	}
	for _, name := range []string{"dev", "sys"} {
		if w.Contents().Environments[name].Generation <= before.Environments[name].Generation {
			t.Errorf("the shells of %s are not told", name)
		}
	}
	w.works(0)
	w.serves()
}

// Killed at each boundary, and between the request and its answer: no password
// that the cloud holds is unknown, and nobody is locked out.
func TestPasswordKilledAnywhere(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t)
		w.both()
		points := w.die(n)
		err := w.RotatePassword(t.Context(), w.user().ID, silent)
		if err == nil {
			if n < 12 {
				t.Errorf("only %d points to die at: %v", n, *points)
			}
			return
		}
		w.open()
		w.clock.step(2 * time.Second)
		w.settleDown()
		w.works(1)
		if t.Failed() {
			t.Fatalf("killed at %q", (*points)[n-1])
		}
	}
}

func TestPasswordLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		fault  practice.Fault
		failed int
	}{
		"done, and the answer lost":     {practice.Fault{Break: practice.Cut, AfterWork: true}, 0},
		"not done, and the answer lost": {practice.Fault{Break: practice.Cut}, 1},
		"500 after it was done":         {practice.Fault{Status: 500, AfterWork: true}, 0},
		"500":                           {practice.Fault{Status: 500}, 1},
		"reset":                         {practice.Fault{Break: practice.Reset, AfterWork: true}, 0},
		"429":                           {practice.Limited("", "3"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			c.fault.Route, c.fault.Times = changeRoute, 1
			w.cloud.Fail(c.fault)
			err := w.RotatePassword(t.Context(), w.user().ID, silent)
			if (err != nil) != (c.failed == 1) {
				t.Errorf("it says %v", err)
			}
			w.works(c.failed)
		})
	}
}

func TestPasswordPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		policy practice.Policy
		words  string
	}{
		"age":     {practice.Policy{MinimumAge: 1}, "too recently"},
		"pattern": {practice.Policy{Accept: func(string) bool { return false }, Requirements: "x"}, "requirements"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			if c.policy.MinimumAge > 0 { // it counts from a change of one's own
				if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil {
					t.Fatal(err)
				}
			}
			w.cloud.SetPolicy(c.policy)
			err := w.RotatePassword(t.Context(), w.user().ID, silent)
			if !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("it says %v", err)
			}
			w.cloud.SetPolicy(practice.Policy{})
			w.works(0)
		})
	}
}

// An expired password is right, and heals itself by the change.
func TestExpiredPasswordIsChanged(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.ExpirePassword(w.cloud.User.Name)
	w.clock.step(time.Second)
	w.open()
	if err := w.Verify(t.Context(), "dev", false); err == nil {
		t.Fatal("the password has not expired")
	}
	if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil {
		t.Fatal(err)
	}
	w.works(2) // the verify, and the proof of the change, which the cloud counts too
}

// Neither is accepted: both are kept, nothing more is sent, and a person gets
// them tried once more when the lockout is over.
func TestPasswordLockedOut(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3})
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 401, Body: `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`})
	err := w.RotatePassword(t.Context(), w.user().ID, silent)
	var no *RefusedError
	if !errors.As(err, &no) || !strings.Contains(err.Error(), "locked out") {
		t.Fatalf("it says %v", err)
	}
	if state := UserState(w.Contents(), w.user(), w.clock.Now()); state != StateLockedOut {
		t.Errorf("the user is %s", state)
	}
	sent := w.cloud.Count("POST /v3/auth/tokens")
	for range 5 {
		w.open()
		w.clock.step(time.Hour)
		w.GoOn(t.Context())
		_ = w.Verify(t.Context(), "dev", false)
		_, _, _ = w.Token(t.Context(), "dev")
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != sent {
		t.Errorf("%d more passwords were sent", n-sent)
	}
	w.cloud.Heal()
	if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil {
		t.Fatal(err)
	}
	w.works(0)
}

// A person's update is the last word, at whatever step the rotation is.
func TestPasswordSupersededByAPerson(t *testing.T) {
	for _, step := range []Step{StepChange, StepFind, StepProve, StepFlip} {
		w := newWorld(t)
		w.both()
		w.fault = func(point string) error {
			if point == string(step)+": begun" {
				return errDied
			}
			return nil
		}
		_ = w.RotatePassword(t.Context(), w.user().ID, silent)
		w.open()
		w.cloud.SetPassword(w.cloud.User.Name, "regenerated")
		w.clock.step(2 * time.Second)
		if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("regenerated"), false); err != nil {
			t.Fatal(err)
		}
		w.settleDown()
		active, _ := w.user().Passwords.Active()
		if active.Value.Reveal() != "regenerated" || w.user().Refused != nil {
			t.Errorf("%s: the person's password is not in force", step)
		}
		if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 0 {
			t.Errorf("%s: %d failed logins", step, refused)
		}
	}
}

// Another machine changes it at the same time: one failed login, and a person is
// told.
func TestPasswordChangedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.fault = func(point string) error {
		if point == "prove: begun" {
			w.cloud.SetPassword(w.cloud.User.Name, "elsewhere")
		}
		return nil
	}
	_ = w.RotatePassword(t.Context(), w.user().ID, silent)
	w.settleDown()
	if u := w.user(); u.Refused == nil || UserState(w.Contents(), u, w.clock.Now()) != StateRefused {
		t.Errorf("the user is %s", UserState(w.Contents(), w.user(), w.clock.Now()))
	}
	if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 1 {
		t.Errorf("%d failed logins", refused)
	}
}

// Random kills, each followed by an unattended restart: whatever the cloud holds
// is stored, and no wrong value is sent more often than the guard allows.
func TestRandomPasswordKills(t *testing.T) {
	kills, random := soak(t, 12)
	for range kills {
		w := newWorld(t)
		w.both()
		if random.IntN(3) == 0 {
			w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: random.IntN(2) == 0, Times: 1})
		}
		for range 1 + random.IntN(2) {
			w.die(1 + random.IntN(14))
			_ = w.RotatePassword(t.Context(), w.user().ID, silent)
			w.clock.step(time.Duration(random.IntN(5000)) * time.Millisecond)
			w.open()
		}
		w.fault = nil
		w.clock.step(2 * time.Second)
		w.settleDown()
		w.works(2)
	}
}
