package session

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// handoverVariable tells the next image which descriptors it inherits beside
// the listener: "LOCK,LOCK;REPLY".
const handoverVariable = "CCAD_HANDOVER"

// listenerFD is where systemd's socket activation puts the first listener; a
// re-exec puts it there too, so that one code path takes it over.
const listenerFD = 3

// A Handover is what one image of the daemon leaves to the next.
type Handover struct {
	Listener *os.File   // the listening socket
	Locks    []*os.File // the locks on our folders
	Reply    *os.File   // the connection that asked for the lock; may be nil
}

// Replace replaces this process by a fresh image of binary, with the same
// arguments. It returns only if that failed; then the process holds secrets it
// should not hold and must end. binary is the absolute path found at start: by
// /proc/self/exe the process would be called "exe", and an upgrade missed.
func (h Handover) Replace(binary string) error {
	first := listenerFD + 1
	moved := make([]int, 0, len(h.Locks)+1)
	// Move everything out of the way of descriptor 3 first, without close-on-exec.
	for _, f := range append(append([]*os.File{}, h.Locks...), h.Reply) {
		if f == nil {
			continue
		}
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, first)
		if err != nil {
			return fmt.Errorf("keep a descriptor over the re-exec: %w", err)
		}
		moved = append(moved, fd)
	}
	listener, err := unix.FcntlInt(h.Listener.Fd(), unix.F_DUPFD, first)
	if err != nil {
		return fmt.Errorf("keep the listener over the re-exec: %w", err)
	}
	if err := dup2(listener, listenerFD); err != nil {
		return fmt.Errorf("place the listener for the re-exec: %w", err)
	}
	_ = unix.Close(listener)
	env := append(os.Environ(),
		"LISTEN_FDS=1", "LISTEN_PID="+strconv.Itoa(os.Getpid()),
		handoverVariable+"="+h.describe(moved))
	err = unix.Exec(binary, os.Args, env)
	return fmt.Errorf("exec %s: %w", binary, err)
}

func (h Handover) describe(moved []int) string {
	locks := make([]string, len(h.Locks))
	for i := range h.Locks {
		locks[i] = strconv.Itoa(moved[i])
	}
	reply := ""
	if h.Reply != nil {
		reply = strconv.Itoa(moved[len(moved)-1])
	}
	return strings.Join(locks, ",") + ";" + reply
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
	locks, reply, _ := strings.Cut(described, ";")
	for _, s := range strings.Split(locks, ",") {
		f, err := inherit(s, "folder lock")
		if err != nil {
			return h, err
		}
		if f != nil {
			h.Locks = append(h.Locks, f)
		}
	}
	var err error
	h.Reply, err = inherit(reply, "lock request")
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
