package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
)

func secret(value string) account.Secret { return account.NewSecret(value) }

// python is Debian's own: its packages are what is tested against.
const python = "/usr/bin/python3"

// inPython runs a script that prints one JSON document, on the files.
func inPython(t rapid.TB, dir, script string, files []string, into any) {
	t.Helper()
	var stderr bytes.Buffer
	run := exec.Command(python, append([]string{"-c", script}, files...)...)
	run.Env, run.Stderr = quiet(dir), &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
}

// written renders a batch into files and leaves out what carries says cannot be.
func written(t rapid.TB, dir string, batch []trial, carries func(trial) bool) (files []string, kept []trial) {
	t.Helper()
	for i, one := range batch {
		one.Environment.Name = fmt.Sprintf("env-%d", i)
		body, _, err := Render(one.Request, one.Material)
		if err != nil && !carries(one) {
			continue
		}
		if err != nil || !carries(one) {
			t.Fatalf("error %v for %q", err, one.Password.Reveal())
		}
		file := filepath.Join(dir, one.Environment.Name)
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		files, kept = append(files, file), append(kept, one)
	}
	return files, kept
}

// holds reports whether a trial has what its auth needs, and all of it is ok.
func holds(one trial, ok func(string) bool) bool {
	m, e := one.Material, one.Environment
	names := ok(e.Region)
	scope := ok(e.Project) && (e.Project == "" || ok(e.ProjectDomainID))
	switch one.Auth {
	case "":
		return m.Keys.AccessKeyID != "" && ok(m.Keys.AccessKeyID) && has(m.Keys.Secret) && ok(m.Keys.Secret.Reveal()) && ok(e.S3.Region)
	case Token:
		return names && scope && has(m.Token.ID) && ok(m.Token.ID.Reveal())
	case ApplicationCredential:
		return names && m.AppCred.ID != "" && ok(m.AppCred.ID) && has(m.AppCred.Secret) && ok(m.AppCred.Secret.Reveal())
	}
	return names && scope && m.User.Name != "" && ok(m.User.Name) && ok(m.User.DomainName) && has(m.Password) && ok(m.Password.Reveal())
}

func has(s account.Secret) bool { return !s.Empty() }

func TestCloudsYAMLIsRead(t *testing.T) {
	program(t, python, "-c", "import yaml")
	dir := t.TempDir()
	read(t, "clouds.yaml", func(t rapid.TB, batch []trial) {
		files, kept := written(t, dir, batch, func(one trial) bool { return holds(one, utf8.ValidString) })
		var all []map[string]any
		inPython(t, dir, `import json, sys, yaml
print(json.dumps([yaml.safe_load(open(f, encoding="utf-8", newline="")) for f in sys.argv[1:]]))`, files, &all)
		for i, one := range kept {
			want := cloud(one)
			if diff := cmp.Diff(want, all[i]); diff != "" {
				t.Errorf("PyYAML: %s", diff)
			}
			var got map[string]any
			data, err := os.ReadFile(files[i])
			if err != nil || yaml.Unmarshal(data, &got) != nil {
				t.Fatalf("yaml/v3: %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("yaml/v3: %s", diff)
			}
		}
	})
}

// cloud is what the clouds.yaml of a trial made by with should hold.
func cloud(one trial) map[string]any {
	m, e := one.Material, one.Environment
	auth := map[string]any{"auth_url": "https://auth.cloud.ca"}
	entry := map[string]any{"auth": auth, "identity_api_version": "3", "region_name": e.Region}
	switch one.Auth {
	case Token:
		entry["auth_type"], auth["token"] = "v3token", m.Token.ID.Reveal()
	case ApplicationCredential:
		entry["auth_type"] = "v3applicationcredential"
		auth["application_credential_id"], auth["application_credential_secret"] = m.AppCred.ID, m.AppCred.Secret.Reveal()
	default:
		auth["username"], auth["password"] = m.User.Name, m.Password.Reveal()
		if d := settle("", m.User.DomainName).idFirst(); d.id != "" {
			auth["user_domain_id"] = d.id
		} else {
			auth["user_domain_name"] = d.name
		}
	}
	switch {
	case one.Auth == ApplicationCredential:
	case e.Project == "":
		auth["project_id"] = e.ProjectID
	default:
		auth["project_name"] = e.Project
		auth["project_domain_id"] = settle(e.ProjectDomainID, "").id
	}
	maps.DeleteFunc(entry, func(_ string, v any) bool { return v == "" })
	return map[string]any{"clouds": map[string]any{e.Name: entry}}
}

// The SDK's own loader takes the file and finds an auth plugin in it.
func TestOpenStackSDKLoadsClouds(t *testing.T) {
	program(t, python, "-c", "import openstack")
	dir := t.TempDir()
	var files []string
	for i, c := range []struct{ auth, api string }{
		{Password, "3"}, {Token, "3"}, {ApplicationCredential, "3"}, {Password, "2.0"},
	} {
		m := documented()
		m.User.IdentityAPI = c.api
		m.Password, m.Token.ID, m.AppCred.Secret = secret(every(0x20, 0x7e)), secret("0123"), secret("yes")
		body, _, err := Render(Request{Auth: c.auth, Format: "clouds.yaml"}, m)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(files[i], body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []map[string]any
	inPython(t, dir, `import json, sys, openstack
out = []
for f in sys.argv[1:]:
    c = openstack.config.OpenStackConfig(config_files=[f], secure_files=[], load_envvars=False).get_one("dev")
    c.get_auth()
    out.append(dict(c.config["auth"], type=c.config["auth_type"]))
print(json.dumps(out))`, files, &got)
	for i, want := range []map[string]any{
		{"type": "password", "password": every(0x20, 0x7e), "username": "system-ccontini-2925", "user_domain_id": "default"},
		{"type": "v3token", "token": "0123", "project_name": "system-ccontini", "project_domain_id": "default"},
		{"type": "v3applicationcredential", "application_credential_id": "ac-id", "application_credential_secret": "yes"},
		{"auth_url": "https://auth.cloud.ca/v2.0", "username": "system-ccontini-2925"},
	} {
		for key, value := range want {
			if got[i][key] != value {
				t.Errorf("%d: %s = %q, want %q", i, key, got[i][key], value)
			}
		}
	}
}

func TestRcloneReadsItsConfig(t *testing.T) {
	path, dir := program(t, "rclone"), t.TempDir()
	ok := func(s string) bool { return !strings.ContainsAny(s, "\n\r\x00") && !rcloneReference.MatchString(s) }
	read(t, "rclone", func(t rapid.TB, batch []trial) {
		for i := range batch {
			batch[i].User.KeystoneID, batch[i].Environment.ProjectID = "", "" // all by name
			batch[i].Environment.ProjectDomainID, batch[i].Environment.ProjectDomainName = "", batch[i].User.DomainName
			batch[i].LeaseUntil = time.Unix(1800000000, 0)
		}
		files, kept := written(t, dir, batch, func(one trial) bool {
			keys := one.Keys
			if (keys.AccessKeyID != "" && has(keys.Secret)) && !(ok(keys.AccessKeyID) && ok(keys.Secret.Reveal()) && ok(one.Environment.S3.Region)) {
				return false
			}
			one.Environment.ProjectDomainID = one.Environment.ProjectDomainName
			return holds(one, ok)
		})
		var whole []byte // one file, for rclone takes its time to start
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v", err)
			}
			whole = append(append(whole, data...), '\n')
		}
		config := filepath.Join(dir, "rclone.conf")
		if err := os.WriteFile(config, whole, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		run := exec.Command(path, "--config", config, "config", "dump")
		run.Env = quiet(dir)
		out, err := run.Output()
		got, want := map[string]map[string]string{}, map[string]map[string]string{}
		if err != nil || json.Unmarshal(out, &got) != nil {
			t.Fatalf("%v: %q", err, out)
		}
		for _, one := range kept {
			remotes(one, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s", diff)
		}
	})
}

// remotes adds what the rclone.conf of a trial should hold.
func remotes(one trial, into map[string]map[string]string) {
	m, e := one.Material, one.Environment
	swift := map[string]string{"type": "swift", "auth": "https://auth.cloud.ca/v3", "auth_version": "3", "region": e.Region}
	switch one.Auth {
	case Token:
		swift = map[string]string{"type": "swift", "storage_url": e.StorageURL, "auth_token": m.Token.ID.Reveal()}
	case ApplicationCredential:
		swift["application_credential_id"], swift["application_credential_secret"] = m.AppCred.ID, m.AppCred.Secret.Reveal()
	default:
		swift["user"], swift["key"], swift["domain"] = m.User.Name, m.Password.Reveal(), settle("", m.User.DomainName).name
		if swift["tenant"] = e.Project; e.Project != "" {
			swift["tenant_domain"] = swift["domain"]
		}
	}
	maps.DeleteFunc(swift, func(_, v string) bool { return v == "" })
	into[e.Name] = swift
	if m.Keys.AccessKeyID == "" || m.Keys.Secret.Empty() {
		return
	}
	into[e.Name+"-s3"] = map[string]string{
		"type": "s3", "provider": "Other", "endpoint": "https://objects.cloud.ca", "region": region(e),
		"access_key_id": m.Keys.AccessKeyID, "secret_access_key": m.Keys.Secret.Reveal(),
	}
}

func region(e account.Environment) string {
	if e.S3.Region == "" {
		return "us-east-1"
	}
	return e.S3.Region
}

func TestS3cmdReadsItsConfig(t *testing.T) {
	program(t, python, "-c", "import S3.Config")
	dir := t.TempDir()
	read(t, "s3cfg", func(t rapid.TB, batch []trial) {
		for i := range batch {
			batch[i].LeaseUntil = time.Unix(1800000000, 0)
		}
		files, kept := written(t, dir, batch, func(one trial) bool {
			return holds(one, s3cmdCan)
		})
		var got []map[string]any
		inPython(t, dir, `import json, sys
from S3.Config import Config
out = []
for f in sys.argv[1:]:
    Config._instance = None
    c = Config(f)
    out.append({k: getattr(c, k) for k in "access_key secret_key host_base host_bucket bucket_location use_https signature_v2".split()})
print(json.dumps(out))`, files, &got)
		for i, one := range kept {
			want := map[string]any{
				"access_key": one.Keys.AccessKeyID, "secret_key": one.Keys.Secret.Reveal(),
				"host_base": "objects.cloud.ca", "host_bucket": "objects.cloud.ca",
				"bucket_location": region(one.Environment), "use_https": true, "signature_v2": false,
			}
			if diff := cmp.Diff(want, got[i]); diff != "" {
				t.Errorf("%s", diff)
			}
		}
	})
}

// s3cmdCan says by its own words what s3cmd's reader keeps: lines of text, not
// stripped, and no reference to the environment.
func s3cmdCan(s string) bool {
	blank := " \t\v\f\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
	return utf8.ValidString(s) && !strings.ContainsAny(s, "\n\r\x00") && strings.Trim(s, blank) == s && !strings.HasPrefix(s, "$")
}

func TestJSONIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := trials("json").Draw(t, "trial")
		body, vars, ok := rendered(t, one)
		if !ok {
			return
		}
		want, got := map[string]string{}, map[string]string{}
		for _, v := range vars {
			want[v.name] = v.value
		}
		if err := json.Unmarshal(body, &got); err != nil || !maps.Equal(got, want) {
			t.Fatalf("%s: %v", cmp.Diff(want, got), err)
		}
	})
}

func TestEnvironIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := trials("environ").Draw(t, "trial")
		body, vars, ok := rendered(t, one)
		if !ok {
			return
		}
		got := map[string]string{}
		var dropped []string
		for _, line := range strings.Split(strings.TrimSuffix(string(body), "\x00"), "\x00") {
			if name, value, set := strings.Cut(line, "="); set {
				got[name] = value
			} else {
				dropped = append(dropped, name)
			}
		}
		for _, v := range vars {
			if got[v.name] != v.value {
				t.Fatalf("%s = %q, want %q", v.name, got[v.name], v.value)
			}
		}
		if len(got)+len(dropped) != len(clients[one.Client].family) {
			t.Fatalf("%d set, %d dropped of %d names", len(got), len(dropped), len(clients[one.Client].family))
		}
	})
}

// A line end would begin another variable for a reader that knows no quotes, such
// as docker run --env-file.
func TestDotenvIsOfLines(t *testing.T) {
	for _, end := range []string{"\n", "\r"} {
		name, password := documented(), documented()
		name.User.Name = "id" + end + "LD_PRELOAD=/data/evil.so" + end + "X="
		password.Password = secret("hunter2" + end + "LD_PRELOAD=/data/evil.so")
		for variable, m := range map[string]Material{"OS_USERNAME": name, "OS_PASSWORD": password} {
			body, _, err := Render(Request{Format: "dotenv"}, m)
			if want := "environment dev has a value for " + variable + " with a character that a .env file cannot carry"; err == nil || err.Error() != want {
				t.Errorf("%s: %q, %v", variable, body, err)
			}
		}
	}
}

// What is written without a warning, readers agree on, python-dotenv too.
func TestDotenvReadersAgree(t *testing.T) {
	agreed := map[string]bool{}
	for _, v := range append(slices.Clone(hostile), "it's", "abc=", "a b", "#x") {
		if _, ok := quoteDotenv(v); ok && !strings.ContainsAny(v, "\n\r") {
			agreed[v] = true
		}
	}
	for _, v := range []string{"hunter2", "it's", "a #b", "%", "-n", "日本語", "abc=", "a b", `"quoted"`} {
		if !agreed[v] {
			t.Errorf("%q is not agreed upon", v)
		}
	}
	for _, v := range []string{"$HOME", `a\\b`, `\'`, `'"'"'`} {
		if agreed[v] {
			t.Errorf("%q is agreed upon", v)
		}
	}
	dir := t.TempDir()
	program(t, python, "-c", "import dotenv")
	delete(agreed, "")
	for v := range agreed {
		m := documented()
		m.Password = secret(v)
		body, _, err := Render(Request{Format: "dotenv"}, m)
		if err != nil {
			t.Fatal(err)
		}
		file, got := filepath.Join(dir, "env"), map[string]string{}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		inPython(t, dir, `import json, sys, dotenv; print(json.dumps(dotenv.dotenv_values(sys.argv[1])))`, []string{file}, &got)
		if got["OS_PASSWORD"] != v {
			t.Errorf("%q was read as %q", v, got["OS_PASSWORD"])
		}
	}
}
