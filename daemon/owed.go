package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// clouds are asked side by side, each about one environment after the other: one
// that hangs must not hold up the others.
type clouds struct {
	all sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool // those that are being asked, by their origin
}

// ask has each cloud asked about its environments that is not being asked, and
// then calls ended. It waits for none, and returns the environments that are left.
func (s *clouds) ask(ctx context.Context, c *vault.Contents, names []string, about func(name string), ended func()) (left []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for origin, names := range byCloud(c, names) {
		if s.busy[origin] {
			left = append(left, names...)
			continue
		}
		if s.busy == nil {
			s.busy = map[string]bool{}
		}
		s.busy[origin] = true
		s.all.Go(func() {
			for _, name := range names {
				if ctx.Err() == nil {
					about(name)
				}
			}
			s.mu.Lock()
			delete(s.busy, origin)
			s.mu.Unlock()
			ended()
		})
	}
	return left
}

// checks are those of values that were stored unverified.
type checks struct {
	clouds clouds

	mu    sync.Mutex
	tries map[string]rotate.Try // in vain, by account.Environment.ID
}

// checkOwed asks the clouds about values that were stored unverified, once one
// may have an answer, until ctx ends.
func (d *Daemon) checkOwed(ctx context.Context) {
	s := &checks{tries: map[string]rotate.Try{}}
	defer s.clouds.all.Wait()
	timer := time.NewTimer(longestSleep)
	for {
		wait := longestSleep
		if o := d.open.Load(); o != nil {
			d.resume(o)
			if next := s.begin(ctx, d, o); !next.IsZero() {
				wait = min(wait, max(next.Sub(d.now()), time.Second))
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.askOwed:
		}
	}
}

// begin begins the checks that are due at clouds that are not being asked. Each
// cloud's end looks again; next is when others are due.
func (s *checks) begin(ctx context.Context, d *Daemon, o *opened) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := o.keeper.Contents()
	names, next := rotate.Owed(c, s.tries, d.now())
	s.clouds.ask(ctx, c, names, func(name string) { s.check(ctx, d, o, name) }, func() { kick(d.askOwed) })
	return next
}

func (s *checks) check(ctx context.Context, d *Daemon, o *opened, name string) {
	e, _, err := o.keeper.Environment(name)
	if err != nil {
		return
	}
	asked, err := o.keeper.VerifyOwed(ctx, name)
	if !asked {
		return
	}
	outcome := d.heard(e, err)
	d.metrics.checks.WithLabelValues(outcome).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tries[e.ID]
	s.tries[e.ID] = rotate.Try{At: d.now(), Count: t.Count + 1}
	if now, _, gone := o.keeper.Environment(name); gone != nil || !rotate.Awaits(o.keeper.Contents(), now, d.now()) {
		delete(s.tries, e.ID) // settled, one way or the other
	} else if t.Count == 0 {
		d.Log.Warn("check", "outcome", outcome, "environment", name)
	}
}

// byCloud sorts environments by who is asked about them: Keystone, or S3 where
// there is no user.
func byCloud(c *vault.Contents, names []string) map[string][]string {
	clouds := map[string][]string{}
	for _, name := range names {
		e := c.Environments[name]
		origin := e.S3.Endpoint.Origin()
		if u, has := c.Users[e.UserID]; has {
			origin = u.Auth.Origin()
		}
		clouds[origin] = append(clouds[origin], name)
	}
	return clouds
}
