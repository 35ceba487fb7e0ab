package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	former := r.open.vault.Contents().Portal
	p := &vault.Portal{Base: base, Key: account.NewSecret(in.Key)}
	out, denied, err := d.readPortal(r.Context(), r.open, p, true)
	p.Denied = denied
	accepted := err == nil
	if errors.Is(err, cloud.ErrUnreachable) || errors.Is(err, cloud.ErrLimited) {
		out = ipc.PortalReply{URL: base.URL, Environments: []ipc.PortalEnvironment{}, Notes: []string{"stored unverified: " + err.Error()}}
	} else if err != nil {
		return nil, err
	}
	if err := r.open.vault.Change(func(c *vault.Contents) error { c.Portal = p; return nil }); err != nil {
		return nil, fmt.Errorf("write the store: %w", err)
	}
	d.record(r.open, audit.Entry{Event: "portal-login"})
	if accepted && former != nil && former.Refused != nil {
		d.incident("portal-key", "healed", "", "", "the portal accepts its API key again")
	}
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
	out, _, err := d.readPortal(r.Context(), r.open, p, true)
	return out, err
}

// pollPortal reads the portal now and then until ctx ends, and at once when the
// store is opened or the cloud begins to refuse something.
func (d *Daemon) pollPortal(ctx context.Context) {
	poll := newRecurring(time.Duration(d.Config.Portal.Poll))
	defer poll.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.due:
		case <-d.askPortal:
		}
		if o := d.open.Load(); o != nil {
			if p := o.vault.Contents().Portal; p != nil && p.Refused == nil {
				d.pollOnce(ctx, o, p)
			}
		}
		poll.again()
	}
}

func (d *Daemon) pollOnce(ctx context.Context, o *opened, p *vault.Portal) {
	_, _, err := d.readPortal(ctx, o, p, false)
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

// changePortal changes what is stored of the portal, if it is the same key still.
func (d *Daemon) changePortal(o *opened, p *vault.Portal, change func(*vault.Portal)) {
	err := o.vault.Change(func(c *vault.Contents) error {
		if c.Portal != nil && c.Portal.Key.Equal(p.Key) {
			next := *c.Portal
			change(&next)
			c.Portal = &next
		}
		return nil
	})
	if err != nil {
		d.Log.Error("portal", "error", err)
	}
}

// refusePortal remembers that the portal refused the key: it counts failed
// logins, so nothing sends the key again until a person gives one. It is told once,
// and of the stored key alone: another one is a person's, who hears of it.
func (d *Daemon) refusePortal(o *opened, p *vault.Portal, reason error) {
	begins := false
	d.changePortal(o, p, func(p *vault.Portal) {
		begins = p.Refused == nil
		p.Refused = &vault.Refusal{At: d.now(), Reason: reason.Error()}
	})
	if begins {
		d.incident("portal-key", "refused", "", "", "the portal refuses its API key")
	}
}

// readPortal reads what the portal shows and adopts what is new. A person's
// reading asks for everything; the poll leaves out what was denied before. What is
// denied now it stores of the stored key, and returns.
func (d *Daemon) readPortal(ctx context.Context, o *opened, p *vault.Portal, person bool) (out ipc.PortalReply, denied []string, err error) {
	out = ipc.PortalReply{URL: p.Base.URL, Environments: []ipc.PortalEnvironment{}}
	if p.Refused != nil {
		return out, nil, &ipc.Error{Code: ipc.CodeRefused, Message: "the portal has refused this API key, it is not sent again: ccactl portal login takes another"}
	}
	if configured, err := account.ParseEndpoint(d.Config.Portal.URL, false); err != nil || !configured.SameOrigin(p.Base) {
		return out, nil, &ipc.Error{Code: ipc.CodeFailed, Message: "the API key was given for " + p.Base.Host() + ", and config.toml names another portal: ccactl portal login"}
	}
	shown, err := d.newCloud().ReadPortal(ctx, p.Base, p.Key, func(id string) bool { return !person && slices.Contains(p.Denied, id) })
	if errors.Is(err, cloud.ErrRefused) {
		d.refusePortal(o, p, err)
	}
	if err != nil {
		return out, nil, err
	}
	if !person {
		denied = slices.Clone(p.Denied)
	}
	for _, e := range shown {
		if errors.Is(e.Err, cloud.ErrRefused) {
			denied = append(denied, e.ID)
		}
		out.Environments = append(out.Environments, d.takePortal(ctx, o, e))
	}
	if !slices.Equal(denied, p.Denied) {
		d.changePortal(o, p, func(p *vault.Portal) { p.Denied = denied })
	}
	slices.SortFunc(out.Environments, func(a, b ipc.PortalEnvironment) int { return cmp.Compare(a.Name, b.Name) })
	d.portalSays(out.Environments)
	return out, denied, nil
}

// takePortal adopts what one environment of the portal shows.
func (d *Daemon) takePortal(ctx context.Context, o *opened, e cloud.PortalEnvironment) ipc.PortalEnvironment {
	out := ipc.PortalEnvironment{Name: e.Name, Fields: []ipc.PortalField{}}
	if e.Err != nil {
		out.State, out.Trouble = "waiting", e.Err.Error()
		if errors.Is(e.Err, cloud.ErrRefused) {
			out.State = "denied"
		}
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
	if out.Environment, out.State, out.Trouble = portalPlace(o.vault.Contents(), found); out.State != "ok" {
		return out
	}
	changed, err := o.keeper.Notice(ctx, rotate.Notice{Environment: out.Environment, Password: found.Password, Keys: found.Keys, By: rotate.ByPortal})
	out.State, out.Trouble = noticedState(err)
	if changed {
		_, u, _ := o.keeper.Environment(out.Environment)
		d.record(o, audit.Entry{Event: "adopted", Environment: out.Environment, User: u.Called, Note: "the portal"})
	}
	return out
}

// portalPlace finds whose the values are: a user and a project that are stored
// already. The portal names no new ones, and moves nothing to another cloud.
func portalPlace(c *vault.Contents, p source.Portal) (environment, state, reason string) {
	var fits []vault.Environment
	projects := 0
	for _, e := range c.Environments {
		u, has := c.Users[e.UserID]
		if !has || !(p.Project != "" && e.Project == p.Project || p.ProjectID != "" && e.ProjectID == p.ProjectID) {
			continue
		}
		projects++
		if (p.User == "" || u.Name == p.User) && atPortals(u.Auth, p.AuthURL) {
			fits = append(fits, e)
		}
	}
	switch {
	case p.Project == "" && p.ProjectID == "":
		return "", "unnamed", "no field names its project"
	case projects == 0:
		return "", "unknown", "ccad has no such user and project"
	case len(fits) == 0:
		return "", "foreign", "it is another user's or another cloud's than ccad has for that project: nothing is taken from it"
	case len(fits) > 1:
		return "", "unnamed", "several environments of ccad fit"
	}
	return fits[0].Name, "ok", ""
}

// atPortals reports whether the portal's auth URL, if it shows one, is where the
// user is already.
func atPortals(stored account.Endpoint, shown string) bool {
	if shown == "" {
		return true
	}
	e, err := account.ParseEndpoint(trimVersion(shown), stored.InsecureHTTP)
	return err == nil && e.Origin() == stored.Origin()
}

// portalSay is what the portal showed last that was not taken.
type portalSay struct {
	mu       sync.Mutex
	troubles []ipc.PortalTrouble
}

// portalSays remembers what a person should know of. That the portal has other
// environments too, or lets the key see some and others not, is no trouble.
func (d *Daemon) portalSays(shown []ipc.PortalEnvironment) {
	troubles := []ipc.PortalTrouble{}
	for _, e := range shown {
		switch e.State {
		case "ok", "unknown", "denied":
		default:
			troubles = append(troubles, ipc.PortalTrouble{Name: e.Name, Environment: e.Environment, State: e.State, Reason: e.Trouble})
		}
	}
	d.portalSay.mu.Lock()
	defer d.portalSay.mu.Unlock()
	d.portalSay.troubles = troubles
}

// portalStatus is the portal's part of status; nil where no key is stored.
func (d *Daemon) portalStatus(c *vault.Contents) *ipc.Portal {
	p := c.Portal
	if p == nil {
		return nil
	}
	d.portalSay.mu.Lock()
	out := &ipc.Portal{URL: p.Base.URL, Troubles: slices.Clone(d.portalSay.troubles)}
	d.portalSay.mu.Unlock()
	if p.Refused != nil {
		out.Refused, out.Reason = &p.Refused.At, p.Refused.Reason
	}
	return out
}
