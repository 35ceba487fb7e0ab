package configure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var dev = AWSProfile{
	Name:              "dev",
	CredentialProcess: "/usr/bin/ccactl credential-process --env dev",
	Region:            "us-east-1",
	Endpoint:          "http://127.0.0.1:8080",
}

const devProfile = `[profile dev]
credential_process = /usr/bin/ccactl credential-process --env dev
region = us-east-1
endpoint_url = http://127.0.0.1:8080
services = dev
request_checksum_calculation = when_required
response_checksum_validation = when_required
s3 =
  signature_version = s3v4
  addressing_style = path

[services dev]
s3 =
  endpoint_url = http://127.0.0.1:8080
`

// writeAWS edits a file.
func writeAWS(path string, profiles []AWSProfile) (bool, error) {
	var names []string
	changed, err := Edit(path, func(text string) (after string, err error) {
		after, names, err = AWS(path, text, profiles)
		return after, err
	})
	if err == nil && changed != (len(names) > 0) {
		err = fmt.Errorf("changed is %v, of %v", changed, names)
	}
	return changed, err
}

func mendSample(path string) (bool, error) {
	return Edit(path, func(text string) (string, error) { return MendSample(path, text) })
}

// run runs f on a file with that text and returns what it then holds. A second
// run must change nothing.
func run(t testing.TB, text string, f func(path string) (bool, error)) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	changed, err := f(path)
	data, readErr := os.ReadFile(path)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if changed != (string(data) != text) {
		t.Errorf("changed is %v", changed)
	}
	if err == nil {
		if again, err := f(path); again || err != nil {
			t.Errorf("the second run: %v, %v", again, err)
		}
	} else if changed {
		t.Errorf("changed in spite of %v", err)
	}
	return string(data), err
}

func TestAWS(t *testing.T) {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	odd := "# mine ; and = this\n\n[default]\nregion=ca\n\toutput  =   json\n ; odd\n[ profile x ]\ns3 =\n\n  # in it\n  a = b\n[plugins]\nendpoint: awscli_plugin_endpoint\n# the end\n"
	old := `[profile dev]   # by hand
  region   =   old   
  # kept
  Credential_Process=/old/ccactl credential-process --env dev --direct
  output = json
  s3 =
      # kept, too
      addressing_style  = virtual
      max_concurrent_requests = 5

# about other
  [profile other]
region = x
[services dev]
dynamodb =
  endpoint_url = http://d
s3 =

    endpoint_url = http://old
`
	updated := `[profile dev]   # by hand
  region   =   us-east-1   
  # kept
  Credential_Process=/usr/bin/ccactl credential-process --env dev
  output = json
  s3 =
      # kept, too
      addressing_style  = path
      max_concurrent_requests = 5
      signature_version = s3v4
  endpoint_url = http://127.0.0.1:8080
  services = dev
  request_checksum_calculation = when_required
  response_checksum_validation = when_required

# about other
  [profile other]
region = x
[services dev]
dynamodb =
  endpoint_url = http://d
s3 =

    endpoint_url = http://127.0.0.1:8080
`
	for name, c := range map[string]struct{ before, after string }{
		"empty":            {"", devProfile},
		"bare":             {"[default]\nregion = x\n", "[default]\nregion = x\n\n" + devProfile},
		"odd":              {odd, odd + "\n" + devProfile},
		"no final newline": {"[default]\nregion = x", "[default]\nregion = x\n\n" + devProfile},
		"CRLF":             {crlf("[default]\nregion = x\n"), crlf("[default]\nregion = x\n\n" + devProfile)},
		"CRLF unfinished":  {"[default]\r\nregion = x", crlf("[default]\nregion = x\n\n" + devProfile)},
		"BOM":              {bom + "[default]\n", bom + "[default]\n\n" + devProfile},
		"only a BOM":       {bom, bom + devProfile},
		"blank end":        {"[default]\n\n\n", "[default]\n\n\n" + devProfile},
		"ours":             {devProfile, devProfile},
		"ours, old":        {old, updated},
		"ours, CRLF":       {crlf(old), crlf(updated)},
		"quoted":           {strings.Replace(devProfile, "profile dev", `profile "dev"`, 1), strings.Replace(devProfile, "profile dev", `profile "dev"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, c.before, func(path string) (bool, error) { return writeAWS(path, []AWSProfile{dev}) })
			if err != nil || got != c.after {
				t.Errorf("%v, got:\n%q\nwant:\n%q", err, got, c.after)
			}
		})
	}
}

func TestAWSDefault(t *testing.T) {
	p := dev
	p.Name = "default"
	got, err := run(t, "[profile defaults]\nregion = x\n", func(path string) (bool, error) { return writeAWS(path, []AWSProfile{p, dev}) })
	if want := "[profile defaults]\nregion = x\n\n" + strings.NewReplacer("[profile dev]", "[default]", "services dev", "services default", "services = dev", "services = default").
		Replace(devProfile) + "\n" + devProfile; err != nil || got != want {
		t.Errorf("%v, got:\n%s", err, got)
	}
	var exists *ExistsError
	for _, header := range []string{"[default]", "[profile default]"} {
		if _, err := run(t, header+"\nregion = x\n", func(path string) (bool, error) { return writeAWS(path, []AWSProfile{p}) }); !errors.As(err, &exists) {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestAWSRefuses(t *testing.T) {
	for text, line := range map[string]int{
		"# x\n[profile dev]\nregion = x\n":                                       2,
		"[profile dev]\ncredential_process = /opt/other --env dev\n":             1,
		"[profile dev]\ncredential_process = /opt/my-ccactl-wrapper --env dev\n": 1,
		"[profile \"dev\"]\n":           1,
		"\n\n[services dev]\ns3 =\n":    3,
		"[default]\n  [profile dev]\n":  2,
		"[default]\n[profile\tdev] # x": 2,
	} {
		got, err := run(t, text, func(path string) (bool, error) { return writeAWS(path, []AWSProfile{dev}) })
		var exists *ExistsError
		if !errors.As(err, &exists) || exists.Line != line || got != text {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, say := range map[string]string{
		"region = x\n":               ":1: neither",
		"[default]\nregion\n":        ":2: neither",
		"[default]\n= x\n":           ":2: a setting without a name",
		"[default]\nregion = \x00\n": ":2: a control character",
		"[default]\rregion = x\n":    ":1: a control character",
		"[default]\nregion = \xff\n": "is not UTF-8",
		"[profile dev]\ncredential_process = ccactl credential-process --env dev\n[profile dev]\n":           ":3: the section [profile dev] of line 1 again",
		"[profile dev]\ncredential_process = ccactl credential-process --env dev\nregion = x\nregion = y\n":  ": region is twice in [profile dev]",
		"[profile dev]\ncredential_process = ccactl credential-process --env dev\nregion =\n  x\n":           ": further lines below region in [profile dev]",
		"[profile dev]\ncredential_process = ccactl credential-process --env dev\ns3 = x\n":                  ": a value of s3 in [profile dev]",
		"[profile dev]\ncredential_process = ccactl credential-process --env dev\n[services dev]\ns3 = no\n": ": a value of s3 in [services dev]",
		strings.Repeat("#", sizeLimit+1): "is larger than",
	} {
		if got, err := run(t, text, func(path string) (bool, error) { return writeAWS(path, []AWSProfile{dev}) }); err == nil || !strings.Contains(err.Error(), say) || got != text {
			t.Errorf("%.80q: %v, want %q", text, err, say)
		}
	}
	for _, p := range []AWSProfile{
		{}, {Name: "a b", CredentialProcess: dev.CredentialProcess, Region: "r", Endpoint: "e"},
		{Name: "dev", CredentialProcess: "/bin/sh", Region: "r", Endpoint: "e"},
		{Name: "dev", CredentialProcess: dev.CredentialProcess, Region: "r\n[x]", Endpoint: "e"},
		{Name: "dev", CredentialProcess: dev.CredentialProcess, Region: " r", Endpoint: "e"},
		{Name: "dev", CredentialProcess: dev.CredentialProcess, Region: "r"},
		{Name: "dev]\n", CredentialProcess: dev.CredentialProcess, Region: "r", Endpoint: "e"},
	} {
		if _, err := run(t, "", func(path string) (bool, error) { return writeAWS(path, []AWSProfile{dev, p}) }); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestCredentialProcess(t *testing.T) {
	for _, c := range []struct {
		ccactl, want string
		flags        []string
	}{
		{"/usr/bin/ccactl", "/usr/bin/ccactl credential-process --env dev", nil},
		{"/usr/bin/ccactl", "/usr/bin/ccactl credential-process --env dev --gateway", []string{"--gateway"}},
		{"/home/a b/it's/ccactl", `'/home/a b/it'\''s/ccactl' credential-process --env dev`, nil},
		{"/$HOME/ccactl", `'/$HOME/ccactl' credential-process --env dev`, nil},
	} {
		got := CredentialProcess(c.ccactl, "dev", c.flags...)
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		if !ourProcess(got) {
			t.Errorf("%s is not known as ours", got)
		}
	}
}

// sample is what cloud.ca's documentation tells its users to write.
const sample = `[default]
region = cloud.ca
aws_access_key_id = 076d7a255a4236965ba97b4f91363f2
aws_secret_access_key = ********************
s3 =
endpoint_url = https://objects.cloud.ca
`

// What a profile of ours says is read as it was written, whatever the path.
func TestProfilesReadBack(t *testing.T) {
	for _, ccactl := range []string{"/usr/bin/ccactl", "/home/h é/bin/ccactl", `/home/h'é "x" \y/bin/ccactl`} {
		path := filepath.Join(t.TempDir(), "config")
		p := AWSProfile{Name: "dev", CredentialProcess: CredentialProcess(ccactl, "dev", "--gateway"), Region: "us-east-1", Endpoint: "http://127.0.0.1:1"}
		if _, err := Edit(path, func(text string) (string, error) {
			after, _, err := AWS(path, text, []AWSProfile{p})
			return after, err
		}); err != nil {
			t.Fatal(err)
		}
		ours, err := Profiles(path)
		if want := (Ours{Program: ccactl, Environment: "dev", Endpoint: p.Endpoint, Region: p.Region, Gateway: true}); err != nil || ours["dev"] != want {
			t.Errorf("%+v, %v; want %+v", ours["dev"], err, want)
		}
	}
}

func TestConflicts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	if all, err := Conflicts(path, "default"); err != nil || all != nil {
		t.Errorf("without a file: %v, %v", all, err)
	}
	if err := os.WriteFile(path, []byte("[dev]\n# x\nAWS_SECRET_ACCESS_KEY = x\n"+sample), 0o600); err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[string][]string{
		"default": {":5: region of", ":6: aws_access_key_id of", ":7: aws_secret_access_key of", ":8: the empty s3", ":9: endpoint_url of"},
		"dev":     {":3: aws_secret_access_key of profile dev is used instead of the keys that ccad serves"},
		"other":   {},
	} {
		all, err := Conflicts(path, profile)
		if err != nil || len(all) != len(want) {
			t.Errorf("%s: %v, %v", profile, all, err)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(all[i].String(), path+want[i]) {
				t.Errorf("%s: %v, want %s", profile, all[i], want[i])
			}
			if strings.Contains(all[i].String(), "076d") {
				t.Errorf("a warning shows a key: %v", all[i])
			}
		}
	}
}

// What would win over a profile of ours becomes a comment, once no secret is in
// its section; what such a profile does not say stays.
func TestYield(t *testing.T) {
	yielded := "[default]\n# region = cloud.ca\n# aws_access_key_id = 076d7a255a4236965ba97b4f91363f2\n# aws_secret_access_key = ********************\n# s3 =\n# endpoint_url = https://objects.cloud.ca\n"
	keyed := strings.ReplaceAll(sample, "********************", "hunter2")
	for before, after := range map[string]string{
		"":                                  "",
		sample:                              yielded,
		yielded:                             yielded,
		keyed:                               keyed,
		"[x]\nregion = cloud.ca\n" + sample: "[x]\nregion = cloud.ca\n" + yielded,
		bom + "[default]\r\n\toutput = json\r\n\tregion=a\r\n":                                         bom + "[default]\r\n\toutput = json\r\n\t# region=a\r\n",
		"[default]\ns3 =\n  # mine\n  addressing_style = path\n\n[dev]\nregion = x\n[other]\nregion=y": "[default]\n# s3 =\n  # mine\n  # addressing_style = path\n\n[dev]\n# region = x\n[other]\nregion=y",
	} {
		got, err := run(t, before, func(path string) (bool, error) {
			return Edit(path, func(text string) (string, error) {
				after, lines, err := Yield(path, text, []string{"dev", "default", "gone"})
				if (len(lines) > 0) != (after != text) {
					t.Errorf("%q: yielded %v", text, lines)
				}
				return after, err
			})
		})
		if err != nil || got != after {
			t.Errorf("%q: %q, %v", before, got, err)
		}
	}
	if _, lines, err := Yield("", sample, []string{"default"}); err != nil || !slices.Equal(lines, []int{2, 3, 4, 5, 6}) {
		t.Errorf("yielded %v, %v", lines, err)
	}
}

func TestMendSample(t *testing.T) {
	mended := strings.Replace(sample, "s3 =\n", "", 1)
	for before, after := range map[string]string{
		"":                                   "",
		sample:                               mended,
		mended:                               mended,
		"# x\n" + sample + "[x]\ns3=\n\n# y": "# x\n" + mended + "[x]\n\n# y",
		"[x]\ns3 =\n  a = b\n":               "[x]\ns3 =\n  a = b\n",
		"[x]\ns3 = y\n":                      "[x]\ns3 = y\n",
		"[x]\r\nS3 :\r\n":                    "[x]\r\n",
	} {
		if got, err := run(t, before, mendSample); err != nil || got != after {
			t.Errorf("%q: %q, %v", before, got, err)
		}
	}
}

// outside returns what is not ours in an INI file, as it is read.
func outside(f *ini) (all []string) {
	in := false
	for _, l := range f.lines {
		if l.kind == header {
			in = named("profile", "dev")(l.name) || named("services", "dev")(l.name)
		}
		if !in && strings.TrimSpace(l.text) != "" {
			all = append(all, strings.TrimRight(l.text, "\r\n"))
		}
	}
	return all
}

func FuzzAWS(f *testing.F) {
	for _, seed := range []string{"", sample, devProfile, "[default]\nregion=x", "[a]\r\nb: c\r\n  d = e\r\n", "[profile dev]\ncredential_process = ccactl credential-process --env dev\n s3 =\n  x\n   [b]\n[services dev]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if legible("", text) != nil {
			return
		}
		got, _, err := AWS("", text, []AWSProfile{dev})
		if err != nil {
			return
		}
		if again, changed, err := AWS("", got, []AWSProfile{dev}); again != got || changed != nil || err != nil {
			t.Fatalf("the second run makes %q of %q, %v", again, got, err)
		}
		before, err := parseINI("", text)
		if err != nil {
			t.Fatal(err)
		}
		after, err := parseINI("", got)
		if err != nil {
			t.Fatal(err)
		}
		// Lines of the file are there still, in their order.
		rest := after.lines
		for _, l := range before.lines {
			if l.kind != empty {
				continue
			}
			for len(rest) > 0 && strings.TrimRight(rest[0].text, "\r\n") != strings.TrimRight(l.text, "\r\n") {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("the line %q is gone", l.text)
			}
		}
		if b, a := outside(before), outside(after); strings.Join(a, "\n") != strings.Join(b, "\n") {
			t.Fatalf("outside changed:\n%q\n%q", b, a)
		}
		head, err := after.find(named("profile", "dev"))
		if err != nil {
			t.Fatal(err)
		}
		if region, err := after.value(head, "region"); err != nil || region != dev.Region {
			t.Fatalf("the region is %q, %v", region, err)
		}
	})
}
