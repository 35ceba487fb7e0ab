package story

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cloud-ca/ccad/test/lab"
)

// TestPasswordsOnAStrictKeystone: on a real Keystone that locks an account after
// three failed logins nothing that persons, shells, probes, restarts, kills and
// lost answers do makes ccad lock anybody out; and what has to be changed before
// its first use is healed by its change.
func TestPasswordsOnAStrictKeystone(t *testing.T) {
	l := lab.Start(t, lab.Options{Own: true})
	l.Configure(t, "[security_compliance]\nlockout_failure_attempts = 3\nlockout_duration = 1800\n")
	t.Run("each with a user of his own", func(t *testing.T) {
		for name, lives := range map[string]func(*guarded){
			"wrong from the start":                                     wrongFromTheStart,
			"changed elsewhere":                                        changedElsewhere,
			"killed between an attempt and its record":                 killedInAttempts,
			"the change is made, its answer lost":                      func(g *guarded) { lostAnswer(g, true, false) },
			"the change is made, its answer lost, and ccad killed":     func(g *guarded) { lostAnswer(g, true, true) },
			"the change is not made, its answer lost":                  func(g *guarded) { lostAnswer(g, false, false) },
			"the change is not made, its answer lost, and ccad killed": func(g *guarded) { lostAnswer(g, false, true) },
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); lives(newGuarded(t, l)) })
		}
	})
	for name, killed := range map[string]bool{"a change that arrives late": false, "a change that arrives late, and ccad killed": true} {
		t.Run(name, func(t *testing.T) { lateChange(newGuarded(t, l), killed) })
	}
	v := newVictim(t, l) // while his first password is good as it is
	l.Configure(t, "[security_compliance]\nlockout_failure_attempts = 3\nlockout_duration = 1800\nchange_password_upon_first_use = true\n")
	t.Run("must be changed", func(t *testing.T) { mustBeChanged(newGuarded(t, l)) })
	l.Configure(t, everyRuleOf)
	t.Run("every rule", func(t *testing.T) { v.T = t; everyRule(v) })
}

func wrongFromTheStart(g *guarded) {
	g.openrc("wrong")
	for range 3 {
		g.must(6, "", "import", "openrc", "--name", "dev")
		g.restart()
	}
	g.openrc(g.user.Password)
	g.must(0, "", "import", "openrc", "--name", "dev")
	for range 3 {
		g.must(6, "wrong\n", "update", "--user", g.user.Name, "--password-stdin")
		g.must(0, "", "env", "dev")
	}
	g.must(6, "wrong\n", "update", "--user", g.user.Name, "--password-stdin", "--no-verify")
	g.notLocked(g.user.Password, 1)
}

// changedElsewhere: an administrator has set another password, and everybody goes
// on as before.
func changedElsewhere(g *guarded) {
	g.openrc(g.user.Password)
	g.must(0, "", "import", "openrc", "--name", "dev")
	g.must(0, "", "env", "dev", "--auth", "token")
	g.lab.SetPassword(g.T, g.user.Name, "elsewhere")
	g.must(0, "", "env", "dev")
	g.until("a probe has noticed", func() bool { return g.status().Users[0].State == "refused" })
	for range 3 {
		_, _ = g.ccactl("", "env", "dev")
		_, _ = g.ccactl("", "env", "dev", "--auth", "token")
		_, _ = g.ccactl("", "verify", "dev")
		_, _ = g.ccactl("", "verify", "--rejected", "dev")
		_, _ = g.ccactl("", "rotate", "dev")
		_, _ = g.ccactl("", "rotate", "--user", g.user.Name, "--password")
		_, _ = g.ccactl(g.user.Password+"\n", "update", "--user", g.user.Name, "--password-stdin")
		g.restart()
	}
	g.must(6, "", "env", "dev")
	g.notLocked("elsewhere", 1)
	g.must(0, "elsewhere\n", "update", "--user", g.user.Name, "--password-stdin")
	if g.served() != "elsewhere" {
		g.Error("the new password is not served")
	}
}

// killedInAttempts: each time that ccad sends the dead password it is killed before
// it has the answer. It stops after two.
func killedInAttempts(g *guarded) {
	g.openrc(g.user.Password)
	g.must(0, "", "import", "openrc", "--name", "dev")
	g.restart()
	g.lab.SetPassword(g.T, g.user.Name, "elsewhere")
	var kills atomic.Int32
	g.hooks(nil, func(forward func()) bool {
		forward()
		kills.Add(1)
		g.kill()
		return false
	})
	for range 4 {
		_, _ = g.ccactl("", "env", "dev", "--auth", "token")
		g.restart()
	}
	if n := kills.Load(); n == 0 || n > 2 {
		g.Errorf("killed %d times", n)
	}
	g.hooks(nil, nil)
	g.notLocked("elsewhere", 2)
	g.must(0, "elsewhere\n", "update", "--user", g.user.Name, "--password-stdin")
}

// lostAnswer: the change's answer never comes, and perhaps ccad does not live to
// miss it.
func lostAnswer(g *guarded, done, killed bool) {
	g.openrc(g.user.Password)
	g.must(0, "", "import", "openrc", "--name", "dev")
	g.hooks(func(forward func()) bool {
		if done {
			forward()
		}
		if killed {
			g.kill()
		}
		return false
	}, nil)
	_, _ = g.ccactl("", "rotate", "--user", g.user.Name, "--password")
	g.hooks(nil, nil)
	if killed {
		g.restart() // once it is gone for sure
	}
	g.until("it is over", func() bool { u := g.status().Users[0]; return u.Rotation == nil && u.State == "ok" })
	for range 3 {
		g.must(0, "", "env", "dev", "--auth", "token")
		g.must(0, "", "verify", "dev")
	}
	if served := g.served(); done == (served == g.user.Password) {
		g.Errorf("done %v, and the old one is served: %v", done, served == g.user.Password)
	}
	g.notLocked(g.served(), 1)
}

// lateChange: Keystone is stopped, so that nobody answers, and serves the change
// when it goes on, long after the client has gone.
func lateChange(g *guarded, killed bool) {
	g.openrc(g.user.Password)
	g.must(0, "", "import", "openrc", "--name", "dev")
	arrived := make(chan struct{})
	g.hooks(func(forward func()) bool {
		g.stopKeystone(syscall.SIGSTOP)
		g.hooks(nil, nil)
		close(arrived)
		forward()
		return true
	}, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = g.ccactl("", "rotate", "--user", g.user.Name, "--password")
	}()
	<-arrived
	defer g.stopKeystone(syscall.SIGCONT)
	if killed {
		g.kill()
	} else {
		g.until("nobody answers the change", func() bool {
			u := g.status().Users[0]
			return u.Rotation != nil && u.Rotation.Trouble != ""
		})
	}
	g.stopKeystone(syscall.SIGCONT)
	<-ended
	if killed {
		g.restart() // once it is gone for sure
	}
	g.until("it is over", func() bool { u := g.status().Users[0]; return u.Rotation == nil && u.State == "ok" })
	g.must(0, "", "verify", "dev")
	if g.served() == g.user.Password {
		g.Log("Keystone did not serve the request of a client that had gone")
	}
	g.notLocked(g.served(), 1)
}

// stopKeystone signals the lab's Keystone, its workers too.
func (g *guarded) stopKeystone(signal syscall.Signal) {
	g.Helper()
	data, err := os.ReadFile(filepath.Join(g.lab.Dir, "run", "keystone"))
	if err != nil {
		g.Error(err)
		return
	}
	pid := strings.Fields(string(data))[0]
	children, _ := exec.Command("pgrep", "-P", pid).Output()
	for _, p := range append(strings.Fields(string(children)), pid) {
		if n, err := strconv.Atoi(p); err == nil {
			_ = syscall.Kill(n, signal)
		}
	}
}

// mustBeChanged: an administrator's reset, as the portal's may be, gives a password
// that Keystone takes only for its change.
func mustBeChanged(g *guarded) {
	g.lab.SetPassword(g.T, g.user.Name, "first-use")
	g.openrc("first-use")
	if out := g.must(0, "", "import", "openrc", "--name", "dev"); !strings.Contains(out, "rotate --user") {
		g.Errorf("import says %s", out)
	}
	g.must(6, "", "env", "dev")
	g.must(0, "", "rotate", "--user", g.user.Name, "--password")
	g.must(0, "", "env", "dev", "--auth", "token")
	changed := g.served()
	if changed == "first-use" {
		g.Fatal("it was not changed")
	}
	g.lab.SetPassword(g.T, g.user.Name, "second-use")
	if out := g.must(0, "second-use\n", "update", "--user", g.user.Name, "--password-stdin"); !strings.Contains(out, "rotate --user") {
		g.Errorf("update says %s", out)
	}
	g.must(6, "", "env", "dev")
	g.must(0, "", "rotate", "--user", g.user.Name, "--password")
	g.notLocked(g.served(), 1)
}
