package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// This file tells which of two passwords is in force after a change whose answer
// is not known. The old one can only go from right to wrong, and the new one from
// wrong to right: the request may arrive after everybody has stopped waiting for
// it. So a refusal of the old one is final, one of the new one is only after it,
// and the new one is tried first (prove) only where something says that it is
// right.

// lingers is how long a request may still arrive that nobody answered.
const lingers = 24 * time.Hour

// find tells which password is in force: by the answer, if that says it, else by
// asking.
func (r *passwordRun) find() (outcome, userEdit, error) {
	answer, answered := r.answer, r.answered
	r.answered = false
	serves, _ := r.user.Passwords.Active()
	switch {
	case answered && answer == nil:
		return r.changed(true)
	case serves.ID == r.new.ID:
		return r.changed(false)
	case answered && cloud.Unheard(answer):
		before := r.askedBefore
		return unsent, func(_ *vault.Contents, _ *vault.User, j *vault.Rotation) {
			if !errors.Is(answer, cloud.ErrLimited) { // it never left
				j.Asked = before
			}
		}, nil
	case answered && cloud.Declined(answer) && !r.askedBefore.IsZero(): // an earlier request may still arrive
		return r.stays(answer.Error())
	case answered && cloud.Declined(answer):
		drop := dropping(answer.Error(), r.rotation.New)
		return declined, func(c *vault.Contents, u *vault.User, j *vault.Rotation) {
			drop(c, u, j)
			j.Denied = cloud.Denied(answer)
		}, nil
	}
	switch lives, known, err := r.tokenTells(r.ctx, r.try(r.old)); {
	case err != nil:
		return "", nil, err
	case known && lives:
		return r.stays("the cloud did not change it")
	case known: // as a change does to it
		return r.changed(false)
	}
	base, right, err := r.which(r.old, r.new)
	switch {
	case err != nil:
		return "", nil, err
	case right.ID == r.new.ID:
		return r.changed(false)
	case !base.Token.ID.Empty():
		r.accepted(r.task.id, base)
	}
	return r.stays("the cloud did not change it")
}

// changed is find's outcome where all says that the new one is in force. sure is
// the cloud's own yes: then it may be tried, though it was wrong before.
func (r *passwordRun) changed(sure bool) (outcome, userEdit, error) {
	mark := fingerprint(r.vault.Contents(), r.try(r.new))
	return changed, func(c *vault.Contents, _ *vault.User, _ *vault.Rotation) {
		if sure {
			delete(c.Attempts, mark)
		}
	}, nil
}

// which tries each of two passwords once, the likelier one first, and says which
// is right; with an expired one there is no login. Where none is, both are kept,
// and nobody sends any until a person says so.
func (r *passwordRun) which(first, second vault.Version[account.Secret]) (login, vault.Version[account.Secret], error) {
	for _, v := range []vault.Version[account.Secret]{first, second} {
		base, err := r.login(r.ctx, r.try(v))
		no, right := expired(err)
		switch {
		case err == nil, right:
			return base, v, nil
		case !errors.As(err, &no):
			return login{}, v, err
		}
	}
	return login{}, first, r.neither()
}

// stays ends the rotation where the old password is in force, expired though it
// may be, or locked out if it was refused: the new one is kept for as long as the
// request may still arrive.
func (r *passwordRun) stays(reason string) (outcome, userEdit, error) {
	mark := fingerprint(r.vault.Contents(), r.try(r.old))
	return unchanged, func(c *vault.Contents, u *vault.User, j *vault.Rotation) {
		a, known := c.Attempts[mark]
		if known && a.Refused {
			a.LockedOut = !a.Expired
			c.Attempts[mark] = a
			reason = reasonOf(a)
		}
		serves, _ := u.Passwords.Active()
		u.Passwords = u.Passwords.Activate(j.Old)
		if serves.ID != j.Old && serves.ID != j.New { // a person's, and wrong: there is but one password
			u.Passwords = u.Passwords.Drop(serves.ID)
		}
		u.Refused, j.Reason = refusalOf(a), reason
	}, nil
}

// refusalOf is what is on record of a value, for its user.
func refusalOf(a vault.Attempt) *vault.Refusal {
	if !a.Refused {
		return nil
	}
	return &vault.Refusal{At: a.At, Reason: reasonOf(a), LockedOut: a.LockedOut, Expired: a.Expired}
}

// neither keeps both passwords, of which one must be right unless somebody else
// has changed it.
func (r *passwordRun) neither() error {
	no := &RefusedError{Subject: r.task.subject(), At: r.now(), Reason: "neither the old nor the new one is accepted: the account is locked out or disabled, or somebody else has changed it; both are kept"}
	if _, there, _ := r.other(); there || r.user.Refused != nil {
		return no
	}
	err := r.commit("refused", func(c *vault.Contents) error {
		u := c.Users[r.task.id]
		u.Refused = &vault.Refusal{At: no.At, Reason: no.Reason}
		c.Users[u.ID] = u
		touchAll(c, u.ID)
		return nil
	})
	if err != nil {
		return err
	}
	return no
}

// linger waits until the request for the change can't arrive any more, and then
// makes sure that it never did. If the old password is refused before that, it
// has.
func (r *passwordRun) linger() (outcome, userEdit, error) {
	a := r.attempt(r.try(r.old))
	switch {
	case a.Refused && !a.LockedOut && !a.Expired:
		return refused, arrived, nil
	case r.now().Before(r.rotation.Asked.Add(lingers)):
		return "", nil, waitError{r.rotation.Asked.Add(lingers)}
	}
	base, err := r.login(r.ctx, r.try(r.old))
	var no *RefusedError
	a = r.attempt(r.try(r.old))
	switch {
	case err == nil:
		r.accepted(r.task.id, base)
	case a.Expired:
	case errors.As(err, &no) && !a.LockedOut:
		return refused, arrived, nil
	default:
		return "", nil, err
	}
	return settled, dropping(r.rotation.Reason, r.rotation.New), nil
}

// arrived forgets why the change was thought not to be made.
func arrived(_ *vault.Contents, _ *vault.User, j *vault.Rotation) { j.Reason = "" }

// tokenTells asks a token that this very password gave, which costs no login: a
// change of password kills it at once. known is false where there is none.
func (k *Keeper) tokenTells(ctx context.Context, t try) (lives, known bool, err error) {
	k.mu.Lock()
	base := k.logins[t.user.ID]
	k.mu.Unlock()
	if base.password != t.password || !k.now().Before(base.Token.Expires) {
		return false, false, nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	lives, err = k.cloud.TokenLives(ctx, t.user.Auth, base.Token.ID)
	return lives, true, err
}

// attempt returns what is on record of a value.
func (k *Keeper) attempt(t try) vault.Attempt {
	c := k.vault.Contents()
	return c.Attempts[fingerprint(c, t)]
}

// ErrInDoubt: a password is being changed, and the cloud has not said yet which
// one is in force.
var ErrInDoubt = errors.New("it is being changed, and the cloud has not said yet which one is in force")

// asked reports whether the change of a password was asked for and is not over.
func asked(j *vault.Rotation) bool {
	return j != nil && (Step(j.Step) == StepFind || Step(j.Step) == StepProve || Step(j.Step) == StepFlip)
}

// inDoubt reports whether either password of a user's rotation may be in force:
// not any more when both were refused.
func inDoubt(c *vault.Contents, u vault.User) bool {
	if !asked(u.Rotation) {
		return false
	}
	for _, id := range []string{u.Rotation.Old, u.Rotation.New} {
		v, _ := u.Passwords.Find(id)
		if !attemptOf(c, u, v).Refused {
			return true
		}
	}
	return false
}

// decideLocked has a rotation of the user's password go on with a person behind
// it. Where neither of its two is right, what he has put in force in their place
// is tried, and ends it. The caller holds the user's gate.
func (k *Keeper) decideLocked(ctx context.Context, u vault.User) error {
	if !UnderWay(u.Rotation) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	t := ofUser{u.ID, u.User.String()}
	_, err := t.stepLocked(ctx, k, true)
	var no *RefusedError
	var wait waitError
	u = k.vault.Contents().Users[u.ID]
	if active, _ := u.Passwords.Active(); errors.As(err, &no) && u.Rotation != nil && active.ID != u.Rotation.Old && active.ID != u.Rotation.New {
		if err := k.rightLocked(ctx, u, active, true); err != nil {
			return err
		}
		_, err = t.stepLocked(ctx, k, true)
	}
	if errors.As(err, &wait) {
		return nil
	}
	return err
}

// mayForget says why a user can't be forgotten with the last of his environments:
// his password may be one that nobody else knows.
func (k *Keeper) mayForget(c *vault.Contents, userID string) error {
	u := c.Users[userID]
	if j := u.Rotation; j == nil || j.Asked.IsZero() || len(c.EnvironmentsOf(userID)) > 1 || k.now().After(j.Asked.Add(lingers)) {
		return nil
	}
	return fmt.Errorf("the password of %s was about to be changed at %s, and the new one may still come into force, which only ccad knows: %w",
		u.User, stamp(u.Rotation.Asked), ErrConflict)
}

// certainWithin is how long a client waits for a change to be over.
const certainWithin = 5 * time.Second

// Certain waits for a change of a user's password to be over, and returns
// ErrInDoubt where it takes longer than a few seconds: what is served meanwhile
// may be dead, and each of its uses a failed login. What a person gave in its
// place is served as ever.
func (k *Keeper) Certain(ctx context.Context, userID string) error {
	over := k.after(certainWithin)
	for {
		turned := k.turned()
		c := k.vault.Contents()
		u := c.Users[userID]
		if active, _ := u.Passwords.Active(); !inDoubt(c, u) || active.ID != u.Rotation.Old {
			return nil
		}
		select {
		case <-turned:
		case <-over:
			return fmt.Errorf("the password of %s: %w", u.User, ErrInDoubt)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// UnderWay reports whether a rotation is more than a record that is kept for a
// while after its end.
func UnderWay(j *vault.Rotation) bool { return j != nil && Step(j.Step) != StepLinger }

// environmentIDs are those of a user's environments.
func environmentIDs(c *vault.Contents, userID string) (ids []string) {
	for _, e := range c.EnvironmentsOf(userID) {
		ids = append(ids, e.ID)
	}
	return ids
}
