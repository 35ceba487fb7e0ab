package ipc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// hasACL reports whether a file has an access control list. What can't be told
// counts as one.
func hasACL(path string) bool {
	_, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP)
}

// Opened names an open file, whatever has its path by now.
func Opened(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
