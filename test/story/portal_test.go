package story

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloud-ca/ccad/test/lab"
	"github.com/cloud-ca/ccad/test/practice"
)

// shownKey finds the password that the story's portal shows.
type shownKey struct{}

// portal KEYFILE PASSWORD: starts a stand-in of the portal that shows the
// story's user what the lab has. Its URL is PORTAL_URL, its API key in KEYFILE.
func portal(t *testing.T, real *lab.Lab, ts *testscript.TestScript, _ bool, args []string) {
	u, _ := ts.Value(userKey{}).(lab.User)
	shown, _ := ts.Value(shownKey{}).(*atomic.Value)
	shown.Store(args[1])
	ts.Check(os.WriteFile(args[0], []byte("mc-key-of-the-story\n"), 0o600))
	p, err := practice.StartPortal("mc-key-of-the-story", func() []practice.PortalEnvironment { return portalOf(t, real, u, shown) })
	ts.Check(err)
	ts.Defer(p.Close)
	ts.Setenv("PORTAL_URL", p.URL)
}

func portalOf(t *testing.T, real *lab.Lab, u lab.User, shown *atomic.Value) (list []practice.PortalEnvironment) {
	keys := real.Keys(t, u.Name)
	for name, id := range u.Projects {
		fields := [][2]string{{"Project name", name}, {"User name", u.Name}, {"Password", shown.Load().(string)},
			{"Authentication URL", real.AuthURL[:len(real.AuthURL)-len("/v3")]}}
		for _, k := range keys {
			if k.ProjectID == id {
				fields = append(fields, [2]string{"S3 API access key", k.Access}, [2]string{"S3 API secret key", k.Secret})
			}
		}
		list = append(list, practice.PortalEnvironment{ID: id, Name: name, Fields: fields})
	}
	return list
}

// portal-regenerate PASSWORD: what pressing Regenerate does, and what the portal
// then shows.
func portalRegenerate(t *testing.T, real *lab.Lab, ts *testscript.TestScript, _ bool, args []string) {
	u, _ := ts.Value(userKey{}).(lab.User)
	real.Regenerate(t, u, args[0])
	shown, _ := ts.Value(shownKey{}).(*atomic.Value)
	shown.Store(args[0])
}
