package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cloud-ca/ccad/ipc"
)

// maxLinks is the kernel's.
const maxLinks = 40

// follow is filepath.EvalSymlinks for an absolute path, and refuses a way on
// which another user could put a link of his: it would lead what is written into
// a file of the user's that everybody reads, or over one that he needs. Whoever
// may change the way besides the user is root.
func follow(path string) (string, error) {
	at, rest, links := "/", strings.Split(filepath.Clean(path), "/"), 0
	for len(rest) > 0 {
		name := rest[0]
		if rest = rest[1:]; name == "" {
			continue
		}
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		if err := checkWay(at); err != nil {
			return "", err
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if !trusted(info) {
			return "", fmt.Errorf("%s belongs to another user", next)
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", errors.New("it leads through too many symbolic links")
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return at, nil
}

// checkWay refuses a folder in which another user may put one thing in the place
// of another. In a shared one, such as /tmp, he can't do that to what isn't his.
func checkWay(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if !trusted(info) {
		return fmt.Errorf("its folder %s belongs to another user", folder)
	}
	if ipc.OthersMayWrite(folder, info) && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("its folder %s can be written by others (mode %04o; chmod go-w mends it)", folder, info.Mode().Perm())
	}
	return nil
}

// trusted reports whether something is the user's or root's.
func trusted(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Getuid())
}
