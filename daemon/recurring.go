package daemon

import (
	"math/rand/v2"
	"time"
)

// recurring fires every so long, spread by a fifth so that many machines do not
// ask a cloud at once; where it is every 0, never.
type recurring struct {
	every time.Duration
	timer *time.Timer
	due   <-chan time.Time
}

func newRecurring(every time.Duration) *recurring {
	if every == 0 {
		return &recurring{}
	}
	r := &recurring{every: every, timer: time.NewTimer(jittered(every))}
	r.due = r.timer.C
	return r
}

// again waits from now on, whether or not it has fired.
func (r *recurring) again() {
	if r.timer != nil {
		r.timer.Reset(jittered(r.every))
	}
}

func (r *recurring) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }
