package render

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cloud-ca/ccad/ipc"
)

// maxSize is far above any file of credentials.
const maxSize = 1 << 20

// A target is where a path leads to, and what is there.
type target struct {
	root *os.Root    // the folder
	name string      // in it
	info fs.FileInfo // nil: there is no file yet
	data []byte
}

func (t *target) close() { _ = t.root.Close() }

// find follows a path and refuses what is not safely the user's. With make the
// folder of a file that is not there yet is made.
func find(path string, make bool) (*target, error) {
	real, err := follow(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, errors.New("it is a symbolic link to nothing")
		}
		folder := filepath.Dir(path)
		if make {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return nil, err
			}
		}
		if folder, err = follow(folder); err == nil {
			real = filepath.Join(folder, filepath.Base(path))
		}
	}
	if err != nil {
		return nil, err
	}
	t := &target{name: filepath.Base(real)}
	if t.root, err = os.OpenRoot(filepath.Dir(real)); err != nil {
		return nil, err
	}
	info, err := t.root.Stat(".")
	if err == nil {
		err = own("its folder "+filepath.Dir(real), filepath.Dir(real), info)
	}
	if err == nil {
		err = t.read()
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// read reads the file, if there is one. Opening some devices does something, so
// what is no regular file is not opened.
func (t *target) read() error {
	info, err := t.root.Lstat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("what is there is no regular file")
	}
	f, err := t.root.OpenFile(t.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if t.info, err = f.Stat(); err != nil {
		return err
	}
	if !t.info.Mode().IsRegular() {
		return errors.New("what is there is no regular file")
	}
	if err := own("it", ipc.Opened(f), t.info); err != nil {
		return err
	}
	if t.data, err = io.ReadAll(io.LimitReader(f, maxSize+1)); err != nil {
		return err
	}
	if len(t.data) > maxSize {
		return fmt.Errorf("what is there is longer than %d bytes", maxSize)
	}
	return nil
}

// own refuses what others own or can write.
func own(what, path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to another user", what)
	}
	if ipc.OthersMayWrite(path, info) {
		return fmt.Errorf("%s can be written by others (mode %04o; chmod go-w mends it)", what, info.Mode().Perm())
	}
	return nil
}

// keepFormer gives the file a second name, under which it stays when the first
// one gets another file.
func (t *target) keepFormer() (path string, err error) {
	former := t.name + formerSuffix
	err = t.root.Link(t.name, former)
	if errors.Is(err, fs.ErrExist) {
		there, e := t.root.Lstat(former)
		if e == nil && os.SameFile(there, t.info) {
			err = nil // a crash came in between
		} else {
			err = fmt.Errorf("it was not written by ccactl render, and would be kept as %s, where there is something already: move one of them away", former)
		}
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(t.root.Name(), former), nil
}
