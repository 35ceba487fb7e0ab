package vault

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// recorder is a disk that writes down its steps.
func recorder(steps *[]string) disk {
	return disk{fault: func(step string) error { *steps = append(*steps, step); return nil }}
}

// failing is a disk that is full at its nth step.
func failing(n int) (d disk, step *string) {
	step = new(string)
	return disk{fault: func(name string) error {
		if n--; n == -1 {
			*step = name
			return syscall.ENOSPC
		}
		return nil
	}}, step
}

func TestWriteFileOrder(t *testing.T) {
	var steps []string
	path := filepath.Join(t.TempDir(), "f")
	if err := recorder(&steps).writeFile(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	want := "create write chmod sync close rename sync folder"
	if got := strings.Join(steps, " "); got != want {
		t.Errorf("steps: %s; want %s", got, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want 0640", info.Mode(), err)
	}
}

// The temporary file is never wider than its owner before it is complete, is
// not what was there, and doesn't stay.
func TestWriteFileFails(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if err := WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, step := failing(n)
		err := d.writeFile(path, []byte("new"), 0o600)
		if *step == "" {
			if n < 7 || err != nil {
				t.Fatalf("only %d steps, %v", n, err)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s failed: %v", *step, err)
		}
		want := "old"
		if *step == "sync folder" {
			want = "new"
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != want {
			t.Errorf("after %s failed: %q, %v; want %q", *step, data, err, want)
		}
		if got := names(t, dir); got != "f" {
			t.Errorf("after %s failed the folder has: %s", *step, got)
		}
	}
}

func TestWriteFileIsBornSecure(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	var modes []os.FileMode
	d := disk{fault: func(step string) error {
		if step == "write" || step == "chmod" {
			temp, err := filepath.Glob(filepath.Join(dir, ".f.*.tmp"))
			if err != nil || len(temp) != 1 {
				return errors.New("no temporary file beside")
			}
			info, err := os.Lstat(temp[0])
			if err != nil {
				return err
			}
			modes = append(modes, info.Mode())
		}
		return nil
	}}
	if err := d.writeFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(modes, []os.FileMode{0o600, 0o600}) {
		t.Errorf("modes of the temporary file: %v", modes)
	}
}
