package rotate

import (
	"context"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// A Round is one command of a person's, about however many environments. What
// fails in it for one environment of a user is not sent for his others: they are
// answered by that, or asked about as unattended.
type Round struct {
	keeper   *Keeper
	failures map[string]failedLogin // by user id
}

// A failedLogin is a password that the cloud may have counted as wrong.
type failedLogin struct {
	version string
	err     error
}

// Round begins a person's command. It is for one goroutine.
func (k *Keeper) Round() *Round {
	return &Round{keeper: k, failures: map[string]failedLogin{}}
}

// Verify is the Keeper's with a person, for the round.
func (r *Round) Verify(ctx context.Context, name string) error {
	return r.keeper.verify(ctx, name, r)
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
