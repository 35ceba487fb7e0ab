package cloud_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/test/lab"
	"github.com/cloud-ca/ccad/test/practice"
)

// A target is a cloud that the suite runs against. The user's password is
// changed and changed back, which revokes his tokens.
type target struct {
	user        account.User
	pass        account.Secret
	system, dev account.Environment
	s3          account.S3
}

// TestLab runs the suite against a real Keystone and Swift, as a user of its
// own.
func TestLab(t *testing.T) {
	l := lab.Start(t, lab.Options{})
	own := l.NewUser(t, "system", "dev")
	at := targetAt(t, l.AuthURL, own.Name, own.Password, l.S3URL, l.Region)
	for name := range own.Projects {
		if strings.HasPrefix(name, "system") {
			at.system.Project = name
		} else {
			at.dev.Project = name
		}
	}
	suite(t, at)
}

// TestPractice runs the same suite against the stand-in, so that it can't lie.
func TestPractice(t *testing.T) {
	c, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	at := targetAt(t, c.AuthURL, c.User.Name, c.User.Password, c.S3URL, c.Region)
	at.system.Project, at.dev.Project = "system-ccontini", "dev-ccontini"
	suite(t, at)
}

func targetAt(t *testing.T, authURL, name, password, s3URL, region string) target {
	t.Helper()
	auth := must[account.Endpoint](t)(account.ParseEndpoint(strings.TrimSuffix(authURL, "/v3"), false))
	return target{
		user: account.User{Name: name, DomainID: "default", Auth: auth, IdentityAPI: "3"},
		pass: account.NewSecret(password),
		s3:   account.S3{Endpoint: must[account.Endpoint](t)(account.ParseEndpoint(s3URL, false)), Region: region},
	}
}

func suite(t *testing.T, at target) {
	c := cloud.New(cloud.Options{})
	t.Run("tokens", func(t *testing.T) { liveTokens(t, c, at) })
	t.Run("refusals", func(t *testing.T) { liveRefusals(t, at) })
	t.Run("rescope", func(t *testing.T) { liveRescope(t, c, at) })
	t.Run("keys", func(t *testing.T) { liveKeys(t, c, at) })
	t.Run("application credentials", func(t *testing.T) { liveApplication(t, c, at) })
	t.Run("password", func(t *testing.T) { livePassword(t, c, at) })
}

func liveTokens(t *testing.T, c *cloud.Cloud, at target) {
	first := must[cloud.Grant](t)(c.Password(t.Context(), at.user, at.pass, at.dev))
	byID, byName, suffixed, unnamed := at.user, at.user, at.user, at.user
	byName.DomainID, byName.DomainName = "", "Default"
	suffixed.Auth.URL += "/v3"
	unnamed.Name, unnamed.KeystoneID = "", first.UserID
	for _, u := range []account.User{byID, byName, suffixed, unnamed} {
		for _, e := range []account.Environment{
			at.system, at.dev, {Project: at.dev.Project, ProjectDomainName: "Default"}, {Project: at.dev.Project, ProjectDomainID: "default"}, {ProjectID: first.ProjectID}, {},
		} {
			g, err := c.Password(t.Context(), u, at.pass, e)
			if err != nil {
				t.Fatalf("%+v: %v", e, err)
			}
			project := e.Project
			if e.ProjectID != "" {
				project = at.dev.Project
			}
			if g.UserID != first.UserID || g.UserName != at.user.Name || g.UserDomainID != "default" || g.ProjectName != project || !slices.Equal(g.Methods, []string{"password"}) {
				t.Errorf("%+v: got %+v", e, g)
			}
			if scoped := project != ""; scoped != (g.ProjectID != "" && g.ProjectDomainID == "default" && strings.HasSuffix(g.StorageURL, "/v1/AUTH_"+g.ProjectID)) {
				t.Errorf("%+v: got %+v", e, g)
			}
			if age := time.Since(g.Token.Issued); age < -2*time.Second || age > time.Minute || g.Token.Expires.Sub(g.Token.Issued) < time.Minute {
				t.Errorf("issued %v, expires %v", g.Token.Issued, g.Token.Expires)
			}
		}
	}
}

// counted puts a counting gate before Keystone.
func counted(t *testing.T, at target) (account.User, *atomic.Int32) {
	n := new(atomic.Int32)
	proxy := httputil.NewSingleHostReverseProxy(must[*url.URL](t)(url.Parse(at.user.Auth.URL)))
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)
	u := at.user
	u.Auth.URL = gate.URL
	return u, n
}

func liveRefusals(t *testing.T, at target) {
	u, n := counted(t, at)
	c, ctx := cloud.New(cloud.Options{}), t.Context()
	nobody := u
	nobody.Name = "nobody-at-all"
	_, e1 := c.Password(ctx, u, account.NewSecret("wrong must-not-show"), at.dev)
	if n.Load() != 1 {
		t.Errorf("a wrong password made %d attempts; want one", n.Load())
	}
	_, e2 := c.Password(ctx, nobody, at.pass, at.dev)
	_, e3 := c.Password(ctx, u, at.pass, account.Environment{Project: "no-such-project"})
	_, e4 := c.Application(ctx, u.Auth, account.ApplicationCredential{ID: strings.Repeat("0", 32), Secret: secret})
	for _, err := range []error{e1, e2, e3, e4} {
		checkError(t, err, cloud.ErrRefused, "for a token: ")
		if errors.Is(err, cloud.ErrPasswordExpired) || !cloud.MayHaveJudged(err) {
			t.Errorf("got %v", err)
		}
	}
	if n.Load() != 4 {
		t.Errorf("%d requests; want one a call", n.Load())
	}
	old := u
	old.IdentityAPI = "2.0"
	_, err := c.Password(ctx, old, at.pass, at.dev)
	checkError(t, err, cloud.ErrNotOffered, "it does not offer that (404)")
	astray := u
	astray.Auth.URL += "/nowhere"
	_, err = c.Password(ctx, astray, at.pass, at.dev)
	checkError(t, err, cloud.ErrNotOffered, "it does not offer that (404)")
}

func liveRescope(t *testing.T, c *cloud.Cloud, at target) {
	first := must[cloud.Grant](t)(c.Password(t.Context(), at.user, at.pass, account.Environment{}))
	g := must[cloud.Grant](t)(c.Rescope(t.Context(), at.user, first.Token.ID, at.dev))
	if g.ProjectName != at.dev.Project || g.UserID != first.UserID || !g.Token.Expires.Equal(first.Token.Expires) || !slices.Contains(g.Methods, "token") {
		t.Errorf("got %+v", g)
	}
	g = must[cloud.Grant](t)(c.Rescope(t.Context(), at.user, g.Token.ID, at.system))
	if g.ProjectName != at.system.Project {
		t.Errorf("got %+v", g)
	}
	_, err := c.Rescope(t.Context(), at.user, g.Token.ID, account.Environment{Project: "no-such-project"})
	checkError(t, err, cloud.ErrRefused, "for a token: refused (401)")
	lives(t, c, at, first, true)
	lives(t, c, at, g, true)
	for _, nonsense := range []string{"nonsense", first.Token.ID.Reveal() + "A"} {
		lives(t, c, at, cloud.Grant{Token: account.Token{ID: account.NewSecret(nonsense)}}, false)
	}
}

func lives(t *testing.T, c *cloud.Cloud, at target, g cloud.Grant, want bool) {
	t.Helper()
	if got, err := c.TokenLives(t.Context(), at.user.Auth, g.Token.ID); err != nil || got != want {
		t.Errorf("token lives: %v, %v; want %v", got, err, want)
	}
}

func liveKeys(t *testing.T, c *cloud.Cloud, at target) {
	ctx := t.Context()
	g := must[cloud.Grant](t)(c.Password(ctx, at.user, at.pass, at.dev))
	listed := func(pair account.KeyPair) bool {
		return slices.ContainsFunc(must[[]cloud.EC2](t)(c.Keys(ctx, at.user, g)), func(k cloud.EC2) bool {
			return k.AccessKeyID == pair.AccessKeyID && k.Secret.Equal(pair.Secret) && k.UserID == g.UserID && k.ProjectID == g.ProjectID
		})
	}
	intended := cloud.NewKeyPair()
	for range 2 { // the second time after a lost answer
		if made := must[account.KeyPair](t)(c.CreateKey(ctx, at.user, g, intended)); made != intended {
			t.Errorf("got the pair %v; want the intended one", made)
		}
	}
	t.Cleanup(func() { _ = c.DeleteKey(ctx, at.user, g, intended.AccessKeyID) })
	other := intended
	other.Secret = cloud.NewKeyPair().Secret
	_, err := c.CreateKey(ctx, at.user, g, other)
	checkError(t, err, cloud.ErrConflict, "to make an S3 key: there is one already (409)")
	if !listed(intended) {
		t.Error("the new key is not listed")
	}
	owner := must[cloud.Owner](t)(c.ListBuckets(ctx, at.s3, intended))
	if owner.ID == "" {
		t.Error("S3 names no owner")
	}
	wrong := at.s3
	wrong.Region = "elsewhere-1"
	_, err = c.ListBuckets(ctx, wrong, intended)
	if region := (*cloud.RegionError)(nil); !errors.As(err, &region) || region.Want != at.s3.Region {
		t.Errorf("in another region: %v", err)
	}
	_, err = c.ListBuckets(ctx, at.s3, other)
	checkError(t, err, cloud.ErrRefused, "to list the buckets: refused (403)")
	if err := c.DeleteKey(ctx, at.user, g, intended.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if listed(intended) {
		t.Error("the deleted key is listed")
	}
	checkError(t, c.DeleteKey(ctx, at.user, g, intended.AccessKeyID), cloud.ErrNotFound, "to delete an S3 key: it is not there (404)")
	eventually(t, "S3 refuses the deleted key", func() bool {
		_, err := c.ListBuckets(ctx, at.s3, intended)
		return errors.Is(err, cloud.ErrRefused)
	})
}

// eventually waits for what a far end with caches and whole seconds does late.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a minute was not enough until %s", what)
		}
	}
}

func liveApplication(t *testing.T, c *cloud.Cloud, at target) {
	ctx := t.Context()
	g := must[cloud.Grant](t)(c.Password(ctx, at.user, at.pass, at.dev))
	intended := account.ApplicationCredential{Name: "ccad-" + account.NewID(), Secret: cloud.NewPassword()}
	ac := must[account.ApplicationCredential](t)(c.CreateApplicationCredential(ctx, at.user, g, intended, cloud.Limits{}))
	t.Cleanup(func() { _ = c.DeleteApplicationCredential(ctx, at.user, g, ac.ID) })
	if ac.ID == "" || ac.Name != intended.Name || !ac.Secret.Equal(intended.Secret) {
		t.Errorf("got %v", ac)
	}
	_, err := c.CreateApplicationCredential(ctx, at.user, g, intended, cloud.Limits{})
	checkError(t, err, cloud.ErrConflict, "for an application credential: there is one already (409)")

	own := must[cloud.Grant](t)(c.Application(ctx, at.user.Auth, ac))
	if own.ProjectID != g.ProjectID || own.UserID != g.UserID || own.StorageURL != g.StorageURL || !slices.Equal(own.Methods, []string{"application_credential"}) {
		t.Errorf("got %+v", own)
	}
	lives(t, c, at, own, true)
	_, err = c.Keys(ctx, at.user, own)
	checkError(t, err, cloud.ErrRefused, "to list the S3 keys: refused (403)") // Keystones before the fixes of 2026 list them
	_, err = c.CreateKey(ctx, at.user, own, cloud.NewKeyPair())
	checkError(t, err, cloud.ErrRefused, "to make an S3 key: refused (403)")
	_, err = c.Rescope(ctx, at.user, own.Token.ID, at.system)
	checkError(t, err, cloud.ErrRefused, "for a token: refused (403)")
	wrong := ac
	wrong.Secret = secret
	_, err = c.Application(ctx, at.user.Auth, wrong)
	checkError(t, err, cloud.ErrRefused, "for a token: refused (401)")

	all := liveListed(t, c, at.user, g, ac.Name)
	if all.ID != ac.ID || all.ProjectID != g.ProjectID || len(all.Roles) == 0 || len(all.AccessRules) != 0 || all.Unrestricted || !all.Expires.IsZero() {
		t.Errorf("listed %+v", all)
	}
	narrow := cloud.Limits{Roles: all.Roles, Unrestricted: true, Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	again := must[account.ApplicationCredential](t)(c.CreateApplicationCredential(ctx, at.user, g, account.ApplicationCredential{Name: "ccad-" + account.NewID(), Secret: secret}, narrow))
	t.Cleanup(func() { _ = c.DeleteApplicationCredential(ctx, at.user, g, again.ID) })
	anyOrder := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if d := cmp.Diff(narrow, liveListed(t, c, at.user, g, again.Name).Limits, anyOrder); d != "" {
		t.Errorf("limits (-want +got):\n%s", d)
	}
	if err := c.DeleteApplicationCredential(ctx, at.user, g, ac.ID); err != nil {
		t.Fatal(err)
	}
	checkError(t, c.DeleteApplicationCredential(ctx, at.user, g, ac.ID), cloud.ErrNotFound, "it is not there (404)")
	_, err = c.Application(ctx, at.user.Auth, ac)
	checkError(t, err, cloud.ErrRefused, "for a token: it is not there any more (404)")
	lives(t, c, at, own, false)
}

// liveListed finds an application credential in Keystone's list.
func liveListed(t *testing.T, c *cloud.Cloud, u account.User, g cloud.Grant, name string) (found cloud.ListedCredential) {
	t.Helper()
	for _, l := range must[[]cloud.ListedCredential](t)(c.ApplicationCredentials(t.Context(), u, g)) {
		if l.Name == name {
			found = l
		}
	}
	return found
}

func livePassword(t *testing.T, c *cloud.Cloud, at target) {
	ctx := t.Context()
	g := must[cloud.Grant](t)(c.Password(ctx, at.user, at.pass, at.dev))
	u := at.user
	u.KeystoneID = g.UserID
	pair := must[account.KeyPair](t)(c.CreateKey(ctx, u, g, cloud.NewKeyPair()))
	ac := must[account.ApplicationCredential](t)(c.CreateApplicationCredential(ctx, u, g, account.ApplicationCredential{Name: "ccad-" + account.NewID()}, cloud.Limits{}))
	next := cloud.NewPassword()
	checkError(t, c.ChangePassword(ctx, u, secret, next, g.Token.ID), cloud.ErrRefused, "to change the password: refused (401)")

	change := func(from, to, token account.Secret) {
		t.Helper()
		if err := c.ChangePassword(ctx, u, from, to, token); err != nil {
			t.Fatal(err)
		}
	}
	change(at.pass, next, g.Token.ID)
	var fresh cloud.Grant
	defer func() { // there and back, whatever fails
		change(next, at.pass, account.Secret{})
		lives(t, c, at, fresh, false)
		eventually(t, "the old password gives a token that lives", func() bool {
			fresh = must[cloud.Grant](t)(c.Password(ctx, u, at.pass, at.dev))
			alive, err := c.TokenLives(ctx, u.Auth, fresh.Token.ID)
			return err == nil && alive
		})
		if err := errors.Join(c.DeleteKey(ctx, u, fresh, pair.AccessKeyID), c.DeleteApplicationCredential(ctx, u, fresh, ac.ID)); err != nil {
			t.Error(err)
		}
	}()
	lives(t, c, at, g, false)
	_, err := c.Password(ctx, u, at.pass, at.dev)
	checkError(t, err, cloud.ErrRefused, "for a token: refused (401)")
	_, err = c.Keys(ctx, u, g)
	checkError(t, err, cloud.ErrRefused, "to list the S3 keys: refused (401)")
	eventually(t, "the new password gives a token that lives", func() bool { // one of the same second never does
		fresh = must[cloud.Grant](t)(c.Password(ctx, u, next, at.dev))
		alive, err := c.TokenLives(ctx, u.Auth, fresh.Token.ID)
		return err == nil && alive
	})
	if _, err := c.ListBuckets(ctx, at.s3, pair); err != nil {
		t.Errorf("the S3 key did not survive: %v", err)
	}
	if _, err := c.Application(ctx, u.Auth, ac); err != nil {
		t.Errorf("the application credential did not survive: %v", err)
	}
}
