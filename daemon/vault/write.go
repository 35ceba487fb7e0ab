package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A disk does every durable write of the package. Its fault is nil but in
// tests, where it is called before each step and lets it fail, or ends the
// process there.
type disk struct {
	fault func(step string) error
}

// Fault lets tests of other rooms fail a step of a write of the store, or end the
// process there: it is called before each. It is not for use in earnest, and must
// be set before others use v.
func (v *Vault) Fault(fault func(step string) error) { v.disk.fault = fault }

// step does one step of a write.
func (d disk) step(name string, do func() error) error {
	if d.fault != nil {
		if err := d.fault(name); err != nil {
			return err
		}
	}
	return do()
}

// WriteFile replaces the file at path whole or not at all, and durably: a
// temporary file beside it (exclusive, born 0600), synced, renamed over it, the
// folder synced. After a crash there is the old file or the new one.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	return disk{}.writeFile(path, data, mode)
}

func (d disk) writeFile(path string, data []byte, mode os.FileMode) error {
	fill := func(w io.Writer) error { _, err := w.Write(data); return err }
	return d.replace(path, mode, fill, func() error { return nil })
}

// replace writes what fill gives; before runs when the temporary file is
// durable and not yet in place. An error after the rename (the folder could not
// be synced) leaves the new file there, though perhaps not durably.
func (d disk) replace(path string, mode os.FileMode, fill func(io.Writer) error, before func() error) error {
	temp, err := d.fill(path, mode, fill)
	if err == nil {
		err = before()
	}
	if err == nil {
		err = d.step("rename", func() error { return os.Rename(temp, path) })
	}
	if err != nil {
		if temp != "" {
			_ = os.Remove(temp)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return d.syncFolder(filepath.Dir(path))
}

// fill writes and syncs the temporary file and returns its path, also with an
// error, or "" where there is none.
func (d disk) fill(path string, mode os.FileMode, fill func(io.Writer) error) (temp string, err error) {
	var f *os.File
	err = d.step("create", func() error {
		f, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
		return err
	})
	if err != nil {
		return "", err
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"write", func() error { return fill(f) }},
		{"chmod", func() error { return f.Chmod(mode) }},
		{"sync", f.Sync},
		{"close", f.Close},
	} {
		if err := d.step(s.name, s.do); err != nil {
			_ = f.Close()
			return f.Name(), err
		}
	}
	return f.Name(), nil
}

// syncFolder makes the names in a folder durable.
func (d disk) syncFolder(folder string) error {
	err := d.step("sync folder", func() error {
		f, err := os.Open(folder)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
			return err // EINVAL: this file system syncs no folders
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", folder, err)
	}
	return nil
}

// removeTemporary removes what a crash in replace left behind of a file, or of
// all files where name is "". Nobody may be writing them.
func removeTemporary(folder, name string) error {
	prefix := "."
	if name != "" {
		prefix = "." + name + "."
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read folder: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
				return fmt.Errorf("remove what a crash left: %w", err)
			}
		}
	}
	return nil
}
