package rotate

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A Lease is what one client was given: a view of an environment, in which
// version, and until when it may still be using it.
type Lease struct {
	Environment string // account.Environment.ID
	View        string
	Version     int
	Keys        int       // the version of the S3 key itself that is in the view; 0: none, or a gateway key
	Holder      Process   // whose end ends the lease, where Until is zero; without a PID nobody sees it end
	Parent      string    // the program that started the client
	Until       time.Time // credential-process: its Expiration; zero: until the holder ends
}

// A Process is one, told from a later one of the same number by its start.
type Process struct {
	PID     int
	Started uint64 // clock ticks since boot, /proc/PID/stat; 0 where it is unknown
	Program string
}

// A Ledger knows the leases that have not ended. It lives in memory: after a
// restart, a rotation counts from the longest lease there can be.
type Ledger struct {
	now   func() time.Time
	alive func(Process) bool
	since time.Time

	mu     sync.Mutex
	leases map[key]Lease
}

// key makes one lease of what a client asks for again and again. A process may
// hold several versions: each of its sessions keeps the one that it got.
type key struct {
	environment, view string
	holder            Process
	version, keys     int
}

// NewLedger makes an empty ledger. alive tells whether a process still runs.
func NewLedger(now func() time.Time, alive func(Process) bool) *Ledger {
	return &Ledger{now: now, alive: alive, since: now(), leases: map[key]Lease{}}
}

// Since is when the ledger began: it knows of no lease from before.
func (l *Ledger) Since() time.Time { return l.since }

// Add records what was handed out just now.
func (l *Ledger) Add(lease Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases[key{lease.Environment, lease.View, lease.Holder, lease.Version, lease.Keys}] = lease
	if len(l.leases)%1024 == 0 {
		l.purgeLocked()
	}
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

func (l *Ledger) purgeLocked() {
	now := l.now()
	for k, lease := range l.leases {
		ended := !lease.Until.IsZero() && !now.Before(lease.Until)
		if ended || lease.Until.IsZero() && lease.Holder.PID != 0 && !l.alive(lease.Holder) {
			delete(l.leases, k)
		}
	}
}
