package configure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func addDev(path string) (bool, error) { return writeAWS(path, []AWSProfile{dev}) }

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "config")
	if changed, err := addDev(path); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if read(t, path) != devProfile {
		t.Errorf("got %s", read(t, path))
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
}

func TestModeAndLinks(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "dotfiles", "config")
	if err := os.Mkdir(filepath.Dir(target), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("[default]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "config")
	if err := os.Symlink("dotfiles/config", link); err != nil {
		t.Fatal(err)
	}
	if changed, err := addDev(link); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(target); err != nil || info.Mode() != 0o644 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if !strings.Contains(read(t, target), devProfile) {
		t.Errorf("the target has %s", read(t, target))
	}
	for _, folder := range []string{dir, filepath.Dir(target)} {
		if left, _ := filepath.Glob(filepath.Join(folder, ".config*")); left != nil {
			t.Errorf("left over: %v", left)
		}
	}
}

// What a ccactl that was killed left beside a file, maybe with its secrets, goes at
// the next edit; what one that runs is writing, or a person keeps there, does not.
func TestLeftByAKill(t *testing.T) {
	dir := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	beside := func(pid int) string { return filepath.Join(dir, fmt.Sprintf(".config.%d.ccad", pid)) }
	left, ours := beside(gone.Process.Pid), beside(os.Getpid())
	kept := []string{beside(os.Getppid()), filepath.Join(dir, ".config.old.ccad"), filepath.Join(dir, ".other."+strconv.Itoa(gone.Process.Pid)+".ccad")}
	target := filepath.Join(dir, "target")
	for _, path := range append(kept, left, target) {
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(target, ours); err != nil {
		t.Fatal(err)
	}
	if changed, err := addDev(filepath.Join(dir, "config")); !changed || err != nil {
		t.Fatal(changed, err)
	}
	for _, path := range []string{left, ours} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	for _, path := range append(kept, target) {
		if read(t, path) != "before" {
			t.Errorf("%s has %s", path, read(t, path))
		}
	}
}

func TestUnusable(t *testing.T) {
	dir := t.TempDir()
	dangling, fifo, folder := filepath.Join(dir, "dangling"), filepath.Join(dir, "fifo"), filepath.Join(dir, "folder")
	if err := os.Symlink("nothing", dangling); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, say := range map[string]string{dangling: "symbolic link to nothing", fifo: "no regular file", folder: "no regular file"} {
		if _, err := addDev(path); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", path, err, say)
		}
	}
}

// TestMeanwhile: another program's edit between reading and writing is not lost.
func TestMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	for _, before := range []string{"", "[a]\n"} {
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("[b]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if changed, err := f.save("[c]\n"); changed || err == nil || !strings.Contains(err.Error(), "meanwhile") {
			t.Errorf("%v, %v", changed, err)
		}
		if read(t, path) != "[b]\n" {
			t.Errorf("got %s", read(t, path))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
