package daemon

import (
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// feedBuffer is how many times what happens at once a reader may be behind before
// it is let go: one commit may be news of 10,000 environments.
const feedBuffer = 256

// A feed gives every event to every reader. A reader that does not keep up
// loses the feed, not the daemon its time.
type feed struct {
	mu      sync.Mutex
	readers map[chan []ipc.Event]struct{}
}

func newFeed() *feed { return &feed{readers: map[chan []ipc.Event]struct{}{}} }

// subscribe returns a channel of events; it is closed when the reader falls
// behind. cancel ends it.
func (f *feed) subscribe() (events <-chan []ipc.Event, cancel func()) {
	c := make(chan []ipc.Event, feedBuffer)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers[c] = struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, c)
	}
}

// publish tells what happened at once. It never waits.
func (f *feed) publish(events ...ipc.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.readers {
		select {
		case c <- events:
		default:
			delete(f.readers, c)
			close(c)
		}
	}
}

// verdictOn is the event of an environment about which the cloud thinks
// otherwise after a commit; "" where it does not.
func verdictOn(before, after *vault.Contents, was, is vault.Environment, now time.Time) string {
	if was.ID != is.ID {
		return ""
	}
	state := rotate.EnvironmentState(after, is, now)
	if state == rotate.EnvironmentState(before, was, now) {
		return ""
	}
	switch state {
	case rotate.StateRefused, rotate.StateLockedOut:
		return "refused"
	case rotate.StateOK, rotate.StateExpiring:
		return "verified"
	}
	return ""
}

// tellRefused tells whoever watches of an offer that the cloud refused: nothing
// is stored of it, and so no commit tells.
func (d *Daemon) tellRefused(user, environment string, err error) {
	if wire := wireError(err); wire.Code == ipc.CodeRefused {
		d.feed.publish(ipc.Event{Time: d.now(), Event: "refused", User: user, Environment: environment, Message: wire.Message})
	}
}
