package daemon

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/ipc"
)

// used remembers which environments were handed out since the last probe: only
// what somebody works with is worth asking the cloud about.
type used struct {
	mu           sync.Mutex
	environments map[string]bool // by vault's id
}

func (u *used) note(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.environments == nil {
		u.environments = map[string]bool{}
	}
	u.environments[id] = true
}

func (u *used) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.environments
	u.environments = nil
	return slices.Collect(maps.Keys(taken))
}

// rejected is what programs report that the cloud refused. However many do, what
// is in force is asked about once in rejectedEvery.
type rejected struct {
	reports chan string // names of environments; those that find no room are as good as made

	mu    sync.Mutex
	asked map[string]time.Time // by the id of the version that is in force, of passwords and S3 keys
}

// rejectedEvery bounds how often reports make ccad ask Keystone.
const rejectedEvery = 10 * time.Second

func newRejected() rejected {
	return rejected{reports: make(chan string, 16), asked: map[string]time.Time{}}
}

// due reports whether a report is to be followed.
func (r *rejected) due(version string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.asked, func(_ string, at time.Time) bool { return now.Sub(at) >= rejectedEvery })
	if _, recently := r.asked[version]; recently {
		return false
	}
	r.asked[version] = now
	return true
}

// probeUsed asks the cloud now and then whether what is in use is still good,
// until ctx ends. A user whose password it refuses has failed one login by that,
// and no probe sends that password again.
func (d *Daemon) probeUsed(ctx context.Context) {
	probe := newRecurring(time.Duration(*d.Config.Watch.Probe))
	defer probe.stop()
	var under, missed bool // a probe is, and another was due meanwhile
	ended := make(chan struct{}, 1)
	var last sync.WaitGroup
	defer last.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.askCloud:
		case <-probe.due:
			probe.again()
		case <-ended:
			if under = false; !missed {
				continue
			}
		}
		o := d.open.Load()
		switch {
		case o == nil:
		case under:
			missed = true
		default:
			under, missed = true, false
			last.Go(func() {
				d.probe(ctx, o)
				ended <- struct{}{}
			})
		}
	}
}

// followReports asks the cloud at once about what programs report, until ctx ends.
func (d *Daemon) followReports(ctx context.Context) {
	var reported []string // environments whose cloud is busy with another's report
	var asked clouds
	defer asked.all.Wait()
	free := make(chan struct{}, 1) // one of these clouds is
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-d.rejected.reports:
			if !slices.Contains(reported, name) {
				reported = append(reported, name)
			}
		case <-free:
		}
		if o := d.open.Load(); o != nil {
			reported = asked.ask(ctx, o.keeper.Contents(), reported,
				func(name string) { _, _ = d.checkRejected(ctx, o, name) }, // status tells, and metrics count
				func() { kick(free) })
		}
	}
}

// probe asks the clouds side by side. In use is what was handed out since the last
// probe, what went through the gateway, and what somebody still holds.
func (d *Daemon) probe(ctx context.Context, o *opened) {
	ids := append(d.used.take(), slices.Collect(maps.Keys(o.ledger.Counts()))...)
	slices.Sort(ids)
	var names []string
	for _, id := range slices.Compact(ids) {
		if e, ok := o.keeper.EnvironmentByID(id); ok {
			names = append(names, e.Name)
		}
	}
	var all sync.WaitGroup
	for _, names := range byCloud(o.keeper.Contents(), names) {
		all.Go(func() { d.probeCloud(ctx, o, names) })
	}
	all.Wait()
}

// probeCloud costs one login for each user; the other environments of his are
// looked at with what that login gave, but for those that are served by an
// application credential.
func (d *Daemon) probeCloud(ctx context.Context, o *opened, names []string) {
	asked := map[string]bool{}
	for _, name := range names {
		e, _, err := o.keeper.Environment(name)
		if err != nil || ctx.Err() != nil {
			continue
		}
		ask := o.keeper.KeyRejected
		if e.UserID == "" || e.ByCredential || !asked[e.UserID] {
			ask = func(ctx context.Context, name string) error { return o.keeper.Verify(ctx, name, false) }
		}
		asked[e.UserID] = true
		d.metrics.probes.WithLabelValues(d.heard(e, ask(ctx, e.Name))).Inc()
	}
}

// checkRejected makes one check of an environment that a program reports, unless
// what is in force was asked about just now, or only a person may have it asked
// about: then asked is false. The password is the user's, the S3 key the
// environment's own, as an application credential is, so the key alone is asked
// about where another environment's report was first. Of what is refused already
// nobody asks.
func (d *Daemon) checkRejected(ctx context.Context, o *opened, name string) (asked bool, err error) {
	e, u, err := o.keeper.Environment(name)
	if err != nil {
		return false, err
	}
	refused := u.Refused != nil || e.UserID == "" && e.KeysRefused != nil
	password, has := u.Passwords.Active()
	keys, _ := e.Keys.Active()
	ofKey := !refused && d.rejected.due(cmp.Or(keys.ID, e.ID), d.now())
	served := password.ID
	if credential, ok := e.AppCreds.Active(); ok && e.ByCredential {
		served = credential.ID
	}
	ofUser := !refused && has && d.rejected.due(served, d.now())
	switch {
	case refused, ofUser, ofKey && !has:
		err = o.keeper.Verify(ctx, name, false)
	case ofKey:
		err = o.keeper.KeyRejected(ctx, name)
	default:
		return false, nil
	}
	outcome := d.heard(e, err)
	d.metrics.probes.WithLabelValues(outcome).Inc()
	return outcome != "unasked", err
}

// report takes what a program says without keeping it waiting for the cloud.
func (d *Daemon) report(name string) ipc.Change {
	select {
	case d.rejected.reports <- name:
	default:
	}
	return ipc.Change{Environment: name, Action: "unchanged"}
}

// outcomeOf is the cloud's answer in one word, for metrics, or that it was not asked.
func outcomeOf(err error) string {
	var refused *rotate.RefusedError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
		return "unreachable"
	case errors.Is(err, rotate.ErrWithheld):
		return "unasked"
	}
	return "failed"
}
