package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// itemPrefix begins the name of every item. The rest is random, since all data
// folders of a user may share one OS keyring.
const itemPrefix = "ccad-master-"

// items is the file backend's folder.
func (k *Keyring) items() string { return filepath.Join(k.dir, "keyring") }

// makeItems makes the folder, or refuses a loose one.
func (k *Keyring) makeItems() error {
	f, err := enterFolder(k.items())
	if err == nil {
		err = f.Close()
	}
	return err
}

// intact tells a damaged item from a wrong passphrase, which the library can't.
func (k *Keyring) intact(m manifest) error {
	f, err := openFolder(k.items())
	digest := []byte(nil)
	if err == nil {
		_ = f.Close()
		digest, err = k.digest(m.Item)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("keyring item %s is %w", m.Item, ErrMissing)
	case err != nil:
		return fmt.Errorf("read keyring item: %w", err)
	case !hmac.Equal(digest, m.Digest):
		return fmt.Errorf("keyring item %s is %w", filepath.Join(k.items(), m.Item), ErrCorrupt)
	}
	return nil
}

func (k *Keyring) digest(item string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(k.items(), item))
	sum := sha256.Sum256(data)
	return sum[:], err
}

// syncItem makes a new item durable. Where an OS keyring's files are only the
// OS knows; it is asked once in a keyring's life to sync them all.
func (k *Keyring) syncItem(item string) error {
	if !k.NeedsPassphrase() {
		unix.Sync()
		return nil
	}
	f, err := os.Open(filepath.Join(k.items(), item))
	if err != nil {
		return fmt.Errorf("sync keyring item: %w", err)
	}
	defer f.Close()
	if err := k.disk.step("sync item", f.Sync); err != nil {
		return fmt.Errorf("sync keyring item: %w", err)
	}
	return k.disk.syncFolder(k.items())
}

// sweep removes the file backend's items that the manifest doesn't name: what a
// crash left, and the one with the old passphrase. The manifest has to be
// durable first, or it might yet name one of them again.
func (k *Keyring) sweep(m manifest) error {
	if !k.NeedsPassphrase() {
		return nil
	}
	entries, err := os.ReadDir(k.items())
	if err != nil {
		return fmt.Errorf("sweep the keyring: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == m.Item || !strings.HasPrefix(e.Name(), itemPrefix)
	})
	if len(entries) == 0 {
		return nil
	}
	if err := k.disk.syncFolder(k.dir); err != nil {
		return err
	}
	for _, e := range entries {
		if err := k.disk.removeDurably(filepath.Join(k.items(), e.Name())); err != nil {
			return err
		}
	}
	return nil
}
