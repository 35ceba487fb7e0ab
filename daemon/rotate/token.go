package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// tokenMargin is how long before its end a token is no longer handed out, where
// a tenth of its life is not less.
const tokenMargin = 5 * time.Minute

// fresh reports whether a grant may still be handed out.
func (k *Keeper) fresh(g cloud.Grant) bool {
	margin := min(g.Token.Expires.Sub(g.Token.Issued)/10, tokenMargin)
	return !g.Token.ID.Empty() && k.now().Add(margin).Before(g.Token.Expires)
}

// young reports whether an unscoped grant may be the base of new scoped ones,
// which end when it ends: in the first half of its life.
func (k *Keeper) young(g login) bool {
	return k.fresh(g.Grant) && k.now().Before(g.Token.Issued.Add(g.Token.Expires.Sub(g.Token.Issued)/2))
}

// Token returns a token scoped to the environment's project. It is cached, and
// obtained once however many clients ask at the same time.
func (k *Keeper) Token(ctx context.Context, name string) (account.Token, string, error) {
	g, err := k.grant(ctx, name)
	return g.Token, g.StorageURL, err
}

func (k *Keeper) grant(ctx context.Context, name string) (cloud.Grant, error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return cloud.Grant{}, err
	}
	if g, ok := k.cachedToken(e.ID); ok {
		return g, nil
	}
	defer k.gate(gateOf(e, u))()
	if g, ok := k.cachedToken(e.ID); ok { // another client was first
		return g, nil
	}
	e, u, err = k.Environment(name)
	if err != nil {
		return cloud.Grant{}, err
	}
	g, err := k.scopedLocked(ctx, u, e)
	if err != nil {
		return cloud.Grant{}, err
	}
	return g, nil
}

func (k *Keeper) cachedToken(environmentID string) (cloud.Grant, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g, ok := k.tokens[environmentID]
	return g, ok && k.fresh(g)
}

// scopedLocked obtains a project's token with what the environment has: the
// user's password, else its application credential. The caller holds the gate.
func (k *Keeper) scopedLocked(ctx context.Context, u vault.User, e vault.Environment) (cloud.Grant, error) {
	active, ok := u.Passwords.Active()
	if !ok {
		return k.applicationLocked(ctx, u, e, false)
	}
	if u.Refused != nil {
		return cloud.Grant{}, standing(u)
	}
	base, err := k.baseLocked(ctx, u, active)
	if err != nil {
		return cloud.Grant{}, err
	}
	return k.rescopeLocked(ctx, u, e, &base)
}

// baseLocked returns a young unscoped grant, by a login if need be.
func (k *Keeper) baseLocked(ctx context.Context, u vault.User, active vault.Version[account.Secret]) (login, error) {
	if active.HandsOff {
		return login{}, handsOff(u)
	}
	k.mu.Lock()
	base, ok := k.logins[u.ID]
	k.mu.Unlock()
	if ok && k.young(base) {
		return base, nil
	}
	base, err := k.login(ctx, try{user: u.User, password: active.Value})
	if recordErr := k.settle(u.ID, active.ID, base, err); recordErr != nil {
		return login{}, recordErr
	}
	return base, err
}

// handsOff is the error for a password that was given with --no-verify.
func handsOff(u vault.User) error {
	return withheld("the password of " + u.User.String())
}

// rescopeLocked makes a project's token of an unscoped one and caches it. A base
// that turns out dead is replaced by a new login. It is the only way of a user's
// into a project, and records its refusal; that it is granted records who has
// looked at its S3 keys, too (placed).
func (k *Keeper) rescopeLocked(ctx context.Context, u vault.User, e vault.Environment, base *login) (cloud.Grant, error) {
	if e.Binding.HandsOff {
		return cloud.Grant{}, untouched(e)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := k.cloud.Rescope(ctx, u.User, base.Token.ID, e.Environment)
	if revoked(err) {
		g, err = k.secondBaseLocked(ctx, u, e, base)
	}
	var password *RefusedError
	switch {
	case errors.As(err, &password): // settled already
		return cloud.Grant{}, err
	case revoked(err):
		return cloud.Grant{}, k.refuseBinding(u, e, "the user has no role on it, or it does not exist")
	case err != nil:
		return cloud.Grant{}, err
	case e.ProjectID != "" && g.ProjectID != e.ProjectID:
		return cloud.Grant{}, k.refuseBinding(u, e, "the cloud answers for another project of that name")
	}
	if err := k.mendBinding(e); err != nil {
		return cloud.Grant{}, err
	}
	k.cacheToken(e.ID, g)
	return g, nil
}

func (k *Keeper) cacheToken(environmentID string, g cloud.Grant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens[environmentID] = g
}

// revoked suspects a grant that is dead though its time has not come: the
// password was changed since, or in that very second, for Keystone revokes by
// whole seconds. It looks just like a project that is not there.
func revoked(err error) bool {
	return errors.Is(err, cloud.ErrRefused) || errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrNotOffered)
}

// secondBaseLocked logs in again with the same password, in a later second of
// Keystone's clock, and tries once more.
func (k *Keeper) secondBaseLocked(ctx context.Context, u vault.User, e vault.Environment, base *login) (cloud.Grant, error) {
	if wait := base.at.Add(1100 * time.Millisecond).Sub(k.now()); wait > 0 {
		if err := k.pause(ctx, wait); err != nil {
			return cloud.Grant{}, err
		}
	}
	again, err := k.login(ctx, try{user: u.User, password: base.password})
	if v, ok := u.Passwords.Holding(base.password); ok {
		if recordErr := k.settle(u.ID, v.ID, again, err); recordErr != nil {
			return cloud.Grant{}, recordErr
		}
	}
	if err != nil {
		return cloud.Grant{}, err
	}
	*base = again
	return k.cloud.Rescope(ctx, u.User, again.Token.ID, e.Environment)
}

// applicationLocked obtains a token with the environment's application
// credential, which a person alone may have sent that was given with --no-verify.
func (k *Keeper) applicationLocked(ctx context.Context, u vault.User, e vault.Environment, person bool) (cloud.Grant, error) {
	active, ok := e.AppCreds.Active()
	switch {
	case !ok:
		return cloud.Grant{}, withoutCredential(e)
	case active.HandsOff && !person:
		return cloud.Grant{}, fmt.Errorf("the application credential of %s was given with --no-verify: %w", e.Name, ErrWithheld)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := k.cloud.Application(ctx, u.Auth, active.Value)
	if errors.Is(err, cloud.ErrRefused) || errors.Is(err, cloud.ErrNotFound) {
		return cloud.Grant{}, k.refuseCredential(e, active)
	}
	if err != nil {
		return cloud.Grant{}, err
	}
	k.cacheToken(e.ID, g)
	return g, nil
}

// credentialReason is what a refused application credential may be.
const credentialReason = "it is wrong, expired or deleted"

// refuseCredential takes a refused application credential out of force: it is
// not sent or served again.
func (k *Keeper) refuseCredential(e vault.Environment, v vault.Version[account.ApplicationCredential]) error {
	err := k.commit("refused", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			v.State, v.Checked = vault.Refused, k.now()
			e.AppCreds = e.AppCreds.With(v)
			e.Generation = c.NextGeneration()
		})
	})
	if err != nil {
		return err
	}
	return &RefusedError{Subject: "the application credential of " + e.Name, At: k.now(), Reason: credentialReason}
}

// withoutCredential is the error where there is nothing to log in with.
func withoutCredential(e vault.Environment) error {
	for _, v := range e.AppCreds.List {
		if v.State == vault.Refused {
			return &RefusedError{Subject: "the application credential of " + e.Name, At: v.Checked, Reason: credentialReason, Again: true}
		}
	}
	return lacking("environment " + e.Name + " has neither a password nor an application credential")
}

func projectOf(e account.Environment) string {
	if e.Project != "" {
		return e.Project
	}
	return e.ProjectID
}
