package practice

import (
	"fmt"
	"maps"
	"net/http"
	"time"
)

// This file has what an administrator, or the cloud's portal for a user, can
// do. Users are named by name, projects by id. A name that the cloud doesn't
// know is a mistake in the test: panic.

// A User is a user of the cloud.
type User struct {
	ID       string
	Name     string
	Password string
	Projects map[string]string // name to id
}

// A Key is an S3 key pair, in Keystone's words an EC2 credential.
type Key struct {
	UserID    string
	ProjectID string
	Access    string
	Secret    string
}

// Policy is Keystone's [security_compliance]. The zero value asks for nothing.
type Policy struct {
	LockoutAttempts  int               // lockout_failure_attempts
	LockoutDuration  time.Duration     // 0: until an administrator acts
	MinimumAge       int               // days
	UniqueLast       int               // unique_last_password_count
	Accept           func(string) bool // password_regex; nil accepts everything
	Requirements     string            // password_regex_description
	ExpiresDays      int
	ChangeAtFirstUse bool // change_password_upon_first_use
}

// SetPolicy changes the policy for what comes.
func (c *Cloud) SetPolicy(p Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.policy = p
}

// AddUser makes a user with fresh projects, in the domain default.
func (c *Cloud) AddUser(name, pass string, projects ...string) User {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.userNamed(name) != nil {
		panic(fmt.Sprintf("practice cloud: a user %s is there", name))
	}
	u := &user{id: newID(), name: name, enabled: true, wrong: map[string]int{}}
	c.state.users[u.id] = u
	c.setPassword(u, pass, false)
	view := User{ID: u.id, Name: name, Password: pass, Projects: map[string]string{}}
	for _, name := range projects {
		p := &project{id: newID(), name: name, header: http.Header{}, containers: map[string]*container{}}
		c.state.projects[p.id] = p
		u.roles = append(u.roles, p.id)
		view.Projects[name] = p.id
	}
	return view
}

// HasUser reports whether there is a user of that name.
func (c *Cloud) HasUser(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.userNamed(name) != nil
}

// Reset is what the portal's Regenerate does: a new password, and a new EC2 key
// in place of the old ones for every project of the user. It returns the keys.
func (c *Cloud) Reset(name, pass string) []Key {
	c.SetPassword(name, pass)
	c.DeleteKeys(name, "")
	var keys []Key
	for _, id := range c.projectsOf(name) {
		keys = append(keys, c.CreateKey(name, id))
	}
	return keys
}

func (c *Cloud) projectsOf(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.find(name).roles...)
}

// SetPassword is an administrator's reset. It ends a lockout too.
func (c *Cloud) SetPassword(name, pass string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	c.setPassword(u, pass, false)
	c.revokeAll(u)
}

// ExpirePassword makes the user's password expired.
func (c *Cloud) ExpirePassword(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	u.current().expires, u.lookedUp = c.now(), time.Time{}
}

// Enable switches an account on or off; switching it off voids its tokens.
func (c *Cloud) Enable(name string, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	u.enabled = on
	if !on {
		c.revokeAll(u)
	}
}

// DeleteUser removes a user and his keys; AddUser may then make another of that
// name, who is not the same.
func (c *Cloud) DeleteUser(name string) {
	c.DeleteKeys(name, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	c.revokeAll(u)
	delete(c.state.users, u.id)
}

// JoinProject gives the user a role in a project that is there.
func (c *Cloud) JoinProject(name, projectID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	u.roles = append(u.roles, projectID)
}

// LeaveProject takes the user's role in a project away.
func (c *Cloud) LeaveProject(name, projectID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	var left []string
	for _, id := range u.roles {
		if id != projectID {
			left = append(left, id)
		}
	}
	u.roles = left
}

// RenameProject gives a project another name.
func (c *Cloud) RenameProject(id, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.projects[id].name = to
}

// Keys lists the user's EC2 keys of all projects, the oldest first.
func (c *Cloud) Keys(name string) []Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []Key
	for _, k := range c.state.keys(c.find(name).id) {
		keys = append(keys, k.key())
	}
	return keys
}

// CreateKey makes an EC2 key.
func (c *Cloud) CreateKey(name, projectID string) Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.newKey(c.find(name).id, projectID).key()
}

// DeleteKey deletes one EC2 key.
func (c *Cloud) DeleteKey(access string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.state.credentials, credentialID(access))
}

// DeleteKeys deletes all EC2 keys that the user has for a project, or for all
// if projectID is "".
func (c *Cloud) DeleteKeys(name, projectID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.state.keys(c.find(name).id) {
		if projectID == "" || k.projectID == projectID {
			delete(c.state.credentials, k.id)
		}
	}
}

// RevokeTokens voids every token of the user.
func (c *Cloud) RevokeTokens(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revokeAll(c.find(name))
}

// Passwords tells how many passwords were accepted and refused for the user,
// for a token or a change. A refused one includes the right one of a user who
// is locked out or whose password has expired.
func (c *Cloud) Passwords(name string) (accepted, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	return u.accepted, u.refused
}

// Password is the one that the cloud holds for the user.
func (c *Cloud) Password(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(name).current().value
}

// Wrong tells how often each wrong password was sent for the user, for a token
// or a change.
func (c *Cloud) Wrong(name string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.find(name).wrong)
}

func (c *Cloud) find(name string) *user {
	u := c.state.userNamed(name)
	if u == nil {
		panic(fmt.Sprintf("practice cloud: no user %s", name))
	}
	return u
}

func (k *credential) key() Key {
	return Key{UserID: k.userID, ProjectID: k.projectID, Access: k.access, Secret: k.secret}
}
