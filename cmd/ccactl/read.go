package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/cloud-ca/ccad/ipc"
)

const (
	fileLimit   = 1 << 20  // a file of credentials is a thousand times smaller
	backupLimit = 64 << 20 // of 10,000 environments
)

// A guard says which files are read. What others could have written is refused:
// it would be taken for the user's own word.
type guard struct {
	limit  int64
	system bool // root's files too, and through symbolic links (certificates)
}

// read returns a regular file of ours. It never waits (on a pipe, a terminal)
// and reads no more than the limit.
func (g guard) read(path string) ([]byte, error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	if !g.system {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, linkError(path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := g.check(path, ipc.Opened(f), info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, g.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > g.limit {
		return nil, tooLong(path, g.limit)
	}
	return data, nil
}

// linkError refuses a link: others may have put it there, so what it leads to is
// read once a person has named that.
func linkError(path string) error {
	to := real(path)
	if to == path {
		return fmt.Errorf("%s is a symbolic link to nothing", path)
	}
	return fmt.Errorf("%s is a symbolic link: give the file that it leads to, %s", path, to)
}

func (g guard) check(path, opened string, info fs.FileInfo) error {
	owner := -1
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case owner != os.Getuid() && !(g.system && owner == 0):
		return fmt.Errorf("%s belongs to another user (uid %d)", path, owner)
	case ipc.OthersMayWrite(opened, info):
		return fmt.Errorf("%s can be written by others (mode %04o; chmod go-w mends it)", path, info.Mode().Perm())
	case info.Size() > g.limit:
		return tooLong(path, g.limit)
	}
	return nil
}

func tooLong(path string, limit int64) error {
	return fmt.Errorf("%s is longer than %d bytes", path, limit)
}

// readStdin returns stdin under the same limit.
func readStdin(limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(os.Stdin, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read stdin: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, tooLong("stdin", limit)
	}
	return data, nil
}
