package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cloud-ca/ccad/ipc"
)

// An undoLog knows the files that setup changed, with their former bytes: a
// list beside them, in the state folder, for its owner alone.
type undoLog struct {
	folder  string
	Changes []undoChange `json:"changes"`
	Service string       `json:"service,omitempty"` // the ccad that setup made a service
}

// An undoChange is one change of one file.
type undoChange struct {
	Path   string      `json:"path"`
	Mode   fs.FileMode `json:"mode"`
	Before []byte      `json:"before"`
	Was    bool        `json:"was"`   // there, before
	After  []byte      `json:"after"` // hash of what setup made of it
}

func openUndoLog() (*undoLog, error) {
	u := &undoLog{folder: filepath.Join(ipc.StateDir(), "setup")}
	data, err := os.ReadFile(u.list())
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err == nil {
		err = json.Unmarshal(data, u)
	}
	if err != nil {
		return nil, fmt.Errorf("read what setup changed: %w", err)
	}
	return u, nil
}

func (u *undoLog) list() string { return filepath.Join(u.folder, "changed.json") }

func (u *undoLog) write() error {
	data, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(u.folder, 0o700); err != nil {
		return err
	}
	return replaceFile(u.list(), data, 0o600)
}

// around keeps what the files held, lets act change them, and notes those that
// it changed. The former bytes are on disk before act begins.
func (u *undoLog) around(paths []string, act func() error) error {
	first := len(u.Changes)
	for _, path := range paths {
		c := undoChange{Path: path, Mode: 0o600}
		data, err := os.ReadFile(path)
		if err == nil {
			c.Was, c.Before = true, data
			if info, err := os.Stat(path); err == nil {
				c.Mode = info.Mode().Perm()
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		u.Changes = append(u.Changes, c)
	}
	if err := u.write(); err != nil {
		return fmt.Errorf("keep the files' former bytes: %w", err)
	}
	failed := act()
	kept := u.Changes[:first]
	for _, c := range u.Changes[first:] {
		data, err := os.ReadFile(c.Path)
		if (err == nil) != c.Was || !bytes.Equal(data, c.Before) {
			sum := sha256.Sum256(data)
			c.After = sum[:]
			kept = append(kept, c)
		}
	}
	u.Changes = kept
	return errors.Join(failed, u.write())
}

// back undoes all changes, the last first. A file that was changed since is not
// touched: its former bytes lie in the list.
func (u *undoLog) back() error {
	if len(u.Changes) == 0 && u.Service == "" {
		return emit([]byte("there is nothing to undo\n"))
	}
	var stuck []undoChange
	for i := len(u.Changes) - 1; i >= 0; i-- {
		c := u.Changes[i]
		data, err := os.ReadFile(c.Path)
		sum := sha256.Sum256(data)
		switch {
		case err == nil && bytes.Equal(data, c.Before) && c.Was, errors.Is(err, fs.ErrNotExist) && !c.Was:
			continue // somebody did that already
		case err != nil || c.After != nil && !bytes.Equal(sum[:], c.After):
			stuck = append([]undoChange{c}, stuck...)
			say(c.Path + " was changed since, and stays as it is; its former bytes are kept in " + u.list())
			continue
		case c.Was:
			err = replaceFile(c.Path, c.Before, c.Mode)
		default:
			err = os.Remove(c.Path)
		}
		if err != nil {
			return fmt.Errorf("undo the change of %s: %w", c.Path, err)
		}
		_, _ = fmt.Println(plain(c.Path) + " is as it was")
	}
	u.Changes = stuck
	if u.Service != "" {
		out, err := exec.Command(u.Service, "uninstall").CombinedOutput()
		_, _ = os.Stdout.Write(out)
		if err != nil {
			return errors.Join(fmt.Errorf("ccad uninstall: %w", err), u.write())
		}
		u.Service = ""
	}
	if len(stuck) > 0 {
		return errors.Join(exitCode(1), u.write())
	}
	if err := os.RemoveAll(u.folder); err != nil {
		return err
	}
	return emit([]byte("the keyring stays: ccactl remove NAME forgets what is in it\n"))
}

// appendLine adds a line to a file, as it is, whatever else it holds.
func appendLine(path, line string) error {
	mode := fs.FileMode(0o644)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	} else if err != nil {
		return err
	} else if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		data = append(data, '\n')
	}
	return replaceFile(path, append(data, line+"\n"...), mode)
}

// replaceFile writes a file beside the one at path, or at what that links to,
// flushes it, and renames it into place.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
