package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// reconcileLocked brings an environment's S3 keys in line with what Keystone
// lists for its user and project: an active pair that is listed is accepted, a
// secret that changed is adopted, a pair that is gone is replaced by a listed
// one. Keys are listed with their secrets, so one password heals them all.
func (k *Keeper) reconcileLocked(ctx context.Context, u vault.User, e vault.Environment, g cloud.Grant, probe bool) error {
	before := active(k.vault.Contents().Environments[e.Name].Keys)
	listed, err := k.listedKeys(ctx, u, g)
	if err != nil && !errors.Is(err, cloud.ErrNotOffered) && !errors.Is(err, cloud.ErrRefused) {
		return err
	}
	offered := err == nil
	listed = k.deleteAgain(ctx, u, e, g, listed)
	err = k.commit("verified", func(c *vault.Contents) error {
		id := e.ID
		e, ok := c.Environments[e.Name]
		if !ok || e.ID != id {
			return gone(e.Name)
		}
		if active(e.Keys) != before {
			return nil // replaced meanwhile, by way of another user (sharing): the list is older
		}
		e = placed(c, e, g, k.now())
		if _, has := e.Keys.Active(); offered || !has {
			e.KeysOwed = false
		}
		e.KeysDeleted = stillRemembered(e.KeysDeleted, accessKeys(listed), k.now())
		if offered {
			e.KeysListed = accessKeys(listed)
			was, moved := e, false
			if e, moved = reconciled(e, listed, k.now()); moved {
				if v, ok := e.Keys.Active(); ok {
					followUnlisted(c, was, v, listed, k.now())
				}
				c.Environments[e.Name] = e
				touch(c, e.Name)
				return nil
			}
		}
		c.Environments[e.Name] = e
		return nil
	})
	if err != nil {
		return err
	}
	e = k.vault.Contents().Environments[e.Name]
	switch {
	case offered && e.KeysRefused != nil:
		return &RefusedError{Subject: keySubject(e), At: e.KeysRefused.At, Reason: e.KeysRefused.Reason}
	case probe && offered && !e.S3.Endpoint.IsZero():
		return k.learnRegionLocked(ctx, e)
	}
	return nil
}

// listedKeys returns the pairs that Keystone holds for the grant's user and
// project, in a stable order: those last that were replaced here before.
func (k *Keeper) listedKeys(ctx context.Context, u vault.User, g cloud.Grant) ([]account.KeyPair, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	all, err := k.cloud.Keys(ctx, u.User, g)
	if err != nil {
		return nil, err
	}
	var mine []account.KeyPair
	for _, key := range all {
		if key.ProjectID == g.ProjectID && (key.UserID == "" || key.UserID == g.UserID) {
			mine = append(mine, key.KeyPair)
		}
	}
	slices.SortFunc(mine, func(a, b account.KeyPair) int { return cmp.Compare(a.AccessKeyID, b.AccessKeyID) })
	fresh := slices.DeleteFunc(slices.Clone(mine), func(pair account.KeyPair) bool { return k.retired(pair.Secret) })
	replaced := slices.DeleteFunc(mine, func(pair account.KeyPair) bool { return slices.Contains(fresh, pair) })
	return append(fresh, replaced...), nil
}

// reconciled is the decision of reconcileLocked, free of any I/O. moved says
// that what is served has changed.
func reconciled(e vault.Environment, listed []account.KeyPair, now time.Time) (_ vault.Environment, moved bool) {
	byAccess := map[string]account.KeyPair{}
	for _, pair := range listed {
		byAccess[pair.AccessKeyID] = pair
	}
	active, has := e.Keys.Active()
	for _, v := range e.Keys.List { // what was intended when a process died
		if v.State != vault.Pending || underRotation(e, v.ID) {
			continue
		}
		pair, there := byAccess[v.Value.AccessKeyID]
		switch {
		case !there || !pair.Secret.Equal(v.Value.Secret):
			e.Keys = e.Keys.Drop(v.ID)
			e.KeysDeleted = remembered(e.KeysDeleted, v.Value.AccessKeyID, accessKeys(listed), now)
		case has: // made, and not needed any more: known as ours, never served
			v.State, v.Accepted = vault.Retiring, true
			e.Keys = e.Keys.With(v)
		}
	}
	pair, there := byAccess[active.Value.AccessKeyID]
	wanted, told := byAccess[e.KeyWanted]
	switch {
	case told:
		pair = wanted
	case e.KeyWanted != "" && !has: // no other takes its place
		moved = e.KeysRefused == nil
		e.KeysRefused = &vault.Refusal{At: now, Reason: "Keystone does not list it"}
		return e, moved
	case has && there && pair.Secret.Equal(active.Value.Secret):
	case has && there: // the same access key with another secret: regenerated
	case len(listed) > 0:
		pair = listed[0]
		for _, v := range e.Keys.List {
			if v.State == vault.Pending && !underRotation(e, v.ID) {
				pair = v.Value // ours, made just before a process died
			}
		}
	case has: // nothing listed any more
		moved = e.KeysRefused == nil
		if moved || e.KeysRefused.Reason != unlisted {
			e.KeysRefused = &vault.Refusal{At: now, Reason: unlisted}
		}
		active.Checked = now
		e.Keys = e.Keys.With(active)
		return e, moved
	default:
		return e, false
	}
	keys, v := e.Keys.Stage(pair, "cloud", now)
	moved = v.State != vault.Active || e.KeysRefused != nil
	v.Accepted, v.HandsOff, v.Checked = true, false, now
	e.Keys, e.KeysRefused, e.KeyWanted = keys.With(v), nil, ""
	if v.State != vault.Active {
		e.Keys = e.Keys.Activate(v.ID)
	}
	return e, moved
}

// keysRested reports whether S3 may be asked once more about a key that it refused
// and that nobody else knows of: what it says is no proof, and locks nobody out.
func keysRested(e vault.Environment, now time.Time) bool {
	return e.UserID == "" && e.KeysRefused != nil && !now.Before(e.KeysRefused.At.Add(refusedPause))
}

// proveKeysLocked checks the S3 key of an environment by a signed request,
// where Keystone can't be asked about it. A refusal proves a dead key only where
// there is no user: a Swift that can't reach its Keystone says the same.
func (k *Keeper) proveKeysLocked(ctx context.Context, e vault.Environment, person bool) error {
	active, ok := e.Keys.Active()
	if !ok || active.HandsOff && !person {
		return nil
	}
	if e.KeysRefused != nil && !person && !keysRested(e, k.now()) {
		return MayServeKeys(e)
	}
	s3, owner, answer := k.probeS3(ctx, e.S3, active.Value)
	reason := ""
	switch {
	case errors.Is(answer, cloud.ErrRefused) && e.UserID != "":
		return fmt.Errorf("the S3 key of %s is not listed by Keystone, and S3 does not accept it: %v", e.Name, answer)
	case errors.Is(answer, cloud.ErrRefused):
		reason = "the S3 endpoint does not accept it"
	case answer != nil:
		return answer
	case e.S3.Owner != "" && owner != e.S3.Owner:
		reason = "it is another owner's"
	}
	if reason != "" {
		return k.refuseKeys(e, active, reason)
	}
	return k.commit("verified", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			if serves, _ := e.Keys.Active(); serves.ID != active.ID {
				return // replaced meanwhile, with the key of another environment (sharing)
			}
			if e.KeysRefused != nil || e.S3.Region != s3.Region {
				e.Generation = c.NextGeneration()
			}
			delete(c.Attempts, pairMark(c, *e, active.Value))
			active.Checked, active.HandsOff, active.Accepted = k.now(), false, true
			e.S3.Region, e.KeysRefused, e.KeysOwed, e.Keys = s3.Region, nil, false, e.Keys.With(active)
			if e.UserID == "" {
				e.S3.Owner = owner
			}
		})
	})
}

// refuseKeys takes a pair that is not accepted out of force. One that never was
// gives way to the newest that was; else nothing is served.
func (k *Keeper) refuseKeys(e vault.Environment, active vault.Version[account.KeyPair], reason string) error {
	no := &RefusedError{Subject: "the S3 key " + active.Value.AccessKeyID + " of " + e.Name, At: k.now(), Reason: reason}
	err := k.commit("refused", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			if serves, _ := e.Keys.Active(); serves.ID != active.ID {
				return // as above
			}
			c.Attempts[pairMark(c, *e, active.Value)] = vault.Attempt{At: no.At, Refused: true}
			var older vault.Version[account.KeyPair]
			for _, v := range e.Keys.List {
				if v.State == vault.Retiring && v.Accepted && v.N > older.N {
					older = v
				}
			}
			if !active.Accepted && older.ID != "" {
				e.Keys = e.Keys.Activate(older.ID).Drop(active.ID)
				if a := c.Attempts[pairMark(c, *e, older.Value)]; a.Refused {
					e.KeysRefused = &vault.Refusal{At: a.At, Reason: notTheOwners}
				}
			} else {
				active.Checked, active.HandsOff = no.At, false
				e.Keys = e.Keys.With(active)
				e.KeysRefused = &vault.Refusal{At: no.At, Reason: reason}
			}
			e.Generation = c.NextGeneration()
		})
	})
	if err != nil {
		return err
	}
	return no
}

// learnRegionLocked asks the S3 endpoint in which region it wants to be spoken
// to. A refusal proves nothing here: Keystone has just listed the key. Where S3 can't
// be asked it is owed: what is known of the region may be a guess.
func (k *Keeper) learnRegionLocked(ctx context.Context, e vault.Environment) error {
	active, ok := e.Keys.Active()
	if !ok {
		return nil
	}
	s3, _, answer := k.probeS3(ctx, e.S3, active.Value)
	owed := errors.Is(answer, cloud.ErrUnreachable) || errors.Is(answer, cloud.ErrLimited)
	if s3.Region != e.S3.Region || owed != e.KeysOwed {
		err := k.commit("verified", func(c *vault.Contents) error {
			return inEnvironment(c, e, func(e *vault.Environment) {
				if e.KeysOwed = owed; s3.Region != e.S3.Region {
					e.S3.Region = s3.Region
					e.Generation = c.NextGeneration()
				}
			})
		})
		if err != nil {
			return err
		}
	}
	switch { // of Keystone's word and this one, Keystone's counts
	case owed:
		return fmt.Errorf("the S3 key of %s is listed by Keystone, but S3 can't be asked about it: %w", e.Name, answer)
	case answer != nil:
		return fmt.Errorf("the S3 key of %s is listed by Keystone, but S3 did not accept it: %v", e.Name, answer)
	}
	return nil
}

// probeS3 signs one request for the list of buckets, and once more for the
// region that the server demands instead.
func (k *Keeper) probeS3(ctx context.Context, s3 account.S3, pair account.KeyPair) (account.S3, string, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	owner, err := k.cloud.ListBuckets(ctx, s3, pair)
	var region *cloud.RegionError
	if errors.As(err, &region) && region.Want != "" && region.Want != s3.Region {
		s3.Region = region.Want
		owner, err = k.cloud.ListBuckets(ctx, s3, pair)
	}
	return s3, owner.ID, err
}

// KeyRejected takes the word of an S3 server that an environment's key is dead
// to Keystone, the only one who knows, and brings the key in line. It costs no
// login while the user's token lives.
func (k *Keeper) KeyRejected(ctx context.Context, name string) error {
	e, u, err := k.Environment(name)
	if err != nil {
		return err
	}
	defer k.gate(gateOf(e, u))()
	e, u, err = k.Environment(name)
	if err != nil {
		return err
	}
	if e.UserID == "" {
		return k.proveKeysLocked(ctx, e, false)
	}
	switch err := Unasked(e, u); {
	case errors.Is(err, ErrAbsent): // an application credential may not list keys
		return nil
	case err != nil:
		return err
	}
	active, _ := u.Passwords.Active()
	base, err := k.baseLocked(ctx, u, active)
	if err != nil {
		return err
	}
	g, err := k.rescopeLocked(ctx, u, e, &base)
	if err != nil {
		return err
	}
	return k.reconcileLocked(ctx, u, e, g, false)
}

// underRotation reports whether a version is a rotation's to decide about.
func underRotation(e vault.Environment, id string) bool {
	return e.KeyRotation != nil && e.KeyRotation.New == id
}
