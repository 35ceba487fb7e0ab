package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// The sources of values that ccad found by itself.
const (
	ByFile   = "file"   // a watched file
	ByPortal = "portal" // the portal's API
)

// A Notice is what ccad found by itself for an environment it has. It names no
// endpoint, user or project: those change by a person's word alone. Any of the
// three values may be missing.
type Notice struct {
	Environment string
	Password    account.Secret
	AppCred     *account.ApplicationCredential
	Keys        *account.KeyPair
	By          string // ByFile or ByPortal
}

// ErrOlder: the value was in force once, and is not asked about.
var ErrOlder = errors.New("it was replaced before")

// ErrWaits: nobody can be asked about the value as things stand. The next look
// at its source may find that somebody can.
var ErrWaits = errors.New("it is taken once the user's password works")

// A NoticeError is why one of the values was not taken.
type NoticeError struct {
	Kind Kind
	err  error
}

func (e *NoticeError) Error() string { return e.err.Error() }
func (e *NoticeError) Unwrap() error { return e.err }

// Notice adopts values, each once the cloud has accepted it as the same user's
// and project's, and with a new password brings the S3 keys of all his
// environments in line. What is in force already is nothing new and no error. A
// refused value changes nothing; how many may be refused is bounded (budget.go).
// ErrWaits, cloud.ErrUnreachable and cloud.ErrLimited mean that it is to be
// tried again, ErrWithheld that a person has to act first.
func (k *Keeper) Notice(ctx context.Context, n Notice) (changed bool, err error) {
	e, u, err := k.Environment(n.Environment)
	if err != nil {
		return false, err
	}
	defer k.gate(gateOf(e, u))()
	steps := []struct {
		kind Kind
		take func(context.Context, vault.User, vault.Environment, Notice) (bool, error)
	}{{KindPassword, k.noticePasswordLocked}, {KindAppCred, k.noticeCredentialLocked}, {KindKey, k.noticeKeysLocked}}
	for _, step := range steps {
		e, u, gone := k.Environment(n.Environment) // as it is now that we are alone
		if gone != nil {
			return changed, gone
		}
		did, no := step.take(ctx, u, e, n)
		changed = changed || did
		if no != nil {
			err = &NoticeError{step.kind, no}
		}
		// An older value says nothing of what else the source has. After any
		// other failure asking on would cost another login, or time.
		if err != nil && !errors.Is(err, ErrOlder) {
			return changed, err
		}
	}
	return changed, err
}

func (k *Keeper) noticePasswordLocked(ctx context.Context, u vault.User, e vault.Environment, n Notice) (bool, error) {
	active, has := u.Passwords.Active()
	if n.Password.Empty() || u.ID == "" || has && active.Value.Equal(n.Password) {
		return false, nil // one in force is judged, or owed to be
	}
	t := try{user: u.User, password: n.Password}
	if e.Binding.HandsOff || has && active.HandsOff {
		return false, fmt.Errorf("%s: nothing is sent for this user, who was stored unverified on purpose: %w", t.subject(), ErrWithheld)
	}
	if has && k.retired(n.Password) && !affordsOlder(u) {
		return false, fmt.Errorf("%s: %w, %s", t.subject(), ErrOlder, sinceReplaced(u))
	}
	base, err := k.login(ctx, t)
	if err != nil {
		return false, err
	}
	var g cloud.Grant
	if projectOf(e.Environment) != "" {
		if g, err = k.rescopeLocked(ctx, u, e, &base); err != nil { // it is another project's, or nobody says so yet
			return false, err
		}
	}
	if err := k.putPassword(u, n.Password, &base, nil, n.By, false); err != nil {
		return false, err
	}
	// What can't be healed now is owed, and a later check goes on with it.
	if !g.Token.ID.Empty() {
		k.cacheToken(e.ID, g)
		_ = k.reconcileLocked(ctx, u, e, g, true)
	}
	k.healLocked(ctx, u.ID, e.Name, base)
	return true, nil
}

// retired reports whether a value was in force once, for whomever.
func (k *Keeper) retired(value account.Secret) bool {
	c := k.vault.Contents()
	_, was := c.Retired[staleMark(c, value.Reveal())]
	return was
}

// noticeCredentialLocked takes an application credential whose token is the
// recorded user's and project's.
func (k *Keeper) noticeCredentialLocked(ctx context.Context, u vault.User, e vault.Environment, n Notice) (bool, error) {
	active, has := e.AppCreds.Active()
	if n.AppCred == nil || u.ID == "" || has && active.Value.ID == n.AppCred.ID && active.Value.Secret.Equal(n.AppCred.Secret) {
		return false, nil
	}
	subject := "the application credential of " + e.Name
	if has && active.HandsOff {
		return false, fmt.Errorf("%s: nothing is sent for it, which was stored unverified on purpose: %w", subject, ErrWithheld)
	}
	if has && k.retired(n.AppCred.Secret) {
		return false, fmt.Errorf("%s: %w, and what replaced it works", subject, ErrOlder)
	}
	c := k.vault.Contents()
	mark := fingerprint(c, try{user: account.User{Name: n.AppCred.ID, Auth: u.Auth}, password: n.AppCred.Secret})
	a := c.Attempts[mark]
	for _, v := range e.AppCreds.List { // or it was in force when it was refused
		if v.State == vault.Refused && v.Value.ID == n.AppCred.ID && v.Value.Secret.Equal(n.AppCred.Secret) {
			a = vault.Attempt{At: v.Checked, Refused: true}
		}
	}
	if a.Refused {
		return false, &RefusedError{Subject: subject, At: a.At, Reason: credentialReason, Again: true}
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	g, err := k.cloud.Application(ctx, u.Auth, *n.AppCred)
	if errors.Is(err, cloud.ErrRefused) || errors.Is(err, cloud.ErrNotFound) {
		no := &RefusedError{Subject: subject, At: k.now(), Reason: credentialReason}
		return false, errors.Join(no, k.vault.Change(func(c *vault.Contents) error {
			c.Attempts[mark] = vault.Attempt{At: no.At, Refused: true}
			return nil
		}))
	}
	if err != nil {
		return false, err
	}
	if !sameAs(u, e, g) {
		return false, fmt.Errorf("%s: it is another user's or project's: %w", subject, ErrConflict)
	}
	err = k.commit("adopted", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			creds, v := e.AppCreds.Stage(*n.AppCred, n.By, k.now())
			v.Accepted, v.HandsOff, v.Checked = true, false, k.now()
			e.AppCreds = creds.With(v).Activate(v.ID)
			e.Generation = c.NextGeneration()
		})
	})
	if err == nil {
		k.cacheToken(e.ID, g)
	}
	return err == nil, err
}

// sameAs reports whether a grant is for the recorded user and project: by the
// ids where the cloud has told them, else by the names that a person gave.
func sameAs(u vault.User, e vault.Environment, g cloud.Grant) bool {
	user := u.KeystoneID != "" && u.KeystoneID == g.UserID || u.KeystoneID == "" && u.Name != "" && u.Name == g.UserName
	project := e.ProjectID != "" && e.ProjectID == g.ProjectID || e.ProjectID == "" && e.Project != "" && e.Project == g.ProjectName
	return user && project
}

// noticeKeysLocked takes a pair that Keystone lists for this very user and
// project or, for an environment without a user, that opens the recorded
// owner's buckets.
func (k *Keeper) noticeKeysLocked(ctx context.Context, u vault.User, e vault.Environment, n Notice) (bool, error) {
	active, has := e.Keys.Active()
	if n.Keys == nil || has && active.Value.AccessKeyID == n.Keys.AccessKeyID && active.Value.Secret.Equal(n.Keys.Secret) {
		return false, nil
	}
	subject := "the S3 key " + n.Keys.AccessKeyID + " of " + e.Name
	if has && active.HandsOff {
		return false, fmt.Errorf("%s: nothing is sent for it, which was stored unverified on purpose: %w", subject, ErrWithheld)
	}
	if has && e.KeysRefused == nil && k.retired(n.Keys.Secret) {
		return false, fmt.Errorf("%s: %w, and what replaced it works", subject, ErrOlder)
	}
	region := e.S3.Region
	var listed []account.KeyPair
	if u.ID != "" {
		var err error
		if listed, err = k.listsLocked(ctx, u, e, *n.Keys); err != nil {
			return false, fmt.Errorf("%s: %w", subject, err)
		}
		if n.By == ByPortal && active.Accepted && e.KeysRefused == nil && holds(listed, active.Value) {
			return false, nil // of several that live it shows any
		}
	} else {
		s3, err := k.ownedLocked(ctx, e, *n.Keys, subject)
		if err != nil {
			return false, err
		}
		region = s3.Region
	}
	return true, k.commit("adopted", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			keys, v := e.Keys.Stage(*n.Keys, n.By, k.now())
			v.Accepted, v.HandsOff, v.Checked = true, false, k.now()
			if serves, _ := e.Keys.Active(); u.ID != "" && serves.ID == active.ID { // else the list is older
				followUnlisted(c, *e, v, listed, k.now())
			}
			e.Keys, e.KeysRefused, e.S3.Region = keys.With(v).Activate(v.ID), nil, region
			e.Generation = c.NextGeneration()
		})
	})
}

// listsLocked returns what Keystone lists for the user and project, if the pair is
// among it.
func (k *Keeper) listsLocked(ctx context.Context, u vault.User, e vault.Environment, pair account.KeyPair) ([]account.KeyPair, error) {
	active, ok := u.Passwords.Active()
	switch {
	case !ok, u.Refused != nil:
		return nil, ErrWaits
	case active.HandsOff, e.Binding.HandsOff:
		return nil, ErrWithheld
	}
	base, err := k.baseLocked(ctx, u, active)
	var refused *RefusedError
	if errors.As(err, &refused) {
		return nil, ErrWaits // of the key nothing is said
	} else if err != nil {
		return nil, err
	}
	g, err := k.rescopeLocked(ctx, u, e, &base)
	if k.vault.Contents().Users[u.ID].Refused != nil {
		return nil, ErrWaits
	} else if err != nil {
		return nil, err
	}
	listed, err := k.listedKeys(ctx, u, g)
	if errors.Is(err, cloud.ErrNotOffered) || errors.Is(err, cloud.ErrRefused) {
		return nil, errors.New("this cloud lists no S3 keys, so nobody can tell whose it is")
	} else if err != nil {
		return nil, err
	}
	if holds(listed, pair) {
		return listed, nil
	}
	return nil, &RefusedError{Subject: "it", At: k.now(), Reason: fmt.Sprintf("Keystone does not list it for user %s and project %s", u.User, projectOf(e.Environment))}
}
