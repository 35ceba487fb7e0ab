package daemon

import (
	"context"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
)

// checkOwed asks the cloud about values that were stored unverified, once it
// may have an answer, and goes on with rotations, until ctx ends.
func (d *Daemon) checkOwed(ctx context.Context) {
	tries := map[string]rotate.Try{} // by account.Environment.ID
	var stalled map[string]error
	var resumed *opened
	timer := time.NewTimer(time.Hour)
	for {
		wait := time.Hour
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
			rotation, failures := o.keeper.GoOn(ctx)
			d.tellStalled(failures, stalled)
			stalled = failures
			if !rotation.IsZero() {
				wait = max(rotation.Sub(d.now()), 0)
			}
			if _, next := rotate.Owed(o.keeper.Contents(), tries, d.now()); !next.IsZero() {
				wait = min(wait, max(next.Sub(d.now()), time.Second))
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
	outcome := outcomeOf(err)
	d.metrics.checks.WithLabelValues(outcome).Inc()
	t := tries[e.ID]
	tries[e.ID] = rotate.Try{At: d.now(), Count: t.Count + 1}
	if now, _, gone := o.keeper.Environment(name); gone != nil || !rotate.Awaits(o.keeper.Contents(), now) {
		delete(tries, e.ID) // settled, one way or the other
	} else if t.Count == 0 {
		d.Log.Warn("check", "outcome", outcome, "environment", name)
	}
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
