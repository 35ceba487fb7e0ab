package main

import (
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
	if abs, err := filepath.Abs(path); err == nil && slices.Contains(noted(), abs) {
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

// noted are the files in the note.
func noted() (paths []string) {
	data, _ := os.ReadFile(keptNote())
	for line := range strings.Lines(string(data)) {
		paths = append(paths, strings.TrimSuffix(line, "\n"))
	}
	return paths
}

// unnote takes a file out of the note, which goes with its last one.
func unnote(path string) error {
	left := slices.DeleteFunc(noted(), func(p string) bool { return p == path })
	if len(left) > 0 {
		_, err := configure.Edit(keptNote(), func(string) (string, error) { return strings.Join(left, "\n") + "\n", nil })
		return err
	}
	if err := os.Remove(keptNote()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
