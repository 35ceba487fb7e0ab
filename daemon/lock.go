package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	unlockGrace    = 2 * time.Second // for an unlock to give up when a lock overtakes it
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
	d.record(o, audit.Entry{Event: "unlocked"})
	if older != "" {
		d.record(o, audit.Entry{Event: "older-store-accepted", Note: older})
	}
	if older != "" || o.vault.Contents().AuditHead.Line == 0 {
		d.checkpoint(o)
	}
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

// openStore reads everything there is to read. older says how old a store is
// that was accepted all the same.
func (d *Daemon) openStore(ctx context.Context, passphrase account.Secret, acceptOlder bool) (o *opened, older string, err error) {
	master, err := d.keyring.Master(ctx, passphrase)
	if err != nil {
		return nil, "", fmt.Errorf("unlock the keyring: %w", err)
	}
	trailPath := filepath.Join(d.StateDir, "audit.jsonl")
	atLeast, err := audit.LastStore(trailPath)
	if err != nil {
		d.Log.Warn("audit trail", "error", err)
	}
	v, err := vault.Open(d.DataDir, master, atLeast)
	if errors.Is(err, vault.ErrOlder) && acceptOlder {
		if v, err = vault.Open(d.DataDir, master, 0); err == nil {
			older = fmt.Sprintf("its number is %d, %d was seen", v.Contents().Sequence, atLeast)
			err = v.RenewGatewayKey()
		}
	}
	if err != nil {
		err = fmt.Errorf("open the store: %w", err)
		d.unreadable.Store(err.Error())
		return nil, "", err
	}
	frugal()
	d.unreadable.Store("")
	o = &opened{vault: v, cloud: d.newCloud(), ledger: rotate.NewLedger(d.now, alive)}
	if o.trail, o.warning, err = d.openTrail(trailPath, v.Contents()); err != nil {
		return o, "", fmt.Errorf("open the audit trail: %w", err)
	}
	o.keeper = rotate.New(v, o.cloud, d.now, func(before, after *vault.Contents, why string) { d.changed(o, before, after, why) })
	patience := rotate.Patience{Ledger: o.ledger, Grace: time.Duration(*d.Config.Rotate.Grace), Lease: time.Duration(d.Config.Serve.Lease)}
	if err := o.keeper.SetPatience(patience); err != nil {
		return o, "", err
	}
	return o, older, nil
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
	if last := lastLine(path); last < c.AuditHead.Line {
		warning = fmt.Sprintf("the audit trail ends at line %d, and line %d was seen: lines were lost or taken out", last, c.AuditHead.Line)
		d.Log.Warn(warning)
	}
	trail, err = audit.Open(path, c.AuditKey, audit.Head{Line: c.AuditHead.Line, MAC: c.AuditHead.MAC})
	if err == nil && trail.Torn() > 0 {
		d.Log.Warn("the audit trail ended in half a line, which is cut off", "bytes", trail.Torn())
	}
	return trail, warning, err
}

// lastLine is the number of the trail's last whole line; 0 where there is none.
func lastLine(path string) uint64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	const longest = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > longest {
		_, _ = f.Seek(-longest, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(f, longest))
	data = data[:bytes.LastIndexByte(data, '\n')+1] // what follows is half a line
	data = bytes.TrimSuffix(data, []byte("\n"))
	var line struct {
		Line uint64 `json:"line"`
	}
	_ = json.Unmarshal(data[bytes.LastIndexByte(data, '\n')+1:], &line)
	return line.Line
}

// changed is told of every commit: generations first, then the audit trail, then
// whoever watches.
func (d *Daemon) changed(o *opened, before, after *vault.Contents, why string) {
	if err := d.gens.publish(before, after); err != nil {
		d.Log.Error("generations", "error", err)
	}
	now := d.now()
	for name, e := range after.Environments {
		was := before.Environments[name]
		d.recordMade(o, after.Users[e.UserID].Called, was, e)
		said := ipc.Event{Time: now, Event: why, User: after.Users[e.UserID].Called, Environment: name, Generation: e.Generation}
		if e.Generation != was.Generation {
			d.feed.publish(said)
		}
		verdict := verdictOn(before, after, was, e, now)
		if said.Event = verdict; verdict != "" && (verdict != why || e.Generation == was.Generation) {
			d.feed.publish(said)
		}
	}
	d.recordRotations(o, before, after)
	for name, e := range before.Environments {
		if _, ok := after.Environments[name]; !ok {
			d.feed.publish(ipc.Event{Time: now, Event: "removed", User: before.Users[e.UserID].Called, Environment: name})
		}
	}
	d.tell(before, after)
	if sourcesMoved(before, after) {
		d.lookAfter(after)
	}
	d.look()
}

// look wakes the loops that go by what the store says.
func (d *Daemon) look() {
	kick(d.kick)
	kick(d.askOwed)
}

// kick wakes a loop, now or when it is done with what it does.
func kick(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}

// lock makes ccad forget everything, by replacing the process. It returns only
// what went wrong before the point of no return; after it, failing ends the
// process, so that no secret outlives a lock. While ccad is ending anyway, that
// end is what makes it forget, and the request gets no answer.
//
// It wins over every unlock under way: from the mark on none opens anything,
// and each has had its answer before the process is replaced, since a client
// without one would ask the next image again.
//
// w gets the answer; it is nil where nobody asked, and why says what made it.
func (d *Daemon) lock(w http.ResponseWriter, why string) error {
	o, first, err := d.mark(why != "")
	if err != nil || !first {
		return err // or another request was first, or there is nothing to forget
	}
	d.awaitUnlocks()
	if o != nil {
		d.record(o, audit.Entry{Event: "locked", Note: why})
		d.checkpoint(o)
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
// true for the one lock that has to replace the process. A person hears that a
// lock can't be remembered; where there is none, locked is better than open.
func (d *Daemon) mark(unasked bool) (o *opened, first bool, err error) {
	d.marking.Lock()
	defer d.marking.Unlock()
	if err := vault.MarkLocked(d.DataDir); err != nil && !unasked {
		return nil, false, err
	} else if err != nil {
		d.Log.Error("lock: a restart will not remember it", "error", err)
	}
	o = d.open.Swap(nil) // from here on every request is answered "locked"
	first = d.touched && d.image.Err() == nil
	if first {
		d.endImage()
	}
	return o, first, nil
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
