package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// full is a disk with no space left but that of the reserve.
func full(v *Vault) disk {
	return disk{fault: func(step string) error {
		if _, err := os.Stat(v.reserve()); step == "write" && err == nil {
			return syscall.ENOSPC
		}
		return nil
	}}
}

// The reserve is what writes find on a full disk, and is held again when there is
// space.
func TestReserve(t *testing.T) {
	dir, m, v := testVault(t)
	v.disk = full(v)
	if err := v.Change(addEnvironment("before")); err != nil {
		t.Fatal(err) // the disk is not full before there is a reserve
	}
	v.disk = disk{}
	if err := v.Reserve(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, reserveName))
	if err != nil || info.Size() < leastReserve || info.Mode().Perm() != 0o600 {
		t.Fatalf("the reserve is %v, %v", info, err)
	}
	v.disk = full(v)
	before := v.Contents().Sequence
	for i := range 3 {
		if err := v.Change(addEnvironment(fmt.Sprint("new", i))); err != nil {
			t.Fatalf("change %d on a full disk: %v", i, err)
		}
	}
	if v.Contents().Sequence <= before+2 {
		t.Error("a number was used twice")
	}
	if _, err := os.Stat(filepath.Join(dir, reserveName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reserve is still held: %v", err)
	}
	again, err := Open(dir, m, v.Contents().Sequence)
	if err != nil || len(again.Contents().Environments) != len(v.Contents().Environments) {
		t.Errorf("reopened: %v", err)
	}
	v.disk = disk{fault: func(step string) error {
		if step == "write" {
			return syscall.ENOSPC
		}
		return nil
	}}
	if err := v.Reserve(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("reserved on a full disk: %v", err)
	}
	if err := v.Change(addEnvironment("none")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("written without space: %v", err)
	}
	v.disk = disk{}
	if err := v.Reserve(); err != nil {
		t.Error(err)
	}
}

// The reserve grows with the store.
func TestReserveGrows(t *testing.T) {
	t.Parallel()
	dir, _, v := testVault(t)
	if err := v.Reserve(); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := v.Change(addEnvironment(fmt.Sprint("e", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Reserve(); err != nil {
		t.Fatal(err)
	}
	store, err := os.Stat(filepath.Join(dir, storeName))
	if err != nil {
		t.Fatal(err)
	}
	if held, err := os.Stat(v.reserve()); err != nil || held.Size() < reservedWrites*store.Size() {
		t.Errorf("the reserve is %v, the store has %d bytes: %v", held, store.Size(), err)
	}
}
