package practice

import (
	"fmt"
	"net/http"
	"time"
)

// cut is what bcrypt does to a long password, without a word.
func cut(pass string) string {
	if len(pass) > 72 {
		return pass[:72]
	}
	return pass
}

// checkPassword is one attempt to prove a password, in Keystone's order: a
// locked account does not even look.
func (c *Cloud) checkPassword(u *user, pass string) *keystoneError {
	now, current := c.now(), u.current()
	if cut(pass) != current.value {
		u.wrong[pass]++
	}
	if c.lockedOut(u) {
		u.refused++
		return unauthorized
	}
	if cut(pass) != current.value {
		u.refused++
		u.failures++
		u.lastFailure = now
		return unauthorized
	}
	if !u.enabled {
		u.refused++
		return &keystoneError{status: http.StatusUnauthorized, message: fmt.Sprintf("The account is disabled for user: %s.", u.id)}
	}
	if !current.expires.IsZero() && !now.Before(current.expires) {
		u.refused++
		return &keystoneError{status: http.StatusUnauthorized, message: expiredText + u.id + "."}
	}
	u.accepted++
	u.failures = 0
	return nil
}

const expiredText = "The password is expired and needs to be changed for user: "

// lockedOut reports whether the account is locked, and forgets a lockout that
// is over.
func (c *Cloud) lockedOut(u *user) bool {
	p := c.state.policy
	if p.LockoutAttempts == 0 || u.failures < p.LockoutAttempts {
		return false
	}
	if p.LockoutDuration != 0 && !c.now().Before(u.lastFailure.Add(p.LockoutDuration)) {
		u.failures = 0
		return false
	}
	return true
}

// setPassword makes pass the current password.
func (c *Cloud) setPassword(u *user, pass string, selfService bool) {
	p := password{value: cut(pass), created: c.now(), selfService: selfService}
	if days := c.state.policy.ExpiresDays; days > 0 {
		p.expires = p.created.AddDate(0, 0, days)
	}
	if c.state.policy.ChangeAtFirstUse && !selfService {
		p.expires = p.created
	}
	u.passwords = append(u.passwords, p)
	if !selfService { // an administrator's act is never stale, and ends a lockout
		u.lookedUp, u.failures = time.Time{}, 0
	}
}

// lookUp reads the user as Keystone does, through a cache of ten minutes that a
// self-service change does not touch: for so long tokens show the expiry of the
// password before it.
func (c *Cloud) lookUp(u *user) {
	now := c.now()
	if !u.lookedUp.IsZero() && now.Before(u.lookedUp.Add(10*time.Minute)) {
		return
	}
	u.lookedUp, u.shownExpiry = now, nil
	if expires := u.current().expires; !expires.IsZero() {
		u.shownExpiry = expires.UTC().Format("2006-01-02T15:04:05.000000")
	}
}

// changePassword is POST /v3/users/{user}/password. It needs no token: the old
// password is the proof.
func changePassword(k *call) (answer, *keystoneError) {
	body := object(k.body, "user")
	for _, field := range []string{"original_password", "password"} {
		switch value, ok := body[field]; value.(type) {
		case string:
		default:
			if !ok {
				return answer{}, badRequest("'%s' is a required property", field)
			}
			return answer{}, badRequest("Invalid input for field '%s': %s is not of type 'string'", field, python(value))
		}
	}
	u := k.cloud.state.users[k.PathValue("user")]
	if u == nil {
		return answer{}, unauthorized
	}
	k.cloud.lookUp(u)
	e := k.cloud.checkPassword(u, text(body, "original_password"))
	if e != nil && e.message != expiredText+u.id+"." { // an expired password may be changed
		return answer{}, e
	}
	if e := k.cloud.allowPassword(u, text(body, "password")); e != nil {
		return answer{}, e
	}
	k.cloud.setPassword(u, text(body, "password"), true)
	k.cloud.revokeAll(u)
	return answer{status: http.StatusNoContent}, nil
}

// allowPassword holds a new password against the policy.
func (c *Cloud) allowPassword(u *user, pass string) *keystoneError {
	policy, current := c.state.policy, u.current()
	if policy.Accept != nil && !policy.Accept(pass) {
		return badRequest("The password does not match the requirements: %s.", policy.Requirements)
	}
	if current.selfService {
		if left := current.created.AddDate(0, 0, policy.MinimumAge).Sub(c.now()); left > 0 {
			return badRequest("You cannot change your password at this time due to the minimum password age. "+
				"Once you change your password, it must be used for %d day(s) before it can be changed. "+
				"Please try again in %d day(s) or contact your administrator to reset your password.",
				policy.MinimumAge, left/(24*time.Hour))
		}
	}
	recent := u.passwords[max(0, len(u.passwords)-policy.UniqueLast):]
	if policy.UniqueLast == 0 {
		recent = nil
	}
	for _, old := range recent {
		if old.value == cut(pass) {
			return badRequest("The new password cannot be identical to a previous password. "+
				"The total number which includes the new password must be unique is %d.", policy.UniqueLast)
		}
	}
	return nil
}

// python prints a JSON value as Keystone's messages do.
func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(v)
}
