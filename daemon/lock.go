package daemon

import (
	"net/http"
	"os"
	"time"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// unlockGrace is for an unlock to give up when a lock overtakes it.
const unlockGrace = 2 * time.Second

// lock makes ccad forget everything, by replacing the process. It returns only
// what went wrong before the point of no return; after it, failing ends the
// process, so that no secret outlives a lock. While ccad is ending anyway, that
// end is what makes it forget, and the request gets no answer.
//
// It wins over every unlock under way: from the mark on none opens anything,
// and each has had its answer before the process is replaced, since a client
// without one would ask the next image again.
//
// w gets the answer, from the next image; it is nil where nobody asked, and why
// says what made it.
func (d *Daemon) lock(w http.ResponseWriter, why string) error {
	o, first, err := d.mark()
	if !first {
		return err // another request was first, or there is nothing to forget
	}
	d.awaitUnlocks()
	if o != nil {
		d.record(o, audit.Entry{Event: "locked", Note: why})
		d.checkpoint(o, false)
	}
	d.feed.publish(ipc.Event{Time: d.now(), Event: "locked", Message: why})
	if err := d.gens.lock(); err != nil {
		d.Log.Error("generations", "error", err)
	}
	d.endStreams()
	err = d.replace(w)
	if d.ctx.Err() != nil {
		return errEnding
	}
	d.Log.Error("lock: ccad ends, since it can't forget", "error", err)
	os.Exit(1)
	return err
}

// mark writes the durable marker and closes what is open, in one step. first is
// true for the one lock that has to replace the process. Where the marker can't be
// written, which err is about, locked is better than open.
func (d *Daemon) mark() (o *opened, first bool, err error) {
	d.marking.Lock()
	defer d.marking.Unlock()
	if err = vault.MarkLocked(d.DataDir); err != nil {
		d.Log.Error("lock: a restart will not remember it", "error", err)
	}
	o = d.open.Swap(nil) // from here on every request is answered "locked"
	first = d.touched && d.image.Err() == nil
	if first {
		d.endImage()
	}
	return o, first, err
}

// awaitUnlocks waits until the unlocks under way have given up. A keyring that
// does not let go may hold up a lock no longer than a request under way may.
func (d *Daemon) awaitUnlocks() {
	done := make(chan struct{})
	go func() { d.unlocks.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(unlockGrace):
		d.Log.Warn("lock: an unlock does not give up")
	}
}
