package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct{ in, out Request }{
		{Request{}, Request{"openstack", Password, "sh"}},
		{Request{Client: "aws"}, Request{"aws", "", "sh"}},
		{Request{Format: "rclone"}, Request{"rclone", Password, "rclone"}},
		{Request{Format: "s3cfg"}, Request{"aws", "", "s3cfg"}},
		{Request{Format: "clouds.yaml", Auth: Token}, Request{"openstack", Token, "clouds.yaml"}},
		{Request{Client: "duplicity", Auth: Token, Format: "fish"}, Request{"duplicity", Token, "fish"}},
	} {
		got, need, err := Plan(c.in)
		if err != nil || got != c.out {
			t.Errorf("Plan(%+v) = %+v, %v", c.in, got, err)
		}
		want := Need{Password: got.Auth == Password, Token: got.Auth == Token, Keys: got.Auth == "" || got.Format == "rclone"}
		if need != want {
			t.Errorf("Plan(%+v) needs %+v", c.in, need)
		}
		if again, _, err := Plan(got); err != nil || again != got {
			t.Errorf("planning %+v again: %+v, %v", got, again, err)
		}
	}
	for _, bad := range []Request{
		{Client: "ansible"}, {Format: "tcsh"}, {Auth: "magic"}, {Client: "aws", Auth: Password},
		{Client: "duplicity", Auth: ApplicationCredential}, {Client: "swift", Format: "clouds.yaml"},
		{Client: "rclone", Format: "s3cfg"}, {Format: "s3cfg", Auth: Token},
	} {
		if _, _, err := Plan(bad); err == nil {
			t.Errorf("Plan(%+v) is fine", bad)
		} else if _, _, again := Render(bad, documented()); again == nil || again.Error() != err.Error() {
			t.Errorf("Render(%+v) = %v, want %v", bad, again, err)
		}
	}
}

// variables renders as JSON.
func variables(t *testing.T, client, auth string, m Material) map[string]string {
	t.Helper()
	body, _, err := Render(Request{client, auth, "json"}, m)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// What each client gets, in full.
func TestClients(t *testing.T) {
	const (
		url, v3, v2 = "https://auth.cloud.ca", "https://auth.cloud.ca/v3", "https://auth.cloud.ca/v2.0"
		user, proj  = "system-ccontini-2925", "system-ccontini"
		storage     = "https://objects-qc.cloud.ca/v1/ks-project"
	)
	type vars = map[string]string
	appCred := vars{"OS_AUTH_TYPE": "v3applicationcredential", "OS_AUTH_URL": url, "OS_IDENTITY_API_VERSION": "3",
		"OS_APPLICATION_CREDENTIAL_ID": "ac-id", "OS_APPLICATION_CREDENTIAL_SECRET": "ac-secret"}
	login := vars{"OS_USERNAME": user, "OS_PASSWORD": "hunter2", "OS_PROJECT_NAME": proj, "OS_AUTH_URL": url, "OS_IDENTITY_API_VERSION": "3",
		"OS_USER_DOMAIN_NAME": "Default", "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_ID": "default"}
	login2 := vars{"OS_USERNAME": user, "OS_PASSWORD": "hunter2", "OS_TENANT_NAME": proj, "OS_AUTH_URL": v2}
	byToken := vars{"OS_STORAGE_URL": storage, "OS_AUTH_TOKEN": "gAAAA-token"}
	goLogin := vars{"OS_USERNAME": user, "OS_PASSWORD": "hunter2", "OS_PROJECT_NAME": proj, "OS_AUTH_URL": v3, "ST_AUTH_VERSION": "3",
		"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
	goAppCred := vars{"OS_AUTH_URL": v3, "ST_AUTH_VERSION": "3", "OS_APPLICATION_CREDENTIAL_ID": "ac-id", "OS_APPLICATION_CREDENTIAL_SECRET": "ac-secret"}

	m, old := documented(), documented()
	old.User.IdentityAPI = "2.0"
	for _, c := range []struct {
		client, auth string
		m            Material
		want         vars
	}{
		{"openstack", Password, m, login},
		{"openstack", Password, old, login2},
		{"openstack", Token, m, vars{"OS_AUTH_TYPE": "v3token", "OS_AUTH_URL": url, "OS_IDENTITY_API_VERSION": "3", "OS_TOKEN": "gAAAA-token",
			"OS_PROJECT_NAME": proj, "OS_PROJECT_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_ID": "default"}},
		{"openstack", ApplicationCredential, m, appCred},
		{"swift", Password, m, login},
		{"swift", Password, old, login2},
		{"swift", Token, m, byToken},
		{"swift", Token, old, byToken},
		{"swift", ApplicationCredential, m, appCred},
		{"rclone", Password, m, goLogin},
		{"rclone", Password, old, login2},
		{"rclone", Token, m, byToken},
		{"rclone", ApplicationCredential, m, goAppCred},
		{"restic", Password, m, goLogin},
		{"restic", Token, m, byToken},
		{"restic", ApplicationCredential, m, goAppCred},
		{"terraform", Password, m, vars{"OS_USERNAME": user, "OS_PASSWORD": "hunter2", "OS_PROJECT_NAME": proj, "OS_AUTH_URL": v3,
			"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}},
		{"terraform", Token, m, vars{"OS_AUTH_URL": v3, "OS_TOKEN": "gAAAA-token", "OS_PROJECT_NAME": proj, "OS_PROJECT_DOMAIN_ID": "default"}},
		{"terraform", ApplicationCredential, m, vars{"OS_AUTH_URL": v3, "OS_APPLICATION_CREDENTIAL_ID": "ac-id", "OS_APPLICATION_CREDENTIAL_SECRET": "ac-secret"}},
		{"duplicity", Password, m, vars{"SWIFT_AUTHURL": v3, "SWIFT_AUTHVERSION": "3", "SWIFT_USERNAME": user, "SWIFT_PASSWORD": "hunter2", "SWIFT_TENANTNAME": proj,
			"SWIFT_USER_DOMAIN_NAME": "Default", "SWIFT_USER_DOMAIN_ID": "default", "SWIFT_PROJECT_DOMAIN_NAME": "Default", "SWIFT_PROJECT_DOMAIN_ID": "default"}},
		{"duplicity", Password, old, vars{"SWIFT_AUTHURL": v2, "SWIFT_AUTHVERSION": "2", "SWIFT_USERNAME": user, "SWIFT_PASSWORD": "hunter2", "SWIFT_TENANTNAME": proj}},
		{"duplicity", Token, m, vars{"SWIFT_PREAUTHURL": storage, "SWIFT_PREAUTHTOKEN": "gAAAA-token", "OS_STORAGE_URL": storage, "OS_AUTH_TOKEN": "gAAAA-token"}},
		{"aws", "", m, vars{"AWS_ACCESS_KEY_ID": "076d7a255a4236965ba97b4f91363f2", "AWS_SECRET_ACCESS_KEY": "sk",
			"AWS_REGION": "cloud.ca", "AWS_DEFAULT_REGION": "cloud.ca", "AWS_ENDPOINT_URL_S3": "https://objects.cloud.ca",
			"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}},
	} {
		t.Run(fmt.Sprint(c.client, "/", c.auth, c.m.User.IdentityAPI), func(t *testing.T) {
			if diff := cmp.Diff(c.want, variables(t, c.client, c.auth, c.m)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Domains and projects that are known by one of id and name.
func TestDomainsAndProjects(t *testing.T) {
	byID, byName, byProjectID := documented(), documented(), documented()
	byID.User.DomainID, byID.Environment.ProjectDomainID = "d1", "d2"
	byName.User.DomainID, byName.Environment.ProjectDomainID = "", ""
	byName.User.DomainName, byName.Environment.ProjectDomainName = "corp", "team"
	byProjectID.Environment.Project = ""
	unsaid := documented()
	unsaid.User.DomainID, unsaid.User.DomainName, unsaid.Environment.ProjectDomainID = "", "", ""
	has := func(m Material, client string, want ...string) {
		t.Helper()
		var got []string
		for name, value := range variables(t, client, "", m) {
			if strings.Contains(name, "DOMAIN") || strings.Contains(name, "PROJECT_") || strings.Contains(name, "TENANT") {
				got = append(got, name+"="+value)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", client, diff)
		}
	}
	project := "OS_PROJECT_NAME=system-ccontini"
	for _, client := range []string{"openstack", "swift", "rclone", "restic", "terraform"} {
		has(byID, client, "OS_PROJECT_DOMAIN_ID=d2", project, "OS_USER_DOMAIN_ID=d1")
		has(byName, client, "OS_PROJECT_DOMAIN_NAME=team", project, "OS_USER_DOMAIN_NAME=corp")
	}
	has(byProjectID, "openstack", "OS_PROJECT_ID=ks-project", "OS_USER_DOMAIN_ID=default", "OS_USER_DOMAIN_NAME=Default")
	has(byProjectID, "rclone", "OS_TENANT_ID=ks-project", "OS_USER_DOMAIN_NAME=Default")
	has(byProjectID, "terraform", "OS_PROJECT_ID=ks-project", "OS_USER_DOMAIN_ID=default")
	has(byProjectID, "duplicity", "SWIFT_TENANTID=ks-project", "SWIFT_USER_DOMAIN_ID=default", "SWIFT_USER_DOMAIN_NAME=Default")
	has(unsaid, "restic", "OS_PROJECT_DOMAIN_NAME=Default", project, "OS_USER_DOMAIN_NAME=Default")
}

// rclone.conf has no key for a domain's id: Keystone's ids do without, and where
// they are not known a warning says so.
func TestRcloneConfWithoutDomainNames(t *testing.T) {
	m := documented()
	m.User.DomainID, m.Environment.ProjectDomainID = "d1", "d2"
	body, warnings, err := Render(Request{Format: "rclone"}, m)
	if err != nil || warnings != nil || !strings.Contains(string(body), "user_id = ks-user\ntenant_id = ks-project\n") || strings.Contains(string(body), "domain") {
		t.Errorf("%s%q, %v", body, warnings, err)
	}
	m.User.KeystoneID, m.Environment.ProjectID = "", ""
	body, warnings, err = Render(Request{Format: "rclone"}, m)
	if err != nil || len(warnings) != 2 || !strings.Contains(string(body), "user = system-ccontini-2925\ntenant = system-ccontini\n") {
		t.Errorf("%s%q, %v", body, warnings, err)
	}
}

// A switch from any view to any other of the same family must leave nothing of
// the first: what a view sets, its family knows.
func TestFamiliesAreWhole(t *testing.T) {
	shape := regexp.MustCompile(`^(OS|ST|SWIFT|AWS)_[A-Z0-9_]+$`)
	for name, c := range clients {
		sorted := slices.Sorted(slices.Values(c.family))
		if len(slices.Compact(sorted)) != len(c.family) {
			t.Errorf("%s has a name twice", name)
		}
		for _, one := range c.family {
			if !shape.MatchString(one) {
				t.Errorf("%s has the name %s", name, one)
			}
		}
		for _, auth := range c.auths {
			for _, api := range []string{"3", "2.0"} {
				m := documented()
				m.User.IdentityAPI, m.Environment.Region = api, "r"
				for _, m.Environment.Project = range []string{"", "p"} {
					set, err := (&view{Request: Request{Client: name, Auth: auth.auth}, Material: m}).set()
					if err != nil && (api == "3" || auth.v2 != nil || auth.auth == "") {
						t.Errorf("%s %s: %v", name, auth.auth, err)
					}
					for _, one := range set {
						if !slices.Contains(c.family, one.name) {
							t.Errorf("%s by %s sets %s, which its family lacks", name, auth.auth, one.name)
						}
					}
				}
			}
		}
	}
}

func TestHookLines(t *testing.T) {
	lines := regexp.MustCompile(`^(__ccad_drop [A-Z0-9_]+\n)+(__ccad_put [A-Z0-9_]+ '[^']*'\n)+$`)
	for _, format := range []string{"hook-sh", "hook-fish"} {
		body, _, err := Render(Request{Format: format}, documented())
		if err != nil || !lines.Match(body) {
			t.Errorf("%s: %v\n%s", format, err, body)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	change := func(f func(*Material)) Material {
		m := documented()
		f(&m)
		return m
	}
	noUser := change(func(m *Material) { m.User, m.Environment.UserID = account.User{}, "" })
	noKeys := change(func(m *Material) { m.Keys = account.KeyPair{} })
	noS3 := change(func(m *Material) { m.Environment.S3 = account.S3{} })
	for _, c := range []struct {
		r    Request
		m    Material
		is   error
		want string
	}{
		{Request{}, noUser, ErrNoUser, "environment dev holds S3 keys alone"},
		{Request{Format: "clouds.yaml"}, noUser, ErrNoUser, "environment dev holds S3 keys alone"},
		{Request{Client: "aws"}, noKeys, ErrNoKeys, "environment dev has no S3 keys"},
		{Request{Format: "s3cfg"}, noKeys, ErrNoKeys, "environment dev has no S3 keys"},
		{Request{Format: "rclone"}, change(func(m *Material) { m.User, m.Keys = account.User{}, account.KeyPair{} }), ErrNoKeys, "environment dev has no S3 keys"},
		{Request{Client: "aws"}, noS3, nil, "environment dev has no S3 endpoint"},
		{Request{}, change(func(m *Material) { m.Password = secret("") }), nil, "environment dev has no password"},
		{Request{}, change(func(m *Material) { m.User.Name = "" }), nil, "environment dev has no user name"},
		{Request{Auth: Token}, change(func(m *Material) { m.Token = account.Token{} }), nil, "environment dev has no token"},
		{Request{Auth: ApplicationCredential}, change(func(m *Material) { m.AppCred.Secret = secret("") }), nil, "environment dev has no application credential"},
		{Request{Client: "swift", Auth: Token}, change(func(m *Material) { m.Environment.StorageURL = "" }), nil,
			"environment dev has no storage URL: it is learned when the cloud first accepts the project"},
		{Request{Auth: ApplicationCredential}, change(func(m *Material) { m.User.IdentityAPI = "2.0" }), nil,
			"environment dev uses Keystone v2.0, which has no application-credential for the client openstack"},
		{Request{Format: "s3cfg"}, change(func(m *Material) { m.Environment.S3.Endpoint.URL += "/s3" }), nil,
			"environment dev has an S3 endpoint with a path, which s3cmd cannot use"},
		{Request{}, change(func(m *Material) { m.Environment.Name = "a\n[b]" }), nil, "the environment's name is none"},
	} {
		body, _, err := Render(c.r, c.m)
		if err == nil || err.Error() != c.want || body != nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%+v: %v, want %s", c.r, err, c.want)
		}
	}
	for name, m := range map[string]Material{"[dev-s3]": noUser, "[dev]": noKeys, "[dev] ": noS3} {
		body, _, err := Render(Request{Format: "rclone"}, m)
		if err != nil || !strings.HasPrefix(string(body), strings.TrimSpace(name)+"\n") || strings.Count(string(body), "[") != 1 {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
	}
}

// Values that a format has no words for are refused by name, and never shown.
func TestUncarried(t *testing.T) {
	for _, c := range []struct{ format, value, names string }{
		{"sh", "hunter\x002", "OS_PASSWORD"},
		{"json", "hunter\xff2", "OS_PASSWORD"},
		{"clouds.yaml", "hunter\xff2", "password"},
		{"rclone", "hunter\n2", "key"},
		{"rclone", "hunter%(x)s2", "key"},
		{"s3cfg", "hunter\n2", "secret_key"},
		{"s3cfg", "hunter\xff2", "secret_key"},
		{"s3cfg", "$hunter2", "secret_key"},
		{"s3cfg", "hunter2 ", "secret_key"},
	} {
		m := documented()
		m.Password, m.Keys.Secret = secret(c.value), secret(c.value)
		_, _, err := Render(Request{Format: c.format}, m)
		if err == nil || !strings.Contains(err.Error(), " for "+c.names+" with ") || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", c.format, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	m := documented()
	if _, warnings, _ := Render(Request{}, m); warnings != nil {
		t.Errorf("%q", warnings)
	}
	m.User.IdentityAPI, m.User.Auth.CA, m.Environment.S3.Endpoint.CA, m.Password = "2.0", "PEM", "PEM", secret("pa$$")
	for r, want := range map[Request][]string{
		{Format: "dotenv"}: {
			"environment dev has a certificate authority of its own, which no view carries: give its file to the client by OS_CACERT",
			"environment dev uses Keystone v2.0, which is deprecated and will be removed",
			"environment dev has a value for OS_PASSWORD that only a shell is sure to read right from a .env file; other readers may differ",
		},
		{Format: "rclone"}: {
			"environment dev has a certificate authority of its own, which no view carries: give its file to the client by RCLONE_CA_CERT",
			"environment dev uses Keystone v2.0, which is deprecated and will be removed",
		},
		{Client: "aws"}: {
			"environment dev has a certificate authority of its own, which no view carries: give its file to the client by AWS_CA_BUNDLE",
		},
	} {
		if _, got, err := Render(r, m); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: %q, %v", r, got, err)
		}
	}
}

// A gateway's key and loopback endpoint are no special case; files say when it
// ends.
func TestGatewayMaterial(t *testing.T) {
	m := documented()
	m.Environment.S3 = account.S3{Endpoint: account.Endpoint{URL: "http://127.0.0.1:4711"}, Region: "us-east-1"}
	m.LeaseUntil = time.Date(2026, 11, 22, 21, 0, 0, 0, time.FixedZone("", 3600))
	for format, want := range map[string][]string{
		"s3cfg":  {"# The S3 key in here ends at 2026-11-22T20:00:00Z.\n[default]\n", "host_base = 127.0.0.1:4711\n", "use_https = False\n"},
		"rclone": {"# The S3 key in here ends at 2026-11-22T20:00:00Z.\n[dev]\n", "endpoint = http://127.0.0.1:4711\n", "region = us-east-1\n"},
	} {
		body, _, err := Render(Request{Format: format}, m)
		for _, part := range want {
			if err != nil || !strings.Contains(string(body), part) {
				t.Errorf("%s: %v, no %q in\n%s", format, err, part, body)
			}
		}
	}
}

func TestCredentialProcess(t *testing.T) {
	until := time.Date(2026, 11, 22, 22, 0, 0, 123, time.FixedZone("", 3600))
	got := string(CredentialProcess(documented().Keys, until))
	want := `{"Version":1,"AccessKeyId":"076d7a255a4236965ba97b4f91363f2","SecretAccessKey":"sk","Expiration":"2026-11-22T21:00:00Z"}` + "\n"
	if got != want {
		t.Errorf("%s", got)
	}
	for _, v := range hostile {
		line := CredentialProcess(account.KeyPair{AccessKeyID: "ak", Secret: secret(v)}, until)
		var doc struct{ SecretAccessKey string }
		if err := json.Unmarshal(line, &doc); err != nil || doc.SecretAccessKey != v || strings.Count(string(line), "\n") != 1 {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func BenchmarkRenderSh(b *testing.B) {
	m := documented()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Render(Request{}, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCredentialProcess(b *testing.B) {
	keys, until := documented().Keys, time.Unix(1800000000, 0)
	b.ReportAllocs()
	for b.Loop() {
		CredentialProcess(keys, until)
	}
}
