package story

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/lab"
)

// refused runs a command that the cloud must refuse, and returns what it says.
func (v *victim) refused(args ...string) string {
	v.Helper()
	out, errs, err := v.try(args...)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 6 {
		v.Fatalf("ccactl %q ends with %v, want 6\n%s%s", args, err, out, errs)
	}
	return errs
}

func (v *victim) password() string {
	v.Helper()
	var shown ipc.Shown
	if err := json.Unmarshal([]byte(v.ccactl("show", "dev", "--reveal", "--json")), &shown); err != nil {
		v.Fatal(err)
	}
	return shown.Password
}

// everyRule: a Keystone with every rule for passwords that there is. One that must
// be changed before its first use is handed in and mended by a rotation, and what a
// rule forbids is named and changes nothing.
func everyRule(t *testing.T, l *lab.Lab) {
	v := newVictim(t, l)
	l.Configure(t, `[security_compliance]
change_password_upon_first_use = true
minimum_password_age = 1
unique_last_password_count = 5
password_expires_days = 30
password_regex = ^[A-Za-z0-9]{32,64}$
password_regex_description = letters and digits, 32 to 64
lockout_failure_attempts = 3
lockout_duration = 600
`)
	const reset = "ResetInThePortal0123456789ResetInThePortal"
	l.SetPassword(t, v.user.Name, reset)
	v.hand(reset, "update", "--user", v.user.Name, "--password-stdin")
	if out := v.ccactl("rotate", "--user", v.user.Name, "--password"); !strings.Contains(out, ": heal") {
		t.Errorf("not mended:\n%s", out)
	}
	v.sound()
	before := v.password()
	if before == reset || len(before) != 48 {
		t.Errorf("the password has %d characters", len(before))
	}
	if said := v.refused("rotate", "--user", v.user.Name, "--password"); !strings.Contains(said, "changed too recently") {
		t.Errorf("it says %s", said)
	}
	if v.password() != before {
		t.Error("what works was given up")
	}
	v.sound()
	v.ccactl("log", "--verify")
}
