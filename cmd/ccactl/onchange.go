package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/cmd/ccactl/supervise"
	"github.com/cloud-ca/ccad/ipc"
)

// A reaction is what a change does to a command.
type reaction struct {
	follow bool
	signal syscall.Signal // 0: a restart
}

func reactionTo(word string) (reaction, error) {
	name, signals := strings.CutPrefix(word, "signal:")
	switch {
	case word == "ignore":
		return reaction{}, nil
	case word == "restart":
		return reaction{follow: true}, nil
	case !signals:
		return reaction{}, errors.New("--on-change is restart, signal:SIG or ignore")
	}
	s := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	if s == 0 {
		return reaction{}, fmt.Errorf("there is no signal %s (such as signal:HUP)", quote(name))
	}
	return reaction{follow: true, signal: s}, nil
}

// supervised stays the parent of a command: it tells it of changes, if it is to follow
// them, and reports its failure.
func supervised(h *holding, program string, command []string, on reaction) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := supervise.Command{
		Path: program, Args: command, Signal: on.signal, Say: say,
		Env: environment(os.Environ(), h.selected, string(h.body)),
		Renew: func() ([]string, error) {
			body, err := h.renewed()
			return environment(os.Environ(), h.selected, string(body)), err
		},
	}
	if on.follow {
		changes := make(chan struct{}, 1)
		c.Changes = changes
		go ipc.Follow(ctx, func() {
			if h.changed() {
				select {
				case changes <- struct{}{}:
				default:
				}
			}
		})
	}
	status, err := c.Run()
	if err != nil {
		return err
	}
	if status.Exited() && status.ExitStatus() != 0 {
		reportFailure(h.name)
	}
	return endAs(status)
}

// reportFailure says that a command failed with what it was given. The daemon checks
// that in the background, and not each time; nobody waits, and whether it hears
// of it at all is not the command's business.
func reportFailure(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = ipc.Do(ctx, "POST", "/v1/verify", ipc.VerifyRequest{Rejected: name, Background: true}, nil)
}

// A holding is the view that a command was given.
type holding struct {
	name, path string
	selected   string // what CCAD_ENV says to a hooked shell

	mu         sync.Mutex
	generation string // read before body, so that it is never newer
	body       []byte
	trouble    string // said last
}

func (h *holding) fetch() (warnings []string, err error) {
	h.generation = generation(h.name)
	h.body, warnings, err = view(h.name, h.path)
	return warnings, err
}

// changed reports whether the view is another one by now. Locked, or without a
// daemon, or while the cloud refuses what there is, nothing has changed.
func (h *holding) changed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := generation(h.name)
	if now == h.generation || now == "" || now == "0" {
		return false
	}
	body, _, err := view(h.name, h.path)
	if err != nil {
		if h.trouble != err.Error() {
			h.trouble = err.Error()
			say("what changed in " + h.name + " is not to be had, the command goes on: " + h.trouble)
		}
		return false
	}
	same := bytes.Equal(body, h.body)
	h.generation, h.body, h.trouble = now, body, ""
	return !same
}

// renewed is the view for a command whose predecessor has ended: with it the
// leases on what that one was given end. What the cloud refuses is not given out
// again; locked, or without a daemon, it is what there was.
func (h *holding) renewed() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := generation(h.name)
	body, _, err := view(h.name, h.path+"&anew=true")
	var failure *ipc.Error
	switch {
	case err == nil:
		h.generation, h.body = now, body
	case errors.As(err, &failure) && failure.Code == ipc.CodeRefused:
		return nil, fmt.Errorf("%w; the command is not started again, %s mends it", err, hintFor(err))
	}
	return h.body, nil
}

// generation is what the daemon says of an environment without being asked; ""
// where it does not run.
func generation(name string) string {
	data, err := guard{limit: 64}.read(filepath.Join(ipc.GenerationFolder(), name))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(data), "\n")
}

// endAs ends as the command did: by its code, or by its signal, so that a shell
// sees no difference.
func endAs(status syscall.WaitStatus) error {
	switch {
	case status.Signaled():
		s := status.Signal()
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the core is the command's
		signal.Reset(s)
		_ = syscall.Kill(os.Getpid(), s)
		return exitCode(128 + int(s)) // it comes with a delay, or not at all
	case status.ExitStatus() != 0:
		return exitCode(status.ExitStatus())
	}
	return nil
}
