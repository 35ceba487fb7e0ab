package session

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// handoverVariable tells the next image which descriptors it inherits, and what
// each is: "listener=7 gateway=9 lock=5 lock=6 reply=12 made".
const handoverVariable = "CCAD_HANDOVER"

// firstFD is where the descriptors that systemd hands over begin (sd_listen_fds(3)).
const firstFD = 3

// A Handover is what this image of the daemon has from an earlier one or from
// systemd, or leaves to the next.
type Handover struct {
	Listener *os.File   // the listening socket
	Gateway  *os.File   // the S3 gateway's listening socket; may be nil
	Metrics  *os.File   // the listening socket for metrics; may be nil
	Units    *os.File   // the listening socket for the credentials of systemd's units, always our own; may be nil
	Locks    []*os.File // the locks on our folders; only an earlier image leaves any
	Reply    *os.File   // the connection that asked for the lock; may be nil
	Made     bool       // Listener's socket file was made by us, not by systemd: it goes when we end
}

// Relocked reports whether an earlier image made this one, to lock.
func (h Handover) Relocked() bool { return len(h.Locks) > 0 }

// take puts a descriptor where its name says.
func (h *Handover) take(name string, fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return fmt.Errorf("take over the %s: %w", name, err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	var place **os.File
	switch name {
	case "listener":
		place = &h.Listener
	case "gateway":
		place = &h.Gateway
	case "metrics":
		place = &h.Metrics
	case "units":
		place = &h.Units
	case "reply":
		place = &h.Reply
	case "lock":
		h.Locks = append(h.Locks, f)
		return nil
	default: // an image of another version knows more
		return f.Close()
	}
	if *place != nil {
		return fmt.Errorf("take over the %s: there are two", name)
	}
	*place = f
	return nil
}

// Replace replaces this process by a fresh image of binary, with the same
// arguments. It returns only if that failed; then the process holds secrets it
// should not hold and must end. binary is the absolute path found at start: by
// /proc/self/exe the process would be called "exe", and an upgrade missed.
func (h Handover) Replace(binary string) error {
	if h.Listener == nil {
		return errors.New("re-exec without a listener")
	}
	var described []string
	keep := func(name string, files ...*os.File) error {
		for _, f := range files {
			if f == nil {
				continue
			}
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, firstFD) // a copy without close-on-exec
			if err != nil {
				return fmt.Errorf("keep the %s over the re-exec: %w", name, err)
			}
			described = append(described, name+"="+strconv.Itoa(fd))
		}
		return nil
	}
	if err := errors.Join(keep("listener", h.Listener), keep("gateway", h.Gateway), keep("metrics", h.Metrics),
		keep("units", h.Units), keep("lock", h.Locks...), keep("reply", h.Reply)); err != nil {
		return err
	}
	if h.Made {
		described = append(described, "made")
	}
	env := append(os.Environ(), handoverVariable+"="+strings.Join(described, " "))
	err := unix.Exec(binary, os.Args, env)
	return fmt.Errorf("exec %s: %w", binary, err)
}

// Inherited takes what an earlier image or systemd left to this one; the zero
// Handover where nobody did. It clears the variables, so that a second call or
// a child finds nothing, and makes the descriptors close on exec again.
func Inherited() (Handover, error) {
	var h Handover
	fds, pid, names, described := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDNAMES"), os.Getenv(handoverVariable)
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", handoverVariable} {
		_ = os.Unsetenv(name)
	}
	if pid == strconv.Itoa(os.Getpid()) {
		n, _ := strconv.Atoi(fds)
		named := strings.Split(names, ":")
		for i := range n {
			name := "listener" // whatever a unit of one socket calls it
			if i < len(named) && named[i] == "gateway" {
				name = named[i]
			}
			if err := h.take(name, firstFD+i); err != nil {
				return h, err
			}
		}
	}
	for _, item := range strings.Fields(described) {
		name, number, _ := strings.Cut(item, "=")
		if name == "made" {
			h.Made = true
			continue
		}
		fd, err := strconv.Atoi(number)
		if err != nil {
			return h, fmt.Errorf("take over the %s: not a descriptor", name)
		}
		if err := h.take(name, fd); err != nil {
			return h, err
		}
	}
	return h, nil
}
