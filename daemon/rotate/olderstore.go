package rotate

import "github.com/cloud-ca/ccad/daemon/vault"

// Doubt has the cloud asked once more about all that is in force: the store is older
// than one seen before, and what has been replaced since it does not know. What only
// a person may send stays so.
func (k *Keeper) Doubt() error {
	return k.vault.Change(func(c *vault.Contents) error {
		for id, u := range c.Users {
			u.Passwords = doubted(u.Passwords)
			c.Users[id] = u
			oweKeys(c, id) // Keystone has told of them once, and so whose they are
		}
		for name, e := range c.Environments {
			e.AppCreds = doubted(e.AppCreds)
			if _, password := c.Users[e.UserID].Passwords.Active(); !password {
				e.Keys = doubted(e.Keys)
			}
			c.Environments[name] = e
		}
		return nil
	})
}

// doubted is without the cloud's word on what is in force.
func doubted[T vault.Value](vs vault.Versions[T]) vault.Versions[T] {
	v, ok := vs.Active()
	if !ok {
		return vs
	}
	v.Accepted = false
	return vs.With(v)
}
