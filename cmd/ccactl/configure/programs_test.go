package configure

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The files as the programs read them that they are for.

// missing ends a test that lacks its program.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CCAD_TEST_PARTIAL") == "1" {
		t.Skipf("left out, for CCAD_TEST_PARTIAL=1: no %s", what)
	}
	t.Fatalf("no %s (CCAD_TEST_PARTIAL=1 leaves the test out)", what)
}

// programs returns what there is of a program in PATH and in /usr/bin.
func programs(t *testing.T, name string, works ...string) (all []string) {
	t.Helper()
	for _, candidate := range []string{name, "/usr/bin/" + name} {
		path, err := exec.LookPath(candidate)
		if err == nil && !slices.Contains(all, path) && exec.Command(path, works...).Run() == nil {
			all = append(all, path)
		}
	}
	if all == nil {
		missing(t, name+" "+strings.Join(works, " "))
	}
	t.Logf("with %v", all)
	return all
}

// home is a folder with a ccactl in it, at a path that needs quoting, and an AWS
// config file that names it.
func home(t *testing.T, endpoint string) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	ccactl := filepath.Join(dir, "it's odd", "ccactl")
	if err := os.Mkdir(filepath.Dir(ccactl), 0o700); err != nil {
		t.Fatal(err)
	}
	script := `#!/bin/sh
[ "$*" = "credential-process --env dev" ] || exit 9
echo '{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"SAK","Expiration":"2099-01-01T00:00:00Z"}'
`
	if err := os.WriteFile(ccactl, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("[default]\nregion = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := dev
	p.CredentialProcess, p.Endpoint = CredentialProcess(ccactl, "dev"), endpoint
	if _, err := writeAWS(config, []AWSProfile{p}); err != nil {
		t.Fatal(err)
	}
	return dir, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8", "AWS_CONFIG_FILE=" + config,
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"), "AWS_EC2_METADATA_DISABLED=true",
	}
}

func TestBotocore(t *testing.T) {
	for _, python := range programs(t, "python3", "-c", "import botocore.session") {
		_, env := home(t, dev.Endpoint)
		cmd := exec.Command(python, "-c", `
import json, botocore.session
s = botocore.session.Session(profile="dev")
c = s.get_credentials().get_frozen_credentials()
print(json.dumps([s.get_scoped_config(), s.full_config.get("services"), c.access_key, c.secret_key]))`)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", python, err, out)
		}
		var got []any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		config := got[0].(map[string]any)
		delete(config, "credential_process")
		text := fmt.Sprint(config, got[2:])
		want := `map[endpoint_url:http://127.0.0.1:8080 region:us-east-1 request_checksum_calculation:when_required response_checksum_validation:when_required ` +
			`s3:map[addressing_style:path signature_version:s3v4] services:dev] [AKID SAK]`
		if text != want {
			t.Errorf("%s reads\n%s, want\n%s", python, text, want)
		}
		if got[1] != nil { // older ones know no services
			if text := fmt.Sprint(got[1]); text != "map[dev:map[s3:map[endpoint_url:http://127.0.0.1:8080]]]" {
				t.Errorf("%s reads the services %s", python, text)
			}
		}
	}
}

// s3 is a server that keeps what it was asked.
type s3 struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func newS3(t *testing.T) *s3 {
	s := &s3{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r)
		w.Header().Set("ETag", `"x"`)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestAWSCommand: the CLI finds endpoint, region, key and style in the profile.
func TestAWSCommand(t *testing.T) {
	for _, aws := range programs(t, "aws", "--version") {
		s := newS3(t)
		dir, env := home(t, s.URL)
		args := []string{"--profile", "dev", "s3api", "put-object", "--bucket", "bucket", "--key", "key", "--body", filepath.Join(dir, "config")}
		version, _ := exec.Command(aws, "--version").CombinedOutput()
		if strings.HasPrefix(string(version), "aws-cli/2.9.") { // it knows no endpoint_url
			args = append(args, "--endpoint-url", s.URL)
		}
		cmd := exec.Command(aws, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", aws, err, out)
		}
		if len(s.requests) != 1 {
			t.Fatalf("%s: %d requests", aws, len(s.requests))
		}
		r := s.requests[0]
		if r.Method != "PUT" || r.URL.Path != "/bucket/key" {
			t.Errorf("%s: %s %s", aws, r.Method, r.URL)
		}
		if auth := r.Header.Get("Authorization"); !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(auth, "/us-east-1/s3/aws4_request") {
			t.Errorf("%s: signed %s", aws, auth)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") || name == "X-Amz-Trailer" {
				t.Errorf("%s: header %s", aws, name)
			}
		}
	}
}

// TestMendedSample: the sample of the documentation, with a key in it, works once
// it is mended.
func TestMendedSample(t *testing.T) {
	failed := false
	for _, aws := range programs(t, "aws", "--version") {
		s := newS3(t)
		dir, env := home(t, s.URL)
		credentials := filepath.Join(dir, "credentials")
		text := strings.NewReplacer("cloud.ca\naws", "us-east-1\naws", "****", "key", "https://objects.cloud.ca", s.URL).Replace(sample)
		if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		head := func() error {
			cmd := exec.Command(aws, "s3api", "head-bucket", "--bucket", "bucket", "--endpoint-url", s.URL)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: %w: %s", aws, err, out)
			}
			return err
		}
		failed = head() != nil || failed
		if changed, err := mendSample(credentials); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if err := head(); err != nil {
			t.Error(err)
		}
	}
	if !failed {
		t.Error("no AWS CLI fails on the sample any more: there is nothing to mend")
	}
}

// TestConfigparser: parseINI reads what Python reads. It may be stricter.
func TestConfigparser(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewSource(1))
	pieces := []string{"\n", "\n", "\n", "\r\n", " ", "  ", "\t", "[a]", "[profile b]", "[", "]", "a", "b = c", "d: e", "=", "s3 =", "x = y", "# c", "; d", "é", "\u00a0", "%", "\""}
	var texts []string
	for i := range 2000 {
		text := "[top]\n"
		for range random.Intn(20) {
			text += pieces[random.Intn(len(pieces))]
		}
		texts = append(texts, text)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(programs(t, "python3", "-c", "import configparser")[0], "-c", `
import configparser, json, sys
for i in range(2000):
    p = configparser.RawConfigParser()
    try:
        p.read([sys.argv[1] + "/" + str(i)], encoding="utf-8")
        print(json.dumps({s: {k: [l for l in p.get(s, k).split("\n") if l] for k in p.options(s)} for s in p.sections()}))
    except configparser.Error:
        print("null")`, dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := 0
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var want map[string]map[string][]string
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		f, err := parseINI("", texts[i])
		if want == nil || err != nil {
			if want != nil {
				t.Errorf("%q: %v", texts[i], err)
			}
			continue
		}
		read++
		got := map[string]map[string][]string{}
		section, key := "", ""
		for _, l := range f.lines {
			switch l.kind {
			case header:
				section = l.name
				got[section] = map[string][]string{}
			case option:
				key = l.name
				got[section][key] = []string{}
				if l.value != "" {
					got[section][key] = []string{l.value}
				}
			case nested:
				got[section][key] = append(got[section][key], strings.TrimSpace(l.text))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q is read as\n%v, by Python as\n%v", texts[i], got, want)
		}
	}
	if read < 200 {
		t.Errorf("only %d of the texts say anything", read)
	}
}
