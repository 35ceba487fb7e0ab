package rotate

import (
	"errors"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
)

// How long a rotation pauses after a step that failed: it doubles.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Minute
)

// stalled remembers a failed step and returns when to try again.
func (k *Keeper) stalled(id string, err error) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.stalls[id]
	t.Count++
	t.At = k.now().Add(min(firstPause<<min(t.Count-1, 16), lastPause))
	t.Err = err
	if limited := (*cloud.Error)(nil); errors.As(err, &limited) && limited.RetryAfter > 0 {
		if at := k.now().Add(limited.RetryAfter); at.After(t.At) {
			t.At = at
		}
	}
	var no *RefusedError
	if errors.As(err, &no) {
		t.At = k.now().Add(lastPause) // until a person acts
	}
	k.stalls[id] = t
	return t.At
}

func (k *Keeper) unstalled(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.stalls, id)
}

// A stall is a rotation that could not go on.
type stall struct {
	At    time.Time // when to try again
	Count int
	Err   error
}

func (k *Keeper) stallOf(id string) (stall, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.stalls[id]
	return s, ok
}
