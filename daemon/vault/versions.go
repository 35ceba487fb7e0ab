package vault

import (
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Value is what has versions: a password, an S3 key pair, an application
// credential.
type Value interface {
	account.Secret | account.KeyPair | account.ApplicationCredential
}

// State says where a version stands.
type State string

// The states of a version, in the order in which it passes through them.
const (
	Pending  State = "pending"  // written down, not yet served
	Active   State = "active"   // the one that is served; there is never more than one
	Retiring State = "retiring" // replaced; some client may still hold it
	Refused  State = "refused"  // the cloud said no; kept so that it is never sent again
)

// A Version is one value of a password or key over time.
type Version[T Value] struct {
	ID       string // account.NewID: globally unique
	N        int    // 1, 2, …; never used again within its Versions
	State    State
	Source   string    // import | person | file | portal | cloud | rotation | found
	Created  time.Time // when it came here
	Checked  time.Time // the cloud's last answer about it; zero while unverified
	Accepted bool      // the cloud accepted it at least once
	HandsOff bool      // given with --no-verify: only a person's verify sends it
	Tried    time.Time // when the schedule last began to replace it, in vain if it is still in force
	Value    T
}

// Versions are all versions of one thing. The zero value has none. It is a
// value: every method returns a new one and none writes into a List that
// someone else may be reading; nor may anyone else.
type Versions[T Value] struct {
	List []Version[T] // in the order in which they came
	Next int          // the N of the next one; 0 means 1
}

// Active returns the version that is served.
func (vs Versions[T]) Active() (Version[T], bool) {
	return vs.first(func(v Version[T]) bool { return v.State == Active })
}

// Find returns the version of that ID.
func (vs Versions[T]) Find(id string) (Version[T], bool) {
	return vs.first(func(v Version[T]) bool { return v.ID == id })
}

// Holding returns the version with that value, in whatever state.
func (vs Versions[T]) Holding(value T) (Version[T], bool) {
	return vs.first(func(v Version[T]) bool { return v.Value == value })
}

func (vs Versions[T]) first(is func(Version[T]) bool) (v Version[T], ok bool) {
	if i := slices.IndexFunc(vs.List, is); i >= 0 {
		return vs.List[i], true
	}
	return v, false
}

// Stage adds value as a new pending version. A value that is held already comes
// back as it is, in whatever state: a refused one stays refused.
func (vs Versions[T]) Stage(value T, source string, now time.Time) (Versions[T], Version[T]) {
	if held, ok := vs.Holding(value); ok {
		return vs, held
	}
	v := Version[T]{
		ID:      account.NewID(),
		N:       max(vs.Next, 1),
		State:   Pending,
		Source:  source,
		Created: now,
		Value:   value,
	}
	return Versions[T]{List: append(slices.Clone(vs.List), v), Next: v.N + 1}, v
}

// Activate makes the version of that ID the one that is served; the former one
// retires. An unknown ID changes nothing.
func (vs Versions[T]) Activate(id string) Versions[T] {
	v, _ := vs.Find(id)
	v.State = Active
	return vs.With(v)
}

// With replaces the version of v's ID by v, except for its N; an unknown ID
// changes nothing. Where v is active, the former active one retires.
func (vs Versions[T]) With(v Version[T]) Versions[T] {
	held, ok := vs.Find(v.ID)
	if !ok {
		return vs
	}
	v.N = held.N
	list := slices.Clone(vs.List)
	for i := range list {
		switch {
		case list[i].ID == v.ID:
			list[i] = v
		case v.State == Active && list[i].State == Active:
			list[i].State = Retiring
		}
	}
	return Versions[T]{List: list, Next: vs.Next}
}

// Drop forgets the version of that ID. Its N stays used.
func (vs Versions[T]) Drop(id string) Versions[T] {
	list := slices.DeleteFunc(slices.Clone(vs.List), func(v Version[T]) bool { return v.ID == id })
	return Versions[T]{List: list, Next: vs.Next}
}
