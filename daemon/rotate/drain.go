package rotate

import (
	"cmp"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// Patience is how long a replaced value is left alive for those who hold it.
type Patience struct {
	Ledger *Ledger
	Grace  time.Duration // for holders whose end is unknown, from the flip
	Lease  time.Duration // the longest that this daemon gives
}

// answering is how long a request may take that read the old value just before
// the flip and is not in the ledger yet: it reads from memory and waits for
// nobody.
const answering = 2 * time.Second

// lookAgain is how often it is seen whether the programs have ended that hold a
// replaced value.
const lookAgain = 30 * time.Second

// A Wait says when a value's last holder is done with it, and who they are.
type Wait struct {
	End     time.Time // the value is deleted then, or, where Open, not before
	Open    bool      // and not before the programs have ended that hold it
	Holders []Lease   // those who hold it now
	Broken  []Lease   // of them, those who may hold it longer than End
	Unknown bool      // others may: it was printed for a program that has ended, given out by a daemon before this one, or came from a file or a person. End allows for them
}

// waitFor returns how long a version of an environment's value must live on
// after it was replaced at the moment flip. With a grace that is all there is;
// else every lease ends by itself: the known ones when they say, a program's with
// it, what was printed, or did not come from ccad, after the grace, and what an
// earlier daemon may have given after the longest that there was.
func (k *Keeper) waitFor(what engine, e vault.Environment, old version, flip time.Time, grace *time.Duration) Wait {
	p := k.patience
	w := Wait{End: flip}
	later := func(t time.Time) {
		if grace == nil && t.After(w.End) {
			w.End = t
		}
	}
	later(flip.Add(min(answering, p.Grace)))
	for _, old := range k.heldAs(what, e, old) {
		for _, lease := range p.Ledger.Of(old.in) {
			if what.held(lease.Held) != old.n {
				continue
			}
			w.Holders = append(w.Holders, lease)
			switch {
			case !lease.Until.IsZero():
				later(lease.Until)
			case lease.View == ViewExec:
				w.Open = grace == nil
			default:
				later(flip.Add(p.Grace))
			}
		}
		if p.Ledger.Loose(old.in, func(h Held) bool { return what.held(h) == old.n }) {
			w.Unknown = true
			later(flip.Add(p.Grace))
		}
		if old.brought {
			w.Unknown = true
			later(flip.Add(p.Grace))
		}
		if old.created.Before(p.Ledger.Since()) {
			w.Unknown = true
			later(flip.Add(p.Grace))
			later(k.leasesEnd)
		}
	}
	if grace != nil {
		w.End = flip.Add(*grace)
	}
	for _, lease := range w.Holders {
		endless := lease.Until.IsZero() && !w.Open && (lease.View == ViewExec || w.End.Before(flip.Add(p.Grace)))
		if endless || lease.Until.After(w.End) {
			w.Broken = append(w.Broken, lease)
		}
	}
	return w
}

// drain waits for those who hold the old value. There is nothing to wait for
// where it is in force again, or gone, nor where it stays.
func (r *run) drain(what engine) (outcome, edit, error) {
	old, ok := what.version(r.env, r.rotation.Old)
	if _, serves := what.version(r.env, inForce); !ok || !serves || !old.retiring {
		return superseded, nil, nil
	}
	if what.spared(r.vault.Contents(), r.env, old.id) != "" {
		return spared, nil, nil
	}
	w := r.waitFor(what, r.env, old, r.rotation.Since, r.rotation.Grace)
	switch now := r.now(); {
	case now.Before(w.End):
		return "", nil, waitError{w.End}
	case w.Open:
		return "", nil, waitError{now.Add(lookAgain)} // nobody tells when a program ends
	}
	return drained, nil, nil
}

// SetPatience says how long replaced values live on. It is called once, before
// anything rotates. The next commit records the lease that this daemon gives, and
// when the last one of the daemons before it ends: a full disk keeps none shut.
// What is stored was there before it (timely), and is written where that is news.
func (k *Keeper) SetPatience(p Patience) error {
	k.patience = p
	c := k.vault.Contents()
	k.leasesEnd = c.LeasesEnd
	if end := k.now().Add(cmp.Or(c.Lease, p.Lease)); len(c.Environments) > 0 && end.After(k.leasesEnd) {
		k.leasesEnd = end
	}
	return k.clockSetBack(p.Ledger.Since().Add(-time.Nanosecond))
}
