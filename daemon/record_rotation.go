package daemon

import (
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// recordRotations puts into the audit trail what became of rotations in a commit:
// a value was replaced, the former one is dead, or it came to nothing. It is
// derived from the commit, so that it is there whoever asked for the rotation and
// whoever still listens.
func (d *Daemon) recordRotations(o *opened, before, after *vault.Contents) {
	for id, is := range after.Users {
		was := before.Users[id]
		d.recordRotation(o, audit.Entry{User: is.Called, Note: kindPassword}, "", journals{was.Rotation, is.Rotation, numbers(was.Passwords), numbers(is.Passwords)})
	}
	for name, is := range after.Environments {
		was := before.Environments[name]
		if was.ID != is.ID {
			continue
		}
		_, had := was.Keys.Active()
		if v, ok := is.Keys.Active(); ok && had && (v.Source == "rotation" || v.Source == "found") && numbers(was.Keys)[v.ID] == 0 { // it follows another
			d.record(o, audit.Entry{Event: "rotated", Environment: name, Version: v.N})
		}
		user := after.Users[is.UserID].Called
		d.recordRotation(o, audit.Entry{Environment: name, User: user}, "key-deleted", journals{was.KeyRotation, is.KeyRotation, numbers(was.Keys), numbers(is.Keys)})
		d.recordRotation(o, audit.Entry{Environment: name, User: user, Note: kindAppCred}, "credential-deleted", journals{was.CredRotation, is.CredRotation, numbers(was.AppCreds), numbers(is.AppCreds)})
	}
}

// journals are a rotation's before and after a commit, with the versions that
// there were and are, by their ids.
type journals struct {
	was, is    *vault.Rotation
	had, holds map[string]int
}

func numbers[T vault.Value](vs vault.Versions[T]) map[string]int {
	n := map[string]int{}
	for _, v := range vs.List {
		n[v.ID] = v.N
	}
	return n
}

func (d *Daemon) recordRotation(o *opened, e audit.Entry, deleted string, j journals) {
	if j.was == nil || j.was == j.is {
		return
	}
	_, kept := j.holds[j.was.New]
	_, stands := j.holds[j.was.Old]
	from := rotate.Step(j.was.Step)
	over := j.is == nil || !j.is.Begun.Equal(j.was.Begun) // or another goes on
	switch {
	case from == rotate.StepFlip && !over && (rotate.Step(j.is.Step) == rotate.StepDrain || rotate.Step(j.is.Step) == rotate.StepHeal):
		e.Event, e.Version = "rotated", j.holds[j.is.New]
	case from == rotate.StepDead && over && !stands:
		e.Event, e.Version = deleted, j.had[j.was.Old]
	case over && !kept && !slices.Contains([]rotate.Step{rotate.StepLinger, rotate.StepDrain, rotate.StepDelete, rotate.StepDead}, from):
		e.Event = "withdrawn"
		e.Note = strings.TrimPrefix(e.Note+": "+j.was.Reason, ": ")
		e.Note = strings.TrimSuffix(e.Note, ": ")
	case !over && !rotate.UnderWay(j.is) && from != rotate.StepLinger:
		e.Event, e.Note = "withdrawn", e.Note+": "+j.is.Reason
	default:
		return
	}
	d.record(o, e)
}
