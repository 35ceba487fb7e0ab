package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// An editor replaces the text of a file by what change makes of it, as
// configure.Edit does.
type editor func(path string, change func(text string) (string, error)) (changed bool, err error)

// editKept is the editor of setup: before a file is written, ccad has what it was,
// sealed. A crash in between leaves a file that is as it was.
func editKept(path string, change func(string) (string, error)) (bool, error) {
	return keeping(path, false, change)
}

// editFollowing is the editor of configure. Where setup edited a file before, what
// ccactl makes of it is kept as well: it is no change of a person's, which would
// hold up undo.
func editFollowing(path string, change func(string) (string, error)) (bool, error) {
	edited, _ := os.ReadFile(keptNote())
	if abs, err := filepath.Abs(path); err == nil && slices.Contains(strings.Split(string(edited), "\n"), abs) {
		return editKept(path, change)
	}
	return configure.Edit(path, change)
}

func keeping(path string, emptied bool, change func(string) (string, error)) (bool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	return configure.Edit(path, func(text string) (string, error) {
		next, err := change(text)
		if err != nil || next == text {
			return next, err
		}
		k := ipc.KeptFile{Path: path, Mode: 0o600, Before: []byte(text), Emptied: emptied}
		info, err := os.Stat(path)
		if k.Absent = errors.Is(err, fs.ErrNotExist); err == nil {
			k.Mode = uint32(info.Mode().Perm())
		}
		after := digestOf([]byte(next))
		k.After = after[:]
		if err := call("POST", "/v1/kept", k, nil); err != nil {
			return "", fmt.Errorf("keep what %s is: %w", path, err)
		}
		_, err = configure.Edit(keptNote(), func(paths string) (string, error) { return paths + path + "\n", nil })
		return next, err
	})
}

// A digest tells whether bytes are still those of before. It need be no stronger:
// who can change a file needs no other of the same digest. The crypto packages
// would be paid for at each start.
type digest [16]byte

func digestOf(data []byte) (d digest) {
	h := fnv.New128a()
	_, _ = h.Write(data)
	h.Sum(d[:0])
	return d
}

// keptNote names the files that were edited, and nothing of what they hold: undo
// asks it whether there is anything to undo where no daemon answers.
func keptNote() string { return filepath.Join(ipc.StateDir(), "setup-files") }

// putBack gives the files that ccactl edited their former bytes back, the last
// edit first. A file that was changed since stays as it is, unless it is named.
func putBack(named []string) error {
	for i, path := range named {
		var err error
		if named[i], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	var kept ipc.KeptFiles
	if err := read("/v1/kept", &kept); err != nil {
		if _, none := os.Lstat(keptNote()); errors.Is(none, fs.ErrNotExist) {
			err = nil // nobody need be there to say so
		}
		if err != nil {
			return err
		}
	}
	if err := known(named, kept.Files); err != nil {
		return err
	}
	var stuck []string
	back := 0
	for _, k := range slices.Backward(kept.Files) {
		if len(named) > 0 && !slices.Contains(named, k.Path) || slices.Contains(stuck, k.Path) {
			continue
		}
		done, err := restoreKept(k, slices.Contains(named, k.Path))
		switch {
		case err != nil:
			return fmt.Errorf("undo the change of %s: %w", k.Path, err)
		case !done:
			stuck = append(stuck, k.Path)
			exit(stays(k.Path))
			continue
		}
		if err := call("DELETE", "/v1/kept/"+k.ID, nil, nil); err != nil {
			return err
		}
		back++
		_, _ = fmt.Println(plain(k.Path) + " is as it was")
	}
	if len(stuck) > 0 {
		if len(named) == 0 && serviceInstalled() {
			exit(errors.New("the service stays, for it keeps their former bytes"))
		}
		return exitCode(1)
	}
	if len(named) == 0 { // the files need the daemon, so it goes last
		_ = os.Remove(keptNote())
		removed, err := removeService()
		if err != nil {
			return err
		}
		if removed {
			back++
		}
	}
	if back == 0 {
		return emit([]byte("there is nothing to undo\n"))
	}
	return emit([]byte("the keyring stays, and so do S3 keys that were made at the cloud: ccactl remove NAME forgets what it holds\n"))
}

// known refuses names of files of which nothing is kept.
func known(named []string, kept []ipc.KeptFile) error {
	for _, path := range named {
		if !slices.ContainsFunc(kept, func(k ipc.KeptFile) bool { return k.Path == path }) {
			return advised(errors.New("of "+path+" ccad keeps no former bytes"), "ccactl setup --undo puts back all that it has")
		}
	}
	return nil
}

// stays is why a file is not put back, unless it is named.
func stays(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return advised(errors.New(path+" is gone since"), "ccactl setup --undo "+shellWord(path)+" brings it back all the same")
	}
	return advised(errors.New(path+" was changed since, and stays as it is"),
		"ccactl setup --undo "+shellWord(path)+" puts it back all the same, and what it is now beside it")
}

// restoreKept makes a file what it was, and reports false where it was changed
// since.
func restoreKept(k ipc.KeptFile, force bool) (done bool, err error) {
	data, err := os.ReadFile(k.Path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	now := digestOf(data)
	switch {
	case there == !k.Absent && bytes.Equal(data, k.Before):
		return true, nil
	case !force && (!there || !bytes.Equal(now[:], k.After)):
		return false, nil
	}
	if there && !bytes.Equal(now[:], k.After) {
		if err := setAside(k.Path, data); err != nil {
			return false, err
		}
	}
	if k.Absent {
		return true, os.Remove(k.Path)
	}
	if there { // without its secrets it may have been opened to others
		if err := tighten(k.Path, fs.FileMode(k.Mode)); err != nil {
			return false, err
		}
	}
	if _, err := configure.Edit(k.Path, func(string) (string, error) { return string(k.Before), nil }); err != nil {
		return false, err
	}
	if !there {
		return true, os.Chmod(k.Path, fs.FileMode(k.Mode))
	}
	return true, nil
}

// tighten takes from a file the permissions that mode has not.
func tighten(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if loose := info.Mode().Perm(); loose&^mode != 0 {
		return os.Chmod(path, loose&mode)
	}
	return nil
}

// setAside keeps what was written into a file since, beside what was set aside
// before.
func setAside(path string, data []byte) error {
	aside := path + ".before-undo"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); err != nil {
			break // there is none, or the write says what is wrong
		}
		aside = fmt.Sprintf("%s.before-undo.%d", path, n)
	}
	if _, err := configure.Edit(aside, func(string) (string, error) { return string(data), nil }); err != nil {
		return err
	}
	_, err := fmt.Println("what " + plain(path) + " was is in " + plain(aside))
	return err
}
