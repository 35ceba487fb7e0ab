package rotate

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// This file has the cloud's word on a user's way into a project. That the user
// is known says nothing of it: each environment has its own.

// ProjectState says how an environment's project stands with its user: by the
// user's password, or without one by the environment's application credential.
func ProjectState(c *vault.Contents, e vault.Environment) string {
	if e.UserID == "" {
		return StateNone
	}
	accepted, refused := e.Binding.Accepted, e.Binding.Refused != nil
	if _, password := c.Users[e.UserID].Passwords.Active(); !password {
		active, ok := e.AppCreds.Active()
		accepted, refused = ok && active.Accepted, !ok && len(e.AppCreds.List) > 0
	}
	switch {
	case refused:
		return StateRefused
	case !accepted:
		return StateUnverified
	}
	return StateOK
}

// placed fills in what the cloud tells of a project that it granted, and keeps
// what is pinned. A name is not: the project is known by its id, and clients know it
// by its name.
func placed(c *vault.Contents, e vault.Environment, g cloud.Grant, now time.Time) vault.Environment {
	e.Binding = vault.Binding{Accepted: true, Checked: now}
	if e.ProjectID == "" {
		e.ProjectID = g.ProjectID
	}
	renamed := e.Project != "" && e.ProjectID == g.ProjectID && g.ProjectName != "" && e.Project != g.ProjectName
	if renamed {
		e.Generation = c.NextGeneration()
	}
	if e.Project == "" || renamed {
		e.Project, e.ProjectDomainID, e.ProjectDomainName = g.ProjectName, g.ProjectDomainID, ""
	}
	if e.StorageURL == "" {
		e.StorageURL = g.StorageURL
	}
	return e
}

// unplaced is the binding of an offer about which the cloud was not asked, or
// did not answer. What was granted once stays so.
func unplaced(b vault.Binding, noVerify bool) vault.Binding {
	if b.HandsOff = noVerify && !b.Accepted; !noVerify {
		b.Refused = nil // a person asked anew, and the next check goes on with it
	}
	return b
}

// awaitsProject reports whether the cloud owes its word on the project, or on the
// S3 keys in it since the user's password was replaced.
func awaitsProject(e vault.Environment) bool {
	b := e.Binding
	return projectOf(e.Environment) != "" && (!b.Accepted || e.KeysOwed) && !b.HandsOff && b.Refused == nil
}

// untouched is the error where a project was stored with --no-verify.
func untouched(e vault.Environment) error {
	return fmt.Errorf("environment %s was stored with --no-verify, and ccactl verify asks the cloud about it: %w", e.Name, ErrWithheld)
}

// refuseBinding records that the cloud keeps a user out of a project, and
// returns the refusal. An environment that is only on offer has no record. The
// password is as good as it was, and so is what is served.
func (k *Keeper) refuseBinding(u vault.User, e vault.Environment, reason string) error {
	refused := &RefusedError{Subject: fmt.Sprintf("project %s for user %s", projectOf(e.Environment), u.User), At: k.now(), Reason: reason}
	k.forget("", []string{e.ID})
	stored, ok := k.vault.Contents().Environments[e.Name]
	if !ok || stored.ID != e.ID || stored.UserID != e.UserID || !stored.SameProject(e.Environment) {
		return refused
	}
	return errors.Join(k.commit("refused", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) {
			e.Binding.HandsOff, e.Binding.Checked = false, refused.At
			e.Binding.Refused = &vault.Refusal{At: refused.At, Reason: reason}
		})
	}), refused)
}

// mendBinding ends a refusal that is over.
func (k *Keeper) mendBinding(e vault.Environment) error {
	if e.Binding.Refused == nil {
		return nil
	}
	return k.commit("verified", func(c *vault.Contents) error {
		return inEnvironment(c, e, func(e *vault.Environment) { e.Binding.Refused, e.Binding.Checked = nil, k.now() })
	})
}
