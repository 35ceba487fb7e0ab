package rotate

import (
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// The states of users, environments and S3 keys, as the contract names them.
const (
	StateOK         = "ok"
	StateUnverified = "unverified"
	StateRefused    = "refused"
	StateLockedOut  = "locked-out"
	StateExpiring   = "expiring"
	StateNone       = "none"
)

// expiringWithin is how long before its end a password is called expiring.
const expiringWithin = 14 * 24 * time.Hour

// UserState says how a user stands. A user without a password lives by the
// application credentials of his environments.
func UserState(c *vault.Contents, u vault.User, now time.Time) string {
	active, ok := u.Passwords.Active()
	switch {
	case u.Refused != nil && u.Refused.LockedOut:
		return StateLockedOut
	case u.Refused != nil:
		return StateRefused
	case !ok:
		return credentialState(c.EnvironmentsOf(u.ID))
	case !active.Accepted:
		return StateUnverified
	case !u.PasswordExpires.IsZero() && u.PasswordExpires.Sub(now) < expiringWithin:
		return StateExpiring
	}
	return StateOK
}

// credentialState is how a user without a password stands: by the application
// credentials of his environments.
func credentialState(environments []vault.Environment) string {
	state := StateUnverified
	for _, e := range environments {
		active, ok := e.AppCreds.Active()
		switch {
		case ok && active.Accepted:
			return StateOK
		case !ok && len(e.AppCreds.List) > 0:
			state = StateRefused
		}
	}
	return state
}

// KeyState says how an environment's S3 key stands. A password that was changed
// kills no S3 key, so it does not follow the user.
func KeyState(e vault.Environment) string {
	active, ok := e.Keys.Active()
	switch {
	case e.KeysRefused != nil:
		return StateRefused
	case !ok:
		return StateNone
	case !active.Accepted, e.KeysOwed:
		return StateUnverified
	}
	return StateOK
}

// EnvironmentState is the worst of what it rests on: the user, his way into the
// project, the S3 key, and the application credential where that is served. A
// user without a password is as good as each environment's.
func EnvironmentState(c *vault.Contents, e vault.Environment, now time.Time) string {
	keys := KeyState(e)
	if e.UserID == "" {
		return keys
	}
	u := c.Users[e.UserID]
	state := StateOK
	if _, ok := u.Passwords.Active(); ok {
		state = UserState(c, u, now)
	}
	rests := []string{ProjectState(c, e), keys}
	if e.ByCredential {
		rests = append(rests, credentialState([]vault.Environment{e}))
	}
	for _, other := range rests {
		if gravity[other] > gravity[state] {
			state = other
		}
	}
	return state
}

// gravity orders the states by how much they ask of a person.
var gravity = map[string]int{StateExpiring: 1, StateUnverified: 2, StateRefused: 3, StateLockedOut: 3}

// standing is the error for a user whose password was refused earlier.
func standing(u vault.User) error {
	return &RefusedError{Subject: fmt.Sprintf("the password of %s", u.User), At: u.Refused.At, Reason: u.Refused.Reason, Again: true}
}

// AgainFrom is when a person's verify may send a refused password once more that was
// right once; ok is false of all others. A lockout that a token told of it need not wait for.
func AgainFrom(u vault.User) (from time.Time, ok bool) {
	active, _ := u.Passwords.Active()
	if u.Refused == nil || u.Refused.Expired || u.Refused.LockedOut || !active.Accepted {
		return from, false
	}
	return u.Refused.At.Add(refusedPause), true
}

// MayServePassword returns nil if a view may hold the user's password: shells
// and programs must not send one that was refused.
func MayServePassword(u vault.User) error {
	if u.Refused != nil {
		return standing(u)
	}
	return nil
}

// Unasked says why nobody asks Keystone about an environment's S3 key until a
// person acts: there is no password (ErrAbsent), it is refused, or only a person may
// send it (ErrWithheld). nil: it is asked, or there is no user and S3 has the word.
func Unasked(e vault.Environment, u vault.User) error {
	active, ok := u.Passwords.Active()
	switch {
	case e.UserID == "":
		return nil
	case !ok:
		return fmt.Errorf("the password of %s: %w", u.User, ErrAbsent)
	case u.Refused != nil:
		return standing(u)
	case active.HandsOff, e.Binding.HandsOff:
		return fmt.Errorf("the password of %s: %w", u.User, ErrWithheld)
	}
	return nil
}

// MayServeKeys is MayServePassword for an environment's S3 key.
func MayServeKeys(e vault.Environment) error {
	if e.KeysRefused == nil {
		return nil
	}
	no := &RefusedError{Subject: keySubject(e), At: e.KeysRefused.At, Reason: e.KeysRefused.Reason, Again: true}
	if e.UserID == "" {
		no.Until = no.At.Add(refusedPause)
	}
	return no
}

// keySubject names the S3 key that an environment has, or is to have.
func keySubject(e vault.Environment) string {
	if e.KeyWanted != "" {
		return "the S3 key " + e.KeyWanted + " of " + e.Name
	}
	return "the S3 key of " + e.Name
}

// unlisted is why a key is refused that Keystone lists no more, nor another in
// its place.
const unlisted = "Keystone no longer lists it"

// betweenKeys is how long the cloud may take to make the next key once it has
// deleted one: a Regenerate does both.
const betweenKeys = 2 * time.Minute

// BetweenKeys reports whether an environment's key is refused for no other
// reason than that it is gone, and so recently that the next may be on its way.
func BetweenKeys(e vault.Environment, now time.Time) bool {
	return e.KeysRefused != nil && e.KeysRefused.Reason == unlisted && now.Sub(e.KeysRefused.At) < betweenKeys
}
