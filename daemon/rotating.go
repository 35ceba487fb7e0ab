package daemon

import (
	"context"
	"time"
)

// longestSleep is after how long the clock is looked at anew: a timer stands
// still while the machine sleeps.
const longestSleep = 5 * time.Minute

// goOn begins the rotations that are due and goes on with those that are under
// way, until ctx ends. It shares no loop with the checks: a cloud that hangs over
// them must not hold up another's password, which is in doubt until then.
func (d *Daemon) goOn(ctx context.Context) {
	var stalled map[string]error
	timer := time.NewTimer(longestSleep)
	for {
		wait := longestSleep
		if o := d.open.Load(); o != nil {
			d.resume(o)
			if err := o.keeper.ClockSetBack(); err != nil {
				d.Log.Error("moments yet to come", "error", err)
			}
			due := d.beginDue(ctx, o)
			rotation, failures := o.keeper.GoOn(ctx)
			d.tellStalled(failures, stalled)
			stalled = failures
			if !rotation.IsZero() {
				wait = min(wait, max(rotation.Sub(d.now()), 0))
			}
			if !due.IsZero() {
				wait = min(wait, max(due.Sub(d.now()), time.Second))
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.kick:
		}
	}
}

// resume brings a store that was just opened in line with what a kill may have
// parted, before anything is asked.
func (d *Daemon) resume(o *opened) {
	o.resuming.Do(func() {
		if err := o.keeper.Resume(); err != nil {
			d.Log.Error("resume", "error", err)
		}
	})
}

// beginDue begins what the schedule says is due, and returns when something else
// is.
func (d *Daemon) beginDue(ctx context.Context, o *opened) time.Time {
	next, failures := o.keeper.BeginDue(ctx, d.schedule)
	for _, err := range failures {
		d.Log.Warn("a scheduled rotation does not begin, and is tried again in a day", "outcome", outcomeOf(err))
	}
	return next
}

// tellStalled logs the rotations that could not go on, each time that one
// begins to stall.
func (d *Daemon) tellStalled(now, before map[string]error) {
	for subject := range now {
		if _, known := before[subject]; !known {
			d.Log.Warn("a rotation stalls and goes on by itself")
		}
	}
}
