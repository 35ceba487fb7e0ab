package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// begin journals the rotation of an environment's value before anything is
// asked of the cloud. One that is under way is taken up instead.
func (k *Keeper) begin(t ofEnvironment, grace *time.Duration) (joined bool, err error) {
	_, u, err := k.Environment(t.name)
	if err != nil {
		return false, err
	}
	defer k.gate(u.Key())()
	e, u, err := k.Environment(t.name)
	if err != nil {
		return false, err
	}
	if err := t.may(e, u); err != nil {
		return false, err
	}
	joined = *t.journal(&e) != nil
	if joined && grace == nil {
		return true, nil
	}
	return joined, k.commit("rotated", func(c *vault.Contents) error {
		e := c.Environments[t.name]
		journal := t.journal(&e)
		if *journal != nil {
			next := **journal
			next.Grace = grace
			*journal = &next
		} else {
			intended, former := t.intend(&e, k.now())
			*journal = &vault.Rotation{
				Step: string(StepCreate), New: intended, Old: former, Begun: k.now(), Since: k.now(), Grace: grace,
			}
		}
		c.Environments[t.name] = e
		return nil
	})
}

// RotatePassword gives a user a new password and puts it in force in all his
// environments at once. ctx ends only the following.
func (k *Keeper) RotatePassword(ctx context.Context, userID string, tell func(Progress)) error {
	u, ok := k.vault.Contents().Users[userID]
	if !ok {
		return fmt.Errorf("user: %w", ErrUnknown)
	}
	t := ofUser{userID, u.User.String()}
	return k.follow(ctx, t, Wish{}, tell, func() (joined bool, err error) { return k.beginPassword(ctx, t) })
}

// beginPassword journals old and new before anything is asked. A rotation under
// way goes on, now with a person behind it.
func (k *Keeper) beginPassword(ctx context.Context, t ofUser) (joined bool, err error) {
	u := k.vault.Contents().Users[t.id]
	defer k.gate(u.Key())()
	if u = k.vault.Contents().Users[t.id]; u.Rotation != nil {
		_, err := t.stepLocked(context.WithoutCancel(ctx), k, true)
		return true, err
	}
	active, ok := u.Passwords.Active()
	expired := k.vault.Contents().Attempts[fingerprint(k.vault.Contents(), try{user: u.User, password: active.Value})].Expired
	switch {
	case !ok:
		return false, fmt.Errorf("no password of %s is stored: %w", t.name, ErrAbsent)
	case u.IdentityAPI == "2.0":
		return false, fmt.Errorf("identity API 2.0 changes no password: use the portal: %w", cloud.ErrNotOffered)
	case u.Refused != nil && !expired:
		return false, standing(u)
	case u.KeystoneID == "" || !active.Accepted && !expired:
		base, err := k.login(ctx, try{user: u.User, password: active.Value, person: true})
		if recordErr := k.settle(t.id, active.ID, base, err); recordErr != nil {
			return false, recordErr
		}
		if again := k.vault.Contents().Users[t.id]; err != nil && again.KeystoneID == "" {
			return false, err
		}
	}
	return false, k.commit("rotated", func(c *vault.Contents) error {
		u := c.Users[t.id]
		passwords, v := u.Passwords.Stage(cloud.NewPassword(), "rotation", k.now())
		u.Passwords = passwords
		u.Rotation = &vault.Rotation{Step: string(StepChange), New: v.ID, Old: active.ID, Begun: k.now(), Since: k.now()}
		c.Users[t.id] = u
		return nil
	})
}
