package daemon

import (
	"context"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
)

// longestSleep is after how long the clock is looked at anew: a timer stands
// still while the machine sleeps.
const longestSleep = 5 * time.Minute

// checkOwed asks the cloud about values that were stored unverified, once it
// may have an answer, begins the rotations that are due and goes on with those
// that are under way, until ctx ends.
func (d *Daemon) checkOwed(ctx context.Context) {
	tries := map[string]rotate.Try{} // by account.Environment.ID
	var stalled map[string]error
	var resumed *opened
	timer := time.NewTimer(longestSleep)
	for {
		wait := longestSleep
		if o := d.open.Load(); o != nil {
			if o != resumed {
				if err := o.keeper.Resume(); err != nil {
					d.Log.Error("resume", "error", err)
				}
				resumed = o
			}
			names, _ := rotate.Owed(o.keeper.Contents(), tries, d.now())
			for _, name := range names {
				d.checkOne(ctx, o, name, tries)
			}
			due := d.beginDue(ctx, o)
			rotation, failures := o.keeper.GoOn(ctx)
			d.tellStalled(failures, stalled)
			stalled = failures
			if !rotation.IsZero() {
				wait = min(wait, max(rotation.Sub(d.now()), 0))
			}
			_, owed := rotate.Owed(o.keeper.Contents(), tries, d.now())
			for _, next := range []time.Time{due, owed} {
				if !next.IsZero() {
					wait = min(wait, max(next.Sub(d.now()), time.Second))
				}
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

func (d *Daemon) checkOne(ctx context.Context, o *opened, name string, tries map[string]rotate.Try) {
	e, _, err := o.keeper.Environment(name)
	if err != nil {
		return
	}
	asked, err := o.keeper.VerifyOwed(ctx, name)
	if !asked {
		return
	}
	outcome := d.heard(e, err)
	d.metrics.checks.WithLabelValues(outcome).Inc()
	t := tries[e.ID]
	tries[e.ID] = rotate.Try{At: d.now(), Count: t.Count + 1}
	if now, _, gone := o.keeper.Environment(name); gone != nil || !rotate.Awaits(o.keeper.Contents(), now) {
		delete(tries, e.ID) // settled, one way or the other
	} else if t.Count == 0 {
		d.Log.Warn("check", "outcome", outcome, "environment", name)
	}
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
