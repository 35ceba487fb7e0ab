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

// An Outcome says what became of an offer.
type Outcome struct {
	Environment string
	Added       bool
	Notes       []string // one line each, for the person
}

// Preview returns what Adopt would be about, without asking the cloud.
func (k *Keeper) Preview(o Offer) (Outcome, error) {
	p, err := placeFor(k.vault.Contents(), o)
	return Outcome{Environment: p.env.Name, Added: p.added}, err
}

// Adopt takes what a person offers. What the cloud accepts is stored as
// verified; what it refuses is not stored and returned as *RefusedError; what
// it can't be asked about is stored and served all the same, unverified.
func (k *Keeper) Adopt(ctx context.Context, o Offer) (Outcome, error) {
	if o.hasUser() && o.User.Name == "" && o.Name == "" {
		var err error
		if o, err = k.nameByCloud(ctx, o); err != nil {
			return Outcome{}, err
		}
	}
	p, err := placeFor(k.vault.Contents(), o)
	if err != nil {
		return Outcome{}, err
	}
	defer k.gate(guardKey(p.user.User))()
	if p, err = placeFor(k.vault.Contents(), o); err != nil { // as it is now that we are alone
		return Outcome{}, err
	}
	a := adoption{Keeper: k, offer: o, place: p, out: Outcome{Environment: p.env.Name, Added: p.added}}
	if !o.NoVerify {
		if err := a.ask(ctx); err != nil {
			return a.out, err
		}
	}
	if err := a.commit(); err != nil {
		return a.out, err
	}
	return a.out, a.finish(ctx)
}

// nameByCloud names an application credential's environment after the project
// that the cloud says it is for.
func (k *Keeper) nameByCloud(ctx context.Context, o Offer) (Offer, error) {
	const advice = "it names no project: give --name"
	if o.AppCred == nil || o.NoVerify {
		return o, errors.New(advice)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := k.cloud.Application(ctx, o.User.Auth, *o.AppCred)
	switch {
	case errors.Is(err, cloud.ErrRefused):
		return o, &RefusedError{Subject: "the application credential", At: k.now(), Reason: "it is wrong, expired or deleted"}
	case err != nil:
		return o, fmt.Errorf("%s (%w)", advice, err)
	}
	o.Name = g.ProjectName
	return o, nil
}

// An adoption is one offer on its way.
type adoption struct {
	*Keeper
	offer Offer
	place place
	out   Outcome

	grant    *cloud.Grant // the project's; nil: the cloud was not asked, or did not answer
	login    *login       // the user's
	listed   []account.KeyPair
	offers   bool // Keystone lists keys at all
	s3Proved bool
	replaced bool // the user's password is another one now
}

func (a *adoption) note(format string, args ...any) {
	a.out.Notes = append(a.out.Notes, fmt.Sprintf(format, args...))
}

// ask puts the offer to the cloud. It returns only refusals and local failures:
// an unreachable cloud is a note.
func (a *adoption) ask(ctx context.Context) error {
	var err error
	switch {
	case !a.place.secret.Empty():
		err = a.askPassword(ctx)
	case a.offer.AppCred != nil:
		err = a.askApplication(ctx)
	case a.offer.Keys != nil:
		err = a.askKeys(ctx)
	default:
		return nil
	}
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	if errors.Is(err, cloud.ErrUnreachable) || errors.Is(err, cloud.ErrLimited) {
		a.note("stored unverified: %v", err)
		return nil
	}
	return err
}

func (a *adoption) askPassword(ctx context.Context) error {
	u, e := a.place.user, a.place.env
	active, has := u.Passwords.Active()
	known := has && active.Value.Equal(a.place.secret)
	if known && u.Refused != nil && !u.Refused.LockedOut {
		return standing(u)
	}
	var base login
	var err error
	if known && active.Accepted {
		base, err = a.baseLocked(ctx, u, e.Environment, active)
	} else {
		base, err = a.Keeper.login(ctx, try{user: u.User, password: a.place.secret, person: true}, e.Environment)
	}
	if err != nil {
		return err
	}
	a.login = &base
	if projectOf(e.Environment) == "" {
		return nil
	}
	g, err := a.rescopeLocked(ctx, u, e, base)
	if err != nil {
		return err
	}
	a.grant = &g
	if a.place.env.S3.Endpoint.IsZero() && g.S3URL != "" {
		a.pinS3(g.S3URL)
	}
	a.listed, err = a.listedKeys(ctx, u, g)
	a.offers = err == nil
	if errors.Is(err, cloud.ErrNotOffered) || errors.Is(err, cloud.ErrRefused) {
		a.note("this cloud does not list S3 keys")
		err = nil
	}
	if err != nil {
		return err
	}
	if err := a.chosenKeys(); err != nil {
		return err
	}
	return a.checkOfferedKeys()
}

// pinS3 takes the S3 endpoint from Keystone's catalog, once.
func (a *adoption) pinS3(catalog string) {
	endpoint, err := account.ParseEndpoint(catalog, a.place.user.Auth.InsecureHTTP)
	if err != nil {
		a.note("the catalog's S3 endpoint is not used: %v", err)
		return
	}
	a.place.env.S3.Endpoint = endpoint
	a.note("S3 endpoint %s, from Keystone's catalog", endpoint.URL)
}

// chosenKeys finds the pair of which only the access key was named.
func (a *adoption) chosenKeys() error {
	if a.offer.AccessKeyID == "" || a.offer.Keys != nil {
		return nil
	}
	for _, pair := range a.listed {
		if pair.AccessKeyID == a.offer.AccessKeyID {
			a.offer.Keys = &pair
			return nil
		}
	}
	return &RefusedError{Subject: "the S3 key " + a.offer.AccessKeyID, At: a.now(),
		Reason: fmt.Sprintf("Keystone does not list it for user %s and project %s", a.place.user.User, projectOf(a.place.env.Environment))}
}

// checkOfferedKeys lets pass only a pair that Keystone lists for this very user
// and project: an accepted key of somebody else's would collect the data.
func (a *adoption) checkOfferedKeys() error {
	if a.offer.Keys == nil || !a.offers {
		return nil
	}
	for _, pair := range a.listed {
		if pair.AccessKeyID == a.offer.Keys.AccessKeyID && pair.Secret.Equal(a.offer.Keys.Secret) {
			return nil
		}
	}
	return &RefusedError{Subject: "the S3 key " + a.offer.Keys.AccessKeyID, At: a.now(),
		Reason: fmt.Sprintf("Keystone does not list it for user %s and project %s", a.place.user.User, projectOf(a.place.env.Environment))}
}

func (a *adoption) askApplication(ctx context.Context) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := a.cloud.Application(ctx, a.place.user.Auth, *a.offer.AppCred)
	if errors.Is(err, cloud.ErrRefused) {
		return &RefusedError{Subject: "the application credential", At: a.now(), Reason: "it is wrong, expired or deleted"}
	}
	if err != nil {
		return err
	}
	if id := a.place.env.ProjectID; id != "" && id != g.ProjectID {
		return fmt.Errorf("the application credential is for project %s, environment %s is not: %w", g.ProjectName, a.place.env.Name, ErrConflict)
	}
	a.grant = &g
	return nil
}

func (a *adoption) askKeys(ctx context.Context) error {
	s3 := a.place.env.S3
	if s3.Endpoint.IsZero() {
		return fmt.Errorf("environment %s has no S3 endpoint: give --s3-endpoint", a.place.env.Name)
	}
	proved, owner, err := a.probeS3(ctx, s3, *a.offer.Keys)
	if errors.Is(err, cloud.ErrRefused) {
		return &RefusedError{Subject: "the S3 key " + a.offer.Keys.AccessKeyID, At: a.now(), Reason: s3.Endpoint.Host() + " does not accept it"}
	}
	if err != nil {
		return err
	}
	if s3.Owner != "" && s3.Owner != owner {
		return &RefusedError{Subject: "the S3 key " + a.offer.Keys.AccessKeyID, At: a.now(), Reason: "it is another owner's"}
	}
	if proved.Region != s3.Region {
		a.note("S3 region %s, as the server demands", proved.Region)
	}
	a.s3Proved = true
	a.place.env.S3 = proved
	if a.place.env.UserID == "" {
		a.place.env.S3.Owner = owner
	}
	return nil
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
			if e.UserID != stored.UserID || e.S3.Endpoint != stored.S3.Endpoint {
				stored.Epoch++ // another binding: the gateway keys of the former one are void
			}
			e.Generation, e.Epoch, e.Keys, e.AppCreds, e.Sources = stored.Generation, stored.Epoch, stored.Keys, stored.AppCreds, stored.Sources
		}
		_, had := u.Passwords.Active()
		u, newPassword := a.withPassword(u, now)
		a.replaced = had && newPassword
		e = remember(a.withValues(e, now), a.offer.From)
		if a.grant != nil {
			u, e = identified(u, *a.grant), placed(e, *a.grant)
		}
		if u.ID != "" {
			c.Users[u.ID] = u
		}
		c.Environments[e.Name] = e
		touch(c, e.Name)
		if newPassword {
			touchAll(c, u.ID)
		}
		return nil
	})
	if err == nil {
		a.forget("", []string{a.place.env.ID})
		a.cache()
	}
	return err
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
	if a.login != nil {
		v.Accepted, v.Checked, v.HandsOff = true, now, false
		u.PasswordExpires = expiryOf(*a.login, now)
		u = identified(u, a.login.Grant)
	}
	u.Passwords = passwords.With(v)
	if v.State != vault.Active {
		u.Passwords = u.Passwords.Activate(v.ID)
	}
	if changed {
		u.Refused = nil
	}
	return u, changed
}

// withValues puts offered keys and application credentials in force, and adopts
// the keys that Keystone lists.
func (a *adoption) withValues(e vault.Environment, now time.Time) vault.Environment {
	if a.offer.AppCred != nil {
		creds, v := e.AppCreds.Stage(*a.offer.AppCred, a.offer.By, now)
		v.HandsOff = a.offer.NoVerify && !v.Accepted
		if a.grant != nil && a.login == nil {
			v.Accepted, v.Checked, v.HandsOff = true, now, false
		}
		e.AppCreds = creds.With(v)
		if v.State != vault.Active {
			e.AppCreds = e.AppCreds.Activate(v.ID)
		}
	}
	if a.offer.Keys != nil {
		keys, v := e.Keys.Stage(*a.offer.Keys, a.offer.By, now)
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
		e, _ = reconciled(e, a.listed, now)
	}
	return e
}

// finish does what needs the environment stored: the S3 region that the server
// demands, and the other environments of a user whose password is new.
func (a *adoption) finish(ctx context.Context) error {
	if a.login == nil {
		return nil
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
	return nil
}

// healLocked brings the S3 keys of a user's environments in line after a new
// password, all but one of them: one accepted password is enough. What could
// not be healed is told in notes; a later check goes on with it.
func (k *Keeper) healLocked(ctx context.Context, userID, except string, base login) (notes []string) {
	for _, e := range k.vault.Contents().EnvironmentsOf(userID) {
		if e.Name == except || projectOf(e.Environment) == "" {
			continue
		}
		if err := k.verifyProjectLocked(ctx, userID, e.Name, base); err != nil {
			notes = append(notes, fmt.Sprintf("environment %s: %v", e.Name, err))
		}
	}
	return notes
}
