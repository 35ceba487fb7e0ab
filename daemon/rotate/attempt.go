package rotate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

const (
	// maxUnanswered is how often in a row a value may be sent without an answer on
	// record: the first time, and once more, for the answer or the record of it may
	// have been lost. Then it waits for a person, or for a token to show that the
	// value is right: Keystone forgets no failed login, however long ago.
	maxUnanswered = 2
	// unansweredPause is how long a password rests then that is most likely right: the
	// one in force that the cloud has accepted before, or one of a rotation's two. The
	// pause doubles up to a day: after an outage it heals by itself, and where answers
	// are lost for good few logins fail.
	unansweredPause = time.Hour
	// refusedPause is how long a refused value rests before a person, and nobody
	// else, may have it sent once more: an account that was disabled or locked
	// looks like a wrong password, and comes back.
	refusedPause = time.Hour
)

// A try is one way of proving to be a user: which value, and who wants it sent.
type try struct {
	user     account.User
	password account.Secret
	person   bool // a person asked for this very value to be sent
	rotation bool // the password's rotation asks
	proved   bool // it was found right just now, and is sent to be changed
}

// errUnanswered: a value was sent, and sent once more, and never judged.
var errUnanswered = fmt.Errorf("the cloud answered none of %d attempts: %w", maxUnanswered, cloud.ErrUnreachable)

// A login is Keystone's unscoped grant for a password.
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
	for _, part := range []string{t.user.Key(), t.password.Reveal()} {
		fmt.Fprintf(mac, "%d:", len(part))
		mac.Write([]byte(part))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// login sends a password to Keystone and returns an unscoped grant: a refusal is
// then about the password, and not about a project. It is the only way there,
// and the caller holds the user's gate. The attempt is recorded before it is
// made; a value that was refused is not sent again, except once more by a person
// who knows of a lockout, or after an hour. Accepted is not enough: it must be the
// recorded user.
func (k *Keeper) login(ctx context.Context, t try) (login, error) {
	mark := fingerprint(k.vault.Contents(), t)
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := k.mayTry(mark, t); err != nil && (!errors.Is(err, errUnanswered) || !k.olderTokenLives(ctx, t)) {
		return login{}, err
	}
	if err := k.affordable(ctx, t); err != nil {
		return login{}, err
	}
	if err := k.answersAgain(ctx, mark, t); err != nil {
		return login{}, err
	}
	if err := k.recordAttempt(mark, t); err != nil {
		return login{}, err
	}
	grant, answer := k.cloud.Password(ctx, t.user, t.password, account.Environment{})
	if err := k.crash("login: sent"); err != nil {
		return login{}, err
	}
	if another := k.anotherUser(t, grant, answer); another != nil {
		if err := k.recordAnswer(mark, t, nil, false); err != nil { // for him it is right
			return login{}, err
		}
		return login{}, another
	}
	lockedOut := errors.Is(answer, cloud.ErrRefused) && !errors.Is(answer, cloud.ErrPasswordExpired) && k.olderTokenLives(ctx, t)
	if err := k.recordAnswer(mark, t, answer, lockedOut); err != nil {
		return login{}, err
	}
	if errors.Is(answer, cloud.ErrRefused) {
		k.learnID(t.user.ID, answer)
		no := refusal(t, k.attempt(t))
		if told := (*cloud.Error)(nil); errors.As(answer, &told) {
			no.keystoneID = told.UserID
		}
		return login{}, no
	}
	return login{Grant: grant, password: t.password, at: k.now()}, answer
}

// refusal is the error for what is on record as refused.
func refusal(t try, a vault.Attempt) *RefusedError {
	return &RefusedError{Subject: t.subject(), At: a.At, Reason: reasonOf(a), expired: a.Expired}
}

// refusedBefore is refusal for a value that is not sent this time.
func refusedBefore(t try, a vault.Attempt) *RefusedError {
	no := refusal(t, a)
	no.Again = true
	return no
}

// answersAgain asks a cloud that was silent about the password last time, or of
// whose user another failed or was not answered, for something else first: while
// it is down, no more attempts are spent.
func (k *Keeper) answersAgain(ctx context.Context, mark string, t try) error {
	c := k.vault.Contents()
	if c.Attempts[mark].Unanswered == 0 && (t.person || c.Users[t.user.ID].Failures == 0) {
		return nil
	}
	return k.cloud.Answers(ctx, t.user.Auth)
}

// reasonOf says what a refusal on record may be about: Keystone gives the same
// answer for most.
func reasonOf(a vault.Attempt) string {
	switch {
	case a.Expired:
		return "it has expired, or must be changed before its first use"
	case a.LockedOut:
		return "the account is locked out: an older token still answers"
	}
	return "user name, password or domain is wrong"
}

// recordAttempt notes that a value is about to be sent.
func (k *Keeper) recordAttempt(mark string, t try) error {
	err := k.vault.Change(func(c *vault.Contents) error {
		a := c.Attempts[mark]
		a.At, a.Unanswered = k.now(), a.Unanswered+1
		c.Attempts[mark] = a
		spend(c, t, t.ahead())
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the attempt for %s: %w", t.user, err)
	}
	return nil
}

// change asks Keystone to replace a password, which was found right just before: it
// is an attempt like any other. An expired one may be sent here and by its rotation,
// and nowhere else.
// answer is the cloud's; err says why there is none, or none on record. The
// caller holds the user's gate.
func (k *Keeper) change(ctx context.Context, t try, to account.Secret) (answer, err error) {
	mark := fingerprint(k.vault.Contents(), t)
	t.proved = true
	if err := k.mayTry(mark, t); err != nil {
		return nil, err
	}
	if err := k.recordAttempt(mark, t); err != nil {
		return nil, err
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
	answer = k.cloud.ChangePassword(ctx, t.user, t.password, to, token)
	if err := k.crash("change: sent"); err != nil {
		return nil, err
	}
	lockedOut := errors.Is(answer, cloud.ErrRefused) && k.olderTokenLives(ctx, t)
	if err := k.recordAnswer(mark, t, answer, lockedOut); err != nil {
		return nil, err
	}
	return answer, k.crash("change: answered")
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

func (k *Keeper) mayTry(mark string, t try) error {
	c := k.vault.Contents()
	if !t.person && !t.rotation && inDoubt(c, c.Users[t.user.ID]) {
		return fmt.Errorf("the password of %s: %w (%w)", t.user, ErrInDoubt, cloud.ErrUnreachable)
	}
	a, known := c.Attempts[mark]
	switch {
	case !known, t.rotation && a.Expired, t.person && (a.LockedOut || k.now().Sub(a.At) >= refusedPause):
		return nil
	case a.Refused && t.person:
		no := refusedBefore(t, a)
		no.Until = a.At.Add(refusedPause)
		return no
	case a.Refused:
		return refusedBefore(t, a)
	case a.Unanswered < maxUnanswered || t.person || k.rested(t):
		return nil
	case likely(c, t):
		return fmt.Errorf("%s is sent again at %s, or by verify: %w", t.subject(), stamp(a.At.Add(pauseAfter(a))), errUnanswered)
	}
	return fmt.Errorf("%s is sent again by verify: %w", t.subject(), errUnanswered)
}

// likely reports whether a password is most likely right.
func likely(c *vault.Contents, t try) bool {
	u := c.Users[t.user.ID]
	active, ok := u.Passwords.Active()
	return t.rotation || ok && active.Accepted && active.Value.Equal(t.password)
}

// rested reports whether such a one, of which no answer came, may be sent again.
func (k *Keeper) rested(t try) bool {
	a := k.attempt(t)
	return a.Unanswered > 0 && !a.Refused && likely(k.vault.Contents(), t) && !k.now().Before(a.At.Add(pauseAfter(a)))
}

func pauseAfter(a vault.Attempt) time.Duration {
	return min(unansweredPause<<min(max(a.Unanswered-maxUnanswered, 0), 5), 24*time.Hour)
}

// known returns the refusal that is on record for a value, whoever gave it:
// what was refused is not put in force again unasked.
func (k *Keeper) known(t try) error {
	c := k.vault.Contents()
	if a := c.Attempts[fingerprint(c, t)]; a.Refused {
		return refusedBefore(t, a)
	}
	return nil
}

// recordAnswer settles an attempt. No answer leaves it open, but for failures
// that show that Keystone never judged the value.
func (k *Keeper) recordAnswer(mark string, t try, answer error, lockedOut bool) error {
	err := k.vault.Change(func(c *vault.Contents) error {
		a, cost := c.Attempts[mark], t.ahead()
		switch {
		case answer == nil:
			delete(c.Attempts, mark)
			discharge(c, t.user.ID)
			return nil
		case errors.Is(answer, cloud.ErrRefused):
			a = vault.Attempt{At: k.now(), Refused: true, LockedOut: lockedOut, Expired: errors.Is(answer, cloud.ErrPasswordExpired)}
			cost = costOf(a)
		case !judged(answer):
			a.Unanswered--
			cost = 0
		}
		spend(c, t, cost-t.ahead())
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

// judged reports whether the cloud may have counted a failed login behind an
// error. A 503 says that nobody takes requests; 500, 502 and 504 are also said
// when one was taken, and what came of it was lost.
func judged(err error) bool {
	var answer *cloud.Error
	if errors.As(err, &answer) && answer.Status == http.StatusServiceUnavailable {
		return false
	}
	return cloud.MayHaveJudged(err)
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

// Resume brings users in line with the record of attempts, which a kill may have
// parted, and drops what the record need not know any more. It asks nobody.
func (k *Keeper) Resume() error {
	err := k.commit("refused", func(c *vault.Contents) error {
		for id, u := range c.Users {
			if judged := judgedBefore(c, u); judged.Refused != u.Refused {
				c.Users[id] = judged
				touchAll(c, id)
			}
		}
		for mark, a := range c.Attempts {
			if k.now().Sub(a.At) > attemptsKept {
				delete(c.Attempts, mark)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}
