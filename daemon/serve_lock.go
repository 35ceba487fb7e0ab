package daemon

import (
	"context"
	"errors"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// lockNow locks; the answer comes from the next image of the process.
func (d *Daemon) lockNow(r *request) (any, error) {
	err := d.lock(r.w, "")
	if errors.Is(err, errEnding) {
		return hijacked{}, nil
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// unlockNow opens the store with what a person gives.
func (d *Daemon) unlockNow(r *request) (any, error) {
	in, err := decode[ipc.UnlockRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Passphrase == "" && d.keyring.NeedsPassphrase() && d.open.Load() == nil {
		return nil, usage("the %s keyring needs a passphrase", d.keyring.Backend())
	}
	ctx, cancel := context.WithTimeout(r.Context(), personTimeout)
	defer cancel()
	if err := d.unlock(ctx, account.NewSecret(in.Passphrase), in.AcceptOlder); err != nil {
		d.Log.Warn("unlock", "error", err)
		return nil, err
	}
	return struct{}{}, nil
}

// changePassphrase replaces the passphrase of the file keyring.
func (d *Daemon) changePassphrase(r *request) (any, error) {
	in, err := decode[ipc.PassphraseRequest](r)
	if err != nil {
		return nil, err
	}
	if !d.keyring.NeedsPassphrase() {
		return nil, usage("the %s keyring has no passphrase of ours", d.keyring.Backend())
	}
	if in.New == "" {
		return nil, usage("the new passphrase is empty")
	}
	d.opening.Lock()
	defer d.opening.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), personTimeout)
	defer cancel()
	if err := d.keyring.ChangePassphrase(ctx, account.NewSecret(in.Old), account.NewSecret(in.New)); err != nil {
		return nil, err
	}
	d.record(r.open, audit.Entry{Event: "passphrase-changed"})
	return struct{}{}, nil
}

// backup seals the store with a passphrase of its own.
func (d *Daemon) backup(r *request) (any, error) {
	in, err := decode[ipc.BackupRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Passphrase == "" {
		return nil, usage("a backup needs a passphrase")
	}
	data, err := r.open.vault.Backup(account.NewSecret(in.Passphrase))
	if err != nil {
		return nil, err
	}
	d.record(r.open, audit.Entry{Event: "backup"})
	return reply{contentType: "application/octet-stream", body: data}, nil
}

// restore brings what a backup holds, as unverified; what is there already
// under the same name stays.
func (d *Daemon) restore(r *request) (any, error) {
	in, err := decode[ipc.RestoreRequest](r)
	if err != nil {
		return nil, err
	}
	old, err := vault.ReadBackup(in.Data, account.NewSecret(in.Passphrase))
	if err != nil {
		return nil, err
	}
	changes, err := r.open.keeper.Restore(old, in.NoVerify, in.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	out := ipc.Changes{Changes: []ipc.Change{}}
	for _, o := range changes {
		change := ipc.Change{Environment: o.Environment, Action: "unchanged", Notes: o.Notes}
		if o.Added {
			change.Action = "added"
		}
		if o.Err != nil {
			change.Action, change.Error = "failed", wireError(o.Err)
		}
		d.describe(r, &change)
		out.Changes = append(out.Changes, change)
	}
	d.record(r.open, audit.Entry{Event: "restored"})
	return out, nil
}
