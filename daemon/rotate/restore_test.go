package rotate

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// A backup has no MAC: whoever knows its passphrase may have written it. It says
// neither where the keys of a user go who is here already, nor that plain http is
// allowed.
func TestRestoreFromSomebodyElse(t *testing.T) {
	t.Parallel()
	at := func(url string) account.Endpoint {
		return account.Endpoint{URL: url, InsecureHTTP: strings.HasPrefix(url, "http:")}
	}
	const ours, evil = "https://s3.example", "https://evil.example"
	for what, c := range map[string]struct {
		user string           // whose the environment is: "known", "new", or nobody's
		auth account.Endpoint // of a new user
		s3   account.Endpoint
		http bool   // --insecure-http
		no   string // what is said of it; "": it is brought
	}{
		"his own S3":                {user: "known", s3: at(ours + "/path")},
		"his own S3 by http":        {user: "known", s3: at("http://lab.example")},
		"no S3":                     {user: "known"},
		"another S3":                {user: "known", s3: at(evil), no: "https://evil.example"},
		"another authority's S3":    {user: "known", s3: account.Endpoint{URL: ours, CA: "PEM"}, no: "S3 endpoint https://s3.example"},
		"another S3 by http":        {user: "known", s3: at("http://evil.example"), no: "evil.example is plain http"},
		"another S3, http allowed":  {user: "known", s3: at("http://evil.example"), http: true, no: "http://evil.example"},
		"a new user":                {user: "new", auth: at("https://auth.example"), s3: at(evil)},
		"a new user by http":        {user: "new", auth: at("http://auth.example"), no: "auth.example is plain http"},
		"a new user, http allowed":  {user: "new", auth: at("http://auth.example"), http: true},
		"a new user at a known one": {user: "new", auth: at("http://known.example")},
		"keys alone":                {s3: at(evil)},
		"keys alone by http":        {s3: at("http://evil.example"), no: "evil.example is plain http"},
		"keys alone, http allowed":  {s3: at("http://evil.example"), http: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			known := vault.User{User: account.User{ID: "u", Name: "known", Auth: at("http://known.example")}}
			environment := func(name, user string, s3 account.Endpoint) vault.Environment {
				return vault.Environment{Environment: account.Environment{ID: name, Name: name, UserID: user, Project: name, S3: account.S3{Endpoint: s3}}}
			}
			w := newWorld(t)
			if err := w.vault.Change(func(c *vault.Contents) error {
				c.Users["u"] = known
				c.Environments["one"], c.Environments["two"] = environment("one", "u", at(ours)), environment("two", "u", at("http://lab.example"))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			old := &vault.Contents{Users: map[string]vault.User{}, Environments: map[string]vault.Environment{}}
			// What a backup brings vouches for nothing that it brings after it.
			old.Users["first"] = vault.User{User: account.User{ID: "first", Name: "first", Auth: known.Auth}}
			old.Environments["a"] = environment("a", "first", at(evil))
			switch c.user {
			case "known":
				known.ID = "theirs"
				old.Users["theirs"] = known
				old.Environments["b"] = environment("b", "theirs", c.s3)
			case "new":
				old.Users["new"] = vault.User{User: account.User{ID: "new", Name: "new", Auth: c.auth}}
				old.Environments["b"] = environment("b", "new", c.s3)
			default:
				old.Environments["b"] = environment("b", "", c.s3)
			}
			outcomes, err := w.Restore(old, false, c.http)
			if err != nil || len(outcomes) != 2 || outcomes[0].Err != nil {
				t.Fatalf("%+v, %v", outcomes, err)
			}
			_, brought := w.Contents().Environments["b"]
			no := outcomes[1].Err
			if brought != (c.no == "") || brought != (no == nil) || no != nil && !strings.Contains(no.Error(), c.no) {
				t.Errorf("brought: %t, and said: %v", brought, no)
			}
			for _, u := range w.Contents().Users {
				if u.Name == "new" && !brought {
					t.Error("the user of what was left out is here")
				}
			}
		})
	}
}
