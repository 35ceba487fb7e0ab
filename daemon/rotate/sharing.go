package rotate

import (
	"maps"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An S3 key belongs to one user and project, and so to one environment. But it may
// have come twice: with its user, and once more alone, as an AWS profile has it. Of
// the second nobody can ask Keystone, and when the first one's key is replaced it
// would serve a dead one. So it follows: it gets the new key in the same commit, be
// it by a rotation or since Keystone has no other any more, and what a rotation
// replaces lives on for its clients, too.

// sharing are the environments of S3 keys alone that have a pair, in force or not,
// by name.
func sharing(c *vault.Contents, pair account.KeyPair) (all []vault.Environment) {
	for _, name := range slices.Sorted(maps.Keys(c.Environments)) {
		e := c.Environments[name]
		if _, has := e.Keys.Holding(pair); has && e.UserID == "" {
			all = append(all, e)
		}
	}
	return all
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

// follows puts a key in force wherever the former one is that it replaces.
func follows(c *vault.Contents, former account.KeyPair, v vault.Version[account.KeyPair], now time.Time) {
	for _, e := range sharing(c, former) {
		if active(e.Keys) != former {
			continue
		}
		keys, own := e.Keys.Stage(v.Value, v.Source, now)
		own.Accepted, own.Checked = v.Accepted, v.Checked
		e.Keys, e.KeysRefused, e.KeysOwed = keys.With(own).Activate(own.ID), nil, false
		e.Generation = c.NextGeneration()
		c.Environments[e.Name] = e
	}
}

// Followers are the environments whose S3 key is replaced with that of another.
func Followers(c *vault.Contents, e vault.Environment) (names []string) {
	pair := active(e.Keys)
	for _, other := range sharing(c, pair) {
		if other.Name != e.Name && active(other.Keys) == pair {
			names = append(names, other.Name)
		}
	}
	return names
}

// Leader is the environment with whose S3 key that of another is replaced: itself,
// where it has a user or nobody shares its key.
func Leader(c *vault.Contents, name string) string {
	e := c.Environments[name]
	pair, has := e.Keys.Active()
	if e.UserID != "" || !has {
		return name
	}
	for _, other := range slices.Sorted(maps.Keys(c.Environments)) {
		if e := c.Environments[other]; e.UserID != "" && active(e.Keys) == pair.Value {
			return other
		}
	}
	return name
}

// ForeignKeys are the access keys that Keystone had for an environment at the last
// look and that ccad neither serves nor replaces, nor serves as another
// environment: others', or what was left behind. ccad deletes none of them.
func ForeignKeys(c *vault.Contents, e vault.Environment) (foreign []string) {
	ours := []string{active(e.Keys).AccessKeyID}
	if j := e.KeyRotation; j != nil {
		for _, id := range []string{j.Old, j.New} {
			v, _ := e.Keys.Find(id)
			ours = append(ours, v.Value.AccessKeyID)
		}
	}
	for _, id := range e.KeysListed {
		if !slices.Contains(ours, id) && !servedSomewhere(c, id) {
			foreign = append(foreign, id)
		}
	}
	return foreign
}

func servedSomewhere(c *vault.Contents, accessKeyID string) bool {
	for _, e := range c.Environments {
		if active(e.Keys).AccessKeyID == accessKeyID {
			return true
		}
	}
	return false
}
