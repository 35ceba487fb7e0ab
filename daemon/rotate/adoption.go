package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An adoption is one offer on its way.
type adoption struct {
	*Keeper
	round *Round
	offer Offer
	place place
	out   Outcome

	grant    *cloud.Grant // the project's; nil: the cloud was not asked, or did not answer
	login    *login       // the user's
	listed   []account.KeyPair
	offers   bool // Keystone lists keys at all
	s3Proved bool
	replaced bool          // the user's password is another one now
	expired  *RefusedError // the password is right, and good for nothing but its change
}

func (a *adoption) note(format string, args ...any) {
	a.out.Notes = append(a.out.Notes, fmt.Sprintf(format, args...))
}

// commit stores the offer with all that the cloud said, in one write. The
// place is taken anew: the store may have moved while the cloud was asked.
func (a *adoption) commit() error {
	now := a.now()
	err := a.Keeper.commit("adopted", func(c *vault.Contents) error {
		u, e := a.place.user, a.place.env
		if stored, ok := c.Users[u.ID]; ok {
			u = stored
		}
		if stored, ok := c.Environments[e.Name]; ok {
			if stored.ID != e.ID {
				return fmt.Errorf("environment %s was made meanwhile: %w", e.Name, ErrConflict)
			}
			if active(stored.Keys) != active(a.place.env.Keys) {
				a.offers = false // replaced meanwhile, by way of another user (sharing): the list is older
			}
			if a.place.rebound || a.strange(stored) {
				stored.Epoch++ // the gateway keys of the former binding are void
			}
			e.Generation, e.Epoch, e.Keys, e.AppCreds, e.Binding, e.Sources = stored.Generation, stored.Epoch, stored.Keys, stored.AppCreds, stored.Binding, stored.Sources
		} else if !a.place.added {
			return gone(e.Name)
		}
		_, had := u.Passwords.Active()
		wasServed := u.Refused == nil
		u, newPassword := a.withPassword(u, now)
		a.replaced = had && newPassword
		e = remember(a.withValues(e, now), a.offer.From)
		if v, ok := e.Keys.Active(); ok && a.offers && a.stays(c.Environments[e.Name]) {
			followUnlisted(c, c.Environments[e.Name], v, a.listed, now)
		}
		if a.grant != nil {
			u, e = identified(u, *a.grant), placed(c, e, *a.grant, now)
		} else if a.offer.hasUser() {
			e.Binding = unplaced(e.Binding, a.offer.NoVerify)
		}
		if a.s3Proved {
			delete(c.Attempts, pairMark(c, e, *a.offer.Keys))
		}
		if u.ID != "" {
			c.Users[u.ID] = u
		}
		a.out.Unchanged = !a.place.added && !newPassword && asItWas(c.Environments[e.Name], e)
		c.Environments[e.Name] = e
		touch(c, e.Name)
		if newPassword || wasServed != (u.Refused == nil) { // an expired one may be in force already
			touchAll(c, u.ID)
		}
		if newPassword {
			oweKeys(c, u.ID)
			if a.offers { // of this one Keystone has just told
				_ = inEnvironment(c, e, func(e *vault.Environment) { e.KeysOwed = false })
			}
		}
		return nil
	})
	if err == nil {
		a.forget("", []string{a.place.env.ID})
		a.cache()
	}
	return err
}

// asItWas reports whether an environment is what it was: nothing of its binding,
// its values and its sources is another.
func asItWas(was, is vault.Environment) bool {
	return was.Environment == is.Environment && active(was.Keys) == active(is.Keys) && active(was.AppCreds) == active(is.AppCreds) &&
		was.KeyWanted == is.KeyWanted && was.ByCredential == is.ByCredential && slices.Equal(was.Sources, is.Sources)
}

// strange reports whether the offered pair may be another owner's than the one in
// force: without a user nothing else says whose an environment is.
func (a *adoption) strange(stored vault.Environment) bool {
	active, has := stored.Keys.Active()
	if a.place.env.UserID != "" || a.offer.Keys == nil || !has {
		return false
	}
	sameOwner := a.s3Proved && stored.S3.Owner != "" // else askKeys refuses it
	return !sameOwner && a.offer.Keys.AccessKeyID != active.Value.AccessKeyID
}

// stays reports whether the list is of the user and project that the environment has
// had, and its S3 where it was: else who shared its key keeps it.
func (a *adoption) stays(stored vault.Environment) bool {
	is := a.place.env
	return stored.UserID == is.UserID && stored.SameProject(is.Environment) &&
		(stored.S3.Endpoint == is.S3.Endpoint || stored.S3.Endpoint.SameOrigin(is.S3.Endpoint))
}

// cache keeps the grants that the question yielded.
func (a *adoption) cache() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login != nil {
		a.logins[a.place.user.ID] = *a.login
	}
	if a.grant != nil && a.place.env.ID != "" {
		a.tokens[a.place.env.ID] = *a.grant
	}
}

// withPassword puts the offered password in force, with the cloud's answer.
func (a *adoption) withPassword(u vault.User, now time.Time) (_ vault.User, changed bool) {
	if a.place.secret.Empty() {
		return u, false
	}
	passwords, v := u.Passwords.Stage(a.place.secret, a.offer.By, now)
	changed = v.State != vault.Active || a.login != nil && u.Refused != nil
	v.HandsOff = a.offer.NoVerify && !v.Accepted
	if a.expired != nil { // which is the cloud's word that it is right
		v.Accepted, v.Checked, v.HandsOff = true, a.expired.At, false
	}
	if a.login != nil {
		v.Accepted, v.Checked, v.HandsOff = true, now, false
		u.PasswordExpires = expiryOf(*a.login, now)
		u = identified(u, a.login.Grant)
	}
	u.Passwords = passwords.With(v)
	if v.State != vault.Active {
		u.Passwords = u.Passwords.Activate(v.ID)
	}
	if a.login != nil || a.expired != nil && !a.expired.Again {
		u = alone(u, v.ID)
	}
	if changed {
		u.Refused = nil
	}
	if a.expired != nil {
		u.Refused = &vault.Refusal{At: a.expired.At, Reason: a.expired.Reason, Expired: true}
		if u.KeystoneID == "" {
			u.KeystoneID = a.expired.keystoneID
		}
	}
	if a.offer.By == "person" || a.offer.By == "import" {
		u.Failures = 0 // a person has acted
	}
	return u, changed
}

// withValues puts offered keys and application credentials in force, and adopts
// the keys that Keystone lists.
func (a *adoption) withValues(e vault.Environment, now time.Time) vault.Environment {
	switch { // what a person last gave it is what it is served by
	case a.offer.AppCred != nil:
		e.ByCredential = true
	case !a.offer.Password.Empty():
		e.ByCredential = false
	}
	if a.offer.AppCred != nil {
		creds, v := e.AppCreds.Stage(*a.offer.AppCred, a.offer.By, now)
		v.Accepted = v.Accepted && v.State != vault.Refused
		v.HandsOff = a.offer.NoVerify && !v.Accepted
		if a.grant != nil && a.login == nil {
			v.Accepted, v.Checked, v.HandsOff = true, now, false
		}
		e.AppCreds = creds.With(v)
		if v.State != vault.Active {
			e.AppCreds = e.AppCreds.Activate(v.ID)
		}
	}
	if a.offer.Keys == nil && a.offer.AccessKeyID != "" {
		e.KeyWanted = a.offer.AccessKeyID
		a.note("the S3 key %s is taken once Keystone has told its secret", e.KeyWanted)
	}
	if a.offer.Keys != nil {
		e.KeyWanted = ""
		keys, v := e.Keys.Stage(*a.offer.Keys, a.offer.By, now)
		v.Accepted = v.Accepted && e.KeysRefused == nil
		v.HandsOff = a.offer.NoVerify && !v.Accepted
		if a.offers || a.s3Proved {
			v.Accepted, v.Checked, v.HandsOff = true, now, false
		}
		e.Keys, e.KeysRefused = keys.With(v), nil
		if v.State != vault.Active {
			e.Keys = e.Keys.Activate(v.ID)
		}
	}
	if a.offers {
		e.KeysListed = accessKeys(a.listed)
		e, _ = reconciled(e, a.listed, now)
		if v, ok := e.Keys.Active(); ok && a.offer.Keys == nil && a.retired(v.Value.Secret) {
			a.note("the S3 key %s was replaced before, and Keystone lists no other", v.Value.AccessKeyID)
		}
	}
	return e
}

// finish does what needs the environment stored: the S3 region that the server
// demands, and the other environments of a user whose password is new.
func (a *adoption) finish(ctx context.Context) {
	if a.login == nil {
		return
	}
	c := a.vault.Contents()
	if e := c.Environments[a.place.env.Name]; a.offers && !e.S3.Endpoint.IsZero() {
		before := e.S3.Region
		if err := a.learnRegionLocked(ctx, e); err != nil {
			a.note("%v", err)
		}
		if now := a.vault.Contents().Environments[e.Name].S3.Region; now != before {
			a.note("S3 region %s, as the server demands", now)
		}
	}
	if a.replaced {
		a.out.Notes = append(a.out.Notes, a.healLocked(ctx, a.place.user.ID, a.place.env.Name, *a.login)...)
	}
}

// oweKeys notes, with a new password, that Keystone is to be asked about the S3
// keys of all environments of its user: they may have been replaced with it.
func oweKeys(c *vault.Contents, userID string) {
	for _, name := range c.NamesOf(userID) {
		if e := c.Environments[name]; projectOf(e.Environment) != "" {
			e.KeysOwed = true
			c.Environments[name] = e
		}
	}
}

// healLocked brings the S3 keys of a user's environments in line after a new
// password, all but one of them: one accepted password is enough. What could
// not be healed is told in notes, and owed (oweKeys); while nobody answers, the
// rest is not waited for.
func (k *Keeper) healLocked(ctx context.Context, userID, except string, base login) (notes []string) {
	for _, e := range k.vault.Contents().EnvironmentsOf(userID) {
		if e.Name == except {
			continue
		}
		err := k.verifyProjectLocked(ctx, userID, e.Name, &base, false)
		if err != nil {
			notes = append(notes, fmt.Sprintf("environment %s: %v", e.Name, err))
		}
		if errors.Is(err, cloud.ErrUnreachable) {
			break
		}
	}
	return notes
}
