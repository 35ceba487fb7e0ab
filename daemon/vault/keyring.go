package vault

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/99designs/keyring"

	"github.com/cloud-ca/ccad/daemon/account"
)

// How the keyring says no.
var (
	ErrPassphrase     = errors.New("wrong passphrase")
	ErrNoPassphrase   = errors.New("a passphrase is needed")
	ErrKeyringTimeout = errors.New("no answer in time")
)

// A Keyring holds exactly one item, the Master. Its methods may be called at
// the same time; they take turns.
type Keyring struct {
	dir     string
	backend string
	turn    chan struct{} // holds one while nobody has it: a mutex that a context can end

	disk    disk
	stretch func() *stretch
	open    func(keyring.Config) (keyring.Keyring, error)
}

// OpenKeyring returns the keyring that dir's manifest names, or will name at
// first use. An empty backend means that one, or file. Another backend than the
// manifest's is refused, and so is one that this process doesn't have: nothing
// ever falls through to another. What is damaged is refused by Exists and Master,
// so that a daemon runs which says so; one that was refused here can only be
// asked for its name.
func OpenKeyring(dir, backend string) (*Keyring, error) {
	m, made, _ := readManifest(dir)
	if backend == "" && made {
		backend = m.Backend
	}
	k := newKeyring(dir, cmp.Or(backend, fileBackend))
	if err := removeTemporary(dir, ""); err != nil {
		return k, fmt.Errorf("open keyring: %w", err)
	}
	switch {
	case CheckBackend(k.backend) != nil:
		return k, fmt.Errorf("open keyring: %w", CheckBackend(k.backend))
	case made && k.backend != m.Backend:
		return k, fmt.Errorf("open keyring: %s is asked for, but the master key is in %s (as %s says), and it doesn't move by itself",
			backend, m.Backend, filepath.Join(dir, manifestName))
	case !available(k.backend):
		return k, fmt.Errorf("open keyring: this machine has no %s for this process (no session bus when it started, no such program, or not built in)", k.backend)
	}
	return k, nil
}

// CheckBackend refuses a name that no backend has, on any machine.
func CheckBackend(name string) error {
	if !slices.Contains(backends, name) {
		return fmt.Errorf("unknown backend %q; there are %s", name, strings.Join(backends, ", "))
	}
	return nil
}

func newKeyring(dir, backend string) *Keyring {
	k := &Keyring{dir: dir, backend: backend, turn: make(chan struct{}, 1), stretch: newStretch, open: keyring.Open}
	k.turn <- struct{}{}
	return k
}

// Backend returns the backend's name.
func (k *Keyring) Backend() string { return k.backend }

// NeedsPassphrase reports whether Master needs a passphrase of ours; the others
// ask for theirs, if any, by themselves.
func (k *Keyring) NeedsPassphrase() bool { return k.backend == fileBackend }

// Exists reports whether the keyring has been created. It asks no backend: the
// error is what files say is missing or damaged.
func (k *Keyring) Exists() (bool, error) {
	m, made, err := readManifest(k.dir)
	switch {
	case err == nil && !made:
		err = k.orphan()
	case err == nil && k.NeedsPassphrase():
		err = k.intact(m)
	}
	return made, err
}

// orphan refuses a folder that has a store and no keyring.
func (k *Keyring) orphan() error {
	names, err := Predecessors(k.dir)
	if err == nil && (len(names) > 0 || present(filepath.Join(k.dir, storeName))) {
		err = fmt.Errorf("%s is %w, but the store that only its key opens is there", filepath.Join(k.dir, manifestName), ErrMissing)
	}
	return err
}

// Master unlocks the keyring, and creates it at first use; what it returns is
// durable. The passphrase counts only where NeedsPassphrase.
func (k *Keyring) Master(ctx context.Context, passphrase account.Secret) (Master, error) {
	if err := k.begin(ctx, passphrase); err != nil {
		return Master{}, err
	}
	defer k.end()
	m, ok, err := readManifest(k.dir)
	switch {
	case err != nil:
		return Master{}, err
	case !ok:
		return k.create(ctx, passphrase)
	}
	master, err := k.fetch(ctx, m, passphrase)
	if err != nil {
		return Master{}, err
	}
	_ = k.sweep(m) // what stays is tried again at the next unlock
	return master, nil
}

// Prove opens the file keyring of dir by a passphrase, and changes nothing there:
// the folder may be a daemon's that runs. Before first use it proves nothing.
func Prove(ctx context.Context, dir string, passphrase account.Secret) error {
	m, made, err := readManifest(dir)
	if err != nil || !made {
		return err
	}
	k := newKeyring(dir, m.Backend)
	if !k.NeedsPassphrase() {
		return fmt.Errorf("the %s keyring has no passphrase of ours", k.backend)
	}
	_, err = k.fetch(ctx, m, passphrase)
	return err
}

// ChangePassphrase replaces the passphrase of the file keyring. The new item is
// proved before the manifest names it, and the old one goes after that: a crash
// leaves the old passphrase or the new one, and the next Master removes what the
// manifest doesn't name.
func (k *Keyring) ChangePassphrase(ctx context.Context, old, next account.Secret) error {
	if !k.NeedsPassphrase() {
		return fmt.Errorf("change passphrase: the %s keyring has none of ours", k.backend)
	}
	if next.Empty() {
		return fmt.Errorf("change passphrase: %w", ErrNoPassphrase)
	}
	if err := k.begin(ctx, old); err != nil {
		return err
	}
	defer k.end()
	m, ok, err := readManifest(k.dir)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("change passphrase: the keyring is %w", ErrMissing)
	}
	master, err := k.fetch(ctx, m, old)
	if err != nil {
		return err
	}
	m, err = k.store(ctx, master, next)
	if err != nil {
		return err
	}
	if err := k.disk.writeManifest(k.dir, m); err != nil {
		return err // either passphrase may be the one now; both items stay
	}
	if err := k.sweep(m); err != nil {
		return fmt.Errorf("the new passphrase holds, but the old one's item is still there: %w", err)
	}
	return nil
}

// begin waits for the caller's turn.
func (k *Keyring) begin(ctx context.Context, passphrase account.Secret) error {
	if k.NeedsPassphrase() && passphrase.Empty() {
		return fmt.Errorf("%s keyring: %w", k.backend, ErrNoPassphrase)
	}
	select {
	case <-k.turn:
		return nil
	case <-ctx.Done():
		return k.timeout(ctx, "wait for another call")
	}
}

func (k *Keyring) end() { k.turn <- struct{}{} }

// create makes the keyring. Before the manifest is in place nothing of it
// counts; the marker that allows Open to create a store is there before it.
func (k *Keyring) create(ctx context.Context, passphrase account.Secret) (Master, error) {
	if err := k.orphan(); err != nil {
		return Master{}, err
	}
	master, err := NewMaster()
	if err != nil {
		return Master{}, err
	}
	m, err := k.store(ctx, master, passphrase)
	if err != nil {
		return Master{}, err
	}
	if err := k.disk.writeFile(filepath.Join(k.dir, freshMarker), nil, 0o600); err != nil {
		return Master{}, err
	}
	return master, k.disk.writeManifest(k.dir, m)
}

// fetch reads the item that the manifest names.
func (k *Keyring) fetch(ctx context.Context, m manifest, passphrase account.Secret) (Master, error) {
	var key account.Secret
	if k.NeedsPassphrase() {
		if err := k.intact(m); err != nil {
			return Master{}, err
		}
		key = m.Stretch.key(passphrase)
	}
	data, err := k.get(ctx, m.Item, key)
	if err != nil {
		return Master{}, err
	}
	master, err := decodeMaster(data)
	if err != nil {
		return Master{}, fmt.Errorf("%s keyring: item %s is %w: %w", k.backend, m.Item, ErrCorrupt, err)
	}
	return master, nil
}

// get returns the data of an item, if it is the one it is named as: the file
// backend would return a renamed one.
func (k *Keyring) get(ctx context.Context, name string, key account.Secret) ([]byte, error) {
	item, err := call(ctx, k, "read item "+name, key, func(ring keyring.Keyring) (keyring.Item, error) { return ring.Get(name) })
	_, onDisk := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, keyring.ErrKeyNotFound):
		return nil, fmt.Errorf("%s keyring: item %s is %w", k.backend, name, ErrMissing)
	case err != nil && k.NeedsPassphrase() && !onDisk && !errors.Is(err, ErrKeyringTimeout):
		return nil, fmt.Errorf("%s keyring: %w", k.backend, ErrPassphrase) // the item is intact
	case err != nil:
		return nil, err
	case item.Key != name:
		return nil, fmt.Errorf("%s keyring: item %s is %w: it was another", k.backend, name, ErrForeign)
	}
	return item.Data, nil
}

// store puts the master into a new item and proves it by reading it back.
func (k *Keyring) store(ctx context.Context, master Master, passphrase account.Secret) (manifest, error) {
	m := manifest{Backend: k.backend, Item: itemPrefix + hex.EncodeToString(randomKey()[:8])}
	var key account.Secret
	if k.NeedsPassphrase() {
		if err := k.makeItems(); err != nil {
			return m, err
		}
		m.Stretch = k.stretch()
		key = m.Stretch.key(passphrase)
	}
	data, err := master.encode()
	if err != nil {
		return m, err
	}
	err = k.disk.step("set item", func() error {
		item := keyring.Item{Key: m.Item, Data: data, Label: "ccad master key"}
		_, err := call(ctx, k, "write item "+m.Item, key, func(ring keyring.Keyring) (struct{}, error) { return struct{}{}, ring.Set(item) })
		return err
	})
	if err != nil {
		return m, err
	}
	if err := k.syncItem(m.Item); err != nil {
		return m, err
	}
	back, err := k.get(ctx, m.Item, key)
	if err != nil {
		return m, err
	}
	if !hmac.Equal(back, data) {
		return m, fmt.Errorf("%s keyring: item %s reads back otherwise than it was written", k.backend, m.Item)
	}
	if k.NeedsPassphrase() {
		m.Digest, err = k.digest(m.Item)
	}
	return m, err
}
