package rotate

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Held is which version of each secret a client was given, of the secret itself
// or of what dies with it: a token with the password or the application
// credential that it was made with. 0: none, or one that is good by itself, such
// as a gateway key.
type Held struct{ Password, Keys, AppCred int }

// A Lease is what one client was given: a view of an environment, with what in
// it, and until when it may still be using it.
type Lease struct {
	Environment string // account.Environment.ID
	View        string
	Version     int // the one that is told
	Held
	Holder Process   // who was given it; without a PID nobody sees it end
	Parent string    // the program that started the client
	Until  time.Time // credential-process: its Expiration; zero: nobody said
}

// ViewExec is the view of a program that ccactl runs: it alone holds what it was
// given, and ends the lease with itself. What is printed may go on in a file, or
// in a program that the holder started, when he has ended.
const ViewExec = "exec"

// A Process is one, told from a later one of the same number by its start.
type Process struct {
	PID     int
	Started uint64 // clock ticks since boot, /proc/PID/stat; 0 where it is unknown
	Program string
}

// A Ledger knows the leases that have not ended. It lives in memory: after a
// restart, a rotation counts from the longest lease there can be. Only programs
// outlast that, for as long as they run: they are kept on record (Keep).
type Ledger struct {
	now   func() time.Time
	alive func(Process) bool
	since time.Time

	saving sync.Mutex // taken before mu, so that the last record has all
	save   func([]Lease)

	mu     sync.Mutex
	leases map[key]Lease
	loose  map[looseKey]struct{}
}

// A looseKey is a version that was printed for somebody who has ended. Its Held
// has one part.
type looseKey struct {
	environment string
	held        Held
}

// key makes one lease of what a client asks for again and again. A process may
// hold several versions: each of its sessions keeps the one that it got.
type key struct {
	environment, view string
	holder            Process
	version           int
	held              Held
}

// NewLedger makes an empty ledger. alive tells whether a process still runs.
func NewLedger(now func() time.Time, alive func(Process) bool) *Ledger {
	return &Ledger{now: now, alive: alive, since: now(), leases: map[key]Lease{}, loose: map[looseKey]struct{}{}}
}

// Keep takes up what an earlier ledger kept on record, and has the record replaced
// whenever a program is given something: of all programs that run, what they hold.
// It is called once, before anything is added.
func (l *Ledger) Keep(former []Lease, save func(running []Lease)) {
	for _, lease := range former {
		l.add(lease)
	}
	l.save = save
}

// Since is when the ledger began: from before it knows of programs alone.
func (l *Ledger) Since() time.Time { return l.since }

// Add records what was handed out just now. Its end is by the clock on the wall,
// as the client counts that was told it: where somebody sets the clock, both go
// by what it says then.
func (l *Ledger) Add(lease Lease) {
	l.add(lease)
	if lease.View == ViewExec && l.save != nil {
		l.record()
	}
}

func (l *Ledger) add(lease Lease) {
	lease.Until = lease.Until.Round(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases[key{lease.Environment, lease.View, lease.Holder, lease.Version, lease.Held}] = lease
	if len(l.leases)%1024 == 0 {
		l.purgeLocked()
	}
}

// record has saved who runs with what. A save may take its time, and holds up no
// one who is given something else.
func (l *Ledger) record() {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.save(l.running())
}

// running returns what programs hold that may run on for longer than the ledger
// lasts. A gateway key is no part of it: its S3 key is replaced behind it.
func (l *Ledger) running() (found []Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purgeLocked()
	for _, lease := range l.leases {
		if lease.View == ViewExec && lease.Until.IsZero() && lease.Held != (Held{}) {
			found = append(found, lease)
		}
	}
	return found
}

// Succeed is Add for a lease that takes the place of those that its holder had
// on the same view: these last for lapse yet.
func (l *Ledger) Succeed(lease Lease, lapse time.Duration) {
	l.mu.Lock()
	end := l.now().Add(lapse)
	for k, former := range l.leases {
		if k.environment == lease.Environment && k.view == lease.View && k.holder == lease.Holder && (former.Until.IsZero() || former.Until.After(end)) {
			former.Until = end
			l.leases[k] = former
		}
	}
	l.mu.Unlock()
	l.Add(lease)
}

// End ends a holder's leases on a view of an environment: he holds it no more.
func (l *Ledger) End(environmentID, view string, holder Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, lease := range l.leases {
		if k.environment == environmentID && k.view == view && k.holder == holder {
			l.endLocked(k, lease)
		}
	}
}

// endLocked ends a lease with its holder. What it was may go on (ViewExec).
func (l *Ledger) endLocked(k key, lease Lease) {
	delete(l.leases, k)
	if lease.View == ViewExec || !lease.Until.IsZero() {
		return
	}
	for _, part := range []Held{{Keys: lease.Keys}, {AppCred: lease.AppCred}} { // a dead password drains nothing
		if part != (Held{}) {
			l.loose[looseKey{lease.Environment, part}] = struct{}{}
		}
	}
}

// Of returns an environment's leases, the longest-lived first.
func (l *Ledger) Of(environmentID string) []Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purgeLocked()
	var found []Lease
	for _, lease := range l.leases {
		if lease.Environment == environmentID {
			found = append(found, lease)
		}
	}
	slices.SortFunc(found, func(a, b Lease) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Holder.PID, b.Holder.PID))
	})
	return found
}

// Counts returns how many leases each environment has, by its id.
func (l *Ledger) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purgeLocked()
	counts := map[string]int{}
	for _, lease := range l.leases {
		counts[lease.Environment]++
	}
	return counts
}

// Loose reports whether a version that is answers for was printed for somebody who
// has ended: nobody knows where it is.
func (l *Ledger) Loose(environmentID string, is func(Held) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purgeLocked()
	for k := range l.loose {
		if k.environment == environmentID && is(k.held) {
			return true
		}
	}
	return false
}

// Gone forgets a version that is answers for: it is dead, whoever has it.
func (l *Ledger) Gone(environmentID string, is func(Held) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.loose, func(k looseKey, _ struct{}) bool { return k.environment == environmentID && is(k.held) })
}

func (l *Ledger) purgeLocked() {
	now := l.now()
	for k, lease := range l.leases {
		if lease.Until.IsZero() && lease.Holder.PID != 0 && !l.alive(lease.Holder) || !lease.Until.IsZero() && !now.Before(lease.Until) {
			l.endLocked(k, lease)
		}
	}
}
