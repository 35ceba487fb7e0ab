package session

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long Shut waits for connections that have sent nothing yet, and for
// answers under way. A client of ours writes at once and retries once, so the
// first only bounds how long a silent connection can hold up a lock.
const (
	silentGrace = 20 * time.Millisecond
	drainLimit  = 250 * time.Millisecond
)

// A Gate stands before an http.Server's listener. Shut stops it accepting
// without closing anything: what knocks then waits in the kernel's backlog and
// is served by the next image. Set Gate.ConnState as the server's.
//
// To a loopback port every user of the machine may connect, as often as he
// likes, and keep what he sends from ever being whole. With a Limit that costs us
// no more than so many connections: another one ends that which has been silent, or
// asking, for longest, unless what it asks is proven the owner's; or itself where
// all are.
type Gate struct {
	net.Listener
	Limit int           // of connections at once; 0: none. Set it before the first Accept
	Drain time.Duration // how long Shut waits for answers under way; 0: 250 ms

	parked chan struct{} // closed when Accept has stopped: all it accepted is in conns
	closed chan struct{} // closed by Close
	once   sync.Once

	mu      sync.Mutex
	shut    bool
	conns   map[net.Conn]connection
	changed chan struct{} // closed and replaced at every change of conns
}

type connection struct {
	state  http.ConnState
	since  time.Time
	proven bool // the request under way is: it goes on
	ending bool // to make room: the server does not know yet, and may take it for active
}

// ofConnection is the key of a request's connection in its context.
type ofConnection struct{}

// deadliner is a listener whose Accept can be interrupted.
type deadliner interface{ SetDeadline(time.Time) error }

// NewGate puts a gate before l.
func NewGate(l net.Listener) *Gate {
	return &Gate{Listener: l, parked: make(chan struct{}), closed: make(chan struct{}), conns: map[net.Conn]connection{}, changed: make(chan struct{})}
}

// Accept is Listener.Accept until the gate is shut; then it blocks, since the
// server must neither end nor take another connection, until it is closed.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		l := g.Listener
		g.mu.Unlock()
		c, err := l.Accept()
		g.mu.Lock()
		moved, shut, room := l != g.Listener, g.shut, err != nil || g.roomLocked()
		g.mu.Unlock()
		if moved && err != nil {
			continue
		}
		if shut && err != nil {
			close(g.parked)
			<-g.closed
			return nil, net.ErrClosed
		}
		if !room {
			_ = c.Close()
			continue
		}
		return c, err
	}
}

// roomLocked makes room for one more connection, if there can be any.
func (g *Gate) roomLocked() bool {
	if g.Limit == 0 || len(g.conns) < g.Limit {
		return true
	}
	var oldest net.Conn
	held := 0
	for c, is := range g.conns {
		if is.ending {
			continue
		}
		held++
		if !is.proven && (oldest == nil || is.since.Before(g.conns[oldest].since)) {
			oldest = c
		}
	}
	if held < g.Limit || oldest == nil {
		return held < g.Limit
	}
	g.conns[oldest] = connection{ending: true}
	_ = oldest.Close()
	return true
}

// ConnContext lets Proven know a request's connection. Set it as the server's.
func (g *Gate) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, ofConnection{}, c)
}

// Proven notes that the request with this context is the owner's: its connection
// makes room for no other before it is answered.
func (g *Gate) Proven(ctx context.Context) {
	c, _ := ctx.Value(ofConnection{}).(net.Conn)
	g.mu.Lock()
	defer g.mu.Unlock()
	if is, held := g.conns[c]; held {
		is.proven = true
		g.conns[c] = is
	}
}

// Close closes the listener: the process ends after all.
func (g *Gate) Close() error {
	err := net.ErrClosed
	g.once.Do(func() {
		close(g.closed)
		g.mu.Lock()
		defer g.mu.Unlock()
		err = g.Listener.Close()
	})
	return err
}

// Move lets the gate stand before another listener, and closes the former one. A
// gate that is shut or closed closes the other.
func (g *Gate) Move(l net.Listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := g.shut
	select {
	case <-g.closed:
		ended = true
	default:
	}
	if !ended {
		g.Listener, l = l, g.Listener
	}
	_ = l.Close()
}

// ConnState follows the server's connections.
func (g *Gate) ConnState(c net.Conn, s http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch s {
	case http.StateClosed, http.StateHijacked:
		delete(g.conns, c)
	default:
		if !g.conns[c].ending {
			g.conns[c] = connection{state: s, since: time.Now()}
		}
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// Shut stops accepting and waits until no answer is under way and no
// connection is younger than its grace, Drain at most.
func (g *Gate) Shut() {
	g.mu.Lock()
	g.shut = true
	if d, ok := g.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Unix(1, 0))
	}
	g.mu.Unlock()
	limit := time.After(cmp.Or(g.Drain, drainLimit))
	select {
	case <-g.parked:
	case <-limit:
		return
	}
	for {
		g.mu.Lock()
		busy, wait := g.busyLocked(time.Now())
		changed := g.changed
		g.mu.Unlock()
		if !busy {
			return
		}
		var grace <-chan time.Time
		if wait > 0 {
			grace = time.After(wait)
		}
		select {
		case <-changed:
		case <-grace:
		case <-limit:
			return
		}
	}
}

// busyLocked reports whether a connection is worth waiting for, and how long at
// most the silent ones are.
func (g *Gate) busyLocked(now time.Time) (busy bool, wait time.Duration) {
	for _, c := range g.conns {
		if c.state == http.StateActive {
			busy = true
		} else if left := silentGrace - now.Sub(c.since); left > 0 {
			busy, wait = true, max(wait, left)
		}
	}
	return busy, wait
}
