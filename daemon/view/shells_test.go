package view

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Each script loads the views named by its arguments, one after the other, and
// lets env say what a child sees. All names are poisoned before each.
const (
	evalView = `set -eu; for f in "$@"; do %s; eval "$(cat "$f")"; env -0; printf 'END\0'; done`
	sourceIt = `set -eu; for f in "$@"; do %s; (set -a; . "$f"; env -0); printf 'END\0'; done`
	evalHook = `__ccad_put() { export "$1=$2"; }; __ccad_drop() { unset -v "$1"; }; ` + evalView
	fishView = `for f in $argv; %s; source $f; or exit; env -0; printf 'END\0'; end`
	fishHook = `function __ccad_put; set -gx $argv[1] $argv[2]; end; function __ccad_drop; set -eg $argv[1]; end; ` +
		`for f in $argv; %s; source $f; env -0; printf 'END\0'; end`
)

func TestShellsReadWhatIsMeant(t *testing.T) {
	odd := []string{"zsh", "-f", "-o", "rcquotes", "-o", "extendedglob", "-o", "shwordsplit", "-o", "globsubst", "-c"}
	posix := [][]string{{"dash", "-c"}, {"bash", "-c"}, {"zsh", "-fc"}, odd}
	for _, c := range []struct {
		format, script string
		shells         [][]string
	}{
		{"sh", evalView, posix},
		{"dotenv", sourceIt, posix},
		{"hook-sh", evalHook, posix[1:]},
		{"fish", fishView, [][]string{{"fish", "--no-config", "-c"}}},
		{"hook-fish", fishHook, [][]string{{"fish", "--no-config", "-c"}}},
	} {
		for _, shell := range c.shells {
			t.Run(c.format+"/"+strings.Join(shell, " "), func(t *testing.T) {
				path, dir := program(t, shell[0]), t.TempDir()
				script := fmt.Sprintf(c.script, poison(c.format))
				args := append(slices.Clone(shell[1:]), script)
				if shell[0] != "fish" { // where the first argument is $0
					args = append(args, shell[0])
				}
				read(t, c.format, func(t rapid.TB, batch []trial) {
					compareEnvironments(t, dir, exec.Command(path, args...), batch)
				})
			})
		}
	}
}

// poison sets every name that any view could set or unset.
func poison(format string) string {
	var lines []string
	for _, name := range allNames() {
		switch format {
		case "dotenv":
			return ":" // such a file unsets nothing
		case "fish", "hook-fish":
			lines = append(lines, "set -gx "+name+" poison")
		default:
			lines = append(lines, "export "+name+"=poison")
		}
	}
	return strings.Join(lines, "; ")
}

func allNames() []string {
	all := slices.Concat(awsNames, duplicityNames, openstackNames)
	slices.Sort(all)
	return slices.Compact(all)
}

// compareEnvironments runs the shell over the views of a batch.
func compareEnvironments(t rapid.TB, dir string, shell *exec.Cmd, batch []trial) {
	t.Helper()
	var want []map[string]string
	for i, one := range batch {
		body, vars, ok := rendered(t, one)
		if !ok {
			continue
		}
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		shell.Args = append(shell.Args, file)
		want = append(want, expected(one, vars))
	}
	if want == nil {
		return
	}
	var stderr bytes.Buffer
	shell.Env, shell.Stderr = quiet(dir), &stderr
	out, err := shell.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	got := strings.Split(string(out), "END\x00")
	if len(got) != len(want)+1 {
		t.Fatalf("%d environments, want %d", len(got)-1, len(want))
	}
	for i := range want {
		env := map[string]string{}
		for _, line := range strings.Split(got[i], "\x00") {
			name, value, _ := strings.Cut(line, "=")
			env[name] = value
		}
		for _, name := range allNames() {
			value, set := env[name]
			if wanted, wantSet := want[i][name]; value != wanted || set != wantSet {
				t.Errorf("%s = %q (set: %v), want %q (set: %v)", name, value, set, wanted, wantSet)
			}
		}
	}
}

// rendered returns a trial's view and the variables in it. A NUL, a line end in a
// file of lines, or nothing where something has to be, are the only reasons for an
// error.
func rendered(t rapid.TB, one trial) (body []byte, vars []variable, ok bool) {
	t.Helper()
	r, _, err := Plan(one.Request)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	body, _, err = Render(r, one.Material)
	one.Request = r
	uncarried := "\x00"
	if r.Format == "dotenv" {
		uncarried = "\x00\n\r"
	}
	ok = holds(one, func(s string) bool { return !strings.ContainsAny(s, uncarried) })
	if ok != (err == nil) {
		t.Fatalf("%+v: %v", r, err)
	}
	vars, _ = (&view{Request: r, Material: one.Material}).set()
	return body, vars, ok
}

// expected is what a shell's child should see of all names.
func expected(one trial, vars []variable) map[string]string {
	want := map[string]string{}
	if one.Format != "dotenv" {
		for _, name := range allNames() {
			if !slices.Contains(clients[one.Client].family, name) {
				want[name] = "poison" // of no concern to this client
			}
		}
	}
	for _, v := range vars {
		want[v.name] = v.value
	}
	return want
}

// Bytes that are no UTF-8 are a shell's to carry too.
func TestShellsTakeBytes(t *testing.T) {
	for _, shell := range []string{"dash", "bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			path, format, flag := program(t, shell), "sh", "-c"
			if shell == "fish" {
				format = "fish"
			}
			m := documented()
			m.Password = secret("\xff\xfe'\x80\\")
			body, _, err := Render(Request{Format: format}, m)
			if err != nil {
				t.Fatal(err)
			}
			run := exec.Command(path, flag, string(body)+`printenv OS_PASSWORD`)
			run.Env = quiet(t.TempDir())
			if out, err := run.Output(); err != nil || string(out) != "\xff\xfe'\x80\\\n" {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}
