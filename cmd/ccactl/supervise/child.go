package supervise

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A child is the command, running.
type child struct {
	process *os.Process
	ended   chan syscall.WaitStatus
}

// start starts the command, which ends when we are killed where the system can
// do that.
func (c *Command) start() (child, error) {
	// os and os/exec would make the descriptors block, for everybody who has them.
	pid, _, err := syscall.StartProcess(c.Path, c.Args, &syscall.ProcAttr{Env: c.Env, Files: inherited(), Sys: attributes(c.grouped)})
	if err != nil {
		return child{}, fmt.Errorf("run %q: %w", c.Args[0], err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return child{}, fmt.Errorf("run %q: %w", c.Args[0], err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	go func() {
		var status syscall.WaitStatus
		if state, err := process.Wait(); err == nil {
			status, _ = state.Sys().(syscall.WaitStatus)
		}
		ended <- status
	}()
	return child{process, ended}, nil
}

// inherited are the descriptors that we got from who started us, each at its
// number: our own close at an exec.
func inherited() []uintptr {
	files := []uintptr{0, 1, 2}
	open, _ := os.ReadDir("/dev/fd")
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		for len(files) <= fd {
			files = append(files, ^uintptr(0)) // closed
		}
		files[fd] = uintptr(fd)
	}
	return files
}

// kill sends a signal to the command, and to what it started where that is told
// from others.
func (c *Command) kill(running child, s syscall.Signal) {
	if c.grouped {
		_ = syscall.Kill(-running.process.Pid, s)
		return
	}
	_ = running.process.Signal(s)
}

// gone reports whether nothing is left of a group whose leader has ended. Until
// then the kernel gives its number to nobody else.
func gone(group int) bool {
	for reaped := group; reaped > 0; { // orphans are ours where we are a container's first process
		reaped, _ = syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
	}
	return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH)
}
