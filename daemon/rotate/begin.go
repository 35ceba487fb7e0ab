package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// begin journals the rotation of an environment's value before any change is
// asked of the cloud. One that is under way is taken up instead, unless it gives
// way. Where the cloud lets nobody do it, nothing is begun: ErrPortal.
func (k *Keeper) begin(ctx context.Context, t ofEnvironment, grace *time.Duration) (joined bool, err error) {
	e, u, err := k.Environment(t.name)
	if err != nil {
		return false, err
	}
	defer k.gate(gateOf(e, u))()
	e, u, err = k.Environment(t.name)
	if err != nil {
		return false, err
	}
	if err := t.may(e, u); err != nil {
		return false, err
	}
	joined = !t.free(e)
	if joined && grace == nil {
		return true, nil
	}
	r, looked := &run{Keeper: k, ctx: ctx, user: u, env: e}, false
	if !joined {
		if looked, err = k.offered(r, t); err != nil {
			return false, err
		}
	}
	if err := k.vault.Reserve(); err != nil {
		return joined, err
	}
	return joined, k.commit("rotated", func(c *vault.Contents) error {
		e, ok := c.Environments[t.name]
		if !ok || e.ID != r.env.ID {
			return gone(t.name)
		}
		journal := t.journal(&e)
		if joined {
			next := **journal
			next.Grace, next.Left = grace, slices.Clone(next.Left)
			for i := range next.Left {
				next.Left[i].Grace = grace
			}
			*journal = &next
		} else {
			left := t.left(r, looked, grace, c, &e)
			intended, former := t.intend(&e, k.now())
			*journal = &vault.Rotation{
				Step: string(StepCreate), New: intended, Old: former, Begun: k.now(), Since: k.now(), Grace: grace, Left: left,
			}
		}
		c.Environments[t.name] = e
		return nil
	})
}

// offered finds out whether the cloud lets the value be rotated at all, before
// anything is journalled. A cloud that does not answer, and was not looked at, is
// waited for later.
func (k *Keeper) offered(r *run, t ofEnvironment) (looked bool, err error) {
	err = t.look(r)
	var no *RefusedError
	switch {
	case errors.Is(err, cloud.ErrNotOffered) && t.engine == engines[KindAppCred]: // nor does a portal
		return false, fmt.Errorf("%s: %w", t.subject(), err)
	case cloud.Denied(err):
		return false, fmt.Errorf("%s: %w: %w", t.subject(), err, ErrPortal)
	case errors.As(err, &no):
		return false, err
	}
	return err == nil, nil
}

// RotatePassword gives a user a new password and puts it in force in all his
// environments at once. ctx ends only the following.
func (k *Keeper) RotatePassword(ctx context.Context, userID string, tell func(Progress)) error {
	u, ok := k.vault.Contents().Users[userID]
	if !ok {
		return fmt.Errorf("user: %w", ErrUnknown)
	}
	t := ofUser{userID, u.User.String()}
	return k.follow(ctx, t, Wish{}, tell, func() (joined bool, err error) { return k.beginPassword(ctx, t, true) })
}

// beginPassword journals old and new before anything is asked. A rotation under
// way goes on, now with a person behind it, and if that brings it to nothing
// another begins; one that lingers is asked for once
// more, for the same new password, so that there are never more than two. person
// says that one is waiting for it.
func (k *Keeper) beginPassword(ctx context.Context, t ofUser, person bool) (joined bool, err error) {
	served, _ := k.vault.Contents().Users[t.id].Passwords.Active()
	defer k.gate(k.vault.Contents().Users[t.id].Key())()
	if person {
		if err := k.personAsked(t.id); err != nil {
			return false, err
		}
	}
	u := k.vault.Contents().Users[t.id]
	if j := u.Rotation; UnderWay(j) {
		if !person {
			return true, nil
		}
		if err := k.decideLocked(ctx, u); err != nil {
			return true, err
		}
		u = k.vault.Contents().Users[t.id]
		if now, _ := u.Passwords.Active(); UnderWay(u.Rotation) || now.ID == j.New {
			return true, nil
		}
	}
	active, ok := u.Passwords.Active()
	if ok && active.ID != served.ID && active.Source == "rotation" {
		return true, nil // it was replaced while this command waited for its turn
	}
	if err := mayChange(u); err != nil {
		return false, err
	}
	if err := k.rightLocked(ctx, u, active, person); err != nil {
		return false, err
	}
	return false, k.journalPassword(t, active.ID)
}

// PlanPassword says why RotatePassword would change nothing, as far as that can
// be told without asking the cloud.
func (k *Keeper) PlanPassword(userID string) error {
	u, ok := k.vault.Contents().Users[userID]
	if !ok {
		return fmt.Errorf("user: %w", ErrUnknown)
	}
	if err := mayChange(u); err != nil {
		return err
	}
	if active, _ := u.Passwords.Active(); u.Refused != nil && !k.attempt(try{user: u.User, password: active.Value}).Expired {
		return standing(u)
	}
	return nil
}

func mayChange(u vault.User) error {
	active, ok := u.Passwords.Active()
	switch {
	case !ok:
		return fmt.Errorf("no password of %s is stored: %w", u.User, ErrPortal)
	case u.IdentityAPI == "2.0":
		return fmt.Errorf("identity API 2.0 changes no password: %w", ErrPortal)
	case active.HandsOff:
		return handsOff(u)
	}
	return nil
}

// journalPassword begins the rotation of the password in force. What lingers of one
// before it is taken up again, if it was of the same password; else it is over, for
// its old one is dead.
func (k *Keeper) journalPassword(t ofUser, old string) error {
	var before *vault.Rotation
	err := k.commit("rotated", func(c *vault.Contents) error {
		u := c.Users[t.id]
		j := &vault.Rotation{Step: string(StepChange), Old: old, Begun: k.now(), Since: k.now()}
		if before = u.Rotation; before != nil && before.Old == old {
			j.New, j.Asked = before.New, before.Asked
		} else {
			if before != nil {
				ended := *before
				dropping("", slices.DeleteFunc([]string{ended.Old, ended.New}, func(id string) bool { return id == old })...)(c, &u, &ended)
			}
			passwords, v := u.Passwords.Stage(cloud.NewPassword(), "rotation", k.now())
			u.Passwords, j.New = passwords, v.ID
		}
		u.Rotation = j
		c.Users[t.id] = u
		return nil
	})
	if err == nil && before != nil && before.Old == old {
		k.trace(StepLinger, again, StepChange)
	}
	return err
}
