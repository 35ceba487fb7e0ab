package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Step is what is to be done next in a rotation.
type Step string

// The steps. The journal holds one of them, or there is none: it is over.
const (
	StepCreate   Step = "create"     // ask the cloud to make the intended value
	StepProve    Step = "prove"      // see that it works
	StepFlip     Step = "flip"       // serve it
	StepDrain    Step = "drain"      // wait for those who hold the old one
	StepDelete   Step = "delete"     // ask the cloud to delete the old one
	StepDead     Step = "prove-dead" // see that it is gone
	StepWithdraw Step = "withdraw"   // delete the new one again: it can't be put to use

	StepChange Step = "change" // a password: ask the cloud to change it
	StepFind   Step = "find"   // the change was asked for and its answer is not known: which one is in force?
	StepHeal   Step = "heal"   // bring the user's environments in line
	StepLinger Step = "linger" // it was not made, so far: its request may still be under way

	stepOver Step = ""
)

// An outcome is how a step ended; without one the step is owed again.
type outcome string

const (
	made       outcome = "made"
	forbidden  outcome = "forbidden"
	asking     outcome = "asking"
	refused    outcome = "refused"
	proved     outcome = "proved"
	missing    outcome = "missing"
	late       outcome = "late"
	flipped    outcome = "flipped"
	stale      outcome = "stale"
	superseded outcome = "superseded"
	drained    outcome = "drained"
	spared     outcome = "spared"
	deleted    outcome = "deleted"
	listed     outcome = "listed"
	absent     outcome = "gone"
)

// transitions is the state machine: no step goes where this table does not
// say. The package documentation has the same table.
var transitions = map[Step]map[outcome]Step{
	StepCreate:   {made: StepProve, forbidden: StepCreate, asking: StepCreate, refused: StepWithdraw},
	StepProve:    {proved: StepFlip, missing: StepCreate, late: StepWithdraw},
	StepFlip:     {flipped: StepDrain, stale: StepProve, superseded: StepWithdraw},
	StepDrain:    {drained: StepDelete, spared: stepOver, superseded: stepOver},
	StepDelete:   {deleted: StepDead, superseded: stepOver},
	StepDead:     {absent: stepOver, listed: StepDelete},
	StepWithdraw: {deleted: StepWithdraw, absent: stepOver, superseded: stepOver},
}

// Progress is one line of a rotation's story.
type Progress struct {
	Step    Step
	Subject string // "the S3 key of dev"
	State   string // start | done | failed
	Err     error  // with failed
	Note    string
	Already bool    // of a drain: the rotation was under way, its new value serves, and no other is made
	Holders []Lease // of such a drain: who holds the former value
	denied  bool    // of a withdrawal: see ErrPortal
}

// An edit is what a step changes in the store, in the same commit that moves the
// journal on.
type edit func(*vault.Contents, *vault.Environment, *vault.Rotation)

// A run is one step of one environment's rotation, under the user's gate.
type run struct {
	*Keeper
	ctx      context.Context
	user     vault.User
	env      vault.Environment
	rotation vault.Rotation

	grant cloud.Grant // what look asked with, and what it found
	pairs []account.KeyPair
	creds []cloud.ListedCredential
}

// A waitError says that a step is waiting for a time, not failing.
type waitError struct{ until time.Time }

func (e waitError) Error() string { return "waits until " + stamp(e.until) }

// Errors of rotations.
var (
	// ErrWithdrawn: the rotation was given up, and what was there before serves.
	ErrWithdrawn = errors.New("the rotation is withdrawn, and the former value stays in force")
	// ErrStalled: it goes on by itself when the cloud lets it.
	ErrStalled = errors.New("the rotation goes on by itself")
	// ErrPortal: nothing is under way, since ccad can't do it: the cloud lets a
	// user not do it by himself, or ccad has no password to ask with. A person can,
	// in the portal.
	ErrPortal = errors.New("only a person can, in the portal")
)

// A Kind is one sort of value that can be rotated. Metrics and the record of
// retired values have the same words.
type Kind string

// The kinds.
const (
	KindPassword Kind = "password" // a user's, without overlap
	KindKey      Kind = "s3-key"   // an environment's, like all below
	KindAppCred  Kind = "application-credential"
)

// engines are what rotates the values of environments.
var engines = map[Kind]engine{KindKey: s3Keys{}, KindAppCred: appCreds{}}

// An engine is what one kind of value of an environment needs to be rotated, with
// overlap. The steps and their order are not its own (overlap.go).
type engine interface {
	subject(environment string) string
	journal(e *vault.Environment) **vault.Rotation
	// may says why the environment's value can't be rotated.
	may(e vault.Environment, u vault.User) error
	// intend stages the value that is to serve and returns the ids for the
	// journal; former is "" where there is none.
	intend(e *vault.Environment, now time.Time) (intended, former string)
	// version describes the version of that id, or the one inForce.
	version(e vault.Environment, id string) (version, bool)
	// copies are that version, and the same value in other environments.
	copies(c *vault.Contents, e vault.Environment, id string) []version
	// spared says why a version is not deleted, though it is replaced; "": it is.
	spared(c *vault.Contents, e vault.Environment, id string) string
	// held is the version of its kind that a lease holds.
	held(h Held) int

	// look asks the cloud what there is, for the run.
	look(r *run) error
	// alive reports whether the version of that id was among what look found.
	alive(r *run, id string) bool
	// create and prove make the steps of those names.
	create(r *run) (outcome, edit, error)
	prove(r *run) (outcome, edit, error)
	// remove has the cloud delete a version.
	remove(r *run, id string) error
	// activate puts a version in force in the store, drop forgets one there, both
	// with its copies.
	activate(r *run, c *vault.Contents, e *vault.Environment, id string)
	drop(r *run, c *vault.Contents, e *vault.Environment, id string)
}

// A version is one of any kind, without its value.
type version struct {
	id       string
	in       string // the environment's ID
	n        int
	name     string // an access key, an application credential's name
	created  time.Time
	pending  bool // not in force yet
	brought  bool // it came from elsewhere, where others may have it too
	retiring bool // replaced, and by another
}

// inForce stands for the id of the version in force.
const inForce = ""

// versionOf is what most engines answer for version; named names a value.
func versionOf[T vault.Value](e vault.Environment, vs vault.Versions[T], id string, named func(T) string) (version, bool) {
	v, ok := vs.Find(id)
	if id == inForce {
		v, ok = vs.Active()
	}
	return version{id: v.ID, in: e.ID, n: v.N, name: named(v.Value), created: v.Created, brought: v.Source != "rotation", pending: v.State == vault.Pending, retiring: v.State == vault.Retiring}, ok
}

// advanceLocked does one step. The caller holds the user's gate. A waitError
// says that there is nothing to do yet.
func (k *Keeper) advanceLocked(ctx context.Context, what engine, name string) (after Step, err error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return stepOver, err
	}
	journal := *what.journal(&e)
	if journal == nil {
		return stepOver, nil
	}
	before := Step(journal.Step)
	if err := k.crash(string(before) + ": begun"); err != nil {
		return before, err
	}
	r := &run{Keeper: k, ctx: ctx, user: u, env: e, rotation: *journal}
	how, change, err := r.act(what)
	if err != nil {
		return before, err
	}
	if err := k.crash(string(before) + ": asked"); err != nil {
		return before, err
	}
	after, known := transitions[before][how]
	if !known {
		return before, fmt.Errorf("%s of %s ended in %q, which is no way out of it", before, name, how)
	}
	former := what.copies(k.vault.Contents(), e, journal.Old)
	if err := k.move(what, name, journal, after, change); err != nil {
		return before, err
	}
	k.trace(before, how, after)
	if before == StepDead && after == stepOver {
		for _, old := range former {
			k.patience.Ledger.Gone(old.in, func(h Held) bool { return what.held(h) == old.n })
		}
	}
	return after, k.crash(string(before) + ": recorded")
}

// move commits a step's outcome and the next step, if the journal still says
// what the step went by.
func (k *Keeper) move(what engine, name string, was *vault.Rotation, to Step, change edit) error {
	return k.commit("rotated", func(c *vault.Contents) error {
		e, ok := c.Environments[name]
		if !ok {
			return fmt.Errorf("%q: %w", name, ErrUnknown)
		}
		journal := what.journal(&e)
		if *journal != was {
			return fmt.Errorf("%s was taken up by somebody else: %w", what.subject(name), ErrConflict)
		}
		is := *was
		is.Step, is.Since = string(to), k.now()
		*journal = &is
		if change != nil {
			change(c, &e, &is)
		}
		if to == stepOver {
			*journal = next(is.Left)
		}
		served := c.Environments[name].Generation
		c.Environments[name] = e
		if to == StepDrain && served == e.Generation {
			touch(c, name)
		}
		return nil
	})
}

func (k *Keeper) trace(from Step, how outcome, to Step) {
	if k.traced != nil {
		k.traced(from, how, to)
	}
}

// A task is one rotation to drive: an environment's, or a user's.
type task interface {
	subject() string
	journalIn(c *vault.Contents) *vault.Rotation
	// step makes the steps that belong together under the user's gate.
	step(ctx context.Context, k *Keeper) (after Step, err error)
	// note says what a drain waits for, and for whom.
	note(k *Keeper, j vault.Rotation) (string, []Lease)
}

// ofEnvironment is the task of one kind of value of one environment.
type ofEnvironment struct {
	engine
	name string
}

func (t ofEnvironment) subject() string { return t.engine.subject(t.name) }

func (t ofEnvironment) journalIn(c *vault.Contents) *vault.Rotation {
	e := c.Environments[t.name]
	return *t.journal(&e)
}

// step makes the step that is owed and tells of it, all under the user's gate:
// who has the gate next has been told.
func (t ofEnvironment) step(ctx context.Context, k *Keeper) (after Step, err error) {
	e, u, err := k.Environment(t.name)
	if err != nil {
		return stepOver, err
	}
	defer k.gate(gateOf(e, u))()
	journal := t.journalIn(k.vault.Contents())
	if journal == nil {
		return stepOver, nil
	}
	p := Progress{Step: Step(journal.Step), Subject: t.subject(), Note: journal.Reason, denied: journal.Denied}
	switch old, had := t.version(e, journal.Old); {
	case p.Step != StepDrain:
	case journal.Old == "" || !had:
		p.Note = "there is no former one"
	default:
		p.Note = t.stays(k.vault.Contents(), e, old)
	}
	return k.telling(p, func() (Step, error) {
		return k.advanceLocked(ctx, t.engine, t.name)
	})
}

// telling tells when a step begins and how it ends. A drain is told by what it
// waits for.
func (k *Keeper) telling(p Progress, do func() (Step, error)) (after Step, err error) {
	say := func(state string, err error) { p.State, p.Err = state, err; k.tell(p) }
	if p.Step != StepDrain && p.Step != StepLinger {
		say("start", nil)
	}
	after, err = do()
	var wait waitError
	switch {
	case err == nil:
		say("done", nil)
	case !errors.As(err, &wait):
		say("failed", err)
	}
	return after, err
}

// inOneGo is how many steps a rotation makes without a pause. The longest way has
// half as many; whatever goes round in circles is not to do so at full speed.
const inOneGo = 20

var errCircling = errors.New("the cloud's answers lead round in circles")

// goOn makes as many steps as can be made now. until is when it is worth going
// on; zero: it is over. Several may drive one rotation: each step belongs to who
// has the gate.
func (k *Keeper) goOn(ctx context.Context, t task) (until time.Time, err error) {
	for n := 0; ; n++ {
		after, err := t.step(ctx, k)
		if err == nil && n >= inOneGo && after != stepOver {
			err = fmt.Errorf("%s: %w", t.subject(), errCircling)
		}
		var wait waitError
		switch {
		case errors.As(err, &wait):
			return wait.until, nil
		case err != nil:
			return k.stalled(t.subject(), err), err
		case after == stepOver && t.journalIn(k.vault.Contents()) == nil:
			k.unstalled(t.subject())
			return time.Time{}, nil
		}
		k.unstalled(t.subject())
	}
}
