package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// errNoPortal is said where nobody has stored a key to the portal's API.
var errNoPortal = &ipc.Error{Code: ipc.CodeFailed, Message: "there is no key to the portal's API: ccactl portal login stores one"}

// portalLogin stores a key to the portal's API once the portal has accepted it.
func (d *Daemon) portalLogin(r *request) (any, error) {
	in, err := decode[ipc.PortalRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Key == "" {
		return nil, usage("the key is empty")
	}
	if d.Config.Portal.URL == "" {
		return nil, usage("config.toml does not say where the portal's API is: [portal] url, as the portal's API credentials page shows it")
	}
	base, err := account.ParseEndpoint(d.Config.Portal.URL, false)
	if err != nil {
		return nil, usage("portal.url: %v", err)
	}
	p := &vault.Portal{Base: base, Key: account.NewSecret(in.Key)}
	out, err := d.readPortal(r.Context(), r.open, p, true)
	if errors.Is(err, cloud.ErrUnreachable) || errors.Is(err, cloud.ErrLimited) {
		out = ipc.PortalReply{URL: base.URL, Environments: []ipc.PortalEnvironment{}, Notes: []string{"stored unverified: " + err.Error()}}
	} else if err != nil {
		return nil, err
	}
	if err := r.open.vault.Change(func(c *vault.Contents) error { c.Portal = p; return nil }); err != nil {
		return nil, fmt.Errorf("write the store: %w", err)
	}
	d.record(r.open, audit.Entry{Event: "portal-login"})
	return out, nil
}

// portalLogout forgets the key, in older copies of the store too.
func (d *Daemon) portalLogout(r *request) (any, error) {
	if r.open.vault.Contents().Portal == nil {
		return nil, errNoPortal
	}
	if err := r.open.vault.Change(func(c *vault.Contents) error { c.Portal = nil; return nil }); err != nil {
		return nil, fmt.Errorf("write the store: %w", err)
	}
	d.record(r.open, audit.Entry{Event: "portal-logout"})
	if err := r.open.vault.PrunePredecessors(); err != nil {
		return nil, fmt.Errorf("the key is forgotten, but older copies of the store are left: %w", err)
	}
	return struct{}{}, nil
}

// portalFields shows what the portal shows now, without values.
func (d *Daemon) portalFields(r *request) (any, error) {
	p := r.open.vault.Contents().Portal
	if p == nil {
		return nil, errNoPortal
	}
	return d.readPortal(r.Context(), r.open, p, true)
}

// pollPortal reads the portal now and then until ctx ends, and at once when the
// store is opened or the cloud begins to refuse something.
func (d *Daemon) pollPortal(ctx context.Context) {
	timer := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.askPortal:
		}
		if o := d.open.Load(); o != nil {
			if p := o.vault.Contents().Portal; p != nil && p.Refused == nil {
				d.pollOnce(ctx, o, p)
			}
		}
		timer.Reset(jittered(time.Duration(d.Config.Portal.Poll)))
	}
}

func (d *Daemon) pollOnce(ctx context.Context, o *opened, p *vault.Portal) {
	_, err := d.readPortal(ctx, o, p, false)
	outcome := "read"
	switch {
	case errors.Is(err, cloud.ErrRefused):
		outcome = "refused"
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
		outcome = "unreachable"
	case err != nil:
		outcome = "failed"
		d.Log.Warn("portal", "error", err)
	}
	d.metrics.portalReads.WithLabelValues(outcome).Inc()
}

// refusePortal remembers that the portal refused the key: it counts failed
// logins, so nothing sends the key again until a person gives one.
func (d *Daemon) refusePortal(o *opened, p *vault.Portal, reason error) {
	err := o.vault.Change(func(c *vault.Contents) error {
		if c.Portal != nil && c.Portal.Key.Equal(p.Key) {
			refused := *c.Portal
			refused.Refused = &vault.Refusal{At: d.now(), Reason: reason.Error()}
			c.Portal = &refused
		}
		return nil
	})
	if err != nil {
		d.Log.Error("portal", "error", err)
	}
	d.feed.publish(ipc.Event{Time: d.now(), Event: "refused", Message: "the portal refuses its API key: ccactl portal login"})
}

// readPortal reads what the portal shows and adopts what is new. A person's
// reading asks for everything; the poll leaves out what was denied before.
func (d *Daemon) readPortal(ctx context.Context, o *opened, p *vault.Portal, person bool) (ipc.PortalReply, error) {
	out := ipc.PortalReply{URL: p.Base.URL, Environments: []ipc.PortalEnvironment{}}
	if p.Refused != nil {
		return out, &ipc.Error{Code: ipc.CodeRefused, Message: "the portal has refused this API key, it is not sent again: ccactl portal login takes another"}
	}
	if configured, err := account.ParseEndpoint(d.Config.Portal.URL, false); err != nil || !configured.SameOrigin(p.Base) {
		return out, &ipc.Error{Code: ipc.CodeFailed, Message: "the API key was given for " + p.Base.Host() + ", and config.toml names another portal: ccactl portal login"}
	}
	shown, err := d.newCloud().ReadPortal(ctx, p.Base, p.Key, func(id string) bool {
		_, denied := d.portalDenied.Load(id)
		return denied && !person
	})
	if errors.Is(err, cloud.ErrRefused) {
		d.refusePortal(o, p, err)
	}
	if err != nil {
		return out, err
	}
	for _, e := range shown {
		out.Environments = append(out.Environments, d.takePortal(ctx, o, p, e))
	}
	slices.SortFunc(out.Environments, func(a, b ipc.PortalEnvironment) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// takePortal adopts what one environment of the portal shows.
func (d *Daemon) takePortal(ctx context.Context, o *opened, p *vault.Portal, e cloud.PortalEnvironment) ipc.PortalEnvironment {
	out := ipc.PortalEnvironment{Name: e.Name, Fields: []ipc.PortalField{}}
	if e.Err != nil {
		if errors.Is(e.Err, cloud.ErrRefused) {
			d.portalDenied.Store(e.ID, true)
		}
		out.Trouble = e.Err.Error()
		return out
	}
	fields := make([]source.PortalField, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = source.PortalField(f)
	}
	found := source.ReadPortal(fields, d.Config.Portal.Fields)
	for _, f := range e.Fields {
		out.Fields = append(out.Fields, ipc.PortalField{Key: f.Key, Meaning: found.Meanings[f.Key]})
	}
	name, err := portalPlace(o.vault.Contents(), found)
	if err != nil {
		out.Trouble = err.Error()
		return out
	}
	out.Environment = name
	changed, err := o.keeper.Notice(ctx, rotate.Notice{Environment: name, Password: found.Password, Keys: found.Keys, By: rotate.ByPortal, From: p.Base.Host()})
	if err != nil {
		out.Trouble = err.Error()
	}
	if changed {
		d.record(o, audit.Entry{Event: "adopted", Environment: name, User: found.User, Note: "the portal"})
	}
	return out
}

// portalPlace finds whose the values are: a user and a project that are stored
// already. The portal names no new ones, and moves nothing to another cloud.
func portalPlace(c *vault.Contents, p source.Portal) (environment string, err error) {
	var fits []vault.Environment
	for _, e := range c.Environments {
		u, has := c.Users[e.UserID]
		project := p.Project != "" && e.Project == p.Project || p.ProjectID != "" && e.ProjectID == p.ProjectID
		if has && project && (p.User == "" || u.Name == p.User) && atPortals(u.Auth, p.AuthURL) {
			fits = append(fits, e)
		}
	}
	switch {
	case p.Project == "" && p.ProjectID == "":
		return "", errors.New("no field names its project: [portal.fields] can say which does")
	case len(fits) == 0:
		return "", errors.New("ccad has no such user and project: ccactl import or add brings them")
	case len(fits) > 1:
		return "", errors.New("several environments of ccad fit")
	}
	return fits[0].Name, nil
}

// atPortals reports whether the portal's auth URL, if it shows one, is where the
// user is already.
func atPortals(stored account.Endpoint, shown string) bool {
	if shown == "" {
		return true
	}
	e, err := account.ParseEndpoint(trimVersion(shown), stored.InsecureHTTP)
	return err == nil && e.SameOrigin(stored)
}

// jittered spreads what is done every d, by a fifth, so that many machines do
// not ask at once.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5)
}
