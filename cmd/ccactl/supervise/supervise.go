// Package supervise stays the parent of a command: to start it anew, or to send it
// a signal, when something that it was given changes; and to know how it ended.
//
// Run is one loop over what can happen: a change, a signal, the command's end, a
// moment that was waited for. Everything else is in how a parent stays out of
// the way:
//
//   - On a terminal the command is in our process group. Ctrl-C, Ctrl-Z and fg
//     then reach it from the terminal, in pipelines too, and we pass on only what
//     was sent to us alone.
//   - Without one it has a group of its own, so that a restart ends what it
//     started as well, and comes when all of it is gone; and a signal to us
//     reaches all of it.
//   - A command that ends ends us, by its code or by its signal. Only one that
//     fails soon after a restart is tried again, later each time and not for
//     ever: what it was given may not have arrived everywhere yet.
//   - A command that somebody told to end is left alone until it does, and is not
//     started again. HUP and INT mean that only to some: who goes on after them,
//     as servers and shells do, follows changes as before.
//
// The command inherits every descriptor that we did. Limits: systemd's socket
// activation and notifications are for our pid, not the command's. On a terminal
// a restart ends the command itself, not what that left running.
package supervise

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// How long things take. Backoff is how long a command that fails soon after a
// restart rests, from first to last.
const (
	grace       = 10 * time.Second       // from SIGTERM to SIGKILL
	dying       = 3 * time.Second        // from SIGKILL until nothing more is waited for
	glance      = 20 * time.Millisecond  // between two looks at what a command that ended left running
	heed        = 10 * time.Second       // from a HUP, for a command that ends by it
	heedINT     = 5 * time.Minute        // and from a Ctrl-C, after which some wind down for long
	soon        = 10 * time.Second       // a command that ran longer has taken its start
	rest        = 500 * time.Millisecond // between two restarts, for several changes at once
	firstPause  = time.Second
	maxAttempts = 5 // the last one 16 s after the one before it
)

// A Command is what to run and how it follows changes.
type Command struct {
	Path    string
	Args    []string // Args[0] is the command as typed
	Env     []string
	Changes <-chan struct{}          // something that the command was given has changed; nil: it follows nothing
	Signal  syscall.Signal           // what a change sends; 0: it restarts the command
	Renew   func() ([]string, error) // the environment of the next start; an error: there is to be none
	Say     func(line string)
	After   func(time.Duration) <-chan time.Time // nil: time.After
	Now     func() time.Time                     // nil: time.Now

	signals  chan os.Signal
	grouped  bool      // the command has a process group of its own
	told     bool      // somebody told us to end: nothing is started again
	hinted   time.Time // until when it may end by a signal that some programs outlive
	attempts int       // in a row that failed soon after a restart
	started  time.Time // when the running command was, if by a restart
}

// Run runs the command until it ends for good and returns how it ended. An
// error means that it could not be started, or not again after a change.
func (c *Command) Run() (syscall.WaitStatus, error) {
	if c.After == nil {
		c.After = time.After
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	runtime.LockOSThread() // the kernel ends the command with the thread that started it
	defer runtime.UnlockOSThread()
	// At its first use os tries the kernel's pidfds on a child of its own. A Ctrl-Z
	// that stopped that one would stop us for good: so not once the command runs.
	_, _ = os.FindProcess(os.Getpid())
	c.grouped = !HasTerminal()
	c.signals = make(chan os.Signal, 16)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) { // the command ignores those, too
			signal.Notify(c.signals, s)
		}
	}
	defer signal.Stop(c.signals)

	running, err := c.start()
	if err != nil {
		return 0, err
	}
	for {
		status, ended := c.attend(running)
		if !ended {
			status = c.stop(running)
			c.attempts = 0
		} else if !c.tryAgain(status) {
			return status, nil
		}
		if c.ending() {
			return status, nil
		}
		env, err := c.Renew()
		if err != nil && ended {
			c.Say(err.Error())
			return status, nil
		} else if err != nil {
			return 0, err
		}
		c.Env, c.started = env, c.Now()
		if running, err = c.start(); err != nil {
			return 0, err
		}
	}
}

// attend waits until the command ends by itself, or until it is to be started
// anew.
func (c *Command) attend(running child) (status syscall.WaitStatus, ended bool) {
	changes, due := c.Changes, false
	var rested <-chan time.Time
	if !c.started.IsZero() && c.Signal == 0 {
		changes, rested = nil, c.After(rest)
	}
	for {
		select {
		case status := <-running.ended:
			for len(c.signals) > 0 { // by which it may have ended
				c.note(<-c.signals)
			}
			return status, true
		case s := <-c.signals:
			c.forward(running, s)
		case <-rested:
			changes, rested = c.Changes, nil
		case <-changes:
			if due = c.Signal == 0; !due {
				_ = running.process.Signal(c.Signal)
			}
		}
		switch {
		case due && !c.ending():
			return 0, false
		case due && rested == nil:
			changes, rested = nil, c.After(max(c.hinted.Sub(c.Now()), heed))
		}
	}
}

// stop ends the command, and what it started where that is told from others:
// asked first, killed when it does not listen.
func (c *Command) stop(running child) (status syscall.WaitStatus) {
	c.kill(running, syscall.SIGTERM)
	patience, killed := c.After(grace), false
	var look <-chan time.Time // at what the command has left running
	what := c.Args[0]
	for {
		select {
		case status = <-running.ended:
			if !c.grouped || gone(running.process.Pid) {
				return status
			}
			what, look = "what "+what+" started", c.After(glance)
		case <-look:
			if gone(running.process.Pid) {
				return status
			}
			look = c.After(glance)
		case s := <-c.signals:
			c.forward(running, s)
		case <-patience:
			if killed && look != nil {
				return status
			}
			if !killed {
				c.Say(fmt.Sprintf("%s does not end within %v: it is killed", what, grace))
			}
			c.kill(running, syscall.SIGKILL)
			patience, killed = c.After(dying), true
		}
	}
}

// tryAgain reports whether a command that ended is to be started once more, and
// waits until then.
func (c *Command) tryAgain(status syscall.WaitStatus) bool {
	failed := !status.Exited() || status.ExitStatus() != 0
	if c.ending() || !failed || c.started.IsZero() || c.Now().Sub(c.started) > soon || c.attempts == maxAttempts {
		return false
	}
	pause := firstPause << c.attempts
	c.attempts++
	c.Say(fmt.Sprintf("%s failed right after its restart: once more in %v", c.Args[0], pause))
	for rested := c.After(pause); ; {
		select {
		case <-rested:
			return true
		case s := <-c.signals:
			if c.note(s); c.ending() {
				return false
			}
		}
	}
}

// note remembers a signal that tells programs to end.
func (c *Command) note(s os.Signal) {
	switch s {
	case syscall.SIGQUIT, syscall.SIGTERM:
		c.told = true
	case syscall.SIGINT:
		c.hinted = c.Now().Add(heedINT)
	case syscall.SIGHUP:
		c.hinted = c.Now().Add(heed)
	}
}

// ending reports whether the command is about to end because somebody said so.
func (c *Command) ending() bool {
	return c.told || c.Now().Before(c.hinted)
}

// forward passes a signal on, unless the terminal has sent it to the command,
// too.
func (c *Command) forward(running child, s os.Signal) {
	c.note(s)
	if (s == syscall.SIGINT || s == syscall.SIGQUIT) && !c.grouped && inForeground() {
		return
	}
	if s, ok := s.(syscall.Signal); ok {
		c.kill(running, s)
	}
}
