package ipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestACL: with an access control list the group's bit of a mode is the list's
// mask: somebody else's entry may be behind it. Root has no group of his own, so
// for him it runs as a user who has.
func TestACL(t *testing.T) {
	if os.Getuid() == 0 {
		asOwnGroup(t, "^TestACL$")
		return
	}
	if !isOwnGroup(t, os.Getuid(), os.Getgid()) {
		t.Skip("LEFT OUT: the user has no group of his own; root finds one that has")
	}
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o660), os.Chmod(dir, 0o770)); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{path, dir} {
		for _, listed := range []bool{false, true} {
			if listed {
				giveTo(t, at, 12345)
			}
			info, err := os.Stat(at)
			if err != nil {
				t.Fatal(err)
			}
			if got := OthersMayWrite(at, info); got != listed {
				t.Errorf("%s, with a list: %v: %v", info.Mode(), listed, got)
			}
		}
	}
}

// giveTo does what setfacl -m u:UID:rwx does.
func giveTo(t *testing.T, path string, uid uint32) {
	t.Helper()
	var list bytes.Buffer
	for _, part := range []any{uint32(2), // version
		[]uint16{1, 7}, ^uint32(0), // the owner
		[]uint16{2, 7}, uid,
		[]uint16{4, 7}, ^uint32(0), // the group
		[]uint16{16, 7}, ^uint32(0), // the mask
		[]uint16{32, 0}, ^uint32(0), // all others
	} {
		if err := binary.Write(&list, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	err := unix.Setxattr(path, "system.posix_acl_access", list.Bytes(), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip("LEFT OUT: the file system has no access control lists")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func isOwnGroup(t *testing.T, uid, gid int) bool {
	t.Helper()
	users, err := os.ReadFile("/etc/passwd")
	groups, e := os.ReadFile("/etc/group")
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	return ownGroup(users, groups, uid, gid)
}

// asOwnGroup runs a test as the first user who has a group of his own.
func asOwnGroup(t *testing.T, test string) {
	t.Helper()
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	var uid, gid int
	for user := range fieldsOf(users, 7) {
		uid, _ = strconv.Atoi(user[2])
		if gid, _ = strconv.Atoi(user[3]); isOwnGroup(t, uid, gid) {
			break
		}
		uid = 0
	}
	if uid == 0 {
		t.Fatal("nobody here has a group of his own")
	}
	dir, err := os.MkdirTemp("", "ccad") // a folder of t's is root's alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.ReadFile("/proc/self/exe")
	if err = errors.Join(err, os.WriteFile(dir+"/test", self, 0o755), os.Chown(dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/test", "-test.v", "-test.run", test)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v: %s", err, out)
	case strings.Contains(string(out), "LEFT OUT"):
		t.Skipf("%s", out)
	case !strings.Contains(string(out), "--- PASS"):
		t.Errorf("it did not run: %s", out)
	}
}
