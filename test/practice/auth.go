package practice

import (
	"net/http"
	"slices"
)

// This file is POST /v3/auth/tokens. The order of the checks is Keystone's: the
// form of the request, then the scope it names, then who asks, then whether he
// may have that scope. So an unknown project costs no failed attempt.

// grant is who asks, once he has proved it.
type grant struct {
	user    *user
	project *project // that an application credential is bound to
	appCred *appCred
	parent  *token
}

var noScope = &keystoneError{status: http.StatusUnauthorized,
	message: "Error authenticating with application credential: Application credentials cannot request a scope.",
	extra:   map[string]any{"identity": map[string]any{}}}

func issueToken(k *call) (answer, *keystoneError) {
	auth := object(k.body, "auth")
	if len(auth) == 0 {
		return answer{}, expecting("auth", "request body")
	}
	identity := object(auth, "identity")
	methods, ok := identity["methods"].([]any)
	if !ok {
		return answer{}, badRequest("Invalid input for field 'identity': 'methods' is a required property")
	}
	for _, m := range methods {
		if name, _ := m.(string); identity[name] == nil {
			return answer{}, expecting(name, "identity")
		}
	}
	wanted, e := k.scope(auth, methods)
	if e != nil {
		return answer{}, e
	}
	g, names, e := k.prove(identity, methods)
	if e != nil {
		return answer{}, e
	}
	if wanted != nil {
		if !g.user.memberOf(wanted) {
			return answer{}, unauthorized
		}
		g.project = wanted
	}
	t := k.cloud.issue(g.user, g.project, names, g.appCred, g.parent)
	return answer{status: http.StatusCreated, document: k.tokenDocument(t), header: http.Header{"X-Subject-Token": {t.id}}}, nil
}

// scope returns the project that the token is for, or nil.
func (k *call) scope(auth map[string]any, methods []any) (*project, *keystoneError) {
	given, ok := auth["scope"]
	if !ok || given == "unscoped" {
		return nil, nil
	}
	if slices.Contains(methods, any("application_credential")) {
		return nil, noScope
	}
	named, ok := given.(map[string]any)
	if !ok || len(named) != 1 {
		return nil, expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope")
	}
	p := object(named, "project")
	if p == nil { // a domain or the system: nobody here has a role there
		return nil, unauthorized
	}
	if id := text(p, "id"); id != "" {
		found := k.cloud.state.projects[id]
		if found == nil {
			return nil, unauthorized
		}
		return found, nil
	}
	if text(p, "name") == "" {
		return nil, nameless("scope/project")
	}
	if e := inDomain(p, "project", "scope/project"); e != nil {
		return nil, e
	}
	found := k.cloud.state.projectNamed(text(p, "name"))
	if found == nil {
		return nil, unauthorized
	}
	return found, nil
}

// nameless is the error where neither an id nor a name says what is meant.
func nameless(path string) *keystoneError {
	return badRequest("Invalid input for field %s: id or name must be present.", path)
}

// inDomain wants the domain of what is named; there is only one.
func inDomain(named map[string]any, target, path string) *keystoneError {
	d := object(named, "domain")
	switch {
	case d == nil:
		return expecting("domain", target)
	case text(d, "id") == "" && text(d, "name") == "":
		return nameless(path + "/domain")
	case text(d, "id") == "default", text(d, "id") == "" && text(d, "name") == "Default":
		return nil
	}
	return unauthorized
}

// prove runs the methods; each must find the same user.
func (k *call) prove(identity map[string]any, methods []any) (grant, []string, *keystoneError) {
	var g grant
	var names []string
	for _, m := range methods {
		name := m.(string)
		data := object(identity, name)
		var found grant
		var e *keystoneError
		switch name {
		case "password":
			found, e = k.byPassword(data)
		case "token":
			found, e = k.byToken(data)
		case "application_credential":
			found, e = k.byAppCred(data)
		default:
			e = &keystoneError{status: http.StatusUnauthorized, message: "Attempted to authenticate with an unsupported method.",
				extra: map[string]any{"identity": map[string]any{"methods": []string{
					"external", "password", "token", "oauth1", "mapped", "application_credential"}}}}
		}
		if e != nil {
			return grant{}, nil, e
		}
		if g.user != nil && g.user != found.user {
			return grant{}, nil, unauthorized
		}
		g, names = found, append(names, name)
	}
	if g.user == nil {
		return grant{}, nil, unauthorized
	}
	return g, names, nil
}

func (k *call) byPassword(data map[string]any) (grant, *keystoneError) {
	u, e := k.namedUser(object(data, "user"), "password")
	if e != nil {
		return grant{}, e
	}
	if e := k.cloud.checkPassword(u, text(object(data, "user"), "password")); e != nil {
		return grant{}, e
	}
	return grant{user: u}, nil
}

// namedUser finds a user by id, or by name and domain, if he is enabled.
func (k *call) namedUser(named map[string]any, method string) (*user, *keystoneError) {
	var u *user
	switch id, name := text(named, "id"), text(named, "name"); {
	case id != "":
		u = k.cloud.state.users[id]
	case name == "":
		return nil, nameless("identity/" + method + "/user")
	default:
		if e := inDomain(named, "user", "identity/"+method+"/user"); e != nil {
			return nil, e
		}
		u = k.cloud.state.userNamed(name)
	}
	if u == nil || !u.enabled {
		return nil, unauthorized
	}
	k.cloud.lookUp(u)
	return u, nil
}

func (k *call) byToken(data map[string]any) (grant, *keystoneError) {
	id, ok := data["id"].(string)
	if !ok {
		return grant{}, badRequest("Invalid input for field 'identity/token': 'id' is a required property")
	}
	t, e := k.cloud.validate(id)
	if e != nil {
		return grant{}, e
	}
	if slices.Contains(t.methods, "application_credential") {
		return grant{}, denied("Using a delegated token to create another token is not allowed.")
	}
	return grant{user: k.cloud.state.users[t.userID], parent: t}, nil
}

func (k *call) byAppCred(data map[string]any) (grant, *keystoneError) {
	ac, e := k.namedAppCred(data)
	if e != nil {
		return grant{}, e
	}
	u := k.cloud.state.users[ac.userID]
	expired := !ac.expires.IsZero() && !k.cloud.now().Before(ac.expires)
	if !u.enabled || expired || text(data, "secret") != ac.secret {
		return grant{}, unauthorized
	}
	p := k.cloud.state.projects[ac.projectID]
	if ac.projectID != "" && !u.memberOf(p) {
		return grant{}, unauthorized
	}
	return grant{user: u, project: p, appCred: ac}, nil
}

// namedAppCred finds an application credential by id, or by its name and user.
func (k *call) namedAppCred(data map[string]any) (*appCred, *keystoneError) {
	if id := text(data, "id"); id != "" {
		if ac := k.cloud.state.appCreds[id]; ac != nil {
			return ac, nil
		}
		return nil, missing("Application Credential", id)
	}
	if text(data, "name") == "" {
		return nil, expecting("id or name", "application_credential")
	}
	u, e := k.namedUser(object(data, "user"), "application_credential")
	if e != nil {
		return nil, e
	}
	for _, ac := range k.cloud.state.appCreds {
		if ac.userID == u.id && ac.name == text(data, "name") {
			return ac, nil
		}
	}
	return nil, unauthorized
}

// object and text read a field of a JSON object, absent as nil and "".
func object(m map[string]any, name string) map[string]any {
	o, _ := m[name].(map[string]any)
	return o
}

func text(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}
