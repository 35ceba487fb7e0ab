package session

import (
	"context"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Signals ends a context at SIGINT or SIGTERM, until Release.
type Signals struct {
	came     chan os.Signal
	released chan struct{}
	settled  chan struct{} // closed when nothing will end the context any more
	once     sync.Once
}

// FollowSignals returns a context that ends with the first signal.
func FollowSignals(parent context.Context) (context.Context, *Signals) {
	ctx, end := context.WithCancel(parent)
	s := &Signals{came: make(chan os.Signal, 1), released: make(chan struct{}), settled: make(chan struct{})}
	signal.Notify(s.came, unix.SIGINT, unix.SIGTERM)
	go func() {
		defer close(s.settled)
		select {
		case <-s.came:
			end()
		case <-s.released:
			select {
			case <-s.came:
				end()
			default:
			}
		}
	}()
	return ctx, s
}

// Release gives the signals back to the system: when it returns, each that came
// before has ended the context, and the next ends the process at once. None is
// swallowed, as signal.Reset would swallow one that the runtime has taken and not
// handed on yet. A nil Signals has none.
func (s *Signals) Release() {
	if s == nil {
		return
	}
	signal.Stop(s.came)
	s.once.Do(func() { close(s.released) })
	<-s.settled
}
