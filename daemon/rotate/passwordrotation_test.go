package rotate

import (
	"errors"
	"net/http"
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

// settleDown lets the rotation of the password end. A person helps only where a
// value was sent twice and its answer, or the record of it, lost twice.
func (w *world) settleDown() {
	w.Helper()
	for range 8 {
		_, failures := w.GoOn(w.Context())
		for _, err := range failures {
			w.Logf("resume: %v", err)
			if errors.Is(err, errUnanswered) {
				w.Logf("verify: %v", w.Verify(w.Context(), "dev", true))
			}
		}
		switch j := w.user().Rotation; {
		case j == nil:
			return
		case UnderWay(j):
			w.clock.step(15 * time.Minute)
		default:
			w.clock.step(lingers)
		}
	}
	w.Fatalf("the password's rotation does not end: %+v", w.user().Rotation)
}

// sentWrong checks that no wrong password was sent more often than that.
func (w *world) sentWrong(most int) {
	w.Helper()
	for _, n := range w.cloud.Wrong(w.cloud.User.Name) {
		if n > most {
			w.Errorf("a wrong password was sent %d times", n)
		}
	}
}

// known checks that the password that the cloud holds is stored.
func (w *world) known() {
	w.Helper()
	if _, ok := w.user().Passwords.Holding(secretOf(w.cloud.Password(w.cloud.User.Name))); !ok {
		w.Error("the cloud holds a password that is not stored")
	}
}

// update is a person's.
func (w *world) update(password string, noVerify bool) {
	w.Helper()
	if _, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf(password), noVerify); err != nil {
		w.Fatal(err)
	}
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

const unauthorized = `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`

func TestPasswordLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		fault practice.Fault
		done  bool // in the end
	}{
		"done, and the answer lost":     {practice.Fault{Break: practice.Cut, AfterWork: true}, true},
		"not done, and the answer lost": {practice.Fault{Break: practice.Cut}, false},
		"500 after it was done":         {practice.Fault{Status: 500, AfterWork: true}, true},
		"500":                           {practice.Fault{Status: 500}, false},
		"reset":                         {practice.Fault{Break: practice.Reset, AfterWork: true}, true},
		"torn":                          {practice.Fault{Break: practice.Torn}, true},
		"429":                           {practice.Limited("", "3"), true},
		"429 after it was done":         {practice.Fault{Status: 429, AfterWork: true}, true},
		"a redirect":                    {practice.Fault{Status: 307, Header: http.Header{"Location": {"/"}}}, false},
		"a redirect after it was done":  {practice.Fault{Status: 307, AfterWork: true}, true},
		"200 and no Keystone":           {practice.Garbage(""), false},
		"200 after it was done":         {practice.Fault{Status: 200, AfterWork: true, Body: "x"}, true},
		"400 of a proxy, done":          {practice.Fault{Status: 400, AfterWork: true, Body: "<html>"}, true},
		"401 of a proxy, done":          {practice.Fault{Status: 401, AfterWork: true, Body: "<html>"}, true},
		"401, sent twice by a proxy":    {practice.Fault{Status: 401, AfterWork: true, Body: unauthorized}, true},
		"403 of a proxy, done":          {practice.Fault{Status: 403, AfterWork: true, Body: "<html>"}, true},
		"404 of a proxy, done":          {practice.Fault{Status: 404, AfterWork: true, Body: "<html>"}, true},
		"409 of a proxy, not done":      {practice.Fault{Status: 409, Body: "<html>"}, false},
		"204 and not done":              {practice.Fault{Status: 204}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			c.fault.Route, c.fault.Times = changeRoute, 1
			w.cloud.Fail(c.fault)
			before := w.cloud.Password(w.cloud.User.Name)
			err := w.RotatePassword(t.Context(), w.user().ID, silent)
			if c.done != (err == nil) || !c.done && !errors.Is(err, ErrWithdrawn) {
				t.Errorf("it says %v", err)
			}
			if done := w.cloud.Password(w.cloud.User.Name) != before; done != c.done {
				t.Errorf("changed at the cloud: %v", done)
			}
			w.known()
			w.settleDown()
			failed := 0
			if name == "204 and not done" || name == "429 after it was done" { // it cost a login to find out that the cloud was wrong
				failed = 1
			}
			w.works(failed)
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
func TestPasswordNeither(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3})
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 401, Body: unauthorized})
	err := w.RotatePassword(t.Context(), w.user().ID, silent)
	var no *RefusedError
	if !errors.As(err, &no) || !strings.Contains(err.Error(), "locked out") {
		t.Fatalf("it says %v", err)
	}
	if state := UserState(w.Contents(), w.user(), w.clock.Now()); state != StateRefused {
		t.Errorf("the user is %s, and no token of his answers", state)
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

// Another machine changes it at the same time: each of our two costs one failed
// login, both are kept, and a person's word ends it.
func TestPasswordChangedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.fault = func(point string) error {
		if point == "prove: begun" && w.cloud.Password(w.cloud.User.Name) != "elsewhere" {
			w.cloud.SetPassword(w.cloud.User.Name, "elsewhere")
		}
		return nil
	}
	err := w.RotatePassword(t.Context(), w.user().ID, silent)
	var no *RefusedError
	if !errors.As(err, &no) {
		t.Errorf("it says %v", err)
	}
	for range 5 {
		w.GoOn(t.Context())
		w.clock.step(time.Hour)
		w.open()
	}
	if u := w.user(); u.Refused == nil || UserState(w.Contents(), u, w.clock.Now()) != StateRefused {
		t.Errorf("the user is %s", UserState(w.Contents(), w.user(), w.clock.Now()))
	}
	if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 2 {
		t.Errorf("%d failed logins", refused)
	}
	w.sentWrong(1)
	if _, err := w.UpdatePassword(t.Context(), w.user().ID, secretOf("elsewhere"), false); err != nil {
		t.Fatal(err)
	}
	w.settleDown()
	w.works(2)
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
			w.dieAnywhere(1 + random.IntN(150))
			_ = w.RotatePassword(t.Context(), w.user().ID, silent)
			w.clock.step(time.Duration(random.IntN(5000)) * time.Millisecond)
			w.open()
		}
		w.fault = nil
		w.clock.step(2 * time.Second)
		w.settleDown()
		w.works(2)
		w.sentWrong(2)
	}
}
