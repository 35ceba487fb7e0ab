package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/ipc"
)

// What undo puts back is never open, and has its mode before it has its name: in a
// folder of others a chmod by name could meet another file.
func TestPutBackMode(t *testing.T) {
	for what, c := range map[string]struct{ now, kept, want os.FileMode }{
		"gone":               {0, 0o640, 0o640},
		"opened since":       {0o644, 0o600, 0o600},
		"closed since":       {0o600, 0o644, 0o600},
		"of other bits each": {0o640, 0o604, 0o600},
	} {
		path := filepath.Join(t.TempDir(), "rc")
		k := ipc.KeptFile{Path: path, Mode: uint32(c.kept), Before: []byte("export OS_PASSWORD=hunter2\n")}
		if c.now != 0 {
			if err := os.WriteFile(path, nil, c.now); err != nil {
				t.Fatal(err)
			}
			after := digestOf(nil)
			k.After = after[:]
		}
		modes, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(modes)
		if _, err := unix.InotifyAddWatch(modes, filepath.Dir(path), unix.IN_ATTRIB); err != nil {
			t.Fatal(err)
		}
		if done, err := restoreKept(k, true); !done || err != nil {
			t.Fatal(what, done, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != c.want {
			t.Errorf("%s: %v, %v", what, info.Mode(), err)
		}
		events := make([]byte, 4096)
		n, _ := unix.Read(modes, events)
		if bytes.Contains(events[:max(n, 0)], []byte("\x00rc\x00")) {
			t.Errorf("%s: its mode was changed by its name", what)
		}
	}
}
