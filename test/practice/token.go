package practice

import (
	"net/http"
	"slices"
	"time"
)

// stamp is how Keystone writes times of tokens.
const stamp = "2006-01-02T15:04:05.000000Z"

// domain is the only one there is.
var domain = map[string]any{"id": "default", "name": "Default"}

// notFernet is what Keystone says of a token that it can't open; a revoked one
// is not found in other words.
var (
	notFernet    = &keystoneError{status: http.StatusNotFound, message: "Could not recognize Fernet token"}
	notValidated = &keystoneError{status: http.StatusNotFound, message: "Failed to validate token"}
)

// unknownToken reports whether e says that a token is none or not valid (any
// more), which in X-Auth-Token counts as no token at all.
func unknownToken(e *keystoneError) bool { return e == notFernet || e == notValidated }

// validate returns the token of that id, if it is still good.
func (c *Cloud) validate(id string) (*token, *keystoneError) {
	t := c.state.tokens[id]
	if t == nil {
		return nil, notFernet
	}
	if t.appCredID != "" {
		ac := c.state.appCreds[t.appCredID]
		if ac == nil {
			return nil, missing("Application Credential", t.appCredID)
		}
	}
	u, now := c.state.users[t.userID], c.now()
	switch {
	case t.revoked, !now.Before(t.expires), !u.enabled, !t.issued.After(u.revoked):
		return nil, notValidated
	case t.projectID != "" && !u.memberOf(c.state.projects[t.projectID]):
		return nil, notValidated
	}
	return t, nil
}

// revokeAll voids the user's tokens, those that will be issued in this very
// second included: Keystone compares whole seconds.
func (c *Cloud) revokeAll(u *user) { u.revoked = c.now().Truncate(time.Second) }

// issue makes a token. parent is the token that it was made from, or nil.
func (c *Cloud) issue(u *user, p *project, methods []string, ac *appCred, parent *token) *token {
	t := &token{
		id: "gAAAAAB" + randomText(176), userID: u.id, methods: methods, audit: []string{randomText(22)},
		issued: c.now().Truncate(time.Second),
	}
	t.expires = t.issued.Add(c.tokenTTL)
	if p != nil {
		t.projectID = p.id
	}
	if ac != nil {
		t.appCredID = ac.id
		if !ac.expires.IsZero() && ac.expires.Before(t.expires) {
			t.expires = ac.expires
		}
	}
	if parent != nil {
		t.expires = parent.expires
		t.audit = append(t.audit, parent.audit[len(parent.audit)-1])
		for _, method := range parent.methods {
			if !slices.Contains(t.methods, method) {
				t.methods = append(t.methods, method)
			}
		}
	}
	c.state.tokens[t.id] = t
	return t
}

// tokenDocument describes a token, with the catalog where it has a project.
func (k *call) tokenDocument(t *token) map[string]any {
	u := k.cloud.state.users[t.userID]
	d := map[string]any{
		"methods": t.methods, "audit_ids": t.audit,
		"issued_at": t.issued.UTC().Format(stamp), "expires_at": t.expires.UTC().Format(stamp),
		"user": map[string]any{"domain": domain, "id": u.id, "name": u.name, "password_expires_at": u.shownExpiry},
	}
	if p := k.cloud.state.projects[t.projectID]; p != nil {
		d["project"] = map[string]any{"domain": domain, "id": p.id, "name": p.name}
		d["is_domain"] = false
		d["roles"] = roles(false)
		if !k.URL.Query().Has("nocatalog") {
			d["catalog"] = k.cloud.state.catalog(p.id)
		}
	}
	if t.appCredID != "" {
		ac := k.cloud.state.appCreds[t.appCredID]
		d["application_credential"] = map[string]any{"id": ac.id, "name": ac.name, "restricted": !ac.isUnrestricted()}
	}
	return map[string]any{"token": d}
}

// roles are those of every member; in full as application credentials list them.
func roles(full bool) []any {
	var list []any
	for id, name := range map[string]string{
		"9fe2ff9ee4384b1894a90878d3e92bab": "member", "1ea3e56793574b668e85960fbf651e13": "reader",
	} {
		role := map[string]any{"id": id, "name": name}
		if full {
			role["domain_id"], role["description"], role["options"] = nil, nil, map[string]any{"immutable": true}
		}
		list = append(list, role)
	}
	return list
}

// catalog tells where Keystone and the project's Swift account are.
func (s *state) catalog(projectID string) []any {
	var list []any
	for i, service := range []struct{ kind, name, url string }{
		{"identity", "keystone", s.authURL},
		{"object-store", "swift", s.storageURL + "/v1/AUTH_" + projectID},
	} {
		var endpoints []any
		for j, face := range []string{"public", "internal", "admin"} {
			endpoints = append(endpoints, map[string]any{
				"id": s.endpoints[3*i+j], "interface": face, "url": service.url,
				"region_id": "RegionOne", "region": "RegionOne",
			})
		}
		list = append(list, map[string]any{
			"endpoints": endpoints, "id": s.services[i], "type": service.kind, "name": service.name})
	}
	return list
}

func showToken(k *call) (answer, *keystoneError) {
	t, e := k.subject("identity:validate_token")
	if e != nil {
		return answer{}, e
	}
	return answer{status: http.StatusOK, document: k.tokenDocument(t), header: http.Header{"X-Subject-Token": {t.id}}}, nil
}

func deleteToken(k *call) (answer, *keystoneError) {
	t, e := k.subject("identity:revoke_token")
	if e != nil {
		return answer{}, e
	}
	t.revoked = true
	return answer{status: http.StatusNoContent}, nil
}

// subject is the token that the request is about: one of the same user.
func (k *call) subject(action string) (*token, *keystoneError) {
	id := k.Header.Get("X-Subject-Token")
	if id == "" {
		return nil, denied(action)
	}
	t, e := k.cloud.validate(id)
	if e != nil {
		return nil, e
	}
	if t.userID != k.user.id {
		return nil, denied(action)
	}
	return t, nil
}

func showCatalog(k *call) (answer, *keystoneError) {
	if k.token.projectID == "" {
		return answer{}, &keystoneError{status: http.StatusForbidden,
			message: "You are not authorized to perform the requested action."}
	}
	a := k.collection("catalog", k.cloud.state.catalog(k.token.projectID))
	a.document.(map[string]any)["links"] = map[string]any{"self": k.url("/auth/catalog")}
	return a, nil
}
