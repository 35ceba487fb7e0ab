package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// maxFailures is how many logins of a user may fail unattended, whatever lies in
// files, until a person acts or the cloud accepts a password of his. A
// Regenerate is noticed by one failed probe, and the new value must then be
// allowed one try, or two where no probe was first; the smallest sensible
// lockout is three.
const maxFailures = 2

// ErrWithheld: the value is not sent before a person has acted.
var ErrWithheld = errors.New("it waits for a person")

// affordable returns nil if a login may fail unattended. Where none may any
// more, the password in force is sent all the same as long as a token of it
// lives: then nobody has changed it.
func (k *Keeper) affordable(ctx context.Context, t try) error {
	u := k.vault.Contents().Users[t.user.ID]
	if t.person || t.rotation || u.Failures < maxFailures || k.olderTokenLives(ctx, t) {
		return nil
	}
	return fmt.Errorf("%s: %d logins of this user have failed already: %w", t.subject(), u.Failures, ErrWithheld)
}

// charge counts what a login cost. An expired password is a right one, and no
// failed login to Keystone.
func charge(c *vault.Contents, t try, a vault.Attempt) {
	u, stored := c.Users[t.user.ID]
	if !stored || t.person || a.Expired {
		return
	}
	u.Failures++
	c.Users[t.user.ID] = u
}

// discharge forgets what failed: the cloud has accepted a password of the user,
// and so counts anew, or a person has acted.
func discharge(c *vault.Contents, userID string) {
	if u, stored := c.Users[userID]; stored && u.Failures > 0 {
		u.Failures = 0
		c.Users[userID] = u
	}
}

// personActed lets values that ccad finds be tried again, and the cloud be asked
// about a project that was stored with --no-verify, whatever it says of the
// password now.
func (k *Keeper) personActed(u vault.User, e vault.Environment) error {
	if u.Failures == 0 && !e.Binding.HandsOff {
		return nil
	}
	return k.vault.Change(func(c *vault.Contents) error {
		discharge(c, u.ID)
		return inEnvironment(c, e, func(e *vault.Environment) { e.Binding.HandsOff = false })
	})
}
