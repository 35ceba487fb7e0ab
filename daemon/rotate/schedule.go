package rotate

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Schedule says how old values may grow before they are replaced by
// themselves. The zero value replaces nothing.
//
// When something is due follows from the store alone, from the moment that the
// value came here: what was missed while the machine slept or ccad was locked is
// due, once, and a restart changes nothing. Each is due up to a tenth of its time
// early, always the same for one environment or user, so that not all of them
// come at once.
type Schedule struct {
	Every        time.Duration            // 0: never
	Users        map[string]UserSchedule  // by NAME, NAME@host or NAME@host/DOMAIN
	Environments map[string]time.Duration // by name; 0: never
}

// A UserSchedule is what is wanted of one user otherwise.
type UserSchedule struct {
	Every    *time.Duration // of his environments' keys, and of his password; nil: the Schedule's
	Password bool           // his password too, at that age and before it expires
}

const (
	// scheduledRetry is how long one rests that was due, was begun and came to
	// nothing: a minimum age of passwords is counted in days.
	scheduledRetry = 24 * time.Hour
	// beforeExpiry is how long before its end a password is replaced, where a
	// quarter of its life is not less.
	beforeExpiry = 14 * 24 * time.Hour
)

func (s Schedule) of(u vault.User) UserSchedule {
	for _, name := range []string{u.InDomain(), u.AtHost()} {
		if of, ok := s.Users[name]; ok {
			return of
		}
	}
	return s.Users[u.Name]
}

// everyOf is how old a user's values may be.
func (s Schedule) everyOf(u vault.User) time.Duration {
	if of := s.of(u); of.Every != nil {
		return *of.Every
	}
	return s.Every
}

// KeyDue returns when an environment's S3 key is to be replaced; zero: never.
// Its user is the zero one where it has none.
func (s Schedule) KeyDue(e vault.Environment, u vault.User) time.Time {
	return dueOf(s, e, u, e.Keys, e.KeyRotation)
}

// CredentialDue is KeyDue for the environment's application credential.
func (s Schedule) CredentialDue(e vault.Environment, u vault.User) time.Time {
	return dueOf(s, e, u, e.AppCreds, e.CredRotation)
}

func dueOf[T vault.Value](s Schedule, e vault.Environment, u vault.User, vs vault.Versions[T], under *vault.Rotation) time.Time {
	every, ok := s.Environments[e.Name]
	if !ok {
		every = s.everyOf(u)
	}
	active, has := vs.Active()
	if !has || under != nil && !pastFlip(under) || every == 0 {
		return time.Time{}
	}
	return rested(active, active.Created.Add(every-early(e.ID, every)))
}

// PasswordDue returns when a user's password is to be replaced; zero: never. It
// is only where a person has said that it may be.
func (s Schedule) PasswordDue(u vault.User) time.Time {
	active, has := u.Passwords.Active()
	if !has || UnderWay(u.Rotation) || !s.of(u).Password {
		return time.Time{}
	}
	var due time.Time
	if every := s.everyOf(u); every != 0 {
		due = active.Created.Add(every - early(u.ID, every))
	}
	if end := u.PasswordExpires; !end.IsZero() {
		margin := min(beforeExpiry, max(end.Sub(active.Created), 0)/4)
		if at := end.Add(-margin - early(u.ID, margin)); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if u.Refused != nil && u.Refused.Expired { // slept through, or never told
		due = u.Refused.At
	}
	if due.IsZero() {
		return due
	}
	return rested(active, due)
}

// rested puts off what was tried in vain. A moment that is compared with later
// ones must hold no reading of the clock that stands still while the machine
// sleeps.
func rested[T vault.Value](v vault.Version[T], due time.Time) time.Time {
	if !v.Tried.IsZero() && due.Before(v.Tried.Add(scheduledRetry)) {
		due = v.Tried.Add(scheduledRetry)
	}
	return due.Round(0)
}

// early is up to a tenth of d, the same for the same id.
func early(id string, d time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return d / 10 / 1000 * time.Duration(h.Sum32()%1000)
}

// Unknown returns the names in the schedule that nobody has: a name that is
// misspelt rotates nothing.
func (s Schedule) Unknown(c *vault.Contents) (names []string) {
	for name := range s.Users {
		found := false
		for _, u := range c.Users {
			found = found || slices.Contains([]string{u.Name, u.AtHost(), u.InDomain()}, name)
		}
		if !found {
			names = append(names, "user "+name)
		}
	}
	for name := range s.Environments {
		if _, ok := c.Environments[name]; !ok {
			names = append(names, "environment "+name)
		}
	}
	return names
}

// BeginDue journals the rotations that are due and need nobody; GoOn does the
// rest. next is when the first of the others is due (zero: none is). What can't be
// begun is tried once a day.
func (k *Keeper) BeginDue(ctx context.Context, s Schedule) (next time.Time, failures map[string]error) {
	failures = map[string]error{}
	for _, one := range k.scheduled(ctx, s) {
		switch {
		case one.due.IsZero():
		case one.due.After(k.now()):
			if next.IsZero() || one.due.Before(next) {
				next = one.due
			}
		case one.may:
			if err := k.beginScheduled(one); err != nil {
				failures[one.subject()] = err
			}
		}
	}
	return next, failures
}

// A scheduled value is one that the schedule has a word on.
type scheduled struct {
	task
	due   time.Time
	may   bool                        // it can be replaced without a person
	tried func(*vault.Contents) error // notes that it was begun
	begin func() (joined bool, err error)
}

func (k *Keeper) scheduled(ctx context.Context, s Schedule) (all []scheduled) {
	c, now := k.vault.Contents(), k.now()
	for id, u := range c.Users {
		t := ofUser{id, u.User.String()}
		all = append(all, scheduled{t, s.PasswordDue(u), k.mayChangeUnattended(c, u),
			func(c *vault.Contents) error {
				return inUser(c, id, func(u *vault.User) { u.Passwords = tried(u.Passwords, now) })
			},
			func() (bool, error) { return k.beginPassword(ctx, t, false) }})
	}
	for name, e := range c.Environments {
		u := c.Users[e.UserID]
		key, credential := ofEnvironment{engines[KindKey], name}, ofEnvironment{engines[KindAppCred], name}
		all = append(all,
			scheduled{key, s.KeyDue(e, u), key.free(e) && mayLoginUnattended(u) && !e.Binding.HandsOff && e.Binding.Refused == nil,
				func(c *vault.Contents) error {
					return inEnvironment(c, e, func(e *vault.Environment) { e.Keys = tried(e.Keys, now) })
				},
				func() (bool, error) { return k.begin(ctx, key, nil) }},
			scheduled{credential, s.CredentialDue(e, u), credential.free(e) && (mayLoginUnattended(u) || replacesItself(e, u)),
				func(c *vault.Contents) error {
					return inEnvironment(c, e, func(e *vault.Environment) { e.AppCreds = tried(e.AppCreds, now) })
				},
				func() (bool, error) { return k.begin(ctx, credential, nil) }})
	}
	return all
}

// beginScheduled notes that it was tried, and then begins: whatever comes of it,
// it is not tried again on the same day.
func (k *Keeper) beginScheduled(one scheduled) error {
	if err := k.vault.Change(one.tried); err != nil {
		return fmt.Errorf("record what the schedule begins: %w", err)
	}
	_, err := one.begin()
	return err
}

// tried notes when the value in force was last begun to be replaced.
func tried[T vault.Value](vs vault.Versions[T], now time.Time) vault.Versions[T] {
	v, ok := vs.Active()
	if !ok {
		return vs
	}
	v.Tried = now
	return vs.With(v)
}

// mayLoginUnattended: nobody is asked with a password that the cloud has not
// accepted, and none is sent that only a person may send.
func mayLoginUnattended(u vault.User) bool {
	active, ok := u.Passwords.Active()
	return ok && active.Accepted && !active.HandsOff && u.Refused == nil && !UnderWay(u.Rotation)
}

// replacesItself: an application credential of a user without a password asks for
// its own successor.
func replacesItself(e vault.Environment, u vault.User) bool {
	_, hasPassword := u.Passwords.Active()
	ac, ok := e.AppCreds.Active()
	return ok && !hasPassword && ac.Accepted && !ac.HandsOff
}

// mayChangeUnattended is mayLoginUnattended for the change of a password, which
// mends one that has expired.
func (k *Keeper) mayChangeUnattended(c *vault.Contents, u vault.User) bool {
	active, ok := u.Passwords.Active()
	expired := ok && attemptOf(c, u, active).Expired
	return ok && active.Accepted && !active.HandsOff && (u.Refused == nil || expired) &&
		u.KeystoneID != "" && u.IdentityAPI != "2.0"
}
