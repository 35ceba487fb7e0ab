package rotate

import (
	"errors"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A clock that was ahead, and is set right, leaves moments in the store that are
// yet to come, and what counts from them would wait until then. So they become the
// present one. Whatever they are of happened before it: what counts from them, a
// drain above all, ends no earlier than it should have. When leases end stays as
// their holders were told.

// slightly is how far ahead a moment may be and stay: clocks are set back by a
// little all the time.
const slightly = time.Minute

// ClockSetBack sees that nothing stored counts from a moment yet to come.
func (k *Keeper) ClockSetBack() error { return k.clockSetBack(k.now()) }

func (k *Keeper) clockSetBack(now time.Time) error {
	nothing := errors.New("nothing to change")
	err := k.vault.Change(func(c *vault.Contents) error {
		if !timely(c, now) {
			return nothing
		}
		return nil
	})
	if errors.Is(err, nothing) {
		return nil
	}
	return err
}

// timely makes now of the moments in the store that are yet to come. A password's
// rotation keeps its own, which it never waits for (prove).
func timely(c *vault.Contents, now time.Time) (changed bool) {
	past := pastBy(func(t time.Time) time.Time {
		if t.Round(0).Sub(now) <= slightly { // by the clock on the wall
			return t
		}
		changed = true
		return now
	})
	for id, u := range c.Users {
		u.Passwords, u.Refused = versionsPast(past, u.Passwords), past.refusal(u.Refused)
		c.Users[id] = u
	}
	for name, e := range c.Environments {
		e.Keys, e.AppCreds = versionsPast(past, e.Keys), versionsPast(past, e.AppCreds)
		e.KeysRefused, e.Binding.Refused = past.refusal(e.KeysRefused), past.refusal(e.Binding.Refused)
		e.KeyRotation, e.CredRotation = past.journal(e.KeyRotation), past.journal(e.CredRotation)
		c.Environments[name] = e
	}
	for mark, a := range c.Attempts {
		a.At = past(a.At)
		c.Attempts[mark] = a
	}
	return changed
}

// A pastBy returns a moment as it is, or the present one for one yet to come.
type pastBy func(time.Time) time.Time

func versionsPast[T vault.Value](past pastBy, vs vault.Versions[T]) vault.Versions[T] {
	for _, v := range vs.List {
		was := v
		if v.Created, v.Tried = past(v.Created), past(v.Tried); v != was {
			vs = vs.With(v)
		}
	}
	return vs
}

func (past pastBy) refusal(r *vault.Refusal) *vault.Refusal {
	if r == nil || past(r.At).Equal(r.At) {
		return r
	}
	is := *r
	is.At = past(r.At)
	return &is
}

// journal leaves one as it is that a step goes by, if there is nothing to change.
func (past pastBy) journal(j *vault.Rotation) *vault.Rotation {
	if j == nil {
		return nil
	}
	is := *j
	is.Since, is.Left = past(j.Since), slices.Clone(j.Left)
	same := is.Since.Equal(j.Since)
	for i, l := range is.Left {
		is.Left[i].Since = past(l.Since)
		same = same && is.Left[i].Since.Equal(l.Since)
	}
	if same {
		return j
	}
	return &is
}
