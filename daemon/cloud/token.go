package cloud

import (
	"context"
	"net/http"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

const askToken = "for a token"

// object is a piece of a request's JSON.
type object map[string]any

// Password asks for a token with a password, scoped to e's project; with a zero
// e it is unscoped. It is one request and, refused, one failed login: a wrong
// password, an unknown user or project and a locked account are one and the
// same answer.
func (c *Cloud) Password(ctx context.Context, u account.User, password account.Secret, e account.Environment) (Grant, error) {
	if password.Empty() || u.Name == "" && u.KeystoneID == "" {
		return Grant{}, unsent(u.Auth, askToken, "user or password is missing")
	}
	if u.IdentityAPI == "2.0" {
		who := object{"username": u.Name, "password": openly{password}}
		if u.Name == "" {
			who = object{"userId": u.KeystoneID, "password": openly{password}}
		}
		return c.tokenV2(ctx, u.Auth, "password", object{"passwordCredentials": who}, e)
	}
	user := named(u.Name, u.DomainID, u.DomainName)
	if u.Name == "" {
		user = object{"id": u.KeystoneID}
	}
	user["password"] = openly{password}
	return c.token(ctx, u.Auth, "password", object{"user": user}, e, true)
}

// Application asks for a token with an application credential; its project is
// the credential's own. A deleted credential is ErrRefused. The URLs are of the
// catalog's first region.
func (c *Cloud) Application(ctx context.Context, auth account.Endpoint, ac account.ApplicationCredential) (Grant, error) {
	if ac.ID == "" || ac.Secret.Empty() {
		return Grant{}, unsent(auth, askToken, "the application credential is incomplete")
	}
	who := object{"id": ac.ID, "secret": openly{ac.Secret}}
	return c.token(ctx, auth, "application_credential", who, account.Environment{}, false)
}

// Rescope exchanges a password's token for one of another project. It ends when
// the first does. An application credential's token can't be exchanged.
func (c *Cloud) Rescope(ctx context.Context, u account.User, token account.Secret, e account.Environment) (Grant, error) {
	if token.Empty() {
		return Grant{}, unsent(u.Auth, askToken, "there is none to exchange")
	}
	if u.IdentityAPI == "2.0" {
		return c.tokenV2(ctx, u.Auth, "token", object{"token": object{"id": openly{token}}}, e)
	}
	return c.token(ctx, u.Auth, "token", object{"id": openly{token}}, e, true)
}

// named refers to something in a domain, by default the default one.
func named(name, domainID, domainName string) object {
	domain := object{"id": "default"}
	switch {
	case domainID != "":
		domain["id"] = domainID
	case domainName != "":
		domain = object{"name": domainName}
	}
	return object{"name": name, "domain": domain}
}

// scopeOf names the project to scope to, by its id where that is known.
// "unscoped" must be said: a user may have a default project.
func scopeOf(e account.Environment) any {
	switch {
	case e.ProjectID != "":
		return object{"project": object{"id": e.ProjectID}}
	case e.Project != "":
		return object{"project": named(e.Project, e.ProjectDomainID, e.ProjectDomainName)}
	}
	return "unscoped"
}

// tokenDoc is the answer of identity API v3.
type tokenDoc struct {
	Token struct {
		Methods   []string
		IssuedAt  stamp `json:"issued_at"`
		ExpiresAt stamp `json:"expires_at"`
		User      struct {
			ID, Name          string
			Domain            struct{ ID string }
			PasswordExpiresAt stamp `json:"password_expires_at"`
		}
		Project struct {
			ID, Name string
			Domain   struct{ ID string }
		}
		Catalog []struct {
			Type      string
			Endpoints []struct {
				Interface, Region, URL string
				RegionID               string `json:"region_id"`
			}
		}
	}
}

// token asks identity API v3 for a token by one method.
func (c *Cloud) token(ctx context.Context, auth account.Endpoint, method string, who object, e account.Environment, scoped bool) (Grant, error) {
	identity := object{"methods": []string{method}, method: who}
	body := object{"identity": identity}
	if scoped {
		body["scope"] = scopeOf(e)
	}
	var doc tokenDoc
	h, err := c.ask(ctx, auth, question{
		op: askToken, method: http.MethodPost, path: "/v3/auth/tokens",
		body: object{"auth": body}, want: http.StatusCreated, gone: ErrRefused,
	}, &doc)
	if err != nil {
		return Grant{}, err
	}
	t := doc.Token
	g := Grant{
		Token:  account.Token{ID: account.NewSecret(h.Get("X-Subject-Token")), Issued: t.IssuedAt.Time, Expires: t.ExpiresAt.Time},
		UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID,
		ProjectID: t.Project.ID, ProjectName: t.Project.Name, ProjectDomainID: t.Project.Domain.ID,
		PasswordExpires: t.User.PasswordExpiresAt.Time,
		Methods:         t.Methods,
	}
	for _, service := range t.Catalog {
		for _, ep := range service.Endpoints {
			if ep.Interface == "public" && (e.Region == "" || e.Region == ep.Region || e.Region == ep.RegionID) {
				g.offer(auth, service.Type, ep.URL)
			}
		}
	}
	return c.whole(auth, g, e)
}

// offer takes in a URL of the catalog, if it is the first of its service and
// may be used: the rule for the auth URL (https, loopback, or a person's word)
// holds for what is reached with its tokens. Only a cloud on this machine knows
// who has a port of it.
func (g *Grant) offer(auth account.Endpoint, service, raw string) {
	ep, err := account.ParseEndpoint(raw, auth.InsecureHTTP)
	if err != nil || strings.HasPrefix(ep.URL, "http:") && !auth.InsecureHTTP && !auth.Loopback() {
		return
	}
	switch {
	case service == "object-store" && g.StorageURL == "":
		g.StorageURL = ep.URL
	case service == "s3" && g.S3URL == "":
		g.S3URL = ep.URL
	}
}

// whole refuses an answer that lacks what every token has: it may be JSON, but
// not Keystone's.
func (c *Cloud) whole(auth account.Endpoint, g Grant, asked account.Environment) (Grant, error) {
	scoped := asked.ProjectID != "" || asked.Project != ""
	if g.Token.ID.Empty() || g.Token.Expires.IsZero() || g.UserID == "" || scoped && g.ProjectID == "" {
		return Grant{}, c.garbage(auth, askToken, answer{})
	}
	return g, nil
}
