package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
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
