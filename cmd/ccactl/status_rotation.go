package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// withDue puts the column of the schedule before the last one, where anything is
// scheduled at all.
func withDue(scheduled bool, due string, cells ...string) []string {
	if !scheduled {
		return cells
	}
	return slices.Insert(cells, len(cells)-1, due)
}

// firstDue is when the first of an environment's values is replaced.
func firstDue(e ipc.Environment) *ipc.Due {
	if e.CredentialDue != nil && (e.RotationDue == nil || e.CredentialDue.At.Before(e.RotationDue.At)) {
		return e.CredentialDue
	}
	return e.RotationDue
}

// due says when the schedule replaces a value; "" for never.
func due(d *ipc.Due, now time.Time) string {
	if d == nil {
		return ""
	}
	return relative(&d.At, now)
}

// rotating tells of a rotation under way: who still holds what goes. again is the
// command that asks for it. Of what is refused nothing is deleted before that is mended.
func rotating(e ipc.Environment, what, again string, r *ipc.Rotation) (all []trouble) {
	name := e.Name
	switch {
	case r == nil:
		return nil
	case r.Trouble != "":
		return []trouble{{what: name + ": its " + what + " is being rotated, and " + r.Step + " fails: " + r.Trouble, mend: again}}
	case r.Step != "drain" || e.State == "refused":
		return nil
	}
	text := fmt.Sprintf("%s: its former %s v%d is kept until the programs have ended that run with it", name, what, r.Version)
	if r.Until != nil {
		text = fmt.Sprintf("%s: its former %s v%d is deleted at %s", name, what, r.Version, r.Until.Local().Format(time.DateTime))
	}
	text += heldByAll(r.Holders)
	if r.Unknown {
		text += ", and others may hold it"
	}
	return []trouble{{what: text, mend: again + " --grace 0s deletes it now", harmless: true}}
}

// few is how many of a kind a line names.
const few = 5

// heldByAll names who holds something.
func heldByAll(holders []ipc.Lease) (text string) {
	all := heldByEach(holders)
	for i, holder := range all {
		if i == few {
			return text + fmt.Sprintf(", and by %d more", len(all)-few)
		}
		text += ", held by " + holder
	}
	return text
}

func some(names []string) string {
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
}

// overdueAfter is how late the schedule may be before a person hears of it.
const overdueAfter = time.Hour

// overdue tells of a scheduled rotation that does not happen: t says of what. One
// that is under way, r, is waited for.
func overdue(d *ipc.Due, r *ipc.Rotation, t trouble, now time.Time) []trouble {
	switch {
	case d == nil:
		return nil
	case d.Tried != nil:
		t.what += fmt.Sprintf(" was to be rotated %s, and nothing came of it; the next try is %s", relative(d.Tried, now), relative(&d.At, now))
	case now.Sub(d.At) > overdueAfter:
		t.what += fmt.Sprintf(" was to be rotated %s", relative(&d.At, now))
		if r != nil && r.Step == "drain" {
			t.what += ", and is once the former one is gone"
			t.mend += " --grace 0s deletes that now"
		}
	default:
		return nil
	}
	return []trouble{t}
}
