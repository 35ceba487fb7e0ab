package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostileValues(t *testing.T) {
	values := []string{
		"", " ", "a b", "it's", `"`, "$HOME", "`id`", "$(id)", `\`, `\\`, `a\'b`, "%s", "#x", "!!", "!x", "~", "*", "-n", "''", "'",
		"line\nline", "end\n", "tab\t", "é ☃", "(a b)", "{a,b}", "<>", "&;|", "x=1", strings.Repeat("long", 200),
	}
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=dev"}})
		for i, value := range values {
			ccad.serve("dev", fmt.Sprint(i+1), vars(value))
			s.want("OS_PASSWORD", value)
		}
		ccad.lock("dev")
		s.want("OS_PASSWORD", "-")
	})
}

// TestStatus: neither the prompt's hook nor the one before a command may change
// $?, the pipe's statuses or (bash) $_, also when they load.
func TestStatus(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=dev"}})
		for gen := 2; gen < 5; gen++ {
			s.run("sh -c 'exit 3' | sh -c 'exit 4'")
			if gen > 2 {
				ccad.serve("dev", fmt.Sprint(gen), vars(fmt.Sprint(gen)))
			}
			if got := s.eval(d.status); got != "4 3 4" {
				t.Errorf("generation %d: status %q, want 4 3 4", gen, got)
			}
			if d.name == "bash" {
				s.run("sh -c 'exit 0' last")
				ccad.serve("dev", fmt.Sprint(gen, "x"), vars(fmt.Sprint(gen)))
				if got := s.eval(`"$_"`); got != "last" {
					t.Errorf("generation %d: $_ is %q", gen, got)
				}
			}
		}
		s.want("OS_PASSWORD", "4")
	})
}

// TestFailure: a refusal is told once.
func TestFailure(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=dev"}})
		s.want("OS_PASSWORD", "one")
		ccad.lock("dev")
		ccad.write("error", "ccactl: the cloud refused the password\n")
		ccad.write("gen/dev", "2\n")
		s.run("")
		for range 3 {
			s.run("")
			s.run("true")
		}
		s.want("OS_PASSWORD", "-")
		if n := strings.Count(s.output(), "refused the password"); n != 1 {
			t.Errorf("told %d times:\n%s", n, s.shown())
		}
		if got := len(ccad.calls()); got != 2 {
			t.Errorf("%d calls: %q", got, ccad.calls())
		}
		ccad.serve("dev", "3", vars("three"))
		s.want("OS_PASSWORD", "three")
		ccad.lock("dev")
		ccad.write("gen/dev", "4\n")
		s.want("OS_PASSWORD", "-")
		ccad.serve("prod", "4", vars("prod")) // the same text of another environment
		s.export("CCAD_ENV", "prod")
		s.want("OS_PASSWORD", "prod")
		s.run(fmt.Sprintf(d.unset, "CCAD_ENV"))
		s.want("OS_PASSWORD", "-")
	})
}

// TestNames: CCAD_ENV leads nowhere but to the generations' folder.
func TestNames(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		ccad.write("outside", "5\n")
		ccad.write("gen/UPPER", "5\n")
		ccad.write("gen/.hidden", "5\n")
		ccad.write("gen/new\nline", "5\n")
		ccad.write("gen/dev\n", "5\n")
		ccad.write("gen/"+strings.Repeat("x", 64), "5\n")
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=../outside"}})
		for _, name := range []string{
			"../outside", "/etc/passwd", ".", "..", "", "UPPER", ".hidden", "new\nline", "dev\n", "a/b", "$(touch " + s.dir + "/run)", "a[$(touch " + s.dir + "/run)]",
			strings.Repeat("x", 64), "*", "?", "-f", "é",
		} {
			s.export("CCAD_ENV", name)
			s.run("")
		}
		if calls := ccad.calls(); calls != nil {
			t.Errorf("ccactl was called: %q", calls)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "run")); err == nil {
			t.Error("a name was executed")
		}
		s.export("CCAD_ENV", "dev")
		s.want("OS_PASSWORD", "one")
		longest := strings.Repeat("x", 63)
		ccad.serve(longest, "1", vars("longest"))
		s.export("CCAD_ENV", longest)
		s.want("OS_PASSWORD", "longest")

		// A generation is text: never a number, never a command.
		for _, gen := range []string{"01", "1 ", "a[$(touch " + s.dir + "/run)]", "$(touch " + s.dir + "/run)", "*"} {
			ccad.serve(longest, gen, vars(gen))
			s.want("OS_PASSWORD", gen)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "run")); err == nil {
			t.Error("a generation was executed")
		}
	})
}

func TestNoDaemon(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.remove("gen")
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=dev"}})
		s.run("")
		s.want("OS_PASSWORD", "-")
		if out := s.output(); strings.Contains(out, "No such") || strings.Contains(out, "no such") {
			t.Errorf("it complains:\n%s", out)
		}
		if calls := ccad.calls(); calls != nil {
			t.Errorf("ccactl was called: %q", calls)
		}
		if err := os.Mkdir(filepath.Join(ccad.dir, "gen"), 0o700); err != nil {
			t.Fatal(err)
		}
		ccad.serve("dev", "1", vars("one"))
		s.want("OS_PASSWORD", "one")
		ccad.remove("gen")
		s.want("OS_PASSWORD", "-")
	})
}

func TestDeletedFolder(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{env: []string{"CCAD_ENV=dev"}})
		gone := filepath.Join(s.dir, "gone")
		s.run("mkdir " + d.quote(gone) + "; cd " + d.quote(gone) + "; rmdir " + d.quote(gone))
		ccad.serve("dev", "2", vars("two"))
		s.want("OS_PASSWORD", "two")
	})
}

// TestTrace: a shell that traces its commands doesn't show the secret.
func TestTrace(t *testing.T) {
	trace := map[string]string{"bash": "set -x", "zsh": "setopt xtrace", "fish": "set -g fish_trace 1"}
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("hunter2"))
		s := interactive(t, d, ccad, options{})
		s.run(trace[d.name])
		s.run("ccactl use dev")
		ccad.serve("dev", "2", vars("hunter2-2"))
		s.run("")
		ccad.lock("dev")
		s.run("")
		if strings.Contains(s.output(), "hunter2") {
			t.Errorf("the trace shows the password:\n%s", s.shown())
		}
		if got := len(ccad.calls()); got != 2 {
			t.Errorf("%d calls: %q", got, ccad.calls())
		}
	})
}

// TestDebugTrap: a DEBUG trap of the user's own keeps working.
func TestDebugTrap(t *testing.T) {
	bash := dialects[0]
	for name, o := range map[string]options{
		"before": {before: "count=0; trap '((++count))' DEBUG"},
		"after":  {after: "count=0; trap '((++count))' DEBUG"},
		"typed":  {after: "count=0"},
	} {
		t.Run(name, func(t *testing.T) {
			ccad := newDaemon(t)
			ccad.serve("dev", "1", vars("one"))
			s := interactive(t, bash, ccad, o)
			if name == "typed" {
				s.run("trap '((++count))' DEBUG")
			}
			before := s.eval(`"$count"`)
			s.run("ccactl use dev")
			if after := s.eval(`"$count"`); after == before {
				t.Errorf("the trap counted no further than %s", after)
			}
			ccad.serve("dev", "2", vars("two"))
			s.run("")
			s.want("OS_PASSWORD", "two")
			if got := s.eval(`"$(trap -p DEBUG)"`); !strings.Contains(got, "++count") {
				t.Errorf("the trap is %q", got)
			}
		})
	}
}

// TestIdleBash: a line in a shell that was idle over a change has the new values;
// but bash runs its DEBUG trap before no subshell, and after the words of for, and a
// person's own is left alone. Such a line has the former ones, the next has not.
func TestIdleBash(t *testing.T) {
	bash := dialects[0]
	for _, c := range []struct {
		line string
		o    options
		want string
	}{
		{"say $OS_PASSWORD", options{}, "two"},
		{"true && (say $OS_PASSWORD)", options{}, "two"},
		{"{ (say $OS_PASSWORD); }", options{}, "one"},
		{"say $OS_PASSWORD | cat", options{}, "two"},
		{"if true; then (say $OS_PASSWORD); fi", options{}, "two"},
		{"case x in x) (say $OS_PASSWORD);; esac", options{}, "two"},
		{"(say $OS_PASSWORD)", options{}, "one"},
		{"(say $OS_PASSWORD) & wait", options{}, "one"},
		{"! (say $OS_PASSWORD)", options{}, "one"},
		{"time (say $OS_PASSWORD)", options{}, "one"},
		{"while (say $OS_PASSWORD; false); do :; done", options{}, "one"},
		{"for x in $OS_PASSWORD; do say $x; done", options{}, "one"},
		{"say $OS_PASSWORD", options{after: "trap 'x=1' DEBUG"}, "one"},
	} {
		t.Run(c.line, func(t *testing.T) {
			ccad := newDaemon(t)
			ccad.serve("dev", "1", vars("one"))
			c.o.env = []string{"CCAD_ENV=dev"}
			s := interactive(t, bash, ccad, c.o)
			file := filepath.Join(s.dir, "said")
			s.run("say() { printf %s $1 >" + quotePOSIX(file) + "; }")
			ccad.serve("dev", "2", vars("two"))
			s.run(c.line)
			if data, err := os.ReadFile(file); string(data) != c.want {
				t.Errorf("it has %q, want %q (%v):\n%s", data, c.want, err, s.shown())
			}
			s.want("OS_PASSWORD", "two")
		})
	}
}

func TestNonInteractive(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		rc := ccad.init(d.name, "dev") + "\necho rest\ncommand env"
		out := runPlain(t, d, []string{"CCAD_ENV=dev"}, rc)
		rest, env, _ := strings.Cut(out, "\n")
		if rest != "rest" || strings.Contains(env, "OS_PASSWORD") {
			t.Errorf("it does something:\n%s", out)
		}
		if calls := ccad.calls(); calls != nil {
			t.Errorf("ccactl was called: %q", calls)
		}
	})
}

func TestInitErrors(t *testing.T) {
	good := Paths{Ccactl: "/c", Socket: "/s", Generations: "/g"}
	if _, err := Init("tcsh", good); err == nil || !strings.Contains(err.Error(), "tcsh") {
		t.Errorf("tcsh: %v", err)
	}
	for _, bad := range []Paths{{}, {Ccactl: "c", Socket: "/s", Generations: "/g"}, {Ccactl: "/c", Socket: "/s"}} {
		if _, err := Init("bash", bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
