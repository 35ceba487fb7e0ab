package practice

import (
	"encoding/json"
	"net/http"
)

// This file is OS-EC2 and /v3/credentials, two doors to one room: what one
// makes, the other lists. Both give the secrets to their owner, and nothing to
// the token of an application credential.

// newKey makes a key pair as OS-EC2 does.
func (s *state) newKey(userID, projectID string) *credential {
	access, secret := newID(), newID()
	blob, err := json.Marshal(map[string]any{"access": access, "secret": secret, "trust_id": nil})
	if err != nil {
		panic(err) // three values of ours
	}
	c := &credential{id: credentialID(access), userID: userID, projectID: projectID, kind: "ec2",
		blob: string(blob), access: access, secret: secret, order: s.next()}
	s.credentials[c.id] = c
	return c
}

// owned lets a user act on his own keys only.
func (k *call) owned(action string) *keystoneError {
	if k.PathValue("user") != k.user.id {
		return denied("identity:" + action)
	}
	return nil
}

// ec2 describes a credential as OS-EC2 does.
func (k *call) ec2(c *credential) map[string]any {
	return map[string]any{
		"user_id": c.userID, "tenant_id": c.projectID, "access": c.access, "secret": c.secret, "trust_id": nil,
		"links": map[string]any{"self": k.url("/users/" + c.userID + "/credentials/OS-EC2/" + c.access)},
	}
}

func listKeys(k *call) (answer, *keystoneError) {
	if e := k.owned("ec2_list_credentials"); e != nil {
		return answer{}, e
	}
	if k.isDelegated() {
		return answer{}, delegated
	}
	var list []any
	for _, c := range k.cloud.state.keys(k.user.id) {
		list = append(list, k.ec2(c))
	}
	return k.collection("credentials", list), nil
}

func createKey(k *call) (answer, *keystoneError) {
	if e := k.owned("ec2_create_credential"); e != nil {
		return answer{}, e
	}
	// No role is asked for: Keystone makes a key for any project, which then
	// opens nothing.
	project := python(k.body["tenant_id"])
	if k.cloud.state.projects[project] == nil {
		return answer{}, missing("project", project)
	}
	if k.isDelegated() {
		return answer{}, delegated
	}
	made := k.cloud.state.newKey(k.user.id, project)
	return answer{status: http.StatusCreated, document: map[string]any{"credential": k.ec2(made)}}, nil
}

// key finds the key pair of the path.
func (k *call) key(action string) (*credential, *keystoneError) {
	id := credentialID(k.PathValue("key"))
	c := k.cloud.state.credentials[id]
	if c != nil && c.userID != k.user.id || k.PathValue("user") != k.user.id {
		return nil, denied("identity:" + action)
	}
	if c == nil {
		return nil, missing("credential", id)
	}
	if k.isDelegated() {
		return nil, delegated
	}
	return c, nil
}

func showKey(k *call) (answer, *keystoneError) {
	c, e := k.key("ec2_get_credential")
	if e != nil {
		return answer{}, e
	}
	return answer{status: http.StatusOK, document: map[string]any{"credential": k.ec2(c)}}, nil
}

func deleteKey(k *call) (answer, *keystoneError) {
	c, e := k.key("ec2_delete_credential")
	if e != nil {
		return answer{}, e
	}
	delete(k.cloud.state.credentials, c.id)
	return answer{status: http.StatusNoContent}, nil
}

// generic describes a credential as /v3/credentials does.
func (k *call) generic(c *credential) map[string]any {
	var project any
	if c.projectID != "" {
		project = c.projectID
	}
	return map[string]any{
		"id": c.id, "user_id": c.userID, "project_id": project, "type": c.kind, "blob": c.blob,
		"links": map[string]any{"self": k.url("/credentials/" + c.id)},
	}
}

func listCredentials(k *call) (answer, *keystoneError) {
	q := k.URL.Query()
	if id := q.Get("user_id"); id != "" && id != k.user.id || k.isDelegated() {
		return k.collection("credentials", nil), nil
	}
	var list []any
	for _, c := range k.cloud.state.credentialsOf(func(c *credential) bool { return c.userID == k.user.id }) {
		if kind := q.Get("type"); kind == "" || kind == c.kind {
			list = append(list, k.generic(c))
		}
	}
	return k.collection("credentials", list), nil
}

func createCredential(k *call) (answer, *keystoneError) {
	body := object(k.body, "credential")
	if text(body, "user_id") != k.user.id {
		return answer{}, denied("identity:create_credential")
	}
	c := &credential{userID: k.user.id, projectID: text(body, "project_id"), kind: text(body, "type"), blob: text(body, "blob")}
	if c.kind == "" || c.blob == "" || c.kind == "ec2" && c.projectID == "" {
		// Keystone prints the request itself here, and its schema.
		return answer{}, badRequest("the credential is not valid under any of the given schemas")
	}
	if k.isDelegated() {
		return answer{}, delegated
	}
	c.id = newID()
	if c.kind == "ec2" {
		if e := c.readBlob(); e != nil {
			return answer{}, e
		}
	}
	if k.cloud.state.credentials[c.id] != nil {
		return answer{}, &keystoneError{status: http.StatusConflict,
			message: "Conflict occurred attempting to store credential - Duplicate entry found with ID " + c.id + "."}
	}
	c.order = k.cloud.state.next()
	k.cloud.state.credentials[c.id] = c
	return answer{status: http.StatusCreated, document: map[string]any{"credential": k.generic(c)}}, nil
}

// readBlob takes the key pair from the blob; its access key makes the id.
func (c *credential) readBlob() *keystoneError {
	var pair map[string]any
	if json.Unmarshal([]byte(c.blob), &pair) != nil {
		return badRequest("Invalid blob in credential")
	}
	if len(pair) == 0 {
		return expecting("blob", "credential")
	}
	if c.access = text(pair, "access"); c.access == "" {
		return expecting("access", "credential")
	}
	c.secret, c.id = text(pair, "secret"), credentialID(c.access)
	return nil
}

// credential finds the credential of the path. One that isn't there is as
// forbidden as somebody else's.
func (k *call) credential(action string) (*credential, *keystoneError) {
	c := k.cloud.state.credentials[k.PathValue("id")]
	if c == nil || c.userID != k.user.id {
		return nil, denied("identity:" + action)
	}
	if k.isDelegated() {
		return nil, delegated
	}
	return c, nil
}

func showCredential(k *call) (answer, *keystoneError) {
	c, e := k.credential("get_credential")
	if e != nil {
		return answer{}, e
	}
	return answer{status: http.StatusOK, document: map[string]any{"credential": k.generic(c)}}, nil
}

func deleteCredential(k *call) (answer, *keystoneError) {
	c, e := k.credential("delete_credential")
	if e != nil {
		return answer{}, e
	}
	delete(k.cloud.state.credentials, c.id)
	return answer{status: http.StatusNoContent}, nil
}
