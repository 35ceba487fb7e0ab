package ipc

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peerOf returns who is on the other end, as the kernel noted it when the
// connection was made. For a client that is who called listen: with socket
// activation systemd's user manager, not the daemon, hence the uid decides and
// the pid does not.
func peerOf(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, fmt.Errorf("ask who is on the other end: %w", err)
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		err = e
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask who is on the other end: %w", err)
	}
	return int(cred.Uid), int(cred.Pid), nil
}
