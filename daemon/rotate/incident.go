package rotate

import (
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// PasswordAmiss reports whether the cloud refuses a user's password, or refused
// one and has not accepted what took its place.
func PasswordAmiss(u vault.User) bool { return u.Refused != nil || u.Unhealed }

// KeysAmiss is PasswordAmiss for an environment's S3 key.
func KeysAmiss(e vault.Environment) bool { return e.KeysRefused != nil || e.KeysUnhealed }

// CredentialAmiss is PasswordAmiss for an environment's application credential.
func CredentialAmiss(e vault.Environment) bool { return credentialRefused(e) || e.AppCredUnhealed }

func credentialRefused(e vault.Environment) bool {
	_, ok := e.AppCreds.Active()
	return !ok && slices.ContainsFunc(e.AppCreds.List, func(v vault.Version[account.ApplicationCredential]) bool { return v.State == vault.Refused })
}

// carryIncidents lets go on, in a commit, what was amiss and is not mended by it.
// What is mended has a new generation: a shell that has what is in force already
// is to hear of it.
func carryIncidents(before, c *vault.Contents) {
	for _, name := range append(carryPasswords(before, c), carryValues(before, c)...) {
		if c.Environments[name].Generation == before.Environments[name].Generation {
			touch(c, name)
		}
	}
}

// carryPasswords returns the environments of users whose incident is over.
func carryPasswords(before, c *vault.Contents) (healed []string) {
	for id, is := range c.Users {
		was := before.Users[id]
		active, _ := is.Passwords.Active()
		unhealed := PasswordAmiss(was) && is.Refused == nil && !active.Accepted
		if is.Unhealed != unhealed {
			is.Unhealed = unhealed
			c.Users[id] = is
		}
		if PasswordAmiss(was) && !PasswordAmiss(is) {
			healed = append(healed, c.NamesOf(id)...)
		}
	}
	return healed
}

// carryValues is carryPasswords for what an environment has of its own.
func carryValues(before, c *vault.Contents) (healed []string) {
	for name, is := range c.Environments {
		was := before.Environments[name]
		if was.ID != is.ID {
			was = vault.Environment{}
		}
		key, _ := is.Keys.Active()
		cred, _ := is.AppCreds.Active()
		keys := KeysAmiss(was) && is.KeysRefused == nil && !key.Accepted
		creds := CredentialAmiss(was) && !credentialRefused(is) && !cred.Accepted
		if is.KeysUnhealed != keys || is.AppCredUnhealed != creds {
			is.KeysUnhealed, is.AppCredUnhealed = keys, creds
			c.Environments[name] = is
		}
		if KeysAmiss(was) && !KeysAmiss(is) || CredentialAmiss(was) && !CredentialAmiss(is) {
			healed = append(healed, name)
		}
	}
	return healed
}
