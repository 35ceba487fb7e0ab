package rotate

import (
	"context"
	"errors"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Round is one command of a person's, about however many environments. What
// fails in it for one environment of a user, or has no answer, is not sent for his
// others: they are answered by that, or asked about as unattended. A host that gave
// no answer in time is not waited for again.
type Round struct {
	keeper   *Keeper
	failures map[string]failedLogin // by user id
	late     map[string]error       // by host

	unanswered map[string]error // of offered passwords that were sent, by their mark
}

// A failedLogin is a password that the cloud may have counted as wrong.
type failedLogin struct {
	version string
	err     error
}

// Round begins a person's command. It is for one goroutine.
func (k *Keeper) Round() *Round {
	return &Round{keeper: k, failures: map[string]failedLogin{}, late: map[string]error{}, unanswered: map[string]error{}}
}

// Verify is the Keeper's with a person, for the round.
func (r *Round) Verify(ctx context.Context, name string) error {
	return r.keeper.verify(ctx, name, r)
}

// lateAt returns how a host was late in this round; nil: it was not.
func (r *Round) lateAt(host string) error {
	if r == nil {
		return nil
	}
	return r.late[host]
}

// heard notes a host that was late.
func (r *Round) heard(err error) {
	e := (*cloud.Error)(nil)
	if r != nil && cloud.Late(err) && errors.As(err, &e) {
		r.late[e.Host] = err
	}
}

// failedOf returns what failed of a user; an unattended check has no round.
func (r *Round) failedOf(userID string) (f failedLogin, failed bool) {
	if r != nil {
		f, failed = r.failures[userID]
	}
	return f, failed
}

// failed notes what failed of a user as he is now. What nobody has heard may be
// sent again.
func (r *Round) failed(u vault.User, err error) {
	if r == nil || !judged(err) {
		return
	}
	active, _ := u.Passwords.Active()
	r.failures[u.ID] = failedLogin{version: active.ID, err: err}
}
