package practice_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cloud-ca/ccad/test/practice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a cloud for a test, without keeping connections to it.
func start(t *testing.T, o practice.Options) (*practice.Cloud, *http.Client) {
	t.Helper()
	c, err := practice.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(c.Close)
	return c, client
}

// auth asks for a token.
func auth(ctx context.Context, client *http.Client, c *practice.Cloud, password string) (*http.Response, error) {
	domain := map[string]string{"id": "default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": c.User.Name, "domain": domain, "password": password}}},
		"scope": map[string]any{"project": map[string]any{"name": "dev-ccontini", "domain": domain}}}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", c.AuthURL+"/auth/tokens", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(readAll(resp)))
	return resp, nil
}

func readAll(resp *http.Response) []byte {
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return data
}

// status is auth where an answer is expected.
func status(t *testing.T, client *http.Client, c *practice.Cloud, password string) int {
	t.Helper()
	resp, err := auth(t.Context(), client, c, password)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const issue = "POST /v3/auth/tokens"

func TestFaults(t *testing.T) {
	c, client := start(t, practice.Options{})

	c.Fail(practice.Limited(issue, "7"))
	resp, err := auth(t.Context(), client, c, "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "limited", resp.StatusCode, 429)
	want(t, "Retry-After", resp.Header.Get("Retry-After"), "7")
	c.Heal()

	c.Fail(practice.Fault{Route: issue, Skip: 1, Times: 2, Status: 500, Body: "oops"})
	for i, code := range []int{201, 500, 500, 201} {
		if got := status(t, client, c, "hunter2"); got != code {
			t.Errorf("request %d: %d, want %d", i, got, code)
		}
	}

	c.Fail(practice.Fault{Route: "POST *", Times: 1, Break: practice.Reset})
	if _, err := auth(t.Context(), client, c, "hunter2"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	c.Fail(practice.Fault{Times: 1, Break: practice.Cut})
	if _, err := auth(t.Context(), client, c, "hunter2"); !errors.Is(err, io.EOF) {
		t.Errorf("cut: %v", err)
	}
	c.Fail(practice.Fault{Route: issue, Times: 1, Break: practice.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := auth(ctx, client, c, "hunter2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	c.Fail(practice.Fault{Route: issue, Times: 1, Delay: 30 * time.Millisecond})
	asked := time.Now()
	want(t, "delayed", status(t, client, c, "hunter2"), 201)
	if took := time.Since(asked); took < 30*time.Millisecond {
		t.Errorf("a delayed answer took %v", took)
	}
	c.Fail(practice.Garbage(issue))
	if resp, err = auth(t.Context(), client, c, "hunter2"); err != nil || resp.StatusCode != 200 || json.Valid(readAll(resp)) {
		t.Errorf("garbage: %v, %v", resp, err)
	}
	c.Heal()

	want(t, "a good one at last", status(t, client, c, "hunter2"), 201)
	accepted, refused := c.Passwords(c.User.Name)
	want(t, "accepted", accepted, 4)
	want(t, "refused", refused, 0)
	want(t, "count of all", c.Count("*"), 11)
}

// TestAfterWork loses answers of work that is done.
func TestAfterWork(t *testing.T) {
	c, client := start(t, practice.Options{})
	change := func() (*http.Response, error) {
		return client.Post(c.AuthURL+"/users/"+c.User.ID+"/password", "application/json",
			strings.NewReader(`{"user": {"original_password": "hunter2", "password": "second"}}`))
	}
	c.Fail(practice.Fault{Route: "POST /v3/users/{user}/password", Times: 1, Break: practice.Cut, AfterWork: true})
	if _, err := change(); !errors.Is(err, io.EOF) {
		t.Errorf("lost answer: %v", err)
	}
	want(t, "the new password", status(t, client, c, "second"), 201)
	want(t, "the old one", status(t, client, c, "hunter2"), 401)
	c.Fail(practice.Fault{Route: issue, Times: 1, Break: practice.Torn})
	if resp, err := auth(t.Context(), client, c, "second"); err == nil && int64(len(readAll(resp))) >= resp.ContentLength {
		t.Errorf("torn, and all %d bytes came", resp.ContentLength)
	} else if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("torn: %v", err)
	}
	_, refused := c.Passwords(c.User.Name)
	want(t, "refused", refused, 1)
}

// TestSameSecond is the rule that a token issued in the second of a password
// change is born revoked, with a clock that the test moves.
func TestSameSecond(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 900e6, time.UTC)
	c, client := start(t, practice.Options{Now: func() time.Time { return now }})
	valid := func() int {
		t.Helper()
		resp, err := auth(t.Context(), client, c, "second")
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest("GET", c.AuthURL+"/auth/projects", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", resp.Header.Get("X-Subject-Token"))
		if resp, err = client.Do(req); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	c.SetPassword(c.User.Name, "second")
	want(t, "in the same second", valid(), 401)
	now = now.Add(100 * time.Millisecond)
	want(t, "in the next", valid(), 200)
}

func TestLockout(t *testing.T) {
	now := time.Now()
	c, client := start(t, practice.Options{Now: func() time.Time { return now }})
	c.SetPolicy(practice.Policy{LockoutAttempts: 2, LockoutDuration: time.Minute})
	for i, step := range []struct {
		password string
		code     int
	}{{"wrong", 401}, {"hunter2", 201}, {"wrong", 401}, {"wrong", 401}, {"hunter2", 401}} {
		if got := status(t, client, c, step.password); got != step.code {
			t.Errorf("step %d: %d, want %d", i, got, step.code)
		}
	}
	_, refused := c.Passwords(c.User.Name)
	want(t, "refused", refused, 4)
	now = now.Add(time.Minute)
	want(t, "after the lockout", status(t, client, c, "hunter2"), 201)
}

func TestReset(t *testing.T) {
	c, client := start(t, practice.Options{})
	dev := c.User.Projects["dev-ccontini"]
	old := c.CreateKey(c.User.Name, dev)
	keys := c.Reset(c.User.Name, "third")
	want(t, "keys", len(keys), 2)
	for _, k := range c.Keys(c.User.Name) {
		if k.Access == old.Access {
			t.Error("the old key is left")
		}
	}
	want(t, "the new password", status(t, client, c, "third"), 201)
	c.Enable(c.User.Name, false)
	want(t, "disabled", status(t, client, c, "third"), 401)
	c.Enable(c.User.Name, true)
	c.LeaveProject(c.User.Name, dev)
	want(t, "no member any more", status(t, client, c, "third"), 401)
}

func TestTLS(t *testing.T) {
	c, client := start(t, practice.Options{TLS: true})
	want(t, "with its authority", status(t, client, c, "hunter2"), 201)
	if _, err := auth(t.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, c, "hunter2"); err == nil {
		t.Error("an unknown authority was accepted")
	}
	other, client := start(t, practice.Options{TLS: true, Host: "auth.example"})
	var wrong x509.HostnameError
	if _, err := auth(t.Context(), client, other, "hunter2"); !errors.As(err, &wrong) {
		t.Errorf("another host's certificate: %v", err)
	}
	want(t, "nothing came through", other.Count(issue), 0)
}

// TestClose ends requests that hang.
func TestClose(t *testing.T) {
	c, client := start(t, practice.Options{})
	c.Fail(practice.Fault{Route: issue, Break: practice.Hang, AfterWork: true})
	ended := make(chan error)
	go func() {
		_, err := auth(context.Background(), client, c, "hunter2")
		ended <- err
	}()
	for accepted := 0; accepted == 0; accepted, _ = c.Passwords(c.User.Name) {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if err := <-ended; err == nil {
		t.Error("a request outlived the cloud")
	}
}
