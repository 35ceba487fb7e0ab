package daemon

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cloud-ca/ccad/daemon/session"
)

// This file has the locks that nobody asks for: after idle time, before the
// machine sleeps, with the session. They are locks like any other, durable
// marker included: what a stored credential could undo would protect nothing.

// napLimit is how long the idle clock looks away: a machine that has slept
// meanwhile is found out by then.
const napLimit = 30 * time.Second

// logindPatience bounds the pauses between attempts to reach logind.
const logindPatience = time.Minute

// attention is when a client last asked for something.
type attention struct{ at atomic.Pointer[time.Time] }

func (a *attention) note(now time.Time) { a.at.Store(&now) }

// idle is how long nobody asked, by the clock that goes on in a machine's sleep
// or by the one that nobody can set, whichever says more.
func (a *attention) idle(now time.Time) time.Duration {
	last := a.at.Load()
	if last == nil {
		return 0
	}
	return max(now.Sub(*last), now.Round(0).Sub(last.Round(0)))
}

// lockWhenIdle locks once no client has asked for as long as the config says.
// A request to the S3 gateway that is under way is one, and so is an unlock:
// its passphrase takes a while to stretch.
func (d *Daemon) lockWhenIdle(ctx context.Context) {
	limit := time.Duration(d.Config.Lock.Idle)
	if limit == 0 {
		return
	}
	for ctx.Err() == nil {
		if d.s3.busy() || d.beingOpened() {
			d.asked.note(d.now())
		}
		left := limit - d.asked.idle(d.now())
		if left <= 0 {
			d.lockUnasked(fmt.Sprintf("no request for %v", limit))
			left = limit
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(left, napLimit)):
		}
	}
}

// beingOpened reports whether an unlock is under way.
func (d *Daemon) beingOpened() bool {
	if !d.opening.TryLock() {
		return true
	}
	d.opening.Unlock()
	return false
}

// lockUnasked locks, if there is anything to forget.
func (d *Daemon) lockUnasked(why string) {
	d.marking.Lock()
	touched := d.touched
	d.marking.Unlock()
	if !touched {
		return
	}
	d.Log.Info("lock", "why", why)
	if err := d.lock(nil, why); err != nil {
		d.Log.Error("lock", "why", why, "error", err)
	}
}

// followLogind locks before the machine sleeps, and with the user's session, as
// the config says. While logind can't be followed, status says so.
func (d *Daemon) followLogind(ctx context.Context) {
	m := session.Moments{Ready: func(undelayed error) {
		if undelayed != nil {
			d.Log.Warn("logind", "error", undelayed)
			d.logindLost.Store("the machine may sleep before ccad is locked: " + undelayed.Error())
			return
		}
		d.logindLost.Store("")
	}}
	if d.Config.Lock.OnSuspend {
		m.Sleep = func() { d.lockUnasked("the machine goes to sleep") }
	}
	if d.Config.Lock.OnSessionLock {
		m.Lock = func() { d.lockUnasked("the session is locked") }
	}
	if m.Sleep == nil && m.Lock == nil {
		return
	}
	for pause := time.Second; ; pause = min(2*pause, logindPatience) {
		err := session.FollowLogind(ctx, m)
		if ctx.Err() != nil {
			return
		}
		why := "it does not lock with the session or the machine's sleep: " + err.Error()
		if lost, _ := d.logindLost.Swap(why).(string); lost != why {
			d.Log.Warn("logind", "error", err)
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
