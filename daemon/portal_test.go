package daemon_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

const portalKey = "mc-key-of-this-machine"

// newPortalWorld is a world whose daemon reads a portal that shows what the
// practice cloud has.
func newPortalWorld(t *testing.T, view func([]practice.PortalEnvironment) []practice.PortalEnvironment) (*world, *practice.Portal) {
	t.Helper()
	w := newWorld(t, practice.Options{})
	p, err := practice.StartPortal(portalKey, func() []practice.PortalEnvironment {
		return view(w.cloud.PortalView(w.cloud.User.Name))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w.stop()
	w.start(fmt.Sprintf("[portal]\nurl = %q\n", p.URL))
	return w, p
}

func asShown(e []practice.PortalEnvironment) []practice.PortalEnvironment { return e }

func (w *world) portalLogin(key string) (out ipc.PortalReply, err error) {
	err = w.try("POST", "/v1/portal", ipc.PortalRequest{Key: key}, &out)
	return out, err
}

// TestPortalBringsARegeneratedKey: with the key stored, a Regenerate is adopted
// for every environment of the user, and told once.
func TestPortalBringsARegeneratedKey(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	out, err := w.portalLogin(portalKey)
	if err != nil || len(out.Environments) != 2 || out.Environments[0].Environment != "dev" {
		t.Fatalf("%+v, %v", out, err)
	}
	w.cloud.Reset(w.cloud.User.Name, "regenerated-1")
	var fields ipc.PortalReply
	w.do("GET", "/v1/portal", nil, &fields) // reads, and so adopts: the poll does the same
	for _, name := range []string{"dev", "system"} {
		var shown ipc.Shown
		w.do("GET", "/v1/environments/"+name+"?reveal=true", nil, &shown)
		if shown.Password != "regenerated-1" || shown.State != "ok" || !w.listed(shown.S3.AccessKeyID) {
			t.Errorf("%s: %+v", name, shown)
		}
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d passwords were refused on the way", n)
	}
	if p.Requests() == 0 {
		t.Error("nobody asked the portal")
	}
}

func (w *world) listed(access string) bool {
	for _, k := range w.cloud.Keys(w.cloud.User.Name) {
		if k.Access == access {
			return true
		}
	}
	return false
}

// TestPortalAdoptsOnlyWhatTheCloudAccepts: a portal that shows a wrong password
// costs one failed login, and nothing that works is given up.
func TestPortalAdoptsOnlyWhatTheCloudAccepts(t *testing.T) {
	w, _ := newPortalWorld(t, func(shown []practice.PortalEnvironment) []practice.PortalEnvironment {
		for _, e := range shown {
			for i := range e.Fields {
				if e.Fields[i][0] == "Password" {
					e.Fields[i][1] = "not-the-password"
				}
			}
		}
		return shown
	})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	for range 3 {
		if _, err := w.portalLogin(portalKey); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("a wrong password was sent %d times", n)
	}
	var shown ipc.Shown
	w.do("GET", "/v1/environments/dev?reveal=true", nil, &shown)
	if shown.Password != secret || shown.State != "ok" {
		t.Errorf("%+v", shown)
	}
}

// TestPortalKeyIsSentOnce: a key that the portal refuses is not stored, and one
// that it refuses later is never sent again.
func TestPortalKeyIsSentOnce(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	_, err := w.portalLogin("another")
	w.want(err, ipc.CodeRefused, "it knows no such API key")
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeFailed, "ccactl portal login")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	p.Behave(practice.PortalQuirk{Status: http.StatusForbidden})
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeRefused, "it denies that")
	w.restart()
	w.stop()
	before := p.Requests()
	w.start(fmt.Sprintf("[portal]\nurl = %q\n", p.URL))
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeRefused, "not sent again")
	if n := p.Requests() - before; n != 0 {
		t.Errorf("a refused key was sent %d times more", n)
	}
	p.Behave(practice.PortalQuirk{})
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Error(err)
	}
	w.do("DELETE", "/v1/portal", nil, nil)
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeFailed, "ccactl portal login")
}

// TestPortalElsewhere: the key goes to the portal that it was given for, and
// what the portal shows of another cloud, user or project is not taken.
func TestPortalElsewhere(t *testing.T) {
	for field, is := range map[string][2]string{
		"Authentication URL": {"https://auth.example.org", "foreign"}, "User name": {"somebody", "foreign"}, "Project name": {"elsewhere", "unknown"},
	} {
		w, _ := newPortalWorld(t, func(shown []practice.PortalEnvironment) []practice.PortalEnvironment {
			for i, f := range shown[0].Fields {
				switch f[0] {
				case field:
					shown[0].Fields[i][1] = is[0]
				case "Password":
					shown[0].Fields[i][1] = "planted"
				}
			}
			return shown[:1]
		})
		w.add("system", "system-ccontini")
		out, err := w.portalLogin(portalKey)
		if err != nil || out.Environments[0].State != is[1] {
			t.Errorf("%s: %+v, %v", field, out, err)
		}
		if troubles := w.status().Portal.Troubles; (len(troubles) == 1) != (is[1] == "foreign") {
			t.Errorf("%s: status tells %+v", field, troubles)
		}
		if n := w.refusals(); n != 0 {
			t.Errorf("%s: a planted password was sent", field)
		}
	}
	w, p := newPortalWorld(t, asShown)
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.start("[portal]\nurl = \"https://portal.example.org/api/v2\"\n")
	before := p.Requests()
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeFailed, "names another portal")
	if p.Requests() != before {
		t.Error("the former portal was asked")
	}
}

// TestPortalIsPolled: nobody touches the machine, and a Regenerate is adopted.
func TestPortalIsPolled(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.stop()
	w.start(fmt.Sprintf("[portal]\nurl = %q\npoll = \"5s\"\n", p.URL))
	w.add("dev", "dev-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	w.cloud.Reset(w.cloud.User.Name, "regenerated-2")
	w.until("the poll adopts what the portal shows", func() bool {
		var shown ipc.Shown
		w.do("GET", "/v1/environments/dev?reveal=true", nil, &shown)
		return shown.Password == "regenerated-2" && shown.State == "ok" && w.listed(shown.S3.AccessKeyID)
	})
}
