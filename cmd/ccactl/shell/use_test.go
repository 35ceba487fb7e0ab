package shell

import (
	"fmt"
	"strings"
	"testing"
)

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

// TestAnotherView: a shell inside "ccactl exec dev --auth token" has nothing
// selected, drops what the shell outside had loaded, and keeps what exec gave.
func TestAnotherView(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		ccad := newDaemon(t)
		ccad.serve("dev", "1", vars("one"))
		s := interactive(t, d, ccad, options{preselected: "dev", env: []string{
			"CCAD_ENV=", "CCAD_SET=OS_PASSWORD", "OS_PASSWORD=outside", "OS_TOKEN=given", "OS_USERNAME=given",
		}})
		s.want("OS_PASSWORD", "-")
		s.want("CCAD_SET", "-")
		s.want("OS_TOKEN", "given")
		s.want("OS_USERNAME", "given")
		if calls := ccad.calls(); calls != nil {
			t.Errorf("ccactl was called: %q", calls)
		}
	})
}
