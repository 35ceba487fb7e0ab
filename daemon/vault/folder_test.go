package vault

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLockFolderMakesIt(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "a", "b")
	f, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
}

func TestLockFolderRefuses(t *testing.T) {
	for _, mode := range []os.FileMode{0o755, 0o750, 0o710, 0o701, 0o777} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LockFolder(dir)
		if !errors.Is(err, ErrLoose) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("%04o", mode)) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LockFolder(file); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// A folder of another owner: root gives one away, anyone else has /.
func TestLockFolderRefusesForeign(t *testing.T) {
	dir := "/"
	if os.Geteuid() == 0 {
		dir = t.TempDir()
		if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LockFolder(dir); !errors.Is(err, ErrLoose) || !strings.Contains(err.Error(), "belongs to another user (uid ") || strings.Contains(err.Error(), "can enter it") {
		t.Errorf("a foreign folder: %v", err)
	}
}

// childLock locks a folder, or reports why not.
func childLock(args []string) error {
	_, err := LockFolder(args[0])
	return err
}

func TestLockFolderHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	f, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockFolder(dir); !errors.Is(err, ErrOwned) || !strings.Contains(err.Error(), dir) {
		t.Errorf("in this process: %v", err)
	}
	if out, err := child(t, "lock", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), ErrOwned.Error()) {
		t.Errorf("in another process: %v: %s", err, out)
	}

	// It passes through exec: a shell that got the file holds the lock after us.
	hold := exec.CommandContext(t.Context(), "sh", "-c", "echo ready; exec cat >/dev/null")
	hold.ExtraFiles = []*os.File{f}
	stdin, err1 := hold.StdinPipe()
	stdout, err2 := hold.StdoutPipe()
	if err := errors.Join(err1, err2, hold.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if _, err := LockFolder(dir); !errors.Is(err, ErrOwned) {
		t.Errorf("the lock didn't pass through exec: %v", err)
	}
	_ = stdin.Close()
	if err := hold.Wait(); err != nil {
		t.Fatal(err)
	}
	f, err = LockFolder(dir)
	if err != nil {
		t.Fatalf("after its holder ended: %v", err)
	}
	defer f.Close()
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the lock isn't born close-on-exec: %#x, %v", flags, err)
	}
}

// What was given back is free, though a program that is just being started has the
// file still.
func TestUnlockFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	f, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	childs, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(childs)
	UnlockFolder(f)
	if f, err = LockFolder(dir); err != nil {
		t.Fatal(err)
	}
	UnlockFolder(f)
}

func TestLockedMarker(t *testing.T) {
	dir := t.TempDir()
	if IsLocked(dir) {
		t.Error("locked at birth")
	}
	if err := ClearLocked(dir); err != nil {
		t.Errorf("nothing to clear: %v", err)
	}
	for range 2 {
		if err := MarkLocked(dir); err != nil || !IsLocked(dir) {
			t.Errorf("not marked: %v", err)
		}
	}
	if err := ClearLocked(dir); err != nil || IsLocked(dir) {
		t.Errorf("not cleared: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !IsLocked(file) {
		t.Error("in doubt, not locked")
	}
	if MarkLocked(filepath.Join(dir, "gone")) == nil {
		t.Error("a marker in a folder that isn't there")
	}
}
