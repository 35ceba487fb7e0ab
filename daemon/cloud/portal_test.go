package cloud_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/test/practice"
)

const apiKey = "mc-key-must-not-show"

// shown is a portal of two environments, the second of somebody else.
func newPortal(t *testing.T) *practice.Portal {
	t.Helper()
	p, err := practice.StartPortal(apiKey, func() []practice.PortalEnvironment {
		return []practice.PortalEnvironment{
			{ID: "e1", Name: "dev", Fields: [][2]string{{"User name", "u"}, {"Password", "p-must-not-show"}}},
			{ID: "e2", Name: "other", Stranger: true},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func readPortal(t *testing.T, p *practice.Portal, key string) ([]cloud.PortalEnvironment, error) {
	t.Helper()
	base, err := account.ParseEndpoint(p.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	return cloud.New(cloud.Options{}).ReadPortal(context.Background(), base, account.NewSecret(key), func(id string) bool { return id == "e3" })
}

func TestReadPortal(t *testing.T) {
	for name, quirk := range map[string]practice.PortalQuirk{
		"at once": {}, "by a task": {Task: "slow"}, "by a task of the older form": {Task: "slow", Old: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPortal(t)
			p.Behave(quirk)
			found, err := readPortal(t, p, apiKey)
			if err != nil || len(found) != 2 {
				t.Fatalf("%v, %v", found, err)
			}
			if f := found[0].Fields; found[0].Name != "dev" || len(f) != 2 || f[1].Key != "Password" || f[1].Value.Reveal() != "p-must-not-show" {
				t.Errorf("fields of %s: %v", found[0].Name, f)
			}
			if !errors.Is(found[1].Err, cloud.ErrRefused) {
				t.Errorf("the environment of others: %v", found[1].Err)
			}
		})
	}
}

// TestPortalRefusals: what the portal denies is told as that, in one line that
// holds nothing of the key and none of the portal's words; nothing is sent twice.
func TestPortalRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		quirk practice.PortalQuirk
		key   string
		want  error
		line  string
	}{
		"unknown key":              {practice.PortalQuirk{}, "wrong-must-not-show", cloud.ErrRefused, "it knows no such API key (its code 1001) (401)"},
		"unknown key, older form":  {practice.PortalQuirk{Old: true}, "wrong-must-not-show", cloud.ErrRefused, "it knows no such API key (its code UNAUTHORIZED) (401)"},
		"denied":                   {practice.PortalQuirk{Status: http.StatusForbidden}, apiKey, cloud.ErrRefused, "it denies that to the API key (its code 2012) (403)"},
		"asked too often":          {practice.PortalQuirk{Status: http.StatusTooManyRequests}, apiKey, cloud.ErrLimited, "asked too often (its code 2012) (429)"},
		"broken":                   {practice.PortalQuirk{Status: http.StatusInternalServerError}, apiKey, cloud.ErrUnreachable, "it failed (its code 2012) (500)"},
		"a redirect, not followed": {practice.PortalQuirk{Status: http.StatusTemporaryRedirect}, apiKey, cloud.ErrUnreachable, "answered with a redirect, which is not followed (its code 2012) (307)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPortal(t)
			p.Behave(c.quirk)
			_, err := readPortal(t, p, c.key)
			if !errors.Is(err, c.want) || !strings.HasSuffix(err.Error(), ": "+c.line) {
				t.Errorf("got %v", err)
			}
			for _, word := range append(hidden, "words of the portal") {
				if strings.Contains(err.Error(), word) {
					t.Errorf("%q in %q", word, err)
				}
			}
			if n := p.Requests(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
	for _, old := range []bool{false, true} {
		p := newPortal(t)
		p.Behave(practice.PortalQuirk{Task: "failed", Old: old})
		if found, err := readPortal(t, p, apiKey); err != nil || !errors.Is(found[0].Err, cloud.ErrUnreachable) {
			t.Errorf("a failed task: %v, %v", found, err)
		}
	}
}
