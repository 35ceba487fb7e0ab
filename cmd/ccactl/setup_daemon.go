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
// starts a daemon that lives until it is told to end or the machine does. One that
// a package's socket started is made the user's own service, too.
func (s *setup) startDaemon() error {
	st, err := status()
	if err != nil && codeOf(err) != (&ipc.Error{Code: ipc.CodeNoDaemon}).Exit() {
		return err
	}
	d, runs, asService := st.Daemon, err == nil, serviceManager()
	ours := runs && asService && managed(d.PID)
	if another := runs && s.keyring != "" && s.keyring != d.Keyring; another && !d.Fresh {
		return fmt.Errorf("the %s keyring is made already: what is in it does not move to %s by itself", d.Keyring, s.keyring)
	} else if another && !ours {
		return fmt.Errorf("ccad runs with the %s keyring: end it, and setup --keyring %s starts it with another", d.Keyring, s.keyring)
	}
	made := ownService()
	if runs && (!ours || made && !d.Fresh) {
		s.done("ccad %s runs", d.Version)
		return nil
	}
	program, err := programBeside("ccad")
	if err != nil {
		return fmt.Errorf("find ccad: %w", err)
	}
	if !runs || !made {
		if err := s.agreeToStart(asService); err != nil {
			return err
		}
	}
	forget, err := s.chooseKeyring(program)
	if err != nil {
		return err
	}
	switch {
	case !runs || !made:
		err = s.start(program, asService)
	case forget != nil:
		err = s.startAsService(program, "restart")
	default:
		s.done("ccad %s runs", d.Version)
	}
	if err != nil && forget != nil {
		forget() // so that another choice can be made
	}
	return err
}

func (s *setup) agreeToStart(asService bool) error {
	if asService {
		return s.agree("Install ccad as your service, started at login")
	}
	s.done("ccad runs in the background until this machine restarts: run ccactl setup again then.")
	return s.agree("Start it")
}

// start starts ccad as the user's service, or as a program in the background.
func (s *setup) start(program string, asService bool) error {
	if !asService {
		return s.startInBackground(program)
	}
	if err := noteService(program); err != nil {
		return err
	}
	return s.startAsService(program, "install")
}

// startAsService starts ccad by one of its own verbs.
func (s *setup) startAsService(program, verb string) error {
	out, err := exec.Command(program, verb).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		s.done("%s", line)
	}
	if err != nil {
		return fmt.Errorf("ccad %s: %w", verb, err)
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
	if exec.Command("systemctl", "--user", "show-environment").Run() == nil {
		return true
	}
	_, err := exec.LookPath("launchctl")
	return err == nil
}

// managed reports whether a process is the ccad that systemd started.
func managed(pid int) bool {
	out, err := exec.Command("systemctl", "--user", "show", "--property=MainPID", "--value", "ccad.service").Output()
	return err == nil && pid > 0 && strings.TrimSpace(string(out)) == strconv.Itoa(pid)
}

// serviceInstalled reports whether ccad is a service of this user, by himself or
// by a package: what starts and restarts it then is ccad's own verbs.
func serviceInstalled() bool {
	return ownService() || present("/run/systemd/system") && present("/usr/lib/systemd/user/ccad.service")
}

// ownService reports whether it was made one in his home, started at login.
func ownService() bool {
	for _, config := range []string{filepath.Join(ipc.Home(), ".config"), filepath.Dir(filepath.Dir(ipc.ConfigPath()))} {
		if units := filepath.Join(config, "systemd/user"); present(units+"/ccad.service") || present(units+"/default.target.wants/ccad.service") {
			return true
		}
	}
	return present(filepath.Join(ipc.Home(), "Library/LaunchAgents/ccad.plist"))
}

func present(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// serviceNote names the ccad that setup made a service, for undo.
func serviceNote() string { return filepath.Join(ipc.StateDir(), "setup-service") }

// noteService notes, before it is one, what setup makes a service where there was
// none.
func noteService(program string) error {
	if ownService() {
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
	_, _ = stdout.Write(out)
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
