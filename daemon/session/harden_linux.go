package session

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Harden makes the process unreadable for others of the same user (no ptrace,
// no /proc/PID/mem) and unable to leave a core file. It is the first thing that
// main does: an exec resets the first of the two.
func Harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("become undumpable: %w", err)
	}
	return noCore()
}
