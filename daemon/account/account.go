// Package account has the nouns of ccad and nothing else: User, Environment,
// KeyPair, ApplicationCredential, Token, Endpoint, and Secret, the one type
// that holds what must not be shown.
//
// A portal's "Regenerate" changes the password and the S3 keys of one user in
// all his environments. So the password belongs to the User, the S3 key pair
// to the Environment, and one new password is enough to heal everything.
//
// Every room may import account; account imports none of ours. It does no I/O.
package account

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"time"
)

// A User is a Keystone user at an auth URL and domain. He owns one password,
// shared by all his environments.
type User struct {
	ID          string   // ours: random, globally unique, never reused
	Name        string   // OS_USERNAME; "" until the cloud told it (an application credential alone)
	DomainID    string   // the user's domain, by id; one of DomainID and DomainName is set
	DomainName  string   // the user's domain, by name
	Auth        Endpoint // Keystone without a version: https://auth.cloud.ca
	IdentityAPI string   // "3", or "2.0" (deprecated)
	KeystoneID  string   // Keystone's user.id, recorded when the cloud first accepted the user; "" until then
	Called      string   // what a stored user is called, see CallApart; "" while he has no name
}

// An Environment is a cloud.ca environment: a Keystone project, usually bound
// to a user, with its S3 endpoint, region and one S3 key pair. Without a user
// it holds S3 keys alone.
type Environment struct {
	ID                string // ours: random, globally unique, never reused
	Name              string // matches ValidName
	UserID            string // User.ID, or "" for S3 keys alone
	Project           string // OS_PROJECT_NAME; "" when only the id is known
	ProjectID         string // Keystone's project.id; "" until the cloud told it
	ProjectDomainID   string // one of both is set where Project is
	ProjectDomainName string
	Region            string // the catalog's region (OS_REGION_NAME), often ""; not the S3 region
	StorageURL        string // Swift account URL, pinned from the catalog when the cloud first accepted the project
	S3                S3
}

// S3 says where an environment's S3 API is. The zero value: no S3 part.
type S3 struct {
	Endpoint Endpoint // https://objects.cloud.ca
	Region   string   // the region that requests must be signed for: cloud.ca
	Owner    string   // the owner id that ListBuckets names, recorded for environments without a user
}

// A KeyPair is an S3 key pair, in Keystone's words an EC2 credential. It is one
// value, so that its halves cannot part.
type KeyPair struct {
	AccessKeyID string
	Secret      Secret
}

// An ApplicationCredential is Keystone's, bound to one project.
type ApplicationCredential struct {
	ID     string // Keystone's; "" while it is only intended
	Name   string
	Secret Secret
}

// A Token is Keystone's, scoped to one project.
type Token struct {
	ID      Secret
	Issued  time.Time
	Expires time.Time
}

// nameRule is the contract's: a name is also a file name and a shell word.
var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ValidName reports whether name may name an environment.
func ValidName(name string) bool { return nameRule.MatchString(name) }

// NameFrom makes an environment name of a project or profile name: lower case,
// every other character a hyphen, cut to 63 bytes. It reports false where
// nothing usable is left.
func NameFrom(s string) (string, bool) {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
	name = strings.TrimRight(strings.TrimLeft(name, "._-"), "-")
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-")
	}
	return name, ValidName(name)
}

// MaxNamed is how many characters Keystone keeps of what is named there: a user, a
// project, a domain. Longer is another's file, or a paste gone wrong.
const MaxNamed = 255

// Masked reports whether a value is a portal's mask (only asterisks or bullets)
// and thus no value.
func Masked(value string) bool {
	return value != "" && strings.Trim(value, "*•●") == ""
}

// NewID returns a fresh random id of 32 hexadecimal digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Same reports whether both name the same Keystone user: equal origin, name and
// domain. Ids of ours are not compared.
func (u User) Same(other User) bool {
	return u.Auth.SameOrigin(other.Auth) && u.Key() == other.Key()
}

// DefaultDomain returns a domain's id and name, with every spelling of the default
// one turned into its id: what is sent must be what is compared.
func DefaultDomain(id, name string) (string, string) {
	if domainKey(id, name) == "id:default" {
		return "default", ""
	}
	return id, name
}

// Key names the Keystone user, whichever way his URL and domain are written. It
// is no secret, and the same for all that Same holds to be one.
func (u User) Key() string {
	return u.Auth.Origin() + "\x00" + domainKey(u.DomainID, u.DomainName) + "\x00" + u.Name
}

// SameProject reports whether both name the same Keystone project; the users
// are the caller's to compare.
func (e Environment) SameProject(other Environment) bool {
	if e.ProjectID != "" && other.ProjectID != "" {
		return e.ProjectID == other.ProjectID
	}
	return e.Project == other.Project &&
		sameDomain(e.ProjectDomainID, e.ProjectDomainName, other.ProjectDomainID, other.ProjectDomainName)
}

// sameDomain compares domains that may be given by id or by name. The default
// domain has the id "default" and the name "Default"; other pairs can't be
// matched without asking the cloud and count as different.
func sameDomain(idA, nameA, idB, nameB string) bool {
	return domainKey(idA, nameA) == domainKey(idB, nameB)
}

func domainKey(id, name string) string {
	switch {
	case id != "" && !strings.EqualFold(id, "default"):
		return "id:" + id
	case id != "", name == "", strings.EqualFold(name, "default"):
		return "id:default"
	}
	return "name:" + name
}

// String names the user as status and errors do, and as commands take him.
func (u User) String() string {
	switch {
	case u.Called != "":
		return u.Called
	case u.Name == "":
		return fmt.Sprintf("(unnamed user at %s)", u.Auth.Host())
	}
	return u.Name
}

// AtHost is the user's name with his cloud: NAME@HOST.
func (u User) AtHost() string { return u.Name + "@" + u.Auth.Host() }

// AtHostname is AtHost without the port that the auth URL may have.
func (u User) AtHostname() string { return u.Name + "@" + u.Auth.Hostname() }

// InDomain is the user's name where one cloud has several of it:
// NAME@HOST/DOMAIN.
func (u User) InDomain() string {
	_, domain, _ := strings.Cut(domainKey(u.DomainID, u.DomainName), ":")
	return u.AtHost() + "/" + domain
}

// CallApart sets Called of users: their name where it is one's alone, AtHost
// where two clouds have one of that name, InDomain where one cloud has two. It
// returns those that it changed.
func CallApart(users iter.Seq[User]) (changed []User) {
	names, hosts := map[string]int{}, map[string]int{}
	for u := range users {
		names[u.Name]++
		hosts[u.AtHost()]++
	}
	for u := range users {
		called := u.Name
		switch {
		case called == "" || names[called] == 1:
		case hosts[u.AtHost()] == 1:
			called = u.AtHost()
		default:
			called = u.InDomain()
		}
		if u.Called != called {
			u.Called = called
			changed = append(changed, u)
		}
	}
	return changed
}
