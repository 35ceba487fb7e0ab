package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
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

func (u *used) take() map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.environments
	u.environments = nil
	return taken
}

// probeUsed asks the cloud now and then whether what was handed out is still
// good, until ctx ends. A user whose password it refuses has failed one login by
// that, and no probe sends that password again.
func (d *Daemon) probeUsed(ctx context.Context) {
	every := time.Duration(*d.Config.Watch.Probe)
	if every == 0 {
		return
	}
	for {
		timer := time.NewTimer(jittered(every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if o := d.open.Load(); o != nil {
			d.probe(ctx, o, d.used.take())
		}
	}
}

// probe costs one login for each user; the other environments of his are looked
// at with what that login gave.
func (d *Daemon) probe(ctx context.Context, o *opened, ids map[string]bool) {
	asked := map[string]bool{}
	for id := range ids {
		e, ok := o.keeper.EnvironmentByID(id)
		if !ok || ctx.Err() != nil {
			continue
		}
		ask := o.keeper.KeyRejected
		if e.UserID == "" || !asked[e.UserID] {
			ask = func(ctx context.Context, name string) error { return o.keeper.Verify(ctx, name, false) }
		}
		asked[e.UserID] = true
		d.metrics.probes.WithLabelValues(outcomeOf(ask(ctx, e.Name))).Inc()
	}
}

// outcomeOf is the cloud's answer in one word, for metrics.
func outcomeOf(err error) string {
	var refused *rotate.RefusedError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
		return "unreachable"
	}
	return "failed"
}
