package rotate

import (
	"maps"
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// Restore brings the users and environments of a backup that are not there, as
// unverified values. What is stored already stays as it is: a backup is older.
func (k *Keeper) Restore(old *vault.Contents, handsOff bool) ([]Outcome, error) {
	var outcomes []Outcome
	err := k.commit("adopted", func(c *vault.Contents) error {
		outcomes = nil
		for _, name := range slices.Sorted(maps.Keys(old.Environments)) {
			e := old.Environments[name]
			if _, there := c.Environments[name]; there {
				outcomes = append(outcomes, Outcome{Environment: name, Notes: []string{"is there already and stays as it is"}})
				continue
			}
			if u, ok := old.Users[e.UserID]; ok {
				e.UserID = adoptUser(c, u, handsOff)
			}
			if twin, ok := twinOf(c, e); ok {
				outcomes = append(outcomes, Outcome{Environment: name, Notes: []string{"its user and project are environment " + twin + ", which stays as it is"}})
				continue
			}
			e.ID = account.NewID() // gateway keys of what had the old one stay void
			e.Keys, e.AppCreds = cautious(e.Keys, handsOff), cautious(e.AppCreds, handsOff)
			e.Binding.HandsOff = handsOff
			c.Environments[name] = e
			touch(c, name)
			outcomes = append(outcomes, Outcome{Environment: name, Added: true})
		}
		return nil
	})
	return outcomes, err
}

// twinOf returns the stored environment of the same user and project: there is one
// for each.
func twinOf(c *vault.Contents, e vault.Environment) (name string, ok bool) {
	if e.UserID == "" || projectOf(e.Environment) == "" {
		return "", false
	}
	for _, stored := range c.EnvironmentsOf(e.UserID) {
		if stored.SameProject(e.Environment) {
			return stored.Name, true
		}
	}
	return "", false
}

// adoptUser returns the id of the stored user that is the same, or stores this
// one.
func adoptUser(c *vault.Contents, u vault.User, handsOff bool) string {
	for id, stored := range c.Users {
		if stored.Same(u.User) {
			return id
		}
	}
	if _, taken := c.Users[u.ID]; taken {
		u.ID = account.NewID()
	}
	u.Passwords = cautious(u.Passwords, handsOff)
	c.Users[u.ID] = judgedBefore(c, u)
	return u.ID
}

// judgedBefore marks a user whose active password is on record as refused.
func judgedBefore(c *vault.Contents, u vault.User) vault.User {
	active, ok := u.Passwords.Active()
	if !ok || u.Refused != nil {
		return u
	}
	if a := c.Attempts[fingerprint(c, try{user: u.User, password: active.Value})]; a.Refused {
		u.Refused = refusalOf(a)
	}
	return u
}

// cautious marks every version so that only a person's verify sends it.
func cautious[T vault.Value](vs vault.Versions[T], handsOff bool) vault.Versions[T] {
	if !handsOff {
		return vs
	}
	for _, v := range vs.List {
		v.HandsOff = true
		vs = vs.With(v)
	}
	return vs
}
