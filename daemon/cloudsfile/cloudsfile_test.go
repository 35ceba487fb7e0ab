package cloudsfile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

var devCloud = Cloud{
	Name: "dev", AuthURL: "https://auth.cloud.ca/v3", Username: "system-ccontini-2925", ProjectName: "dev-ccontini",
	UserDomainID: "default", UserDomainName: "Default", ProjectDomainName: "Sales", IdentityAPI: "3",
}

const devEntry = `  dev:
    auth:
      auth_url: https://auth.cloud.ca/v3
      username: system-ccontini-2925
      project_name: dev-ccontini
      user_domain_id: default
      project_domain_name: Sales
    identity_api_version: "3"
`

// write is Write on a file called f. A second run must change nothing.
func write(t testing.TB, text string, clouds ...Cloud) (string, error) {
	t.Helper()
	got, changed, err := Write("f", text, clouds)
	if err != nil {
		if got != "" {
			t.Errorf("an error, and text: %q", got)
		}
		return "", err
	}
	if (len(changed) > 0) != (got != text) {
		t.Errorf("changed are %q", changed)
	}
	if again, changed, err := Write("f", got, clouds); err != nil || again != got || changed != nil {
		t.Errorf("the second run: %v, %s", err, again)
	}
	return got, nil
}

func TestWrite(t *testing.T) {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	odd := `# my clouds
cache: {auth: true}   # odd
clouds:

  # the first
  prod:   # here
      auth:
          password:   'x #y'
      note: |
        block

        # no comment
      regions: [a,
        b]
  # deep

# about the rest
client:
  force_ipv4: true
`
	for name, c := range map[string]struct{ before, after string }{
		"empty":            {"", "clouds:\n" + devEntry},
		"comment":          {"# only this", "# only this\nclouds:\n" + devEntry},
		"document start":   {"---\n", "---\nclouds:\n" + devEntry},
		"only a BOM":       {bom, bom + "clouds:\n" + devEntry},
		"BOM":              {bom + "clouds:\n", bom + "clouds:\n" + devEntry},
		"no clouds":        {"cache:\n  auth: true\n", "cache:\n  auth: true\nclouds:\n" + devEntry},
		"no clouds, end":   {"cache:\n  auth: true\n\n# end\n", "cache:\n  auth: true\nclouds:\n" + devEntry + "\n# end\n"},
		"null clouds":      {"clouds: # none\ncache:\n  auth: true\n", "clouds: # none\n" + devEntry + "cache:\n  auth: true\n"},
		"odd":              {odd, strings.Replace(odd, "        b]\n", "        b]\n"+devEntry, 1)},
		"no final newline": {"clouds:\n  a:\n    auth: {}", "clouds:\n  a:\n    auth: {}\n" + devEntry},
		"no indent":        {"clouds:\n a:\n  auth: {}\n", "clouds:\n a:\n  auth: {}\n" + " dev:\n   auth:\n     auth_url: https://auth.cloud.ca/v3\n     username: system-ccontini-2925\n     project_name: dev-ccontini\n     user_domain_id: default\n     project_domain_name: Sales\n   identity_api_version: \"3\"\n"},
		"CRLF":             {crlf(odd), crlf(strings.Replace(odd, "        b]\n", "        b]\n"+devEntry, 1))},
		"there":            {"clouds:\n" + devEntry, "clouds:\n" + devEntry},
		"there, flow": {
			"clouds: {dev: {auth: {auth_url: https://auth.cloud.ca/v3, username: system-ccontini-2925, project_name: dev-ccontini, user_domain_id: default, project_domain_name: Sales}, identity_api_version: 3}}",
			"clouds: {dev: {auth: {auth_url: https://auth.cloud.ca/v3, username: system-ccontini-2925, project_name: dev-ccontini, user_domain_id: default, project_domain_name: Sales}, identity_api_version: 3}}",
		},
		"in part": {
			"clouds:\n  dev: # mine\n    auth:\n      # kept\n      username:   system-ccontini-2925 # kept\n      project_name: 'dev-ccontini'\n      password: kept\n      user_domain_id:  \"é\"  # kept\n      auth_url: https://auth.cloud.ca/v3\n    verify: false\n",
			"clouds:\n  dev: # mine\n    identity_api_version: \"3\"\n    auth:\n      # kept\n      project_domain_name: Sales\n      username:   system-ccontini-2925 # kept\n      project_name: 'dev-ccontini'\n      password: kept\n      user_domain_id:  default  # kept\n      auth_url: https://auth.cloud.ca/v3\n    verify: false\n",
		},
		"merged": {
			"base: &base\n  auth: &auth\n    auth_url: https://auth.cloud.ca/v3\n    username: system-ccontini-2925\n    project_name: dev-ccontini\n    user_domain_id: default\nclouds:\n  dev:\n    <<: *base\n    auth:\n      <<: *auth\n      project_domain_name: Sales\n",
			"base: &base\n  auth: &auth\n    auth_url: https://auth.cloud.ca/v3\n    username: system-ccontini-2925\n    project_name: dev-ccontini\n    user_domain_id: default\nclouds:\n  dev:\n    identity_api_version: \"3\"\n    <<: *base\n    auth:\n      <<: *auth\n      project_domain_name: Sales\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := write(t, c.before, devCloud)
			if err != nil || got != c.after {
				t.Errorf("%v, got:\n%s\nwant:\n%s", err, got, c.after)
			}
		})
	}
}

func TestQuotes(t *testing.T) {
	c := devCloud
	c.Name, c.ProjectName, c.Username = "123", "yes", "a: b # c"
	c.Region, c.UserDomainID = "12:30:45", `it's "odd"`
	got, err := write(t, "", c, devCloud)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := parseYAML("", got)
	if err != nil {
		t.Fatal(err)
	}
	root, err := decode("", doc)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"auth": map[string]any{
			"auth_url": c.AuthURL, "username": "a: b # c", "project_name": "yes", "user_domain_id": c.UserDomainID, "project_domain_name": "Sales",
		},
		"region_name": "12:30:45", "identity_api_version": "3",
	}
	if entry := root["clouds"].(map[string]any)["123"]; !reflect.DeepEqual(entry, want) {
		t.Errorf("got %v of\n%s", entry, got)
	}
}

func TestRefuses(t *testing.T) {
	for text, line := range map[string]int{
		"clouds:\n  dev: {}\n": 2,
		"# x\nclouds:\n  dev:\n    auth:\n      username: other\n": 3,
		"clouds:\n  dev:\n": 2,
		strings.Replace("clouds:\n"+devEntry, "dev-ccontini", "system-ccontini", 1):                                      2,
		"base: &b\n  auth:\n    username: other\nclouds:\n  dev: *b\n":                                                   5,
		"clouds:\n  dev:\n    auth_type: v3applicationcredential\n    auth:\n      auth_url: https://auth.cloud.ca/v3\n": 2,
	} {
		want := fmt.Sprintf("f:%d: cloud dev is there already, and not from ccactl", line)
		if _, err := write(t, text, devCloud); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, say := range map[string]string{
		"clouds: [":                      ":1: it can't be read",
		"clouds: []\n":                   "clouds is no mapping",
		"clouds: x\n":                    "clouds is no mapping",
		"- clouds\n":                     ":1: it can't be read",
		"clouds: {}\n":                   ":1: a form",
		"{cache: {auth: true}}\n":        ":1: a form",
		"clouds: {a: {auth: {}}}\n":      ":1: a form",
		"hunter2":                        ":1: it can't be read",
		"a:\n  b: *hunter2\n":            "it can't be read",
		"clouds: ~\n":                    ":1: a form",
		"~\n":                            "no safe place",
		"a: 1\n---\nb: 2\n":              "more than one",
		"clouds:\n  a: 1\n  a: 2\n":      ":3: it can't be read",
		"clouds:\n  a: {x: 1,\n}\n":      "no safe place",
		"clouds:\n  a: |+\n    text\n\n": "no safe place",
		"clouds:\n  a: 1\n...\n":         "",
		"clouds: &c\n  a: 1\nb: *c\n":    "no safe place",
		"clouds: \xff":                   "UTF-8",
		"# a\n# b\u2028clouds:\n":        "f:2: a control character",
		"# a\r# b\n":                     "f:1: a control character",
		strings.Replace("clouds:\n"+devEntry, "user_domain_id: default", "user_domain_id: >-\n        other", 1): "a form",
		strings.Replace("clouds:\n"+devEntry, "user_domain_id: default", "user_domain_id: &x other", 1):          "a form",
		strings.Replace("clouds:\n"+devEntry, "user_domain_id: default", "user_domain_id: !!str other", 1):       "a form",
		strings.Replace("clouds:\n"+devEntry, "user_domain_id: default", "user_domain_id: \"a\\x41\"", 1):        "a form",
	} {
		_, err := write(t, text, devCloud)
		if say == "" && err != nil || say != "" && (err == nil || !strings.Contains(err.Error(), say)) {
			t.Errorf("%q: %v, want %q", text, err, say)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows what it read: %v", err)
		}
	}
	for _, c := range []Cloud{{}, {Name: "dev", AuthURL: "x", Username: "u"}, {Name: "dev\nx", AuthURL: "x", Username: "u", ProjectName: "p"}} {
		if _, err := write(t, "", devCloud, c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func FuzzWrite(f *testing.F) {
	for _, seed := range []string{
		"", "clouds:\n" + devEntry, "clouds:\n  a:\n    auth: {}", "# x\r\nclouds:\r\n   a: |\r\n     x\r\n", "? clouds\n: dev:\n    auth: {}\n",
		"clouds:\n- a", "clouds: &a\n  dev: *a", "a: 1\nclouds:\n  <<: {b: 1}\n", "clouds:\n  \"dev\":\n    auth: {username: x}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := write(t, text, devCloud)
		if err != nil {
			return
		}
		// Write itself makes sure that the rest reads as before; here, that no
		// line is gone but those whose value was changed.
		changed, rest := 0, got
		all, _ := lines(text)
		for _, line := range all {
			line = strings.TrimRight(line, "\r\n")
			i := strings.Index(rest, line)
			if i < 0 {
				changed++
				continue
			}
			rest = rest[i+len(line):]
		}
		if changed > 5 {
			t.Fatalf("%d lines of %q are gone in %q", changed, text, got)
		}
	})
}
