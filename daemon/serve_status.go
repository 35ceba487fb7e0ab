package daemon

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// status tells how everything stands; while locked, that it is locked.
func (d *Daemon) status(r *request) (any, error) {
	logind, _ := d.logindLost.Load().(string)
	warnings := []string{d.s3.warning(), d.metricsPort.lost, d.credentials.lost, logind, d.gens.warning()}
	exists, broken := d.keyring.Exists()
	if r.open != nil {
		warnings = append(warnings, storeWarning(r.open.vault.Trouble(), broken), r.open.warning)
		if r.open.trail.Moved() {
			warnings = append(warnings, "the audit trail's file was moved, removed or replaced while ccad ran: ccactl log --verify says what is missing")
		}
		for _, name := range d.schedule.Unknown(r.open.keeper.Contents()) {
			warnings = append(warnings, "config.toml has a schedule for "+name+", and ccad has none of that name")
		}
	}
	warnings = slices.DeleteFunc(warnings, func(s string) bool { return s == "" })
	for i, what := range warnings { // on the wire they are one line, parted by this
		warnings[i] = strings.ReplaceAll(what, "; ", ", ")
	}
	s := ipc.Status{
		Daemon: ipc.Daemon{Version: d.Version, PID: os.Getpid(), Locked: r.open == nil, Keyring: d.keyring.Backend(), Gateway: d.s3.url(), Warning: strings.Join(warnings, "; ")},
		Users:  []ipc.User{}, Environments: []ipc.Environment{},
	}
	if r.open == nil {
		s.Daemon.Fresh = broken == nil && !exists
		if no := d.unreadable.Load(); no != nil {
			s.Daemon.Unreadable, s.Daemon.Older = (*no).Error(), errors.Is(*no, vault.ErrOlder)
		}
		if d.Unfit != nil {
			s.Daemon.Unreadable, s.Daemon.Older = d.Unfit.Error(), false
		} else if broken != nil {
			s.Daemon.Unreadable, s.Daemon.Older = "unlock the keyring: "+broken.Error(), false
		}
		return s, nil
	}
	if skew, known := r.open.cloud.Skew(); known {
		seconds := int(skew.Seconds())
		s.Daemon.ClockSkew = &seconds
	}
	c := r.open.keeper.Contents()
	for _, u := range c.Users {
		s.Users = append(s.Users, d.user(r.open.keeper, c, u))
	}
	slices.SortFunc(s.Users, func(a, b ipc.User) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.AuthURL, b.AuthURL)) })
	s.Watched, s.Portal = d.watched.troubles(), d.portalStatus(c)
	s.Rendered = d.renderedFiles(r.open)
	counts := r.open.ledger.Counts()
	for _, e := range c.Environments {
		s.Environments = append(s.Environments, d.environment(r.open.keeper, c, e, counts))
	}
	slices.SortFunc(s.Environments, func(a, b ipc.Environment) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// storeWarning is what status says of a store, or a keyring, that only this
// process still has; "" where both are on disk.
func storeWarning(store, keyring error) string {
	switch {
	case store != nil:
		return "the store on disk is not what ccad has: " + store.Error()
	case keyring != nil:
		return "a lock or restart would close ccad for good: " + keyring.Error()
	}
	return ""
}

func (d *Daemon) user(k *rotate.Keeper, c *vault.Contents, u vault.User) ipc.User {
	active, _ := u.Passwords.Active()
	out := ipc.User{Name: u.User.String(), AuthURL: u.Auth.URL, State: rotate.UserState(c, u, d.now()), PasswordVersion: active.N}
	if u.Refused != nil {
		out.Reason, out.Expired = u.Refused.Reason, u.Refused.Expired
	}
	if from, ok := rotate.AgainFrom(u); ok {
		out.AgainFrom = &from
	}
	if r, ok := k.RetiringPassword(u); ok {
		out.Rotation = &ipc.Rotation{Step: r.Step, Version: r.Version, Trouble: r.Trouble}
	}
	out.FormerHolders = leases(k, k.FormerHolders(u))
	if !active.Checked.IsZero() {
		out.CheckedAt = &active.Checked
	}
	if !u.PasswordExpires.IsZero() {
		out.Expires = &u.PasswordExpires
	}
	out.RotationDue = due(d.schedule.PasswordDue(u), active.Tried)
	return out
}

// due tells of a schedule as the wire does; nil: it has nothing to do.
func due(at, tried time.Time) *ipc.Due {
	if at.IsZero() {
		return nil
	}
	out := ipc.Due{At: at}
	if !tried.IsZero() {
		out.Tried = &tried
	}
	return &out
}

func (d *Daemon) environment(k *rotate.Keeper, c *vault.Contents, e vault.Environment, leases map[string]int) ipc.Environment {
	keys, _ := e.Keys.Active()
	ac, _ := e.AppCreds.Active()
	t := d.s3.trafficOf(e.ID)
	out := ipc.Environment{
		ProjectState: rotate.ProjectState(c, e),

		CredentialRotation: underWay(k, rotate.KindAppCred, e),
		CredentialDue:      due(d.schedule.CredentialDue(e, c.Users[e.UserID]), ac.Tried),

		Traffic: ipc.Traffic{Requests: t.requests, BytesIn: t.in, BytesOut: t.out},
		Name:    e.Name, User: c.Users[e.UserID].Called, Project: cmp.Or(e.Project, e.ProjectID),
		Generation: e.Generation, State: rotate.EnvironmentState(c, e, d.now()), Leases: leases[e.ID],
		S3:       ipc.S3{Endpoint: e.S3.Endpoint.URL, Region: e.S3.Region, AccessKeyID: keys.Value.AccessKeyID, Version: keys.N, State: rotate.KeyState(e), Wanted: d.wantedKey(e)},
		Rotation: underWay(k, rotate.KindKey, e), ForeignKeys: rotate.ForeignKeys(c, e), RotationDue: due(d.schedule.KeyDue(e, c.Users[e.UserID]), keys.Tried),
	}
	out.SilentSince = d.silence.of(e.ID)
	if e.Binding.Refused != nil {
		out.Reason = e.Binding.Refused.Reason
	}
	for _, v := range e.AppCreds.List { // one that is refused is told of, too
		if v.State == vault.Active || v.State == vault.Refused && out.ApplicationCredential == "" {
			out.ApplicationCredential = v.Value.ID
		}
	}
	return out
}

// underWay tells who still holds a value that is being replaced, and until when.
func underWay(k *rotate.Keeper, what rotate.Kind, e vault.Environment) *ipc.Rotation {
	r, ok := k.Retiring(what, e)
	if !ok {
		return nil
	}
	out := &ipc.Rotation{Step: r.Step, Version: r.Version, Holders: leases(k, r.Holders), Unknown: r.Unknown, Trouble: r.Trouble}
	if what == rotate.KindKey && out.Step == "drain" && isGone(e, r.Version) {
		return nil // as after a Regenerate: there is nothing left to wait for
	}
	if !r.End.IsZero() && !r.Open {
		out.Until = &r.End
	}
	return out
}

// isGone reports whether Keystone, at the last look, had keys of an environment and
// not the one of that version.
func isGone(e vault.Environment, version int) bool {
	return len(e.KeysListed) > 0 && !slices.ContainsFunc(e.Keys.List, func(v vault.Version[account.KeyPair]) bool {
		return v.N == version && slices.Contains(e.KeysListed, v.Value.AccessKeyID)
	})
}

// leases tells of leases as the wire does.
func leases(k *rotate.Keeper, of []rotate.Lease) (out []ipc.Lease) {
	for _, l := range of {
		e, _ := k.EnvironmentByID(l.Environment)
		lease := ipc.Lease{Environment: e.Name, View: l.View, Version: l.Version, PID: l.Holder.PID, Program: l.Holder.Program, Parent: l.Parent}
		if now, _ := processOf(l.Holder.PID); l.View == rotate.ViewExec && now.Started != 0 && now.Started == l.Holder.Started {
			lease.Program = now.Program // which has taken ccactl's place since
		}
		if !l.Until.IsZero() {
			lease.Until = &l.Until
		}
		out = append(out, lease)
	}
	return out
}

// remove forgets an environment.
func (d *Daemon) remove(r *request) (any, error) {
	name := r.PathValue("name")
	e, u, err := r.open.keeper.Environment(name)
	if err != nil {
		return nil, err
	}
	lost := rotate.OnlyCopy(r.open.keeper.Contents(), e)
	if err := r.open.keeper.Remove(name, r.URL.Query().Get("yes") == "true"); err != nil {
		return nil, err
	}
	d.record(r.open, audit.Entry{Event: "removed", Environment: name})
	change := ipc.Change{Environment: name, Action: "removed"}
	if lost {
		change.Notes = append(change.Notes, "the password of "+u.String()+", which ccad had made, is lost: Regenerate in the portal makes another")
	}
	left, perhaps := rotate.KeysLeft(e)
	for _, id := range left {
		change.Notes = append(change.Notes, "S3 key "+id+" stays valid at the cloud")
	}
	for _, id := range perhaps {
		change.Notes = append(change.Notes, "S3 key "+id+" may be at the cloud: it was asked for, and the answer never came")
	}
	for _, ac := range e.AppCreds.List {
		switch {
		case ac.Source != "rotation" || ac.State == vault.Refused:
		case ac.State == vault.Pending:
			change.Notes = append(change.Notes, "application credential "+ac.Value.Name+" may be at the cloud: it was asked for, and the answer never came")
		default:
			change.Notes = append(change.Notes, "application credential "+ac.Value.Name+" stays valid at the cloud")
		}
	}
	for _, k := range r.open.keeper.Contents().Kept {
		if slices.ContainsFunc(e.Sources, func(s vault.Source) bool { return slices.Contains(withCompanions(s.Path), k.Path) }) {
			change.Notes = append(change.Notes, "what "+k.Path+" was, its secrets included, is still kept: ccactl setup --undo brings it back")
		}
	}
	return ipc.Changes{Changes: []ipc.Change{change}}, nil
}
