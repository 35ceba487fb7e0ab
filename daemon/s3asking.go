package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/daemon/rotate"
)

// How long it takes until the same refused key is asked about again: the pause
// doubles from the first to the last, and starts over once nobody has asked for
// some of the last. SDKs give up after a few tries within a second or two, so
// the first is short.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
	forgotten  = 6 * lastPause
)

// asking is how requests that the S3 server refuses make ccad ask Keystone: as
// one, however many they are, and about the same key not at each of them.
type asking struct {
	mu   sync.Mutex
	last map[string]*question // by account.Environment.ID
}

// A question is one about an environment's key, under way or answered.
type question struct {
	pair     account.KeyPair
	answered chan struct{} // closed when it is
	at       time.Time     // when it was
	pause    time.Duration // from then on
}

// about asks about a pair, or waits for the answer if somebody has asked
// already. It does nothing if there was an answer just now.
func (a *asking) about(ctx context.Context, id string, pair account.KeyPair, now func() time.Time, ask func()) {
	for {
		q, mine := a.question(id, pair, now())
		if mine {
			defer a.answer(q, now)
			ask()
			return
		}
		select {
		case <-q.answered:
		case <-ctx.Done():
			return
		}
		if q.pair == pair {
			return
		}
	}
}

// question returns the one that counts: another's, or a new one that is the
// caller's to ask.
func (a *asking) question(id string, pair account.KeyPair, now time.Time) (q *question, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pause := firstPause
	if q = a.last[id]; q != nil {
		select {
		case <-q.answered:
		default:
			return q, false
		}
		switch since := now.Sub(q.at); {
		case q.pair != pair, since >= forgotten:
		case since < q.pause:
			return q, false
		default:
			pause = min(2*q.pause, lastPause)
		}
	}
	if a.last == nil {
		a.last = map[string]*question{}
	}
	q = &question{pair: pair, answered: make(chan struct{}), pause: pause}
	a.last[id] = q
	return q, true
}

func (a *asking) answer(q *question, now func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q.at = now()
	close(q.answered)
}

// keyRejected asks Keystone about a key that the S3 server refuses, or that was
// refused before: it may have been replaced. A server that only can't reach its
// Keystone refuses too, so the answer is taken from Keystone alone.
func (d *Daemon) keyRejected(ctx context.Context, b gateway.Binding) (gateway.Binding, bool) {
	newer := func() (gateway.Binding, bool) {
		now, err := d.bind(b.ID)
		return now, err == nil && now.Refused == nil && (b.Refused != nil || now.Keys != b.Keys)
	}
	if now, ok := newer(); ok {
		return now, ok
	}
	d.s3.asking.about(ctx, b.ID, b.Keys, d.now, func() {
		o := d.open.Load()
		if o == nil {
			return
		}
		if e, ok := o.keeper.EnvironmentByID(b.ID); ok {
			if err := o.keeper.KeyRejected(context.WithoutCancel(ctx), e.Name); err != nil && !errors.Is(err, rotate.ErrWithheld) {
				d.Log.Warn("check a refused S3 key", "environment", e.Name, "error", err)
			}
		}
	})
	now, ok := newer()
	if why := d.unasked(b.ID); !ok && now.Refused == nil && why != "" {
		now.Refused = &gateway.Refusal{Message: "the S3 server refuses the key of this environment, and Keystone can't be asked about it: " + why}
	}
	return now, ok
}

// unasked says why nobody asks Keystone about an environment's key, and what a
// person does about it; "": it is asked, or the S3 server has the word.
func (d *Daemon) unasked(id string) string {
	o := d.open.Load()
	if o == nil {
		return ""
	}
	e, _ := o.keeper.EnvironmentByID(id)
	_, u, err := o.keeper.Environment(e.Name)
	if err != nil {
		return ""
	}
	switch why := rotate.Unasked(e, u); {
	case why == nil:
		return ""
	case errors.Is(why, rotate.ErrAbsent):
		return fmt.Sprintf("no password of user %s is stored: ccactl update --user %[1]s", u.User)
	case errors.Is(why, rotate.ErrWithheld):
		return fmt.Sprintf("the password of %s is unverified: ccactl verify %s", u.User, e.Name)
	default:
		return why.Error() + ": ccactl status"
	}
}
