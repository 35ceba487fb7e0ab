package rotate

import (
	"cmp"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Plan is what a rotation would do.
type Plan struct {
	Name    string // of the value that would go: its access key; "" where there is none
	Wait           // as if it were replaced now
	Spared  string // why it would not be deleted; "": it would
	Under   bool   // one is under way already
	Already bool   // one is, and all that is left of it is the end of the former value
	Err     error  // why it can't be
}

// Plan says what Rotate would do, and whom a grace would break.
func (k *Keeper) Plan(what Kind, name string, grace *time.Duration) (Plan, error) {
	e, u, err := k.Environment(name)
	if err != nil {
		return Plan{}, err
	}
	t := ofEnvironment{engines[what], name}
	j := *t.journal(&e)
	p := Plan{Err: t.may(e, u)}
	p.Already = pastFlip(j) && !t.givesWay(e)
	p.Under = j != nil && !pastFlip(j)
	c, goes, flip, wished := k.vault.Contents(), inForce, k.now(), grace
	if p.Already {
		goes, flip, wished = j.Old, j.Since, cmp.Or(grace, j.Grace)
	}
	if old, ok := t.version(e, goes); ok {
		p.Name, p.Spared, p.Wait = old.name, t.spared(c, e, old.id), k.waitFor(t.engine, e, old, flip, wished)
		if p.Spared != "" {
			p.Broken = nil
		}
	}
	if p.Already { // that one is told of above
		j = next(j.Left)
	}
	if pastFlip(j) { // a grace is for these, too
		for ; j != nil; j = next(j.Left) {
			if old, ok := t.version(e, j.Old); ok && old.retiring {
				w := k.waitFor(t.engine, e, old, j.Since, cmp.Or(grace, j.Grace))
				p.Holders, p.Broken = append(p.Holders, w.Holders...), append(p.Broken, w.Broken...)
			}
		}
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

// Retiring tells of the rotation that an environment's value of a kind is in.
func (k *Keeper) Retiring(what Kind, e vault.Environment) (Retiring, bool) {
	t := ofEnvironment{engines[what], e.Name}
	j := *t.journal(&e)
	if j == nil {
		return Retiring{}, false
	}
	r := Retiring{Step: j.Step}
	if old, ok := t.version(e, j.Old); ok && j.Old != "" {
		r.Version = old.n
		flip := j.Since
		if Step(j.Step) != StepDrain {
			flip = k.now()
		}
		r.Wait = k.waitFor(t.engine, e, old, flip, j.Grace)
	}
	if s, ok := k.stallOf(t.subject()); ok {
		r.Trouble = s.Err.Error()
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
	r := Retiring{Step: j.Step}
	if old, ok := u.Passwords.Find(j.Old); ok {
		r.Version = old.N
	}
	if s, ok := k.stallOf(ofUser{u.ID, u.User.String()}.subject()); ok {
		r.Trouble = s.Err.Error()
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
