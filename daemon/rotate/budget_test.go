package rotate

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/test/practice"
)

// locksAtThree has the cloud lock accounts at the third failed login.
func (w *world) locksAtThree() {
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3, LockoutDuration: 30 * time.Minute})
}

// regenerated has somebody set the password "right" in the portal.
func (w *world) regenerated() {
	w.cloud.SetPassword(w.name(), "right")
	w.clock.step(2 * time.Second)
}

// failed checks how many logins have failed, and that the right password is then
// accepted from a person.
func (w *world) failed(want int) {
	w.Helper()
	if n := w.refusals(); n != want {
		w.Errorf("%d logins failed, not %d: %v", n, want, w.cloud.Wrong(w.name()))
	}
	if _, err := w.UpdatePassword(w.Context(), w.user().ID, secretOf("right"), false); err != nil {
		w.Errorf("the right password of a person: %v", err)
	}
	if w.user().Failures != 0 || w.password() != "right" {
		w.Errorf("%d failures, %q is in force", w.user().Failures, w.password())
	}
}

// TestUnansweredCounts: what was judged and its answer lost, in whatever way, counts
// as what was refused: one value is sent twice, and several are no more than that
// together.
func TestUnansweredCounts(t *testing.T) {
	for name, lost := range map[string]practice.Fault{
		"500": {Status: 500}, "502": {Status: 502}, "504": {Status: 504}, "a gateway's 401": {Status: 401, Body: "<html>"}, "cut": {Break: practice.Cut}, "torn": {Break: practice.Torn},
	} {
		for _, what := range []string{"one value", "several"} {
			t.Run(name+", "+what, func(t *testing.T) {
				w := newWorld(t)
				w.dev()
				w.locksAtThree()
				w.regenerated()
				lost.Route, lost.AfterWork = tokenRoute, true
				w.cloud.Fail(lost)
				for range 4 {
					if what == "several" {
						_, _ = w.found("wrong-1")
						_, _ = w.found("wrong-2")
					}
					_ = w.Verify(t.Context(), "dev", false)
					w.clock.step(10 * time.Minute)
					w.open()
				}
				w.cloud.Heal()
				_, _ = w.found("wrong-3")
				_ = w.Verify(t.Context(), "dev", false)
				w.failed(maxFailures)
			})
		}
	}
}

// TestUnansweredIsMadeUpFor: a right password whose answer was lost once is sent
// once more, and then all may fail again that may.
func TestUnansweredIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.open()
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 504, AfterWork: true, Times: 1})
	wantIs(t, w.Verify(t.Context(), "dev", false), cloud.ErrUnreachable)
	if err := w.Verify(t.Context(), "dev", false); err != nil || w.user().Failures != 0 {
		t.Errorf("%v, %d failures", err, w.user().Failures)
	}
}

// TestAcceptedIsSentAgain: a password that the cloud accepted once, and of which it
// answered none of two attempts, heals by itself an hour after the outage.
func TestAcceptedIsSentAgain(t *testing.T) {
	for name, lost := range map[string]practice.Fault{
		"504": {Status: 504}, "hang up": {Break: practice.Cut}, "a gateway's 401": {Status: 401, Body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.open()
			lost.Route, lost.Times = tokenRoute, maxUnanswered
			w.cloud.Fail(lost)
			for range maxUnanswered {
				wantIs(t, w.Verify(t.Context(), "dev", false), cloud.ErrUnreachable)
			}
			if w.user().Refused != nil {
				t.Error("the cloud refused nothing")
			}
			w.cloud.Heal()
			_, _, err := w.Token(t.Context(), "dev")
			wantIs(t, err, errUnanswered)
			w.clock.step(unansweredPause)
			w.open()
			if _, _, err := w.Token(t.Context(), "dev"); err != nil || w.user().Failures != 0 {
				t.Errorf("%v, %d failures", err, w.user().Failures)
			}
		})
	}
}

// TestUnansweredIsSentAgainRarely: where it was replaced, and no answer comes through
// for a day, it fails no oftener than that.
func TestUnansweredIsSentAgainRarely(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.regenerated()
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 504, AfterWork: true})
	for range 24 * 4 {
		_ = w.Verify(t.Context(), "dev", false)
		_, _ = w.found("wrong-1")
		w.clock.step(15 * time.Minute)
		w.open()
	}
	w.cloud.Heal()
	w.failed(maxFailures + 5) // then at the first, second, fourth, eighth and sixteenth hour
}

// TestOutageCostsNothing: while a cloud is down nothing is used up, and while it
// hangs one attempt, of whichever value.
func TestOutageCostsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		down func(w *world)
		most int
	}{
		"503":     {func(w *world) { w.cloud.Fail(practice.Fault{Route: "*", Status: 503}) }, 0},
		"closed":  {func(w *world) { w.cloud.Close() }, 0},
		"502":     {func(w *world) { w.cloud.Fail(practice.Fault{Route: "*", Status: 502}) }, 1},
		"hang up": {func(w *world) { w.cloud.Fail(practice.Fault{Route: "*", Break: practice.Cut}) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.open()
			c.down(w)
			for range 3 {
				wantIs(t, w.Verify(t.Context(), "dev", false), cloud.ErrUnreachable)
				for _, value := range []string{"one", "two"} {
					_, err := w.found(value)
					wantIs(t, err, cloud.ErrUnreachable)
				}
				w.clock.step(5 * time.Minute)
			}
			if n := w.user().Failures; n > c.most {
				t.Errorf("%d logins are spent", n)
			}
		})
	}
}

// TestScheduleWithNothingLeft: where no login may fail unattended any more, the
// schedule begins no rotation of the password; a person does.
func TestScheduleWithNothingLeft(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.locksAtThree()
	w.regenerated()
	_, _ = w.found("wrong-1")
	_, _ = w.found("wrong-2")
	w.clock.step(24 * time.Hour)
	every := time.Hour
	_, failures := w.BeginDue(t.Context(), Schedule{Users: map[string]UserSchedule{w.name(): {Every: &every, Password: true}}})
	wantIs(t, failures["the password of "+w.user().User.String()], ErrWithheld)
	if w.user().Rotation != nil {
		t.Errorf("begun: %+v", w.user().Rotation)
	}
	w.failed(maxFailures)
}

// TestScheduleMakesSureOfItsLogins: what failed before is made up for by a login
// that a living token lets through, before a change is asked for.
func TestScheduleMakesSureOfItsLogins(t *testing.T) {
	w := newWorld(t)
	w.dev()
	_, _ = w.found("wrong-1")
	_, _ = w.found("wrong-2")
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	if _, err := w.beginPassword(t.Context(), ofUser{w.user().ID, w.user().User.String()}, false); err != nil {
		t.Fatal(err)
	}
	if _, failures := w.GoOn(t.Context()); len(failures) != 0 || w.user().Rotation != nil || w.user().Failures != 0 {
		t.Errorf("%v, %+v, %d failures", failures, w.user().Rotation, w.user().Failures)
	}
}

// TestScheduleTrustsNoToken: one that outlived a Regenerate, because the clock of the
// cloud was set back before it, lets no change be asked for that can't be made.
func TestScheduleTrustsNoToken(t *testing.T) {
	w := newWorld(t)
	w.clock.skews(10 * time.Minute)
	w.dev()
	w.clock.skews(0)
	w.regenerated()
	if lives, known, err := w.tokenTells(t.Context(), try{user: w.user().User, password: secretOf(w.password())}); !lives || !known || err != nil {
		t.Fatalf("the token lives: %v (known: %v), %v", lives, known, err)
	}
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 2})
	_, err := w.beginPassword(t.Context(), ofUser{w.user().ID, w.user().User.String()}, false)
	wantRefused(t, err)
	w.clock.step(20 * time.Minute)
	w.GoOn(t.Context())
	if w.user().Rotation != nil || w.user().Failures != 1 {
		t.Errorf("%+v, %d failures", w.user().Rotation, w.user().Failures)
	}
	w.failed(1)
}

// TestChangeProvesItsPassword: a change of the password that is not sent by what has
// just found the old one right finds that out once more: an administrator may have
// reset it since, and its answer may be lost.
func TestChangeProvesItsPassword(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(w *world)
		failed    int
	}{
		"killed":          {(*world).open, 1},
		"a minute passes": {func(w *world) { w.clock.step(time.Minute) }, 1},
		"to be asked later": {func(w *world) {
			w.cloud.Fail(practice.Limited(changeRoute, "30"))
			_, _ = w.GoOn(w.Context())
			w.cloud.Heal()
			w.clock.step(30 * time.Second)
			if at := w.user().Rotation.Step; at != string(StepChange) {
				w.Errorf("it is at %s", at)
			}
		}, 2}, // the first request may have arrived: the new one is tried, too
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.locksAtThree()
			if _, err := w.beginPassword(t.Context(), ofUser{w.user().ID, w.user().User.String()}, false); err != nil {
				t.Fatal(err)
			}
			c.meanwhile(w)
			w.regenerated()
			w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 2})
			for range 3 {
				_, _ = w.GoOn(t.Context())
				w.clock.step(time.Hour)
			}
			if u := w.user(); u.Rotation != nil && u.Refused == nil {
				t.Errorf("it goes on: %+v", w.user().Rotation)
			}
			w.failed(c.failed)
		})
	}
}

// lingersWithNothingLeft has a rotation linger of whose user no login may fail any
// more, and the password be neither of its two.
func (w *world) lingersWithNothingLeft() {
	w.Helper()
	w.both()
	w.locksAtThree()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Times: 1})
	wantIs(w.tb.(*testing.T), w.rotatePassword(), ErrWithdrawn)
	w.clock.step(time.Hour)
	w.regenerated()
	_, _ = w.found("wrong")
	_ = w.Verify(w.Context(), "dev", false)
}

// TestLingeringWithNothingLeft: the new password of a rotation that lingers is not
// tried by itself where no login may fail any more. Nothing is lost, the reason is
// told, and a person's word ends it.
func TestLingeringWithNothingLeft(t *testing.T) {
	w := newWorld(t)
	w.lingersWithNothingLeft()
	for range 3 {
		_, failures := w.GoOn(t.Context())
		wantIs(t, failures["the password of "+w.user().User.String()], ErrWithheld)
		w.clock.step(time.Hour)
		w.open()
	}
	_, _ = w.GoOn(t.Context())
	if u := w.user(); u.Rotation == nil || len(u.Passwords.List) != 2 {
		t.Errorf("%d passwords are stored, journal %+v", len(u.Passwords.List), u.Rotation)
	}
	if r, there := w.RetiringPassword(w.user()); !there || !strings.Contains(r.Trouble, ErrWithheld.Error()) {
		t.Errorf("told: %+v", r)
	}
	w.failed(maxFailures)
	w.settleDown()
	w.works(maxFailures)
}

// TestLingeringGoesOnWithAPerson: his command has the new password tried, whatever
// has failed.
func TestLingeringGoesOnWithAPerson(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"verify": func(w *world) error { return w.Verify(w.Context(), "dev", true) },
		"rotate": (*world).rotatePassword,
	} {
		w := newWorld(t)
		w.lingersWithNothingLeft()
		_, _ = w.GoOn(t.Context())
		made, _ := w.user().Passwords.Find(w.user().Rotation.New)
		w.cloud.SetPassword(w.name(), made.Value.Reveal()) // the request has arrived late
		if err := act(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.settleDown()
		w.works(maxFailures)
	}
}

// TestRotationWaitsForAnAnswer: a cloud that is silent about a password of a
// rotation is asked for something else before it gets it once more.
func TestRotationWaitsForAnAnswer(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.silentFrom(practice.Fault{Break: practice.Cut, AfterWork: true})
	_ = w.rotatePassword()
	w.open()
	for range 5 {
		_, _ = w.GoOn(t.Context())
		w.clock.step(lastPause)
	}
	w.cloud.Heal()
	if _, failures := w.GoOn(t.Context()); len(failures) != 0 {
		t.Error(failures)
	}
	w.works(1)
}

// TestScheduleOfAnExpiredPassword: the change of one that has expired is a login,
// too, and it may be wrong by now.
func TestScheduleOfAnExpiredPassword(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.locksAtThree()
	w.cloud.ExpirePassword(w.name())
	w.clock.step(time.Second)
	w.open()
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	w.regenerated()
	before := w.refusals()
	_, _ = w.found("wrong-1")
	_, _ = w.found("wrong-2")
	_, failures := w.BeginDue(t.Context(), Schedule{Users: map[string]UserSchedule{w.name(): {Password: true}}})
	wantIs(t, failures["the password of "+w.user().User.String()], ErrWithheld)
	w.failed(before + maxFailures)
}

// TestChangeThatIsOwed: where a change was never asked for, and what is to be
// changed may be wrong by the time that it can be, that is a login like others.
func TestChangeThatIsOwed(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.locksAtThree()
	w.cloud.Fail(practice.Limited(changeRoute, "30"))
	wantIs(t, w.rotatePassword(), ErrStalled)
	w.cloud.Heal()
	w.regenerated()
	_, _ = w.found("wrong-1")
	_, _ = w.found("wrong-2")
	w.clock.step(time.Hour)
	_, failures := w.GoOn(t.Context())
	wantIs(t, failures["the password of "+w.user().User.String()], ErrWithheld)
	w.failed(maxFailures)
	w.settleDown()
	w.works(maxFailures)
}

// verifyAll is a person's verify of all that there is.
func (w *world) verifyAll() (failures []error) {
	round := w.Round()
	for _, name := range slices.Sorted(maps.Keys(w.Contents().Environments)) {
		failures = append(failures, round.Verify(w.Context(), name))
	}
	return failures
}

// TestVerifyOfAllSendsOnce: a person's command sends what fails once, for however
// many environments of its user, and no more while nobody answers.
func TestVerifyOfAllSendsOnce(t *testing.T) {
	lost := practice.Fault{Route: tokenRoute, Break: practice.Cut, AfterWork: true}
	for name, c := range map[string]struct {
		wrong func(w *world)
		check func(t testing.TB, err error)
	}{
		"refused": {func(*world) {}, wantRefused},
		"lost":    {func(w *world) { w.cloud.Fail(lost) }, func(t testing.TB, err error) { wantIs(t, err, cloud.ErrUnreachable) }},
		"504": {func(w *world) { w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 504, AfterWork: true}) },
			func(t testing.TB, err error) { wantIs(t, err, cloud.ErrUnreachable) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			w.locksAtThree()
			w.regenerated()
			c.wrong(w)
			for _, err := range w.verifyAll() {
				c.check(t, err)
			}
			if n := w.refusals(); n != 1 {
				t.Errorf("sent %d times", n)
			}
			w.cloud.Heal()
			w.cloud.Fail(practice.Fault{Route: "*", Break: practice.Cut})
			for _, err := range w.verifyAll() {
				if err == nil {
					t.Error("nobody answers, and it is verified")
				}
			}
			w.cloud.Heal()
			w.failed(1)
		})
	}
}

// TestVerifyOfAllOfALockedAccount: it is asked about once a command.
func TestVerifyOfAllOfALockedAccount(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.locksAtThree()
	for range 3 {
		w.locks()
	}
	for range 2 {
		before := w.refusals()
		for _, err := range w.verifyAll() {
			wantRefused(t, err)
		}
		if n := w.refusals() - before; n != 1 {
			t.Errorf("sent %d times", n)
		}
	}
	w.clock.step(time.Hour)
	for _, err := range w.verifyAll() {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestVerifyOfAllInDoubt: of a change whose answer is lost each password is sent
// once a command, too.
func TestVerifyOfAllInDoubt(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	dead := false
	w.fault = func(point string) error {
		if dead = dead || point == "change: sent"; dead {
			return errDied
		}
		return nil
	}
	_ = w.rotatePassword()
	w.open()
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Break: practice.Cut, AfterWork: true})
	before := w.refusals()
	for _, err := range w.verifyAll() {
		wantIs(t, err, cloud.ErrUnreachable)
	}
	if n := w.refusals() - before; n != 1 {
		t.Errorf("sent %d times", n)
	}
	w.cloud.Heal()
	for _, err := range w.verifyAll() {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestVerifyOfAllAsksOn: what nobody heard is no failure of the user's, nor is a
// project that is not his.
func TestVerifyOfAllAsksOn(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.open()
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 503, Times: 1})
	if failures := w.verifyAll(); failures[0] == nil || failures[1] != nil {
		t.Errorf("unheard: %v", failures)
	}
	w.cloud.LeaveProject(w.name(), w.cloud.User.Projects["dev-ccontini"])
	w.clock.step(2 * time.Second)
	if failures := w.verifyAll(); failures[0] == nil || failures[1] != nil {
		t.Errorf("no project: %v", failures)
	}
}

// TestChangeThatIsOwedAndLost: what was right when the rotation began, and is sent
// much later to be changed, may have failed if nobody answers.
func TestChangeThatIsOwedAndLost(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.locksAtThree()
	w.cloud.Fail(practice.Limited(changeRoute, "30"))
	wantIs(t, w.rotatePassword(), ErrStalled)
	w.cloud.Heal()
	w.regenerated()
	w.open()
	w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	w.clock.step(time.Hour)
	for range 3 {
		_, _ = w.GoOn(t.Context())
		w.clock.step(lastPause)
	}
	w.failed(maxFailures)
	w.settleDown()
	w.works(maxFailures)
}
