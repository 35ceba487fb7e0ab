package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// each runs a test in every shell.
func each(t *testing.T, f func(t *testing.T, d dialect)) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) { f(t, d) })
	}
}

func vars(password string) map[string]string {
	return map[string]string{"OS_PASSWORD": password, "OS_USERNAME": "user", "PATH": "/nowhere"}
}

// story is the life of a hooked shell; every odd setting has to get through it.
// It has no command that fails, for set -e.
func story(t *testing.T, d dialect, o options) {
	ccad := newDaemon(t)
	ccad.serve("dev", "7", vars("one"))
	o.env = append(o.env, "CCAD_ENV=dev", "OS_TENANT_NAME=fights", "OS_REGION_NAME=mine")
	s := interactive(t, d, ccad, o)
	s.want("OS_PASSWORD", "one")
	s.want("OS_TENANT_NAME", "-")
	s.want("OS_REGION_NAME", "mine")

	ccad.serve("dev", "8", vars("two")) // while the shell is idle
	s.want("OS_PASSWORD", "two")
	s.run("")
	ccad.serve("dev", "9", map[string]string{"OS_PASSWORD": "three"})
	s.run("")
	s.want("OS_PASSWORD", "three")
	s.want("OS_USERNAME", "-")

	ccad.lock("dev")
	s.want("OS_PASSWORD", "-")
	s.want("CCAD_SET", "-")
	ccad.remove("gen")
	s.run("")
	s.want("OS_PASSWORD", "-")
	if got, want := len(ccad.calls()), 3; got != want {
		t.Fatalf("%d calls of ccactl, want %d: %q", got, want, ccad.calls())
	}
	if got, want := ccad.calls()[0], filepath.Join(ccad.dir, "sock")+" env dev --format hook-"; !strings.HasPrefix(got, want) {
		t.Errorf("called %q, want %q…", got, want)
	}
	for _, noise := range []string{"BAD", "rror", "ccad", "command not found"} {
		if out := strings.ReplaceAll(s.output(), ccad.dir, ""); strings.Contains(out, noise) {
			t.Errorf("the shell says %q:\n%s", noise, out)
		}
	}
	if got := s.env("PATH"); got == "/nowhere" {
		t.Error("a variable that isn't in the list was set")
	}
}

func TestStory(t *testing.T) {
	settings := map[string]map[string]options{
		"bash": {
			"plain":                   {},
			"set -eu":                 {before: "set -eu"},
			"set -eu later":           {after: "set -eu"},
			"noclobber":               {before: "set -o noclobber", after: "set +o noclobber; set -o noclobber"},
			"IFS":                     {before: "IFS=:42"},
			"posix":                   {before: "set -o posix"},
			"nullglob":                {before: "shopt -s nullglob"},
			"failglob":                {before: "shopt -s failglob"},
			"extdebug":                {before: "shopt -s extdebug"},
			"functrace":               {before: "set -o functrace"},
			"allexport":               {before: "set -a"},
			"pipefail":                {before: "set -o pipefail"},
			"nocasematch":             {before: "shopt -s nocasematch"},
			"aliases":                 {before: "alias local='echo BAD' eval='echo BAD' read='echo BAD' export='echo BAD' unset='echo BAD' ccactl='echo BAD' declare='echo BAD' trap='echo BAD' printf='builtin printf'"},
			"functions":               {before: "local() { echo BAD; }; eval() { echo BAD; }; export() { echo BAD; }; read() { echo BAD; }; trap() { echo BAD; }"},
			"PROMPT_COMMAND":          {before: "PROMPT_COMMAND='x=1'"},
			"PROMPT_COMMAND;":         {before: "PROMPT_COMMAND='x=1;'"},
			"PROMPT_COMMAND array":    {before: "PROMPT_COMMAND=(x=1 'y=$?')"},
			"PROMPT_COMMAND later":    {after: "[[ $BASH_VERSION < 5.1 ]] || PROMPT_COMMAND='x=1'"}, // no array before
			"bash-preexec":            {before: `bash_preexec_imported=x preexec_functions=(); trap '"${preexec_functions[@]:-:}"' DEBUG`},
			"PROMPT_COMMAND appended": {after: "PROMPT_COMMAND+=('x=1')"},
			"PROMPT_COMMAND around":   {after: `PROMPT_COMMAND="x=1;${PROMPT_COMMAND-}"`},
			"DEBUG trap later":        {after: `trap 'x=1' USR1`},
			"twice":                   {twice: true},
		},
		"zsh": {
			"plain":              {},
			"err_return":         {before: "setopt err_return"},
			"no_unset":           {before: "setopt no_unset"},
			"ksh_arrays":         {before: "setopt ksh_arrays"},
			"sh_word_split":      {before: "setopt sh_word_split; IFS=:42"},
			"glob_subst":         {before: "setopt glob_subst"},
			"warn_create_global": {before: "setopt warn_create_global warn_nested_var"},
			"posix_builtins":     {before: "setopt posix_builtins"},
			"err_exit":           {before: "setopt err_exit"},
			"err_exit later":     {after: "setopt err_exit no_unset"},
			"all_export":         {before: "setopt all_export"},
			"no_clobber":         {before: "setopt no_clobber"},
			"rc_quotes":          {before: "setopt rc_quotes"},
			"null_glob":          {before: "setopt null_glob"},
			"csh_null_glob":      {before: "setopt csh_null_glob"},
			"ksh_glob":           {before: "setopt ksh_glob extended_glob"},
			"emulate sh":         {before: "emulate sh; setopt prompt_subst"},
			"emulate ksh":        {before: "emulate ksh; setopt prompt_subst"},
			"aliases":            {before: "alias local='echo BAD' eval='echo BAD' read='echo BAD' export='echo BAD' unset='echo BAD' ccactl='echo BAD' typeset='echo BAD' builtin='echo BAD' emulate='echo BAD'; alias -g g=BAD f=BAD"},
			"another hook":       {before: "other() { x=$? }; precmd_functions=(other); preexec_functions=(other)"},
			"another hook later": {after: "other() { x=$? }; precmd_functions+=(other); preexec_functions+=(other)"},
			"twice":              {twice: true},
		},
		"fish": { // it lets nobody redefine test, read, set, string, eval and the like
			"plain":        {},
			"functions":    {before: "function contains; echo BAD; end; function count; echo BAD; end; function cd; echo BAD; end"},
			"globals":      {before: "set -g name kept; set -g gen kept; set -g lines kept; set -g was kept"},
			"another hook": {before: "function other --on-event fish_prompt; set -g x $status; end"},
			"twice":        {twice: true},
		},
	}
	each(t, func(t *testing.T, d dialect) {
		for name, o := range settings[d.name] {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				story(t, d, o)
			})
		}
	})
}

// TestTwice: double sourcing must not run the hook twice.
func TestTwice(t *testing.T) {
	hooks := map[string]string{
		"bash": `"${PROMPT_COMMAND[*]}"`,
		"zsh":  `"$precmd_functions $preexec_functions"`,
	}
	for _, d := range dialects[:2] {
		s := interactive(t, d, newDaemon(t), options{twice: true})
		s.run("source " + d.quote(filepath.Join(s.dir, ".zshrc")))
		s.run("")
		want := map[string]int{"bash": 1, "zsh": 2}[d.name]
		if got := s.eval(hooks[d.name]); strings.Count(got, "__ccad_hook") != want {
			t.Errorf("%s: hooked more than once: %q", d.name, got)
		}
	}
}

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

func TestUse(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		ccad.serve("prod", "2", map[string]string{"OS_PASSWORD": "two", "OS_AUTH_URL": "url"})
		s := interactive(t, d, ccad, options{})
		s.want("OS_PASSWORD", "-")
		if calls := ccad.calls(); calls != nil {
			t.Errorf("nothing was selected, but ccactl was called: %q", calls)
		}
		status := func(line string) string {
			t.Helper()
			s.run(line)
			return strings.Fields(s.eval(d.status))[0]
		}
		if got := status("ccactl use dev"); got != "0" {
			t.Errorf("use: status %s", got)
		}
		s.want("CCAD_ENV", "dev")
		s.want("OS_PASSWORD", "one")
		if d.name != "fish" { // fish has no subshells
			if got := s.eval(`"$(ccactl use prod; printf %s "$OS_PASSWORD")"`); got != "two" {
				t.Errorf("in a subshell: %q", got)
			}
		}
		s.want("OS_PASSWORD", "one")
		if got := status("ccactl use prod"); got != "0" {
			t.Errorf("use: status %s", got)
		}
		s.want("OS_PASSWORD", "two")
		s.want("OS_USERNAME", "-")
		for _, bad := range []string{"nosuch", "../gen/dev", "''", "'a b'", "A"} {
			if got := status("ccactl use " + bad); got != "5" {
				t.Errorf("use %s: status %s, want 5", bad, got)
			}
			s.want("CCAD_ENV", "prod")
			s.want("OS_PASSWORD", "two")
		}
		if got := len(ccad.calls()); got != map[bool]int{true: 8, false: 7}[d.name != "fish"] {
			t.Errorf("%d calls: %q", got, ccad.calls())
		}
		ccad.lock("dev")
		if got := status("ccactl use dev"); got != "4" {
			t.Errorf("use while locked: status %s, want 4", got)
		}
		s.want("CCAD_ENV", "prod")
		s.want("OS_PASSWORD", "two")

		for _, line := range []string{"use --default dev", "use", "use a b", "status --json", "'a b' ''"} {
			if out := s.run("ccactl " + line); !strings.Contains(out, "binary: "+strings.ReplaceAll(line, "'", "")) {
				t.Errorf("ccactl %s did not reach the program: %s", line, out)
			}
			if got := status("ccactl " + line); got != "7" {
				t.Errorf("ccactl %s: status %s, want 7", line, got)
			}
		}
		if got := status("ccactl use -"); got != "0" {
			t.Errorf("use -: status %s", got)
		}
		s.want("CCAD_ENV", "")
		s.want("OS_PASSWORD", "-")
		s.want("OS_AUTH_URL", "-")
	})
}

// TestOwnValues: what the user set himself stays.
func TestOwnValues(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{env: []string{"OS_REGION_NAME=region", "OS_USERNAME=before"}})
		s.run("ccactl use dev")
		s.export("OS_PASSWORD", "mine")
		s.want("OS_USERNAME", "user")
		s.run("ccactl use -")
		s.want("OS_PASSWORD", "mine")
		s.want("OS_REGION_NAME", "region")
		s.want("OS_USERNAME", "-")

		s.run("ccactl use dev")
		s.want("OS_PASSWORD", "one")
		s.run(fmt.Sprintf(d.unset, "OS_PASSWORD"))
		ccad.lock("dev")
		s.want("OS_PASSWORD", "-")
		s.want("OS_USERNAME", "-")
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

func TestDefault(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		ccad.serve("prod", "2", vars("two"))
		for _, c := range []struct {
			env  []string
			want string
		}{{nil, "one"}, {[]string{"CCAD_ENV=prod"}, "two"}, {[]string{"CCAD_ENV="}, "-"}} {
			s := interactive(t, d, ccad, options{preselected: "dev", env: c.env})
			s.want("OS_PASSWORD", c.want)
		}
	})
}

// TestNested: a shell in the shell takes the selection over, and a lock reaches
// what it inherited.
func TestNested(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{})
		s.run("ccactl use dev")
		nested := d.name + " " + strings.Join(d.start(`"$RC"`), " ")
		if d.name == "fish" {
			nested = `fish --no-config --init-command 'source $RC'`
		}
		start := func() {
			s.level, s.prompts = s.level+1, 0
			s.run(nested)
		}
		start()
		s.want("OS_PASSWORD", "one")
		if got := len(ccad.calls()); got != 2 {
			t.Errorf("%d calls, want one of each shell: %q", got, ccad.calls())
		}
		ccad.serve("dev", "2", vars("two"))
		s.want("OS_PASSWORD", "two")
		ccad.serve("dev", "3", vars("three"))
		start()
		ccad.lock("dev")
		s.want("OS_PASSWORD", "-")
	})
}

// TestInherited: tmux gives new panes the values that its server was started
// with; ccad's are dropped where nothing loads, the user's own stay.
func TestInherited(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.lock("dev")
		s := interactive(t, d, ccad, options{env: []string{
			"CCAD_ENV=dev", "CCAD_SET=OS_PASSWORD HOME OS_TOKEN", "OS_PASSWORD=stale", "OS_USERNAME=mine",
		}})
		s.want("OS_PASSWORD", "-")
		s.want("OS_USERNAME", "mine")
		s.want("HOME", s.dir)
		s.want("CCAD_SET", "-")
		if calls := ccad.calls(); calls != nil {
			t.Errorf("ccactl was called: %q", calls)
		}
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
