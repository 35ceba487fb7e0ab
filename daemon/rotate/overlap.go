package rotate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// This file has what the engines' rotations have in common: when a new value is
// put in force, the former one deleted, a new one taken back. Of what is alive
// the cloud's list says (look); nothing is deleted but the very version that the
// journal names.

// act makes a step.
func (r *run) act(what engine) (outcome, edit, error) {
	step := Step(r.rotation.Step)
	switch step {
	case StepFlip:
		return r.flip(what)
	case StepDrain:
		return r.drain(what)
	}
	if err := what.look(r); err != nil {
		return "", nil, err
	}
	switch step {
	case StepCreate:
		return what.create(r)
	case StepProve:
		return what.prove(r)
	case StepDelete:
		return r.delete(what)
	case StepDead:
		if what.alive(r, r.rotation.Old) {
			return listed, nil, nil
		}
		return absent, func(c *vault.Contents, e *vault.Environment, j *vault.Rotation) { what.drop(r, c, e, j.Old) }, nil
	case StepWithdraw:
		return r.withdraw(what)
	}
	return "", nil, fmt.Errorf("the journal of %s has a step %q that this ccad does not know", r.env.Name, step)
}

// proofLasts is how old a proof may be that a value is served on.
const proofLasts = time.Minute

// flip puts the new value in force, in one commit.
func (r *run) flip(what engine) (outcome, edit, error) {
	active, has := what.version(r.env, inForce)
	_, there := what.version(r.env, r.rotation.New)
	switch {
	case !there, has && active.id != r.rotation.Old:
		return superseded, because("another one was put in force meanwhile"), nil
	case r.now().After(r.rotation.Since.Add(proofLasts)):
		return stale, nil, nil
	}
	return flipped, func(c *vault.Contents, e *vault.Environment, j *vault.Rotation) { what.activate(r, c, e, j.New) }, nil
}

// inForce reports whether a version, or a copy of it, is not replaced.
func (r *run) inForce(what engine, v version) bool {
	return slices.ContainsFunc(what.copies(r.vault.Contents(), r.env, v.id), func(v version) bool { return !v.retiring })
}

// delete deletes the former value, if it is still one that may be: it is
// replaced, by another that the cloud has.
func (r *run) delete(what engine) (outcome, edit, error) {
	old, ok := what.version(r.env, r.rotation.Old)
	active, serves := what.version(r.env, inForce)
	switch {
	case !ok || !serves || r.inForce(what, old):
		return superseded, nil, nil
	case !what.alive(r, old.id):
		return deleted, nil, nil
	case !what.alive(r, active.id):
		return "", nil, fmt.Errorf("the former one is kept, since Keystone does not list the one that serves: %s", what.subject(r.env.Name))
	}
	return r.remove(what, old.id)
}

// withdraw takes back the new value, unless it serves, here or as another environment, or is
// perhaps another's.
func (r *run) withdraw(what engine) (outcome, edit, error) {
	v, ok := what.version(r.env, r.rotation.New)
	switch {
	case ok && !v.pending:
		return superseded, nil, nil
	case ok && what.spared(r.vault.Contents(), r.env, v.id) == "" && what.alive(r, v.id):
		return r.remove(what, v.id)
	}
	return absent, func(c *vault.Contents, e *vault.Environment, j *vault.Rotation) { what.drop(r, c, e, j.New) }, nil
}

func (r *run) remove(what engine, id string) (outcome, edit, error) {
	err := what.remove(r, id)
	if err := r.crash("delete: sent"); err != nil {
		return "", nil, err
	}
	if err != nil && !errors.Is(err, cloud.ErrNotFound) {
		return "", nil, fmt.Errorf("delete %s: %w", what.subject(r.env.Name), err)
	}
	return deleted, nil, nil
}
