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
// and for nothing else: who only asks finds afterwards that it is gone.
func (k *Keeper) Remove(name string) error {
	e, u, err := k.Environment(name)
	if err != nil {
		return err
	}
	err = k.removeUnless(e, underWay)
	if errors.Is(err, errUnderWay) {
		defer k.gate(u.Key())()
		err = k.removeUnless(e, func(*vault.Contents, vault.Environment) bool { return false })
	}
	if err != nil {
		return err
	}
	k.forget(e.UserID, []string{e.ID})
	if err := k.vault.PrunePredecessors(); err != nil {
		return fmt.Errorf("%s is removed, but older copies of the store are left: %w", name, err)
	}
	return nil
}

var errUnderWay = errors.New("something is being changed at the cloud")

func (k *Keeper) removeUnless(e vault.Environment, not func(*vault.Contents, vault.Environment) bool) error {
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
