package rotate

import (
	"context"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// This file makes sure that a password is right before its change is asked for:
// when the rotation is begun, and once more where something may have come in
// between.

// A proof is what the cloud said of a password: which version was right, and when.
type proof struct {
	version string
	at      time.Time
}

// rightLocked makes sure that a password is in force, which its change needs, by
// a token of it that lives, else by a login: also where others have failed, so
// that as many may fail as a doubt can cost. To a schedule, which has no more than
// those, a token is not proof enough: it outlives a change where the clock of the
// cloud was set back in between. An expired password is right, and may only be
// changed.
func (k *Keeper) rightLocked(ctx context.Context, u vault.User, active vault.Version[account.Secret], person bool) error {
	t := try{user: u.User, password: active.Value, person: person, rotation: true}
	if a := k.attempt(t); a.Expired && u.KeystoneID != "" {
		k.proves(u.ID, proof{active.ID, a.At})
		return k.affordable(ctx, t) // what has expired may have been replaced since
	}
	if u.Refused != nil && !person {
		return standing(u)
	}
	if lives, _, _ := k.tokenTells(ctx, t); lives && active.Accepted && person {
		k.proves(u.ID, proof{active.ID, k.now()})
		return nil
	}
	base, err := k.login(ctx, t)
	if recordErr := k.settle(u.ID, active.ID, base, err); recordErr != nil {
		return recordErr
	}
	if k.attempt(t).Expired && k.vault.Contents().Users[u.ID].KeystoneID != "" {
		err = nil
	}
	if err == nil {
		k.proves(u.ID, proof{active.ID, k.now()})
	}
	return err
}

// proves keeps that the cloud has called a password right.
func (k *Keeper) proves(userID string, p proof) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.proofs[userID] = p
}

// right makes sure that the old password is still the right one, so that its change
// needs no login that may fail: where its answer is lost, two passwords are tried.
// What found it right when the change was begun, a moment ago, is good for one
// request; else a login tells. The account may have been reset meanwhile.
func (r *passwordRun) right() error {
	t := r.try(r.old)
	if no := r.known(t); no != nil && !r.attempt(t).Expired {
		return no
	}
	if r.proven() || r.person {
		return r.affordable(r.ctx, t)
	}
	base, err := r.login(r.ctx, t)
	if recordErr := r.settle(r.task.id, r.old.ID, base, err); recordErr != nil {
		return recordErr
	}
	if _, right := expired(err); right {
		return nil
	}
	return err
}

// proven reports whether the old password was found right just now, and takes that.
func (r *passwordRun) proven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.proofs[r.task.id]
	delete(r.proofs, r.task.id)
	return p.version == r.old.ID && r.now().Sub(p.at) < proofLasts
}
