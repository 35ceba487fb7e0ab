package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoFork counts with strace what the shell starts in 50 prompts while nothing
// changes, and in one that loads.
func TestNoFork(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		strace := need(t, "strace")
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		trace := filepath.Join(t.TempDir(), "trace")
		s := interactive(t, d, ccad, options{
			env:     []string{"CCAD_ENV=dev"},
			wrapper: []string{strace, "-f", "-qq", "-o", trace, "-e", "trace=clone,clone3,fork,vfork,execve"},
		})
		prompts := func(n int) {
			for range n {
				s.run("")
				s.run("test x") // a built-in, so that the hook before a command runs
			}
		}
		s.want("OS_PASSWORD", "one")
		prompts(3) // what a shell looks up once
		s.run("command expr BEGIN")
		prompts(25)
		s.run("command expr LOAD")
		ccad.serve("dev", "2", vars("two"))
		s.run("")
		s.run("command expr END")
		s.want("OS_PASSWORD", "two")

		data, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		count := func(pid, from, to string) (calls []string) {
			started := regexp.MustCompile(`(?m)^` + pid + ` +(?:clone|clone3|fork|vfork|execve)\(.*$`)
			_, part, _ := strings.Cut(string(data), `"expr", "`+from+`"]`)
			part, _, ok := strings.Cut(part, `"expr", "`+to+`"]`)
			if !ok {
				t.Fatalf("the trace has no %s and %s:\n%s", from, to, data)
			}
			for _, call := range started.FindAllString(part, -1) {
				if !strings.Contains(call, "CLONE_THREAD") { // fish has threads
					calls = append(calls, call)
				}
			}
			return calls
		}
		if got := count(`\d+`, "BEGIN", "LOAD"); len(got) != 2 { // the fork and the exec of the second
			t.Errorf("the prompts started something:\n%s", strings.Join(got, "\n"))
		}
		shell, _, _ := strings.Cut(string(data), " ")
		if got := count(shell, "LOAD", "END"); len(got) != 2 { // ccactl and the second
			t.Errorf("loading does not fork once:\n%s", strings.Join(got, "\n"))
		}
	})
}

// TestTmux: the shells of a tmux that was started from a hooked shell follow the
// generation and the lock like any other, whatever its server has inherited.
func TestTmux(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		tmux := need(t, "tmux")
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{})
		s.run("ccactl use dev")
		socket := filepath.Join(s.dir, "tmux")
		do := func(args ...string) {
			t.Helper()
			cmd := exec.Command(tmux, append([]string{"-S", socket}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("tmux %v: %v: %s", args, err, out)
			}
		}
		file := filepath.Join(s.dir, "pane")
		pane := func(want string) { // types into the newest pane, and waits for what it says
			t.Helper()
			_ = os.Remove(file)
			do("send-keys", "-l", "command printenv OS_PASSWORD >"+d.quote(file+"+")+"; command printenv CCAD_ENV >>"+d.quote(file+"+")+
				"; command mv "+d.quote(file+"+")+" "+d.quote(file))
			do("send-keys", "Enter")
			var got string
			s.wait("answer of the pane", func() bool {
				data, err := os.ReadFile(file)
				got = string(data)
				return err == nil
			})
			if got != want {
				t.Errorf("the pane has %q, want %q", got, want)
			}
		}
		argv := append([]string{need(t, d.name)}, d.start(filepath.Join(s.dir, ".zshrc"))...)
		for i, arg := range argv {
			argv[i] = quotePOSIX(arg)
		}
		shell := strings.Join(argv, " ")
		s.run("command tmux -f /dev/null -S " + d.quote(socket) + " new-session -d -x 200 -y 50 " + d.quote(shell))
		t.Cleanup(func() { do("kill-server") })
		pane("one\ndev\n")
		ccad.serve("dev", "2", vars("two"))
		pane("two\ndev\n")
		do("new-window", shell)
		pane("two\ndev\n")
		ccad.lock("dev")
		pane("dev\n")
		do("new-window", shell) // tmux hands it the first password
		pane("dev\n")
		ccad.serve("dev", "3", vars("three"))
		pane("three\ndev\n")
	})
}
