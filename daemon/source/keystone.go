package source

import (
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Where cloud.ca is, as its documentation says.
const (
	cloudcaAuth   = "https://auth.cloud.ca:443" // an Endpoint's Origin
	cloudcaS3     = "https://objects.cloud.ca"
	cloudcaRegion = "cloud.ca"
	defaultDomain = "default"
)

// keystone reads the OS_* vocabulary: one user, one project, and the password
// or application credential for them.
func keystone(vs values) (Found, error) {
	r := &reader{values: vs}
	f := Found{}
	f.User.Auth, f.User.IdentityAPI = r.auth()
	f.AppCred = r.appCred()
	f.User.Name = r.named("OS_USERNAME")
	f.Password = r.secret("OS_PASSWORD")
	f.Environment.Project = r.named("OS_PROJECT_NAME", "OS_TENANT_NAME")
	f.Environment.ProjectID = r.named("OS_PROJECT_ID", "OS_TENANT_ID")
	f.Environment.Region = r.text("OS_REGION_NAME")
	r.domains(&f)
	if f.AppCred == nil && f.Password.Empty() {
		f.Missing = MissingPassword
	}
	if f.User.Auth.Origin() == cloudcaAuth {
		f.Environment.S3 = account.S3{Endpoint: account.Endpoint{URL: cloudcaS3}, Region: cloudcaRegion}
	}
	r.verify()
	f.Notes, f.marks = r.notes, r.marks
	if r.err == nil {
		r.err = r.usable(f)
	}
	return f, r.err
}

// verify says that a file's wish to trust anybody is not followed.
func (r *reader) verify() {
	if r.isFalse("OS_VERIFY") || r.isTrue("OS_INSECURE") {
		r.note("certificates are verified although the file says not to")
	}
}

// usable says what an entry lacks to be an environment.
func (r *reader) usable(f Found) error {
	byPassword := f.AppCred == nil
	switch {
	case !r.values.has("OS_AUTH_URL"):
		return &unusable{"it names no auth URL"}
	case f.User.IdentityAPI == "":
		return &unusable{"its identity API is neither 3 nor 2.0"}
	case !r.authTypeServed():
		return &unusable{"its auth type is neither password nor v3applicationcredential"}
	case byPassword && r.get("OS_AUTH_TYPE").text == "v3applicationcredential":
		return &unusable{"its application credential has no id or no secret"}
	case byPassword && f.User.Name == "" && r.values.has("OS_APPLICATION_CREDENTIAL_ID"):
		return &unusable{"its application credential has no secret"}
	case byPassword && f.User.Name == "":
		return &unusable{"it names no user"}
	case byPassword && f.Environment.Project == "" && f.Environment.ProjectID == "":
		return &unusable{"it names no project"}
	}
	return nil
}

func (r *reader) authTypeServed() bool {
	switch r.text("OS_AUTH_TYPE") {
	case "", "password", "v3password", "v2password", "v3applicationcredential":
		return true
	}
	return false
}

// auth returns Keystone's endpoint without a version, and the version: "3",
// "2.0", or "" where it is another. A version that is named outweighs the URL's.
func (r *reader) auth() (account.Endpoint, string) {
	raw := r.text("OS_AUTH_URL")
	if raw == "" {
		return account.Endpoint{}, ""
	}
	root := strings.TrimRight(strings.TrimSpace(raw), "/")
	api := "3"
	if base, ok := strings.CutSuffix(root, "/v2.0"); ok {
		root, api = base, "2.0"
	} else {
		root = strings.TrimSuffix(root, "/v3")
	}
	switch strings.TrimPrefix(r.text("OS_IDENTITY_API_VERSION", "OS_AUTH_VERSION"), "v") {
	case "":
	case "3", "3.0":
		api = "3"
	case "2", "2.0":
		api = "2.0"
	default:
		api = ""
	}
	endpoint := r.endpoint(r.values["OS_AUTH_URL"], root)
	endpoint.CA = r.authority("OS_CACERT")
	return endpoint, api
}

// appCred returns the application credential, which takes an id and a secret.
func (r *reader) appCred() *account.ApplicationCredential {
	id := r.text("OS_APPLICATION_CREDENTIAL_ID")
	name := r.text("OS_APPLICATION_CREDENTIAL_NAME")
	secret := r.secret("OS_APPLICATION_CREDENTIAL_SECRET")
	if id == "" || secret.Empty() {
		return nil
	}
	return &account.ApplicationCredential{ID: id, Name: name, Secret: secret}
}

// domains fills in the domains of the user and of the project, where they are
// named. Keystone v2.0 knows none: all it serves is in the default domain.
func (r *reader) domains(f *Found) {
	u, e := &f.User, &f.Environment
	assumed := false
	if u.Name != "" {
		u.DomainID, u.DomainName = r.domain("OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME")
		if u.DomainID == "" && u.DomainName == "" {
			u.DomainID, assumed = defaultDomain, true
		}
	}
	if e.Project != "" {
		e.ProjectDomainID, e.ProjectDomainName = r.domain("OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME")
		if e.ProjectDomainID == "" && e.ProjectDomainName == "" {
			e.ProjectDomainID, assumed = defaultDomain, true
		}
	}
	if assumed && u.IdentityAPI == "3" {
		r.note("domain default assumed: none is named, as in the documentation's exports")
	}
}

// domain returns a domain's id or, failing that, its name; the general names
// stand in for the specific ones.
func (r *reader) domain(id, name string) (string, string) {
	for _, names := range [][2]string{
		{id, name},
		{"OS_DEFAULT_DOMAIN_ID", "OS_DEFAULT_DOMAIN_NAME"},
		{"OS_DEFAULT_DOMAIN", ""},
		{"OS_DOMAIN_ID", "OS_DOMAIN_NAME"},
	} {
		if v := r.named(names[0]); v != "" {
			return v, ""
		}
		if v := r.named(names[1]); v != "" {
			return "", v
		}
	}
	return "", ""
}
