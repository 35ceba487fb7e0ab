package practice

import (
	"net/http"
	"slices"
	"time"
)

// This file is the CRUD of application credentials.

func (a *appCred) isUnrestricted() bool { return a.unrestricted != nil && *a.unrestricted }

// granted are the roles of an application credential: those it was made with, or
// all of its maker.
func (a *appCred) granted() []any {
	if a.roles == nil {
		return roles(true)
	}
	return slices.DeleteFunc(roles(true), func(role any) bool { return !slices.Contains(a.roles, text(role.(map[string]any), "id")) })
}

// wanted reads the roles that a new application credential is to have; nil: all.
func wanted(list []any) (ids []string, ok bool) {
	for _, of := range list {
		role, _ := of.(map[string]any)
		found := ""
		for _, has := range roles(true) {
			h := has.(map[string]any)
			if text(role, "id") == text(h, "id") || text(role, "id") == "" && text(role, "name") == text(h, "name") {
				found = text(h, "id")
			}
		}
		if found == "" {
			return nil, false
		}
		ids = append(ids, found)
	}
	return ids, true
}

// appCred describes an application credential; its secret is shown once.
func (k *call) appCred(a *appCred, secret bool) map[string]any {
	var expires, project any
	if !a.expires.IsZero() {
		expires = a.expires.UTC().Format("2006-01-02T15:04:05.000000")
	}
	granted := []any{}
	if a.projectID != "" {
		project, granted = a.projectID, a.granted()
	}
	d := map[string]any{
		"id": a.id, "name": a.name, "description": a.description, "user_id": a.userID, "project_id": project,
		"system": nil, "expires_at": expires, "unrestricted": a.unrestricted, "roles": granted,
		"links": map[string]any{"self": k.url("/application_credentials/" + a.id)},
	}
	if secret {
		d["secret"] = a.secret
	}
	return d
}

// mayManage refuses a restricted application credential's token.
func (k *call) mayManage() *keystoneError {
	if k.token.appCredID != "" && !k.cloud.state.appCreds[k.token.appCredID].isUnrestricted() {
		return denied("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return nil
}

func listAppCreds(k *call) (answer, *keystoneError) {
	if e := k.owned("list_application_credentials"); e != nil {
		return answer{}, e
	}
	var own []*appCred
	for _, a := range k.cloud.state.appCreds {
		if name := k.URL.Query().Get("name"); a.userID == k.user.id && (name == "" || name == a.name) {
			own = append(own, a)
		}
	}
	slices.SortFunc(own, func(a, b *appCred) int { return a.order - b.order })
	var list []any
	for _, a := range own {
		list = append(list, k.appCred(a, false))
	}
	return k.collection("application_credentials", list), nil
}

func createAppCred(k *call) (answer, *keystoneError) {
	if e := k.owned("create_application_credential"); e != nil {
		return answer{}, e
	}
	body := object(k.body, "application_credential")
	if text(body, "name") == "" {
		return answer{}, badRequest("'name' is a required property")
	}
	if e := k.mayManage(); e != nil {
		return answer{}, e
	}
	a := &appCred{id: newID(), name: text(body, "name"), secret: text(body, "secret"),
		userID: k.user.id, projectID: k.token.projectID, order: k.cloud.state.next()}
	if a.secret == "" {
		a.secret = randomText(86)
	}
	if list, given := body["roles"].([]any); given {
		var ok bool
		if a.roles, ok = wanted(list); !ok {
			return answer{}, badRequest("Invalid application credential: Cannot create an application credential with unassigned role")
		}
	}
	if d, ok := body["description"].(string); ok {
		a.description = &d
	}
	if u, ok := body["unrestricted"].(bool); ok {
		a.unrestricted = &u
	}
	if text(body, "expires_at") != "" {
		at, err := time.Parse(time.RFC3339, text(body, "expires_at"))
		if err != nil || !at.After(k.cloud.now()) {
			return answer{}, badRequest("The 'expires_at' must not be before now. The server could not comply with the request " +
				"since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
		}
		a.expires = at
	}
	for _, other := range k.cloud.state.appCreds {
		if other.userID == a.userID && other.name == a.name {
			return answer{}, &keystoneError{status: http.StatusConflict, message: "Conflict occurred attempting to store " +
				"application_credential - Duplicate entry found with name " + a.name + "."}
		}
	}
	k.cloud.state.appCreds[a.id] = a
	return answer{status: http.StatusCreated, document: map[string]any{"application_credential": k.appCred(a, true)}}, nil
}

// foundAppCred finds the application credential of the path.
func (k *call) foundAppCred(action string) (*appCred, *keystoneError) {
	if e := k.owned(action); e != nil {
		return nil, e
	}
	a := k.cloud.state.appCreds[k.PathValue("id")]
	if a == nil || a.userID != k.user.id {
		return nil, missing("Application Credential", k.PathValue("id"))
	}
	return a, nil
}

func showAppCred(k *call) (answer, *keystoneError) {
	a, e := k.foundAppCred("get_application_credential")
	if e != nil {
		return answer{}, e
	}
	return answer{status: http.StatusOK, document: map[string]any{"application_credential": k.appCred(a, false)}}, nil
}

func deleteAppCred(k *call) (answer, *keystoneError) {
	if e := k.mayManage(); e != nil {
		return answer{}, e
	}
	a, e := k.foundAppCred("delete_application_credential")
	if e != nil {
		return answer{}, e
	}
	delete(k.cloud.state.appCreds, a.id)
	return answer{status: http.StatusNoContent}, nil
}
