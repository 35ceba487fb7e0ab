package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// kept is how many predecessors of the store stay, store.age.1 the youngest.
const kept = 5

func predecessor(store string, n int) string { return fmt.Sprintf("%s.%d", store, n) }

// Predecessors returns the names of those that dir has, the youngest first.
func Predecessors(dir string) ([]string, error) {
	var names []string
	for n := 1; n <= kept; n++ {
		switch _, err := os.Lstat(predecessor(filepath.Join(dir, storeName), n)); {
		case err == nil:
			names = append(names, predecessor(storeName, n))
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("look for predecessors of the store: %w", err)
		}
	}
	return names, nil
}

// keepPredecessor gives the store a second name, store.age.1, after moving the
// others up. The store itself stays in place all the time. What a crash left
// half done is completed, not repeated: a store that has its second name is not
// kept twice, and only those before the first gap move.
func (v *Vault) keepPredecessor() error {
	store, err := os.Lstat(v.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the first one
	}
	if err != nil {
		return err
	}
	if first, err := os.Lstat(predecessor(v.path, 1)); err == nil && os.SameFile(store, first) {
		return nil
	}
	gap := 1
	for gap < kept && present(predecessor(v.path, gap)) {
		gap++
	}
	for n := gap; n > 1; n-- {
		move := func() error { return os.Rename(predecessor(v.path, n-1), predecessor(v.path, n)) }
		if err := v.disk.step("move predecessor", move); err != nil {
			return err
		}
	}
	return v.disk.step("link predecessor", func() error { return os.Link(v.path, predecessor(v.path, 1)) })
}

// PrunePredecessors removes all of them, for they still hold what was removed
// from the store.
func (v *Vault) PrunePredecessors() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := 1; n <= kept; n++ {
		remove := func() error { return os.Remove(predecessor(v.path, n)) }
		if err := v.disk.step("remove predecessor", remove); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("prune the predecessors: %w", err)
		}
	}
	return v.disk.syncFolder(filepath.Dir(v.path))
}
