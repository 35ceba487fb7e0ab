package source_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/source"
)

// portalFields makes fields of key, value, key, value…
func portalFields(pairs ...string) (fields []source.PortalField) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, source.PortalField{Key: pairs[i], Value: account.NewSecret(pairs[i+1])})
	}
	return fields
}

func TestPortalFields(t *testing.T) {
	type shown struct{ user, project, projectID, auth, password, access, secret string }
	labels := []string{"Authentication endpoint", "https://auth.cloud.ca/v2.0", "Project name", "dev-ccontini", "User name", "system-ccontini-2925",
		"Password", "hunter2", "Authentication URL", "https://auth.cloud.ca", "Identity API version", "3", "Domain ID", "default",
		"S3 API access key", "a1", "S3 API secret key", "s1"}
	for name, c := range map[string]struct {
		fields []source.PortalField
		named  map[string]string
		want   shown
	}{
		"the portal's labels":   {portalFields(labels...), nil, shown{"system-ccontini-2925", "dev-ccontini", "", "https://auth.cloud.ca", "hunter2", "a1", "s1"}},
		"variables":             {portalFields("OS_USERNAME", "u", "OS_PASSWORD", "p", "OS_PROJECT_NAME", "pr", "OS_AUTH_URL", "https://a"), nil, shown{user: "u", password: "p", project: "pr", auth: "https://a"}},
		"generic":               {portalFields("access_key", "a", "secret_key", "s", "project_id", "7"), nil, shown{projectID: "7", access: "a", secret: "s"}},
		"S3 before generic":     {portalFields("access_key", "x", "s3AccessKey", "a", "s3SecretKey", "s"), nil, shown{access: "a", secret: "s"}},
		"half a key":            {portalFields("access_key", "x", "password", "p"), nil, shown{password: "p"}},
		"masked":                {portalFields("password", "********", "user", "u"), nil, shown{user: "u"}},
		"named":                 {portalFields("mot de passe", "p", "password", "no"), map[string]string{"password": "mot de passe"}, shown{password: "p"}},
		"named and not there":   {portalFields("password", "no"), map[string]string{"password": "pw"}, shown{}},
		"two spellings":         {portalFields("Password", "a", "pass-word", "b"), nil, shown{}},
		"twice, two values":     {portalFields("password", "a", "password", "b"), nil, shown{}},
		"twice, the same value": {portalFields("password", "a", "password", "a"), nil, shown{password: "a"}},
		"nothing known":         {portalFields("api_key", "k", "endpoint", "https://e"), nil, shown{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := source.ReadPortal(c.fields, c.named)
			got := shown{user: p.User, project: p.Project, projectID: p.ProjectID, auth: p.AuthURL, password: p.Password.Reveal()}
			if p.Keys != nil {
				got.access, got.secret = p.Keys.AccessKeyID, p.Keys.Secret.Reveal()
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	want := map[string]string{"Authentication endpoint": "", "Project name": "project", "User name": "user", "Password": "password",
		"Authentication URL": "auth-url", "Identity API version": "", "Domain ID": "", "S3 API access key": "s3-access-key", "S3 API secret key": "s3-secret-key"}
	if diff := cmp.Diff(want, source.ReadPortal(portalFields(labels...), nil).Meanings); diff != "" {
		t.Error(diff)
	}
}
