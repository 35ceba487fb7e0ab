package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Wish is how a person wants something rotated.
type Wish struct {
	Grace *time.Duration // from the flip to the deletion; nil: as long as somebody holds the old one
	Wait  bool           // until the old one is proved dead
}

// RotateKey replaces an environment's S3 key and tells of each step. It returns
// once the new one serves, or with Wait once the old one is proved dead; ctx ends
// only the following. What is begun goes on by itself (GoOn).
func (k *Keeper) RotateKey(ctx context.Context, name string, w Wish, tell func(Progress)) error {
	return k.follow(ctx, ofEnvironment{s3Keys{}, name}, w, tell, func() (bool, error) { return k.begin(name, w.Grace) })
}

// AwaitKey follows a rotation that is under way until the old key is proved
// dead.
func (k *Keeper) AwaitKey(ctx context.Context, name string, tell func(Progress)) error {
	return k.follow(ctx, ofEnvironment{s3Keys{}, name}, Wish{Wait: true}, tell, nil)
}

// patienceOfPeople is how many failed steps in a row a person is kept waiting
// for: some 15 seconds.
const patienceOfPeople = 5

func (k *Keeper) follow(ctx context.Context, t task, w Wish, tell func(Progress), begin func() (joined bool, err error)) error {
	subject, withdrawn := t.subject(), ""
	lines, cancel := k.listen(subject)
	defer cancel()
	hear := func(p Progress) {
		if p.Step == StepWithdraw && p.State == "done" {
			withdrawn = p.Note
		}
		tell(p)
	}
	if begin != nil {
		joined, err := begin()
		if err != nil {
			return err
		}
		note := ""
		if joined {
			note = "a rotation was under way already, and goes on"
		}
		tell(Progress{Step: "journal", Subject: subject, State: "done", Note: note})
	}
	begun := t.journalIn(k.vault.Contents())
	for { // once at least: somebody else may have gone through with it by now
		until, err := k.drive(ctx, t, lines, hear)
		if err != nil {
			return err
		}
		now := t.journalIn(k.vault.Contents())
		if now == nil || begun == nil || !now.Begun.Equal(begun.Begun) {
			break
		}
		if Step(now.Step) == StepDrain && !w.Wait {
			tell(Progress{Step: StepDrain, Subject: subject, State: "start", Note: t.note(k, *now)})
			return nil
		}
		if err := k.sleep(ctx, until); err != nil {
			return err
		}
	}
	if withdrawn != "" {
		return fmt.Errorf("%s: %s: %w", subject, withdrawn, ErrWithdrawn)
	}
	return nil
}

// drive goes on in the background and passes on what is told meanwhile.
func (k *Keeper) drive(ctx context.Context, t task, lines <-chan Progress, tell func(Progress)) (until time.Time, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		until, err = k.goOn(context.WithoutCancel(ctx), t)
	}()
	for {
		select {
		case p := <-lines:
			tell(p)
			continue
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%w: %w", ErrStalled, ctx.Err())
		case <-done:
		}
		break
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
	e := k.vault.Contents().Environments[t.name]
	old, ok := e.Keys.Find(j.Old)
	if !ok {
		return ""
	}
	w := k.waitFor(e, old, j.Since, j.Grace)
	note := fmt.Sprintf("the former key is deleted at %s", w.End.UTC().Format(time.RFC3339))
	if n := len(w.Holders); n > 0 {
		note += fmt.Sprintf("; %d still hold it", n)
	}
	return note
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

// tasks are the rotations that are under way.
func tasks(c *vault.Contents) (all []task) {
	for id, u := range c.Users {
		if u.Rotation != nil {
			all = append(all, ofUser{id, u.User.String()})
		}
	}
	for name := range c.Environments {
		for _, what := range kinds {
			if t := (ofEnvironment{what, name}); t.journalIn(c) != nil {
				all = append(all, t)
			}
		}
	}
	return all
}

// kinds are all that an environment's rotations can be about.
var kinds = []kind{s3Keys{}}

// A Plan is what a rotation would do.
type Plan struct {
	Environment string
	User        string
	AccessKeyID string // of the key that would go
	Wait               // as if it were replaced now
	Under       bool   // one is under way already
	Err         error  // why it can't be
}

// PlanKey says what RotateKey would do, and whom a grace would break.
func (k *Keeper) PlanKey(name string, grace *time.Duration) (Plan, error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Environment: name, User: u.Called, Under: e.KeyRotation != nil, Err: mayRotateKey(e, u)}
	flip := k.now()
	old, ok := e.Keys.Active()
	if j := e.KeyRotation; j != nil && Step(j.Step) == StepDrain {
		old, ok = e.Keys.Find(j.Old)
		flip = j.Since
		if grace == nil {
			grace = j.Grace
		}
	}
	if ok {
		p.AccessKeyID = old.Value.AccessKeyID
		p.Wait = k.waitFor(e, old, flip, grace)
	}
	return p, nil
}

// A Retiring is a rotation as status tells of it.
type Retiring struct {
	Step    string
	Version int // the one that goes
	Wait
	Trouble string // why it does not get on
}

// RetiringKey tells of the rotation that an environment's S3 key is in.
func (k *Keeper) RetiringKey(e vault.Environment) (Retiring, bool) {
	j := e.KeyRotation
	if j == nil {
		return Retiring{}, false
	}
	r := Retiring{Step: j.Step}
	if old, ok := e.Keys.Find(j.Old); ok {
		r.Version = old.N
		flip := j.Since
		if Step(j.Step) != StepDrain {
			flip = k.now()
		}
		r.Wait = k.waitFor(e, old, flip, j.Grace)
	}
	if s, ok := k.stallOf(s3Keys{}.subject(e.Name)); ok {
		r.Trouble = s.Reason
	}
	return r, true
}
