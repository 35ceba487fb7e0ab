package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// The sources of values that ccad found by itself.
const (
	ByFile   = "file"   // a watched file
	ByPortal = "portal" // the portal's API
)

// A Notice is a value that ccad found by itself for an environment it has. It
// names no endpoint, user or project: those change by a person's word alone.
type Notice struct {
	Environment string
	Password    account.Secret
	Keys        *account.KeyPair
	By          string // ByFile or ByPortal
	From        string // which of them: a path, or the portal's host
}

// maxMistrusted is how many sources may have been wrong about a user before a
// person must act: two may disagree, and one be right. With a refused value in
// force that makes three failed logins at most, whatever lies in files.
const maxMistrusted = 2

// enough reports whether a source was wrong before, or too many were.
func enough(u vault.User, n Notice) bool {
	return len(u.Mistrusted) >= maxMistrusted || slices.Contains(u.Mistrusted, n.From)
}

// ErrOlder: the value was in force once, and its successor works.
var ErrOlder = errors.New("it was replaced before, and what replaced it works")

// ErrEnough: a value of that source was refused before, and the next waits for
// a person.
var ErrEnough = errors.New("a value from there was refused already, no other is tried before a person acts (ccactl update or verify)")

// Notice adopts a value, once the cloud has accepted it as the same user's and
// project's, and with a new password brings the S3 keys of all his environments
// in line. What is in force already is nothing new and no error. A refused
// value changes nothing, and no second one of that source is tried until a person
// has acted; one that nobody could be asked about is tried again with the next
// look at its source.
func (k *Keeper) Notice(ctx context.Context, n Notice) (changed bool, err error) {
	_, u, err := k.Environment(n.Environment)
	if err != nil {
		return false, err
	}
	defer k.gate(u.User.Key())()
	e, u, err := k.Environment(n.Environment)
	if err != nil { // as it is now that we are alone
		return false, err
	}
	if !n.Password.Empty() && u.ID != "" {
		if changed, err = k.noticePasswordLocked(ctx, u, n); err != nil {
			return changed, err
		}
		if e, u, err = k.Environment(n.Environment); err != nil {
			return changed, err
		}
	}
	if n.Keys == nil {
		return changed, nil
	}
	keys, err := k.noticeKeysLocked(ctx, u, e, n)
	return changed || keys, err
}

func (k *Keeper) noticePasswordLocked(ctx context.Context, u vault.User, n Notice) (bool, error) {
	c := k.vault.Contents()
	active, has := u.Passwords.Active()
	if has && active.Value.Equal(n.Password) {
		return false, nil // judged, or owed to be, like any value in force
	}
	t := try{user: u.User, password: n.Password}
	if _, old := c.Retired[staleMark(c, n.Password.Reveal())]; old && has && u.Refused == nil {
		return false, fmt.Errorf("%s: %w", t.subject(), ErrOlder)
	}
	if a, known := c.Attempts[fingerprint(c, t)]; enough(u, n) && (!known || !a.Refused) {
		return false, fmt.Errorf("%s: %w", t.subject(), ErrEnough)
	}
	base, err := k.login(ctx, t)
	var refused *RefusedError
	if errors.As(err, &refused) && !refused.Again {
		return false, errors.Join(err, k.vault.Change(func(c *vault.Contents) error {
			return inUser(c, u.ID, func(u *vault.User) { u.Mistrusted = append(slices.Clone(u.Mistrusted), n.From) })
		}))
	}
	if err != nil {
		return false, err
	}
	if u.KeystoneID != "" && base.UserID != u.KeystoneID {
		return false, fmt.Errorf("%s: the cloud takes it for another user of that name: %w", t.subject(), ErrConflict)
	}
	if err := k.putPassword(u, n.Password, &base, nil, n.By, false); err != nil {
		return false, err
	}
	k.healLocked(ctx, u.ID, "", base) // what could not be healed, a later check goes on with
	return true, nil
}

// noticeKeysLocked takes a pair that Keystone lists for this very user and
// project or, for an environment without a user, that opens the recorded
// owner's buckets.
func (k *Keeper) noticeKeysLocked(ctx context.Context, u vault.User, e vault.Environment, n Notice) (bool, error) {
	active, has := e.Keys.Active()
	if has && active.Value.AccessKeyID == n.Keys.AccessKeyID && active.Value.Secret.Equal(n.Keys.Secret) {
		return false, nil
	}
	c := k.vault.Contents()
	subject := "the S3 key " + n.Keys.AccessKeyID + " of " + e.Name
	if _, old := c.Retired[staleMark(c, n.Keys.Secret.Reveal())]; old && has && e.KeysRefused == nil {
		return false, fmt.Errorf("%s: %w", subject, ErrOlder)
	}
	s3 := e.S3
	if u.ID != "" {
		if err := k.listsLocked(ctx, u, e, *n.Keys); err != nil {
			return false, fmt.Errorf("%s: %w", subject, err)
		}
	} else {
		var owner string
		var err error
		s3, owner, err = k.probeS3(ctx, e.S3, *n.Keys)
		if errors.Is(err, cloud.ErrRefused) {
			return false, &RefusedError{Subject: subject, At: k.now(), Reason: "the S3 endpoint does not accept it"}
		} else if err != nil {
			return false, err
		}
		if e.S3.Owner == "" || owner != e.S3.Owner {
			return false, &RefusedError{Subject: subject, At: k.now(), Reason: "it is another owner's"}
		}
	}
	return true, k.commit("adopted", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			keys, v := e.Keys.Stage(*n.Keys, n.By, k.now())
			v.Accepted, v.HandsOff, v.Checked = true, false, k.now()
			e.Keys, e.KeysRefused, e.S3.Region = keys.With(v).Activate(v.ID), nil, s3.Region
			e.Generation = c.NextGeneration()
		})
	})
}

// listsLocked returns nil if Keystone lists the pair for the user and project.
func (k *Keeper) listsLocked(ctx context.Context, u vault.User, e vault.Environment, pair account.KeyPair) error {
	active, ok := u.Passwords.Active()
	switch {
	case !ok || active.HandsOff:
		return fmt.Errorf("it is taken once Keystone can be asked with the password of %s: %w", u.User, cloud.ErrUnreachable)
	case u.Refused != nil:
		return standing(u)
	}
	base, err := k.baseLocked(ctx, u, active)
	if err != nil {
		return err
	}
	g, err := k.rescopeLocked(ctx, u, e, base)
	if err != nil {
		return err
	}
	if e.ProjectID != "" && g.ProjectID != e.ProjectID {
		return fmt.Errorf("the cloud has another project of that name now: %w", ErrConflict)
	}
	listed, err := k.listedKeys(ctx, u, g)
	if err != nil {
		return err
	}
	for _, l := range listed {
		if l.AccessKeyID == pair.AccessKeyID && l.Secret.Equal(pair.Secret) {
			return nil
		}
	}
	return &RefusedError{Subject: "it", At: k.now(), Reason: fmt.Sprintf("Keystone does not list it for user %s and project %s", u.User, projectOf(e.Environment))}
}

// personActed lets values that ccad finds be tried again.
func (k *Keeper) personActed(u vault.User, person bool) error {
	if !person || len(u.Mistrusted) == 0 {
		return nil
	}
	return k.vault.Change(func(c *vault.Contents) error {
		return inUser(c, u.ID, func(u *vault.User) { u.Mistrusted = nil })
	})
}
