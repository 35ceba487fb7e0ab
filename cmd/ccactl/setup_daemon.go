package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
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
		s.done("ccad %s runs", st.Daemon.Version)
		return nil
	}
	if codeOf(err) != (&ipc.Error{Code: ipc.CodeNoDaemon}).Exit() {
		return err
	}
	program, err := programBeside("ccad")
	if err != nil {
		return fmt.Errorf("find ccad: %w", err)
	}
	asService := serviceManager()
	question := "Start it"
	if asService {
		question = "Install ccad as your service, started at login"
	} else {
		s.done("ccad runs in the background until this machine restarts; ccactl setup starts it again then.")
	}
	if err := s.agree("%s", question); err != nil {
		return err
	}
	forget, err := s.chooseKeyring(program)
	if err != nil {
		return err
	}
	if err := s.start(program, asService); err != nil {
		forget() // so that another choice can be made
		return err
	}
	return nil
}

// start starts ccad as the user's service, or as a program in the background.
func (s *setup) start(program string, asService bool) error {
	if !asService {
		return s.startInBackground(program)
	}
	if err := noteService(program); err != nil {
		return err
	}
	out, err := exec.Command(program, "install").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		s.done("%s", line)
	}
	if err != nil {
		return fmt.Errorf("ccad install: %w", err)
	}
	return s.await(nil)
}

// startInBackground tries again while a daemon that was told to end still has the
// data folder.
func (s *setup) startInBackground(program string) error {
	for began := time.Now(); ; {
		ended, err := background(program, "run")
		if err == nil {
			err = s.await(ended)
		}
		if err == nil || !strings.Contains(err.Error(), "another daemon owns it") || time.Since(began) > startWithin/3 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
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
	for _, unit := range []string{
		filepath.Join(ipc.Home(), ".config/systemd/user/ccad.service"), filepath.Join(ipc.Home(), ".config/systemd/user/default.target.wants/ccad.service"),
		filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "systemd/user/ccad.service"), filepath.Join(ipc.Home(), "Library/LaunchAgents/ccad.plist"),
	} {
		if _, err := os.Lstat(unit); err == nil {
			return true
		}
	}
	return false
}

// serviceNote names the ccad that setup made a service, for undo.
func serviceNote() string { return filepath.Join(ipc.StateDir(), "setup-service") }

// noteService notes, before it is one, what setup makes a service where there was
// none.
func noteService(program string) error {
	if serviceInstalled() {
		return nil
	}
	_, err := configure.Edit(serviceNote(), func(string) (string, error) { return program + "\n", nil })
	return err
}

// removeService takes away the service that setup made, if it made one.
func removeService() (removed bool, err error) {
	data, err := os.ReadFile(serviceNote())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	out, err := exec.Command(strings.TrimSpace(string(data)), "uninstall").CombinedOutput()
	_, _ = os.Stdout.Write(out)
	if err != nil {
		return false, fmt.Errorf("ccad uninstall: %w", err)
	}
	return true, os.Remove(serviceNote())
}

// background starts a program that outlives this terminal; its words go to a
// file of ours. The channel is closed should it end while we are there.
func background(program string, args ...string) (ended <-chan struct{}, err error) {
	if err := os.MkdirAll(ipc.StateDir(), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	keepInherited()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return done, nil
}

// keepInherited keeps to ourselves what our caller left open: a lock or a
// terminal would otherwise be held for as long as the daemon lives.
func keepInherited() {
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// logPath is where the words of a daemon in the background go.
func logPath() string { return filepath.Join(ipc.StateDir(), "ccad.log") }

// notStarted says why a daemon did not start, by the last line that is for people.
func notStarted(path string) error {
	data, _ := os.ReadFile(path)
	reason := ""
	for line := range strings.Lines(string(data)) {
		if said, ok := strings.CutPrefix(line, "ccad: "); ok {
			reason = ": " + strings.TrimSpace(said)
		}
	}
	return fmt.Errorf("ccad does not start%s (%s has all its words)", reason, path)
}

// serviceLog is where the words of the service go.
func serviceLog() string {
	if runtime.GOOS == "darwin" {
		return "~/Library/Logs/ccad.log"
	}
	return "journalctl --user -u ccad"
}

// await waits until the daemon answers, or has ended.
func (s *setup) await(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		var st ipc.Status
		_, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st)
		if err == nil {
			s.done("ccad %s runs", st.Daemon.Version)
			return nil
		}
		select {
		case <-ended:
			return notStarted(logPath())
		case <-ctx.Done():
			if ended == nil {
				return fmt.Errorf("ccad does not start: %s has its words", serviceLog())
			}
			return notStarted(logPath())
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
