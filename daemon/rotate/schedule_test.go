package rotate

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

const day = 24 * time.Hour

// follows lets a schedule begin what is due, and all that is under way go on.
func (w *world) follows(s Schedule) (failures map[string]error) {
	w.Helper()
	_, failures = w.BeginDue(w.Context(), s)
	if _, stalled := w.GoOn(w.Context()); len(stalled) > 0 {
		w.Logf("stalled: %v", stalled)
	}
	return failures
}

// What is due is replaced, in time and once, however long ccad was not there.
func TestSchedule(t *testing.T) {
	w := newWorld(t)
	first := w.dev()
	s := Schedule{Every: 90 * day}
	due := s.KeyDue(w.Contents().Environments["dev"], w.user())
	if early := epoch.Add(90 * day).Sub(due); early < 0 || early > 9*day {
		t.Fatalf("due %v before 90 days", early)
	}
	w.clock.step(due.Sub(epoch) - time.Minute)
	next, failures := w.BeginDue(t.Context(), s)
	if w.journal() != nil || !next.Equal(due) || len(failures) != 0 {
		t.Fatalf("before it is due: journal %v, next %v, %v", w.journal(), next, failures)
	}
	w.clock.step(2 * time.Minute)
	w.follows(s)
	if w.active("dev").AccessKeyID == first.Access {
		t.Fatal("it was due, and is the same")
	}
	w.finish()
	w.clean()

	second := w.active("dev")
	w.clock.step(1000 * day) // asleep, or locked, or off
	w.open()
	w.follows(s)
	w.finish()
	third := w.active("dev")
	if third.AccessKeyID == second.AccessKeyID {
		t.Error("what was missed is not made up for")
	}
	w.open()
	w.follows(s)
	w.clock.step(60 * day)
	w.follows(s)
	if w.active("dev") != third || w.journal() != nil {
		t.Error("it was made up for more than once")
	}
	w.clean()
	if got := w.cloud.Count("POST /v3/credentials"); got != 2 {
		t.Errorf("%d keys were made for two rotations", got)
	}
}

// A password is replaced only where a person has said so; then at its age, and
// before it expires.
func TestScheduledPassword(t *testing.T) {
	w := newWorld(t)
	w.dev()
	name := w.cloud.User.Name
	w.clock.step(365 * day)
	w.follows(Schedule{Every: 90 * day})
	w.finish()
	if v, _ := w.user().Passwords.Active(); v.N != 1 {
		t.Fatal("a password was replaced that nobody gave leave for")
	}
	leave := Schedule{Every: 90 * day, Users: map[string]UserSchedule{name: {Password: true}}}
	w.follows(leave)
	if v, _ := w.user().Passwords.Active(); v.N != 2 || !v.Accepted {
		t.Fatalf("the password is %+v", v)
	}
	w.finish()

	// Never by its age; before it expires all the same.
	w.cloud.SetPolicy(practice.Policy{ExpiresDays: 40})
	never := time.Duration(0)
	byExpiry := Schedule{Every: 90 * day, Users: map[string]UserSchedule{w.user().Name + "@" + w.user().Auth.Host(): {Every: &never, Password: true}}}
	if due := byExpiry.PasswordDue(w.user()); !due.IsZero() {
		t.Errorf("due %v, and nothing expires", due)
	}
	if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil {
		t.Fatal(err)
	}
	w.clock.step(11 * time.Minute) // until then Keystone tells the former one's end
	if err := w.Verify(t.Context(), "dev", false); err != nil {
		t.Fatal(err)
	}
	expires := w.user().PasswordExpires
	due := byExpiry.PasswordDue(w.user())
	if left := expires.Sub(due); expires.IsZero() || left < 10*day || left > 11*day {
		t.Fatalf("expires %v, due %v before", expires, left)
	}
	w.clock.step(due.Sub(w.clock.Now()) + time.Second)
	w.follows(byExpiry)
	if v, _ := w.user().Passwords.Active(); v.N != 4 {
		t.Errorf("it is version %d", v.N)
	}

	// Slept through the end of it: the change that Keystone allows mends that.
	w.clock.step(100 * day)
	if err := w.Verify(t.Context(), "dev", false); err == nil || w.user().Refused == nil {
		t.Fatalf("an expired password is accepted: %v", err)
	}
	w.follows(byExpiry)
	if v, _ := w.user().Passwords.Active(); v.N != 5 || w.user().Refused != nil {
		t.Errorf("version %d, refused %v", v.N, w.user().Refused)
	}
	if _, err := w.Keeper.cloud.Password(t.Context(), w.user().User, active(w.user().Passwords), account.Environment{}); err != nil {
		t.Errorf("what is served: %v", err)
	}
}

// A policy that says "not yet" is asked once a day, and what works goes on.
func TestScheduleRests(t *testing.T) {
	w := newWorld(t)
	w.dev()
	name := w.cloud.User.Name
	s := Schedule{Every: 90 * day, Users: map[string]UserSchedule{name: {Password: true}}}
	if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil { // an administrator's may be changed at once
		t.Fatal(err)
	}
	w.cloud.SetPolicy(practice.Policy{MinimumAge: 93})
	asked := func() int { return w.cloud.Count(changeRoute) }
	before := asked()
	serves := active(w.user().Passwords)
	w.clock.step(91 * day)
	for range 48 { // two days
		w.follows(Schedule{Users: s.Users, Every: s.Every, Environments: map[string]time.Duration{"dev": 0}})
		w.open()
		w.clock.step(time.Hour)
	}
	if n := asked() - before; n != 2 {
		t.Errorf("the policy was asked %d times in two days", n)
	}
	if u := w.user(); active(u.Passwords) != serves || u.Refused != nil || UserState(w.Contents(), u, w.clock.Now()) != StateOK {
		t.Errorf("what works was given up: %+v", u.Refused)
	}
	w.clock.step(day)
	w.follows(s)
	if active(w.user().Passwords) == serves {
		t.Error("once it may be changed it is not")
	}
	if _, refused := w.cloud.Passwords(name); refused != 0 {
		t.Errorf("%d failed logins", refused)
	}
}

// Nobody's password is tried for the sake of a schedule that a person may not
// have meant: one that was refused, never accepted, or is a person's to send.
func TestScheduleAsksNobody(t *testing.T) {
	for what, prepare := range map[string]func(*world){
		"refused": func(w *world) {
			w.cloud.SetPassword(w.cloud.User.Name, "another")
			_ = w.Verify(w.Context(), "dev", false)
		},
		"hands off": func(w *world) {
			if _, err := w.UpdatePassword(w.Context(), w.user().ID, account.NewSecret("perhaps"), true); err != nil {
				w.Fatal(err)
			}
		},
		"never accepted": func(w *world) {
			w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
			if _, err := w.UpdatePassword(w.Context(), w.user().ID, account.NewSecret("perhaps"), false); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			prepare(w)
			w.cloud.Heal()
			w.clock.step(365 * day)
			was := w.cloud.Count("*")
			failures := w.follows(Schedule{Every: 90 * day, Users: map[string]UserSchedule{w.cloud.User.Name: {Password: true}}})
			if n := w.cloud.Count("*") - was; n != 0 || len(failures) != 0 || w.journal() != nil || w.user().Rotation != nil {
				t.Errorf("%d requests, failures %v, journal %v", n, failures, w.journal())
			}
		})
	}
}

// A key that the cloud does not make is asked for once a day.
func TestScheduleOfAKeyRests(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Status: 409, Body: `{"error":{"code":409,"title":"Conflict","message":"Quota"}}`})
	w.clock.step(91 * day)
	for range 47 {
		w.follows(Schedule{Every: 90 * day})
		w.clock.step(time.Hour)
	}
	if n := w.cloud.Count("POST /v3/credentials"); n != 2 || w.active("dev").AccessKeyID != key.Access || w.journal() != nil {
		t.Errorf("asked %d times in two days; journal %v", n, w.journal())
	}
	w.clean()
}

// An application credential is in the schedule of its environment; one that may
// not make its successor is tried once a day.
func TestScheduleOfACredential(t *testing.T) {
	w := newWorld(t)
	first := w.credential()
	s := Schedule{Environments: map[string]time.Duration{"dev": 30 * day}}
	w.clock.step(31 * day)
	w.follows(s)
	w.finishCredential()
	if w.activeCredential() == first {
		t.Error("it was due, and is the same")
	}
	w.finish()
	w.cleanCredential()

	w = newWorld(t)
	restricted := w.imported(cloud.Limits{})
	w.clock.step(31 * day)
	const route = "POST /v3/users/{user}/application_credentials"
	before := w.cloud.Count(route)
	for range 47 {
		w.follows(s)
		w.clock.step(time.Hour)
	}
	if n := w.cloud.Count(route) - before; n != 2 || w.activeCredential() != restricted {
		t.Errorf("asked %d times in two days", n)
	}
}

// The store that can't be written begins nothing.
func TestScheduleIsRecordedFirst(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.clock.step(91 * day)
	full := errors.New("the disk is full")
	err := w.beginScheduled(scheduled{tried: func(*vault.Contents) error { return full }, begin: func() (bool, error) {
		t.Error("it is begun")
		return false, nil
	}})
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

func TestScheduleNames(t *testing.T) {
	c := stored()
	every := 30 * day
	s := Schedule{Every: 90 * day,
		Users:        map[string]UserSchedule{"ccontini@auth.cloud.ca": {Every: &every}, "cconntini": {}},
		Environments: map[string]time.Duration{"dev": 7 * day, "prod": day}}
	names := s.Unknown(c)
	slices.Sort(names)
	if got := strings.Join(names, ", "); got != "environment prod, user cconntini" {
		t.Errorf("unknown: %s", got)
	}
	with := func(name, userID string) vault.Environment {
		e := withKey(pair("a", "1"), vault.Active, true)
		e.ID, e.Name, e.UserID = name, name, userID
		return e
	}
	for name, want := range map[string]time.Duration{"dev": 7 * day, "other": 30 * day, "keys": 90 * day} {
		e := with(name, "u1")
		u := c.Users["u1"]
		if name == "keys" {
			e.UserID, u = "", vault.User{}
		}
		if got := s.KeyDue(e, u).Sub(epoch); got > want || got < want-want/10 {
			t.Errorf("%s: due after %v, want %v", name, got, want)
		}
	}
}

// Whatever the numbers: never later than asked for, never more than a tenth
// early, never without a Tried's rest, and by a clock that goes on in sleep.
func TestDueIsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(time.Hour), int64(3000*day)).Draw(t, "every"))
		e := withKey(pair("a", "1"), vault.Active, true)
		e.ID = rapid.String().Draw(t, "id")
		v, _ := e.Keys.Active()
		v.Created = time.Now() // with a monotonic reading
		if tried := rapid.Int64Range(0, int64(2*every)).Draw(t, "tried"); rapid.Bool().Draw(t, "was tried") {
			v.Tried = v.Created.Add(time.Duration(tried))
		}
		e.Keys = e.Keys.With(v)
		due := Schedule{Every: every}.KeyDue(e, vault.User{})
		latest, earliest := v.Created.Add(every), v.Created.Add(every-every/10)
		if !v.Tried.IsZero() {
			latest = latestOf(latest, v.Tried.Add(scheduledRetry))
			earliest = latestOf(earliest, v.Tried.Add(scheduledRetry))
		}
		if due.After(latest) || due.Before(earliest.Round(0)) || strings.Contains(due.String(), "m=") {
			t.Fatalf("created %v, every %v, tried %v: due %v", v.Created, every, v.Tried, due)
		}
	})
}

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a.Round(0)
	}
	return b.Round(0)
}
