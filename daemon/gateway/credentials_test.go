package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// TestCredentialEndpoint: it gives gateway keys for a token, in the form that
// every SDK reads, and says no in both spellings.
func TestCredentialEndpoint(t *testing.T) {
	ended := Holder{1 << 22, 2}
	b := benchFor(t, newFakeS3(t, httptest.NewServer), func(o *Options) { o.Alive = func(h Holder) bool { return h != ended } })
	now := time.Now()
	program := Holder{1 << 22, 1<<60 + 1}
	mint := func(epoch uint64, life time.Duration) string {
		return MintToken(b.key, b.binding.ID, epoch, now.Add(life), program).Reveal()
	}
	ask := func(method, token string, change func(*http.Request)) (int, map[string]string) {
		t.Helper()
		r, err := http.NewRequest(method, b.url+CredentialPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		if change != nil {
			change(r)
		}
		status, header, body := b.do(r)
		var doc map[string]string
		if header.Get("Content-Type") == "application/json" {
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
		}
		return status, doc
	}
	for _, prefix := range []string{"", "Bearer "} {
		status, doc := ask("GET", prefix+mint(1, 12*time.Hour), nil)
		if status != 200 || doc["AccessKeyId"] == "" || doc["SecretAccessKey"] == "" || doc["Token"] == "" {
			t.Fatalf("%d %v", status, doc)
		}
		until, err := time.Parse(time.RFC3339, doc["Expiration"])
		if err != nil || until.Before(now.Add(59*time.Minute)) || until.After(now.Add(61*time.Minute)) {
			t.Errorf("it lives until %s, %v", doc["Expiration"], err)
		}
		// It works, with the token that came with it.
		b.pair = account.KeyPair{AccessKeyID: doc["AccessKeyId"], Secret: account.NewSecret(doc["SecretAccessKey"])}
		b.want("put", b.request("PUT", "/bucket/key", []byte("x"), func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", doc["Token"]) }), 200, "")
	}
	if r := b.record(1); r.Class != ClassCredentials || r.Environment != b.binding.ID || r.Key == "" || r.Status != 200 {
		t.Errorf("recorded as %+v", r)
	}
	if r := b.record(2); r.Key != b.record(1).Key {
		t.Errorf("the key that was given and the one that was used differ: %+v", r)
	}
	if _, doc := ask("GET", mint(1, 10*time.Minute), nil); doc["Expiration"] != now.Add(10*time.Minute).UTC().Format(time.RFC3339) {
		t.Errorf("the key outlives its token: %s", doc["Expiration"])
	}
	good := mint(1, time.Hour)
	for _, c := range []struct {
		what, method, token string
		change              func(*http.Request)
		status              int
		code                string
	}{
		{"no token", "GET", "", nil, 403, "AccessDenied"},
		{"another word", "GET", "what", nil, 403, "AccessDenied"},
		{"a key for a token", "GET", b.pair.AccessKeyID, nil, 403, "AccessDenied"},
		{"a token without its end", "GET", good[:len(good)-1], nil, 403, "AccessDenied"},
		{"a changed token", "GET", good[:len(good)-9] + "AAAAAAAAA", nil, 403, "AccessDenied"},
		{"a token of another program", "GET", tokenPrefix + moved(good, 35), nil, 403, "AccessDenied"},
		{"a token of a later program", "GET", tokenPrefix + moved(good, 41), nil, 403, "AccessDenied"},
		{"a token of another environment's", "GET", tokenPrefix + moved(good, 3), nil, 403, "InvalidAccessKeyId"},
		{"a revoked token", "GET", mint(0, time.Hour), nil, 403, "AccessDenied"},
		{"an expired token", "GET", mint(1, -time.Second), nil, 403, "ExpiredToken"},
		{"of a program that has ended", "GET", MintToken(b.key, b.binding.ID, 1, now.Add(time.Hour), ended).Reveal(), nil, 403, "AccessDenied"},
		{"of a gone environment", "GET", MintToken(b.key, account.NewID(), 1, now.Add(time.Hour), program).Reveal(), nil, 403, "InvalidAccessKeyId"},
		{"a POST", "POST", good, nil, 405, "MethodNotAllowed"},
		{"a web page", "GET", good, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403, ""},
		{"another host", "GET", good, func(r *http.Request) { r.Host = "evil.example" }, 403, ""},
	} {
		status, doc := ask(c.method, c.token, c.change)
		if status != c.status || c.code != "" && (doc["code"] != c.code || doc["Code"] != c.code || doc["message"] == "" || doc["Message"] == "") {
			t.Errorf("%s: %d %v, want %d %s", c.what, status, doc, c.status, c.code)
		}
	}
	b.g.o.Own = func(client, ours netip.AddrPort) bool {
		if ours.String() != b.host || client.Addr() != ours.Addr() || client.Port() == ours.Port() {
			t.Errorf("asked about %s and %s", client, ours)
		}
		return false
	}
	if status, doc := ask("GET", good, nil); status != 403 || doc["AccessKeyId"] != "" {
		t.Errorf("another user's: %d %v", status, doc)
	}
	b.g.o.Own = func(_, _ netip.AddrPort) bool {
		t.Error("asked whose a connection without a good token is")
		return true
	}
	ask("GET", good[:len(good)-9]+"AAAAAAAAA", nil)
	b.g.o.Own = func(_, _ netip.AddrPort) bool { return false }
	b.want("S3 of another user's", b.request("GET", "/bucket/key", nil, nil), 200, "")
	b.g.o.Own = func(_, _ netip.AddrPort) bool { return true }
	b.set(func() { b.binding.Refused = &Refusal{Message: "refused"} })
	if status, doc := ask("GET", good, nil); status != 403 || doc["message"] != "refused" {
		t.Errorf("refused: %d %v", status, doc)
	}
	b.set(func() { b.binding.Refused = &Refusal{Message: "there is none just now", Passing: true} })
	if status, doc := ask("GET", good, nil); status != 200 || doc["AccessKeyId"] == "" {
		t.Errorf("refused for a while: %d %v", status, doc)
	}
	b.set(func() { b.binding.Refused = nil })
	b.set(func() { b.bindErr = errors.New("what") })
	if status, _ := ask("GET", good, nil); status != 503 {
		t.Errorf("failing: %d", status)
	}
	b.set(func() { b.key = nil })
	if status, doc := ask("GET", good, nil); status != 503 || !strings.Contains(doc["message"], "ccactl unlock") {
		t.Errorf("locked: %d %v", status, doc)
	}
	// A token opens nothing else, and a key not this.
	b.set(func() { b.key, b.bindErr = []byte("the vault's key"), nil })
	b.pair = account.KeyPair{AccessKeyID: good, Secret: account.NewSecret("x")}
	b.want("a token as a key", b.request("GET", "/bucket/key", nil, nil), 403, "InvalidAccessKeyId")
}

// moved is a token's text with one byte of what it says changed.
func moved(token string, at int) string {
	b, err := letters.DecodeString(strings.TrimPrefix(token, tokenPrefix))
	if err != nil {
		panic(err)
	}
	b[at]++
	return letters.EncodeToString(b)
}
