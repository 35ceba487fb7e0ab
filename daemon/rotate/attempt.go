package rotate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// maxUnanswered is how often a value may be sent without an answer on record
// before only a person may send it: the first time, and once more after a kill.
const maxUnanswered = 2

// A try is one way of proving to be a user: which value, and who wants it sent.
type try struct {
	user     account.User
	password account.Secret
	person   bool // a person asked for this very value to be sent
	rotation bool // the password's rotation asks
}

// A login is Keystone's grant for a password, unscoped for identity API 3.
type login struct {
	cloud.Grant
	password account.Secret
	at       time.Time // by our clock
}

func (t try) subject() string { return "the password of " + t.user.String() }

// fingerprint names a value without telling it: the record of attempts outlives
// values that were never stored.
func fingerprint(c *vault.Contents, t try) string {
	mac := hmac.New(sha256.New, c.FingerprintKey)
	for _, part := range []string{guardKey(t.user), t.password.Reveal()} {
		fmt.Fprintf(mac, "%d:", len(part))
		mac.Write([]byte(part))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// login sends a password to Keystone and returns an unscoped grant (a scoped
// one for identity API 2.0, which can't change scope). It is the only way there,
// and the caller holds the user's gate. The attempt is recorded before it is
// made; a value that was refused is not sent again, except that a locked-out
// one may be sent once more by a person.
func (k *Keeper) login(ctx context.Context, t try, scope account.Environment) (login, error) {
	mark := fingerprint(k.vault.Contents(), t)
	if err := k.mayTry(mark, t); err != nil {
		return login{}, err
	}
	if err := k.recordAttempt(mark, t); err != nil {
		return login{}, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if t.user.IdentityAPI != "2.0" {
		scope = account.Environment{}
	}
	grant, answer := k.cloud.Password(ctx, t.user, t.password, scope)
	lockedOut := errors.Is(answer, cloud.ErrRefused) && k.olderTokenLives(ctx, t)
	if err := k.recordAnswer(mark, answer, lockedOut); err != nil {
		return login{}, err
	}
	if errors.Is(answer, cloud.ErrRefused) {
		reason := "user name, password or domain is wrong"
		switch {
		case errors.Is(answer, cloud.ErrPasswordExpired):
			reason = "it has expired and must be changed"
			k.learnID(t.user.ID, answer)
		case lockedOut:
			reason = "the account is locked out: an older token still answers"
		}
		return login{}, &RefusedError{Subject: t.subject(), At: k.now(), Reason: reason}
	}
	return login{Grant: grant, password: t.password, at: k.now()}, answer
}

// recordAttempt notes that a value is about to be sent.
func (k *Keeper) recordAttempt(mark string, t try) error {
	err := k.vault.Change(func(c *vault.Contents) error {
		a := c.Attempts[mark]
		a.At, a.Unanswered = k.now(), a.Unanswered+1
		c.Attempts[mark] = a
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the attempt for %s: %w", t.user, err)
	}
	return nil
}

// change asks Keystone to replace a password: the old one is an attempt like any
// other. An expired one may be sent here and nowhere else. The caller holds the
// user's gate.
func (k *Keeper) change(ctx context.Context, t try, to account.Secret) error {
	mark := fingerprint(k.vault.Contents(), t)
	if err := k.mayTry(mark, t); err != nil && !k.vault.Contents().Attempts[mark].Expired {
		return err
	}
	if err := k.recordAttempt(mark, t); err != nil {
		return err
	}
	k.mu.Lock()
	base := k.logins[t.user.ID]
	k.mu.Unlock()
	token := account.Secret{}
	if k.fresh(base.Grant) {
		token = base.Token.ID
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	answer := k.cloud.ChangePassword(ctx, t.user, t.password, to, token)
	if err := k.recordAnswer(mark, answer, false); err != nil {
		return err
	}
	return answer
}

// learnID keeps the id that Keystone names with an expired password: a change
// needs it. Failing costs nothing but that.
func (k *Keeper) learnID(userID string, answer error) {
	told := (*cloud.Error)(nil)
	if u, ok := k.vault.Contents().Users[userID]; !ok || u.KeystoneID != "" || !errors.As(answer, &told) || told.UserID == "" {
		return
	}
	_ = k.vault.Change(func(c *vault.Contents) error {
		u := c.Users[userID]
		u.KeystoneID = told.UserID
		c.Users[userID] = u
		return nil
	})
}

// suspectLockout lets a person have values sent once more that were refused
// though one of them must be right.
func (k *Keeper) suspectLockout(tries ...try) error {
	return k.vault.Change(func(c *vault.Contents) error {
		for _, t := range tries {
			mark := fingerprint(c, t)
			if a, ok := c.Attempts[mark]; ok && a.Refused {
				a.LockedOut = true
				c.Attempts[mark] = a
			}
		}
		return nil
	})
}

func (k *Keeper) mayTry(mark string, t try) error {
	a, known := k.vault.Contents().Attempts[mark]
	if u := k.vault.Contents().Users[t.user.ID]; !t.person && !t.rotation && u.Rotation != nil && Step(u.Rotation.Step) != StepHeal {
		return fmt.Errorf("the password of %s is being changed: %w", t.user, cloud.ErrUnreachable)
	}
	switch {
	case !known, a.LockedOut && t.person:
		return nil
	case a.Refused:
		return &RefusedError{Subject: t.subject(), At: a.At, Again: true}
	case a.Unanswered >= maxUnanswered && !t.person:
		return fmt.Errorf("%s: %d attempts had no answer, and only a person's verify sends it again: %w", t.subject(), a.Unanswered, cloud.ErrUnreachable)
	}
	return nil
}

// recordAnswer settles an attempt. No answer leaves it open, but for failures
// that show that Keystone never judged the value.
func (k *Keeper) recordAnswer(mark string, answer error, lockedOut bool) error {
	err := k.vault.Change(func(c *vault.Contents) error {
		a := c.Attempts[mark]
		switch {
		case answer == nil:
			delete(c.Attempts, mark)
			return nil
		case errors.Is(answer, cloud.ErrRefused):
			a = vault.Attempt{At: k.now(), Refused: true, LockedOut: lockedOut, Expired: errors.Is(answer, cloud.ErrPasswordExpired)}
		case !cloud.MayHaveJudged(answer):
			a.Unanswered--
		}
		c.Attempts[mark] = a
		if !a.Refused && a.Unanswered <= 0 {
			delete(c.Attempts, mark)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the cloud's answer: %w", err)
	}
	return nil
}

// olderTokenLives tells a locked account from a changed password: both are the
// same 401, but a token from before still answers only for the first.
func (k *Keeper) olderTokenLives(ctx context.Context, t try) bool {
	k.mu.Lock()
	grants := make([]cloud.Grant, 0, 4)
	c := k.vault.Contents()
	for id, u := range c.Users {
		if !u.Same(t.user) {
			continue
		}
		if active, ok := u.Passwords.Active(); !ok || !active.Accepted || !active.Value.Equal(t.password) {
			continue // only a value that once worked can be locked out
		}
		if g, ok := k.logins[id]; ok {
			grants = append(grants, g.Grant)
		}
		for _, e := range c.EnvironmentsOf(id) {
			if g, ok := k.tokens[e.ID]; ok {
				grants = append(grants, g)
			}
		}
	}
	k.mu.Unlock()
	for _, g := range grants {
		if k.now().Before(g.Token.Expires) {
			lives, err := k.cloud.TokenLives(ctx, t.user.Auth, g.Token.ID)
			return err == nil && lives
		}
	}
	return false
}

// attemptsKept bounds the record of refused values.
const attemptsKept = 400 * 24 * time.Hour

// Tidy drops what the record of attempts need not know any more.
func (k *Keeper) Tidy() error {
	old := false
	for _, a := range k.vault.Contents().Attempts {
		old = old || k.now().Sub(a.At) > attemptsKept
	}
	if !old {
		return nil
	}
	return k.vault.Change(func(c *vault.Contents) error {
		for mark, a := range c.Attempts {
			if k.now().Sub(a.At) > attemptsKept {
				delete(c.Attempts, mark)
			}
		}
		return nil
	})
}
