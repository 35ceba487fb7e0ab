package rotate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// appCreds is the kind whose values are application credentials. The new one may
// do what the former one may, and no more: same roles, same rules, same end. It is
// known by its name, which is in the journal, until Keystone has given its id.
//
// What asks is the user's password where there is a usable one. Else the
// credential asks for itself, which Keystone lets only an unrestricted one do.
type appCreds struct{}

func (appCreds) subject(name string) string                    { return "the application credential of " + name }
func (appCreds) journal(e *vault.Environment) **vault.Rotation { return &e.CredRotation }
func (appCreds) held(h Held) int                               { return h.AppCred }

func (appCreds) version(e vault.Environment, id string) (version, bool) {
	return versionOf(e, e.AppCreds, id, func(ac account.ApplicationCredential) string { return ac.Name })
}

func (appCreds) may(e vault.Environment, u vault.User) error {
	active, ok := e.AppCreds.Active()
	switch {
	case !ok && len(e.AppCreds.List) == 0:
		return lacking("the application credential of " + e.Name + ": there is none")
	case !ok:
		return withoutCredential(e)
	case active.HandsOff && !usable(u):
		return fmt.Errorf("the application credential of %s was given with --no-verify: %w", e.Name, ErrWithheld)
	}
	return nil
}

func (appCreds) intend(e *vault.Environment, now time.Time) (intended, former string) {
	active, _ := e.AppCreds.Active()
	creds, v := e.AppCreds.Stage(newCredential(e.Name), "rotation", now)
	e.AppCreds = creds
	return v.ID, active.ID
}

// newCredential is one that Keystone has not given an id yet.
func newCredential(environment string) account.ApplicationCredential {
	return account.ApplicationCredential{Name: "ccad-" + environment + "-" + account.NewID()[:8], Secret: cloud.NewPassword()}
}

// usable reports whether a user's password may be sent for the sake of something
// else.
func usable(u vault.User) bool {
	active, ok := u.Passwords.Active()
	return ok && !active.HandsOff && u.Refused == nil
}

func (appCreds) look(r *run) (err error) {
	r.creds, err = r.listedCredentials()
	r.creds = r.deleteCredentialsAgain(r.creds)
	return err
}

func (appCreds) alive(r *run, id string) bool {
	v, ok := r.env.AppCreds.Find(id)
	return ok && r.among(v.Value) != nil
}

// activate: the tokens that the former one gave die with it.
func (appCreds) activate(r *run, _ *vault.Contents, e *vault.Environment, id string) {
	r.forget("", []string{e.ID})
	e.AppCreds = e.AppCreds.Activate(id)
}

func (appCreds) drop(r *run, _ *vault.Contents, e *vault.Environment, id string) {
	v, _ := e.AppCreds.Find(id)
	e.AppCreds = e.AppCreds.Drop(id)
	if v.Source == "rotation" {
		e.AppCredsDeleted = remembered(e.AppCredsDeleted, v.Value.Name, namesOf(r.creds), r.now())
	}
}

func namesOf(creds []cloud.ListedCredential) (names []string) {
	for _, l := range creds {
		names = append(names, l.Name)
	}
	return names
}

// copies: Keystone binds a credential to one user and project, and so to one
// environment.
func (a appCreds) copies(_ *vault.Contents, e vault.Environment, id string) []version {
	v, ok := a.version(e, id)
	if !ok {
		return nil
	}
	return []version{v}
}

func (appCreds) spared(*vault.Contents, vault.Environment, string) string { return "" }

func (appCreds) remove(r *run, id string) error {
	v, _ := r.env.AppCreds.Find(id)
	listed := r.among(v.Value) // it has an id, though the store may not have it yet
	if listed == nil {
		return nil
	}
	ctx, cancel := detached(r.ctx)
	defer cancel()
	return r.cloud.DeleteApplicationCredential(ctx, r.user.User, r.grant, listed.ID)
}

// listedCredentials returns the user's, in every project. A cached token may have
// died since, with a password or a credential, or be one that may do less: then
// once more with a new one.
func (r *run) listedCredentials() ([]cloud.ListedCredential, error) {
	var cached bool
	if r.grant, cached = r.cachedToken(r.env.ID); cached && (!delegated(r.grant) || !usable(r.user)) {
		all, err := r.askCredentials()
		if !errors.Is(err, cloud.ErrRefused) {
			return all, err
		}
		r.forget("", []string{r.env.ID})
	}
	var err error
	if usable(r.user) {
		r.grant, err = r.scopedLocked(r.ctx, r.user, r.env)
	} else {
		r.grant, err = r.applicationLocked(r.ctx, r.user, r.env, false)
	}
	if err != nil {
		return nil, err
	}
	return r.askCredentials()
}

func (r *run) askCredentials() ([]cloud.ListedCredential, error) {
	ctx, cancel := detached(r.ctx)
	defer cancel()
	return r.cloud.ApplicationCredentials(ctx, r.user.User, r.grant)
}

// delegated reports whether an application credential stands behind a token.
func delegated(g cloud.Grant) bool { return slices.Contains(g.Methods, "application_credential") }

// among finds one of the environment's in Keystone's list.
func (r *run) among(ac account.ApplicationCredential) *cloud.ListedCredential {
	return credentialAmong(r.creds, r.grant.ProjectID, ac)
}

// credentialAmong finds one of a project's by its id, or by its name while it has
// none.
func credentialAmong(all []cloud.ListedCredential, projectID string, ac account.ApplicationCredential) *cloud.ListedCredential {
	i := slices.IndexFunc(all, func(l cloud.ListedCredential) bool {
		return l.ID == ac.ID || ac.ID == "" && l.Name == ac.Name && l.ProjectID == projectID
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}

// create asks for the intended one. One that is listed already was made before
// the answer, or this process, was lost: its secret is the intended one.
func (appCreds) create(r *run) (outcome, edit, error) {
	intended, ok := r.env.AppCreds.Find(r.rotation.New)
	if !ok {
		return refused, because("the intended one is no longer stored"), nil
	}
	if l := r.among(intended.Value); l != nil {
		return made, identifiedAs(l.ID), nil
	}
	var limits cloud.Limits
	if old, ok := r.env.AppCreds.Find(r.rotation.Old); ok {
		l := r.among(old.Value)
		if l == nil {
			return refused, because("Keystone does not list the former one, so what the new one may do can't be told"), nil
		}
		limits = l.Limits
	}
	ctx, cancel := detached(r.ctx)
	defer cancel()
	created, err := r.cloud.CreateApplicationCredential(ctx, r.user.User, r.grant, intended.Value, limits)
	if err := r.crash("create: sent"); err != nil {
		return "", nil, err
	}
	switch {
	case err == nil:
		return made, identifiedAs(created.ID), nil
	case errors.Is(err, cloud.ErrConflict):
		return "", nil, err // it is listed by the next look
	case errors.Is(err, cloud.ErrRefused) && delegated(r.grant):
		return refused, because("a restricted one may not make another, and no usable password of its user is stored"), nil
	}
	return r.notMade(err)
}

// identifiedAs keeps the id that Keystone gave the new one; "": its name alone tells it.
func identifiedAs(id string) edit {
	return func(_ *vault.Contents, e *vault.Environment, j *vault.Rotation) {
		if v, ok := e.AppCreds.Find(j.New); ok {
			v.Value.ID = id
			e.AppCreds = e.AppCreds.With(v)
		}
	}
}

// prove sees that the new one yields a token of the very user and project.
func (appCreds) prove(r *run) (outcome, edit, error) {
	v, ok := r.env.AppCreds.Find(r.rotation.New)
	if !ok || v.Value.ID == "" || r.among(v.Value) == nil {
		return missing, identifiedAs(""), nil // made once more it has another id, which perhaps no answer tells
	}
	ctx, cancel := detached(r.ctx)
	defer cancel()
	g, err := r.cloud.Application(ctx, r.user.Auth, v.Value)
	switch {
	case err == nil && (g.UserID != r.grant.UserID || g.ProjectID != r.grant.ProjectID):
		return late, because("its token is another user's or project's"), nil
	case err == nil:
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited), r.now().Before(r.rotation.Since.Add(proveWithin)):
		return "", nil, fmt.Errorf("the new application credential of %s is at Keystone, but %w", r.env.Name, err)
	default:
		return late, because(err.Error()), nil
	}
	now := r.now()
	return proved, func(_ *vault.Contents, e *vault.Environment, j *vault.Rotation) {
		if v, ok := e.AppCreds.Find(j.New); ok {
			v.Accepted, v.HandsOff, v.Checked = true, false, now
			e.AppCreds = e.AppCreds.With(v)
		}
	}, nil
}
