package shell

import (
	"strings"
	"testing"
)

// TestPrompt: CCAD_PROMPT tells what is selected and how it stands, already in
// the prompt that follows the change.
func TestPrompt(t *testing.T) {
	own := map[string]string{
		"bash": `PS1='{${CCAD_PROMPT-}}'$PS1`,
		"zsh":  `PS1='{${CCAD_PROMPT-}}'$PS1`,
		"fish": "functions -c fish_prompt plain_prompt; function fish_prompt; echo -n \"{$CCAD_PROMPT}\"; plain_prompt; end",
	}
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{after: own[d.name]})
		prompt := func(want, after string) {
			t.Helper()
			if shown := s.run(""); !strings.Contains(shown, "{"+want+"}") {
				t.Errorf("%s: the prompt %s is %q, not %q", d.name, after, shown, want)
			}
			if want == "" {
				want = "-"
			}
			s.want("CCAD_PROMPT", want)
		}
		prompt("", "of a new shell")
		s.run("ccactl use dev")
		prompt("dev", "after use")
		ccad.lock("dev")
		prompt("dev 🔒", "after a lock")
		ccad.write("error", "ccactl: the cloud refused the password\n")
		ccad.write("gen/dev", "2\n")
		prompt("dev ⚠", "after a refusal")
		ccad.serve("dev", "3", vars("three"))
		prompt("dev", "after healing")
		ccad.remove("gen/dev")
		prompt("dev ⚠", "without a daemon")
		s.run("ccactl use -")
		prompt("", "with nothing selected")
		s.export("CCAD_ENV", "../x")
		prompt("", "with what is no name")
	})
}
