package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Wish is how a person wants something rotated.
type Wish struct {
	Grace  *time.Duration // from the flip to the deletion; nil: as long as somebody holds the old one
	Wait   bool           // until the old one is proved dead
	Served func()         // called when the new one serves, if it comes to that; nil: nobody asks
}

// Rotate replaces an environment's value of a kind and tells of each step. It
// returns once the new one serves, or with Wait once the old one is proved dead;
// ctx ends only the following. What is begun goes on by itself (GoOn).
func (k *Keeper) Rotate(ctx context.Context, what Kind, name string, w Wish, tell func(Progress)) error {
	t := ofEnvironment{engines[what], name}
	return k.follow(ctx, t, w, tell, func() (bool, error) { return k.begin(ctx, t, w.Grace) })
}

// Subject names an environment's value of a kind in all that is told of it.
func Subject(what Kind, name string) string { return engines[what].subject(name) }

// Has reports whether an environment has a value of a kind in force.
func Has(what Kind, e vault.Environment) bool {
	_, has := engines[what].version(e, inForce)
	return has
}

// patienceOfPeople is how many failed steps in a row a person is kept waiting
// for: some 15 seconds.
const patienceOfPeople = 5

func (k *Keeper) follow(ctx context.Context, t task, w Wish, tell func(Progress), begin func() (joined bool, err error)) error {
	subject := t.subject()
	var withdrawal *Progress
	lines, cancel := k.listen(subject)
	defer cancel()
	hear := func(p Progress) {
		switch {
		case p.State != "done":
		case p.Step == StepWithdraw:
			withdrawal = &p
		case p.Step == StepFlip: // of another one, begun after that
			withdrawal = nil
		}
		tell(p)
	}
	joined, err := begin()
	if err != nil {
		return err
	}
	note := ""
	if joined {
		note = "a rotation was under way already, and goes on"
	}
	tell(Progress{Step: "journal", Subject: subject, State: "done", Note: note})
	begun, served := t.journalIn(k.vault.Contents()), false
	for { // once at least: somebody else may have gone through with it by now
		until, err := k.drive(ctx, t, lines, hear)
		if err != nil {
			return err
		}
		now := t.journalIn(k.vault.Contents())
		if !UnderWay(now) || begun == nil || !now.Begun.Equal(begun.Begun) {
			break
		}
		if Step(now.Step) == StepDrain && !served {
			served = true
			tell(Progress{Step: StepDrain, Subject: subject, State: "start", Note: t.note(k, *now)})
			if w.Served != nil {
				w.Served()
			}
		}
		if served && !w.Wait {
			return nil
		}
		if err := k.sleep(ctx, until); err != nil {
			return err
		}
	}
	return withdrawal.err()
}

// err is what a person hears of a rotation that was withdrawn; nil: it was not.
func (p *Progress) err() error {
	switch {
	case p == nil:
		return nil
	case p.denied:
		return deniedError{p.Subject + ": " + p.Note}
	}
	return fmt.Errorf("%s: %s: %w", p.Subject, p.Note, ErrWithdrawn)
}

// A deniedError is a withdrawal that leads to the portal.
type deniedError struct{ what string }

func (e deniedError) Error() string { return e.what + ": " + ErrPortal.Error() }
func (deniedError) Unwrap() []error { return []error{ErrWithdrawn, ErrPortal} }

// drive goes on in the background and passes on what is told meanwhile.
func (k *Keeper) drive(ctx context.Context, t task, lines <-chan Progress, tell func(Progress)) (until time.Time, err error) {
	type end struct {
		until time.Time
		err   error
	}
	ended := make(chan end, 1)
	go func() {
		until, err := k.goOn(context.WithoutCancel(ctx), t)
		ended <- end{until, err}
	}()
	for driving := true; driving; {
		select {
		case p := <-lines:
			tell(p)
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%w: %w", ErrStalled, ctx.Err())
		case e := <-ended:
			until, err, driving = e.until, e.err, false
		}
	}
	for len(lines) > 0 {
		tell(<-lines)
	}
	var no *RefusedError
	if s, ok := k.stallOf(t.subject()); err != nil && (errors.As(err, &no) || !ok || s.Count >= patienceOfPeople) {
		return until, fmt.Errorf("%w; %w", err, ErrStalled)
	}
	return until, nil
}

// note says when the old value goes, and for how many it is kept.
func (t ofEnvironment) note(k *Keeper, j vault.Rotation) string {
	c := k.vault.Contents()
	e := c.Environments[t.name]
	old, ok := t.version(e, j.Old)
	if stays := t.stays(c, e, old); !ok || stays != "" {
		return stays
	}
	w := k.waitFor(t.engine, e, old, j.Since, j.Grace)
	note := fmt.Sprintf("the former one is deleted at %s", w.End.UTC().Format(time.RFC3339))
	if w.Open {
		note += ", when the programs have ended that run with it"
	}
	if n := len(w.Holders); n > 0 {
		note += fmt.Sprintf("; %d still hold it", n)
	}
	return note
}

// stays says of a version that it is not deleted, and why; "": it is.
func (t ofEnvironment) stays(c *vault.Contents, e vault.Environment, old version) string {
	why := t.spared(c, e, old.id)
	if why == "" {
		return ""
	}
	return "the former one, " + old.name + ", stays at the cloud: " + why
}

// sleep waits for a time or for a commit, whichever comes first.
func (k *Keeper) sleep(ctx context.Context, until time.Time) error {
	turned := k.turned()
	select {
	case <-k.after(max(until.Sub(k.now()), 0)):
	case <-turned:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrStalled, ctx.Err())
	}
	return nil
}

// listen returns what is told of a subject from now on. A listener that is a
// hundred lines behind misses some.
func (k *Keeper) listen(subject string) (lines <-chan Progress, cancel func()) {
	c := make(chan Progress, 128)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ears[c] = subject
	return c, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.ears, c)
	}
}

func (k *Keeper) tell(p Progress) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, subject := range k.ears {
		if subject != p.Subject {
			continue
		}
		select {
		case c <- p:
		default:
		}
	}
}

// GoOn goes on with every rotation that is due, after an unlock and whenever
// it said it would. next is when to call again; zero: nothing is under way.
func (k *Keeper) GoOn(ctx context.Context) (next time.Time, failures map[string]error) {
	failures = map[string]error{}
	later := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, t := range tasks(k.vault.Contents()) {
		if s, ok := k.stallOf(t.subject()); ok && k.now().Before(s.At) {
			later(s.At)
			continue
		}
		until, err := k.goOn(ctx, t)
		if err != nil {
			failures[t.subject()] = err
		}
		later(until)
	}
	return next, failures
}

// tasks are the rotations that are under way, always in the same order.
func tasks(c *vault.Contents) (all []task) {
	for id, u := range c.Users {
		if u.Rotation != nil {
			all = append(all, ofUser{id, u.User.String()})
		}
	}
	for name := range c.Environments {
		for _, what := range engines {
			if t := (ofEnvironment{what, name}); t.journalIn(c) != nil {
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, func(a, b task) int { return cmp.Compare(a.subject(), b.subject()) })
	return all
}

// A Plan is what a rotation would do.
type Plan struct {
	Environment string
	User        string
	Name        string // of the value that would go: its access key; "" where there is none
	Wait               // as if it were replaced now
	Spared      string // why it would not be deleted; "": it would
	Under       bool   // one is under way already
	Err         error  // why it can't be
}

// Plan says what Rotate would do, and whom a grace would break.
func (k *Keeper) Plan(what Kind, name string, grace *time.Duration) (Plan, error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return Plan{}, err
	}
	t := ofEnvironment{engines[what], name}
	j := *t.journal(&e)
	p := Plan{Environment: name, User: u.Called, Under: j != nil, Err: t.may(e, u)}
	goes, flip := inForce, k.now()
	if j != nil && Step(j.Step) == StepDrain {
		goes, flip = j.Old, j.Since
		if grace == nil {
			grace = j.Grace
		}
	}
	if old, ok := t.version(e, goes); ok {
		p.Name, p.Spared, p.Wait = old.name, t.spared(k.vault.Contents(), e, old.id), k.waitFor(t.engine, e, old, flip, grace)
	}
	return p, nil
}

// A Retiring is a rotation as status tells of it.
type Retiring struct {
	Kind    Kind
	Step    string
	Version int // the one that goes
	Wait
	Trouble string // why it does not get on
}

// Retiring tells of the rotation that an environment's value of a kind is in.
func (k *Keeper) Retiring(what Kind, e vault.Environment) (Retiring, bool) {
	t := ofEnvironment{engines[what], e.Name}
	j := *t.journal(&e)
	if j == nil {
		return Retiring{}, false
	}
	r := Retiring{Kind: what, Step: j.Step}
	if old, ok := t.version(e, j.Old); ok && j.Old != "" {
		r.Version = old.n
		flip := j.Since
		if Step(j.Step) != StepDrain {
			flip = k.now()
		}
		r.Wait = k.waitFor(t.engine, e, old, flip, j.Grace)
	}
	if s, ok := k.stallOf(t.subject()); ok {
		r.Trouble = s.Reason
	}
	return r, true
}

// RetiringPassword tells of the rotation that a user's password is in. Who holds
// the former one FormerHolders says, also after its end.
func (k *Keeper) RetiringPassword(u vault.User) (Retiring, bool) {
	j := u.Rotation
	if !UnderWay(j) {
		return Retiring{}, false
	}
	r := Retiring{Kind: KindPassword, Step: j.Step}
	if old, ok := u.Passwords.Find(j.Old); ok {
		r.Version = old.N
	}
	if s, ok := k.stallOf(ofUser{u.ID, u.User.String()}.subject()); ok {
		r.Trouble = s.Reason
	}
	return r, true
}

// FormerHolders returns who holds a password of a user that is in force no more,
// or a token that died with it. Those are leases of all his environments.
func (k *Keeper) FormerHolders(u vault.User) (former []Lease) {
	active, _ := u.Passwords.Active()
	for _, id := range environmentIDs(k.vault.Contents(), u.ID) {
		for _, lease := range k.patience.Ledger.Of(id) {
			if lease.Password != 0 && lease.Password != active.N {
				former = append(former, lease)
			}
		}
	}
	return former
}
