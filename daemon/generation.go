package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// generations keeps one file per environment beside the socket: the number that
// shells compare at every prompt without forking, "0" while locked, no file
// when no daemon runs. The files hold no secret. They live in the runtime
// folder and are not fsynced: after a crash of the machine there are none.
type generations struct{ folder string }

// lock makes every file say that there is nothing to be had.
func (g generations) lock() error {
	entries, err := os.ReadDir(g.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Mkdir(g.folder, 0o700)
	}
	if err != nil {
		return fmt.Errorf("read the generations: %w", err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			_ = os.Remove(filepath.Join(g.folder, e.Name())) // a process died while writing it
			continue
		}
		if err := g.write(e.Name(), 0); err != nil {
			return err
		}
	}
	return nil
}

// publish writes the files of what changed between two contents; before is nil
// at unlock, when files of environments that are gone are removed too.
func (g generations) publish(before, after *vault.Contents) error {
	if before == nil {
		before = &vault.Contents{}
		entries, err := os.ReadDir(g.folder)
		if err != nil {
			return fmt.Errorf("read the generations: %w", err)
		}
		for _, e := range entries {
			if _, ok := after.Environments[e.Name()]; !ok {
				_ = os.Remove(filepath.Join(g.folder, e.Name()))
			}
		}
	}
	for name := range before.Environments {
		if _, ok := after.Environments[name]; !ok {
			_ = os.Remove(filepath.Join(g.folder, name))
		}
	}
	for name, e := range after.Environments {
		if e.Generation != before.Environments[name].Generation {
			if err := g.write(name, e.Generation); err != nil {
				return err
			}
		}
	}
	return nil
}

// write replaces a file by rename: a prompt must never read half a number.
func (g generations) write(name string, n uint64) error {
	temp := filepath.Join(g.folder, "."+name)
	err := os.WriteFile(temp, append(strconv.AppendUint(nil, n, 10), '\n'), 0o600)
	if err == nil {
		err = os.Rename(temp, filepath.Join(g.folder, name))
	}
	if err != nil {
		return fmt.Errorf("write the generation of %s: %w", name, err)
	}
	return nil
}

// clear removes all files: the daemon ends.
func (g generations) clear() { _ = os.RemoveAll(g.folder) }
