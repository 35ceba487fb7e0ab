package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	begun := t.journalIn(k.vault.Contents())
	served := joined && pastFlip(begun)
	tell(k.began(t, joined, begun))
	for { // once at least: somebody else may have gone through with it by now
		until, err := k.drive(ctx, t, lines, hear)
		if err != nil {
			return err
		}
		if begun == nil {
			break
		}
		now := stillOf(t.journalIn(k.vault.Contents()), begun.Begun)
		if now == nil {
			break
		}
		if Step(now.Step) == StepDrain && !served {
			served = true
			note, _ := t.note(k, *now)
			tell(Progress{Step: StepDrain, Subject: subject, State: "start", Note: note})
		}
		if served && w.Served != nil {
			w.Served()
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

// began tells of what a rotation begins with: its journal, or that of one under way,
// or that there is nothing left to do but to wait.
func (k *Keeper) began(t task, joined bool, j *vault.Rotation) Progress {
	p := Progress{Step: "journal", Subject: t.subject(), State: "done"}
	switch {
	case joined && pastFlip(j):
		note, holders := t.note(k, *j)
		p.Step, p.State, p.Already, p.Holders = StepDrain, "start", true, holders
		p.Note = "it was replaced already, by the rotation begun at " + stamp(j.Begun)
		if note != "" {
			p.Note += "; " + note
		}
	case joined:
		p.Note = "a rotation was under way already, and goes on"
	}
	return p
}

// err is what a person hears of a rotation that was withdrawn; nil: it was not.
func (p *Progress) err() error {
	if p == nil {
		return nil
	}
	what := p.Note
	if !strings.HasPrefix(what, p.Subject+" ") { // a refusal's begins with it
		what = p.Subject + ": " + what
	}
	if p.denied {
		return deniedError{what}
	}
	return fmt.Errorf("%s: %w", what, ErrWithdrawn)
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

// note says when the old value goes, and for whom it is kept.
func (t ofEnvironment) note(k *Keeper, j vault.Rotation) (string, []Lease) {
	c := k.vault.Contents()
	e := c.Environments[t.name]
	old, ok := t.version(e, j.Old)
	if j.Old == "" || !ok {
		return "", nil
	}
	if stays := t.stays(c, e, old); stays != "" {
		return stays, nil
	}
	w := k.waitFor(t.engine, e, old, j.Since, j.Grace)
	note := "the former one is deleted"
	if !w.Open || w.End.After(k.now()) {
		note += " at " + stamp(w.End)
	}
	if w.Open {
		note += " when the programs have ended that run with it"
	}
	if n := len(w.Holders); n > 0 {
		note += fmt.Sprintf("; %d still hold it", n)
	}
	if w.Unknown && j.Grace == nil {
		note += "; others may hold it"
	}
	return note, w.Holders
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
// it said it would. next is when to call again; zero: nothing is under way. failures
// are of all that stall, those included that pause.
func (k *Keeper) GoOn(ctx context.Context) (next time.Time, failures map[string]error) {
	failures = map[string]error{}
	later := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, t := range tasks(k.vault.Contents()) {
		if s, ok := k.stallOf(t.subject()); ok && k.now().Before(s.At) {
			failures[t.subject()] = s.Err // it stalls on
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
