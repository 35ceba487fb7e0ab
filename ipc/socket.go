package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLive means that another daemon answers at the socket.
var ErrLive = errors.New("another ccad answers there")

// Listen makes the socket at path, mode 0600 from its birth, in a folder that
// only we can enter. The caller holds the folder's lock, so what is found at
// path can only be the leftover of a daemon that died; it is removed all the
// same only after a dial has shown that nobody answers.
//
// The umask it sets is the whole process's for that moment: a folder made meanwhile
// could not be entered. So a daemon calls it as it starts, and else only where its
// socket was removed.
func Listen(path string) (*Listener, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := clearStale(path); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return &Listener{UnixListener: l}, nil
}

// Inherit takes over a listening socket that systemd or an earlier image of
// this process handed over. Closing it does not unlink it, unless the caller says
// so: it belongs to who made it.
func Inherit(f *os.File) (*Listener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the listening socket: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, errors.New("take over the listening socket: not a Unix socket")
	}
	u.SetUnlinkOnClose(false)
	return &Listener{UnixListener: u}, nil
}

// clearStale removes a dead socket. Whatever else is there stays.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something that is no socket is in the way")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return ErrLive
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// A Listener hands out only connections of our own uid, as the kernel tells it:
// whoever it is not sure of is hung up on without a word, or as Stranger does.
type Listener struct {
	*net.UnixListener
	Stranger func(net.Conn) // nil: Close; it is called from Accept, and must not wait
}

// Accept returns the next connection of ours, a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, pid, err := peerOf(c)
		if err != nil || uid != os.Getuid() {
			if l.Stranger != nil {
				l.Stranger(c)
			} else {
				_ = c.Close()
			}
			continue
		}
		return &Conn{UnixConn: c, PID: pid}, nil
	}
}

// A Conn knows the process that opened it. The number may have passed to
// another process since: it is good for the audit trail, not for a decision.
type Conn struct {
	*net.UnixConn
	PID int
}
