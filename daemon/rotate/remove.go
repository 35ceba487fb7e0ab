package rotate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// Remove forgets an environment, and its user with the last of them. What it
// had at the cloud stays there. The store's predecessors go too.
//
// It waits for what is being changed at the cloud, which stands in the journal,
// and for nothing else: who only asks finds afterwards that it is gone. Where ccad
// made the user's password, and would forget it, a person must have said yes.
func (k *Keeper) Remove(name string, yes bool) error {
	e, u, err := k.Environment(name)
	if err != nil {
		return err
	}
	err = k.removeUnless(e, yes, underWay)
	if errors.Is(err, errUnderWay) {
		defer k.gate(gateOf(e, u))()
		err = k.removeUnless(e, yes, func(*vault.Contents, vault.Environment) bool { return false })
	}
	if err != nil {
		return err
	}
	k.forget(e.UserID, []string{e.ID})
	k.rememberHeld(e)
	if err := k.vault.PrunePredecessors(); err != nil {
		return fmt.Errorf("%s is removed, but older copies of the store are left: %w", name, err)
	}
	return nil
}

// rememberHeld keeps, for as long as this daemon has a ledger, what was held of an
// environment that is gone: added anew, its key is still the one that they hold.
func (k *Keeper) rememberHeld(e vault.Environment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range e.Keys.List {
		one, _ := (s3Keys{}).version(e, v.ID)
		k.removed[one.name] = append(k.removed[one.name], one)
	}
	for _, v := range e.AppCreds.List {
		if one, _ := (appCreds{}).version(e, v.ID); one.name != "" { // a file need not name it
			k.removed[one.name] = append(k.removed[one.name], one)
		}
	}
}

// heldAs are the versions as which one may be held: its copies, and those of
// environments that were removed.
func (k *Keeper) heldAs(what engine, e vault.Environment, v version) []version {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := what.copies(k.vault.Contents(), e, v.id)
	if v.name == "" {
		return all
	}
	return append(all, k.removed[v.name]...)
}

// KeysLeft are the access keys that stay at the cloud when an environment is
// removed: what is in force, a rotation's, which goes no further, and of the former
// ones those that Keystone still listed. perhaps were asked for without an answer.
func KeysLeft(e vault.Environment) (left, perhaps []string) {
	for _, v := range e.Keys.List {
		id := v.Value.AccessKeyID
		rotates := e.KeyRotation != nil && (e.KeyRotation.Old == v.ID || e.KeyRotation.New == v.ID)
		switch {
		case v.State == vault.Pending && !slices.Contains(e.KeysListed, id):
			perhaps = append(perhaps, id)
		case v.State == vault.Active, rotates, slices.Contains(e.KeysListed, id):
			left = append(left, id)
		}
	}
	return left, perhaps
}

// ErrOnlyCopy: a password would be lost for good.
var ErrOnlyCopy = errors.New("was made by ccad and is nowhere else")

// OnlyCopy reports whether an environment is the last of a user whose password ccad
// made.
func OnlyCopy(c *vault.Contents, e vault.Environment) bool {
	v, ok := c.Users[e.UserID].Passwords.Active()
	return ok && v.Source == "rotation" && len(c.NamesOf(e.UserID)) == 1
}

var errUnderWay = errors.New("something is being changed at the cloud")

func (k *Keeper) removeUnless(e vault.Environment, yes bool, not func(*vault.Contents, vault.Environment) bool) error {
	return k.commit("removed", func(c *vault.Contents) error {
		now := c.Environments[e.Name]
		if now.ID != e.ID {
			return gone(e.Name)
		}
		if not(c, now) {
			return errUnderWay
		}
		if err := k.mayForget(c, e.UserID); err != nil {
			return fmt.Errorf("remove %s: %w", e.Name, err)
		}
		if !yes && OnlyCopy(c, now) {
			return fmt.Errorf("the password of %s %w", c.Users[e.UserID].User, ErrOnlyCopy)
		}
		delete(c.Environments, e.Name)
		if e.UserID != "" && len(c.NamesOf(e.UserID)) == 0 {
			delete(c.Users, e.UserID)
		}
		return nil
	})
}

// underWay reports whether the journal has a change at the cloud for an
// environment or its user.
func underWay(c *vault.Contents, e vault.Environment) bool {
	return e.KeyRotation != nil || e.CredRotation != nil || c.Users[e.UserID].Rotation != nil ||
		pending(e.Keys) || pending(e.AppCreds) || pending(c.Users[e.UserID].Passwords)
}

func pending[T vault.Value](vs vault.Versions[T]) bool {
	return slices.ContainsFunc(vs.List, func(v vault.Version[T]) bool { return v.State == vault.Pending })
}
