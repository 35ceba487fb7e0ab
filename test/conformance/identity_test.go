package conformance

import "net/http"

// This file has the scenarios of tokens.

type object = map[string]any

var byID = object{"id": "default"}

// keystone is one request to Keystone; body nil is none.
func (s *session) keystone(label, method, path, token string, body any) answer {
	s.t.Helper()
	req := s.request(method, s.on.auth+path, body)
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	return s.do(label, req)
}

// auth is the body of a token request.
func auth(method string, data any, scope any) object {
	a := object{"identity": object{"methods": []string{method}, method: data}}
	if scope != nil {
		a["scope"] = scope
	}
	return object{"auth": a}
}

func (s *session) byPassword(password string, scope any) object {
	return auth("password", object{"user": object{"name": s.user.name, "domain": byID, "password": password}}, scope)
}

func inProject(p project) object {
	return object{"project": object{"name": p.name, "domain": byID}}
}

// token gets a token without a word: for project i, or unscoped if i is -1.
func (s *session) token(password string, i int) string {
	s.t.Helper()
	var scope any
	if i >= 0 {
		scope = inProject(s.user.projects[i])
	}
	a := s.send(s.request("POST", s.on.auth+"/auth/tokens", s.byPassword(password, scope)))
	if a.StatusCode != http.StatusCreated {
		s.t.Fatalf("no token: %s %s", a.Status, a.body)
	}
	return a.Header.Get("X-Subject-Token")
}

func versions(s *session) {
	root := "http://" + host(s.on.auth)
	s.do("versions", s.request("GET", root+"/", nil))
	s.keystone("v3", "GET", "", "", nil)
	s.keystone("v3 with a slash", "GET", "/", "", nil)
	s.keystone("v3 head", "HEAD", "", "", nil)
	s.do("v2.0 is gone", s.request("GET", root+"/v2.0", nil))
	s.do("v2.0 token", s.request("POST", root+"/v2.0/tokens", object{}))
	s.do("unknown", s.request("GET", root+"/nothing", nil))
	s.keystone("unknown in v3", "GET", "/nothing", "", nil)
	s.do("wrong method at the root", s.request("POST", root+"/", object{}))
	s.keystone("wrong method", "DELETE", "", "", nil)
}

func passwordTokens(s *session) {
	const tokens = "/auth/tokens?nocatalog"
	first, good := inProject(s.user.projects[0]), s.user.password
	user := func(u object) object { return auth("password", object{"user": u}, first) }
	s.keystone("with the catalog", "POST", "/auth/tokens", "", s.byPassword(good, first))
	s.keystone("unscoped", "POST", tokens, "", s.byPassword(good, nil))
	s.keystone("unscoped by word", "POST", tokens, "", s.byPassword(good, "unscoped"))
	s.keystone("by ids", "POST", tokens, "", auth("password", object{"user": object{"id": s.user.id, "password": good}},
		object{"project": object{"id": s.user.projects[0].id}}))
	s.keystone("domains by name", "POST", tokens, "", auth("password",
		object{"user": object{"name": s.user.name, "domain": object{"name": "Default"}, "password": good}},
		object{"project": object{"name": s.user.projects[0].name, "domain": object{"name": "Default"}}}))
	s.keystone("a stray bad token beside", "POST", tokens, "bad", s.byPassword(good, nil))

	s.keystone("wrong password", "POST", tokens, "", s.byPassword("wrong", first))
	s.keystone("unknown user", "POST", tokens, "", user(object{"name": "nobody", "domain": byID, "password": good}))
	s.keystone("unknown user id", "POST", tokens, "", user(object{"id": "nobody", "password": good}))
	s.keystone("unknown user domain", "POST", tokens, "", user(object{"name": s.user.name, "domain": object{"name": "x"}, "password": good}))
	s.keystone("no password", "POST", tokens, "", user(object{"name": s.user.name, "domain": byID}))
	s.keystone("no user domain", "POST", tokens, "", user(object{"name": s.user.name, "password": good}))
	s.keystone("no user name", "POST", tokens, "", user(object{"domain": byID, "password": good}))
	s.keystone("empty user domain", "POST", tokens, "", user(object{"name": s.user.name, "domain": object{}, "password": good}))
	for label, scope := range ordered(
		"unknown project", object{"project": object{"name": "nothing", "domain": byID}},
		"unknown project id", object{"project": object{"id": "nothing"}},
		"no project domain", object{"project": object{"name": s.user.projects[0].name}},
		"unknown project domain", object{"project": object{"name": s.user.projects[0].name, "domain": object{"name": "x"}}},
		"no project name", object{"project": object{"domain": byID}},
		"a domain", object{"domain": byID},
		"the system", object{"system": object{"all": true}},
		"project and domain", object{"project": object{"id": s.user.projects[0].id}, "domain": byID},
		"empty scope", object{},
	) {
		s.keystone(label, "POST", tokens, "", s.byPassword(good, scope))
	}

	s.keystone("empty", "POST", tokens, "", object{})
	s.keystone("no methods", "POST", tokens, "", object{"auth": object{"identity": object{}}})
	s.keystone("empty methods", "POST", tokens, "", object{"auth": object{"identity": object{"methods": []string{}}}})
	s.keystone("method without data", "POST", tokens, "", object{"auth": object{"identity": object{"methods": []string{"password"}}}})
	s.keystone("unknown method", "POST", tokens, "", auth("magic", object{}, nil))
	s.do("not JSON", s.request("POST", s.on.auth+tokens, "{bad", "Content-Type", "application/json"))
	s.do("no object", s.request("POST", s.on.auth+tokens, "[1]", "Content-Type", "application/json"))
	s.do("no body", s.request("POST", s.on.auth+tokens, nil))
	s.do("other type", s.request("POST", s.on.auth+tokens, "{}", "Content-Type", "text/plain"))
	s.do("no type", s.request("POST", s.on.auth+tokens, `{"auth": {"identity": {"methods": []}}}`))
	s.do("too large", s.announced(200000, s.request("POST", s.on.auth+tokens, nil, "Content-Type", "application/json")))
}

// ordered ranges over pairs in their order.
func ordered(pairs ...any) func(func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i].(string), pairs[i+1]) {
				return
			}
		}
	}
}

func tokenUse(s *session) {
	good, other, unscoped := s.token(s.user.password, 0), s.token(s.user.password, 1), s.token(s.user.password, -1)
	on := func(label, method, path, token, subject string) {
		req := s.request(method, s.on.auth+path, nil, "X-Auth-Token", token)
		if subject != "" {
			req.Header.Set("X-Subject-Token", subject)
		}
		s.do(label, req)
	}
	const tokens = "/auth/tokens?nocatalog"
	on("validate", "GET", tokens, good, good)
	on("validate by another", "GET", tokens, good, other)
	on("head", "HEAD", tokens, good, good)
	on("no subject", "GET", tokens, good, "")
	on("bad subject", "GET", tokens, good, "bad")
	on("bad token", "GET", tokens, "bad", good)
	s.do("no token", s.request("GET", s.on.auth+tokens, nil, "X-Subject-Token", good))

	s.keystone("projects", "GET", "/auth/projects", good, nil)
	s.keystone("projects unscoped", "GET", "/auth/projects", unscoped, nil)
	s.keystone("projects without a token", "GET", "/auth/projects", "", nil)
	s.keystone("projects with a bad token", "GET", "/auth/projects", "bad", nil)
	s.keystone("catalog", "GET", "/auth/catalog", good, nil)
	s.keystone("catalog unscoped", "GET", "/auth/catalog", unscoped, nil)

	on("revoke another", "DELETE", "/auth/tokens", good, other)
	on("validate the revoked", "GET", tokens, good, other)
	s.keystone("use the revoked", "GET", "/auth/projects", other, nil)
	on("revoke itself", "DELETE", "/auth/tokens", good, good)
	s.keystone("use itself", "GET", "/auth/projects", good, nil)
	on("revoke again", "DELETE", "/auth/tokens", unscoped, good)
	on("revoke without a subject", "DELETE", "/auth/tokens", unscoped, "")

	moved := s.token(s.user.password, 1)
	s.on.leave(s.t, s.user.name, s.user.projects[1].id)
	s.keystone("no member any more", "GET", "/auth/projects", moved, nil)
	s.keystone("nor for a new token", "POST", tokens, "", s.byPassword(s.user.password, inProject(s.user.projects[1])))
}

func rescoping(s *session) {
	const tokens = "/auth/tokens?nocatalog"
	first := s.token(s.user.password, 0)
	s.keystone("use", "GET", "/auth/projects", first, nil)
	by := func(label, token string, scope any) answer {
		return s.keystone(label, "POST", tokens, "", auth("token", object{"id": token}, scope))
	}
	second := by("to another project", first, object{"project": object{"id": s.user.projects[1].id}})
	third := by("and back", second.Header.Get("X-Subject-Token"), inProject(s.user.projects[0]))
	if a, b := second.json(s.t, "token.expires_at"), third.json(s.t, "token.expires_at"); a != b {
		s.t.Errorf("a rescoped token ends at %s, its parent at %s", b, a)
	}
	by("unscoped", first, "unscoped")
	by("without a scope", first, nil)
	by("bad token", "bad", nil)
	by("unknown project", first, object{"project": object{"id": "nothing"}})
	s.keystone("no id", "POST", tokens, "", auth("token", object{}, nil))
}
