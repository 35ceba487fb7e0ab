package rotate

import (
	"slices"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// twinOf returns the stored user whom Keystone means by another spelling than an
// offer has: a domain may be given by its id or by its name, a name in capitals to
// a Keystone that does not see them, and only Keystone's answer says that both are
// one. A user has one password, and one gate. The same of a project of the offer's
// own user: it may have been renamed.
func (a *adoption) twinOf() (twin vault.User, is bool) {
	c := a.vault.Contents()
	if u, stored := c.Users[a.place.user.ID]; stored {
		return u, a.grant != nil && a.place.added && slices.ContainsFunc(c.EnvironmentsOf(u.ID), func(e vault.Environment) bool {
			return e.ProjectID == a.grant.ProjectID
		})
	}
	id := ""
	switch {
	case a.login != nil:
		id = a.login.UserID
	case a.grant != nil:
		id = a.grant.UserID
	}
	for _, u := range c.Users {
		if id != "" && u.KeystoneID == id && u.Auth.SameOrigin(a.place.user.Auth) {
			return u, true
		}
	}
	return twin, false
}

// of is the offer as that user's, with the ids of its project.
func (o Offer) of(u vault.User, a *adoption) Offer {
	o.User.Name, o.User.DomainID, o.User.DomainName = u.Name, u.DomainID, u.DomainName
	if a.grant != nil {
		o.Environment.ProjectID = a.grant.ProjectID
		o.Environment.ProjectDomainID, o.Environment.ProjectDomainName = a.grant.ProjectDomainID, ""
	}
	return o
}
