// Package render keeps files of other programs written: a rclone.conf, a
// clouds.yaml, an .env, for what can only read files. What is in them comes from
// the caller.
//
//	Put ─▶ register (ours from now on; a reload owed) ─▶ write beside, sync, rename, sync folder
//	                                                              ─▶ Reload ─▶ register (paid)
//
// A file is replaced whole or not at all, and only if that changes it. It keeps
// its mode, and its group or else no permission of the group; a new one is 0600.
// A symbolic link stays, what it leads to is replaced. Folder and file have to
// be the user's own, and nobody else's to write: who can, could point a program
// at a server of his, password and all. Nor may another user be able to change
// the way there. The folder is opened once and everything done inside it, so that
// it can't be exchanged in between.
//
// The register says which files are ours. What was in one before is kept beside,
// as NAME.former, since it may be all that a person has of it; afterwards the
// file is ours, and so is what somebody else writes there. It also says which
// programs are yet to be told, so that a crash between the file and its reload
// loses no reload. It holds paths and no secret.
//
// Limits: access control lists and extended attributes of a replaced file are
// lost. A file that no table names any more stays as it is.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// formerSuffix names what was there before a file became ours.
const formerSuffix = ".former"

// Files are the files that are kept written. State is the absolute path of a
// folder for the register, which is made if need be.
type Files struct {
	State string

	fault func(step string) error // nil but in tests: before each step of a write
}

// Outcome says what Put found and did.
type Outcome struct {
	Changed bool        // it was written
	Owed    bool        // its program is to read it again
	Former  string      // where a file was kept that was not ours; "" if there was none
	Open    fs.FileMode // its mode, if everybody can read it; else 0
}

// Put makes data the contents of the file at path. With reload a program is owed
// a reload once that is done; Paid says that it had it.
func (s *Files) Put(path string, data []byte, reload bool) (out Outcome, err error) {
	err = s.exclusively(func(r *register) error {
		t, err := find(path, true)
		if err != nil {
			return err
		}
		defer t.close()
		entry, ours := r.Files[path]
		if t.info != nil && t.info.Mode().Perm()&0o004 != 0 {
			out.Open = t.info.Mode().Perm()
		}
		if t.info != nil && bytes.Equal(t.data, data) {
			out.Owed = entry.Owed
			if !ours {
				return s.save(r, path, entry)
			}
			return nil
		}
		if !ours && len(t.data) > 0 {
			if out.Former, err = t.keepFormer(); err != nil {
				return err
			}
		}
		if entry.Owed = entry.Owed || reload; !ours || entry != r.Files[path] {
			if err := s.save(r, path, entry); err != nil {
				return err
			}
		}
		out.Changed, out.Owed = true, entry.Owed
		return s.replace(t, data)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("write %s: %w", path, err)
	}
	return out, nil
}

// Withdraw puts a note in the place of what a file of ours holds, and reports
// whether that changed it. What is not ours, or not there, is left alone.
func (s *Files) Withdraw(path string, note []byte, reload bool) (out Outcome, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || !s.ours(path) {
		return Outcome{}, nil
	}
	return s.Put(path, note, reload)
}

// Paid says that the program of a file has been told of it.
func (s *Files) Paid(path string) error {
	return s.exclusively(func(r *register) error {
		entry, ours := r.Files[path]
		if !ours || !entry.Owed {
			return nil
		}
		entry.Owed = false
		return s.save(r, path, entry)
	})
}

// Known returns the paths of the files that are ours, or were, and what was kept
// of those that were there before.
func (s *Files) Known() (paths []string) {
	r, err := s.read()
	if err != nil {
		return nil
	}
	for path := range r.Files {
		paths = append(paths, path, path+formerSuffix)
	}
	return paths
}
