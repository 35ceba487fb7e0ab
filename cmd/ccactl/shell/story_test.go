package shell

import (
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
