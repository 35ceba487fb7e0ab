package view

import (
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A variable is one line of what a client is told. Without a value it is not
// set at all.
type variable struct{ name, value string }

// present drops the variables without a value.
func present(all []variable) []variable {
	set := make([]variable, 0, len(all))
	for _, one := range all {
		if one.value != "" {
			set = append(set, one)
		}
	}
	return set
}

// known is what the clients' tables choose from: a Material with its secrets
// revealed and its names settled.
type known struct {
	url           string // Keystone, without a version
	user          string
	password      string
	project       string
	projectID     string // only where the name is not known
	userDomain    domain
	projectDomain domain // nothing where the project is given by id, which needs none
	region        string
	token         string
	storageURL    string
	appCredID     string
	appCredSecret string

	s3URL           string
	s3Region        string
	accessKeyID     string
	secretAccessKey string
}

// A domain is known by id, by name, or by both.
type domain struct{ id, name string }

// settle completes the one pair that every Keystone is born with. Neither means
// that one too, as it does for the clients themselves.
func settle(id, name string) domain {
	switch {
	case id == "" && (name == "" || strings.EqualFold(name, "Default")):
		id = "default"
	case id != "default":
		return domain{id, name}
	}
	if name == "" {
		name = "Default"
	}
	return domain{id, name}
}

// idFirst and nameFirst keep one of both, for clients that refuse two or that
// take the one which they should not.
func (d domain) idFirst() domain {
	if d.id != "" {
		d.name = ""
	}
	return d
}

func (d domain) nameFirst() domain {
	if d.name != "" {
		d.id = ""
	}
	return d
}

// v2 reports whether the user is one of Keystone v2.0.
func (v *view) v2() bool { return strings.HasPrefix(v.User.IdentityAPI, "2") }

// keystone gathers what a view by user needs, or says what is missing.
func (v *view) keystone() (known, error) {
	u, e := v.User, v.Environment
	if u.Auth.IsZero() {
		return known{}, ErrNoUser
	}
	switch {
	case v.Auth == Password && u.Name == "":
		return known{}, missing("user name")
	case v.Auth == Password && v.Password.Empty():
		return known{}, missing("password")
	case v.Auth == Token && v.Token.ID.Empty():
		return known{}, missing("token")
	case v.Auth == ApplicationCredential && (v.AppCred.ID == "" || v.AppCred.Secret.Empty()):
		return known{}, missing("application credential")
	}
	v.warnCA(u.Auth, clients[v.Client].ca)
	if v.v2() {
		v.warn("uses Keystone v2.0, which is deprecated and will be removed")
	}
	k := known{
		url:           strings.TrimSuffix(strings.TrimSuffix(u.Auth.URL, "/v3"), "/v2.0"),
		user:          u.Name,
		password:      v.Password.Reveal(),
		project:       e.Project,
		userDomain:    settle(u.DomainID, u.DomainName),
		region:        e.Region,
		token:         v.Token.ID.Reveal(),
		storageURL:    e.StorageURL,
		appCredID:     v.AppCred.ID,
		appCredSecret: v.AppCred.Secret.Reveal(),
	}
	if e.Project == "" {
		k.projectID = e.ProjectID
	} else {
		k.projectDomain = settle(e.ProjectDomainID, e.ProjectDomainName)
	}
	return k, nil
}

// s3 gathers what a view by keys needs. Without an endpoint there is none: the
// clients' own default is Amazon, which must never see these keys.
func (v *view) s3(ca string) (known, error) {
	s3 := v.Environment.S3
	switch {
	case v.Keys.AccessKeyID == "" || v.Keys.Secret.Empty():
		return known{}, ErrNoKeys
	case s3.Endpoint.IsZero():
		return known{}, missing("S3 endpoint")
	}
	v.warnCA(s3.Endpoint, ca)
	region := s3.Region
	if region == "" {
		region = "us-east-1" // S3's own default, and what servers without regions expect
	}
	return known{
		s3URL:           s3.Endpoint.URL,
		s3Region:        region,
		accessKeyID:     v.Keys.AccessKeyID,
		secretAccessKey: v.Keys.Secret.Reveal(),
	}, nil
}

// warnCA says that a client must be told of a private authority by hand.
func (v *view) warnCA(to account.Endpoint, ca string) {
	if to.CA != "" {
		v.warn("has a certificate authority of its own, which no view carries: give its file to the client by %s", ca)
	}
}
