package main

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/ipc"
)

// attend runs ccactl on a terminal of its own, against a fake daemon.
func attend(t *testing.T, f *fake, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	c := exec.Command("ccactl", args...)
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "TERM=xterm", "NO_COLOR=")
	terminal, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return c, terminal
}

func daemonFor(t *testing.T) *fake {
	t.Helper()
	f, err := startFake()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

// until reads the terminal up to a text.
func until(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	var seen bytes.Buffer
	one := make([]byte, 1)
	for !strings.HasSuffix(seen.String(), text) {
		if _, err := r.Read(one); err != nil {
			t.Fatalf("waited for %q, saw %q: %v", text, seen.String(), err)
		}
		seen.Write(one)
	}
	return seen.String()
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), ioctlGetTermios)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// waitForEcho waits until the echo is as wanted; the test's deadline bounds it.
func waitForEcho(t *testing.T, terminal *os.File, want bool) {
	t.Helper()
	for echoes(t, terminal) != want {
		time.Sleep(time.Millisecond)
	}
}

// A secret is not shown while it is typed.
func TestHidden(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Locked: true, Keyring: "file"}})
	f.set("POST /v1/unlock", struct{}{})
	c, terminal := attend(t, f, "unlock")
	until(t, terminal, "passphrase: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "hunter2\n")
	if rest := until(t, terminal, "unlocked"); strings.Contains(rest, "hunter2") {
		t.Errorf("shown: %q", rest)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if !echoes(t, terminal) {
		t.Error("the terminal stays without echo")
	}
}

// Ctrl-C at a question ends the program by that signal and gives the terminal
// its echo back.
func TestInterruptedQuestion(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Locked: true, Keyring: "file"}})
	c, terminal := attend(t, f, "unlock")
	until(t, terminal, "passphrase: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "\x03")
	until(t, terminal, "\n")
	waitForEcho(t, terminal, true)
	_ = c.Wait()
	if status := c.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v", c.ProcessState)
	}
}

// Ctrl-D at a question is an answer that is not given.
func TestNoAnswer(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Locked: true, Keyring: "file"}})
	c, terminal := attend(t, f, "unlock")
	until(t, terminal, "passphrase: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "ccactl: no answer was given\r\n")
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Error(err)
	}
}

// So it is of import, which says so once, stores what was found for an update to
// bring its password, and names that without the flag that would show it.
func TestNoAnswerToImport(t *testing.T) {
	f := daemonFor(t)
	f.set("POST /v1/import", ipc.Changes{Changes: []ipc.Change{{Environment: "dev", User: "u", Action: "failed", Missing: "password", Source: "/x/openrc:1"}}})
	file := filepath.Join(t.TempDir(), "openrc")
	if err := os.WriteFile(file, []byte("export OS_USERNAME=u\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, terminal := attend(t, f, "import", file)
	until(t, terminal, ": ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "the password is missing in /x/openrc:1, and no answer was given\r\nccactl: hint: ccactl update --user u\r\n")
	rest, _ := io.ReadAll(terminal)
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 || len(rest) > 0 {
		t.Errorf("%v, and it says %q", err, rest)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.asked["POST /v1/import"]; !strings.Contains(got, `"bare":true`) {
		t.Errorf("asked %s", got)
	}
}

// What was typed ahead of questions that are not asked any more is a passphrase:
// it does not go to the shell.
func TestTypedAhead(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Locked: true, Fresh: true, Keyring: "file"}})
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close(); _ = tty.Close() })
	c := exec.Command("ccactl", "unlock")
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket)
	c.Stdin, c.Stdout, c.Stderr, c.SysProcAttr = tty, tty, tty, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, terminal, "keyring: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, strings.Repeat("long enough\nand another\n", 3)+"and another\n")
	until(t, terminal, "ccactl: the two differ\r\n")
	_ = c.Wait()
	_, _ = io.WriteString(terminal, "next\n")
	if line, err := bufio.NewReader(tty).ReadString('\n'); line != "next\n" {
		t.Errorf("the shell gets %q, %v", line, err)
	}
}

// Who answers as soon as he sees the question is not shown his answer.
func TestQuestionComesHidden(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Keyring: "file"}})
	f.set("POST /v1/unlock", struct{}{})
	for range 20 {
		c, terminal := attend(t, f, "unlock")
		until(t, terminal, "passphrase: ")
		if echoes(t, terminal) {
			t.Fatal("the question is there, and the answer would be shown")
		}
		_, _ = io.WriteString(terminal, "correct horse\n")
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// Ctrl-\ at a hidden question ends it without a dump, and the terminal shows what
// is typed again.
func TestQuitAtAQuestion(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Keyring: "file"}})
	c, terminal := attend(t, f, "unlock")
	until(t, terminal, "passphrase: ")
	_, _ = io.WriteString(terminal, "\x1c")
	seen, _ := io.ReadAll(terminal) // to its end
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 131 || bytes.Contains(seen, []byte("goroutine")) {
		t.Errorf("exit %d: %q", code, seen)
	}
	waitForEcho(t, terminal, true)
}

// A new passphrase that is short is called so, while there is time for another.
func TestShortPassphrase(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Fresh: true, Keyring: "file"}})
	f.set("POST /v1/unlock", struct{}{})
	for passphrase, said := range map[string]bool{"été 2026!": true, "été à Laval": false} {
		c, terminal := attend(t, f, "unlock")
		until(t, terminal, "passphrase of the keyring: ")
		waitForEcho(t, terminal, false)
		_, _ = io.WriteString(terminal, passphrase+"\n")
		seen := until(t, terminal, "the same again")
		seen += until(t, terminal, ": ")
		waitForEcho(t, terminal, false)
		_, _ = io.WriteString(terminal, passphrase+"\n")
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		if strings.Contains(seen, "short") != said {
			t.Errorf("%d characters: %q", len([]rune(passphrase)), seen)
		}
	}
}

// States have colours on a terminal that is known to have them; NO_COLOR is obeyed
// (and so are pipes, as the stories show).
func TestColours(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Environments: []ipc.Environment{{Name: "dev", State: "ok"}}})
	const green = "\x1b[32mok\x1b[0m"
	for setting, want := range map[string]string{"TERM=xterm NO_COLOR=": green, "TERM=xterm NO_COLOR=1": "  ok", "TERM=dumb": "  ok", "TERM=": "  ok"} {
		c := exec.Command("ccactl", "list")
		c.Env = append(append(os.Environ(), "CCAD_SOCKET="+f.socket), strings.Fields(setting)...)
		terminal, err := pty.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		until(t, terminal, want)
		_ = c.Wait()
		_ = terminal.Close()
	}
}

// watch goes on when a stream ends, as a lock makes it, and Ctrl-C is its
// proper end.
// How things stand as a stream begins is told where it is news.
func TestWatch(t *testing.T) {
	f := daemonFor(t)
	f.mu.Lock()
	f.answers["GET /v1/events"] = answer{status: 200, stream: true, body: []byte("{\"event\":\"locked\"}\n{\"event\":\"lease\"}\n{\"event\":\"end\"}\n")}
	f.mu.Unlock()
	c := exec.Command("ccactl", "watch")
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, event := range []string{"locked", "lease", "lease"} {
		if !lines.Scan() || lines.Text() != `{"event":"`+event+`"}` {
			t.Fatalf("line %q, want %s", lines.Text(), event)
		}
	}
	_ = c.Process.Signal(os.Interrupt)
	for lines.Scan() {
	}
	if err := c.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

type otherFile struct {
	fs.FileInfo
	uid  uint32
	mode fs.FileMode
}

func (f otherFile) Sys() any          { return &syscall.Stat_t{Uid: f.uid} }
func (f otherFile) Mode() fs.FileMode { return f.mode }
func (f otherFile) Size() int64       { return 1 }

// A file of another user is refused; root's pass for certificates.
func TestGuardOwner(t *testing.T) {
	me := uint32(os.Getuid())
	for _, c := range []struct {
		g    guard
		uid  uint32
		fine bool
	}{
		{guard{limit: 1}, me, true},
		{guard{limit: 1}, me + 1, false},
		{guard{limit: 1, system: true}, 0, true},
		{guard{limit: 1, system: true}, me + 1, false},
		{guard{limit: 0}, me, false},
	} {
		if err := c.g.check("f", "f", otherFile{uid: c.uid, mode: 0o644}); (err == nil) != c.fine {
			t.Errorf("%+v, uid %d: %v", c.g, c.uid, err)
		}
	}
}

// TestHolder: how long somebody holds what, and each program's name once.
func TestHolder(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	soon, past := now.Add(20*time.Minute), now.Add(-time.Minute)
	for want, l := range map[string]ipc.Lease{
		"aws (7) has credential-process, version 1, for another 20m":      {Program: "aws", PID: 7, Parent: "aws", View: "credential-process", Version: 1, Until: &soon},
		"aws (7) of make has credential-process, version 1, until 1m ago": {Program: "aws", PID: 7, Parent: "make", View: "credential-process", Version: 1, Until: &past},
		"bash (7) has openstack/sh, version 2, until further notice":      {Program: "bash", PID: 7, Parent: "bash", View: "openstack/sh", Version: 2},
	} {
		if got := holder(l, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for want, t0 := range map[string]time.Time{
		"30s ago": now.Add(-30 * time.Second), "3m ago": now.Add(-200 * time.Second), "30h ago": now.Add(-30 * time.Hour),
		"3d ago": now.Add(-80 * time.Hour), "in 20m": now.Add(20 * time.Minute), "never": {},
	} {
		if got := relative(&t0, now); got != want {
			t.Errorf("%v: %q, want %q", t0, got, want)
		}
	}
}

// Where a password would be lost for good, remove asks first.
func TestRemoveOnlyCopy(t *testing.T) {
	for answer, want := range map[string]string{"\n": "nothing is removed", "y\n": "removed dev"} {
		f := daemonFor(t)
		f.refuse("DELETE /v1/environments/dev", ipc.CodeOnlyCopy, "the password of u was made by ccad and is nowhere else")
		f.set("DELETE /v1/environments/dev?yes=true", ipc.Changes{Changes: []ipc.Change{{Environment: "dev", Action: "removed"}}})
		c, terminal := attend(t, f, "remove", "dev")
		until(t, terminal, "warning: the password of u was made by ccad and is nowhere else")
		until(t, terminal, "go ahead? [y/N] ")
		_, _ = io.WriteString(terminal, answer)
		until(t, terminal, want)
		_ = c.Wait()
	}
}
