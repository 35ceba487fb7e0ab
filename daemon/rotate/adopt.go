package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An Outcome says what became of an offer.
type Outcome struct {
	Environment string
	Added       bool
	Unchanged   bool     // all of it was there
	Notes       []string // one line each, for the person
	Err         error    // why Restore left it out
}

// Preview returns what Adopt would be about, without asking the cloud, or why it
// would not get as far as asking.
func (k *Keeper) Preview(o Offer) (Outcome, error) {
	p, err := placeFor(k.vault.Contents(), o.settled())
	return Outcome{Environment: p.env.Name, Added: p.added}, err
}

// Adopt takes what a person offers. What the cloud accepts is stored as
// verified; what it refuses is not stored and returned as *RefusedError; what
// it can't be asked about is stored and served all the same, unverified.
func (r *Round) Adopt(ctx context.Context, o Offer) (Outcome, error) {
	var told *cloud.Grant
	if o.AppCred != nil && o.User.Name == "" {
		var err error
		if told, err = r.askWhose(ctx, &o); err != nil {
			return Outcome{}, err
		}
	}
	out, twin, err := r.adoptAs(ctx, o.settled(), told)
	if twin != nil {
		if out, twin, err = r.adoptAs(ctx, *twin, told); twin != nil {
			err = fmt.Errorf("%s: the cloud says that it is %s: %w", o.User.AtHost(), twin.User.AtHost(), ErrConflict)
		}
	}
	return out, err
}

// adoptAs is Adopt by what the offer says of itself. Where the cloud says that it
// is a stored user's nothing is stored, and twin is the offer as that one's.
func (r *Round) adoptAs(ctx context.Context, o Offer, told *cloud.Grant) (out Outcome, twin *Offer, err error) {
	k := r.keeper
	p, err := placeFor(k.vault.Contents(), o)
	if err != nil {
		return Outcome{}, nil, err
	}
	defer k.gate(gateOf(p.env, p.user))()
	if p, err = placeFor(k.vault.Contents(), o); err != nil { // as it is now that we are alone
		return Outcome{}, nil, err
	}
	a := adoption{Keeper: k, round: r, offer: o, place: p, grant: told, out: Outcome{Environment: p.env.Name, Added: p.added}}
	a.leaveFormer()
	a.noteMove()
	if o.NoVerify {
		err = k.known(try{user: p.user.User, password: a.offer.Password})
	} else {
		err = a.ask(ctx)
	}
	if no, right := expired(err); right {
		a.expired, err = no, nil
		a.note("%s", changeIt(p.user))
	}
	if err != nil {
		return a.out, nil, err
	}
	if u, is := a.twinOf(); is {
		o = a.offer.of(u, &a)
		return a.out, &o, nil
	}
	if err := a.commit(); err != nil {
		return a.out, nil, err
	}
	a.finish(ctx)
	return a.out, nil, nil
}

// changeIt says what to do about a password that is right and has expired.
func changeIt(u vault.User) string {
	return fmt.Sprintf("the password is right, and must be changed before it works: ccactl rotate --user %s --password", u.User)
}

// askWhose asks the cloud whose an application credential is and for which
// project: its file says neither. Without an answer it needs a name.
func (r *Round) askWhose(ctx context.Context, o *Offer) (*cloud.Grant, error) {
	if o.NoVerify {
		if o.Name == "" {
			return nil, errors.New("it names no project: give --name")
		}
		return nil, nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	err := r.lateAt(o.User.Auth.Host())
	var g cloud.Grant
	if err == nil {
		g, err = r.keeper.cloud.Application(ctx, o.User.Auth, *o.AppCred)
		r.heard(err)
	}
	switch {
	case errors.Is(err, cloud.ErrRefused), errors.Is(err, cloud.ErrNotFound):
		return nil, &RefusedError{Subject: "the application credential", At: r.keeper.now(), Reason: credentialReason}
	case err != nil && o.Name == "":
		return nil, fmt.Errorf("it names no project: give --name (%w)", err)
	case err != nil:
		return nil, nil
	}
	o.User.Name, o.User.DomainID, o.User.DomainName = g.UserName, g.UserDomainID, ""
	o.Environment.Project, o.Environment.ProjectID = g.ProjectName, g.ProjectID
	o.Environment.ProjectDomainID, o.Environment.ProjectDomainName = g.ProjectDomainID, ""
	if o.Name == "" {
		o.Name = g.ProjectName
	}
	return &g, nil
}

// leaveFormer takes the stored password in place of a former one that a file still
// has: beside one that works it is wrong, and would cost a failed login.
func (a *adoption) leaveFormer() {
	u := a.place.user
	stored, has := u.Passwords.Active()
	if a.offer.From == nil || !has || !stored.Accepted || u.Refused != nil || !a.retired(a.offer.Password) {
		return
	}
	a.offer.Password, a.place.secret = account.Secret{}, stored.Value
	a.note("the password in %s is a former one: the stored one is used", a.offer.From.Path)
}

// noteMove tells that a person's file sends stored keys to another host.
func (a *adoption) noteMove() {
	stored, ok := a.vault.Contents().Environments[a.place.env.Name]
	was, is := stored.S3.Endpoint, a.place.env.S3.Endpoint
	if ok && !was.IsZero() && !was.SameOrigin(is) {
		a.note("S3 moves from %s to %s", was.Host(), is.Host())
	}
}
