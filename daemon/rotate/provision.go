package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// EnsureKey makes sure that an environment has an S3 key pair: its own, else
// one that Keystone lists, else a new one. The intended pair is in the store
// before the cloud hears of it; if this process dies in between, the next
// check finds it in Keystone's list, or drops it.
func (k *Keeper) EnsureKey(ctx context.Context, name string) (created bool, err error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return false, err
	}
	if _, ok := e.Keys.Active(); ok {
		return false, MayServeKeys(e)
	}
	defer k.gate(gateOf(e, u))()
	if e, u, err = k.Environment(name); err != nil { // as it is now that we are alone
		return false, err
	}
	if _, ok := u.Passwords.Active(); !ok {
		return false, lacking("environment " + name + " has no S3 key, and making one needs its user's password")
	}
	g, err := k.scopedLocked(ctx, u, e)
	if err != nil {
		return false, err
	}
	if err := k.reconcileLocked(ctx, u, e, g, false); err != nil {
		return false, err
	}
	e = k.vault.Contents().Environments[name]
	if _, ok := e.Keys.Active(); ok {
		return false, nil
	}
	return true, k.createKeyLocked(ctx, u, e, g)
}

func (k *Keeper) createKeyLocked(ctx context.Context, u vault.User, e vault.Environment, g cloud.Grant) error {
	var intended vault.Version[account.KeyPair]
	err := k.vault.Change(func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			e.Keys, intended = e.Keys.Stage(cloud.NewKeyPair(), "rotation", k.now())
		})
	})
	if err != nil {
		return fmt.Errorf("record the S3 key about to be made for %s: %w", e.Name, err)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	made, err := k.cloud.CreateKey(ctx, u.User, g, intended.Value)
	if err := k.crash("create: sent"); err != nil {
		return err
	}
	if err != nil {
		if surelyNot(err) {
			_ = k.vault.Change(func(c *vault.Contents) error {
				return inEnvironment(c, e, func(e *vault.Environment) { e.Keys = e.Keys.Drop(intended.ID) })
			})
		}
		return fmt.Errorf("make an S3 key for %s: %w", e.Name, err)
	}
	err = k.commit("adopted", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			keys, v := e.Keys, intended
			if !made.Secret.Equal(intended.Value.Secret) || made.AccessKeyID != intended.Value.AccessKeyID {
				keys, v = keys.Drop(intended.ID).Stage(made, "rotation", k.now()) // Keystone chose the pair
			}
			v.Accepted, v.Checked = true, k.now()
			e.Keys = keys.With(v).Activate(v.ID)
			e.KeysRefused = nil
			e.Generation = c.NextGeneration()
		})
	})
	if err != nil {
		return err
	}
	if e := k.vault.Contents().Environments[e.Name]; !e.S3.Endpoint.IsZero() {
		return k.learnRegionLocked(ctx, e)
	}
	return nil
}

// surelyNot reports whether nothing was made. Else what was intended stays on
// record until Keystone's list says more. A conflict is no such word: what is
// there may be what was intended.
func surelyNot(err error) bool {
	if errors.Is(err, cloud.ErrConflict) {
		return false
	}
	return cloud.Declined(err) || cloud.Unheard(err) && !errors.Is(err, cloud.ErrLimited)
}

// ApplicationCredential returns the environment's, made at the cloud at the
// first request. Its name and secret are in the store before; one whose making
// was cut short is found by that name.
func (k *Keeper) ApplicationCredential(ctx context.Context, name string) (account.ApplicationCredential, error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return account.ApplicationCredential{}, err
	}
	if v, ok := e.AppCreds.Active(); ok {
		return v.Value, nil
	}
	defer k.gate(gateOf(e, u))()
	e, u, err = k.Environment(name)
	if err != nil {
		return account.ApplicationCredential{}, err
	}
	if v, ok := e.AppCreds.Active(); ok { // another client was first
		return v.Value, nil
	}
	if _, ok := u.Passwords.Active(); !ok {
		return account.ApplicationCredential{}, withoutCredential(e)
	}
	g, err := k.scopedLocked(ctx, u, e)
	if err != nil {
		return account.ApplicationCredential{}, err
	}
	return k.createCredentialLocked(ctx, u, e, g)
}

func (k *Keeper) createCredentialLocked(ctx context.Context, u vault.User, e vault.Environment, g cloud.Grant) (account.ApplicationCredential, error) {
	none := account.ApplicationCredential{}
	intended, again, err := k.intendCredential(e)
	if err != nil {
		return none, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	made, err := k.makeCredential(ctx, u, e, g, intended, again)
	if err != nil {
		return none, fmt.Errorf("make the application credential %s of %s: %w", intended.Value.Name, e.Name, err)
	}
	err = k.commit("adopted", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			v := intended
			v.Value, v.Accepted, v.Checked = made, true, k.now()
			e.AppCreds = e.AppCreds.With(v).Activate(v.ID)
			e.Generation = c.NextGeneration()
		})
	})
	return made, err
}

// makeCredential asks for the intended one. again says that this was done before,
// without an answer: then it is looked for first, and no later answer says that it
// was not made, for the earlier request may still be under way.
func (k *Keeper) makeCredential(ctx context.Context, u vault.User, e vault.Environment, g cloud.Grant, intended vault.Version[account.ApplicationCredential], again bool) (account.ApplicationCredential, error) {
	if again {
		if made, err := k.madeBefore(ctx, u, g, intended.Value); err != nil || made.ID != "" {
			return made, err
		}
	}
	made, err := k.cloud.CreateApplicationCredential(ctx, u.User, g, intended.Value, cloud.Limits{})
	if err := k.crash("create: sent"); err != nil {
		return made, err
	}
	switch {
	case again: // a conflict, too: the next request looks again
	case errors.Is(err, cloud.ErrConflict):
		return k.makeCredential(ctx, u, e, g, intended, true)
	case err != nil && surelyNot(err):
		_ = k.dropCredential(e, intended.ID)
	}
	return made, err
}

// madeBefore finds the intended one in Keystone's list, by its name; without an id:
// it is not there. That its secret is the intended one a token of it proves.
func (k *Keeper) madeBefore(ctx context.Context, u vault.User, g cloud.Grant, intended account.ApplicationCredential) (account.ApplicationCredential, error) {
	none := account.ApplicationCredential{}
	all, err := k.cloud.ApplicationCredentials(ctx, u.User, g)
	if err != nil {
		return none, err
	}
	l := credentialAmong(all, g.ProjectID, intended)
	if l == nil {
		return none, nil
	}
	intended.ID = l.ID
	its, err := k.cloud.Application(ctx, u.Auth, intended)
	switch {
	case err != nil:
		return none, fmt.Errorf("it is at Keystone, but %w", err)
	case its.UserID != g.UserID || its.ProjectID != g.ProjectID:
		return none, errors.New("its token is another user's or project's")
	}
	return intended, nil
}

// intendCredential records an application credential before it is made. One
// that was intended before is taken up again: same name and secret.
func (k *Keeper) intendCredential(e vault.Environment) (_ vault.Version[account.ApplicationCredential], again bool, _ error) {
	for _, v := range e.AppCreds.List {
		if v.State == vault.Pending && (e.CredRotation == nil || e.CredRotation.New != v.ID) {
			return v, true, nil
		}
	}
	var intended vault.Version[account.ApplicationCredential]
	err := k.vault.Change(func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			e.AppCreds, intended = e.AppCreds.Stage(newCredential(e.Name), "rotation", k.now())
		})
	})
	if err != nil {
		return intended, false, fmt.Errorf("record the application credential about to be made for %s: %w", e.Name, err)
	}
	return intended, false, nil
}

func (k *Keeper) dropCredential(e vault.Environment, versionID string) error {
	return k.vault.Change(func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) { e.AppCreds = e.AppCreds.Drop(versionID) })
	})
}
