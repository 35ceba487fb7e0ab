package rotate

import (
	"errors"
	"testing"
	"time"
)

// TestClockBackInRotation: the wait for a later second of the cloud's is no longer
// than that where the clock was set back after the change.
func TestClockBackInRotation(t *testing.T) {
	w := newWorld(t)
	w.both()
	died := false
	w.fault = func(p string) error {
		if died || p == "find: recorded" {
			died = true
			return errDied
		}
		return nil
	}
	_ = w.rotatePassword()
	w.open()
	w.clock.step(-8 * time.Hour)
	w.clock.skews(8 * time.Hour) // the cloud's is right
	var waited time.Duration
	after := w.after
	w.after = func(d time.Duration) <-chan time.Time { waited += d; return after(d) }
	_, failures := w.GoOn(t.Context())
	if waited == 0 || waited > 2*time.Second || len(failures) > 0 {
		t.Errorf("waited %v: %v", waited, failures)
	}
}

// TestClockBackSchedule: what a schedule and a drain count from is never yet to
// come, though the clock was a year ahead.
func TestClockBackSchedule(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			s := Schedule{Every: 90 * 24 * time.Hour}
			w.clock.step(year)
			w.BeginDue(t.Context(), s)
			w.GoOn(t.Context())
			w.clock.step(-year)
			if restart {
				w.open()
			}
			if err := w.ClockSetBack(); err != nil {
				t.Fatal(err)
			}
			if j := w.journal(); j == nil || Step(j.Step) != StepDrain {
				t.Fatalf("journal %+v", j)
			}
			if until, _ := w.GoOn(t.Context()); until.After(w.clock.Now().Add(testGrace)) || until.Before(w.clock.Now().Add(testGrace).Add(-time.Second)) {
				t.Errorf("at %v the drain goes on at %v", w.clock.Now(), until)
			}
			next, _ := w.BeginDue(t.Context(), s)
			if next.After(w.clock.Now().Add(s.Every)) || next.Before(w.clock.Now().Add(s.Every/2)) {
				t.Errorf("at %v the next is due %v", w.clock.Now(), next)
			}
		})
	}
}

// TestClockBackKeepsLeases: what was lent while the clock was ahead is believed to
// last until then, and so is not deleted before.
func TestClockBackKeepsLeases(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.clock.step(48 * time.Hour)
	w.open()
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	w.GoOn(t.Context())
	end := w.Contents().LeasesEnd
	w.clock.step(-47 * time.Hour)
	w.open()
	if until, _ := w.GoOn(t.Context()); until.Before(end) || !end.After(w.clock.Now().Add(24*time.Hour)) {
		t.Errorf("at %v the drain goes on at %v, and leases end at %v", w.clock.Now(), until, end)
	}
}

// TestClockBackRefused: a person's verify waits an hour at most, though the refusal
// was recorded while the clock was ahead.
func TestClockBackRefused(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.Enable(w.cloud.User.Name, false)
	w.clock.step(30 * 24 * time.Hour)
	if err := w.Verify(t.Context(), "dev", false); err == nil {
		t.Fatal("it is accepted")
	}
	w.clock.step(-30 * 24 * time.Hour)
	w.cloud.Enable(w.cloud.User.Name, true)
	if err := w.ClockSetBack(); err != nil {
		t.Fatal(err)
	}
	var no *RefusedError
	if err := w.Verify(t.Context(), "dev", true); !errors.As(err, &no) || !no.Until.Equal(w.clock.Now().Add(refusedPause)) {
		t.Errorf("verify: %v", err)
	}
	w.clock.step(refusedPause)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
