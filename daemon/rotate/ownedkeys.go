package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// This file has the pairs that are found for an environment of S3 keys alone. The
// endpoint is all that can be asked about them, and each question sends one; so
// what it refused is on record, as a password is, and goes there again for a person
// alone.

// notTheOwners is why a pair is refused that was refused before.
const notTheOwners = "the S3 endpoint did not take it for the recorded owner's"

// pairMark is the fingerprint of a pair as an environment's: of two environments
// one may have the owner that it needs.
func pairMark(c *vault.Contents, e vault.Environment, pair account.KeyPair) string {
	return fingerprint(c, try{user: account.User{Name: e.ID + " " + pair.AccessKeyID, Auth: e.S3.Endpoint}, password: pair.Secret})
}

// ownedLocked returns where a pair works if it opens the recorded owner's buckets.
func (k *Keeper) ownedLocked(ctx context.Context, e vault.Environment, pair account.KeyPair, subject string) (account.S3, error) {
	if e.S3.Owner == "" {
		return e.S3, fmt.Errorf("%s: whose the buckets are was never recorded: %w", subject, ErrWithheld)
	}
	c := k.vault.Contents()
	mark := pairMark(c, e, pair)
	if a := c.Attempts[mark]; a.Refused {
		return e.S3, &RefusedError{Subject: subject, At: a.At, Reason: notTheOwners, Again: true}
	}
	s3, owner, err := k.probeS3(ctx, e.S3, pair)
	no := &RefusedError{Subject: subject, At: k.now()}
	switch {
	case errors.Is(err, cloud.ErrRefused):
		no.Reason = "the S3 endpoint does not accept it"
	case err != nil:
		return s3, err
	case owner != e.S3.Owner:
		no.Reason = "it is another owner's"
	default:
		return s3, nil
	}
	err = k.vault.Change(func(c *vault.Contents) error {
		c.Attempts[mark] = vault.Attempt{At: no.At, Refused: true}
		return nil
	})
	if err != nil {
		return s3, fmt.Errorf("record the cloud's answer: %w", err)
	}
	return s3, no
}
