package cloud_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

const a401 = "The request you have made requires authentication."

func TestKeystonesWords(t *testing.T) {
	change := func(c *cloud.Cloud, f *far) error {
		return c.ChangePassword(t.Context(), f.user(), secret, secret, account.Secret{})
	}
	ask := func(c *cloud.Cloud, f *far) error {
		_, err := c.Password(t.Context(), f.user(), secret, account.Environment{})
		return err
	}
	application := func(c *cloud.Cloud, f *far) error {
		_, err := c.Application(t.Context(), f.endpoint(), account.ApplicationCredential{ID: "x", Secret: secret})
		return err
	}
	list := func(c *cloud.Cloud, f *far) error { _, err := c.Keys(t.Context(), f.user(), grant); return err }
	remove := func(c *cloud.Cloud, f *far) error { return c.DeleteKey(t.Context(), f.user(), grant, "k") }
	for _, c := range []struct {
		name   string
		call   func(*cloud.Cloud, *far) error
		reply  reply
		kind   error
		text   string
		policy cloud.Policy
		judged bool
	}{
		{"refused", ask, said(401, a401), cloud.ErrRefused, "for a token: refused (401)", "", true},
		{"refused in other words", ask, said(401, "the server's own words must-not-show"), cloud.ErrRefused, "for a token: refused (401)", "", true},
		{"a gateway's 401", ask, reply{401, nil, "<html>"}, cloud.ErrUnreachable, "answered with something else than Keystone's JSON (401)", "", true},
		{"forbidden", list, said(403, "Delegated tokens cannot access credentials directly."), cloud.ErrRefused, "to list the S3 keys: refused (403)", "", true},
		{"expired", ask, said(401, "The password is expired and needs to be changed for user: 0bd6dfdfae1c4878a958d4bf45016e71."), cloud.ErrPasswordExpired, "the password has expired and must be changed (401)", "", true},
		{"method unknown", application, said(401, "Attempted to authenticate with an unsupported method."), cloud.ErrNotOffered, "it does not offer that (401)", "", false},
		{"credential deleted", application, said(404, "Could not find Application Credential: x."), cloud.ErrRefused, "it is not there any more (404)", "", true},
		{"key deleted", remove, said(404, "Could not find credential: d2f9."), cloud.ErrNotFound, "it is not there (404)", "", false},
		{"no such path", remove, said(404, "(https://x/) the resource could not be found."), cloud.ErrNotOffered, "it does not offer that (404)", "", false},
		{"duplicate", change, said(409, "Conflict occurred attempting to store x - Duplicate entry found."), cloud.ErrConflict, "there is one already (409)", "", true},
		{"malformed", ask, said(400, "Expecting to find domain in project."), cloud.ErrInvalid, "the request was not understood (400)", "", false},
		{"age", change, said(400, "You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for 1 day(s) before it can be changed. Please try again in 0 day(s) or contact your administrator to reset your password."),
			cloud.ErrPolicy, "to change the password: the password was changed too recently (400)", cloud.PolicyAge, false},
		{"history", change, said(400, "The new password cannot be identical to a previous password. The total number which includes the new password must be unique is 3."),
			cloud.ErrPolicy, "the new password was used before (400)", cloud.PolicyHistory, false},
		{"pattern", change, said(400, "The password does not match the requirements: the server's own words."),
			cloud.ErrPolicy, "the new password does not meet the requirements (400)", cloud.PolicyPattern, false},
		{"locked", change, said(400, "You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password."),
			cloud.ErrPolicy, "this user may not change his password (400)", cloud.PolicyLocked, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFar(t, c.reply)
			err := c.call(cloud.New(cloud.Options{}), f)
			e := checkError(t, err, c.kind, c.text)
			if e.Host != f.Listener.Addr().String() || e.Policy != c.policy || cloud.MayHaveJudged(err) != c.judged {
				t.Errorf("host %q, policy %q, judged %v", e.Host, e.Policy, cloud.MayHaveJudged(err))
			}
			if errors.Is(err, cloud.ErrPasswordExpired) != (c.name == "expired") ||
				errors.Is(err, cloud.ErrPasswordExpired) && (!errors.Is(err, cloud.ErrRefused) || e.UserID != "0bd6dfdfae1c4878a958d4bf45016e71") {
				t.Errorf("expired: %v, user %q", errors.Is(err, cloud.ErrPasswordExpired), e.UserID)
			}
			if n := len(f.requests()); n != 1 {
				t.Errorf("%d requests; want one", n)
			}
		})
	}
}

// same reports whether a request body is this JSON.
func same(t *testing.T, body, want string) {
	t.Helper()
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(body), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if d := cmp.Diff(w, g); d != "" {
		t.Errorf("request (-want +got):\n%s", d)
	}
}

func TestTokenRequests(t *testing.T) {
	const identity = `"identity": {"methods": ["password"], "password": {"user": `
	pw := `"password": "` + password + `"`
	byID := func(u *account.User, e *account.Environment) {
		u.DomainID, u.DomainName, e.ProjectID, e.Project = "d1", "D", "p1", "P"
	}
	for _, c := range []struct {
		name   string
		change func(*account.User, *account.Environment)
		want   string
	}{
		{"defaults", func(_ *account.User, e *account.Environment) { e.Project = "dev" },
			identity + `{"name": "system-ccontini-2925", "domain": {"id": "default"}, ` + pw + `}}}, "scope": {"project": {"name": "dev", "domain": {"id": "default"}}}`},
		{"ids before names", byID,
			identity + `{"name": "system-ccontini-2925", "domain": {"id": "d1"}, ` + pw + `}}}, "scope": {"project": {"id": "p1"}}`},
		{"domains by name", func(u *account.User, e *account.Environment) {
			u.DomainID, u.DomainName, e.Project, e.ProjectDomainName = "", "U", "dev", "P"
		}, identity + `{"name": "system-ccontini-2925", "domain": {"name": "U"}, ` + pw + `}}}, "scope": {"project": {"name": "dev", "domain": {"name": "P"}}}`},
		{"project domain by id", func(_ *account.User, e *account.Environment) { e.Project, e.ProjectDomainID = "dev", "d2" },
			identity + `{"name": "system-ccontini-2925", "domain": {"id": "default"}, ` + pw + `}}}, "scope": {"project": {"name": "dev", "domain": {"id": "d2"}}}`},
		{"user by id, unscoped", func(u *account.User, _ *account.Environment) { u.Name = "" },
			identity + `{"id": "u1", ` + pw + `}}}, "scope": "unscoped"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFar(t, tokenReply(t))
			u, e := f.user(), account.Environment{}
			c.change(&u, &e)
			for _, suffix := range []string{"", "/v3", "/v3/", "/v2.0"} {
				u.Auth.URL = f.URL + suffix
				if _, err := cloud.New(cloud.Options{}).Password(t.Context(), u, secret, e); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range f.requests() {
				if r.method != "POST" || r.path != "/v3/auth/tokens" || r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Auth-Token") != "" {
					t.Errorf("got %s %s %v", r.method, r.path, r.header)
				}
				same(t, r.body, `{"auth": {`+c.want+`}}`)
			}
		})
	}
	f := newFar(t, tokenReply(t))
	u := f.user()
	u.Auth.URL += "/identity/v3" // Keystone below a path
	if _, err := cloud.New(cloud.Options{}).Rescope(t.Context(), u, secret, account.Environment{ProjectID: "p1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := cloud.New(cloud.Options{}).Application(t.Context(), u.Auth, account.ApplicationCredential{ID: "ac1", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	seen := f.requests()
	if seen[0].path != "/identity/v3/auth/tokens" {
		t.Errorf("path %s", seen[0].path)
	}
	same(t, seen[0].body, `{"auth": {"identity": {"methods": ["token"], "token": {"id": "`+password+`"}}, "scope": {"project": {"id": "p1"}}}}`)
	same(t, seen[1].body, `{"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "ac1", "secret": "`+password+`"}}}}`)
}

func TestGrant(t *testing.T) {
	at := func(s string) time.Time {
		got, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := cloud.Grant{
		Token:  account.Token{ID: account.NewSecret("new-token"), Issued: at("2026-11-22T21:27:55Z"), Expires: at("2026-11-22T22:27:55Z")},
		UserID: "0bd6dfdfae1c4878a958d4bf45016e71", UserName: "system-ccontini-2925", UserDomainID: "default",
		ProjectID: "3d94f88b238446d4b976bcb93a967d26", ProjectName: "dev-ccontini", ProjectDomainID: "default",
		PasswordExpires: at("2027-02-20T21:27:55Z"), Methods: []string{"password"},
	}
	for _, c := range []struct{ region, storage, s3 string }{
		{"", "https://one.example/v1/AUTH_3d94", "https://s3.example"},
		{"RegionOne", "https://one.example/v1/AUTH_3d94", "https://s3.example"},
		{"RegionTwo", "https://two.example/v1/AUTH_3d94", ""},
		{"Plain", "", ""}, // plain http is no place for a token
		{"Nowhere", "", ""},
	} {
		f := newFar(t, tokenReply(t))
		got, err := cloud.New(cloud.Options{}).Password(t.Context(), f.user(), secret, account.Environment{Project: "dev-ccontini", Region: c.region})
		want.StorageURL, want.S3URL = c.storage, c.s3
		if d := cmp.Diff(want, got, cmp.Comparer(account.Secret.Equal)); err != nil || d != "" {
			t.Errorf("region %q: %v (-want +got):\n%s", c.region, err, d)
		}
	}
	f := newFar(t, tokenReply(t))
	u := f.user()
	u.Auth.InsecureHTTP = true
	got, err := cloud.New(cloud.Options{}).Password(t.Context(), u, secret, account.Environment{Project: "dev-ccontini", Region: "Plain"})
	if err != nil || got.StorageURL != "http://plain.example/v1/AUTH_3d94" {
		t.Errorf("with --insecure-http: %q, %v", got.StorageURL, err)
	}
}

// Identity API v2.0 is gone upstream: only fixtures can show it.
func TestIdentityV2(t *testing.T) {
	scoped := reply{200, nil, fixture(t, "v2_scoped.json")}
	ec2 := `{"user_id": "u1", "tenant_id": "p1", "access": "a1", "secret": "s1", "trust_id": null}`
	f := newFar(t, scoped, scoped, reply{200, nil, `{"credentials": [` + ec2 + `]}`}, reply{200, nil, `{"credential": ` + ec2 + `}`}, reply{204, nil, ""},
		reply{404, nil, "<html>"}, reply{200, nil, `{"tenants": []}`}, said(401, a401))
	u := f.user()
	u.IdentityAPI = "2.0"
	c, ctx := cloud.New(cloud.Options{}), t.Context()
	e := account.Environment{Project: "dev-ccontini", Region: "RegionTwo"}
	g, err := c.Password(ctx, u, secret, e)
	want := cloud.Grant{
		Token: account.Token{ID: account.NewSecret("v2-token"), Issued: time.Date(2014, 1, 30, 17, 9, 57, 647795000, time.UTC),
			Expires: time.Date(2014, 1, 31, 17, 9, 57, 0, time.UTC)},
		UserID: "1f568815cb8148688e6ee9b2f7527dcc", UserName: "system-ccontini-2925", UserDomainID: "default",
		ProjectID: "73f0aa26640f4971864919d0eb0f0880", ProjectName: "dev-ccontini", ProjectDomainID: "default",
		StorageURL: "https://two.example:8080/v1/AUTH_73f0", Methods: []string{"password"},
	}
	if d := cmp.Diff(want, g, cmp.Comparer(account.Secret.Equal)); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if g, err = c.Rescope(ctx, u, secret, account.Environment{ProjectID: "p1"}); err != nil || g.S3URL != "https://objects.example/s3" || g.Methods[0] != "token" {
		t.Errorf("got %+v, %v", g, err)
	}
	if list, err := c.Keys(ctx, u, grant); err != nil || len(list) != 1 || list[0].Secret.Reveal() != "s1" {
		t.Errorf("got %v, %v", list, err)
	}
	if made, err := c.CreateKey(ctx, u, grant, keys); err != nil || made.AccessKeyID != "a1" {
		t.Errorf("got %v, %v", made, err)
	}
	if err := c.DeleteKey(ctx, u, grant, "a1"); err != nil {
		t.Error(err)
	}
	if lives, err := c.TokenLives(ctx, u.Auth, secret); err != nil || !lives {
		t.Errorf("lives %v, %v", lives, err)
	}
	_, err = c.Password(ctx, u, secret, e)
	checkError(t, err, cloud.ErrRefused, "for a token: refused (401)")

	seen := f.requests()
	same(t, seen[0].body, `{"auth": {"passwordCredentials": {"username": "system-ccontini-2925", "password": "`+password+`"}, "tenantName": "dev-ccontini"}}`)
	same(t, seen[1].body, `{"auth": {"token": {"id": "`+password+`"}, "tenantId": "p1"}}`)
	var paths []string
	for _, r := range seen {
		paths = append(paths, r.method+" "+r.path)
	}
	if d := cmp.Diff([]string{
		"POST /v2.0/tokens", "POST /v2.0/tokens",
		"GET /v2.0/users/u1/credentials/OS-EC2", "POST /v2.0/users/u1/credentials/OS-EC2", "DELETE /v2.0/users/u1/credentials/OS-EC2/a1",
		"GET /v3/auth/projects", "GET /v2.0/tenants", "POST /v2.0/tokens",
	}, paths); d != "" {
		t.Errorf("paths (-want +got):\n%s", d)
	}
	checkError(t, c.ChangePassword(ctx, u, secret, secret, secret), cloud.ErrNotOffered, "identity API 2.0 does not offer that")
	_, err = c.CreateApplicationCredential(ctx, u, grant, account.ApplicationCredential{Name: "n"}, cloud.Limits{})
	checkError(t, err, cloud.ErrNotOffered, "identity API 2.0 does not offer that")
	checkError(t, c.DeleteApplicationCredential(ctx, u, grant, "x"), cloud.ErrNotOffered, "identity API 2.0 does not offer that")
	if len(f.requests()) != len(seen) {
		t.Error("it was asked nevertheless")
	}
}

func TestTokenLives(t *testing.T) {
	for _, c := range []struct {
		reply reply
		want  bool
	}{
		{reply{200, nil, `{"projects": [], "links": {}}`}, true},
		{said(401, a401), false},
		{said(404, "Could not find Application Credential: x."), false},
	} {
		f := newFar(t, c.reply)
		if lives, err := cloud.New(cloud.Options{}).TokenLives(t.Context(), f.endpoint(), secret); err != nil || lives != c.want {
			t.Errorf("%d: %v, %v", c.reply.status, lives, err)
		}
		if r := f.requests()[0]; r.method != "GET" || r.path != "/v3/auth/projects" || r.header.Get("X-Auth-Token") != password {
			t.Errorf("got %s %s", r.method, r.path)
		}
	}
}

// What is wrong in itself is not sent: above all no secret that JSON would
// change on its way, and no path that climbs.
func TestNotSent(t *testing.T) {
	f := newFar(t, reply{204, nil, ""})
	c, ctx, u := cloud.New(cloud.Options{}), t.Context(), f.user()
	nameless, garbled := u, account.NewSecret("caf\xe9 must-not-show")
	nameless.Name, nameless.KeystoneID = "", ""
	_, e1 := c.Password(ctx, u, garbled, account.Environment{})
	_, e2 := c.Password(ctx, u, account.Secret{}, account.Environment{})
	_, e3 := c.Password(ctx, nameless, secret, account.Environment{})
	_, e4 := c.Rescope(ctx, u, account.Secret{}, account.Environment{})
	_, e5 := c.Application(ctx, u.Auth, account.ApplicationCredential{ID: "x"})
	_, e6 := c.TokenLives(ctx, u.Auth, account.Secret{})
	_, e7 := c.Keys(ctx, u, cloud.Grant{})
	_, e8 := c.CreateKey(ctx, u, cloud.Grant{UserID: "u1"}, keys)
	_, e9 := c.CreateKey(ctx, u, grant, account.KeyPair{AccessKeyID: "x", Secret: garbled})
	_, e10 := c.ListBuckets(ctx, f.s3(), account.KeyPair{AccessKeyID: "x"})
	_, e11 := c.ListBuckets(ctx, account.S3{Endpoint: f.endpoint()}, keys)
	_, e12 := c.TokenLives(ctx, u.Auth, account.NewSecret("two\nlines must-not-show"))
	_, e13 := c.ListBuckets(ctx, f.s3(), account.KeyPair{AccessKeyID: "two\nlines", Secret: secret})
	for i, err := range []error{
		e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13,
		c.DeleteKey(ctx, u, grant, ""), c.DeleteKey(ctx, u, grant, "."), c.DeleteKey(ctx, u, grant, ".."),
		c.DeleteApplicationCredential(ctx, u, grant, ""), c.DeleteApplicationCredential(ctx, u, cloud.Grant{}, "x"),
		c.ChangePassword(ctx, nameless, secret, secret, secret), c.ChangePassword(ctx, u, secret, account.Secret{}, secret), c.ChangePassword(ctx, u, secret, garbled, secret),
	} {
		if err == nil {
			t.Fatalf("no error of call %d", i)
		}
		if e := checkError(t, err, cloud.ErrInvalid, "not sent: "); e.Sent || cloud.MayHaveJudged(err) {
			t.Errorf("%v says that it was sent", err)
		}
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if err := c.DeleteKey(ctx, u, grant, "a/../b?c"); err != nil {
		t.Fatal(err)
	}
	if got := f.requests()[0].path; got != "/v3/users/u1/credentials/OS-EC2/a%2F..%2Fb%3Fc" {
		t.Errorf("the path climbs: %s", got)
	}
}
