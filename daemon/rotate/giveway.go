package rotate

import (
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A rotation that has put its value in force only waits for the end of the former
// one. Who asks for another meanwhile is told so, and gets none: what he wants was
// done. But where something else was put in force since, by a person, a Regenerate
// or the rotation of an environment that shares the key, he gets what he asks for:
// the rotation gives way. What it has still to delete is left to the next one's
// journal, which takes it up again when it is over itself.
//
// A schedule counts from the value in force. One that is due while a former one
// drains waits for that, however long, and status calls it overdue: to have a
// second one drain beside it, and a third, would pile them up under a program that
// never ends, and to end that program's key is a person's to decide (--grace).

// pastFlip reports whether a rotation has put its new value in force.
func pastFlip(j *vault.Rotation) bool {
	return j != nil && slices.Contains([]Step{StepDrain, StepDelete, StepDead}, Step(j.Step))
}

// givesWay reports whether a rotation is under way whose new value is in force no
// more.
func (t ofEnvironment) givesWay(e vault.Environment) bool {
	j := *t.journal(&e)
	v, _ := t.version(e, inForce)
	return pastFlip(j) && v.id != j.New
}

// free reports whether another rotation may begin.
func (t ofEnvironment) free(e vault.Environment) bool { return *t.journal(&e) == nil || t.givesWay(e) }

// left is what the next rotation has to take up of one that gives way. A value
// that is in force again is nothing to delete, nor is one that the cloud, if it was
// looked at, has no more. A grace is a person's word on all that drains.
func (t ofEnvironment) left(r *run, looked bool, grace *time.Duration, c *vault.Contents, e *vault.Environment) []vault.Left {
	j := *t.journal(e)
	if j == nil {
		return nil
	}
	all := slices.Clone(j.Left)
	switch old, ok := t.version(*e, j.Old); {
	case j.Old == "" || !ok || !old.retiring:
	case looked && !t.alive(r, j.Old):
		t.drop(r, c, e, j.Old)
	default:
		all = append([]vault.Left{{New: j.New, Old: j.Old, Begun: j.Begun, Since: j.Since, Grace: j.Grace}}, all...)
	}
	for i := range all {
		if grace != nil {
			all[i].Grace = grace
		}
	}
	return all
}

// next is the journal after the end of a rotation: of what it has left, or none.
func next(left []vault.Left) *vault.Rotation {
	if len(left) == 0 {
		return nil
	}
	l := left[0]
	return &vault.Rotation{Step: string(StepDrain), New: l.New, Old: l.Old, Begun: l.Begun, Since: l.Since, Grace: l.Grace, Left: left[1:]}
}

// stillOf returns the rotation that was begun then, from a journal that has it or
// what is left of it; nil: it is over.
func stillOf(j *vault.Rotation, begun time.Time) *vault.Rotation {
	for UnderWay(j) && !j.Begun.Equal(begun) {
		j = next(j.Left)
	}
	if !UnderWay(j) {
		return nil
	}
	return j
}
