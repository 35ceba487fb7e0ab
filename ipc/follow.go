package ipc

import (
	"bytes"
	"context"
	"time"
)

// How long Follow waits before it connects again, from first to last.
const (
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = 2 * time.Second
)

// Follow calls look whenever what the daemon serves may have changed, until ctx
// ends: when it has connected to the daemon's events, at each event from then
// on, and when the connection is lost. It outlives locks and restarts of the
// daemon. An event is a hint and no more: look has to see for itself. Leases
// are no hint, for what looks might cause one.
func Follow(ctx context.Context, look func()) {
	for pause := firstReconnect; ; pause = min(2*pause, lastReconnect) {
		connected := false
		_ = stream(ctx, "GET", "/v1/events", nil, func() {
			connected = true
			look()
		}, func(line []byte) error {
			if !bytes.Contains(line, []byte(`"event":"lease"`)) {
				look()
			}
			return nil
		})
		if connected && ctx.Err() == nil {
			pause = firstReconnect
			look()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
