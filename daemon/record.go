package daemon

import (
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
	if e.Line >= c.AuditHead.Line+checkpointEvery {
		go d.checkpoint(o)
	}
}

// checkpoint puts the head of the chain into the store.
func (d *Daemon) checkpoint(o *opened) {
	head, err := o.trail.Checkpoint()
	if err != nil {
		d.metrics.auditFailures.Inc()
		d.Log.Warn("audit trail", "error", err)
		return
	}
	err = o.vault.Change(func(c *vault.Contents) error {
		if head.Line > c.AuditHead.Line {
			c.AuditHead = vault.AuditHead{Line: head.Line, MAC: head.MAC}
		}
		return nil
	})
	if err != nil {
		d.Log.Warn("audit trail: checkpoint", "error", err)
	}
}
