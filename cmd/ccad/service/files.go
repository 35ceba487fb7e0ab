package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A file is one that install puts in place, whole.
type file struct{ path, text string }

// current returns what is at the path now; there is false where nothing is. It
// refuses what is not ours: without the mark, or behind a link. An empty file
// is a write that was cut short.
func current(path, mark string) (text string, there bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	if to, err := os.Readlink(path); err == nil && to == "/dev/null" {
		return "", false, fmt.Errorf("%s masks the service: remove it first", path)
	}
	if !info.Mode().IsRegular() {
		return "", false, fmt.Errorf("%s is not ccad's: it stays as it is, and nothing was changed; move it away first", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false, err
	}
	if len(data) > 0 && !hasMark(string(data), mark) {
		return "", false, fmt.Errorf("%s is somebody's own (no line of it begins with %q): it stays as it is, and nothing was changed; move it away first", path, mark)
	}
	return string(data), true, nil
}

func hasMark(text, mark string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	return false
}

// write puts a file in place by rename, whole or not at all; missing folders
// are made.
func (f file) write(mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	return vault.WriteFile(f.path, []byte(f.text), mode)
}

// removeEmpty removes folders that nothing is in, the innermost first.
func removeEmpty(folders ...string) {
	for _, folder := range folders {
		_ = os.Remove(folder)
	}
}
