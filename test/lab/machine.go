package lab

import (
	"bufio"
	"bytes"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed systemd.sh
var systemdScript string

// A Machine is a Debian with a real systemd in a container, made by systemd.sh
// beside this file. It shares this machine's loopback.
type Machine struct {
	dir    string
	script string
}

// Boot starts a machine of the test's own, gone when the test ends, however that
// ends. Each of binds is HOST:INSIDE, seen read-only inside. One machine is up
// at a time; Boot waits for its turn.
func Boot(t testing.TB, binds ...string) *Machine {
	t.Helper()
	if os.Getuid() != 0 && exec.Command("sudo", "-n", "true").Run() != nil {
		unavailable(t, "no machine with systemd: only root can boot one")
	}
	dir := t.TempDir()
	m := &Machine{dir: filepath.Join(dir, "machine"), script: filepath.Join(dir, "systemd.sh")}
	if err := os.WriteFile(m.script, []byte(systemdScript), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := m.command("install").CombinedOutput(); err != nil {
		unavailable(t, "no machine with systemd: %s", bytes.TrimSpace(out))
	}
	hold := m.command(append([]string{"hold", m.dir}, binds...)...)
	hold.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt ends the test, and that ends the machine in order
	var stderr bytes.Buffer
	hold.Stderr = &stderr
	stdin, err := hold.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() { _ = stdin.Close(); _ = hold.Wait() })
	if line != "ready\n" {
		_ = stdin.Close()
		_ = hold.Wait()
		t.Fatalf("the machine did not boot:\n%s", stderr.Bytes())
	}
	return m
}

// command is systemd.sh with arguments, as root.
func (m *Machine) command(args ...string) *exec.Cmd {
	all := append([]string{"bash", m.script}, args...)
	if os.Getuid() != 0 {
		all = append([]string{"sudo", "-n"}, all...)
	}
	return exec.Command(all[0], all[1:]...)
}

// Run runs a shell command inside, as a user who is logged in for its time, or
// as root. It returns what that prints, both streams in one.
func (m *Machine) Run(user, command string) (string, error) {
	args := []string{"run", m.dir, command}
	if user != "root" {
		args = []string{"as", m.dir, user, command}
	}
	out, err := m.command(args...).CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

// Do is Run for a command that has to work.
func (m *Machine) Do(t testing.TB, user, command string) string {
	t.Helper()
	out, err := m.Run(user, command)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", user, command, err, out)
	}
	return out
}

// Until runs a command until it works, 30 s at most.
func (m *Machine) Until(t testing.TB, user, command string) string {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := m.Run(user, command)
		if err == nil {
			return out
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: %s never came true: %v\n%s", user, command, err, out)
		}
	}
}
