package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// Verify asks the cloud about an environment: its user's password, its project,
// its S3 key. person says that somebody is waiting for it: then what was given
// with --no-verify is sent too, and a locked-out password once more. What the
// cloud says is recorded; the error is the first refusal or failure.
func (k *Keeper) Verify(ctx context.Context, name string, person bool) error {
	if person {
		return k.Round().Verify(ctx, name)
	}
	return k.verify(ctx, name, nil)
}

func (k *Keeper) verify(ctx context.Context, name string, round *Round) error {
	e, u, err := k.Environment(name)
	if err != nil {
		return err
	}
	defer k.gate(gateOf(e, u))()
	host := e.S3.Endpoint.Host()
	if e.UserID != "" {
		host = u.Auth.Host()
	}
	if err := round.lateAt(host); err != nil {
		return err
	}
	err = k.verifyLocked(ctx, name, round)
	round.heard(err)
	return err
}

// VerifyOwed is Verify without a person, for an environment of which an answer is
// owed. Nobody is asked if there has been one meanwhile.
func (k *Keeper) VerifyOwed(ctx context.Context, name string) (asked bool, err error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return false, err
	}
	defer k.gate(gateOf(e, u))()
	if c := k.vault.Contents(); !Awaits(c, c.Environments[name], k.now()) {
		return false, nil
	}
	return true, k.verifyLocked(ctx, name, nil)
}

// verifyLocked asks for a person's round, or with nil unattended.
func (k *Keeper) verifyLocked(ctx context.Context, name string, round *Round) error {
	person := round != nil
	e, u, err := k.Environment(name) // as it is now that we are alone
	if err != nil {
		return err
	}
	if e.UserID == "" {
		if active, ok := e.Keys.Active(); ok && active.HandsOff && !person {
			return withheld(keySubject(e))
		}
		return k.proveKeysLocked(ctx, e, person)
	}
	if active, ok := u.Passwords.Active(); ok {
		if before, failed := round.failedOf(u.ID); failed {
			if u.Refused == nil && active.ID == before.version {
				return before.err
			}
			person = false
		}
		if active.HandsOff && !person {
			return handsOff(u)
		}
		if u.Refused != nil && !person {
			return standing(u)
		}
		base, err := k.verifyPasswordLocked(ctx, u, e, person)
		if err != nil {
			round.failed(k.vault.Contents().Users[u.ID], err)
			return err
		}
		if err := k.verifyProjectLocked(ctx, u.ID, name, &base, person); err != nil {
			return err
		}
	}
	if err := k.verifyApplicationLocked(ctx, u, e, person); err != nil {
		return err
	}
	// Where Keystone did not list the key, S3 itself is asked.
	e, _, err = k.Environment(name)
	if err != nil || KeyState(e) != StateUnverified {
		return err
	}
	return k.proveKeysLocked(ctx, e, person)
}

// withheld is the error where nobody is asked, since a person wished so.
func withheld(subject string) error {
	return fmt.Errorf("%s was given with --no-verify: %w", subject, ErrWithheld)
}

// verifyPasswordLocked sends the password in force, once a rotation that a person
// finds in doubt has said which one that is.
func (k *Keeper) verifyPasswordLocked(ctx context.Context, u vault.User, e vault.Environment, person bool) (login, error) {
	if person {
		if err := k.personActed(u, e); err != nil {
			return login{}, err
		}
	}
	if asked(u.Rotation) && person {
		if err := k.decideLocked(ctx, u); err != nil {
			return login{}, err
		}
		u = k.vault.Contents().Users[u.ID]
	}
	active, _ := u.Passwords.Active()
	base, err := k.login(ctx, try{user: u.User, password: active.Value, person: person})
	if recordErr := k.settle(u.ID, active.ID, base, err); recordErr != nil {
		return login{}, recordErr
	}
	return base, err
}

// settle records what the cloud said of a user's password in force, and what it
// told of him. Of one that was replaced meanwhile nothing is recorded.
func (k *Keeper) settle(userID, versionID string, g login, answer error) error {
	var refused *RefusedError
	switch {
	case answer == nil:
		k.accepted(userID, g)
		return k.commit("verified", func(c *vault.Contents) error {
			u := c.Users[userID]
			mended := u.Refused != nil
			v, ok := u.Passwords.Find(versionID)
			if !ok || v.State != vault.Active {
				return nil
			}
			v.Accepted, v.HandsOff, v.Checked = true, false, k.now()
			u.Passwords = u.Passwords.With(v)
			u = alone(u, v.ID)
			u.Refused, u.PasswordExpires = nil, expiryOf(g, k.now())
			c.Users[userID] = identified(u, g.Grant)
			if mended {
				touchAll(c, userID)
			}
			return nil
		})
	case errors.As(answer, &refused):
		k.forget(userID, nil)
		return k.commit("refused", func(c *vault.Contents) error {
			u := c.Users[userID]
			v, ok := u.Passwords.Find(versionID)
			if !ok || v.State != vault.Active || refused.Again && u.Refused != nil {
				return nil
			}
			v.Checked, v.HandsOff = refused.At, false
			v.Accepted = v.Accepted || refused.expired // which is the cloud's word that it is right
			u.Passwords = u.Passwords.With(v)
			if refused.expired && !refused.Again {
				u = alone(u, v.ID)
			}
			if older, ok := successorOf(c, u, v); ok {
				u.Passwords = u.Passwords.Activate(older.ID)
				if j := u.Rotation; j == nil || v.ID != j.Old && v.ID != j.New { // else it is the rotation's to judge
					u.Passwords = u.Passwords.Drop(v.ID)
				}
				u.Refused = refusalOf(attemptOf(c, u, older))
				c.Users[userID] = u
				touchAll(c, userID)
				return nil
			}
			a := attemptOf(c, u, v)
			u.Refused = &vault.Refusal{At: refused.At, Reason: refused.Reason, LockedOut: a.LockedOut, Expired: a.Expired}
			c.Users[userID] = u
			touchAll(c, userID)
			return nil
		})
	}
	return nil
}

// alone forgets what a password proves dead that the cloud has just accepted, for
// there is but one: all others, but what a rotation has still to judge.
func alone(u vault.User, id string) vault.User {
	for _, v := range u.Passwords.List {
		if j := u.Rotation; v.ID != id && v.State != vault.Active && (j == nil || v.ID != j.Old && v.ID != j.New) {
			u.Passwords = u.Passwords.Drop(v.ID)
		}
	}
	return u
}

// accepted caches a user's grant. Tokens from before a refusal may have been
// revoked with the password that was refused.
func (k *Keeper) accepted(userID string, g login) {
	c := k.vault.Contents()
	if c.Users[userID].Refused != nil {
		k.forget(userID, environmentIDs(c, userID))
	}
	if _, ok := c.Users[userID]; !ok {
		return // removed while he was asked about
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logins[userID] = g
}

// successorOf returns the version to go back to when one that the cloud never
// accepted turns out wrong: the newest that it has not refused, of those that it
// did accept if there are such; else the newest that it did accept, for that may
// have been refused because the account was disabled, and nobody else has it.
func successorOf(c *vault.Contents, u vault.User, wrong vault.Version[account.Secret]) (found vault.Version[account.Secret], ok bool) {
	if wrong.Accepted {
		return found, false
	}
	best := 0
	for _, v := range u.Passwords.List {
		rank := 0
		switch a := attemptOf(c, u, v); {
		case v.State != vault.Retiring:
		case a.Expired: // it is right
			rank = 4
		case v.Accepted && !a.Refused:
			rank = 3
		case !a.Refused:
			rank = 2
		case v.Accepted:
			rank = 1
		}
		if rank > 0 && (rank > best || rank == best && v.N > found.N) {
			found, ok, best = v, true, rank
		}
	}
	return found, ok
}

// attemptOf returns what is on record of a user's stored password.
func attemptOf(c *vault.Contents, u vault.User, v vault.Version[account.Secret]) vault.Attempt {
	return c.Attempts[fingerprint(c, try{user: u.User, password: v.Value})]
}

// identified fills in what the cloud tells of a user and keeps what is known.
func identified(u vault.User, g cloud.Grant) vault.User {
	if u.KeystoneID == "" {
		u.KeystoneID = g.UserID
	}
	if u.Name == "" {
		u.Name, u.DomainID, u.DomainName = g.UserName, g.UserDomainID, ""
	}
	return u
}

// anotherUser refuses a password that the cloud accepts, or calls expired, for
// another user of the name than the recorded one, who was deleted and made anew: he
// may own other data, and a change of his password would go by the former's id.
func (k *Keeper) anotherUser(t try, g cloud.Grant, answer error) error {
	id, told := g.UserID, (*cloud.Error)(nil)
	if errors.As(answer, &told) {
		id = told.UserID
	}
	if t.user.KeystoneID == "" || id == t.user.KeystoneID || answer != nil && id == "" {
		return nil
	}
	return &RefusedError{Subject: t.subject(), At: k.now(), Reason: "it is another user's of that name; to take him, remove the environments of the former one, and add or import them anew"}
}

// verifyProjectLocked checks project and S3 key of an environment with its
// user's fresh grant, unless that is left to a person. The caller holds the gate.
func (k *Keeper) verifyProjectLocked(ctx context.Context, userID, name string, base *login, person bool) error {
	c := k.vault.Contents()
	u, e := c.Users[userID], c.Environments[name]
	switch {
	case e.ID == "":
		return gone(name)
	case projectOf(e.Environment) == "", e.Binding.HandsOff && !person:
		return nil
	}
	e.Binding.HandsOff = false
	g, err := k.rescopeLocked(ctx, u, e, base)
	if err != nil {
		return err
	}
	return k.reconcileLocked(ctx, u, e, g, true)
}

func (k *Keeper) verifyApplicationLocked(ctx context.Context, u vault.User, e vault.Environment, person bool) error {
	active, ok := e.AppCreds.Active()
	_, hasPassword := u.Passwords.Active()
	_, hasKeys := e.Keys.Active()
	switch {
	case !ok && !hasPassword && (len(e.AppCreds.List) > 0 || !hasKeys):
		return withoutCredential(e)
	case e.ByCredential && !ok:
		return withoutCredential(e)
	case !ok || active.HandsOff && !person || active.Accepted && hasPassword && !e.ByCredential:
		return nil
	}
	g, err := k.applicationLocked(ctx, u, e, person)
	if err != nil {
		return err
	}
	return k.commit("verified", func(c *vault.Contents) error {
		active.Accepted, active.HandsOff, active.Checked = true, false, k.now()
		err := inEnvironment(c, e, func(e *vault.Environment) {
			e.AppCreds = e.AppCreds.With(active)
			*e = placed(c, *e, g, k.now())
		})
		if err != nil {
			return err
		}
		return inUser(c, e.UserID, func(u *vault.User) { *u = identified(*u, g) })
	})
}
