package account_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2"
	s := account.NewSecret(value)
	pair := account.KeyPair{AccessKeyID: "ak", Secret: s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "pair", pair, "ptr", &s)
	doc, err := json.Marshal(map[string]any{"s": s, "pair": pair, "ptr": &s})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T%v"} {
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, &s)
		fmt.Fprintf(&out, verb, pair)
		fmt.Fprintf(&out, verb, []account.Secret{s})
	}
	for name, got := range map[string]string{"fmt": out.String(), "slog": log.String(), "json": string(doc)} {
		if strings.Contains(got, value) || strings.Contains(got, fmt.Sprintf("%x", value)) {
			t.Errorf("%s shows the secret: %s", name, got)
		}
		if !strings.Contains(got, "[redacted]") {
			t.Errorf("%s shows no redaction: %s", name, got)
		}
	}
	if s.Reveal() != value {
		t.Error("Reveal lost the value")
	}
	if err := json.Unmarshal([]byte(`"x"`), &s); err == nil {
		t.Error("a secret was decoded implicitly")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"system-ccontini", "system-ccontini", true},
		{"My Project", "my-project", true},
		{"../../etc", "etc", true},
		{"a/b\nc", "a-b-c", true},
		{"", "", false},
		{"---", "", false},
		{strings.Repeat("x", 80), strings.Repeat("x", 63), true},
	} {
		got, ok := account.NameFrom(c.in)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("NameFrom(%q) = %q, %v; want %q, %v", c.in, got, ok, c.want, c.ok)
		}
	}
	for _, bad := range []string{"", "A", ".a", "a/b", "a b", "a\n", "-a", "..", "é", strings.Repeat("x", 64)} {
		if account.ValidName(bad) {
			t.Errorf("ValidName(%q) = true", bad)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct {
		in       string
		insecure bool
		want     string
	}{
		{"https://Auth.cloud.ca/", false, "https://auth.cloud.ca"},
		{"https://auth.cloud.ca/v3", false, "https://auth.cloud.ca/v3"},
		{"http://127.0.0.1:5000/v3", false, "http://127.0.0.1:5000/v3"},
		{"http://[::1]:5000", false, "http://[::1]:5000"},
		{"http://keystone.example", true, "http://keystone.example"},
		{"http://keystone.example", false, ""},
		{"http://127.0.0.1.evil.example", false, ""},
		{"https://u:p@auth.cloud.ca", false, ""},
		{"https://auth.cloud.ca?x=1", false, ""},
		{"ftp://auth.cloud.ca", false, ""},
		{"auth.cloud.ca", false, ""},
		{"", false, ""},
	} {
		got, err := account.ParseEndpoint(c.in, c.insecure)
		if (err == nil) != (c.want != "") || got.URL != c.want {
			t.Errorf("ParseEndpoint(%q) = %q, %v; want %q", c.in, got.URL, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	a := account.Endpoint{URL: "https://auth.cloud.ca"}
	for other, same := range map[account.Endpoint]bool{
		{URL: "https://auth.cloud.ca:443/v3"}:     true,
		{URL: "https://auth.cloud.ca:8443"}:       false,
		{URL: "http://auth.cloud.ca:443"}:         false,
		{URL: "https://auth.cloud.ca", CA: "PEM"}: false,
		{}: false,
	} {
		if a.SameOrigin(other) != same {
			t.Errorf("SameOrigin(%+v) = %v", other, !same)
		}
	}
}

func TestSame(t *testing.T) {
	auth := account.Endpoint{URL: "https://auth.cloud.ca"}
	u := account.User{Name: "u", DomainID: "default", Auth: auth}
	if !u.Same(account.User{Name: "u", DomainName: "Default", Auth: account.Endpoint{URL: auth.URL + "/v3"}}) {
		t.Error("the default domain by id and by name are not the same")
	}
	if u.Same(account.User{Name: "u", DomainName: "other", Auth: auth}) {
		t.Error("another domain is the same user")
	}
}
