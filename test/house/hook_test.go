package house

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/shell"
	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/view"
)

// The prompt hook assigns a fixed list of variables and passes over any other:
// what views hand it must be on the list.
func TestHookKnowsWhatViewsSay(t *testing.T) {
	m := view.Material{
		User: account.User{Name: "u", DomainID: "default", Auth: account.Endpoint{URL: "https://auth.cloud.ca"}, IdentityAPI: "3"},
		Environment: account.Environment{Name: "dev", UserID: "x", Project: "p", ProjectID: "1", ProjectDomainID: "default", Region: "r", StorageURL: "https://swift.example/v1/AUTH_1",
			S3: account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "us-east-1"}},
		Password: account.NewSecret("p"), Token: account.Token{ID: account.NewSecret("t"), Expires: time.Now().Add(time.Hour)},
		AppCred: account.ApplicationCredential{ID: "1", Name: "a", Secret: account.NewSecret("s")},
		Keys:    account.KeyPair{AccessKeyID: "k", Secret: account.NewSecret("s")},
	}
	lines := 0
	for _, client := range []string{"openstack", "swift"} {
		for _, auth := range []string{view.Password, view.Token, view.ApplicationCredential} {
			for _, format := range []string{"hook-sh", "hook-fish"} {
				body, _, err := view.Render(view.Request{Client: client, Auth: auth, Format: format}, m)
				if err != nil {
					t.Fatalf("%s, %s, %s: %v", client, auth, format, err)
				}
				for _, line := range strings.Split(string(bytes.TrimSpace(body)), "\n") {
					words := strings.Fields(line)
					if len(words) < 2 || !slices.Contains(shell.Names, words[1]) {
						t.Errorf("the hook does not know %q", line)
					}
					lines++
				}
			}
		}
	}
	if lines < 100 {
		t.Errorf("only %d lines", lines)
	}
}
