package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// What LockFolder refuses.
var (
	ErrLoose = errors.New("it must be yours alone") // a folder of another owner or with a mode wider than 0700
	ErrOwned = errors.New("another daemon owns it")
)

// LockFolder makes the data folder if it's missing, refuses it where others can
// enter (ErrLoose), and takes the lock that proves its single owner (ErrOwned
// when another process has it).
//
// The lock lives as long as the file is open anywhere: it passes through fork
// and exec. The file is born close-on-exec; who re-execs clears that and
// carries the lock over without a gap.
func LockFolder(dir string) (*os.File, error) {
	f, err := enterFolder(dir)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		_ = f.Close()
		return nil, fmt.Errorf("lock folder %s: %w", dir, ErrOwned)
	case err != nil:
		_ = f.Close()
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	return f, nil
}

// UnlockFolder gives the lock back. Closing alone would leave it with a program
// that is just being started: a child has every descriptor until it execs.
func UnlockFolder(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	_ = f.Close()
}

// enterFolder opens a folder of ours, made 0700 if it's missing.
func enterFolder(dir string) (*os.File, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	return openFolder(dir)
}

// openFolder opens a folder of ours. What is checked is the open folder, so that
// it can't be exchanged in between.
func openFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	if err := tight(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func makeFolder(dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		return disk{}.syncFolder(parent)
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// tight returns ErrLoose unless the open folder is ours and ours alone.
func tight(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("inspect folder: %w", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("folder %s belongs to another user (uid %d): %w", f.Name(), owner, ErrLoose)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("folder %s has mode %04o, 0700 is needed: %w", f.Name(), mode, ErrLoose)
	}
	return nil
}

// lockedMarker remembers an explicit lock over restarts.
const lockedMarker = "locked"

// MarkLocked remembers durably that a person locked the daemon.
func MarkLocked(dir string) error {
	return WriteFile(filepath.Join(dir, lockedMarker), nil, 0o600)
}

// ClearLocked forgets it, when a person unlocks.
func ClearLocked(dir string) error { return disk{}.removeDurably(filepath.Join(dir, lockedMarker)) }

// IsLocked reports whether a person locked the daemon. When in doubt he did.
func IsLocked(dir string) bool { return present(filepath.Join(dir, lockedMarker)) }

// present reports whether there is something at path, or may be.
func present(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// removeDurably removes a file that may be missing.
func (d disk) removeDurably(path string) error {
	err := d.step("remove", func() error { return os.Remove(path) })
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return d.syncFolder(filepath.Dir(path))
}
