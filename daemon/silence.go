package daemon

import (
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// silence is since when the cloud has not answered about each environment that it
// was asked about. A restart or a lock forgets it.
type silence struct {
	mu    sync.Mutex
	since map[string]time.Time // by vault's id
}

// heard notes what became of a question, and returns it in one word for metrics.
func (d *Daemon) heard(e vault.Environment, err error) (outcome string) {
	outcome = outcomeOf(err)
	s := &d.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	_, silent := s.since[e.ID]
	switch {
	case outcome == "accepted" || outcome == "refused":
		delete(s.since, e.ID)
	case outcome == "unreachable" && !silent:
		if s.since == nil {
			s.since = map[string]time.Time{}
		}
		s.since[e.ID] = d.now()
	}
	return outcome
}

// of returns since when, nil where it answers.
func (s *silence) of(id string) *time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, silent := s.since[id]
	if !silent {
		return nil
	}
	return &since
}
