package rotate

import (
	"fmt"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// TestScheduleIsSpread: values that came here together are due at different times
// in the last tenth, and each always at the same.
func TestScheduleIsSpread(t *testing.T) {
	s := Schedule{Every: 90 * day, Users: map[string]UserSchedule{"u": {Password: true}}}
	keys := withKey(pair("a", "1"), vault.Active, true)
	creds, ac := keys.AppCreds.Stage(account.ApplicationCredential{Name: "c"}, "import", epoch)
	keys.AppCreds = creds.Activate(ac.ID)
	var user, expiring vault.User
	passwords, v := user.Passwords.Stage(secretOf("p"), "import", epoch)
	user.Name, user.Passwords = "u", passwords.Activate(v.ID)
	expiring = user
	expiring.PasswordExpires = epoch.Add(40 * day)
	inEnvironment := func(id string) vault.Environment { e := keys; e.ID = id; return e }
	of := func(u vault.User, id string) vault.User { u.ID = id; return u }
	for what, c := range map[string]struct {
		due            func(id string) time.Time
		earliest, last time.Time
	}{
		"the key":              {func(id string) time.Time { return s.KeyDue(inEnvironment(id), user) }, epoch.Add(81 * day), epoch.Add(90 * day)},
		"the credential":       {func(id string) time.Time { return s.CredentialDue(inEnvironment(id), user) }, epoch.Add(81 * day), epoch.Add(90 * day)},
		"the password":         {func(id string) time.Time { return s.PasswordDue(of(user, id)) }, epoch.Add(81 * day), epoch.Add(90 * day)},
		"one that will expire": {func(id string) time.Time { return s.PasswordDue(of(expiring, id)) }, epoch.Add(29 * day), epoch.Add(30 * day)},
	} {
		times := map[time.Time]bool{}
		for i := range 50 {
			id := fmt.Sprint("id-", i)
			due := c.due(id)
			if due.Before(c.earliest) || due.After(c.last) || !due.Equal(c.due(id)) {
				t.Errorf("%s of %s is due at %v, and at %v; want %v to %v", what, id, due, c.due(id), c.earliest, c.last)
			}
			times[due] = true
		}
		if len(times) < 25 {
			t.Errorf("%s: 50 are due at %d times", what, len(times))
		}
	}
}
