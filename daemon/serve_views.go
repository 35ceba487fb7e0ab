package daemon

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/daemon/view"
	"github.com/cloud-ca/ccad/ipc"
)

// credentialProcess hands out the S3 key pair as AWS SDKs want it. It follows
// the state of the key: a password that changed kills none.
func (d *Daemon) credentialProcess(r *request) (any, error) {
	e, _, err := r.open.keeper.Environment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	forGateway := r.URL.Query().Get("gateway") == "true"
	if err := rotate.MayServeKeys(e); err != nil && !forGateway { // mint decides for the gateway
		return nil, err
	}
	keys, ok := e.Keys.Active()
	if !ok {
		return nil, noKey(e)
	}
	if e.S3.Endpoint.IsZero() { // a client's own default is Amazon, who must never see the key
		return nil, noEndpoint(e)
	}
	until := d.now().Add(time.Duration(d.Config.Serve.Lease))
	if forGateway {
		minted, _, err := d.mint(e, until, "")
		if err != nil {
			return nil, err
		}
		d.handOut(r, e, "gateway-key", held{version: keys.N}, until)
		return reply{contentType: "application/json", body: view.CredentialProcess(minted, until)}, nil
	}
	d.handOut(r, e, "credential-process", held{keys.N, rotate.Held{Keys: keys.N}}, until)
	return reply{contentType: "application/json", body: view.CredentialProcess(keys.Value, until)}, nil
}

func noEndpoint(e vault.Environment) error {
	return fmt.Errorf("environment %s has no S3 endpoint", e.Name)
}

// env renders an environment for one kind of client.
func (d *Daemon) env(r *request) (any, error) {
	e, u, err := r.open.keeper.Environment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	as := q.Get("as") // counted and recorded, so one of our words
	if as != "" && as != rotate.ViewExec {
		return nil, usage("as= is exec or nothing")
	}
	if _, err := lifeOf(q, defaultViewLife); err != nil { // also where no key is in it
		return nil, err
	}
	asked := view.Request{Client: q.Get("client"), Auth: q.Get("auth"), Format: q.Get("format")}
	plan, need, err := view.Plan(asked)
	if err == nil && asked.Auth == "" && plan.Auth == view.Password && servedByCredential(e, u) {
		asked.Auth = view.ApplicationCredential
		plan, need, err = view.Plan(asked)
	}
	if err != nil {
		return nil, usage("%v", err)
	}
	if q.Has("for") && !need.Keys {
		return nil, usage("--for is how long an S3 key lives, and there is none in this view")
	}
	hook := strings.HasPrefix(plan.Format, "hook-")
	if hook && e.UserID == "" && !need.Keys {
		return d.hookOfKeysAlone(r, e)
	}
	if file := q.Get("file"); file != "" {
		if !d.isRendered(file, e.Name, plan.Format) {
			return nil, usage("no [[render]] table of the config has that file with this environment and view")
		}
		r.holder = file
	}
	if need.Password || need.Token {
		if e, u, err = d.certain(r, e); err != nil {
			return nil, err
		}
	}
	m, given, err := d.material(r, e, u, need)
	if err != nil {
		return nil, err
	}
	body, warnings, err := view.Render(plan, m)
	if err != nil {
		return nil, err
	}
	what := cmp.Or(as, plan.Client+"/"+plan.Format)
	if r.holder != "" {
		what = r.holds() + "/" + plan.Format
	}
	d.handOut(r, e, what, given, time.Time{})
	if hook {
		warnings = append(warnings, d.heardBy(r, e)...)
	}
	return reply{contentType: "text/plain; charset=utf-8", body: body, warnings: warnings}, nil
}

// certain waits for a change of an environment's password, and returns the
// environment and its user as they are then: one more client with a password that
// has just died would be one more failed login.
func (d *Daemon) certain(r *request, e vault.Environment) (vault.Environment, vault.User, error) {
	if err := r.open.keeper.Certain(r.Context(), e.UserID); err != nil {
		return e, vault.User{}, err
	}
	return r.open.keeper.Environment(e.Name)
}

// servedByCredential: the environment came with an application credential, or
// there is no password to prefer. Its programs then never have the password, which
// opens all projects of its user.
func servedByCredential(e vault.Environment, u vault.User) bool {
	_, hasPassword := u.Passwords.Active()
	return len(e.AppCreds.List) > 0 && (e.ByCredential || !hasPassword)
}

// throughGateway decides whose S3 key a client gets: the gateway's where no
// current AWS client would accept the environment's region, unless the person
// says otherwise.
func throughGateway(q url.Values, e vault.Environment) bool {
	switch {
	case q.Get("gateway") == "true":
		return true
	case q.Get("direct") == "true":
		return false
	}
	return e.S3.Region != "" && !hostLabel.MatchString(e.S3.Region)
}

// hostLabel is what AWS clients accept as a region.
var hostLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// viewKey says for whom the gateway key inside a view is, and until when it is
// good. A program that ccactl runs holds it in its variables, for as long as it
// runs. It and a file that is kept written get the same key again for half its
// life, and so are left alone while nothing else changes.
func (d *Daemon) viewKey(r *request) (holder string, until time.Time, err error) {
	q := r.URL.Query()
	life := defaultViewLife
	switch {
	case q.Get("as") == rotate.ViewExec:
		client, _ := processOf(r.pid)
		holder, life = fmt.Sprintf("process %d %d", client.PID, client.Started), maxViewLife
	case r.holder != "":
		holder = r.holds() + " " + r.holder
		if r.holds() == "unit" {
			life = maxViewLife // a unit has it for as long as it runs
		}
	}
	if life, err = lifeOf(q, life); err != nil {
		return "", until, err
	}
	if holder == "" {
		return "", d.now().Add(life), nil
	}
	return holder, d.now().Truncate(life / 2).Add(life / 2 * 2), nil
}

// lifeOf is how long the gateway key inside a view is to live.
func lifeOf(q url.Values, otherwise time.Duration) (time.Duration, error) {
	given := q.Get("for")
	if given == "" {
		return otherwise, nil
	}
	life, err := time.ParseDuration(given)
	if err != nil || life < time.Minute || life > maxViewLife {
		return 0, usage("--for is a duration of 1m to %dh, such as 12h", maxViewLife/time.Hour)
	}
	return life, nil
}

// The life of a gateway key that is printed into a view.
const (
	defaultViewLife = 12 * time.Hour
	maxViewLife     = 90 * 24 * time.Hour
)

// material gathers what a view needs, and nothing else. All but tokens and
// application credentials that do not exist yet comes from memory.
func (d *Daemon) material(r *request, e vault.Environment, u vault.User, need view.Need) (m view.Material, given held, err error) {
	m = view.Material{User: u.User, Environment: e.Environment}
	if need.Password {
		active, ok := u.Passwords.Active()
		switch {
		case ok:
			err := rotate.MayServePassword(u)
			if err != nil && r.holder != "" && need.Keys && hasKeys(e) {
				m.User = account.User{} // the S3 remote of a file goes on without the other one
				break
			}
			if err != nil {
				return m, held{}, err
			}
			m.Password = active.Value
			given.holds(active.N, &given.Password)
		case e.UserID != "":
			return m, held{}, fmt.Errorf("no password of user %s is stored", u.User)
		}
	}
	if need.Token && e.UserID != "" {
		if err := rotate.MayServePassword(u); err != nil { // its tokens died with it
			return m, held{}, err
		}
		token, storage, err := r.open.keeper.Token(r.Context(), e.Name)
		if err != nil {
			return m, held{}, err
		}
		m.Token, m.Environment.StorageURL = token, cmp.Or(e.StorageURL, storage)
		if active, ok := u.Passwords.Active(); ok { // it dies with what it was made with
			given.holds(active.N, &given.Password)
		} else if active, ok := e.AppCreds.Active(); ok {
			given.holds(active.N, &given.AppCred)
		}
	}
	if need.AppCred && e.UserID != "" {
		if m.AppCred, err = r.open.keeper.ApplicationCredential(r.Context(), e.Name); err != nil {
			return m, held{}, err
		}
		if now, _, err := r.open.keeper.Environment(e.Name); err == nil {
			v, _ := now.AppCreds.Holding(m.AppCred)
			given.holds(v.N, &given.AppCred)
		}
	}
	if need.Keys {
		if now, _, err := r.open.keeper.Environment(e.Name); err == nil {
			e.Keys, e.KeysRefused = now.Keys, now.KeysRefused // as they are after what was waited for
		}
		keys, ok := e.Keys.Active()
		refused := rotate.MayServeKeys(e)
		switch {
		case refused != nil && (!need.Password || e.UserID == ""): // the keys are all that the view is about
			return m, held{}, refused
		case ok && refused == nil && throughGateway(r.URL.Query(), e):
			var holder string
			if holder, m.LeaseUntil, err = d.viewKey(r); err != nil {
				return m, held{}, err
			}
			if m.Keys, m.Environment.S3, err = d.mint(e, m.LeaseUntil, holder); err != nil {
				return m, held{}, err
			}
			given.version = cmp.Or(given.version, keys.N)
		case ok && refused == nil:
			m.Keys = keys.Value
			given.holds(keys.N, &given.Keys)
		}
	}
	return m, given, nil
}

// show tells everything about one environment; its secrets only if asked.
func (d *Daemon) show(r *request) (any, error) {
	e, u, err := r.open.keeper.Environment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	c := r.open.keeper.Contents()
	shown := ipc.Shown{
		Environment: d.environment(r.open.keeper, c, e, r.open.ledger.Counts()),
		AuthURL:     u.Auth.URL, IdentityAPI: u.IdentityAPI, UserDomain: cmp.Or(u.DomainName, u.DomainID),
		UserDomainID: u.DomainID, ProjectDomainID: e.ProjectDomainID, CatalogRegion: e.Region,
		ProjectID: e.ProjectID, ProjectDomain: cmp.Or(e.ProjectDomainName, e.ProjectDomainID), StorageURL: e.StorageURL,
	}
	for _, s := range e.Sources {
		shown.Sources = append(shown.Sources, s.Path)
	}
	shown.Holders = leases(r.open.keeper, r.open.ledger.Of(e.ID))
	if r.URL.Query().Get("reveal") != "true" {
		return shown, nil
	}
	if e, u, err = d.certain(r, e); err != nil {
		return nil, err
	}
	password, _ := u.Passwords.Active()
	keys, _ := e.Keys.Active()
	shown.Password, shown.SecretAccessKey = password.Value.Reveal(), keys.Value.Secret.Reveal()
	d.handOut(r, e, "show", held{cmp.Or(password.N, keys.N), rotate.Held{Password: password.N, Keys: keys.N}}, time.Time{})
	return shown, nil
}

// ensureKey makes sure that there is an S3 key, by making one if need be.
func (d *Daemon) ensureKey(r *request) (any, error) {
	name := r.PathValue("name")
	e, _, err := r.open.keeper.Environment(name)
	if err != nil {
		return nil, err
	}
	if e.S3.Endpoint.IsZero() { // a key would be of no use
		return nil, noEndpoint(e)
	}
	created, err := r.open.keeper.EnsureKey(r.Context(), name) // changed records a key that it makes
	e, _, gone := r.open.keeper.Environment(name)
	if gone != nil {
		return nil, cmp.Or(err, gone)
	}
	keys, has := e.Keys.Active()
	out := ipc.KeyReply{AccessKeyID: keys.Value.AccessKeyID, Created: created, Endpoint: e.S3.Endpoint.URL, Region: e.S3.Region}
	if err == nil && throughGateway(r.URL.Query(), e) {
		out.Gateway, out.Endpoint, out.Region = true, d.s3.url(), profileRegion
		err = d.s3.lost()
	}
	if err != nil && created && has {
		return nil, fmt.Errorf("made the S3 key %s for %s at the cloud, and then: %w", out.AccessKeyID, name, err)
	}
	return out, err
}

// endpoint hands out what a program needs to get gateway keys by itself, from
// the container credential endpoint: for clients that know no
// credential_process.
func (d *Daemon) endpoint(r *request) (any, error) {
	e, _, err := r.open.keeper.Environment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	until := d.now().Add(maxViewLife)
	if _, _, err := d.mint(e, until, ""); err != nil {
		return nil, err
	}
	client, _ := processOf(r.pid) // which the program takes the place of
	token := gateway.MintToken(d.gatewayKey(), e.ID, e.Epoch, until, gateway.Holder{PID: client.PID, Started: client.Started})
	d.handOut(r, e, "endpoint", held{}, time.Time{})
	body := view.Endpoint(d.s3.url()+gateway.CredentialPath, token.Reveal(), d.s3.url(), viewRegion)
	return reply{contentType: "text/plain; charset=utf-8", body: body}, nil
}

// revoke voids every gateway key that was handed out for an environment.
func (d *Daemon) revoke(r *request) (any, error) {
	name := r.PathValue("name")
	if err := r.open.keeper.Revoke(name); err != nil {
		return nil, err
	}
	d.record(r.open, audit.Entry{Event: "revoked", Environment: name})
	return struct{}{}, nil
}
