package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// opened is what exists only while ccad is unlocked.
type opened struct {
	vault  *vault.Vault
	keeper *rotate.Keeper
	ledger *rotate.Ledger
	trail  *audit.Trail
}

// keyringTimeout bounds a keyring without a person; a person types slower.
const (
	keyringTimeout = 10 * time.Second
	personTimeout  = 2 * time.Minute
	maxPassphrase  = 4096
)

// openAtStart opens without a person where that is possible and allowed. After
// an explicit lock only --passphrase-file may.
func (d *Daemon) openAtStart(ctx context.Context) error {
	if d.Inherited.Reply != nil {
		return nil // we are the image that a lock made
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
	return d.unlock(ctx, passphrase)
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

// unlock opens the store. It does nothing if it is open already.
func (d *Daemon) unlock(ctx context.Context, passphrase account.Secret) error {
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.open.Load() != nil {
		return nil
	}
	master, err := d.keyring.Master(ctx, passphrase)
	if err != nil {
		return fmt.Errorf("unlock the keyring: %w", err)
	}
	trailPath := filepath.Join(d.StateDir, "audit.jsonl")
	atLeast, err := audit.LastStore(trailPath)
	if err != nil {
		d.Log.Warn("audit trail", "error", err)
	}
	v, err := vault.Open(d.DataDir, master, atLeast)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	c := v.Contents()
	trail, err := d.openTrail(trailPath, c)
	if err != nil {
		return fmt.Errorf("open the audit trail: %w", err)
	}
	o := &opened{vault: v, trail: trail, ledger: rotate.NewLedger(d.now, alive)}
	o.keeper = rotate.New(v, d.newCloud(), d.now, d.changed)
	err = o.keeper.SetPatience(rotate.Patience{Ledger: o.ledger, Grace: time.Duration(d.Config.Rotate.Grace), Lease: time.Duration(d.Config.Serve.Lease)})
	if err != nil {
		return err
	}
	if err := d.gens.publish(nil, c); err != nil {
		return err
	}
	if err := vault.ClearLocked(d.DataDir); err != nil {
		return err
	}
	d.open.Store(o)
	d.record(o, audit.Entry{Event: "unlocked"})
	if c.AuditHead.Line == 0 {
		d.checkpoint(o)
	}
	d.feed.publish(ipc.Event{Time: d.now(), Event: "unlocked"})
	d.look()
	return nil
}

// openTrail goes on with the audit trail. One that an earlier store wrote, whose
// key is gone, is moved aside: a store has a checkpoint from its first hour.
func (d *Daemon) openTrail(path string, c *vault.Contents) (*audit.Trail, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && c.AuditHead.Line == 0 {
		aside := path + "." + d.now().UTC().Format("20060102T150405Z")
		if err := os.Rename(path, aside); err != nil {
			return nil, err
		}
		d.Log.Warn("the audit trail of an earlier store is moved aside", "to", aside)
	}
	trail, err := audit.Open(path, c.AuditKey, audit.Head{Line: c.AuditHead.Line, MAC: c.AuditHead.MAC})
	if err == nil && trail.Torn() > 0 {
		d.Log.Warn("the audit trail ended in half a line, which is cut off", "bytes", trail.Torn())
	}
	return trail, err
}

// changed is told of every commit: generations first, then whoever watches.
func (d *Daemon) changed(before, after *vault.Contents, why string) {
	if err := d.gens.publish(before, after); err != nil {
		d.Log.Error("generations", "error", err)
	}
	now := d.now()
	for name, e := range after.Environments {
		was := before.Environments[name]
		d.recordRotation(name, was, e)
		if e.Generation != was.Generation {
			d.feed.publish(ipc.Event{Time: now, Event: why, User: after.Users[e.UserID].Name, Environment: name, Generation: e.Generation})
		}
	}
	for name, e := range before.Environments {
		if _, ok := after.Environments[name]; !ok {
			d.feed.publish(ipc.Event{Time: now, Event: "removed", User: before.Users[e.UserID].Name, Environment: name})
		}
	}
	d.look()
}

// look wakes the loop that checks what is owed.
func (d *Daemon) look() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// lock makes ccad forget everything, by replacing the process. It returns only
// what went wrong before the point of no return; after it, failing ends the
// process, so that no secret outlives a lock.
func (d *Daemon) lock(w http.ResponseWriter) error {
	if d.open.Load() == nil {
		return vault.MarkLocked(d.DataDir)
	}
	if err := vault.MarkLocked(d.DataDir); err != nil {
		return err
	}
	o := d.open.Swap(nil) // from here on every request is answered "locked"
	if o == nil {
		return nil // another request was first
	}
	d.record(o, audit.Entry{Event: "locked"})
	d.checkpoint(o)
	d.feed.publish(ipc.Event{Time: d.now(), Event: "locked"})
	if err := d.gens.lock(); err != nil {
		d.Log.Error("generations", "error", err)
	}
	close(d.closing)
	err := d.replace(w)
	d.Log.Error("lock: ccad ends, since it can't forget", "error", err)
	os.Exit(1)
	return err
}

func (d *Daemon) replace(w http.ResponseWriter) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("keep the connection: %w", err)
	}
	h := session.Handover{Locks: d.locks}
	if c, ok := conn.(*ipc.Conn); ok {
		if h.Reply, err = c.File(); err != nil {
			return fmt.Errorf("keep the connection: %w", err)
		}
	}
	listener, ok := d.gate.Listener.(*ipc.Listener)
	if !ok {
		return errors.New("the listener is no Unix socket")
	}
	if h.Listener, err = listener.File(); err != nil {
		return fmt.Errorf("keep the listener: %w", err)
	}
	var shut sync.WaitGroup
	shut.Go(d.gate.Shut)
	if d.s3.gate != nil {
		if h.Gateway, err = d.s3.file(); err != nil {
			return err
		}
		shut.Go(d.s3.gate.Shut)
	}
	shut.Wait()
	return h.Replace(d.Binary)
}

// answerLock answers the request that made the old image end.
func answerLock(f *os.File) {
	defer func() { _ = f.Close() }()
	_, _ = fmt.Fprintf(f, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n%s: %d\r\nConnection: close\r\n\r\n{}\n",
		ipc.ProtocolHeader, ipc.Protocol)
}
