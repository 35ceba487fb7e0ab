package lab

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// This file has what a cloud's administrator does, by Keystone's API. Users are
// named by name, in the default domain.

// A User is a user of the lab.
type User struct {
	ID       string
	Name     string
	Password string
	Projects map[string]string // name to id
}

// A Key is an S3 key pair, in Keystone's words an EC2 credential.
type Key struct {
	UserID    string `json:"user_id"`
	ProjectID string `json:"tenant_id"`
	Access    string `json:"access"`
	Secret    string `json:"secret"`
}

// NewUser makes a user with fresh projects, whose names begin as given and end
// as the user's does, so that a test disturbs no other.
func (l *Lab) NewUser(t testing.TB, projects ...string) User {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:8])
	u := User{Name: "system-ccontini-" + suffix, Password: "hunter2", Projects: map[string]string{}}
	u.ID = l.create(t, "user", map[string]any{"name": u.Name, "password": u.Password, "domain_id": "default"})
	role := l.find(t, "role", "member")
	for _, name := range projects {
		name += "-" + suffix
		id := l.create(t, "project", map[string]any{"name": name, "domain_id": "default"})
		l.do(t, "PUT", "/projects/"+id+"/users/"+u.ID+"/roles/"+role, nil, nil)
		u.Projects[name] = id
	}
	return u
}

// SetPassword is an administrator's reset.
func (l *Lab) SetPassword(t testing.TB, user, password string) {
	t.Helper()
	l.PatchUser(t, user, map[string]any{"password": password})
}

// DisableUser makes Keystone refuse the user.
func (l *Lab) DisableUser(t testing.TB, user string) {
	t.Helper()
	l.PatchUser(t, user, map[string]any{"enabled": false})
}

// EnableUser undoes DisableUser.
func (l *Lab) EnableUser(t testing.TB, user string) {
	t.Helper()
	l.PatchUser(t, user, map[string]any{"enabled": true})
}

// PatchUser changes a user's attributes.
func (l *Lab) PatchUser(t testing.TB, user string, attributes map[string]any) {
	t.Helper()
	l.do(t, "PATCH", "/users/"+l.userID(t, user), map[string]any{"user": attributes}, nil)
}

// LeaveProject takes the user's role in a project's id away.
func (l *Lab) LeaveProject(t testing.TB, user, projectID string) {
	t.Helper()
	l.do(t, "DELETE", "/projects/"+projectID+"/users/"+l.userID(t, user)+"/roles/"+l.find(t, "role", "member"), nil, nil)
}

// Keys lists the user's EC2 keys of all projects.
func (l *Lab) Keys(t testing.TB, user string) []Key {
	t.Helper()
	var list struct{ Credentials []Key }
	l.do(t, "GET", "/users/"+l.userID(t, user)+"/credentials/OS-EC2", nil, &list)
	return list.Credentials
}

// CreateKey makes an EC2 key for the user and a project's id.
func (l *Lab) CreateKey(t testing.TB, user, projectID string) Key {
	t.Helper()
	var made struct{ Credential Key }
	l.do(t, "POST", "/users/"+l.userID(t, user)+"/credentials/OS-EC2", map[string]string{"tenant_id": projectID}, &made)
	return made.Credential
}

// DeleteKey deletes one EC2 key.
func (l *Lab) DeleteKey(t testing.TB, user, access string) {
	t.Helper()
	l.do(t, "DELETE", "/users/"+l.userID(t, user)+"/credentials/OS-EC2/"+access, nil, nil)
}

// DeleteKeys deletes all EC2 keys that the user has for a project's id, or for
// all projects if it is "".
func (l *Lab) DeleteKeys(t testing.TB, user, projectID string) {
	t.Helper()
	for _, key := range l.Keys(t, user) {
		if projectID == "" || key.ProjectID == projectID {
			l.DeleteKey(t, user, key.Access)
		}
	}
}

// Regenerate is what the portal's button does: a new password, and a new EC2
// key in place of the old ones for every project of the user.
func (l *Lab) Regenerate(t testing.TB, u User, password string) {
	t.Helper()
	l.SetPassword(t, u.Name, password)
	l.DeleteKeys(t, u.Name, "")
	for _, project := range u.Projects {
		l.CreateKey(t, u.Name, project)
	}
}

func (l *Lab) userID(t testing.TB, name string) string {
	t.Helper()
	return l.find(t, "user", name)
}

// find returns the id of the user, project or role of that name.
func (l *Lab) find(t testing.TB, kind, name string) string {
	t.Helper()
	var found map[string]json.RawMessage
	l.do(t, "GET", "/"+kind+"s?name="+name, nil, &found)
	var list []struct{ ID string }
	if err := json.Unmarshal(found[kind+"s"], &list); err != nil || len(list) != 1 {
		t.Fatalf("the lab has %d %ss named %s", len(list), kind, name)
	}
	return list[0].ID
}

func (l *Lab) create(t testing.TB, kind string, attributes map[string]any) string {
	t.Helper()
	var made map[string]struct{ ID string }
	l.do(t, "POST", "/"+kind+"s", map[string]any{kind: attributes}, &made)
	return made[kind].ID
}

// do is one request of the admin to Keystone; any refusal ends the test.
func (l *Lab) do(t testing.TB, method, path string, in, out any) {
	t.Helper()
	l.adminMu.Lock()
	defer l.adminMu.Unlock()
	if l.admin == "" {
		l.admin = l.signIn(t)
	}
	_, body := l.send(t, method, path, l.admin, in)
	if out == nil {
		return
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (l *Lab) signIn(t testing.TB) string {
	t.Helper()
	const auth = `{"auth": {
		"identity": {"methods": ["password"], "password": {"user": {
			"name": "admin", "domain": {"id": "default"}, "password": "admin-secret"}}},
		"scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}`
	header, _ := l.send(t, "POST", "/auth/tokens", "", json.RawMessage(auth))
	return header.Get("X-Subject-Token")
}

func (l *Lab) send(t testing.TB, method, path, token string, in any) (http.Header, []byte) {
	t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, l.AuthURL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(fmt.Errorf("the lab's admin: %w", err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("the lab's admin: %s %s: %s %s %v", method, path, resp.Status, data, err)
	}
	return resp.Header, data
}
