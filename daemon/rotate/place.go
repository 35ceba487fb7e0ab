package rotate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An Offer is what a person or a file says of one environment. Any of the three
// values may be missing.
type Offer struct {
	Name        string // the environment's; a guess unless Named
	Named       bool   // a person chose Name
	User        account.User
	Environment account.Environment // without Name and ids of ours
	Password    account.Secret
	AppCred     *account.ApplicationCredential
	Keys        *account.KeyPair
	AccessKeyID string        // without Keys: which of the pairs that Keystone lists is meant
	By          string        // the version's source: "import", "person", …
	From        *vault.Source // the file, to be remembered
	NoVerify    bool
}

// settled spells the default domain in one way.
func (o Offer) settled() Offer {
	if o.hasUser() && o.User.Name != "" {
		o.User.DomainID, o.User.DomainName = account.DefaultDomain(o.User.DomainID, o.User.DomainName)
	}
	if o.Environment.Project != "" {
		o.Environment.ProjectDomainID, o.Environment.ProjectDomainName = account.DefaultDomain(o.Environment.ProjectDomainID, o.Environment.ProjectDomainName)
	}
	return o
}

// hasUser reports whether the offer names a Keystone user or project at all.
func (o Offer) hasUser() bool { return !o.User.Auth.IsZero() }

// MayBe reports whether two offers can be of one environment: nothing that both
// say of its identity differs.
func (o Offer) MayBe(other Offer) bool {
	o, other = o.settled(), other.settled()
	if o.hasUser() && other.hasUser() && o.User.Name != "" && other.User.Name != "" &&
		!(o.User.Same(other.User) && o.Environment.SameProject(other.Environment)) {
		return false
	}
	if o.AppCred != nil && other.AppCred != nil && o.AppCred.ID != other.AppCred.ID {
		return false
	}
	return o.Keys == nil || other.Keys == nil || o.Keys.AccessKeyID == other.Keys.AccessKeyID
}

// A place is where an offer belongs.
type place struct {
	user    vault.User        // stored or new
	env     vault.Environment // stored or new, its bindings merged
	added   bool              // the environment is new
	rebound bool              // it goes elsewhere than before
	secret  account.Secret    // the password to try: offered, else the user's own
}

// errNamed: the same user and project have another name.
var errNamed = errors.New("stored already")

// What is offered can't be placed for want of a word of the person's.
var (
	ErrUnnamed    = errors.New("nothing in it names an environment")
	ErrNoEndpoint = errors.New("no S3 endpoint")  // and S3 keys alone
	ErrTaken      = fmt.Errorf("%w", ErrConflict) // its name: another helps
)

// anyRegion is that of an endpoint whose region nobody names, until the server
// says which it demands: every client knows it.
const anyRegion = "us-east-1"

// placeFor decides whose an offer is. Same user and project: merged into what
// is there. Same name, other identity: refused. It changes nothing.
func placeFor(c *vault.Contents, o Offer) (place, error) {
	var p place
	if o.hasUser() {
		p.user = userFor(c, o)
	}
	name, err := nameFor(c, o, p.user.ID)
	if err != nil {
		return p, err
	}
	stored, exists := c.Environments[name]
	if !exists {
		if !account.ValidName(name) { // a guess of which nothing was left: persons' names were checked
			return p, ErrUnnamed
		}
		p.added = true
		p.env = vault.Environment{Environment: o.Environment}
		p.env.ID, p.env.Name, p.env.UserID = account.NewID(), name, p.user.ID
	} else if p.env, err = merged(c, stored, o, p.user); err != nil {
		return p, err
	}
	if p.env.UserID == "" && p.env.S3.Endpoint.IsZero() {
		return p, fmt.Errorf("environment %s has %w: give --s3-endpoint", name, ErrNoEndpoint)
	}
	if p.env.S3.Region == "" && !p.env.S3.Endpoint.IsZero() {
		p.env.S3.Region = anyRegion
	}
	p.rebound = exists && rebound(stored, p.env)
	if p.user.ID == "" && p.env.UserID != "" {
		p.user = c.Users[p.env.UserID]
	}
	p.secret = o.Password
	if active, ok := p.user.Passwords.Active(); ok && p.secret.Empty() {
		p.secret = active.Value
	}
	return p, nil
}

// userFor returns the stored user that an offer names, or a new one.
func userFor(c *vault.Contents, o Offer) vault.User {
	if o.User.Name == "" { // an application credential alone: the user of the environment that has it
		for _, e := range c.Environments {
			if u := c.Users[e.UserID]; o.AppCred != nil && hasCredential(e, o.AppCred.ID) && u.Auth.SameOrigin(o.User.Auth) {
				return u
			}
		}
	} else {
		for _, u := range c.Users {
			if u.Same(o.User) {
				return u
			}
		}
	}
	u := vault.User{User: o.User}
	u.ID = account.NewID()
	return u
}

// nameFor returns the environment's name: where the user and project are stored
// already, the name they have.
func nameFor(c *vault.Contents, o Offer, userID string) (string, error) {
	if userID != "" && projectOf(o.Environment) != "" {
		for _, e := range c.EnvironmentsOf(userID) {
			if !e.SameProject(o.Environment) {
				continue
			}
			if o.Named && o.Name != e.Name {
				return "", fmt.Errorf("project %s of %s is %w as environment %s: name it so to merge, or remove that one first", projectOf(e.Environment), o.User, errNamed, e.Name)
			}
			return e.Name, nil
		}
	}
	if o.Named {
		return o.Name, nil
	}
	for _, e := range c.EnvironmentsOf(userID) {
		if o.AppCred != nil && projectOf(o.Environment) == "" && hasCredential(e, o.AppCred.ID) {
			return e.Name, nil // it is for one project, which its file does not tell
		}
	}
	name, _ := account.NameFrom(o.Name)
	return name, nil
}

func hasCredential(e vault.Environment, id string) bool {
	return slices.ContainsFunc(e.AppCreds.List, func(v vault.Version[account.ApplicationCredential]) bool { return v.Value.ID == id })
}

// merged joins an offer to a stored environment of that name, if it is the same
// identity. Bindings change only by what a person gives, and this is.
func merged(c *vault.Contents, e vault.Environment, o Offer, u vault.User) (vault.Environment, error) {
	if o.hasUser() {
		switch {
		case e.UserID == "":
			e.UserID = u.ID
		case e.UserID != u.ID:
			return e, fmt.Errorf("environment %s is user %s's, not %s's: %w", e.Name, c.Users[e.UserID].AtHost(), o.User.AtHost(), ErrTaken)
		}
		if projectOf(e.Environment) == "" {
			e.Project, e.ProjectID = o.Environment.Project, o.Environment.ProjectID
			e.ProjectDomainID, e.ProjectDomainName = o.Environment.ProjectDomainID, o.Environment.ProjectDomainName
		} else if projectOf(o.Environment) != "" && !e.SameProject(o.Environment) {
			return e, fmt.Errorf("environment %s is project %s, not %s: %w", e.Name, projectOf(e.Environment), projectOf(o.Environment), ErrTaken)
		}
		if o.Environment.Region != "" {
			e.Region = o.Environment.Region
		}
	}
	if active, ok := e.Keys.Active(); ok && o.By == "import" && e.UserID == "" && e.S3.Owner == "" && o.Keys != nil && o.Keys.AccessKeyID != active.Value.AccessKeyID {
		return e, fmt.Errorf("environment %s has the S3 key %s, and the cloud has not said that %s is the same owner's (ccactl update replaces it): %w",
			e.Name, active.Value.AccessKeyID, o.Keys.AccessKeyID, ErrConflict)
	}
	given := o.Environment.S3
	switch {
	case given.Endpoint.IsZero():
	case e.S3.Endpoint.IsZero():
		e.S3 = given
	case !e.S3.Endpoint.SameOrigin(given.Endpoint) && !o.hasUser():
		return e, fmt.Errorf("environment %s has its S3 at %s, not at %s: %w", e.Name, e.S3.Endpoint.Host(), given.Endpoint.Host(), ErrTaken)
	case given.Region == "" && e.S3.Endpoint.SameOrigin(given.Endpoint):
		e.S3.Endpoint = given.Endpoint
	default:
		e.S3.Endpoint, e.S3.Region = given.Endpoint, given.Region
	}
	return e, nil
}

// rebound reports whether a person changed where an environment's requests go,
// or as whom. A region that the server demands was no person's choice.
func rebound(was, is vault.Environment) bool {
	return was.UserID != is.UserID || !was.SameProject(is.Environment) || was.S3.Endpoint != is.S3.Endpoint || was.S3.Region != is.S3.Region
}
