package rotate

import (
	"fmt"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// An environment stands as the worst of what it rests on does, and the cloud is
// asked by itself where it owes a word and a person has not kept it back.
func TestHowAnEnvironmentStands(t *testing.T) {
	refused := &vault.Refusal{At: epoch}
	yes, hands := vault.Binding{Accepted: true}, vault.Binding{HandsOff: true}
	for _, c := range []struct {
		what     string
		password string // "": none; a state of the user's
		binding  vault.Binding
		creds    vault.Versions[account.ApplicationCredential]
		key      string // "": none; a state of the key's
		owed     bool   // KeysOwed
		project  string
		state    string
		awaits   bool
	}{
		{"all is well", StateOK, yes, none(), StateOK, false, StateOK, StateOK, false},
		{"a project not asked about yet", StateOK, vault.Binding{}, none(), StateOK, false, StateUnverified, StateUnverified, true},
		{"one kept back", StateOK, hands, none(), StateOK, false, StateUnverified, StateUnverified, false},
		{"one kept back, with a new password", StateOK, hands, none(), StateOK, true, StateUnverified, StateUnverified, false},
		{"a new password", StateOK, yes, none(), StateOK, true, StateOK, StateUnverified, true},
		{"a refused project", StateOK, vault.Binding{Accepted: true, Refused: refused}, none(), StateOK, true, StateRefused, StateRefused, false},
		{"a refused project of an unverified user", StateUnverified, vault.Binding{Refused: refused}, none(), "", false, StateRefused, StateRefused, true},
		{"a refused user", StateRefused, yes, none(), StateOK, false, StateOK, StateRefused, false},
		{"a key not asked about yet", StateOK, yes, none(), StateUnverified, false, StateOK, StateUnverified, true},
		{"a refused key", StateUnverified, yes, none(), StateRefused, false, StateOK, StateRefused, true},
		{"an accepted credential", "", vault.Binding{}, credential(vault.Active, true), "", false, StateOK, StateOK, false},
		{"a credential not asked about yet", "", yes, credential(vault.Active, false), "", false, StateUnverified, StateUnverified, true},
		{"a refused credential", "", yes, credential(vault.Refused, true), "", false, StateRefused, StateRefused, false},
		{"neither password nor credential", "", vault.Binding{}, none(), "", false, StateUnverified, StateUnverified, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			u := vault.User{User: account.User{ID: "u", Name: "u"}}
			if c.password != "" {
				passwords, v := u.Passwords.Stage(secretOf("p"), "import", epoch)
				v.Accepted = c.password != StateUnverified
				u.Passwords = passwords.With(v).Activate(v.ID)
			}
			if c.password == StateRefused {
				u.Refused = refused
			}
			e := withKey(pair("a", "1"), vault.Active, c.key != StateUnverified)
			if c.key == "" {
				e = vault.Environment{}
			}
			if c.key == StateRefused {
				e.KeysRefused = refused
			}
			e.ID, e.Name, e.UserID, e.Project = "e", "dev", "u", "p"
			e.Binding, e.AppCreds, e.KeysOwed = c.binding, c.creds, c.owed
			contents := &vault.Contents{Users: map[string]vault.User{"u": u}, Environments: map[string]vault.Environment{"dev": e}}
			got := fmt.Sprintln(ProjectState(contents, e), EnvironmentState(contents, e, epoch), Awaits(contents, e, epoch))
			if want := fmt.Sprintln(c.project, c.state, c.awaits); got != want {
				t.Errorf("project, state, awaits: %swant %s", got, want)
			}
		})
	}
}

func none() (vs vault.Versions[account.ApplicationCredential]) { return vs }

func credential(s vault.State, accepted bool) vault.Versions[account.ApplicationCredential] {
	vs, v := none().Stage(account.ApplicationCredential{ID: "c", Secret: secretOf("s")}, "import", epoch)
	v.State, v.Accepted = s, accepted
	return vs.With(v)
}
