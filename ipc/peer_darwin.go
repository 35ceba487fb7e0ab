package ipc

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peerOf returns who is on the other end, as the kernel noted it when the
// connection was made.
func peerOf(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, fmt.Errorf("ask who is on the other end: %w", err)
	}
	var cred *unix.Xucred
	if e := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	}); e != nil {
		err = e
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask who is on the other end: %w", err)
	}
	return int(cred.Uid), pid, nil
}
