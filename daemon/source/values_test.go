package source_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/source"
)

const exports = "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\n"

// TestSecretsAreExact: what people's secrets hold comes through as the program
// that the file is for would read it.
func TestSecretsAreExact(t *testing.T) {
	const (
		env    = "OS_AUTH_URL=https://auth.cloud.ca\nOS_USERNAME=u\nOS_PROJECT_NAME=p\n"
		cloud  = "clouds:\n  c:\n    auth:\n      auth_url: https://auth.cloud.ca\n      username: u\n      project_name: p\n      password: "
		aws    = "[p]\naws_access_key_id = AK\naws_secret_access_key = "
		s3cfg  = "access_key = AK\nhost_base = objects.cloud.ca\nsecret_key = "
		rclone = "[r]\ntype = s3\naccess_key_id = AK\nendpoint = objects.cloud.ca\nsecret_access_key = "
	)
	long := strings.Repeat("x", 80)
	for _, c := range []struct{ name, text, want string }{
		{"openrc", exports + `export OS_PASSWORD='p$a"s%s#w d'`, `p$a"s%s#w d`},
		{"openrc", exports + `export OS_PASSWORD="p\$a\"s\\w\x"`, `p$a"s\w\x`},
		{"openrc", exports + `export OS_PASSWORD=p\$a\ s\'s"x"'y'  # comment`, `p$a s'sxy`},
		{"openrc", exports + `export OS_PASSWORD=pa#ss`, `pa#ss`},
		{"openrc", exports + `export OS_PASSWORD=pässwörd…` + long, `pässwörd…` + long},
		{"openrc", exports + `export "OS_PASSWORD=in quotes"`, `in quotes`},
		{"openrc", exports + "OS_PASSWORD=first\nexport OS_PASSWORD\nOS_PASSWORD+=second", `firstsecond`},
		{"openrc", exports + `p=x; unset p q; p=y && export OS_PASSWORD=$p${p}z`, `yyz`},
		{"openrc", exports + `OS_PASSWORD=$(x); OS_PASSWORD=last`, `last`},
		{"openrc", exports + `[[ -n $OS_PASSWORD ]] || export OS_PASSWORD=default`, `default`},
		{"openrc", exports + "if ! [ -z \"$OS_PASSWORD\" ]; then export OS_PASSWORD=a; elif test -n x; then export OS_PASSWORD=b; else export OS_PASSWORD=c; fi", `b`},
		{"openrc", exports + `( OS_PASSWORD=inner ); { OS_PASSWORD=outer; }; OS_PASSWORD=only echo`, `outer`},
		{"openrc", exports + "export OS_PASSWORD=one\\\nword", `oneword`},
		{".env", env + `OS_PASSWORD=p%a s's"x\y$$ $ # comment`, `p%a s's"x\y$$ $`},
		{".env", env + `OS_PASSWORD='p$a#s\n"'`, `p$a#s\n"`},
		{".env", env + `OS_PASSWORD="a\"b\\c\$d\q" # comment`, `a"b\c$d\q`},
		{".env", env + "A=x\nOS_PASSWORD = ${A}$A", `xx`},
		{".env", env + "OS_PASSWORD=#hash", `#hash`},
		{".env", env + "OS_PASSWORD=first\nexport OS_PASSWORD=\"last\"", `last`},
		{"clouds.yaml", cloud + `0123`, `0123`},
		{"clouds.yaml", cloud + `1e3`, `1e3`},
		{"clouds.yaml", cloud + `yes`, `yes`},
		{"clouds.yaml", cloud + `2026-01-02`, `2026-01-02`},
		{"clouds.yaml", cloud + `'p$a#s: "w''`, ``},
		{"clouds.yaml", cloud + `'p$a#s: "w'`, `p$a#s: "w`},
		{"clouds.yaml", cloud + `"p\"a\u00e9"`, `p"aé`},
		{"clouds.yaml", `{"clouds": {"c": {"auth": {"auth_url": "https://auth.cloud.ca", "username": "u", "project_name": "p", "password": "js{}on"}}}}`, `js{}on`},
		{"credentials", aws + `a%b #c ;d "e" =f:`, `a%b #c ;d "e" =f:`},
		{"s3cfg", s3cfg + `a%b #c ;d e"`, `a%b #c ;d e"`},
		{"s3cfg", s3cfg + `"quoted"`, `quoted`},
		{"rclone.conf", rclone + `a%b #c ;d "e"`, `a%b #c ;d "e"`},
		{"rclone.conf", rclone + "\"\"\"a\"`b\"\"\"", "a\"`b"},
		{"rclone.conf", rclone + "`quoted`", "quoted"},
	} {
		if c.want == "" {
			refused(t, c.name, c.text)
			continue
		}
		f := one(t, c.name, c.text+"\n")
		got := f.Password
		if f.Keys != nil {
			got = f.Keys.Secret
		}
		if got.Reveal() != c.want {
			t.Errorf("%s: %q\n got %q\nwant %q", c.name, c.text, got.Reveal(), c.want)
		}
	}
}

// TestShellAgrees compares with a real shell on words that need no running.
func TestShellAgrees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openrc")
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.SampledFrom([]rune(`ab\'"$# %=~*é{}`)), 0, 8, -1).Draw(t, "word")
		text := exports + "b=x\nexport OS_PASSWORD=" + word + "\n"
		found, _, err := source.Parse([]source.File{{Path: "openrc", Data: []byte(text)}}, false)
		if err != nil || found[0].Missing != "" {
			return // refused or no value: nothing to compare
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", `. "$1" && printf %s "$OS_PASSWORD"`, "sh", path)
		cmd.Env, cmd.Dir = []string{"HOME=~"}, filepath.Dir(path) // a tilde is kept as written
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		want, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("%q: the shell refuses it (%v, %s), ours reads it", word, err, &stderr)
		}
		if got := found[0].Password.Reveal(); got != string(want) {
			t.Fatalf("%q: %q, the shell says %q", word, got, want)
		}
	})
}

// TestNothingIsExecuted: neither by what is refused nor by what is passed over.
func TestNothingIsExecuted(t *testing.T) {
	folder := t.TempDir()
	touch := func(n int) string { return fmt.Sprintf("touch %s/%d", folder, n) }
	for i, text := range []string{
		"export OS_PASSWORD=$(" + touch(0) + ")\n",
		"export OS_PASSWORD=`" + touch(1) + "`\n",
		touch(2) + "\n",
		"echo \"$(" + touch(3) + ")\"\n",
		"trap '" + touch(4) + "' EXIT\n",
		"f() { " + touch(5) + "; }; f\n",
		"OTHER=<(" + touch(6) + ")\n",
		"eval \"" + touch(7) + "\"\n",
		"read x <<< \"$(" + touch(8) + ")\"\n",
		"[ -z \"$(" + touch(9) + ")\" ] && OS_REGION_NAME=x\n",
	} {
		for _, name := range []string{"openrc", ".env"} {
			_, _, _ = source.Parse([]source.File{{Path: name, Data: []byte(exports + text)}}, false)
			if _, err := os.Stat(filepath.Join(folder, fmt.Sprint(i))); err == nil {
				t.Errorf("%s: %q was executed", name, text)
			}
		}
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == "os/exec" || dep == "plugin" || strings.HasSuffix(dep, "/interp") {
			t.Errorf("the package can execute: it links %s", dep)
		}
	}
}

func TestMissing(t *testing.T) {
	keys := "export AWS_ACCESS_KEY_ID=AK AWS_SECRET_ACCESS_KEY="
	for _, c := range []struct{ text, missing, note string }{
		{exports + "export OS_PASSWORD=hunter2\n", "", ""},
		{exports, source.MissingPassword, ""},
		{exports + "export OS_PASSWORD=''\n", source.MissingPassword, ""},
		{exports + "export OS_PASSWORD='********'\n", source.MissingPassword, ""},
		{exports + "export OS_PASSWORD=••••\n", source.MissingPassword, ""},
		{exports + "read -rsp 'Password: ' x\nexport OS_PASSWORD=$x\n", source.MissingPassword, ""},
		{exports + "[ -z \"$OS_PASSWORD\" ] && read -rs OS_PASSWORD\n", source.MissingPassword, ""},
		{exports + "OS_APPLICATION_CREDENTIAL_ID=i OS_APPLICATION_CREDENTIAL_SECRET=s\n", "", ""},
		{exports + "OS_PASSWORD=x\n" + keys + "'****'\n", "", "S3 keys left out: the secret is masked or empty"},
		{exports + keys + "s3-secret AWS_SESSION_TOKEN=t\n", source.MissingPassword, "S3 keys left out: its S3 keys are temporary"},
		{keys + "'****'\n", source.MissingS3Secret, "no endpoint_url: needs --s3-endpoint"},
		{keys + "s3-secret\n", "", "no endpoint_url: needs --s3-endpoint"},
	} {
		f := one(t, "openrc", c.text)
		if f.Missing != c.missing || !strings.Contains(strings.Join(f.Notes, "\n"), c.note) {
			t.Errorf("%q: missing %q, notes %q; want %q, %q", c.text, f.Missing, f.Notes, c.missing, c.note)
		}
		if (f.Missing == source.MissingPassword) != (f.Password.Empty() && f.AppCred == nil && f.User.Name != "") {
			t.Errorf("%q: missing %q does not fit what was found", c.text, f.Missing)
		}
	}
}

func TestEndpoints(t *testing.T) {
	const cloud = "export OS_USERNAME=u OS_PROJECT_NAME=p OS_AUTH_URL="
	for _, c := range []struct{ text, auth, api, s3, region string }{
		{cloud + "https://auth.cloud.ca", "https://auth.cloud.ca", "3", "https://objects.cloud.ca", "cloud.ca"},
		{cloud + "https://Auth.cloud.ca:443/v3/", "https://auth.cloud.ca:443", "3", "https://objects.cloud.ca", "cloud.ca"},
		{cloud + "https://auth.cloud.ca/v2.0/", "https://auth.cloud.ca", "2.0", "https://objects.cloud.ca", "cloud.ca"},
		{cloud + "https://auth.cloud.ca/v2.0 OS_IDENTITY_API_VERSION=3", "https://auth.cloud.ca", "3", "https://objects.cloud.ca", "cloud.ca"},
		{cloud + "https://auth.cloud.ca:8443", "https://auth.cloud.ca:8443", "3", "", ""},
		{cloud + "https://auth.cloud.ca.evil.example", "https://auth.cloud.ca.evil.example", "3", "", ""},
		{cloud + "https://k.example/identity/v3 AWS_REGION=r", "https://k.example/identity", "3", "", ""},
		{cloud + "https://k.example AWS_ENDPOINT_URL=https://s3.example AWS_REGION=r", "https://k.example", "3", "https://s3.example", "r"},
		{cloud + "https://auth.cloud.ca AWS_DEFAULT_REGION=r", "https://auth.cloud.ca", "3", "https://objects.cloud.ca", "r"},
		{cloud + "http://127.0.0.1:5000/v3", "http://127.0.0.1:5000", "3", "", ""},
	} {
		f := one(t, "openrc", c.text+"\n")
		if f.User.Auth.URL != c.auth || f.User.IdentityAPI != c.api ||
			f.Environment.S3.Endpoint.URL != c.s3 || f.Environment.S3.Region != c.region {
			t.Errorf("%s: %s %s, S3 %s %s", c.text, f.User.Auth.URL, f.User.IdentityAPI, f.Environment.S3.Endpoint.URL, f.Environment.S3.Region)
		}
	}
	plain := source.File{Path: "openrc", Data: []byte(cloud + "http://k.example\n")}
	found, _, err := source.Parse([]source.File{plain}, true)
	if err != nil || !found[0].User.Auth.InsecureHTTP {
		t.Errorf("with insecureHTTP: %v, %v", found, err)
	}
}

func TestAuthority(t *testing.T) {
	ca := certificate(t)
	cloud := "clouds:\n  c:\n    auth: {auth_url: https://k.example, username: u, project_name: p, password: x}\n    cacert: /ca.pem\n"
	for _, c := range []struct{ pem, want, note string }{
		{ca, ca, ""},
		{"", "", "the file that cacert names was not given"},
		{"hunter2", "", "the file that cacert names holds no certificate"},
	} {
		found, _, err := source.Parse([]source.File{{Path: "clouds.yaml", Data: []byte(cloud), CA: map[string]string{"/ca.pem": c.pem}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if f := found[0]; f.User.Auth.CA != c.want || !strings.Contains(strings.Join(f.Notes, "\n"), c.note) {
			t.Errorf("CA %q, notes %q; want %q", f.User.Auth.CA, f.Notes, c.note)
		}
	}
	found, _, err := source.Parse([]source.File{{
		Path: "config", Data: []byte("[p]\naws_access_key_id=AK\naws_secret_access_key=x\nendpoint_url=https://s3.example\nca_bundle=/ca.pem\n"),
		CA: map[string]string{"/ca.pem": ca},
	}}, false)
	if err != nil || found[0].Environment.S3.Endpoint.CA != ca {
		t.Errorf("ca_bundle: %v, %v", found, err)
	}
}

func certificate(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestClouds: what the SDK accepts beside the plain case.
func TestClouds(t *testing.T) {
	f := one(t, "clouds.yaml", `
clouds:
  c:
    auth: &a
      auth-url: https://k.example
      username: u
      tenant_name: t
      default_domain: d
    password: hunter2
    regions:
      - {name: R1, values: {}}
      - R2
    identity_api_version: 2.0
`)
	e := f.Environment
	if e.Project != "t" || e.ProjectDomainID != "d" || f.User.DomainID != "d" || e.Region != "R1" ||
		f.User.IdentityAPI != "2.0" || f.Password.Reveal() != "hunter2" || f.Line != 3 {
		t.Errorf("%+v", f)
	}
	_, notes, err := source.Parse([]source.File{{Path: "c", Data: []byte("clouds:\n")}}, false)
	if err != nil || len(notes) != 1 || notes[0] != "c: no cloud in it" {
		t.Errorf("no cloud: %q, %v", notes, err)
	}
	// without the name secure.*, the entry that says where the cloud is comes first
	base := source.File{Path: "b.yaml", Data: []byte("clouds: {c: {auth: {auth_url: https://k.example, username: u, project_name: p, password: old}}}")}
	over := source.File{Path: "a.yaml", Data: []byte("clouds: {c: {auth: {password: new}}}")}
	for _, files := range [][]source.File{{base, over}, {over, base}} {
		found, notes, err := source.Parse(files, false)
		if err != nil || len(found) != 1 || found[0].File != "b.yaml" || found[0].Password.Reveal() != "new" || notes != nil {
			t.Errorf("%v, %q, %v", found, notes, err)
		}
	}
}

func TestAWS(t *testing.T) {
	f := one(t, "credentials", `
[profile "my cloud"]
  aws_access_key_id : AK
  # a comment
  aws_secret_access_key = x
  services = gone
[preview]
cloudfront = true
`)
	if f.Name != "my cloud" || f.Keys.AccessKeyID != "AK" || f.Line != 2 ||
		!strings.Contains(strings.Join(f.Notes, "\n"), "its services section is in none of the files given") {
		t.Errorf("%+v", f)
	}
	for text, note := range map[string]string{
		"[a]\naws_access_key_id = ****\naws_secret_access_key = x\n": "f:1: skipped: its S3 access key is masked",
		"[a]\naws_secret_access_key = x\n":                           "f:1: skipped: it holds no S3 access key",
		"[a]\nregion = x\n":                                          "f:1: skipped: it holds no S3 access key",
	} {
		found, notes, err := source.Parse([]source.File{{Path: "f", Data: []byte(text)}}, false)
		if err != nil || found != nil || len(notes) != 1 || notes[0] != note {
			t.Errorf("%q: %v, %q, %v; want %q", text, found, notes, err, note)
		}
	}
}

func TestRclone(t *testing.T) {
	_, notes, err := source.Parse([]source.File{{Path: "f", Data: []byte("[c]\ntype = crypt\npassword = x\n")}}, false)
	if err != nil || len(notes) != 1 || notes[0] != "f: no remote of type swift or s3" {
		t.Errorf("%q, %v", notes, err)
	}
	f := one(t, "f", "[c]\ntype = swift\nuser = u\nkey = x\nauth = https://k.example\ntenant_id = i\ndomain = D\nauth_version = 0\nenv_auth = true\n")
	if f.Environment.ProjectID != "i" || f.User.DomainName != "D" || f.User.IdentityAPI != "3" {
		t.Errorf("%+v", f)
	}
}

// The home folder is all that the path of the certificates may leave to the shell:
// ccactl has read the file by the name that is written.
func TestCertificatesAtHome(t *testing.T) {
	const head = "export OS_AUTH_URL=https://k.example OS_USERNAME=u OS_PROJECT_NAME=p OS_PASSWORD=x\n"
	for _, c := range []struct{ name, line, named string }{
		{"rc", "export OS_CACERT=$HOME/ca.pem", "$HOME/ca.pem"},
		{"rc", `export OS_CACERT="${HOME}/a b/ca.pem"`, "${HOME}/a b/ca.pem"},
		{"rc", `export OS_CACERT="$HOME"/ca.pem`, "$HOME/ca.pem"},
		{"rc", "export OS_CACERT=~/ca.pem", "~/ca.pem"},
		{"rc", "HOME=/x\nexport OS_CACERT=$HOME/ca.pem", "/x/ca.pem"},
		{".env", "OS_CACERT=$HOME/ca.pem", "$HOME/ca.pem"},
		{".env", `OS_CACERT="${HOME}/ca.pem"`, "${HOME}/ca.pem"},
	} {
		text := head
		if c.name == ".env" {
			text = strings.ReplaceAll(strings.TrimPrefix(head, "export "), " ", "\n")
		}
		f := source.File{Path: c.name, Data: []byte(text + c.line + "\n"), CA: map[string]string{c.named: "none"}}
		found, _, err := source.Parse([]source.File{f}, false)
		if err != nil || !slices.ContainsFunc(found[0].Notes, func(n string) bool { return strings.Contains(n, "holds no certificate") }) {
			t.Errorf("%s: %v, %v", c.line, found, err)
		}
	}
	for _, line := range []string{
		"export OS_CACERT=/x$HOME/ca.pem", "export OS_CACERT=$OTHER/ca.pem", "export OS_CACERT=$HOME/$OTHER/ca.pem", "export OS_CACERT=$HOME/$(id)/ca.pem",
		"export OS_USERNAME=$HOME", "export OS_PASSWORD=$HOME/x", "export OS_CACERT=${HOME%x}/ca.pem",
		"export OS_CACERT=$HOME/my certs/ca.pem", "OS_CACERT+=$HOME/ca.pem",
	} {
		refused(t, "rc", head+line+"\n")
	}
	for _, line := range []string{"OS_CACERT=$HOME/$(id)", "OS_CACERT=$HOME/${X:-y}", "OS_CACERT=$HOME/$HOME"} {
		refused(t, ".env", "OS_AUTH_URL=https://k.example\n"+line+"\n")
	}
}
