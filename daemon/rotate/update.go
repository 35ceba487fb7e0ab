package rotate

import (
	"context"
	"errors"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// UpdatePassword takes a password that a person says is the user's now, and
// with it brings the S3 keys of all his environments in line. A refused one
// changes nothing.
func (k *Keeper) UpdatePassword(ctx context.Context, userID string, password account.Secret, noVerify bool) (notes []string, err error) {
	defer k.gate(k.vault.Contents().Users[userID].User.Key())()
	u, ok := k.vault.Contents().Users[userID]
	if !ok {
		return nil, ErrUnknown
	}
	var base *login
	var old *RefusedError
	if noVerify {
		err = k.known(try{user: u.User, password: password})
		if no, right := expired(err); right {
			old, notes = no, append(notes, changeIt(u))
		} else if err != nil {
			return nil, err
		}
	} else {
		g, err := k.login(ctx, try{user: u.User, password: password, person: true})
		if v, ok := u.Passwords.Active(); ok && v.Value.Equal(password) {
			if recordErr := k.settle(u.ID, v.ID, g, err); recordErr != nil {
				return nil, recordErr
			}
		}
		no, right := expired(err)
		switch {
		case err == nil:
			base = &g
		case right:
			old, notes = no, append(notes, changeIt(u))
		case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
			notes = append(notes, "stored unverified: "+err.Error())
		default:
			return nil, err
		}
	}
	if err := k.putPassword(u, password, base, old, "person", noVerify); err != nil {
		return nil, err
	}
	if base == nil {
		return notes, nil
	}
	return append(notes, k.healLocked(ctx, userID, "", *base)...), nil
}

func (k *Keeper) putPassword(u vault.User, password account.Secret, base *login, old *RefusedError, by string, noVerify bool) error {
	a := adoption{
		Keeper: k, login: base, expired: old,
		offer: Offer{By: by, NoVerify: noVerify},
		place: place{user: u, secret: password},
	}
	err := k.commit("adopted", func(c *vault.Contents) error {
		err := inUser(c, u.ID, func(u *vault.User) { *u, _ = a.withPassword(*u, k.now()) })
		touchAll(c, u.ID)
		oweKeys(c, u.ID)
		return err
	})
	if err != nil {
		return err
	}
	k.forget(u.ID, environmentIDs(k.vault.Contents(), u.ID))
	a.cache()
	return nil
}
