package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// startWithin is how long a daemon may take until it answers.
const startWithin = 15 * time.Second

// startDaemon installs the service where there is an init system for it, else
// starts a daemon that lives until it is told to end or the machine does.
func (s *setup) startDaemon() error {
	st, err := status()
	if err == nil {
		if s.keyring != "" && s.keyring != st.Daemon.Keyring {
			return fmt.Errorf("ccad runs with the %s keyring: end it, and setup --keyring %s starts it with another", st.Daemon.Keyring, s.keyring)
		}
		s.done("ccad %s answers at %s", st.Daemon.Version, ipc.SocketPath())
		return nil
	}
	if codeOf(err) != (&ipc.Error{Code: ipc.CodeNoDaemon}).Exit() {
		return err
	}
	program, err := programBeside("ccad")
	if err != nil {
		return fmt.Errorf("find ccad: %w", err)
	}
	if err := s.chooseKeyring(); err != nil {
		return err
	}
	if serviceManager() {
		if err := s.agree("Install ccad as your service, started at login"); err != nil {
			return err
		}
		if err := s.installService(program); err != nil {
			return err
		}
		return s.await("journalctl --user -u ccad")
	}
	if err := s.agree("No service manager is here. Start ccad in the background"); err != nil {
		return err
	}
	if err := background(program, "run"); err != nil {
		return err
	}
	return s.await(filepath.Join(ipc.StateDir(), "ccad.log"))
}

// installService runs ccad install, and notes that there was no service before.
func (s *setup) installService(program string) error {
	if s.undo.Service == "" && !serviceInstalled() {
		s.undo.Service = program
		if err := s.undo.write(); err != nil {
			return err
		}
	}
	out, err := exec.Command(program, "install").CombinedOutput()
	_, _ = os.Stdout.Write(indented(out))
	if err != nil {
		return fmt.Errorf("ccad install: %w", err)
	}
	return nil
}

// chooseKeyring writes the choice of a keyring to a config that is not there yet.
func (s *setup) chooseKeyring() error {
	if s.keyring == "" || s.keyring == "file" {
		return nil
	}
	path := ipc.ConfigPath()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: set backend = %q in its [keyring], and run setup without --keyring", path, s.keyring)
	}
	return s.undo.around([]string{path}, func() error {
		return replaceFile(path, fmt.Appendf(nil, "[keyring]\nbackend = %q\n", s.keyring), 0o600)
	})
}

// serviceManager reports whether a service of this user can be had.
func serviceManager() bool {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return exec.Command("systemctl", "--user", "show-environment").Run() == nil
	}
	_, err := exec.LookPath("launchctl")
	return err == nil
}

// serviceInstalled reports whether ccad is a service of this user: what starts
// and restarts it then is ccad's own verbs.
func serviceInstalled() bool {
	home := os.Getenv("HOME")
	for _, unit := range []string{
		filepath.Join(home, ".config/systemd/user/ccad.service"), filepath.Join(home, ".config/systemd/user/default.target.wants/ccad.service"),
		filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "systemd/user/ccad.service"), filepath.Join(home, "Library/LaunchAgents/ccad.plist"),
	} {
		if _, err := os.Lstat(unit); err == nil {
			return true
		}
	}
	return false
}

// background starts a program that outlives this terminal; its words go to a
// file of ours.
func background(program string, args ...string) error {
	if err := os.MkdirAll(ipc.StateDir(), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(ipc.StateDir(), "ccad.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	return cmd.Process.Release()
}

// await waits until the daemon answers. Where its log is, is where to look if not.
func (s *setup) await(log string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		var st ipc.Status
		_, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st)
		if err == nil {
			s.done("ccad %s answers at %s", st.Daemon.Version, ipc.SocketPath())
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ccad does not start: %s has its words", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// programBeside finds a program that was installed with this one.
func programBeside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside, nil
	}
	return exec.LookPath(name)
}

func indented(out []byte) []byte {
	out = bytes.TrimRight(out, "\n")
	if len(out) == 0 {
		return nil
	}
	return append(append([]byte("   "), bytes.ReplaceAll(out, []byte("\n"), []byte("\n   "))...), '\n')
}
