package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// maxFailures is how many logins of a user may fail unattended, whatever lies in
// files, until a person acts or the cloud accepts a password of his. One that
// nobody answered may have failed. A Regenerate is noticed by one failed probe, and
// the new value must then be allowed one try, or two where no probe was first; the
// smallest sensible lockout is three.
const maxFailures = 2

// ErrWithheld: the value is not sent before a person has acted.
var ErrWithheld = errors.New("it waits for a person")

// affordable returns nil if a login may fail unattended, a rotation's too: it
// keeps its passwords until a person acts. Where none may any more, the password in
// force is sent all the same as long as a token of it lives, for then nobody has
// changed it, and when it has rested that nobody answered.
func (k *Keeper) affordable(ctx context.Context, t try) error {
	u := k.vault.Contents().Users[t.user.ID]
	if t.person || u.Failures < maxFailures || k.rested(t) || k.olderTokenLives(ctx, t) {
		return nil
	}
	return fmt.Errorf("%s: %d logins of this user have failed already, or were never answered: %w", t.subject(), u.Failures, ErrWithheld)
}

// affordsOlder reports whether a password that was in force once may be tried
// again. Beside one that works, has expired or is locked out it is wrong. Beside
// one that is refused it is nearly always so, too: after a Regenerate each file
// that nobody has saved since has one. That somebody put a former password back is
// rare. So it never takes the last login that may fail, which the new value needs
// to heal by itself; once a person has acted there is one for it.
func affordsOlder(u vault.User) bool {
	return u.Refused != nil && !u.Refused.Expired && !u.Refused.LockedOut && u.Failures+1 < maxFailures
}

// sinceReplaced says why an older password is not tried.
func sinceReplaced(u vault.User) string {
	switch {
	case u.Refused == nil:
		return "and what replaced it works"
	case u.Refused.Expired, u.Refused.LockedOut:
		return "and what replaced it is right"
	}
	return "and is not tried again before ccactl verify"
}

// ahead is what an attempt costs before it is made, and as long as nobody answers.
// What goes with a change was mostly right a moment ago, and costs only what is
// refused: else a lost answer would leave no login to find out with which one is in
// force.
func (t try) ahead() int {
	if t.proved {
		return 0
	}
	return 1
}

// costOf is what a refusal cost. An expired password is a right one, and no
// failed login to Keystone.
func costOf(a vault.Attempt) int {
	if a.Expired {
		return 0
	}
	return 1
}

// spend counts logins that may have failed unattended.
func spend(c *vault.Contents, t try, cost int) {
	u, stored := c.Users[t.user.ID]
	if !stored || t.person || cost == 0 {
		return
	}
	u.Failures = max(u.Failures+cost, 0)
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

// personAsked is discharge, for a person whose command may need logins.
func (k *Keeper) personAsked(userID string) error {
	if k.vault.Contents().Users[userID].Failures == 0 {
		return nil
	}
	return k.vault.Change(func(c *vault.Contents) error {
		discharge(c, userID)
		return nil
	})
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
