package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// registerName is the register in the state folder.
const registerName = "rendered.json"

// register is what is remembered of files, by their path as it was given.
type register struct {
	Files map[string]entry `json:"files"`
}

type entry struct {
	Owed bool `json:"reload_owed,omitempty"` // the file was written, or is about to be, and its program not told
}

// exclusively lets one process at a time write files and the register.
func (s *Files) exclusively(act func(*register) error) error {
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return err
	}
	folder, err := os.Open(s.State)
	if err != nil {
		return err
	}
	defer folder.Close() // which lets the lock go
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", s.State, err)
	}
	r, err := s.read()
	if err != nil {
		return err
	}
	return act(r)
}

// read reads the register. One that does not exist is empty; one that can't be
// read is an error, for a file would be taken for somebody else's.
func (s *Files) read() (*register, error) {
	path := filepath.Join(s.State, registerName)
	r := register{Files: map[string]entry{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &r); err != nil || r.Files == nil {
		return nil, fmt.Errorf("%s is no register of rendered files: move it away", path)
	}
	return &r, nil
}

// save records one file.
func (s *Files) save(r *register, path string, e entry) error {
	r.Files[path] = e
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t, err := find(filepath.Join(s.State, registerName), false)
	if err != nil {
		return err
	}
	defer t.close()
	return s.replace(t, append(data, '\n'))
}

func (s *Files) ours(path string) bool {
	r, err := s.read()
	if err != nil {
		return false
	}
	_, ours := r.Files[path]
	return ours
}
