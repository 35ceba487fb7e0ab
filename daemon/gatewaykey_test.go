package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// ported waits until the gateway has its port: while a daemon starts anew another
// test may have it for a moment.
func (w *world) ported() {
	w.Helper()
	w.until("the gateway has its port", func() bool { return w.status().Daemon.Gateway != "" })
}

// gatewayKey fetches a gateway key as an AWS SDK does.
func (w *world) gatewayKey(name string) (key aws.Credentials) {
	w.Helper()
	w.ported()
	body, _, err := w.get("/v1/environments/" + name + "/views/credential-process?gateway=true")
	if err != nil {
		w.Fatal(err)
	}
	if err := json.Unmarshal(body, &key); err != nil {
		w.Fatal(err)
	}
	return key
}

// signed is a request to the gateway under one of its names.
func (w *world) signed(host, method, path string, payload []byte, key aws.Credentials) *http.Request {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.status().Daemon.Gateway+path, bytes.NewReader(payload))
	if err != nil {
		w.Fatal(err)
	}
	sum := sha256.Sum256(payload)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	r.Host = host
	at := time.Now()
	if w.now != nil {
		at = w.now()
	}
	if err := v4.NewSigner().SignHTTP(w.Context(), key, r, hash, "s3", "us-east-1", at); err != nil {
		w.Fatal(err)
	}
	return r
}

// s3 makes a request through the gateway; its answer's status, and its body.
func (w *world) s3(method, path string, payload []byte, key aws.Credentials) (int, []byte) {
	w.Helper()
	w.ported()
	answer, err := http.DefaultClient.Do(w.signed("", method, path, payload, key))
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.Fatal(err)
	}
	return answer.StatusCode, body
}

// buckets lists the buckets through the gateway.
func (w *world) buckets(key aws.Credentials) int {
	w.Helper()
	status, _ := w.s3("GET", "/", nil, key)
	return status
}

// A gateway key dies with what it was made for.
func TestGatewayKeysDie(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	for _, c := range []struct {
		what string
		act  func()
	}{
		{"revoked", func() { w.do("POST", "/v1/environments/dev/revoke", nil, nil) }},
		{"bound to another endpoint", func() {
			r := w.addRequest("dev", "dev-ccontini")
			r.S3Endpoint = w.cloud.S3URLUS
			w.do("POST", "/v1/environments", r, nil)
		}},
		{"bound to another region", func() {
			r := w.addRequest("dev", "dev-ccontini")
			r.S3Endpoint, r.S3Region = w.cloud.S3URLUS, "eu-west-1"
			w.do("POST", "/v1/environments", r, nil)
		}},
		{"removed", func() { w.do("DELETE", "/v1/environments/dev", nil, nil) }},
	} {
		key := w.gatewayKey("dev")
		if status := w.buckets(key); status != http.StatusOK {
			t.Fatalf("before it was %s: %d", c.what, status)
		}
		c.act()
		if status := w.buckets(key); status != http.StatusForbidden {
			t.Errorf("after the environment was %s: %d", c.what, status)
		}
	}
}

// A gateway key lives on where the binding is the same one: what is said of it
// again, what the cloud says of it, another value of the same user's.
func TestGatewayKeysLiveOn(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.gatewayKey("dev")
	for _, c := range []struct {
		what string
		act  func()
	}{
		{"added again", func() { w.add("dev", "dev-ccontini") }},
		{"added again while the cloud was away", func() {
			w.cloud.Fail(practice.Fault{Route: "*", Status: 503})
			w.add("dev", "dev-ccontini")
			w.cloud.Heal()
		}},
		{"verified", func() { w.do("POST", "/v1/verify", ipc.VerifyRequest{Environments: []string{"dev"}}, nil) }},
		{"given another key by hand", func() {
			next := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
			w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: next.Access, S3Secret: next.Secret}, nil)
		}},
	} {
		c.act()
		if status := w.buckets(key); status != http.StatusOK {
			t.Errorf("after the environment was %s: %d", c.what, status)
		}
	}
}

// Without a user the key pair says whose the environment is: another pair is
// another binding, unless the server has named the same owner for both.
func TestGatewayKeysOfAnOwner(t *testing.T) {
	w := newWorld(t, practice.Options{})
	pair := func(project string) practice.Key {
		return w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects[project])
	}
	first, second := pair("dev-ccontini"), pair("dev-ccontini")
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "alone", S3Endpoint: w.cloud.S3URL, S3Region: practice.Region, S3AccessKey: first.Access, S3Secret: first.Secret}, nil)
	key := w.gatewayKey("alone")
	update := func(k practice.Key, noVerify bool) {
		t.Helper()
		w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "alone", S3AccessKey: k.Access, S3Secret: k.Secret, NoVerify: noVerify}, nil)
	}
	update(second, false)
	if status := w.buckets(key); status != http.StatusOK {
		t.Errorf("after another pair of the same owner: %d", status)
	}
	update(pair("system-ccontini"), true)
	if status := w.buckets(key); status != http.StatusForbidden {
		t.Errorf("after a pair of nobody knows whom: %d", status)
	}
}

// One of keys alone that is given a user and his project is another binding.
func TestGatewayKeysOfAUser(t *testing.T) {
	w := newWorld(t, practice.Options{})
	k := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "alone", S3Endpoint: w.cloud.S3URL, S3Region: practice.Region, S3AccessKey: k.Access, S3Secret: k.Secret}, nil)
	key := w.gatewayKey("alone")
	if status := w.buckets(key); status != http.StatusOK {
		t.Fatalf("before: %d", status)
	}
	w.add("alone", "dev-ccontini")
	if status := w.buckets(key); status != http.StatusForbidden {
		t.Errorf("after it was given a user: %d", status)
	}
	if status := w.buckets(w.gatewayKey("alone")); status != http.StatusOK {
		t.Errorf("a new key: %d", status)
	}
}

// What is removed while the cloud is asked about it stays removed.
func TestRemovedWhileAdopted(t *testing.T) {
	w := newWorld(t, practice.Options{})
	k := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "dev", S3Endpoint: w.cloud.S3URL, S3AccessKey: k.Access, S3Secret: k.Secret}, nil)
	key := w.gatewayKey("dev")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Times: 1, Begun: func() { _ = w.try("DELETE", "/v1/environments/dev", nil, nil) }})
	w.want(w.try("POST", "/v1/environments", w.addRequest("dev", "dev-ccontini"), nil), ipc.CodeUnknown, "dev")
	if status := w.buckets(key); status != http.StatusForbidden {
		t.Errorf("a gateway key of what was removed: %d", status)
	}
}

// A gateway key that was revoked stays so: neither a backup nor an older store
// brings back what it was made for.
func TestRevokedForGood(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	revoked := func() aws.Credentials {
		t.Helper()
		key := w.gatewayKey("dev")
		if status := w.buckets(key); status != http.StatusOK {
			t.Fatalf("before it was revoked: %d", status)
		}
		w.do("POST", "/v1/environments/dev/revoke", nil, nil)
		return key
	}

	key := revoked()
	var backup []byte
	w.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "b"}, &backup)
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	w.do("POST", "/v1/restore", ipc.RestoreRequest{Passphrase: "b", Data: backup}, nil)
	if status := w.buckets(key); status != http.StatusForbidden {
		t.Errorf("after a restore: %d", status)
	}
	if status := w.buckets(w.gatewayKey("dev")); status != http.StatusOK {
		t.Errorf("a new key after a restore: %d", status)
	}

	w.stop()
	store := filepath.Join(w.dir, "data", "store.age")
	old, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	w.start("")
	key = revoked()
	w.stop()
	if err := os.WriteFile(store, old, 0o600); err != nil {
		t.Fatal(err)
	}
	w.start("")
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words, AcceptOlder: true}, nil)
	if status := w.buckets(key); status != http.StatusForbidden {
		t.Errorf("with an older store: %d", status)
	}
	if status := w.buckets(w.gatewayKey("dev")); status != http.StatusOK {
		t.Errorf("a new key with an older store: %d", status)
	}
}

// lists is how often Keystone was asked for a user's S3 keys.
func (w *world) lists() int { return w.cloud.Count("GET /v3/users/{user}/credentials/OS-EC2") }

// regenerate replaces the S3 key of dev's project, as the portal does.
func (w *world) regenerate() {
	user := w.cloud.User
	w.cloud.DeleteKeys(user.Name, user.Projects["dev-ccontini"])
	w.cloud.CreateKey(user.Name, user.Projects["dev-ccontini"])
}

// A key that is replaced is looked for when the server refuses it: as often as
// it is replaced, once for all requests that wait, and not at every request
// while Keystone says that it is as it was.
func TestKeyReplaced(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.gatewayKey("dev")
	for range 3 {
		w.regenerate()
		before := w.lists()
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				if status := w.buckets(key); status != http.StatusOK {
					t.Errorf("after the key was replaced: %d", status)
				}
			})
		}
		clients.Wait()
		if n := w.lists() - before; n != 1 {
			t.Errorf("Keystone was asked %d times about one key", n)
		}
	}
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 403, Body: "<Error><Code>SignatureDoesNotMatch</Code></Error>"})
	before, begun := w.lists(), time.Now()
	for i := 0; i < 50 && time.Since(begun) < 3*time.Second; i++ { // the fifth question comes after 7.5 s
		if status := w.buckets(key); status != http.StatusServiceUnavailable {
			t.Fatalf("while the server refuses a key that Keystone lists: %d", status)
		}
	}
	if n := w.lists() - before; n < 1 || n > 4 {
		t.Errorf("Keystone was asked %d times by 50 requests", n)
	}
	w.cloud.Heal()
	if status := w.buckets(key); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

// Between the end of one key and the beginning of the next a client is told to
// try again, and finds the next one as soon as it is there.
func TestBetweenTwoKeys(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key, user := w.gatewayKey("dev"), w.cloud.User
	w.cloud.DeleteKeys(user.Name, user.Projects["dev-ccontini"])
	for range 3 {
		if status := w.buckets(key); status != http.StatusServiceUnavailable {
			t.Errorf("between two keys: %d", status)
		}
	}
	later := w.gatewayKey("dev") // of a client that starts just now
	w.cloud.CreateKey(user.Name, user.Projects["dev-ccontini"])
	limit := time.Now().Add(time.Minute)
	for w.buckets(key) != http.StatusOK {
		if time.Now().After(limit) {
			t.Fatal("the next key was not found")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if status := w.buckets(later); status != http.StatusOK {
		t.Errorf("with a gateway key from between them: %d", status)
	}
	if s := w.status().Environments[0].S3.State; s != "ok" {
		t.Errorf("the key's state is %s", s)
	}
}

// An expired password is named as what it is, and sent once.
func TestExpiredPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.cloud.ExpirePassword(w.cloud.User.Name)
	var out ipc.Changes
	for range 2 {
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
		if out.Changes[0].Error == nil || out.Changes[0].Error.Code != ipc.CodeRefused {
			t.Fatalf("verify: %+v", out.Changes[0])
		}
	}
	if u := w.status().Users[0]; u.State != "refused" || !strings.Contains(u.Reason, "expired") {
		t.Errorf("state %s, %s", u.State, u.Reason)
	}
}
