package rotate

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// A request for a new value that nobody answered is made once more, and the first
// may arrive when all is over: after the value was replaced and deleted, or
// withdrawn. It would live again, and nobody would know of it. So ccad remembers
// what it made and the cloud has no more, deletes it again wherever it is listed,
// and forgets it at the first look after a request can't arrive any more. Names are
// enough to tell it by: ccad drew them, and nobody else has them.

// remembered adds a value that is gone.
func remembered(d vault.Deleted, name string, listed []string, now time.Time) vault.Deleted {
	d = stillRemembered(d, listed, now)
	if d == nil {
		d = vault.Deleted{}
	}
	d[name] = now.Add(lingers)
	return d
}

// stillRemembered is what is left of it after a look that found what is listed.
func stillRemembered(d vault.Deleted, listed []string, now time.Time) vault.Deleted {
	d = maps.Clone(d)
	maps.DeleteFunc(d, func(name string, until time.Time) bool {
		return !now.Before(until) && !slices.Contains(listed, name)
	})
	return d
}

// lookOwed reports whether the last look is owed at an environment's keys.
func lookOwed(e vault.Environment, now time.Time) bool {
	for _, until := range e.KeysDeleted {
		if !now.Before(until) {
			return e.Binding.Accepted && e.Binding.Refused == nil
		}
	}
	return false
}

// deleteAgain returns the listed pairs without those that came back, and that the
// cloud has deleted again. One that it has not is told of like others' keys until
// the next look, and one that somebody has given ccad meanwhile is his.
func (k *Keeper) deleteAgain(ctx context.Context, u vault.User, e vault.Environment, g cloud.Grant, listed []account.KeyPair) []account.KeyPair {
	ctx, cancel := detached(ctx)
	defer cancel()
	return slices.DeleteFunc(listed, func(pair account.KeyPair) bool {
		_, back := e.KeysDeleted[pair.AccessKeyID]
		return back && len(sharing(k.vault.Contents(), pair)) == 0 && k.cloud.DeleteKey(ctx, u.User, g, pair.AccessKeyID) == nil
	})
}

// deleteCredentialsAgain is deleteAgain for application credentials.
func (r *run) deleteCredentialsAgain(listed []cloud.ListedCredential) []cloud.ListedCredential {
	ctx, cancel := detached(r.ctx)
	defer cancel()
	return slices.DeleteFunc(listed, func(l cloud.ListedCredential) bool {
		_, back := r.env.AppCredsDeleted[l.Name]
		return back && l.ProjectID == r.grant.ProjectID && r.cloud.DeleteApplicationCredential(ctx, r.user.User, r.grant, l.ID) == nil
	})
}
