package rotate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// maxRetired is how many values that went out of force are remembered: the
// newest. A hundred users who rotate weekly fill it in ten weeks.
const maxRetired = 1000

// retire remembers the fingerprints of the secrets that a commit puts out of
// force, and forgets those that it puts into force again.
func retire(before, c *vault.Contents, now time.Time) {
	for id, was := range before.Users {
		if is, still := c.Users[id]; still {
			replaced(c, active(was.Passwords), active(is.Passwords), vault.Retired{Kind: "password", Subject: was.User.String(), At: now})
		}
	}
	for name, was := range before.Environments {
		is, still := c.Environments[name]
		if !still || is.ID != was.ID {
			continue
		}
		replaced(c, active(was.Keys).Secret, active(is.Keys).Secret, vault.Retired{Kind: "s3-key", Subject: name, At: now})
		replaced(c, active(was.AppCreds).Secret, active(is.AppCreds).Secret, vault.Retired{Kind: "application-credential", Subject: name, At: now})
	}
	for len(c.Retired) > maxRetired {
		oldest := ""
		for mark, r := range c.Retired {
			if oldest == "" || r.At.Before(c.Retired[oldest].At) {
				oldest = mark
			}
		}
		delete(c.Retired, oldest)
	}
}

// active is the value in force, or the zero one.
func active[T vault.Value](vs vault.Versions[T]) T {
	v, _ := vs.Active()
	return v.Value
}

func replaced(c *vault.Contents, was, is account.Secret, r vault.Retired) {
	if was.Equal(is) {
		return
	}
	if c.Retired == nil {
		c.Retired = map[string]vault.Retired{}
	}
	if !was.Empty() {
		c.Retired[staleMark(c, was.Reveal())] = r
	}
	if !is.Empty() {
		delete(c.Retired, staleMark(c, is.Reveal()))
	}
}

// staleMark names a value wherever it lies, whoever's it was.
func staleMark(c *vault.Contents, value string) string {
	mac := hmac.New(sha256.New, c.FingerprintKey)
	fmt.Fprintf(mac, "stale %s", value)
	return hex.EncodeToString(mac.Sum(nil))
}

// A Dead value went out of force or, where it is Refused, is in force and no good.
type Dead struct {
	vault.Retired
	Refused bool
}

// Stale returns what the words are that were in force once, or are and the cloud
// refuses them as wrong, by their index. Words in force and words never known are
// not in it: it tells nobody what a living secret is.
func (k *Keeper) Stale(words []string) map[int]Dead {
	c := k.vault.Contents()
	dead := map[string]Dead{}
	for mark, r := range c.Retired {
		dead[mark] = Dead{Retired: r}
	}
	for _, u := range c.Users {
		if v := active(u.Passwords); u.Refused != nil && !u.Refused.LockedOut && !u.Refused.Expired && !v.Empty() {
			dead[staleMark(c, v.Reveal())] = Dead{vault.Retired{Kind: "password", Subject: u.User.String(), At: u.Refused.At}, true}
		}
	}
	for name, e := range c.Environments {
		if v := active(e.Keys); e.KeysRefused != nil && !v.Secret.Empty() {
			dead[staleMark(c, v.Secret.Reveal())] = Dead{vault.Retired{Kind: "s3-key", Subject: name, At: e.KeysRefused.At}, true}
		}
	}
	found := map[int]Dead{}
	for i, word := range words {
		if r, ok := dead[staleMark(c, word)]; ok {
			found[i] = r
		}
	}
	return found
}
