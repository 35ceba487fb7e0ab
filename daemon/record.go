package daemon

import (
	"fmt"
	"os"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// checkpointEvery is after how many lines the head of the audit chain is put
// into the store, where nobody can shorten the chain behind it unseen.
const checkpointEvery = 256

// record appends to the audit trail. A full disk warns; it denies nothing.
func (d *Daemon) record(o *opened, e audit.Entry) {
	c := o.vault.Contents()
	e.Time, e.Store = d.now().UTC(), c.Sequence
	e, err := o.trail.Append(e)
	if err != nil {
		d.metrics.auditFailures.Inc()
		d.Log.Warn("audit trail", "error", err)
		return
	}
	if e.Line >= c.AuditHead.Line+checkpointEvery && o.checkpointing.CompareAndSwap(false, true) {
		go func() {
			defer o.checkpointing.Store(false)
			d.checkpoint(o, true)
		}()
	}
}

// recordMade puts a line into the trail for what a commit brought from the
// cloud: a key or application credential that was made there, a key that was
// found there. It is derived from the commit, so that whatever fails after it
// takes no line away; a backup's values come unaccepted, and leave none.
func (d *Daemon) recordMade(o *opened, user string, was, is vault.Environment) {
	former, _ := was.Keys.Active()
	if v, ok := is.Keys.Active(); ok && v.ID != former.ID && v.Accepted {
		switch v.Source {
		case "rotation":
			d.record(o, audit.Entry{Event: "key-made", Environment: is.Name, User: user, Version: v.N})
		case "cloud":
			d.record(o, audit.Entry{Event: "adopted", Environment: is.Name, User: user, Version: v.N, Note: "the S3 key that the cloud lists"})
		}
	}
	earlier, _ := was.AppCreds.Active()
	if v, ok := is.AppCreds.Active(); ok && v.ID != earlier.ID && v.Accepted && v.Source == "rotation" {
		d.record(o, audit.Entry{Event: "credential-made", Environment: is.Name, User: user, Version: v.N})
	}
}

// checkpoint puts the head of the chain into the store, if it has moved. It is
// open until a lock or the end: what comes after it a kill may lose, and somebody
// cut off, unseen.
func (d *Daemon) checkpoint(o *opened, open bool) {
	head, err := o.trail.Checkpoint()
	if err != nil {
		d.metrics.auditFailures.Inc()
		d.Log.Warn("audit trail", "error", err)
		return
	}
	news := func(was vault.AuditHead) bool {
		return head.Line > was.Line || head.Line == was.Line && was.Open && !open
	}
	if !news(o.vault.Contents().AuditHead) {
		return
	}
	err = o.vault.Change(func(c *vault.Contents) error {
		if news(c.AuditHead) {
			c.AuditHead = vault.AuditHead{Line: head.Line, MAC: head.MAC, Open: open}
		}
		return nil
	})
	if err != nil {
		d.Log.Warn("audit trail: checkpoint", "error", err)
	}
}

// openTrail goes on with the audit trail. One that an earlier store wrote, whose
// key is gone, is moved aside: a store has a checkpoint from its first hour.
func (d *Daemon) openTrail(path string, c *vault.Contents) (trail *audit.Trail, warning string, err error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && c.AuditHead.Line == 0 {
		aside := path + "." + d.now().UTC().Format("20060102T150405Z")
		if err := os.Rename(path, aside); err != nil {
			return nil, "", err
		}
		d.Log.Warn("the audit trail of an earlier store is moved aside", "to", aside)
	}
	if last, _ := audit.Last(path); last.Line < c.AuditHead.Line { // what can't be read Open refuses
		warning = fmt.Sprintf("the audit trail ends at line %d, and line %d was seen: lines were lost or taken out", last.Line, c.AuditHead.Line)
		d.Log.Warn(warning)
	}
	trail, err = audit.Open(path, c.AuditKey, audit.Head{Line: c.AuditHead.Line, MAC: c.AuditHead.MAC})
	if err == nil && trail.Torn() > 0 {
		d.Log.Warn("the audit trail ended in half a line, which is cut off", "bytes", trail.Torn())
	}
	return trail, warning, err
}
