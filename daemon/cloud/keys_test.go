package cloud_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

func ec2JSON(access, secret, project string) string {
	return fmt.Sprintf(`{"user_id": "u1", "tenant_id": %q, "access": %q, "secret": %q, "trust_id": null, "links": {}}`, project, access, secret)
}

func created(access, secret string) reply {
	blob, _ := json.Marshal(map[string]string{"access": access, "secret": secret})
	doc, _ := json.Marshal(map[string]any{"credential": map[string]any{"id": "x", "type": "ec2", "blob": string(blob)}})
	return reply{201, nil, string(doc)}
}

func TestKeys(t *testing.T) {
	f := newFar(t, reply{200, nil, `{"credentials": [` + ec2JSON("a1", "s1", "p1") + `,` + ec2JSON("a2", "s2", "p2") + `]}`}, reply{200, nil, `{"credentials": []}`})
	got, err := cloud.New(cloud.Options{}).Keys(t.Context(), f.user(), grant)
	want := []cloud.EC2{
		{KeyPair: account.KeyPair{AccessKeyID: "a1", Secret: account.NewSecret("s1")}, UserID: "u1", ProjectID: "p1"},
		{KeyPair: account.KeyPair{AccessKeyID: "a2", Secret: account.NewSecret("s2")}, UserID: "u1", ProjectID: "p2"},
	}
	if d := cmp.Diff(want, got, cmp.Comparer(account.Secret.Equal)); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if r := f.requests()[0]; r.method != "GET" || r.path != "/v3/users/u1/credentials/OS-EC2" || r.header.Get("X-Auth-Token") != grant.Token.ID.Reveal() {
		t.Errorf("got %s %s", r.method, r.path)
	}
	if got, err := cloud.New(cloud.Options{}).Keys(t.Context(), f.user(), grant); err != nil || len(got) != 0 {
		t.Errorf("an empty list: %v, %v", got, err)
	}
}

func TestCreateKey(t *testing.T) {
	listed := func(access, secret, project string) reply {
		return reply{200, nil, `{"credentials": [` + ec2JSON(access, secret, project) + `]}`}
	}
	conflict := said(409, "Conflict occurred attempting to store credential - Duplicate entry found with ID d2f9.")
	forbidden := said(403, "You are not authorized to perform the requested action: identity:create_credential.")
	own := reply{201, nil, `{"credential": ` + ec2JSON("server-made", "s", "p1") + `}`}
	access, value := keys.AccessKeyID, keys.Secret.Reveal()
	for _, c := range []struct {
		name    string
		replies []reply
		want    string // access key; "" with kind
		kind    error
		text    string
		n       int // requests
	}{
		{"as intended", []reply{created(access, value)}, access, nil, "", 1},
		{"again after a lost answer", []reply{conflict, listed(access, value, "p1")}, access, nil, "", 2},
		{"held by another secret", []reply{conflict, listed(access, "other", "p1")}, "", cloud.ErrConflict, "there is one already (409)", 2},
		{"held in another project", []reply{conflict, listed(access, value, "p2")}, "", cloud.ErrConflict, "there is one already (409)", 2},
		{"held by somebody else", []reply{conflict, listed("a1", "s1", "p1")}, "", cloud.ErrConflict, "there is one already (409)", 2},
		{"held, not listed", []reply{conflict, said(403, "no")}, "", cloud.ErrConflict, "there is one already (409)", 2},
		{"not to be chosen", []reply{forbidden, own}, "server-made", nil, "", 2},
		{"not at all", []reply{forbidden, forbidden}, "", cloud.ErrRefused, "to make an S3 key: refused (403)", 2},
		{"a gateway says no", []reply{{403, nil, "<html>"}}, "", cloud.ErrUnreachable, "something else", 1},
		{"stale token", []reply{said(401, a401)}, "", cloud.ErrRefused, "to make an S3 key: refused (401)", 1},
		{"another pair came back", []reply{created(access, "other")}, "", cloud.ErrUnreachable, "something else", 1},
		{"another project's", []reply{forbidden, {201, nil, `{"credential": ` + ec2JSON("a", "s", "p2") + `}`}}, "", cloud.ErrUnreachable, "something else", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFar(t, c.replies...)
			got, err := cloud.New(cloud.Options{}).CreateKey(t.Context(), f.user(), grant, keys)
			if c.kind != nil {
				checkError(t, err, c.kind, c.text)
			} else if err != nil {
				t.Fatal(err)
			}
			seen := f.requests()
			if got.AccessKeyID != c.want || len(seen) != c.n {
				t.Errorf("got key %q after %d requests; want %q after %d", got.AccessKeyID, len(seen), c.want, c.n)
			}
			same(t, seen[0].body, `{"credential": {"type": "ec2", "user_id": "u1", "project_id": "p1", "blob": `+
				fmt.Sprintf("%q", fmt.Sprintf(`{"access":%q,"secret":%q}`, access, value))+`}}`)
			if c.want == "server-made" {
				same(t, seen[1].body, `{"tenant_id": "p1"}`)
			}
		})
	}
}

func TestApplicationCredentials(t *testing.T) {
	intended := account.ApplicationCredential{Name: "ccad-dev", Secret: secret}
	answer := func(secret string) reply {
		return reply{201, nil, fmt.Sprintf(`{"application_credential": {"id": "ac1", "name": "ccad-dev", "secret": %q, "project_id": "p1"}}`, secret)}
	}
	f := newFar(t, answer(password), answer("made-there"), answer("another"), said(409, "Conflict occurred attempting to store application_credential - Duplicate entry found with name ccad-dev."), reply{204, nil, ""})
	c, ctx, u := cloud.New(cloud.Options{}), t.Context(), f.user()
	got, err := c.CreateApplicationCredential(ctx, u, grant, intended, cloud.Limits{})
	if err != nil || got.ID != "ac1" || !got.Secret.Equal(secret) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = c.CreateApplicationCredential(ctx, u, grant, account.ApplicationCredential{Name: "ccad-dev"}, cloud.Limits{})
	if err != nil || got.Secret.Reveal() != "made-there" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = c.CreateApplicationCredential(ctx, u, grant, intended, cloud.Limits{})
	checkError(t, err, cloud.ErrUnreachable, "something else")
	_, err = c.CreateApplicationCredential(ctx, u, grant, intended, cloud.Limits{})
	checkError(t, err, cloud.ErrConflict, "there is one already (409)")
	if err := c.DeleteApplicationCredential(ctx, u, grant, "ac1"); err != nil {
		t.Error(err)
	}
	seen := f.requests()
	same(t, seen[0].body, `{"application_credential": {"name": "ccad-dev", "secret": "`+password+`"}}`)
	same(t, seen[1].body, `{"application_credential": {"name": "ccad-dev"}}`)
	if p := seen[0].path; p != "/v3/users/u1/application_credentials" {
		t.Error(p)
	}
	if r := seen[4]; r.method != "DELETE" || r.path != "/v3/users/u1/application_credentials/ac1" {
		t.Error(r.path)
	}
}

func TestLimits(t *testing.T) {
	f := newFar(t, reply{200, nil, `{"application_credentials": [{"id": "ac1", "name": "n", "project_id": "p1", "unrestricted": null, "expires_at": null,
		"roles": [{"id": "r1", "name": "member"}, {"id": "r2", "name": "reader"}]},
		{"id": "ac2", "name": "m", "project_id": null, "unrestricted": true, "expires_at": "2035-01-01T00:00:00.000000", "roles": [], "access_rules": [{"id": "a1", "path": "/v1/x"}]}]}`},
		reply{201, nil, fmt.Sprintf(`{"application_credential": {"id": "ac1", "name": "n", "secret": %q}}`, password)}, reply{200, nil, `{}`})
	c, ctx := cloud.New(cloud.Options{}), t.Context()
	listed, err := c.ApplicationCredentials(ctx, f.user(), grant)
	want := []cloud.ListedCredential{
		{ApplicationCredential: account.ApplicationCredential{ID: "ac1", Name: "n"}, ProjectID: "p1", Limits: cloud.Limits{Roles: []string{"r1", "r2"}}},
		{ApplicationCredential: account.ApplicationCredential{ID: "ac2", Name: "m"}, Limits: cloud.Limits{AccessRules: []string{"a1"}, Unrestricted: true, Expires: time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)}},
	}
	if d := cmp.Diff(want, listed, cmp.Comparer(account.Secret.Equal)); err != nil || d != "" {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	all := cloud.Limits{Roles: []string{"r1"}, AccessRules: []string{"a1"}, Unrestricted: true, Expires: want[1].Expires}
	if _, err := c.CreateApplicationCredential(ctx, f.user(), grant, account.ApplicationCredential{Name: "n", Secret: secret}, all); err != nil {
		t.Fatal(err)
	}
	same(t, f.requests()[1].body, `{"application_credential": {"name": "n", "secret": "`+password+`", "roles": [{"id": "r1"}], "access_rules": [{"id": "a1"}], "unrestricted": true, "expires_at": "2035-01-01T00:00:00.000000Z"}}`)
	_, err = c.ApplicationCredentials(ctx, f.user(), grant)
	checkError(t, err, cloud.ErrUnreachable, "something else")
}

func TestChangePassword(t *testing.T) {
	f := newFar(t, reply{204, nil, ""})
	c := cloud.New(cloud.Options{})
	for _, token := range []string{"", "t"} {
		if err := c.ChangePassword(t.Context(), f.user(), secret, account.NewSecret("n€w"), account.NewSecret(token)); err != nil {
			t.Fatal(err)
		}
	}
	for i, token := range []string{"", "t"} {
		r := f.requests()[i]
		same(t, r.body, `{"user": {"original_password": "`+password+`", "password": "n€w"}}`)
		if r.method != "POST" || r.path != "/v3/users/u1/password" || r.header.Get("X-Auth-Token") != token {
			t.Errorf("got %s %s", r.method, r.path)
		}
	}
}

func TestNewValues(t *testing.T) {
	hex := regexp.MustCompile(`^[0-9a-f]{32}$`)
	plain := regexp.MustCompile(`^[A-Za-z0-9]{48}$`)
	seen := map[string]bool{}
	for range 200 {
		pair, word := cloud.NewKeyPair(), cloud.NewPassword().Reveal()
		for _, v := range []string{pair.AccessKeyID, pair.Secret.Reveal(), word} {
			if seen[v] {
				t.Fatal("a value came twice")
			}
			seen[v] = true
		}
		if !hex.MatchString(pair.AccessKeyID) || !hex.MatchString(pair.Secret.Reveal()) || !plain.MatchString(word) {
			t.Fatalf("got %q, %q, %q", pair.AccessKeyID, pair.Secret.Reveal(), word)
		}
		for _, kind := range []string{`[a-z]`, `[A-Z]`, `[0-9]`} {
			if !regexp.MustCompile(kind).MatchString(word) {
				t.Errorf("%q lacks %s", word, kind)
			}
		}
	}
}
