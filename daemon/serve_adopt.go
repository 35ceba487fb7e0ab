package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// The documentation's cloud, whose addresses nobody need give.
const (
	defaultAuthURL    = "https://auth.cloud.ca"
	defaultS3Endpoint = "https://objects.cloud.ca"
	defaultS3Region   = "cloud.ca"
)

func usage(format string, args ...any) error {
	return &ipc.Error{Code: ipc.CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// add stores an environment that a person spells out.
func (d *Daemon) add(r *request) (any, error) {
	in, err := decode[ipc.AddRequest](r)
	if err != nil {
		return nil, err
	}
	offer, err := offerOf(in)
	if err != nil {
		return nil, err
	}
	change := ipc.Change{Environment: offer.Name, User: offer.User.Name, Project: offer.Environment.Project, AuthURL: offer.User.Auth.URL}
	if in.DryRun {
		return foreseen(r, offer, change)
	}
	return settled(ipc.Changes{Changes: []ipc.Change{d.adopt(r, offer, change)}})
}

// foreseen says what add would do, and whether it takes a password: nobody is asked
// for one in vain.
func foreseen(r *request, o rotate.Offer, change ipc.Change) (any, error) {
	preview, err := r.open.keeper.Preview(o)
	if err != nil {
		return nil, err
	}
	change.Environment, change.Action = preview.Environment, "merged"
	if preview.Added {
		change.Action = "added"
	}
	if o.Password.Empty() && !holdsPassword(r.open.keeper.Contents(), o.User) {
		change.Missing = "password"
	}
	return ipc.Changes{DryRun: true, Changes: []ipc.Change{change}}, nil
}

// offerOf makes an offer of the flags of add, with the contract's defaults.
func offerOf(in ipc.AddRequest) (o rotate.Offer, err error) {
	if !account.ValidName(in.Name) {
		return o, usage("that is no environment name (a-z, 0-9, dot, hyphen, underscore; 63 characters)")
	}
	o = rotate.Offer{Name: in.Name, Named: true, By: "person", NoVerify: in.NoVerify, Password: account.NewSecret(in.Password)}
	s3Alone := in.User == "" && in.Project == "" && in.Password == ""
	if !s3Alone {
		if in.User == "" || in.Project == "" {
			return o, usage("an environment needs --user and --project, or S3 keys alone")
		}
		for _, named := range []string{in.User, in.Project, in.UserDomainID, in.ProjectDomainID} {
			if utf8.RuneCountInString(named) > account.MaxNamed {
				return o, usage("a user, a project and a domain have names of %d characters at most", account.MaxNamed)
			}
		}
		in.AuthURL = cmp.Or(in.AuthURL, defaultAuthURL)
		api := cmp.Or(in.IdentityAPI, "3")
		if in.IdentityAPI == "" && strings.HasSuffix(strings.TrimRight(in.AuthURL, "/"), "/v2.0") {
			api = "2.0"
		}
		if api != "3" && api != "2.0" {
			return o, usage("--identity-api is 3 or 2.0")
		}
		auth, err := account.ParseEndpoint(trimVersion(in.AuthURL), in.InsecureHTTP)
		if err != nil {
			return o, usage("the auth URL can't be used: %v", err)
		}
		o.User = account.User{Name: in.User, DomainID: cmp.Or(in.UserDomainID, "default"), Auth: auth, IdentityAPI: api}
		o.Environment.Project, o.Environment.ProjectDomainID = in.Project, cmp.Or(in.ProjectDomainID, "default")
		if auth.Origin() == defaultAuthURL+":443" {
			in.S3Endpoint = cmp.Or(in.S3Endpoint, defaultS3Endpoint)
		}
	} else if in.AuthURL == "" {
		in.S3Endpoint = cmp.Or(in.S3Endpoint, defaultS3Endpoint)
	}
	if o.Environment.S3, err = s3Of(in.S3Endpoint, in.S3Region, in.InsecureHTTP); err != nil {
		return o, err
	}
	switch {
	case in.S3AccessKey != "" && in.S3Secret != "":
		o.Keys = &account.KeyPair{AccessKeyID: in.S3AccessKey, Secret: account.NewSecret(in.S3Secret)}
	case in.S3AccessKey != "" && !s3Alone:
		o.AccessKeyID = in.S3AccessKey
	case in.S3AccessKey != "" || in.S3Secret != "":
		return o, usage("an S3 key has two halves: the access key and its secret")
	case s3Alone:
		return o, usage("nothing to store: give --user and --project, or an S3 key")
	}
	return o, nil
}

// trimVersion takes the version off an auth URL: both forms are in use.
func trimVersion(url string) string {
	url = strings.TrimRight(url, "/")
	return strings.TrimSuffix(strings.TrimSuffix(url, "/v3"), "/v2.0")
}

// s3Of makes the S3 part. Without a region it is the documentation's for its
// own endpoint.
func s3Of(endpoint, region string, insecure bool) (account.S3, error) {
	if endpoint == "" {
		return account.S3{Region: region}, nil
	}
	e, err := account.ParseEndpoint(endpoint, insecure)
	if err != nil {
		return account.S3{}, usage("the S3 endpoint can't be used: %v", err)
	}
	if region == "" && e.Origin() == defaultS3Endpoint+":443" {
		region = defaultS3Region
	}
	return account.S3{Endpoint: e, Region: region}, nil
}

// adopt puts one offer to the keeper and says what became of it.
func (d *Daemon) adopt(r *request, o rotate.Offer, change ipc.Change) ipc.Change {
	out, err := r.round().Adopt(r.Context(), o)
	d.watched.watcher.Again() // a person has acted
	change.Environment = cmp.Or(out.Environment, change.Environment)
	change.Notes = append(change.Notes, out.Notes...)
	if err != nil {
		d.tellRefused(change.User, change.Environment, err)
		change.Error = wireError(err)
		change.Action = "failed"
		if change.Error.Code == ipc.CodeRefused {
			change.Action, change.State = "refused", rotate.StateRefused
		}
		return change
	}
	d.describe(r, &change)
	if out.Unchanged {
		change.Action = "unchanged"
		return change
	}
	change.Action = "merged"
	if out.Added {
		change.Action = "added"
	}
	d.record(r.open, audit.Entry{Event: "adopted", Environment: change.Environment, User: change.User, Note: change.Source})
	return change
}

// describe fills in how an environment stands now.
func (d *Daemon) describe(r *request, change *ipc.Change) {
	c := r.open.keeper.Contents()
	e, ok := c.Environments[change.Environment]
	if !ok {
		return
	}
	keys, _ := e.Keys.Active()
	change.State = rotate.EnvironmentState(c, e, d.now())
	change.User, change.Project = c.Users[e.UserID].Called, cmp.Or(e.Project, e.ProjectID)
	change.S3Endpoint, change.AccessKeyID = e.S3.Endpoint.URL, keys.Value.AccessKeyID
}

// settled turns the failure of a single change into the request's.
func settled(c ipc.Changes) (any, error) {
	if len(c.Changes) == 1 && c.Changes[0].Error != nil {
		return nil, c.Changes[0].Error
	}
	return c, nil
}

// update takes a value that was regenerated in the portal.
func (d *Daemon) update(r *request) (any, error) {
	in, err := decode[ipc.UpdateRequest](r)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Environment != "" && (in.S3Secret != "" || in.DryRun):
		return d.updateKeys(r, in)
	case in.User != "" && (in.Password != "" || in.DryRun):
		return d.updatePassword(r, in)
	}
	return nil, usage("update takes an environment and its S3 secret, or a user and his password")
}

func (d *Daemon) updateKeys(r *request, in ipc.UpdateRequest) (any, error) {
	e, _, err := r.open.keeper.Environment(in.Environment)
	if err != nil {
		return nil, err
	}
	active, _ := e.Keys.Active()
	access := cmp.Or(in.S3AccessKey, active.Value.AccessKeyID, d.wantedKey(e))
	if access == "" {
		return nil, usage("environment %s has no S3 key: give --s3-access-key", in.Environment)
	}
	if in.DryRun {
		return ipc.Changes{DryRun: true, Changes: []ipc.Change{}}, nil
	}
	pair := account.KeyPair{AccessKeyID: access, Secret: account.NewSecret(in.S3Secret)}
	change := d.adopt(r, rotate.Offer{Name: in.Environment, Named: true, Keys: &pair, By: "person", NoVerify: in.NoVerify}, ipc.Change{Environment: in.Environment})
	return settled(ipc.Changes{Changes: []ipc.Change{change}})
}

func (d *Daemon) updatePassword(r *request, in ipc.UpdateRequest) (any, error) {
	u, err := r.open.keeper.FindUser(in.User)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return ipc.Changes{DryRun: true, Changes: []ipc.Change{}}, nil
	}
	notes, err := r.open.keeper.UpdatePassword(r.Context(), u.ID, account.NewSecret(in.Password), in.NoVerify)
	d.watched.watcher.Again() // a person has acted
	if err != nil {
		d.tellRefused(u.Called, "", err)
		return nil, err
	}
	out := ipc.Changes{Notes: notes, Changes: []ipc.Change{}}
	for _, e := range r.open.keeper.Contents().EnvironmentsOf(u.ID) {
		change := ipc.Change{Environment: e.Name, Action: "merged"}
		d.describe(r, &change)
		d.record(r.open, audit.Entry{Event: "adopted", Environment: e.Name, User: change.User, Note: "update"})
		out.Changes = append(out.Changes, change)
	}
	return out, nil
}

// verify asks the cloud again. A refusal of one environment is told beside the
// others' answers; of the only one it is the request's.
func (d *Daemon) verify(r *request) (any, error) {
	in, err := decode[ipc.VerifyRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Rejected != "" {
		return d.verifyRejected(r, in)
	}
	names := in.Environments
	c := r.open.keeper.Contents()
	if len(names) == 0 {
		for name := range c.Environments {
			names = append(names, name)
		}
	}
	changes := []ipc.Change{}
	for _, name := range slices.Sorted(slices.Values(names)) {
		e, _, err := r.open.keeper.Environment(name)
		if err != nil {
			return nil, err
		}
		if err = r.round().Verify(r.Context(), name); err == nil && e.UserID == "" && rotate.KeyState(e) == rotate.StateNone {
			err = noKey(e)
		}
		d.heard(e, err)
		changes = append(changes, d.verified(r, e, err))
	}
	d.watched.watcher.Again() // a person has acted
	return ipc.Changes{Changes: changes}, nil
}

// verifyRejected follows a program's report that the cloud refused what it was
// given.
func (d *Daemon) verifyRejected(r *request, in ipc.VerifyRequest) (any, error) {
	was, _, err := r.open.keeper.Environment(in.Rejected)
	if err != nil {
		return nil, err
	}
	if in.Background {
		return ipc.Changes{Changes: []ipc.Change{d.report(in.Rejected)}}, nil
	}
	asked, err := d.checkRejected(r.Context(), r.open, in.Rejected)
	change := d.verified(r, was, err)
	change.Unasked = !asked
	return ipc.Changes{Changes: []ipc.Change{change}}, nil
}

// verified is what the cloud said of an environment, and how it stands now: with
// another S3 key than it had, where Keystone's list has put one in force.
func (d *Daemon) verified(r *request, was vault.Environment, err error) ipc.Change {
	change := ipc.Change{Environment: was.Name, Action: "unchanged"}
	now, _, _ := r.open.keeper.Environment(was.Name)
	served, _ := now.Keys.Active()
	if before, _ := was.Keys.Active(); served.ID != before.ID {
		change.Action = "merged"
	}
	if err != nil {
		change.Error = wireError(err)
		change.Action = "failed"
		if change.Error.Code == ipc.CodeRefused {
			change.Action = "refused"
		}
	}
	d.describe(r, &change)
	return change
}
