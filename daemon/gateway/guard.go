package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// stallLimit ends an exchange in which no byte has moved in any direction. It
// is long because a server that copies gigabytes says nothing meanwhile.
const stallLimit = 15 * time.Minute

// A guard ends an exchange that has stalled: a client that neither sends nor
// reads, a server that hangs.
type guard struct {
	limit   time.Duration
	cancel  context.CancelFunc       // of what goes to the server
	client  *http.ResponseController // to unblock what waits for the client
	start   time.Time
	moved   atomic.Int64 // since start
	stalled atomic.Bool

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func newGuard(w http.ResponseWriter, cancel context.CancelFunc, limit time.Duration) *guard {
	g := &guard{limit: limit, cancel: cancel, client: http.NewResponseController(w), start: time.Now()}
	g.mu.Lock()
	g.timer = time.AfterFunc(limit, g.look)
	g.mu.Unlock()
	return g
}

// progress notes that something has moved.
func (g *guard) progress() { g.moved.Store(int64(time.Since(g.start))) }

func (g *guard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return // the connection may be another request's by now
	}
	if left := g.limit - (time.Since(g.start) - time.Duration(g.moved.Load())); left > 0 {
		g.timer.Reset(left)
		return
	}
	g.stalled.Store(true)
	_ = g.client.SetReadDeadline(time.Unix(1, 0))
	_ = g.client.SetWriteDeadline(time.Now().Add(lastWord))
	g.cancel()
}

func (g *guard) stop() {
	g.mu.Lock()
	g.over = true
	g.timer.Stop()
	g.mu.Unlock()
	g.cancel()
}
