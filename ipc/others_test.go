package ipc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOwnGroup(t *testing.T) {
	const users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\neve:x:1002:1001::/:/bin/sh\nfay:x:1003:100::/:/bin/sh\n"
	for _, c := range []struct {
		why, users, groups string
		uid, gid           int
		want               bool
	}{
		{"hers alone", users, "root:x:0:\nann:x:1000:\n", 1000, 1000, true},
		{"hers, who is named in it", users, "ann:x:1000:ann", 1000, 1000, true},
		{"somebody is in it", users, "ann:x:1000:bob\n", 1000, 1000, false},
		{"somebody is in it too", users, "ann:x:1000:ann,bob\n", 1000, 1000, false},
		{"in it by its second name", users, "ann:x:1000:\nstaff:x:1000:bob\n", 1000, 1000, false},
		{"somebody else's first", users, "bob:x:1001:\n", 1001, 1001, false},
		{"of another name", users, "users:x:100:\n", 1003, 100, false},
		{"another group", users, "ann:x:1000:\nstaff:x:50:ann\n", 1000, 50, false},
		{"a group that is not there", users, "root:x:0:\n", 1000, 1000, false},
		{"a user who is not there", users, "ann:x:1000:\n", 1004, 1000, false},
		{"a second user of that number", users + "ann2:x:1000:1000::/:/bin/sh\n", "ann:x:1000:\n", 1000, 1000, false},
		{"root", users, "root:x:0:\n", 0, 0, false},
		{"lines that are none", users + "+\n::\n", "ann:x:1000\n+\n", 1000, 1000, false},
	} {
		if got := ownGroup([]byte(c.users), []byte(c.groups), c.uid, c.gid); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
	}
}

func TestOthersMayWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o602: true, 0o666: true} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := OthersMayWrite(path, info); got != want {
			t.Errorf("%04o: %v", mode, got)
		}
	}
}
