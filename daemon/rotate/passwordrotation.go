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

// ofUser is the task of a user's password.
type ofUser struct{ id, name string }

func (t ofUser) subject() string                             { return "the password of " + t.name }
func (t ofUser) journalIn(c *vault.Contents) *vault.Rotation { return c.Users[t.id].Rotation }
func (t ofUser) note(*Keeper, vault.Rotation) string         { return "" }

// Outcomes of a password's steps.
const (
	sending   outcome = "sending"
	unsent    outcome = "unsent"
	changed   outcome = "changed"
	unchanged outcome = "unchanged"
	elsewhere outcome = "elsewhere"
	healed    outcome = "healed"
)

// passwordTransitions is the state machine of a password's rotation, which knows
// no overlap; the package documentation has the same table.
var passwordTransitions = map[Step]map[outcome]Step{
	StepChange: {sending: StepFind, superseded: stepOver},
	StepFind:   {changed: StepProve, unchanged: stepOver, unsent: StepChange, superseded: stepOver},
	StepProve:  {proved: StepFlip, elsewhere: stepOver, superseded: stepOver},
	StepFlip:   {flipped: StepHeal, superseded: stepOver},
	StepHeal:   {healed: stepOver},
}

// A userEdit is an edit of a user's rotation.
type userEdit func(*vault.Contents, *vault.User, *vault.Rotation)

// A passwordRun is a password's rotation as it is just now, under the gate.
type passwordRun struct {
	*Keeper
	ctx      context.Context
	task     ofUser
	user     vault.User
	rotation *vault.Rotation
	old, new vault.Version[account.Secret]
	person   bool
	asked    bool // the change was asked for just now, and this is its answer
	answer   error
}

// step goes from the change to the end under one hold of the gate: nobody may
// send the old password in between.
func (t ofUser) step(ctx context.Context, k *Keeper) (after Step, err error) {
	u, ok := k.vault.Contents().Users[t.id]
	if !ok {
		return stepOver, nil
	}
	defer k.gate(u.Key())()
	return t.stepLocked(ctx, k, false)
}

func (t ofUser) stepLocked(ctx context.Context, k *Keeper, person bool) (after Step, err error) {
	r := &passwordRun{Keeper: k, ctx: ctx, task: t, person: person}
	for {
		r.user = k.vault.Contents().Users[t.id]
		if r.rotation = r.user.Rotation; r.rotation == nil {
			return stepOver, nil
		}
		r.old, _ = r.user.Passwords.Find(r.rotation.Old)
		r.new, _ = r.user.Passwords.Find(r.rotation.New)
		p := Progress{Step: Step(r.rotation.Step), Subject: t.subject()}
		after, err = k.telling(p, r.advance)
		if err != nil || after == stepOver {
			return after, err
		}
	}
}

// advance makes one step and records it.
func (r *passwordRun) advance() (Step, error) {
	at := Step(r.rotation.Step)
	if err := r.crash(string(at) + ": begun"); err != nil {
		return at, err
	}
	how, edit, err := r.act(at)
	if err != nil {
		return at, err
	}
	if err := r.crash(string(at) + ": asked"); err != nil {
		return at, err
	}
	to, known := passwordTransitions[at][how]
	if !known {
		return at, fmt.Errorf("%s of %s ended in %q, which is no way out of it", at, r.task.subject(), how)
	}
	err = r.commit("rotated", func(c *vault.Contents) error {
		u := c.Users[r.task.id]
		if u.Rotation != r.rotation {
			return fmt.Errorf("%s was taken up by somebody else: %w", r.task.subject(), ErrConflict)
		}
		next := *r.rotation
		next.Step, next.Since = string(to), r.now()
		u.Rotation = &next
		if edit != nil {
			edit(c, &u, &next)
		}
		if to == stepOver {
			u.Rotation = nil
		}
		c.Users[u.ID] = u
		if to == StepHeal || how == elsewhere {
			touchAll(c, u.ID)
		}
		return nil
	})
	if err != nil {
		return at, err
	}
	r.trace(at, how, to)
	if err := r.crash(string(at) + ": recorded"); err != nil {
		return at, err
	}
	if how == sending {
		r.asked, r.answer = true, r.change(r.ctx, r.try(r.old), r.new.Value)
		return to, r.crash("change: answered")
	}
	return to, nil
}

func (r *passwordRun) try(v vault.Version[account.Secret]) try {
	return try{user: r.user.User, password: v.Value, person: r.person, rotation: true}
}

func dropNew(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
	u.Passwords = u.Passwords.Drop(j.New)
}

func (r *passwordRun) act(at Step) (outcome, userEdit, error) {
	active, _ := r.user.Passwords.Active()
	if at != StepHeal && active.ID != r.rotation.Old { // a person has put another in force
		return superseded, dropNew, nil
	}
	switch at {
	case StepChange:
		return sending, nil, nil
	case StepFind:
		return r.find()
	case StepProve:
		return r.prove()
	case StepFlip:
		return flipped, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
			u.Passwords, u.Refused = u.Passwords.Activate(j.New), nil
		}, nil
	case StepHeal:
		return r.heal()
	}
	return "", nil, fmt.Errorf("the journal of %s has a step %q that this ccad does not know", r.task.subject(), at)
}

// find tells which password is in force. With the answer at hand that says it;
// without, the new one is tried once, then the old one once, and never again.
func (r *passwordRun) find() (outcome, userEdit, error) {
	if r.asked {
		err := r.answer
		r.asked, r.answer = false, nil
		switch {
		case err == nil:
			return changed, nil, nil
		case errors.Is(err, cloud.ErrUnreachable) && cloud.MayHaveJudged(err):
			return r.tryBoth()
		case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
			return unsent, nil, nil
		}
		return r.withdrawn(err.Error())
	}
	return r.tryBoth()
}

func (r *passwordRun) withdrawn(reason string) (outcome, userEdit, error) {
	r.tell(Progress{Step: StepWithdraw, Subject: r.task.subject(), State: "done", Note: reason})
	return unchanged, dropNew, nil
}

func (r *passwordRun) tryBoth() (outcome, userEdit, error) {
	_, err := r.login(r.ctx, r.try(r.new))
	var no *RefusedError
	if err == nil || !errors.As(err, &no) {
		return changed, nil, err
	}
	_, err = r.login(r.ctx, r.try(r.old))
	expired := r.vault.Contents().Attempts[fingerprint(r.vault.Contents(), r.try(r.old))].Expired
	switch {
	case err == nil || expired:
		how, drop, err := r.withdrawn("the cloud did not change it")
		return how, func(c *vault.Contents, u *vault.User, j *vault.Rotation) {
			drop(c, u, j)
			if !expired {
				u.Refused = nil
			}
		}, err
	case errors.As(err, &no):
		return "", nil, r.neither()
	}
	return "", nil, err
}

// neither keeps both passwords, of which one must be right unless somebody else
// has changed it, and has nobody send any until a person says so.
func (r *passwordRun) neither() error {
	if err := r.suspectLockout(r.try(r.new), r.try(r.old)); err != nil {
		return err
	}
	no := &RefusedError{Subject: r.task.subject(), At: r.now(), Reason: "neither the old nor the new one is accepted: the account is locked out, disabled, or was changed elsewhere; both are kept"}
	if r.user.Refused != nil {
		return no
	}
	err := r.commit("refused", func(c *vault.Contents) error {
		u := c.Users[r.task.id]
		u.Refused = &vault.Refusal{At: no.At, Reason: no.Reason, LockedOut: true}
		c.Users[u.ID] = u
		touchAll(c, u.ID)
		return nil
	})
	if err != nil {
		return err
	}
	return no
}

// prove gets a token that lives. One of the very second of the change is born
// revoked: Keystone revokes by whole seconds of its clock.
func (r *passwordRun) prove() (outcome, userEdit, error) {
	if wait := r.rotation.Since.Add(1100 * time.Millisecond).Sub(r.now()); wait > 0 {
		if err := r.pause(r.ctx, wait); err != nil {
			return "", nil, err
		}
	}
	base, err := r.login(r.ctx, r.try(r.new))
	var no *RefusedError
	switch {
	case errors.As(err, &no):
		return elsewhere, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
			u.Passwords = u.Passwords.Activate(j.New)
			u.Refused = &vault.Refusal{At: r.now(), Reason: "it was changed, and then once more by somebody else"}
		}, nil
	case err != nil:
		return "", nil, err
	}
	lives, err := r.cloud.TokenLives(r.ctx, r.user.Auth, base.Token.ID)
	if err != nil {
		return "", nil, err
	}
	if !lives {
		return "", nil, fmt.Errorf("%s: its token is born revoked: %w", r.task.subject(), cloud.ErrUnreachable)
	}
	var ids []string
	for _, e := range r.vault.Contents().EnvironmentsOf(r.task.id) {
		ids = append(ids, e.ID)
	}
	r.forget(r.task.id, ids)
	r.accepted(r.task.id, base)
	return proved, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
		if v, ok := u.Passwords.Find(j.New); ok {
			v.Accepted, v.Checked = true, r.now()
			u.Passwords = u.Passwords.With(v)
		}
		u.PasswordExpires = expiryOf(base, r.now())
		*u = identified(*u, base.Grant)
	}, nil
}

// expiryOf is when an accepted password expires. After a change Keystone tells
// the former one's end for a while: one that is over can't be this one's.
func expiryOf(g login, now time.Time) time.Time {
	if g.PasswordExpires.After(now) {
		return g.PasswordExpires
	}
	return time.Time{}
}

// heal brings the S3 keys of the user's environments in line. What can't be now
// is for the checks that are owed anyway.
func (r *passwordRun) heal() (outcome, userEdit, error) {
	active, _ := r.user.Passwords.Active()
	base, err := r.baseLocked(r.ctx, r.user, active)
	if err == nil {
		r.healLocked(r.ctx, r.task.id, "", base)
	}
	return healed, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
		if old, ok := u.Passwords.Find(j.Old); ok && old.State == vault.Retiring {
			u.Passwords = u.Passwords.Drop(j.Old)
		}
	}, nil
}
