// Package vault holds what must not be lost and must not be seen: the versions
// of every password and key, the sealed store they live in, and the master key
// to it.
//
// There is one store, store.age: a JSON document sealed with age to an identity
// that only the keyring holds. So one commit is atomic however many records it
// touches, an unlock asks the keyring once, and should ccad be gone the age
// tool opens the store. age proves nothing about who wrote, so a MAC under a
// key beside the identity does; a sequence number, which the audit trail knows
// too, shows an old copy.
//
//   - [Versions] are values: copy-on-write, never two active, no number twice.
//   - [Vault] has the [Contents] in memory as an immutable snapshot behind an
//     atomic pointer: readers take no lock and wait for no disk. Change copies,
//     changes, seals, writes beside, syncs, renames, syncs the folder, swaps.
//     Before the rename the store becomes store.age.1, and so on to .5. On a full
//     disk a write may spend the space that [Vault.Reserve] holds.
//   - What can't be read is refused and kept. A store is created only where none
//     ever was: for a master key that this process made, or one whose marker
//     (fresh) says that nothing has been sealed to it.
//   - [Keyring] is a backend of 99designs/keyring with exactly one item, the
//     [Master]. keyring.json names backend and item, and is written last: it is
//     the commit point of the first use and of a change of passphrase.
//
// The data folder has one owner, proved by [LockFolder]; everything here relies
// on it. Nothing here needs wiping: a lock replaces the whole process.
//
// Limits. The file backend's old passphrase still opens an old copy of the
// keyring folder: a change of passphrase doesn't change the master key. keyctl
// lives in the kernel's memory: after a restart the store stays shut for ever.
// A keyring call that outlives its deadline can't be stopped; its goroutine
// ends when the call does, and what it did has no effect.
package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	storeName   = "store.age"
	freshMarker = "fresh" // this keyring has sealed no store yet
)

// A Vault is the open store.
type Vault struct {
	path    string
	master  Master
	disk    disk
	current atomic.Pointer[Contents]
	failure atomic.Pointer[error] // the last commit's; nil: it is on disk

	mu       sync.Mutex // one writer at a time
	sequence uint64     // the last one tried, so that a failed commit's is not used again
}

// Open opens the store in dir, and creates an empty one if there never was any.
//
// The error is ErrCorrupt, ErrForeign (sealed or written by another keyring),
// ErrOlder (its sequence is below atLeast, the last one known from elsewhere)
// or ErrMissing (there was a store). It then names the predecessors, of which a
// person may put one in its place; nothing on disk is touched.
func Open(dir string, m Master, atLeast uint64) (*Vault, error) {
	return disk{}.openVault(dir, m, atLeast)
}

func (d disk) openVault(dir string, m Master, atLeast uint64) (*Vault, error) {
	if m.identity == nil {
		return nil, errors.New("open the store: no master key")
	}
	v := &Vault{path: filepath.Join(dir, storeName), master: m, disk: d}
	if err := removeTemporary(dir, storeName); err != nil { // a lock may be writing its marker right now
		return nil, err
	}
	if !present(v.path) {
		if err := v.create(dir, atLeast); err != nil {
			return nil, err
		}
	} else if err := v.load(dir, atLeast); err != nil {
		return nil, fmt.Errorf("open %s: %w; it is kept as it is%s", v.path, err, advice(dir))
	}
	if err := d.removeDurably(filepath.Join(dir, freshMarker)); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *Vault) load(dir string, atLeast uint64) error {
	f, err := os.Open(v.path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := v.master.unseal(f)
	if err != nil {
		return err
	}
	if c.Sequence < atLeast {
		return fmt.Errorf("%w: its number is %d, %d was seen", ErrOlder, c.Sequence, atLeast)
	}
	c.callApart()
	v.sequence = c.Sequence
	v.current.Store(c)
	debug.FreeOSMemory() // the plaintext is as large as the contents and garbage now
	return nil
}

// create makes the first store. Its number follows atLeast: the audit trail may
// be older than a keyring that a person started afresh.
func (v *Vault) create(dir string, atLeast uint64) error {
	names, err := Predecessors(dir)
	if err != nil {
		return err
	}
	if len(names) > 0 || !v.master.fresh && !present(filepath.Join(dir, freshMarker)) {
		return fmt.Errorf("open %s: %w%s", v.path, ErrMissing, advice(dir))
	}
	v.sequence = atLeast
	return v.commit(newContents())
}

// advice names the predecessors for a person who has to choose one.
func advice(dir string) string {
	names, err := Predecessors(dir)
	if err != nil || len(names) == 0 {
		return ""
	}
	return "; predecessors: " + strings.Join(names, ", ")
}

// Contents returns the present snapshot. It never changes; see Contents.
func (v *Vault) Contents() *Contents { return v.current.Load() }

// Change lets fn change a copy of the contents and commits it. When fn or the
// disk fails, nothing has changed. fn may put in and take out of the maps and
// replace every other value, but not write into a slice that it found; it must
// not keep the copy. Changes are made one after another.
func (v *Vault) Change(fn func(*Contents) error) error {
	_, _, err := v.Exchange(fn)
	return err
}

// Exchange is Change, and returns what it found and what it made of that: the
// present snapshot may be another writer's already.
func (v *Vault) Exchange(fn func(*Contents) error) (before, after *Contents, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before = v.current.Load()
	next := before.clone()
	if err := fn(next); err != nil {
		return nil, nil, err
	}
	next.Generation = max(next.Generation, before.Generation)
	if err := v.commit(next); err != nil {
		return nil, nil, err
	}
	return before, next, nil
}

// RenewGatewayKey voids every gateway key there is. A store that is older than
// one seen before needs it: it knows nothing of what was revoked since.
func (v *Vault) RenewGatewayKey() error {
	return v.Change(func(c *Contents) error {
		c.GatewayKey = randomKey()
		return nil
	})
}

// commit writes next and then makes it the present snapshot; mu is held, or
// nobody else has v yet. Where only the last sync of the folder fails, next is
// in place on disk but not in memory: what is committed after it supersedes it
// with a higher number, and a crash before that opens it, which is as good as a
// crash right after the commit.
func (v *Vault) commit(next *Contents) error {
	next.callApart()
	seal := func(w io.Writer) error { return v.master.seal(w, next) }
	write := func() error {
		v.sequence++
		next.Sequence = v.sequence
		return v.disk.replace(v.path, 0o600, seal, v.keepPredecessor)
	}
	err := write()
	if v.spend(err) {
		err = write()
	}
	if err != nil {
		v.failure.Store(&err)
		return err
	}
	v.failure.Store(nil)
	v.current.Store(next)
	return nil
}

// Trouble returns why the store on disk is not what is in memory: a commit that
// failed, and none has worked since, or somebody removed it.
func (v *Vault) Trouble() error {
	if err := v.failure.Load(); err != nil {
		return *err
	}
	if !present(v.path) {
		return fmt.Errorf("%s is %w", v.path, ErrMissing)
	}
	return nil
}
