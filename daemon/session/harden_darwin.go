package session

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Harden denies debuggers and core files. It is the first thing that main does.
func Harden() error {
	if err := unix.PtraceDenyAttach(); err != nil {
		return fmt.Errorf("deny debuggers: %w", err)
	}
	return noCore()
}
