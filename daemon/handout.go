package daemon

import (
	"cmp"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// hasKeys reports whether there is an S3 key that may be served.
func hasKeys(e vault.Environment) bool {
	_, ok := e.Keys.Active()
	return ok && rotate.MayServeKeys(e) == nil
}

// held is what of an environment a client was given, and the version that is
// told: that of a gateway key's S3 key too, which it does not hold.
type held struct {
	version int
	rotate.Held
}

// holds adds to it; the first version is the one that is told.
func (h *held) holds(n int, part *int) { h.version, *part = cmp.Or(h.version, n), n }

// handOut records that a client was given secrets: a lease, a line in the audit
// trail, an event. A view without an end lasts as long as who holds it: the
// program that ccactl becomes, or the shell that called it.
func (d *Daemon) handOut(r *request, e vault.Environment, what string, given held, until time.Time) {
	d.used.note(e.ID)
	client, parentPID := processOf(r.pid)
	parent, _ := processOf(parentPID)
	holder := parent
	if what == rotate.ViewExec || parentPID == 0 {
		holder = client
	}
	lease := rotate.Lease{
		Environment: e.ID, View: what, Version: given.version, Held: given.Held,
		Holder: holder, Parent: parent.Program, Until: until,
	}
	switch {
	case r.holder != "":
		d.lendTo(r, lease)
	case r.URL.Query().Get("anew") == "true": // what it ran before has ended
		r.open.ledger.Succeed(lease, 0)
	case strings.Contains(what, "/hook-"): // the shell has it in place of what it had; what it started meanwhile may have that yet
		r.open.ledger.End(e.ID, what, holder)
		r.open.ledger.Add(lease)
	default:
		r.open.ledger.Add(lease)
	}
	d.metrics.served.WithLabelValues(what).Inc()
	d.record(r.open, audit.Entry{
		Event: "handed-out", Environment: e.Name, View: what, Version: given.version,
		PID: client.PID, Program: client.Program, Parent: parent.Program, Note: r.holder,
	})
	d.feed.publish(ipc.Event{Time: d.now(), Event: "lease", Environment: e.Name, Generation: e.Generation, Message: what})
}

// lendTo records a lease of a file or a unit, which nobody sees end: it lasts
// until the same holder is given the view anew.
func (d *Daemon) lendTo(r *request, lease rotate.Lease) {
	lease.Holder, lease.Parent = rotate.Process{Program: r.holder}, ""
	lapse := time.Duration(0) // a unit that starts has ended before
	if r.holds() == "file" {
		d.rendered.Store(r.holder, d.now())
		lapse = rewriting
	}
	r.open.ledger.Succeed(lease, lapse)
}

// rewriting is how long a file may still hold what it held, after its new
// contents were given: it is yet to be written, and read by its program.
const rewriting = time.Minute

// holds says what kind of holder a request has, other than a process: "file",
// "unit" or none.
func (r *request) holds() string {
	switch {
	case r.holder == "":
		return ""
	case strings.HasPrefix(r.holder, "/"):
		return "file"
	}
	return "unit"
}
