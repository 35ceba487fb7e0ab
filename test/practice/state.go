package practice

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"time"
)

// state is everything a cloud knows. Cloud.mu guards it; methods on state and
// on what it holds are called with that held.
type state struct {
	authURL, storageURL string
	policy              Policy
	users               map[string]*user // by id
	projects            map[string]*project
	credentials         map[string]*credential // by id
	appCreds            map[string]*appCred    // by id
	tokens              map[string]*token      // by the token itself
	endpoints           [6]string              // the catalog's ids
	services            [2]string
	order               int // rises with everything made, to list it in that order
}

type user struct {
	id, name  string
	enabled   bool
	passwords []password // the current one last
	roles     []string   // ids of the projects where he is a member
	revoked   time.Time  // tokens issued in this second or earlier are void

	lookedUp    time.Time // when shownExpiry was read
	shownExpiry any       // password_expires_at as Keystone's cache has it

	failures    int // since the last success
	lastFailure time.Time
	accepted    int // passwords, ever
	refused     int
	wrong       map[string]int // how often each wrong one was sent
}

// current is the password in force.
func (u *user) current() *password { return &u.passwords[len(u.passwords)-1] }

type password struct {
	value       string // cut as bcrypt does
	created     time.Time
	expires     time.Time // zero: never
	selfService bool      // set by the user, not by an administrator
}

type project struct {
	id, name   string
	header     http.Header // X-Account-Meta-…
	inUse      bool        // its Swift account was written to
	containers map[string]*container
}

// create makes a container.
func (p *project) create(name string, now time.Time) *container {
	p.inUse = true
	p.containers[name] = newContainer(name, now)
	return p.containers[name]
}

// credential is Keystone's generic one; of type ec2 it is an S3 key pair.
type credential struct {
	id, userID, projectID, kind, blob string
	access, secret                    string // of the blob, for ec2
	order                             int
}

type appCred struct {
	id, name, secret, userID, projectID string
	description                         *string
	expires                             time.Time // zero: never
	unrestricted                        *bool
	roles                               []string // ids; nil: all of its user
	order                               int
}

type token struct {
	id        string
	userID    string
	projectID string // "": unscoped
	methods   []string
	audit     []string // of this token and of the first of its chain
	appCredID string
	issued    time.Time // whole seconds, as Keystone's are
	expires   time.Time
	revoked   bool
}

func newState(authURL, storageURL string) state {
	s := state{
		authURL: authURL, storageURL: storageURL,
		users: map[string]*user{}, projects: map[string]*project{},
		credentials: map[string]*credential{}, appCreds: map[string]*appCred{},
		tokens: map[string]*token{},
	}
	for i := range s.endpoints {
		s.endpoints[i] = newID()
	}
	for i := range s.services {
		s.services[i] = newID()
	}
	return s
}

// next returns a number greater than all before.
func (s *state) next() int { s.order++; return s.order }

func (s *state) userNamed(name string) *user {
	for _, u := range s.users {
		if u.name == name {
			return u
		}
	}
	return nil
}

func (s *state) projectNamed(name string) *project {
	for _, p := range s.projects {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (u *user) memberOf(p *project) bool { return p != nil && slices.Contains(u.roles, p.id) }

// keys are the user's EC2 keys, in the order in which they were made.
func (s *state) keys(userID string) []*credential {
	return s.credentialsOf(func(c *credential) bool { return c.kind == "ec2" && c.userID == userID })
}

func (s *state) credentialsOf(want func(*credential) bool) []*credential {
	var list []*credential
	for _, c := range s.credentials {
		if want(c) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *credential) int { return a.order - b.order })
	return list
}

// newID returns 32 hexadecimal digits, as Keystone's uuid4().hex are.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// randomText returns n random characters of base64url.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// credentialID is Keystone's: the hash of the access key.
func credentialID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}
