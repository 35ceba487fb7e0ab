package rotate

import (
	"cmp"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An S3 key belongs to one user and project. But several environments may have it:
// it came with its user, and once more alone, as an AWS profile has it; or its
// Keystone has two names, and ccad takes each for a cloud; or one project was
// stored by its name and by its id. When the key is replaced by way of one of them
// the others would serve a dead one. So they follow: they get the new key in the
// same commit, be it by a rotation or, whoever has found or given it, since Keystone
// has the former one no more, and what a rotation replaces lives on for their
// clients, too. Who has the very secret has all that it opens, so what follows gains
// or loses nothing by the company.
//
// A secret carries its origin: an environment that serves the pair at another S3
// endpoint does not follow, for nobody has asked there about the new one. As long as
// it serves the former key that one is not deleted, since the endpoint may be one
// more name of the same cloud. Once it serves another the former key is told of as
// a foreign one.

// sharing are the environments that have a pair, in force or not, by name.
func sharing(c *vault.Contents, pair account.KeyPair) (all []vault.Environment) {
	for _, e := range c.Environments { // of thousands, mostly none
		if _, has := e.Keys.Holding(pair); has {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b vault.Environment) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// together are the environments that serve the pair of one of them at the same
// origin, itself among them, by name.
func together(c *vault.Contents, e vault.Environment) []vault.Environment {
	pair, has := e.Keys.Active()
	if !has {
		return nil
	}
	return slices.DeleteFunc(sharing(c, pair.Value), func(other vault.Environment) bool {
		at := other.S3.Endpoint
		return active(other.Keys) != pair.Value || at != e.S3.Endpoint && !at.SameOrigin(e.S3.Endpoint)
	})
}

// spared also for who serves the very pair and gets no other.
func (s s3Keys) spared(c *vault.Contents, e vault.Environment, id string) string {
	v, _ := s.version(e, id)
	stored, ok := e.Keys.Find(v.id)
	switch {
	case !ok:
		return ""
	case stored.Source == foundAlone:
		return "it appeared at the cloud while one was asked for, and may be another's"
	case stored.Source != "rotation" && cloud.MadeByCCAD(v.name):
		return "another ccad made it, and may serve it"
	}
	for _, other := range sharing(c, stored.Value) {
		follows := slices.ContainsFunc(together(c, e), func(f vault.Environment) bool { return f.ID == other.ID })
		if other.ID != e.ID && active(other.Keys) == stored.Value && !follows {
			return "environment " + other.Name + " serves it"
		}
	}
	return ""
}

func (s s3Keys) copies(c *vault.Contents, e vault.Environment, id string) (all []version) {
	v, ok := s.version(e, id)
	if !ok {
		return nil
	}
	stored, _ := e.Keys.Find(v.id)
	all = []version{v}
	for _, other := range sharing(c, stored.Value) {
		held, _ := other.Keys.Holding(stored.Value)
		if v, _ := s.version(other, held.ID); v.in != e.ID {
			all = append(all, v)
		}
	}
	return all
}

// follow puts the key that replaces an environment's in force wherever else that
// one is. What only a person may send stays so.
func follow(c *vault.Contents, was vault.Environment, v vault.Version[account.KeyPair], now time.Time) {
	for _, e := range together(c, was) {
		if e.ID == was.ID {
			continue
		}
		former, _ := e.Keys.Active()
		keys, own := e.Keys.Stage(v.Value, v.Source, now)
		if former.HandsOff {
			own.HandsOff = true
		} else {
			own.Accepted, own.Checked = v.Accepted, v.Checked
		}
		e.Keys, e.KeysRefused, e.KeysOwed = keys.With(own).Activate(own.ID), nil, e.KeysOwed && e.UserID != ""
		e.Generation = c.NextGeneration()
		c.Environments[e.Name] = e
	}
}

// followUnlisted is follow where Keystone's own list, of the user and project that
// the environment was one of before, has the former key no more. One that was never
// accepted there may be another owner's, given by mistake, and alive.
func followUnlisted(c *vault.Contents, was vault.Environment, v vault.Version[account.KeyPair], listed []account.KeyPair, now time.Time) {
	if former, _ := was.Keys.Active(); former.Accepted && former.Value != v.Value && !holds(listed, former.Value) {
		follow(c, was, v, now)
	}
}

// forgetCopies drops a pair that is dead from the other environments that have it
// and serve another.
func forgetCopies(c *vault.Contents, e vault.Environment, pair account.KeyPair) {
	for _, other := range sharing(c, pair) {
		if held, _ := other.Keys.Holding(pair); other.ID != e.ID && held.State != vault.Active {
			other.Keys = other.Keys.Drop(held.ID)
			c.Environments[other.Name] = other
		}
	}
}

// Followers are the environments whose S3 key is replaced with that of another.
func Followers(c *vault.Contents, e vault.Environment) (names []string) {
	for _, other := range together(c, e) {
		if other.ID != e.ID {
			names = append(names, other.Name)
		}
	}
	return names
}

// Leader is the environment with whose S3 key that of another is replaced: the
// first of those that share it whose user's password is there to ask with, so that
// a key is replaced once, by whichever names it is asked for.
func Leader(c *vault.Contents, name string) string {
	for _, e := range together(c, c.Environments[name]) {
		if (s3Keys{}).may(e, c.Users[e.UserID]) == nil {
			return e.Name
		}
	}
	return name
}

// ForeignKeys are the access keys that Keystone had for an environment at the last
// look and that ccad neither serves nor replaces, as whichever environment: others',
// or what was left behind. ccad deletes none of them.
func ForeignKeys(c *vault.Contents, e vault.Environment) (foreign []string) {
	for _, id := range e.KeysListed {
		if !accountsFor(e, id) && !anyAccountsFor(c, id) { // almost always the first does
			foreign = append(foreign, id)
		}
	}
	return foreign
}

func anyAccountsFor(c *vault.Contents, accessKeyID string) bool {
	for _, e := range c.Environments {
		if accountsFor(e, accessKeyID) {
			return true
		}
	}
	return false
}

// accountsFor reports whether an environment serves an access key, or its rotation
// puts it in force or deletes it.
func accountsFor(e vault.Environment, accessKeyID string) bool {
	if active(e.Keys).AccessKeyID == accessKeyID {
		return true
	}
	j := e.KeyRotation
	return j != nil && slices.ContainsFunc(e.Keys.List, func(v vault.Version[account.KeyPair]) bool {
		return v.Value.AccessKeyID == accessKeyID &&
			(v.ID == j.Old || v.ID == j.New || slices.ContainsFunc(j.Left, func(l vault.Left) bool { return l.Old == v.ID }))
	})
}
