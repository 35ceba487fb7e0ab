package rotate

import (
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
		"500": {Status: 500}, "502": {Status: 502}, "504": {Status: 504}, "cut": {Break: practice.Cut}, "torn": {Break: practice.Torn},
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
