package rotate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// Restore brings the users and environments of a backup that are not there, as
// unverified values. What is stored already stays as it is: a backup is older.
// What it may not bring is left out, and its Outcome says why.
func (k *Keeper) Restore(old *vault.Contents, handsOff, insecureHTTP bool) ([]Outcome, error) {
	var outcomes []Outcome
	err := k.commit("adopted", func(c *vault.Contents) error {
		outcomes = nil
		stored := &vault.Contents{Users: maps.Clone(c.Users), Environments: maps.Clone(c.Environments)}
		for _, name := range slices.Sorted(maps.Keys(old.Environments)) {
			e := old.Environments[name]
			if _, there := c.Environments[name]; there {
				outcomes = append(outcomes, Outcome{Environment: name, Notes: []string{"is there already and stays as it is"}})
				continue
			}
			u, ofUser := old.Users[e.UserID]
			e.UserID = sameUser(c, u.User)
			if twin, ok := twinOf(c, e); ok {
				outcomes = append(outcomes, Outcome{Environment: name, Notes: []string{"its user and project are environment " + twin + ", which stays as it is"}})
				continue
			}
			if err := vouched(stored, &u.User, &e.Environment, insecureHTTP); err != nil {
				outcomes = append(outcomes, Outcome{Environment: name, Err: err})
				continue
			}
			if ofUser && e.UserID == "" {
				e.UserID = adoptUser(c, u, handsOff)
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

// vouched refuses an environment that a backup would have secrets of ours sent
// to where nobody here said that they may go: whoever knows the passphrase of a
// backup may have written it. Plain http is a person's to allow, by the command
// or earlier; a user who is stored keeps his password, and what it opens goes to
// an S3 that he has.
func vouched(stored *vault.Contents, u *account.User, e *account.Environment, insecureHTTP bool) (err error) {
	authHTTP, s3HTTP := insecureHTTP, insecureHTTP
	for _, other := range stored.Users {
		authHTTP = authHTTP || other.Auth.InsecureHTTP && other.Auth.SameOrigin(u.Auth)
	}
	id := sameUser(stored, *u)
	known := id == "" || e.S3.Endpoint.IsZero()
	for _, other := range stored.Environments {
		if other.S3.Endpoint.SameOrigin(e.S3.Endpoint) {
			s3HTTP = s3HTTP || other.S3.Endpoint.InsecureHTTP
			known = known || other.UserID == id
		}
	}
	if u.Auth, err = allowed(u.Auth, authHTTP); err != nil {
		return fmt.Errorf("its auth URL: %w", err)
	}
	if e.S3.Endpoint, err = allowed(e.S3.Endpoint, s3HTTP); err != nil {
		return fmt.Errorf("its S3 endpoint: %w", err)
	}
	if !known {
		return fmt.Errorf("user %s is here already, and none of his environments has the S3 endpoint %s", u, e.S3.Endpoint.URL)
	}
	return nil
}

// allowed is an endpoint of a backup, by plain http only where that is allowed.
func allowed(e account.Endpoint, insecureHTTP bool) (account.Endpoint, error) {
	if e.IsZero() {
		return e, nil
	}
	checked, err := account.ParseEndpoint(e.URL, insecureHTTP)
	checked.CA = e.CA
	return checked, err
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

// sameUser returns the id of the stored user that is the same; "" where there is
// none.
func sameUser(c *vault.Contents, u account.User) string {
	for id, stored := range c.Users {
		if stored.Same(u) {
			return id
		}
	}
	return ""
}

// adoptUser stores a user and returns his id.
func adoptUser(c *vault.Contents, u vault.User, handsOff bool) string {
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
