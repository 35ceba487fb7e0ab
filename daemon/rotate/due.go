package rotate

import (
	"hash/fnv"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// How long after a check that had no answer the next one is owed: it doubles
// from the first to the last.
const (
	firstRetry = 15 * time.Second
	lastRetry  = 30 * time.Minute
)

// Owed returns the environments whose values the cloud has not judged yet and
// may be asked about without a person, and when the first of the others will
// be owed (zero: none). tries counts the unanswered checks of each.
func Owed(c *vault.Contents, last map[string]Try, now time.Time) (names []string, next time.Time) {
	for name, e := range c.Environments {
		if !Awaits(c, e, now) {
			continue
		}
		at := last[e.ID].next(e.ID)
		switch {
		case !at.After(now):
			names = append(names, name)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return names, next
}

// A Try says when an environment was last checked in vain, and how often.
type Try struct {
	At    time.Time
	Count int
}

// next spreads the environments by a jitter of a fifth, fixed for each, so that
// a cloud that comes back is not asked by all at once.
func (t Try) next(id string) time.Time {
	if t.Count == 0 {
		return time.Time{}
	}
	wait := min(firstRetry<<min(t.Count-1, 16), lastRetry)
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return t.At.Add(wait + wait*time.Duration(h.Sum32()%200)/1000)
}

// Awaits reports whether an environment holds a value that was never judged, or
// not since the user's password was replaced, or has a key whose end is to be seen
// once more.
func Awaits(c *vault.Contents, e vault.Environment, now time.Time) bool {
	if u, ok := c.Users[e.UserID]; ok {
		if u.Refused != nil {
			return false
		}
		if v, ok := u.Passwords.Active(); ok && v.HandsOff {
			return false
		} else if ok && (!v.Accepted || awaitsProject(e) || lookOwed(e, now)) {
			return true
		}
	}
	if v, ok := e.AppCreds.Active(); ok && !v.Accepted && !v.HandsOff {
		return true
	}
	for _, v := range e.Keys.List {
		if v.State == vault.Pending && e.UserID != "" && !underRotation(e, v.ID) {
			return true // journalled, and its making never confirmed
		}
	}
	v, ok := e.Keys.Active()
	return ok && !v.HandsOff && (!v.Accepted && e.KeysRefused == nil || keysRested(e, now))
}
