package story

import (
	"encoding/json"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

func (v *victim) password() string {
	v.Helper()
	var shown ipc.Shown
	if err := json.Unmarshal([]byte(v.must(0, "", "show", "dev", "--reveal", "--json")), &shown); err != nil {
		v.Fatal(err)
	}
	return shown.Password
}

// everyRuleOf is every rule for passwords that Keystone has.
const everyRuleOf = `[security_compliance]
change_password_upon_first_use = true
minimum_password_age = 1
unique_last_password_count = 5
password_expires_days = 30
password_regex = ^[A-Za-z0-9]{32,64}$
password_regex_description = letters and digits, 32 to 64
lockout_failure_attempts = 3
lockout_duration = 600
`

// everyRule: one that must be changed before its first use is handed in and mended
// by a rotation, and what a rule forbids is named and changes nothing.
func everyRule(v *victim) {
	const reset = "ResetInThePortal0123456789ResetInThePortal"
	v.lab.SetPassword(v.T, v.user.Name, reset)
	v.must(0, reset, "update", "--user", v.user.Name, "--password-stdin")
	if out := v.must(0, "", "rotate", "--user", v.user.Name, "--password"); !strings.Contains(out, ": heal") {
		v.Errorf("not mended:\n%s", out)
	}
	v.sound()
	before := v.password()
	if before == reset || len(before) != 48 {
		v.Errorf("the password has %d characters", len(before))
	}
	if said := v.must(6, "", "rotate", "--user", v.user.Name, "--password"); !strings.Contains(said, "changed too recently") {
		v.Errorf("it says %s", said)
	}
	if v.password() != before {
		v.Error("what works was given up")
	}
	v.sound()
	v.must(0, "", "log", "--verify")
}
