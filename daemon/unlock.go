package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// opened is what exists only while ccad is unlocked.
type opened struct {
	vault  *vault.Vault
	keeper *rotate.Keeper
	ledger *rotate.Ledger
	trail  *audit.Trail
	cloud  *cloud.Cloud

	warning       string      // for status: what is wrong with the audit trail
	checkpointing atomic.Bool // one checkpoint at a time
	resuming      sync.Once   // Resume, before anything is asked
}

// errOvertaken is what an unlock ends with when a lock came in between.
var errOvertaken = &ipc.Error{Code: ipc.CodeLocked, Message: "ccad was locked meanwhile"}

// keyringTimeout bounds a keyring without a person; a person types slower.
const (
	keyringTimeout = 10 * time.Second
	personTimeout  = 2 * time.Minute
	maxPassphrase  = 4096
)

// openAtStart opens without a person where that is possible and allowed. After
// an explicit lock only --passphrase-file may.
func (d *Daemon) openAtStart(ctx context.Context) error {
	if d.Inherited.Relocked() {
		return nil
	}
	passphrase, explicit, err := d.passphraseAtStart()
	if err != nil {
		return fmt.Errorf("read the passphrase: %w", err)
	}
	if !explicit && vault.IsLocked(d.DataDir) {
		return nil
	}
	if passphrase.Empty() && d.keyring.NeedsPassphrase() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keyringTimeout)
	defer cancel()
	return d.unlock(ctx, passphrase, false)
}

// readPassphrase reads one, without its final newline.
func readPassphrase(path string) (account.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return account.Secret{}, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return account.Secret{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxPassphrase {
		return account.Secret{}, fmt.Errorf("%s is longer than %d bytes", path, maxPassphrase)
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	if len(data) == 0 {
		return account.Secret{}, fmt.Errorf("%s is empty", path)
	}
	return account.NewSecret(string(data)), nil
}

// unlock opens the store. It does nothing if it is open already. acceptOlder
// takes a store that is older than one seen before.
func (d *Daemon) unlock(ctx context.Context, passphrase account.Secret, acceptOlder bool) error {
	if d.Unfit != nil {
		return d.Unfit
	}
	if !d.beginUnlock() {
		return errOvertaken
	}
	defer d.unlocks.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.image, cancel)()
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.open.Load() != nil {
		if passphrase.Empty() || !d.keyring.NeedsPassphrase() {
			return nil
		}
		_, err := d.keyring.Master(ctx, passphrase) // a wrong one is told of now, not when it is needed
		return err
	}
	o, older, err := d.openStore(ctx, passphrase, acceptOlder)
	if d.image.Err() != nil {
		err = errOvertaken
	}
	if err != nil {
		o.drop()
		return err
	}
	if err := d.gens.publish(nil, o.vault.Contents()); err != nil {
		d.Log.Error("generations", "error", err)
	}
	if err := d.install(o); err != nil {
		o.drop()
		return err
	}
	d.lookAfter(o.vault.Contents())
	if o.vault.Contents().AuditHead.Open {
		note := fmt.Sprintf("ccad ended without a word: lines after line %d may be missing", o.trail.Head().Line)
		d.record(o, audit.Entry{Event: audit.EventCutShort, Note: note})
	}
	d.record(o, audit.Entry{Event: "unlocked"})
	if older != "" {
		d.record(o, audit.Entry{Event: "older-store-accepted", Note: older})
	}
	d.checkpoint(o, true)
	d.feed.publish(ipc.Event{Time: d.now(), Event: "unlocked"})
	d.look()
	kick(d.askPortal)
	return nil
}

// beginUnlock counts an unlock, unless a lock is replacing the process.
func (d *Daemon) beginUnlock() bool {
	d.marking.Lock()
	defer d.marking.Unlock()
	if d.image.Err() != nil {
		return false
	}
	d.touched = true
	d.unlocks.Add(1)
	return true
}

// install makes what was opened the state of ccad, unless a lock came first.
func (d *Daemon) install(o *opened) error {
	d.marking.Lock()
	defer d.marking.Unlock()
	if d.image.Err() != nil {
		return errOvertaken
	}
	if err := vault.ClearLocked(d.DataDir); err != nil {
		return err
	}
	d.open.Store(o)
	return nil
}

// closedBy notes what no passphrase mends.
func (d *Daemon) closedBy(err error) { d.unreadable.Store(&err) }

// openStore reads everything there is to read. older says how old a store is
// that was accepted all the same.
func (d *Daemon) openStore(ctx context.Context, passphrase account.Secret, acceptOlder bool) (o *opened, older string, err error) {
	master, err := d.keyring.Master(ctx, passphrase)
	if err != nil {
		err = fmt.Errorf("unlock the keyring: %w", err)
		if errors.Is(err, vault.ErrMissing) || errors.Is(err, vault.ErrCorrupt) || errors.Is(err, vault.ErrForeign) {
			d.closedBy(err)
		}
		return nil, "", err
	}
	trailPath := filepath.Join(d.StateDir, "audit.jsonl")
	last, err := audit.Last(trailPath)
	if err != nil {
		d.Log.Warn("audit trail", "error", err)
	}
	v, err := vault.Open(d.DataDir, master, last.Store)
	if errors.Is(err, vault.ErrOlder) && acceptOlder {
		if v, err = vault.Open(d.DataDir, master, 0); err == nil {
			older = fmt.Sprintf("its number is %d, %d was seen", v.Contents().Sequence, last.Store)
			err = v.RenewGatewayKey()
		}
	}
	if err != nil {
		err = fmt.Errorf("open the store: %w", err)
		d.closedBy(err)
		return nil, "", err
	}
	frugal()
	d.unreadable.Store(nil)
	o = &opened{vault: v, cloud: d.newCloud(), ledger: rotate.NewLedger(d.now, alive)}
	if o.trail, o.warning, err = d.openTrail(trailPath, v.Contents()); err != nil {
		return o, "", fmt.Errorf("open the audit trail: %w", err)
	}
	o.ledger.Keep(d.leases.load(), d.leases.save)
	o.keeper = rotate.New(v, o.cloud, d.now, func(before, after *vault.Contents, why string) { d.changed(o, before, after, why) })
	patience := rotate.Patience{Ledger: o.ledger, Grace: time.Duration(*d.Config.Rotate.Grace), Lease: time.Duration(d.Config.Serve.Lease)}
	if err := o.keeper.SetPatience(patience); err != nil {
		d.Log.Warn("moments yet to come", "error", err)
	}
	if older != "" {
		err = o.keeper.Doubt()
	}
	return o, older, err
}

// drop gives up what was opened in vain: the memory goes back to the kernel,
// which zeroes it. The next lock replaces the process all the same.
func (o *opened) drop() {
	if o == nil {
		return
	}
	if o.trail != nil {
		_ = o.trail.Close()
	}
	*o = opened{}
	debug.FreeOSMemory()
}
