package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	reserveName = "reserve"
	// reservedWrites is how many times the store can still be written when the disk
	// is full: what a change at the cloud needs until it is over, twice.
	reservedWrites = 20
	leastReserve   = 64 << 10
)

// Reserve makes sure that the store can be written a few times more, even if the
// disk is full from now on: a file beside it holds the space, and is given up for
// the first write that finds none. Whoever is about to change something elsewhere
// that can't be undone calls it before. The error is the disk's.
func (v *Vault) Reserve() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	path := v.reserve()
	size := int64(leastReserve)
	if store, err := os.Stat(v.path); err == nil {
		size = max(size, reservedWrites*store.Size())
	}
	if held, err := os.Stat(path); err == nil && held.Size() >= size {
		return nil
	}
	_ = os.Remove(path)
	// Random, for a file system may keep zeros for nothing.
	fill := func(w io.Writer) error { _, err := io.CopyN(w, rand.Reader, size); return err }
	if err := v.disk.replace(path, 0o600, fill, func() error { return nil }); err != nil {
		return fmt.Errorf("reserve space for the store: %w", err)
	}
	return nil
}

func (v *Vault) reserve() string { return filepath.Join(filepath.Dir(v.path), reserveName) }

// spend gives the reserve up, if a write failed for want of space and there is
// one.
func (v *Vault) spend(err error) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return false
	}
	return !errors.Is(os.Remove(v.reserve()), fs.ErrNotExist)
}
