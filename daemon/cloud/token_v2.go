package cloud

import (
	"context"
	"net/http"

	"github.com/cloud-ca/ccad/daemon/account"
)

// tokenV2Doc is the answer of identity API v2.0, which has no domains. Upstream
// removed it; its shapes are those of Keystone's last documentation of it.
type tokenV2Doc struct {
	Access struct {
		Token struct {
			ID       openly
			IssuedAt stamp `json:"issued_at"`
			Expires  stamp
			Tenant   struct{ ID, Name string }
		}
		User           struct{ ID, Name, Username string }
		ServiceCatalog []struct {
			Type      string
			Endpoints []struct{ Region, PublicURL string }
		}
	}
}

// tokenV2 asks identity API v2.0 for a token with one method's part of the body.
func (c *Cloud) tokenV2(ctx context.Context, auth account.Endpoint, method string, body object, e account.Environment) (Grant, error) {
	switch {
	case e.ProjectID != "":
		body["tenantId"] = e.ProjectID
	case e.Project != "":
		body["tenantName"] = e.Project
	}
	var doc tokenV2Doc
	_, err := c.ask(ctx, auth, question{
		op: askToken, method: http.MethodPost, path: "/v2.0/tokens", body: object{"auth": body}, want: http.StatusOK,
	}, &doc)
	if err != nil {
		return Grant{}, err
	}
	a := doc.Access
	g := Grant{
		Token:  account.Token{ID: a.Token.ID.Secret, Issued: a.Token.IssuedAt.Time, Expires: a.Token.Expires.Time},
		UserID: a.User.ID, UserName: a.User.Name, UserDomainID: "default",
		ProjectID: a.Token.Tenant.ID, ProjectName: a.Token.Tenant.Name,
		Methods: []string{method},
	}
	if g.UserName == "" {
		g.UserName = a.User.Username
	}
	if g.ProjectID != "" {
		g.ProjectDomainID = "default"
	}
	for _, service := range a.ServiceCatalog {
		for _, ep := range service.Endpoints {
			if e.Region == "" || e.Region == ep.Region {
				g.offer(auth, service.Type, ep.PublicURL)
			}
		}
	}
	return c.whole(auth, g, e)
}
