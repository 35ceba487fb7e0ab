package session

import "golang.org/x/sys/unix"

// dup2 clears close-on-exec on the copy.
func dup2(from, to int) error { return unix.Dup2(from, to) }
