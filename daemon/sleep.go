package daemon

import (
	"context"
	"time"
)

// sleepEvery is how often ccad looks whether the machine has slept.
const sleepEvery = 10 * time.Second

// noticeSleep looks at everything anew after the machine has slept, until ctx
// ends: the timers of a process stand still meanwhile. slept is for how long it
// has since it was booted.
func (d *Daemon) noticeSleep(ctx context.Context, ticks <-chan time.Time, slept func() time.Duration) {
	for before := slept(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		if now := slept(); now-before > time.Second {
			before = now
			d.lookAfterSleep()
		}
	}
}

// lookAfterSleep looks at what may have changed while the machine slept: the
// watched files, the portal, what is in use, what is owed.
func (d *Daemon) lookAfterSleep() {
	d.watched.watcher.Again()
	kick(d.askPortal)
	kick(d.askCloud)
	d.look()
}
