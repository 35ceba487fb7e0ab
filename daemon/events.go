package daemon

import (
	"sync"

	"github.com/cloud-ca/ccad/ipc"
)

// feedBuffer is how many events a reader may be behind before it is let go.
const feedBuffer = 256

// A feed gives every event to every reader. A reader that does not keep up
// loses the feed, not the daemon its time.
type feed struct {
	mu      sync.Mutex
	readers map[chan ipc.Event]struct{}
}

func newFeed() *feed { return &feed{readers: map[chan ipc.Event]struct{}{}} }

// subscribe returns a channel of events; it is closed when the reader falls
// behind. cancel ends it.
func (f *feed) subscribe() (events <-chan ipc.Event, cancel func()) {
	c := make(chan ipc.Event, feedBuffer)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers[c] = struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, c)
	}
}

// publish never waits.
func (f *feed) publish(e ipc.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.readers {
		select {
		case c <- e:
		default:
			delete(f.readers, c)
			close(c)
		}
	}
}
