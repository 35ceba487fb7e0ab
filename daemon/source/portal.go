package source

import (
	"maps"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A PortalField is one field of the list that the portal's API shows for an
// environment. The list is open: no documentation names its keys.
type PortalField struct {
	Key   string
	Value account.Secret
}

// Portal is what the portal shows of one environment, as far as its fields
// could be told.
type Portal struct {
	User, Project, ProjectID string
	AuthURL                  string // to be compared with what is stored, never called
	Password                 account.Secret
	Keys                     *account.KeyPair  // nil unless both halves are there
	Meanings                 map[string]string // what each field was taken for, by its key; "" where that is unknown or doubtful
}

// The meanings of portal fields, each with the keys that are taken for it, in
// the order in which they win: the labels that the portal prints, the names of
// the variables that it documents, and what similar portals call them.
var portalMeanings = map[string][]string{
	"user":          {"username", "osusername", "apiusername", "user"},
	"project":       {"projectname", "osprojectname", "tenantname", "project", "tenant"},
	"project-id":    {"projectid", "osprojectid", "tenantid"},
	"auth-url":      {"authenticationurl", "authurl", "osauthurl", "keystoneurl"},
	"password":      {"password", "ospassword", "userpassword", "apipassword"},
	"s3-access-key": {"s3apiaccesskey", "s3accesskey", "s3accesskeyid", "accesskeyid", "awsaccesskeyid", "accesskey"},
	"s3-secret-key": {"s3apisecretkey", "s3secretkey", "s3secretaccesskey", "secretaccesskey", "awssecretaccesskey", "secretkey"},
}

// PortalMeanings returns the names of all meanings, sorted.
func PortalMeanings() []string { return slices.Sorted(maps.Keys(portalMeanings)) }

// ReadPortal tells what the fields mean. named says which key has a meaning, for
// portals whose names the table misses; it goes before the table. A masked value
// is none, and a key that is there twice with two values is doubtful and not used.
func ReadPortal(fields []PortalField, named map[string]string) Portal {
	p := Portal{Meanings: map[string]string{}}
	values, doubtful := map[string]account.Secret{}, map[string]bool{}
	for _, f := range fields {
		p.Meanings[f.Key] = ""
		if account.Masked(f.Value.Reveal()) || f.Value.Empty() {
			continue
		}
		if before, twice := values[f.Key]; twice && !before.Equal(f.Value) {
			doubtful[f.Key] = true
		}
		values[f.Key] = f.Value
	}
	for key := range doubtful {
		delete(values, key)
	}
	value := func(meaning string) account.Secret {
		key, found := portalKey(slices.Sorted(maps.Keys(values)), meaning, named)
		if !found {
			return account.Secret{}
		}
		p.Meanings[key] = meaning
		return values[key]
	}
	p.User, p.Project = value("user").Reveal(), value("project").Reveal()
	p.ProjectID, p.AuthURL = value("project-id").Reveal(), value("auth-url").Reveal()
	p.Password = value("password")
	access, secret := value("s3-access-key"), value("s3-secret-key")
	if !access.Empty() && !secret.Empty() {
		p.Keys = &account.KeyPair{AccessKeyID: access.Reveal(), Secret: secret}
	}
	return p
}

// portalKey returns the key that has the meaning: the named one, or the first of
// the table's that exactly one key spells.
func portalKey(keys []string, meaning string, named map[string]string) (string, bool) {
	if key, ok := named[meaning]; ok {
		return key, slices.Contains(keys, key)
	}
	for _, word := range portalMeanings[meaning] {
		var spelled []string
		for _, key := range keys {
			if portalWord(key) == word {
				spelled = append(spelled, key)
			}
		}
		if len(spelled) == 1 {
			return spelled[0], true
		}
	}
	return "", false
}

// portalWord is a key without case and separators: "S3 API access key" and
// "s3_api_access_key" are one.
func portalWord(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, key)
}
