package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// This file has what an attacker's review of the lockout guard and of requests
// that cross each other found, once.

func (w *world) importText(name, text string) error {
	var out ipc.Changes
	err := w.try("POST", "/v1/import", ipc.ImportRequest{Name: name, Files: []ipc.File{{Path: "/x/openrc", Data: []byte(text)}}, NoWatch: true}, &out)
	if err == nil && out.Changes[0].Error != nil {
		return out.Changes[0].Error
	}
	return err
}

func (w *world) openrc(password, project, more string) string {
	return fmt.Sprintf("export OS_AUTH_URL=%s\nexport OS_USERNAME=%s\nexport OS_PASSWORD=%s\nexport OS_PROJECT_NAME=%s\nexport OS_IDENTITY_API_VERSION=3\n%s",
		w.cloud.AuthURL, w.cloud.User.Name, password, project, more)
}

// delayed lets one request of a route take its time, and returns a channel that
// closes once it has come.
func (w *world) delayed(route string) (came chan struct{}) {
	came = make(chan struct{})
	w.cloud.Fail(practice.Fault{Route: route, Times: 1, Delay: 700 * time.Millisecond, Begun: func() { close(came) }})
	return came
}

func (w *world) until(what string, is func() bool) {
	w.Helper()
	for limit := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(limit) {
			w.Fatalf("never: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestOneUserHoweverHisDomainIsWritten(t *testing.T) {
	w := newWorld(t, practice.Options{})
	domains := []string{"", "export OS_USER_DOMAIN_ID=default\n", "export OS_USER_DOMAIN_NAME=Default\n", "export OS_USER_DOMAIN_NAME=DEFAULT\n"}
	for _, domain := range domains {
		w.want(w.importText("", w.openrc("wrong", "dev-ccontini", domain)), ipc.CodeRefused, "refused")
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("one wrong password was sent %d times", n)
	}
	var imports sync.WaitGroup
	for i, domain := range domains {
		imports.Go(func() {
			project := []string{"dev-ccontini", "system-ccontini"}[i%2]
			if err := w.importText("", w.openrc(secret, project, domain)); err != nil {
				t.Error(err)
			}
		})
	}
	imports.Wait()
	if s := w.status(); len(s.Users) != 1 || len(s.Environments) != 2 {
		t.Errorf("%d users and %d environments of one user with two", len(s.Users), len(s.Environments))
	}
}

func TestNoVerifyIsSentByAPersonOnly(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.Password, r.NoVerify = "wrong", true
	w.do("POST", "/v1/environments", r, nil)
	for _, query := range []string{"&auth=token", "&auth=application-credential"} {
		_, err := w.view("dev", query)
		w.want(err, ipc.CodeWithheld, "--no-verify")
	}
	w.want(w.try("POST", "/v1/environments/dev/s3-key", nil, nil), ipc.CodeWithheld, "--no-verify")
	w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: "k", S3Secret: "s"}, nil)
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 0 {
		t.Fatalf("it was sent %d times", n)
	}
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if n := w.refusals(); n != 1 || out.Changes[0].Error == nil {
		t.Errorf("verify: %+v; sent %d times", out.Changes[0], n)
	}
}

// What fails is sent once a command, for however many environments of its user.
func TestVerifySendsOnce(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	w.cloud.SetPassword(w.cloud.User.Name, "regenerated")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: http.StatusGatewayTimeout, AfterWork: true})
	before := w.refusals()
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	for _, change := range out.Changes {
		if change.Error == nil {
			t.Errorf("%s: nobody answered, and it is verified", change.Environment)
		}
	}
	if n := w.refusals() - before; n != 1 || len(out.Changes) != 2 {
		t.Errorf("sent %d times for %d environments", n, len(out.Changes))
	}
}

// Refused is refused, whoever asked and by whichever door it would leave.
func TestRefusedIsServedNowhere(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.Password, r.NoVerify = "wrong", true
	w.do("POST", "/v1/environments", r, nil)
	r.NoVerify = false
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeRefused, "refused")
	for range 2 {
		for _, query := range []string{"", "&auth=token", "&client=swift", "&client=rclone"} {
			_, err := w.view("dev", query)
			w.want(err, ipc.CodeRefused, "refused")
		}
		if s := w.status().Users[0].State; s != "refused" {
			t.Errorf("state %s", s)
		}
		w.restart()
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: secret}, nil)
	for _, noVerify := range []bool{false, true} {
		w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "wrong", NoVerify: noVerify}, nil), ipc.CodeRefused, "not sent again")
	}
	if vars, err := w.view("dev", ""); err != nil || vars["OS_PASSWORD"] != secret {
		t.Errorf("what works is not served: %v", err)
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

func TestTwo503sStopNothing(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.restart() // no token is cached
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Times: 3, Status: 503})
	for range 3 {
		if _, err := w.view("dev", "&auth=token"); err == nil {
			t.Fatal("the fault was not felt")
		}
	}
	if _, err := w.view("dev", "&auth=token"); err != nil {
		t.Errorf("the cloud is well again: %v", err)
	}
}

// A removed environment stays removed, and so does its user, whatever was asked
// of the cloud for them meanwhile.
func TestRemovedStaysRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		route string
		waits bool // for what is being made at the cloud
		act   func(w *world) error
	}{
		"a key is being made":        {"POST /v3/credentials", true, func(w *world) error { return w.try("POST", "/v1/environments/dev/s3-key", nil, nil) }},
		"a credential is being made": {"POST /v3/users/*", true, func(w *world) error { _, err := w.view("dev", "&auth=application-credential"); return err }},
		"a password is being checked": {"POST /v3/auth/tokens", false, func(w *world) error {
			return w.try("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "new"}, nil)
		}},
		"a key is being checked": {"GET /v3/users/*", false, func(w *world) error {
			key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
			return w.try("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.add("dev", "dev-ccontini")
			if strings.Contains(name, "password") {
				w.cloud.SetPassword(w.cloud.User.Name, "new")
			}
			w.cloud.ResetCounts()
			came := w.delayed(c.route)
			done := make(chan struct{})
			go func() { _ = c.act(w); close(done) }()
			<-came
			if err := w.try("DELETE", "/v1/environments/dev", nil, nil); err != nil {
				t.Error(err)
			}
			if c.waits && w.cloud.Count(c.route) == 0 {
				t.Error("it was removed before the cloud had answered")
			}
			<-done
			w.restart()
			if s := w.status(); s.Daemon.Locked || len(s.Users)+len(s.Environments) != 0 {
				t.Errorf("after a restart: %+v", s)
			}
		})
	}
}

// Where Keystone lists no keys, S3 proves them, and then there is peace.
func TestChecksComeToAnEnd(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.Fail(practice.Fault{Route: "GET /v3/users/*", Status: 403, Header: http.Header{"Content-Type": {"application/json"}},
		Body: `{"error":{"message":"You are not authorized","code":403,"title":"Forbidden"}}`})
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	r := w.addRequest("dev", "dev-ccontini")
	r.S3AccessKey, r.S3Secret = key.Access, key.Secret
	w.do("POST", "/v1/environments", r, nil)
	w.until("the key is proved by S3", func() bool { return w.status().Environments[0].S3.State == "ok" })
	if n := w.cloud.Count("POST /v3/auth/tokens"); n > 8 {
		t.Errorf("%d requests for tokens to settle one key", n)
	}
}

func TestApplicationCredentialAlone(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	vars, err := w.view("dev", "&auth=application-credential")
	if err != nil {
		t.Fatal(err)
	}
	file := fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
		w.cloud.AuthURL, vars["OS_APPLICATION_CREDENTIAL_ID"], vars["OS_APPLICATION_CREDENTIAL_SECRET"])
	if err := w.importText("", file); err != nil {
		t.Fatalf("same user and project: %v", err)
	}
	if s := w.status(); len(s.Users) != 1 || len(s.Environments) != 1 {
		t.Errorf("%d users, %d environments: it was not merged", len(s.Users), len(s.Environments))
	}
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	if err := w.importText("", file); err != nil {
		t.Fatalf("the cloud knows the project: %v", err)
	}
	s := w.status()
	if s.Environments[0].Name != "dev-ccontini" || s.Environments[0].State != "ok" || s.Users[0].Name != w.cloud.User.Name {
		t.Errorf("%+v", s)
	}
	w.cloud.Enable(w.cloud.User.Name, false)
	w.restart()
	w.cloud.ResetCounts()
	for range 4 {
		_, err := w.view("dev-ccontini", "&auth=token")
		w.want(err, ipc.CodeRefused, "application credential")
		_, err = w.view("dev-ccontini", "")
		w.want(err, ipc.CodeRefused, "application credential")
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 1 {
		t.Errorf("a refused application credential was sent %d times", n)
	}
}

// TestServedCredentialIsReported: a report is about what is served, also where the
// user's password is stored and was asked about just now.
func TestServedCredentialIsReported(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	token, err := w.view("dev", "&auth=token")
	if err != nil {
		t.Fatal(err)
	}
	vars, err := w.view("dev", "&auth=application-credential")
	if err != nil {
		t.Fatal(err)
	}
	id := vars["OS_APPLICATION_CREDENTIAL_ID"]
	if err := w.importText("", fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
		w.cloud.AuthURL, id, vars["OS_APPLICATION_CREDENTIAL_SECRET"])); err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("DELETE", w.cloud.AuthURL+"/users/"+w.cloud.User.ID+"/application_credentials/"+id, nil)
	r.Header.Set("X-Auth-Token", token["OS_TOKEN"])
	if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatal(answer, err)
	}
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "system"}, &out)
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev"}, &out)
	for _, e := range w.status().Environments {
		if want := map[string]string{"dev": "refused", "system": "ok"}[e.Name]; e.State != want {
			t.Errorf("%s is %s, not %s", e.Name, e.State, want)
		}
	}
}

func TestS3KeyWhileThePasswordIsRefused(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	keys := w.cloud.Reset(w.cloud.User.Name, "regenerated")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	for _, k := range keys {
		if k.ProjectID == w.cloud.User.Projects["dev-ccontini"] {
			w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: k.Access, S3Secret: k.Secret}, nil)
			if body, _, err := w.get("/v1/environments/dev/views/credential-process"); err != nil || !strings.Contains(string(body), k.Access) {
				t.Errorf("the portal's new S3 key is not served: %v", err)
			}
		}
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("the dead password was sent %d times", n)
	}
}

// keystone2 is a Keystone v2.0, as old ones answered.
func keystone2(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2.0/tokens":
			var in struct {
				Auth struct {
					TenantName, TenantID string
					PasswordCredentials  *struct{ Username, Password string }
				}
			}
			_ = json.NewDecoder(r.Body).Decode(&in)
			tenant := in.Auth.TenantName + strings.TrimPrefix(in.Auth.TenantID, "id-")
			wrong := in.Auth.PasswordCredentials != nil && in.Auth.PasswordCredentials.Password == "wrong"
			if wrong || tenant != "" && tenant != "alpha" && tenant != "beta" {
				rw.WriteHeader(http.StatusUnauthorized)
				_, _ = fmt.Fprint(rw, `{"error":{"message":"The request you have made requires authentication.","code":401}}`)
				return
			}
			scope := ""
			if tenant != "" {
				scope = fmt.Sprintf(`,"tenant":{"id":"id-%s","name":"%s"}`, tenant, tenant)
			}
			_, _ = fmt.Fprintf(rw, `{"access":{"token":{"id":"t-%s","issued_at":"2026-01-01T00:00:00Z","expires":"2099-01-01T00:00:00Z"%s},"user":{"id":"u1","name":"sys"},"serviceCatalog":[]}}`, tenant, scope)
		case strings.HasSuffix(r.URL.Path, "/credentials/OS-EC2"):
			_, _ = fmt.Fprint(rw, `{"credentials":[{"access":"AKALPHA","secret":"s1","user_id":"u1","tenant_id":"id-alpha"},{"access":"AKBETA","secret":"s2","user_id":"u1","tenant_id":"id-beta"}]}`)
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestKeystone2(t *testing.T) {
	w := newWorld(t, practice.Options{})
	old := keystone2(t)
	add := func(name, project, password string) error {
		return w.try("POST", "/v1/environments", ipc.AddRequest{Name: name, User: "sys", Project: project, AuthURL: old.URL, IdentityAPI: "2.0", Password: password}, nil)
	}
	w.want(add("alpha", "alhpa", "right"), ipc.CodeRefused, "project alhpa")
	if err := add("alpha", "alpha", "right"); err != nil {
		t.Fatalf("a mistyped project banned the right password: %v", err)
	}
	if err := add("beta", "beta", ""); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: "sys", Password: "newer"}, nil)
	for _, e := range w.status().Environments {
		if want := "AK" + strings.ToUpper(e.Name); e.S3.AccessKeyID != want {
			t.Errorf("environment %s has S3 key %s", e.Name, e.S3.AccessKeyID)
		}
	}
}

// What remove says of keys that stay at the cloud is what is there: former ones
// that Keystone lists no more are not, and one whose making was never answered may
// be.
func TestRemoveTellsWhatStays(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	for range 2 {
		w.regenerate()
		if err := w.verify("dev"); err != nil {
			t.Fatal(err)
		}
	}
	served := w.environment("dev").S3.AccessKeyID
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Times: 9, Break: practice.Cut})
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	w.cloud.Fail(practice.Fault{Route: "GET /v3/users/{user}/credentials/OS-EC2", Times: 9, Status: 503})
	var out ipc.Changes
	w.do("DELETE", "/v1/environments/dev", nil, &out)
	var stays, may int
	for _, note := range out.Changes[0].Notes {
		switch {
		case note == "S3 key "+served+" stays valid at the cloud":
			stays++
		case strings.Contains(note, "may be at the cloud"):
			may++
		default:
			t.Errorf("it says %q", note)
		}
	}
	if stays != 1 || may != 1 {
		t.Errorf("it says %q", out.Changes[0].Notes)
	}
}

// Neither is a password that was given with --no-verify sent for a rotation's
// sake, nor is one begun that would wait for it.
func TestNoVerifyIsNotRotated(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.NoVerify = true
	w.do("POST", "/v1/environments", r, nil)
	for _, in := range []ipc.RotateRequest{
		{User: w.cloud.User.Name, Password: true},
		{Environments: []string{"dev"}},
	} {
		for _, in.DryRun = range []bool{true, false} {
			lines := w.rotate(in)
			if last := lines[len(lines)-1]; len(lines) != 1 || last.Code != ipc.CodeWithheld || !strings.Contains(last.Error, "--no-verify") {
				t.Errorf("%+v: %+v", in, lines)
			}
		}
	}
	s := w.status()
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 0 || s.Users[0].Rotation != nil || s.Environments[0].Rotation != nil {
		t.Errorf("sent %d times; begun: %+v, %+v", n, s.Users[0].Rotation, s.Environments[0].Rotation)
	}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if lines := w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true}); lines[len(lines)-1].State != "done" {
		t.Errorf("after a person's verify: %+v", lines)
	}
}

// A project that was stored with --no-verify of a known user is not asked about by
// a rotation either.
func TestNoVerifyProjectIsNotRotated(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("sys", "system-ccontini")
	r := w.addRequest("dev", "dev-ccontini")
	r.NoVerify = true
	w.do("POST", "/v1/environments", r, nil)
	for _, dry := range []bool{true, false} {
		lines := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, DryRun: dry})
		if len(lines) != 1 || lines[0].Code != ipc.CodeWithheld {
			t.Errorf("%+v", lines)
		}
	}
	if j := w.environment("dev").Rotation; j != nil {
		t.Errorf("it has begun: %+v", j)
	}
}
