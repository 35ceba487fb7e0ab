package rotate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// What Keystone's rules say to a change is named, changes nothing, and leads to
// the portal only where a user may never change his password.
func TestRulesAreNamed(t *testing.T) {
	for words, c := range map[string]struct {
		status int
		says   string
		portal bool
	}{
		"You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for 1 day(s) before it can be changed.": {400, "changed too recently", false},
		"The new password cannot be identical to a previous password. The total number which includes the new password must be unique is 3.":                                  {400, "was used before", false},
		"The password does not match the requirements: at least a sonnet.":                                                                                                    {400, "does not meet the requirements", false},
		"There is a password policy disallowing password changes for this user.":                                                                                              {400, "may not change his password", true},
		"You are not authorized to perform the requested action: identity:change_password.":                                                                                   {403, "refused (403)", true},
	} {
		t.Run(c.says, func(t *testing.T) {
			w := newWorld(t)
			w.both()
			body := fmt.Sprintf(`{"error":{"code":%d,"title":"No","message":%q}}`, c.status, words)
			w.cloud.Fail(practice.Fault{Route: changeRoute, Status: c.status, Body: body})
			err := w.RotatePassword(t.Context(), w.user().ID, silent)
			if !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrPortal) != c.portal {
				t.Errorf("error %v", err)
			}
			w.cloud.Heal()
			w.works(0)
		})
	}
}

// All environments of the user serve the new password in one commit, and in each
// its generation rises with it.
func TestOneGenerationStep(t *testing.T) {
	w := newWorld(t)
	w.both()
	var steps []string
	w.watcher = func(before, after *vault.Contents, _ string) {
		was, is := active(before.Users[w.user().ID].Passwords), active(after.Users[w.user().ID].Passwords)
		raised := 0
		for name, e := range after.Environments {
			if e.Generation > before.Environments[name].Generation {
				raised++
			}
		}
		if was != is {
			steps = append(steps, fmt.Sprint(raised))
		}
	}
	if err := w.RotatePassword(t.Context(), w.user().ID, silent); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, ","); got != "2" {
		t.Errorf("the password came into force in commits that raised the generations of %s environments, want one of 2", got)
	}
	w.works(0)
}
