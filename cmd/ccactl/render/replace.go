package render

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// replace makes data the contents of a target. After a crash there is the file
// as it was or as it is to be; what a crash left beside it the next one removes,
// for only one process at a time is here.
func (s *Files) replace(t *target, data []byte) error {
	temp := "." + t.name + ".ccad"
	var f *os.File
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"create", func() (err error) {
			if err := t.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			f, err = t.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			return err
		}},
		{"mode", func() error { return t.likeBefore(f) }},
		{"write", func() error { _, err := f.Write(data); return err }},
		{"sync", func() error { return f.Sync() }},
		{"close", func() error { return f.Close() }},
		{"rename", func() error { return t.root.Rename(temp, t.name) }},
		{"sync folder", t.sync},
	} {
		err := s.step(step.name)
		if err == nil {
			err = step.do()
		}
		if err != nil {
			if f != nil {
				_ = f.Close()
				_ = t.root.Remove(temp)
			}
			return err
		}
	}
	return nil
}

func (s *Files) step(name string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(name)
}

// likeBefore gives the new file the mode and the group of the one before. A
// group that we may not give has no permissions: the user's own is another.
func (t *target) likeBefore(f *os.File) error {
	if t.info == nil {
		return nil
	}
	mode := t.info.Mode().Perm()
	is, err := f.Stat()
	if err != nil {
		return err
	}
	before, _ := t.info.Sys().(*syscall.Stat_t)
	now, _ := is.Sys().(*syscall.Stat_t)
	if before == nil || now == nil || before.Gid != now.Gid && f.Chown(-1, int(before.Gid)) != nil {
		mode &^= 0o070
	}
	return f.Chmod(mode)
}

// sync makes the names in the folder durable.
func (t *target) sync() error {
	folder, err := t.root.Open(".")
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) { // this file system syncs no folders
		err = nil
	}
	return errors.Join(err, folder.Close())
}
