package daemon

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRecurring: what recurs is spread by a fifth, around what it should be.
func TestRecurring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecurring(time.Minute)
		defer r.stop()
		least, most := time.Hour, time.Duration(0)
		for range 1000 {
			before := time.Now()
			<-r.due
			waited := time.Since(before)
			least, most = min(least, waited), max(most, waited)
			r.again()
		}
		if least < 54*time.Second || most > 66*time.Second || least > 56*time.Second || most < 64*time.Second {
			t.Errorf("from %v to %v", least, most)
		}
	})
}

// TestRecurringAnew: one that was asked out of turn waits its whole time again.
func TestRecurringAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecurring(time.Minute)
		defer r.stop()
		time.Sleep(50 * time.Second)
		r.again()
		before := time.Now()
		<-r.due
		if waited := time.Since(before); waited < 54*time.Second {
			t.Errorf("fired after %v", waited)
		}
	})
}

// TestRecurringNever: every 0 is never, and asking it again changes nothing.
func TestRecurringNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecurring(0)
		r.again()
		select {
		case <-r.due:
			t.Error("fired")
		case <-time.After(365 * 24 * time.Hour):
		}
		r.stop()
	})
}
