package rotate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// Errors that a caller tells apart. What the cloud refused is a *RefusedError.
var (
	ErrUnknown  = errors.New("no such environment or user")
	ErrConflict = errors.New("held by another identity")
	ErrAbsent   = errors.New("there is nothing of that kind")
)

// A lacking error is an ErrAbsent that says what there is not.
type lacking string

func (e lacking) Error() string { return string(e) }

// Is makes it one for errors.Is.
func (e lacking) Is(target error) bool { return target == ErrAbsent }

// A RefusedError says that the cloud did not accept a value, now or when it was
// last asked: what was refused is not sent again.
type RefusedError struct {
	Subject string    // "the password of system-ccontini-2925"
	At      time.Time // when it was refused
	Reason  string    // the cloud's, in our words
	Again   bool      // it was not sent this time
	Until   time.Time // when a person may have it sent once more, or S3 is asked again; zero: nobody may

	expired    bool   // it is right, and has to be changed before it is good for anything else
	keystoneID string // the user's, as Keystone tells with that
}

// expired returns the refusal of a value that is right and has expired.
func expired(err error) (*RefusedError, bool) {
	no := (*RefusedError)(nil)
	return no, errors.As(err, &no) && no.expired
}

func (e *RefusedError) Error() string {
	switch {
	case e.Again && !e.Until.IsZero():
		return fmt.Sprintf("%s was refused by the cloud at %s and is not sent again before %s: %s", e.Subject, stamp(e.At), stamp(e.Until), e.Reason)
	case e.Again:
		return fmt.Sprintf("%s was refused by the cloud at %s and is not sent again: %s", e.Subject, stamp(e.At), e.Reason)
	}
	return fmt.Sprintf("%s is refused by the cloud: %s", e.Subject, e.Reason)
}

// stamp is a time for people, as ccactl shows it.
func stamp(t time.Time) string { return t.Local().Format(time.DateTime) }

// A Keeper owns the decisions about one opened vault.
type Keeper struct {
	vault *vault.Vault
	cloud *cloud.Cloud
	now   func() time.Time
	after func(time.Duration) <-chan time.Time

	mu      sync.Mutex
	gates   map[string]*sync.Mutex // one per Keystone user, by guard key; never held with mu
	logins  map[string]login       // by account.User.ID
	tokens  map[string]cloud.Grant // project-scoped grants, by account.Environment.ID
	proofs  map[string]proof       // of passwords whose change was just begun, by account.User.ID; each is good once
	index   atomic.Pointer[byID]
	watcher func(before, after *vault.Contents, why string)
	order   sync.Mutex // held over a commit and its telling: the next one waits

	patience  Patience                 // set before the first rotation, and with it:
	leasesEnd time.Time                // when the last lease of a daemon before this one ends
	removed   map[string][]version     // of environments that are gone, and may be held as theirs, by their names
	stalls    map[string]stall         // rotations that could not go on, by subject
	turn      chan struct{}            // closed at the next commit
	ears      map[chan Progress]string // who follows which subject; "": all

	fault  func(point string) error              // tests let a process die here
	traced func(from Step, how outcome, to Step) // tests see the way taken
}

// New makes a Keeper. changed is called after every commit that may matter to
// clients, in their order and one at a time, with what was there before and after
// that very commit and an event's name. It may write to the vault, and must not
// call back.
func New(v *vault.Vault, c *cloud.Cloud, now func() time.Time, changed func(before, after *vault.Contents, why string)) *Keeper {
	return &Keeper{
		vault: v, cloud: c, now: now, after: time.After, watcher: changed,
		gates:   map[string]*sync.Mutex{},
		logins:  map[string]login{},
		tokens:  map[string]cloud.Grant{},
		proofs:  map[string]proof{},
		removed: map[string][]version{},
		stalls:  map[string]stall{},
		turn:    make(chan struct{}),
		ears:    map[chan Progress]string{},

		patience: Patience{Ledger: NewLedger(now, func(Process) bool { return true })},
	}
}

// Contents returns what is in force.
func (k *Keeper) Contents() *vault.Contents { return k.vault.Contents() }

// commit changes the store and tells. What change finds amiss is returned as it is.
func (k *Keeper) commit(why string, change func(*vault.Contents) error) error {
	k.order.Lock()
	defer k.order.Unlock()
	var amiss error
	before, after, err := k.vault.Exchange(func(c *vault.Contents) error {
		was := k.vault.Contents()
		if amiss = change(c); amiss != nil {
			return amiss
		}
		retire(was, c, k.now())
		carryIncidents(was, c)
		c.Lease, c.LeasesEnd = k.patience.Lease, k.leasesEnd
		return nil
	})
	switch {
	case amiss != nil:
		return amiss
	case err != nil:
		return fmt.Errorf("write the store: %w", err)
	}
	k.watcher(before, after, why)
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.turn)
	k.turn = make(chan struct{})
	return nil
}

// turned returns a channel that is closed at the next commit.
func (k *Keeper) turned() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.turn
}

// pause waits until a moment has passed, or ctx is done.
func (k *Keeper) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-k.after(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gate returns the one way to Keystone for a user, locked; the caller calls
// what it returns when done.
func (k *Keeper) gate(key string) (unlock func()) {
	k.mu.Lock()
	g := k.gates[key]
	if g == nil {
		g = &sync.Mutex{}
		k.gates[key] = g
	}
	k.mu.Unlock()
	g.Lock()
	return g.Unlock
}

// gateOf names the gate of an environment: its user's, or where there is none its
// own, for S3 counts no failed logins, and an endpoint that hangs is to hold up
// nobody else.
func gateOf(e vault.Environment, u vault.User) string {
	if u.ID == "" {
		return "s3\x00" + e.ID
	}
	return u.Key()
}

// Environment returns a stored environment and its user (zero where it has
// none).
func (k *Keeper) Environment(name string) (vault.Environment, vault.User, error) {
	c := k.vault.Contents()
	e, ok := c.Environments[name]
	if !ok {
		return e, vault.User{}, fmt.Errorf("%q: %w", name, ErrUnknown)
	}
	return e, c.Users[e.UserID], nil
}

// forget drops cached tokens.
func (k *Keeper) forget(userID string, environmentIDs []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.logins, userID)
	for _, id := range environmentIDs {
		delete(k.tokens, id)
	}
}

// gone is the error for what was removed while the cloud was asked about it.
func gone(name string) error { return fmt.Errorf("%q: %w", name, ErrUnknown) }

// inEnvironment changes a stored environment, if it is still there and still
// the same one.
func inEnvironment(c *vault.Contents, was vault.Environment, change func(*vault.Environment)) error {
	e, ok := c.Environments[was.Name]
	if !ok || e.ID != was.ID {
		return gone(was.Name)
	}
	change(&e)
	c.Environments[was.Name] = e
	return nil
}

// inUser is inEnvironment for users.
func inUser(c *vault.Contents, id string, change func(*vault.User)) error {
	u, ok := c.Users[id]
	if !ok {
		return fmt.Errorf("the user was removed meanwhile: %w", ErrUnknown)
	}
	change(&u)
	c.Users[id] = u
	return nil
}

// touch raises the generation of an environment: something that is served for
// it has changed.
func touch(c *vault.Contents, name string) {
	e, ok := c.Environments[name]
	if !ok {
		return
	}
	e.Generation = c.NextGeneration()
	c.Environments[name] = e
}

// touchAll raises the generations of all environments of a user in one step.
func touchAll(c *vault.Contents, userID string) {
	for _, name := range c.NamesOf(userID) {
		touch(c, name)
	}
}

// detached lets the answer of the cloud be waited for by several clients: the
// first one hanging up must not take it from the others.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}

// byID is an index over one snapshot of the store.
type byID struct {
	of    *vault.Contents
	names map[string]string
}

// EnvironmentByID finds a stored environment by its id. It is on the way of
// every S3 request through the gateway, so there is an index of each snapshot.
func (k *Keeper) EnvironmentByID(id string) (vault.Environment, bool) {
	c := k.vault.Contents()
	index := k.index.Load()
	if index == nil || index.of != c {
		index = &byID{of: c, names: make(map[string]string, len(c.Environments))}
		for name, e := range c.Environments {
			index.names[e.ID] = name
		}
		k.index.Store(index)
	}
	e, ok := c.Environments[index.names[id]]
	return e, ok
}

// Revoke voids every gateway key that was handed out for an environment.
func (k *Keeper) Revoke(name string) error {
	e, _, err := k.Environment(name)
	if err != nil {
		return err
	}
	return k.commit("revoked", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			e.Epoch++
			e.Generation = c.NextGeneration()
		})
	})
}
