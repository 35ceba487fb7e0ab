package story

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/lab"
)

// A guarded is a rig on a Keystone that locks accounts. What ccad proves itself
// with is counted, and its answers may be lost.
type guarded struct {
	*rig

	wrong  map[string]int // how often Keystone said no to each password
	change func(forward func()) (answer bool)
	login  func(forward func()) (answer bool)
}

func newGuarded(t *testing.T, l *lab.Lab) *guarded {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{rig: newRig(t, l, filepath.Join(bin, "plain", "ccad"), "[watch]\nprobe = \"1s\"\n"), wrong: map[string]int{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = g.pass
	return g
}

// pass is the rig's hook.
func (g *guarded) pass(_ *http.Request, body []byte, forward func() (int, []byte)) (answers bool) {
	password, changes := passwordIn(body)
	if password == "" {
		forward()
		return true
	}
	ask := func() {
		if status, answer := forward(); status == http.StatusUnauthorized && !strings.Contains(string(answer), "expired") {
			g.mu.Lock()
			g.wrong[password]++
			g.mu.Unlock()
		}
	}
	g.mu.Lock()
	hook := g.login
	if changes {
		hook = g.change
	}
	g.mu.Unlock()
	if hook == nil {
		ask()
		return true
	}
	return hook(ask)
}

// passwordIn is the password that a request proves itself with.
func passwordIn(body []byte) (password string, changes bool) {
	var doc struct {
		Auth struct {
			Identity struct {
				Password struct{ User struct{ Password string } }
			}
		}
		User struct {
			OriginalPassword string `json:"original_password"`
		}
	}
	_ = json.Unmarshal(body, &doc)
	if doc.User.OriginalPassword != "" {
		return doc.User.OriginalPassword, true
	}
	return doc.Auth.Identity.Password.User.Password, false
}

// hooks sets what happens to changes and logins from now on; nil: nothing.
func (g *guarded) hooks(change, login func(forward func()) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change, g.login = change, login
}

// notLocked proves that the user can still log in, past ccad, and that no wrong
// password was sent more often than that.
func (g *guarded) notLocked(password string, most int) {
	g.Helper()
	g.mu.Lock()
	for value, n := range g.wrong {
		if n > most {
			g.Errorf("Keystone refused %q %d times", value, n)
		}
	}
	g.mu.Unlock()
	body := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"id":"default"},"password":%q}}}}}`, g.user.Name, password)
	res, err := http.Post(g.lab.AuthURL+"/auth/tokens", "application/json", strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		g.Errorf("the right password is refused (%d): the user is locked out", res.StatusCode)
	}
}

// served is the password that a shell gets.
func (g *guarded) served() string {
	g.Helper()
	for _, line := range strings.Split(g.must(0, "", "env", "dev", "--format", "dotenv"), "\n") {
		if value, ok := strings.CutPrefix(line, "OS_PASSWORD="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	g.Fatal("the view has no password")
	return ""
}
