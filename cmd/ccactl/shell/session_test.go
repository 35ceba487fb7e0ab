package shell

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// deadline is for what takes milliseconds on an idle machine.
const deadline = 60 * time.Second

// dialect is what a test must know of a shell.
type dialect struct {
	name   string
	quote  func(string) string
	export string // format: name, value
	unset  string // format: name
	prompt string // rc lines: a prompt that counts, @@1.1@@, @@1.2@@…
	status string // the last status and those of the last pipe
	plain  []string
	start  func(rc string) []string // arguments and environment of an interactive shell that reads rc
}

var dialects = []dialect{
	{
		name: "bash", quote: quotePOSIX, export: "export %s=%s", unset: "unset %s",
		prompt: ": ${__n:=0}; PS1='@@$SHLVL.$((++__n))@@ '\n",
		status: `"$? ${PIPESTATUS[*]}"`,
		plain:  []string{"--norc", "--noprofile"},
		start:  func(rc string) []string { return []string{"--noprofile", "--rcfile", rc} },
	},
	{
		name: "zsh", quote: quotePOSIX, export: "export %s=%s", unset: "unset %s",
		prompt: ": ${__n:=0}; setopt prompt_subst; unsetopt prompt_sp; PS1='@@$SHLVL.$((++__n))@@ '\n",
		status: `"$? ${pipestatus[*]}"`,
		plain:  []string{"-f"},
		start:  func(string) []string { return []string{"-d"} }, // ZDOTDIR says where its rc is
	},
	{
		name: "fish", quote: quoteFish, export: "set -gx %s %s", unset: "set -e %s",
		prompt: "set -q __n; or set -g __n 0; function fish_prompt; set -g __n (math $__n + 1); echo -n \"@@$SHLVL.$__n@@ \"; end; function fish_greeting; end\n",
		status: `"$status $pipestatus"`,
		plain:  []string{"--no-config"},
		start:  func(rc string) []string { return []string{"--no-config", "--init-command", "source " + quoteFish(rc)} },
	},
}

// need finds a program that the tests can't do without.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CCAD_TEST_PARTIAL") == "1" {
		t.Skipf("left out, for CCAD_TEST_PARTIAL=1: %v", err)
	}
	t.Fatalf("%v (CCAD_TEST_PARTIAL=1 leaves the test out)", err)
	return ""
}

// session is an interactive shell in a pty.
type session struct {
	t       testing.TB
	d       dialect
	dir     string
	tty     *os.File
	done    chan struct{}
	level   int // of nesting
	prompts int // seen at that level

	mu  sync.Mutex
	out bytes.Buffer
}

// options of a session.
type options struct {
	before, after string   // rc lines around the hook
	preselected   string   // what Init bakes in
	env           []string // NAME=VALUE
	wrapper       []string // a program to run the shell under
	twice         bool     // source the hook twice
}

func (o options) rc(d dialect, daemon *daemon) string {
	// as shell-init is used: an eval is parsed as a whole under the options of the rc file
	load := `\builtin eval "$(command cat ` + d.quote(filepath.Join(daemon.dir, "init."+d.name)) + ")\"\n"
	if d.name == "fish" {
		load = "cat " + d.quote(filepath.Join(daemon.dir, "init.fish")) + " | source\n"
	}
	if o.twice {
		load += load
	}
	return d.prompt + o.before + "\n" + load + o.after + "\n"
}

// interactive starts a shell and waits for its first prompt.
func interactive(t testing.TB, d dialect, daemon *daemon, o options) *session {
	t.Helper()
	program := need(t, d.name)
	s := &session{t: t, d: d, level: 1, dir: t.TempDir(), done: make(chan struct{})}
	daemon.write("init."+d.name, daemon.init(d.name, o.preselected))
	rc := filepath.Join(s.dir, ".zshrc")
	if err := os.WriteFile(rc, []byte(o.rc(d, daemon)), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := append(append(append([]string{}, o.wrapper...), program), d.start(rc)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "ZDOTDIR=" + s.dir, "TERM=dumb", "LC_ALL=C.UTF-8",
		"RC=" + rc, "HISTFILE=", "TMPDIR=" + s.dir, "LSAN_OPTIONS=",
	}, o.env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	s.tty = pollable(t, tty)
	go s.read()
	t.Cleanup(func() {
		_ = s.tty.Close() // hangs up on whatever still runs there
		<-s.done
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.prompt()
	return s
}

// pollable replaces a file by one whose Close ends a Read under way.
func pollable(t testing.TB, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	return os.NewFile(uintptr(fd), f.Name())
}

func (s *session) read() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, err := s.tty.Read(buf)
		s.mu.Lock()
		s.out.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *session) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// shown is the end of the output, for messages.
func (s *session) shown() string {
	out := s.output()
	return out[max(0, len(out)-1000):]
}

// wait blocks until ok holds; the deadline is for a shell that hangs.
func (s *session) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(time.Millisecond) {
		select {
		case <-s.done:
			s.t.Fatalf("%s ended before %s:\n%s", s.d.name, what, s.shown())
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: no %s:\n%s", s.d.name, what, s.shown())
		}
	}
}

var counter = regexp.MustCompile(`@@(\d+)\.(\d+)@@`)

// prompt waits for the next prompt.
func (s *session) prompt() {
	s.t.Helper()
	s.prompts++
	s.wait(fmt.Sprintf("prompt %d.%d", s.level, s.prompts), func() bool {
		for _, seen := range counter.FindAllStringSubmatch(s.output(), -1) {
			n, _ := strconv.Atoi(seen[2])
			if seen[1] == strconv.Itoa(s.level) && n >= s.prompts {
				return true
			}
		}
		return false
	})
}

// run types a line, waits for the next prompt, and returns what was written.
func (s *session) run(line string) string {
	s.t.Helper()
	before := len(s.output())
	if _, err := s.tty.WriteString(line + "\r"); err != nil {
		s.t.Fatal(err)
	}
	s.prompt()
	return s.output()[before:]
}

// eval returns the text that an expression of the shell expands to.
func (s *session) eval(expression string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, "value")
	_ = os.Remove(file)
	s.run("printf %s " + expression + " >" + s.d.quote(file))
	data, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatalf("%v:\n%s", err, s.shown())
	}
	return string(data)
}

// env returns a variable as a program started from the shell gets it, and "-"
// where it is unset.
func (s *session) env(name string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, "env")
	_ = os.Remove(file)
	s.run("command env -0 >" + s.d.quote(file))
	data, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatalf("%v:\n%s", err, s.shown())
	}
	for _, entry := range strings.Split(string(data), "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return "-"
}

func (s *session) want(name, value string) {
	s.t.Helper()
	if got := s.env(name); got != value {
		s.t.Errorf("%s: %s is %q, want %q:\n%s", s.d.name, name, got, value, s.shown())
	}
}

func (s *session) export(name, value string) {
	s.t.Helper()
	s.run(fmt.Sprintf(s.d.export, name, s.d.quote(value)))
}

// runPlain runs a script in a shell that isn't interactive.
func runPlain(t testing.TB, d dialect, env []string, script string) string {
	t.Helper()
	cmd := exec.Command(need(t, d.name), append(d.plain, "-c", script)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}
