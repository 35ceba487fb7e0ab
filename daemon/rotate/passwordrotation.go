package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// ofUser is the task of a user's password.
type ofUser struct{ id, name string }

func (t ofUser) subject() string                                { return "the password of " + t.name }
func (t ofUser) journalIn(c *vault.Contents) *vault.Rotation    { return c.Users[t.id].Rotation }
func (t ofUser) note(*Keeper, vault.Rotation) (string, []Lease) { return "", nil }

// Outcomes of a password's steps.
const (
	sending   outcome = "sending"
	unsent    outcome = "unsent"
	declined  outcome = "declined"
	changed   outcome = "changed"
	unchanged outcome = "unchanged"
	again     outcome = "again"
	settled   outcome = "settled"
	healed    outcome = "healed"
)

// passwordTransitions is the state machine of a password's rotation, which knows
// no overlap; the package documentation has the same table.
var passwordTransitions = map[Step]map[outcome]Step{
	StepChange: {sending: StepFind, declined: stepOver, superseded: stepOver},
	StepFind:   {changed: StepProve, unchanged: StepLinger, declined: stepOver, unsent: StepChange, superseded: stepOver},
	StepProve:  {proved: StepFlip, unchanged: StepLinger, superseded: stepOver},
	StepFlip:   {flipped: StepHeal, superseded: stepOver},
	StepHeal:   {healed: stepOver},
	StepLinger: {refused: StepFind, again: StepChange, settled: stepOver, superseded: stepOver},
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

	answered    bool      // the change was asked for just now, and answer is the cloud's
	answer      error     // nil: it says that it is done
	askedBefore time.Time // the journal's Asked before that
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
	for range inOneGo {
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
	return after, fmt.Errorf("%s: %w", t.subject(), errCircling)
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
	to, err := r.move(at, how, edit)
	if err != nil {
		return at, err
	}
	if err := r.crash(string(at) + ": recorded"); err != nil {
		return at, err
	}
	switch how {
	case sending:
		r.askedBefore = r.rotation.Asked
		var no *RefusedError
		r.answer, err = r.change(r.ctx, r.try(r.old), r.new.Value)
		r.answered = err == nil
		if errors.As(err, &no) { // it is known to be wrong: an earlier request may have replaced it
			err = nil
		}
	case changed: // all tokens are dead
		r.forget(r.task.id, environmentIDs(r.vault.Contents(), r.task.id))
	case unsent:
		err = r.answer // it is not asked again at once
	}
	return to, err
}

// move commits a step's outcome and the next step, if the journal still says
// what the step went by.
func (r *passwordRun) move(at Step, how outcome, edit userEdit) (Step, error) {
	to, known := passwordTransitions[at][how]
	if !known {
		return at, fmt.Errorf("%s of %s ended in %q, which is no way out of it", at, r.task.subject(), how)
	}
	next := *r.rotation
	next.Step, next.Since = string(to), r.now()
	err := r.commit("rotated", func(c *vault.Contents) error {
		was := c.Users[r.task.id]
		if was.Rotation != r.rotation {
			return fmt.Errorf("%s was taken up by somebody else: %w", r.task.subject(), ErrConflict)
		}
		is := was
		is.Rotation = &next
		if edit != nil {
			edit(c, &is, &next)
		}
		if to == stepOver {
			is.Rotation = nil
		}
		c.Users[is.ID] = is
		if active(was.Passwords) != active(is.Passwords) || (was.Refused == nil) != (is.Refused == nil) {
			touchAll(c, is.ID)
		}
		return nil
	})
	if err != nil {
		return at, err
	}
	r.trace(at, how, to)
	if next.Reason != "" && (to == stepOver && how != settled || to == StepLinger) {
		r.tell(Progress{Step: StepWithdraw, Subject: r.task.subject(), State: "done", Note: next.Reason, denied: next.Denied})
	}
	return to, nil
}

func (r *passwordRun) try(v vault.Version[account.Secret]) try {
	return try{user: r.user.User, password: v.Value, person: r.person, rotation: true}
}

// sent reports whether the cloud may have heard of the change.
func (r *passwordRun) sent() bool { return !r.rotation.Asked.IsZero() }

// other returns the password that a person has put in force in place of the
// rotation's two; proved says that the cloud has accepted it, or another of his,
// since the change was asked for. Until then each of the three may be the right
// one.
func (r *passwordRun) other() (v vault.Version[account.Secret], there, proved bool) {
	theirs := func(v vault.Version[account.Secret]) bool { return v.ID != r.rotation.Old && v.ID != r.rotation.New }
	if v, there = r.user.Passwords.Active(); !there || !theirs(v) {
		return v, false, false
	}
	return v, true, slices.ContainsFunc(r.user.Passwords.List, func(v vault.Version[account.Secret]) bool {
		return theirs(v) && r.acceptedSince(v, r.rotation.Asked)
	})
}

// acceptedSince reports whether the cloud has called a password right since then.
func (r *passwordRun) acceptedSince(v vault.Version[account.Secret], then time.Time) bool {
	if a := r.attempt(r.try(v)); a.Refused {
		return a.Expired && !a.At.Before(then)
	}
	return v.Accepted && !v.Checked.Before(then)
}

func (r *passwordRun) act(at Step) (outcome, userEdit, error) {
	other, there, proved := r.other()
	serves, _ := r.user.Passwords.Active()
	switch {
	case at == StepHeal:
		return r.heal()
	case serves.ID == r.new.ID && serves.Accepted && (at == StepChange || at == StepLinger): // a person has found it out
		return superseded, dropping("the new one is in force", r.rotation.Old), nil
	case there && proved:
		return superseded, dropping("another password was put in force meanwhile", r.rotation.Old, r.rotation.New), nil
	case there && !r.sent(): // of the old one nobody knows whether it is dead
		return superseded, dropping("another password was put in force meanwhile", r.rotation.New), nil
	case there && (at == StepChange || at == StepLinger):
		return "", nil, fmt.Errorf("%s waits until the cloud has judged v%d: %w", r.task.subject(), other.N, cloud.ErrUnreachable)
	}
	switch at {
	case StepChange:
		return r.ask()
	case StepFind:
		return r.find()
	case StepProve:
		return r.prove()
	case StepFlip:
		a := r.attempt(r.try(r.new)) // it may have expired already
		return flipped, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
			u.Passwords, u.Refused = u.Passwords.Activate(j.New), refusalOf(a)
		}, nil
	case StepLinger:
		return r.linger()
	}
	return "", nil, fmt.Errorf("the journal of %s has a step %q that this ccad does not know", r.task.subject(), at)
}

// dropping forgets versions of the password, but for one in force.
func dropping(reason string, ids ...string) userEdit {
	return func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
		serves, _ := u.Passwords.Active()
		for _, id := range ids {
			if id != serves.ID {
				u.Passwords = u.Passwords.Drop(id)
			}
		}
		j.Reason = reason
	}
}

// ask records that the change is about to be asked for. The tokens of the user's
// projects are not handed out from here on: they die with it.
func (r *passwordRun) ask() (outcome, userEdit, error) {
	var no *RefusedError
	switch err := r.right(); {
	case errors.As(err, &no) && !r.sent(): // else find says why
		return declined, dropping(err.Error(), r.rotation.New), nil
	case err != nil && no == nil:
		return "", nil, err
	}
	if err := r.vault.Reserve(); err != nil { // its outcome must find room
		return "", nil, err
	}
	r.forget("", environmentIDs(r.vault.Contents(), r.task.id))
	now := r.now()
	return sending, func(_ *vault.Contents, _ *vault.User, j *vault.Rotation) { j.Asked = now }, nil
}

// prove gets a token that lives. One of the very second of the change is born
// revoked: Keystone revokes by whole seconds of its clock. Ours may have been set
// back since.
func (r *passwordRun) prove() (outcome, userEdit, error) {
	const later = 1100 * time.Millisecond
	if wait := r.rotation.Since.Add(later).Sub(r.now()); wait > 0 {
		if err := r.pause(r.ctx, min(wait, later)); err != nil {
			return "", nil, err
		}
	}
	base, right, err := r.which(r.new, r.old)
	switch {
	case err != nil:
		return "", nil, err
	case right.ID == r.old.ID: // somebody put it back, or the cloud's yes was none
		return r.stays("the cloud did not change it")
	case !base.Token.ID.Empty():
		lives, err := r.cloud.TokenLives(r.ctx, r.user.Auth, base.Token.ID)
		if err != nil {
			return "", nil, err
		}
		if !lives {
			return "", nil, fmt.Errorf("%s: its token is born revoked: %w", r.task.subject(), cloud.ErrUnreachable)
		}
		r.accepted(r.task.id, base)
	}
	return proved, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
		if v, ok := u.Passwords.Find(j.New); ok {
			v.Accepted, v.HandsOff, v.Checked = true, false, r.now()
			u.Passwords = u.Passwords.With(v)
			*u = alone(*u, v.ID)
		}
		if end := expiryOf(base, r.now()); end.Equal(u.PasswordExpires) {
			u.PasswordExpires = time.Time{} // the former one's: the next login tells
		} else {
			u.PasswordExpires = end
		}
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
// is for the checks that are owed anyway. While the new password is in force all
// others are dead; where a person has put one in its place only the old one is.
func (r *passwordRun) heal() (outcome, userEdit, error) {
	serves, _ := r.user.Passwords.Active()
	base, err := r.baseLocked(r.ctx, r.user, serves)
	if err == nil {
		r.healLocked(r.ctx, r.task.id, "", base)
	}
	return healed, func(_ *vault.Contents, u *vault.User, j *vault.Rotation) {
		serves, _ := u.Passwords.Active()
		for _, v := range u.Passwords.List {
			if v.ID != serves.ID && (v.ID == j.Old || serves.ID == j.New) {
				u.Passwords = u.Passwords.Drop(v.ID)
			}
		}
	}, nil
}
