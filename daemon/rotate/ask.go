package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

// ask puts the offer to the cloud. It returns only refusals and local failures:
// an unreachable cloud is a note.
func (a *adoption) ask(ctx context.Context) error {
	secret := !a.place.secret.Empty()
	switch {
	case a.offer.Keys != nil && a.offer.Password.Empty() && a.unusable():
		a.note("stored unverified: Keystone is asked once ccactl verify has sent what was stored with --no-verify, or a password works")
		return nil
	case !secret && (a.grant != nil || a.offer.AppCred == nil && a.offer.Keys == nil):
		return nil // the cloud has told whose it is, or there is nothing to ask
	}
	err := a.silent()
	switch {
	case err != nil:
	case secret:
		err = a.askPassword(ctx)
	case a.offer.AppCred != nil:
		err = a.askApplication(ctx)
	default:
		err = a.askKeys(ctx)
	}
	a.round.heard(err)
	if secret && a.login == nil && err != nil && judged(err) {
		a.round.unanswered[a.mark()] = err
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

// silent says what the cloud did not answer of late, in place of asking it again
// for the same command. What is known to be refused is refused all the same.
func (a *adoption) silent() error {
	u := a.place.user
	if a.place.secret.Empty() {
		host := a.place.env.S3.Endpoint.Host()
		if a.offer.AppCred != nil {
			host = u.Auth.Host()
		}
		return a.round.lateAt(host)
	}
	err := cmp.Or(a.round.lateAt(u.Auth.Host()), a.round.unanswered[a.mark()])
	if err == nil {
		return nil
	}
	return cmp.Or(a.known(try{user: u.User, password: a.place.secret}), err)
}

// mark names the offered password in what is remembered of attempts.
func (a *adoption) mark() string {
	return fingerprint(a.vault.Contents(), try{user: a.place.user.User, password: a.place.secret})
}

// unusable: the stored password may not be sent for the sake of something else,
// nor the project be asked about.
func (a *adoption) unusable() bool {
	active, ok := a.place.user.Passwords.Active()
	return ok && (active.HandsOff || a.place.user.Refused != nil || a.place.env.Binding.HandsOff)
}

func (a *adoption) askPassword(ctx context.Context) error {
	u, e := a.place.user, a.place.env
	e.Binding.HandsOff = false // a person asks
	active, has := u.Passwords.Active()
	known := has && active.Value.Equal(a.place.secret)
	var base login
	var err error
	if known && active.Accepted && u.Refused == nil {
		base, err = a.baseLocked(ctx, u, active)
	} else {
		base, err = a.Keeper.login(ctx, try{user: u.User, password: a.place.secret, person: true})
		if known {
			if recordErr := a.settle(u.ID, active.ID, base, err); recordErr != nil {
				return recordErr
			}
		}
	}
	if err != nil {
		return err
	}
	a.login = &base
	if projectOf(e.Environment) == "" {
		return nil
	}
	g, err := a.rescopeLocked(ctx, u, e, &base)
	if err != nil {
		return err
	}
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
	a.grant = &g // nothing is owed any more
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
	a.place.env.S3.Region = cmp.Or(a.place.env.S3.Region, anyRegion)
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
	reason := fmt.Sprintf("Keystone does not list it for user %s and project %s", a.place.user.User, projectOf(a.place.env.Environment))
	for _, pair := range a.listed {
		if pair == *a.offer.Keys {
			return nil
		}
		if pair.AccessKeyID == a.offer.Keys.AccessKeyID {
			reason = "Keystone lists it with another secret"
		}
	}
	return &RefusedError{Subject: "the S3 key " + a.offer.Keys.AccessKeyID, At: a.now(), Reason: reason}
}

func (a *adoption) askApplication(ctx context.Context) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := a.cloud.Application(ctx, a.place.user.Auth, *a.offer.AppCred)
	if errors.Is(err, cloud.ErrRefused) || errors.Is(err, cloud.ErrNotFound) {
		return &RefusedError{Subject: "the application credential", At: a.now(), Reason: credentialReason}
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
