package ipc

import (
	"bytes"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// OthersMayWrite reports whether anybody but its owner and root may write a file,
// or change what is in a folder. A group of the user's name that has nobody else
// in it is nobody else: on systems that make one for each user (Ubuntu, with its
// umask of 002) whatever he saves is the group's to write. Root has none, and who
// is in a group is what /etc/passwd and /etc/group say, no directory service. With
// an access control list that bit is of whomever the list names.
func OthersMayWrite(path string, info fs.FileInfo) bool {
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return true
	case mode&0o020 == 0:
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() || hasACL(path) {
		return true
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return true
	}
	groups, err := os.ReadFile("/etc/group")
	return err != nil || !ownGroup(users, groups, int(stat.Uid), int(stat.Gid))
}

// ownGroup reads passwd(5) and group(5).
func ownGroup(users, groups []byte, uid, gid int) bool {
	name := ""
	for user := range fieldsOf(users, 7) {
		switch {
		case user[2] == strconv.Itoa(uid) && name == "":
			name = user[0]
		case user[3] == strconv.Itoa(gid):
			return false // somebody else has it for his own
		}
	}
	if uid == 0 || name == "" {
		return false
	}
	found := false
	for group := range fieldsOf(groups, 4) {
		if group[2] != strconv.Itoa(gid) {
			continue
		}
		others := slices.DeleteFunc(strings.Split(group[3], ","), func(member string) bool { return member == "" || member == name })
		if group[0] != name || len(others) > 0 {
			return false
		}
		found = true
	}
	return found
}

// fieldsOf yields the lines that have so many fields, between colons.
func fieldsOf(file []byte, n int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range bytes.Lines(file) {
			if fields := strings.Split(strings.TrimSuffix(string(line), "\n"), ":"); len(fields) == n && !yield(fields) {
				return
			}
		}
	}
}
