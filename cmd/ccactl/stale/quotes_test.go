package stale

import (
	"slices"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/view"
)

// A value is found as it is written by ccad itself and by those whose files it
// imports, whatever is in it.
func TestQuotedValues(t *testing.T) {
	const password = `it's-$5-"old"\x y`
	m := view.Material{
		User:        account.User{Name: "u", DomainID: "default", Auth: account.Endpoint{URL: "https://auth.example"}, IdentityAPI: "3"},
		Environment: account.Environment{Name: "dev", UserID: "x", Project: "p", ProjectID: "1", ProjectDomainID: "default"},
		Password:    account.NewSecret(password),
	}
	written := map[string]string{
		"an openrc":              `export OS_PASSWORD="it's-\$5-\"old\"\\x y"`,
		"an openrc, two quotes":  `export OS_PASSWORD=it\'s-'$5-"old"\x y'`,
		"a history":              `swift --os-password 'it'\''s-$5-"old"\x y' list`,
		"a clouds.yaml":          `      password: 'it''s-$5-"old"\x y'`,
		"a clouds.yaml, in flow": `  auth: {password: "it's-$5-\"old\"\\x y", username: u}`,
	}
	for format, client := range map[string]string{"sh": "swift", "fish": "swift", "dotenv": "swift", "json": "swift", "clouds.yaml": "openstack", "rclone": "rclone"} {
		body, _, err := view.Render(view.Request{Client: client, Auth: view.Password, Format: format}, m)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		written[format] = string(body)
	}
	for what, text := range written {
		if !slices.ContainsFunc(Lines("f", text), func(w Word) bool { return w.Text == password }) {
			t.Errorf("%s hides it: %s", what, text)
		}
	}
}
