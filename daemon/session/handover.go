package session

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// handoverVariable tells the next image which descriptors it inherits beside
// the listener: "LOCK,LOCK;REPLY;GATEWAY;METRICS;made".
const handoverVariable = "CCAD_HANDOVER"

// listenerFD is where systemd's socket activation puts the first listener; a
// re-exec puts it there too, so that one code path takes it over.
const listenerFD = 3

// A Handover is what one image of the daemon leaves to the next.
type Handover struct {
	Listener *os.File   // the listening socket
	Locks    []*os.File // the locks on our folders
	Reply    *os.File   // the connection that asked for the lock; may be nil
	Gateway  *os.File   // the S3 gateway's listening socket; may be nil
	Metrics  *os.File   // the listening socket for metrics; may be nil
	Made     bool       // Listener's socket file was made by us, not by systemd: it goes when we end
}

// Replace replaces this process by a fresh image of binary, with the same
// arguments. It returns only if that failed; then the process holds secrets it
// should not hold and must end. binary is the absolute path found at start: by
// /proc/self/exe the process would be called "exe", and an upgrade missed.
func (h Handover) Replace(binary string) error {
	// Move everything out of the way of descriptor 3 first, without close-on-exec.
	listener, err := keep(h.Listener)
	if err != nil {
		return err
	}
	described := make([]string, len(h.Locks))
	for i, f := range h.Locks {
		if described[i], err = keep(f); err != nil {
			return err
		}
	}
	reply, err := keep(h.Reply)
	if err != nil {
		return err
	}
	gateway, err := keep(h.Gateway)
	if err != nil {
		return err
	}
	metrics, err := keep(h.Metrics)
	if err != nil {
		return err
	}
	made := ""
	if h.Made {
		made = "made"
	}
	from, err := strconv.Atoi(listener)
	if err != nil {
		return errors.New("re-exec without a listener")
	}
	if err := dup2(from, listenerFD); err != nil {
		return fmt.Errorf("place the listener for the re-exec: %w", err)
	}
	_ = unix.Close(from)
	env := append(os.Environ(),
		"LISTEN_FDS=1", "LISTEN_PID="+strconv.Itoa(os.Getpid()),
		handoverVariable+"="+strings.Join([]string{strings.Join(described, ","), reply, gateway, metrics, made}, ";"))
	err = unix.Exec(binary, os.Args, env)
	return fmt.Errorf("exec %s: %w", binary, err)
}

// keep makes a copy of a descriptor that survives the exec, and returns its
// number; "" for none.
func keep(f *os.File) (string, error) {
	if f == nil {
		return "", nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, listenerFD+1)
	if err != nil {
		return "", fmt.Errorf("keep a descriptor over the re-exec: %w", err)
	}
	return strconv.Itoa(fd), nil
}

// Inherited takes what an earlier image or systemd left to this one; the zero
// Handover where nobody did. It clears the variables, so that a second call or
// a child finds nothing, and makes the descriptors close on exec again.
func Inherited() (Handover, error) {
	var h Handover
	fds, pid, described := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"), os.Getenv(handoverVariable)
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", handoverVariable} {
		_ = os.Unsetenv(name)
	}
	if pid == strconv.Itoa(os.Getpid()) && fds != "" && fds != "0" {
		unix.CloseOnExec(listenerFD)
		h.Listener = os.NewFile(listenerFD, "listener")
	}
	if described == "" {
		return h, nil
	}
	parts := append(strings.Split(described, ";"), "", "", "", "") // an older image says less
	h.Made = parts[4] == "made"
	for _, s := range strings.Split(parts[0], ",") {
		f, err := inherit(s, "folder lock")
		if err != nil {
			return h, err
		}
		if f != nil {
			h.Locks = append(h.Locks, f)
		}
	}
	var err error
	if h.Reply, err = inherit(parts[1], "lock request"); err != nil {
		return h, err
	}
	if h.Gateway, err = inherit(parts[2], "gateway's port"); err != nil {
		return h, err
	}
	h.Metrics, err = inherit(parts[3], "metrics port")
	return h, err
}

func inherit(number, name string) (*os.File, error) {
	if number == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("take over the %s: not a descriptor", name)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fmt.Errorf("take over the %s: %w", name, err)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name), nil
}
