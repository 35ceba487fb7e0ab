package daemon_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	events := w.events()
	before := p.Requests()
	w.cloud.Reset(w.cloud.User.Name, "regenerated-1")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev"}, nil) // the first program that fails
	for _, name := range []string{"dev", "system"} {
		w.until(name+" has what the portal shows", func() bool {
			s := w.shown(name)
			return s.Password == "regenerated-1" && s.State == "ok" && w.listed(s.S3.AccessKeyID)
		})
	}
	events.once("healed", "works again")
	if n := w.refusals(); n != 1 {
		t.Errorf("%d passwords were refused on the way", n)
	}
	if p.Requests() == before {
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

// TestPortalRefusalIsTold: a key that the portal refuses, in the midst of its
// list too, is an incident, stands in status and in the metrics, and a person's
// login ends it.
func TestPortalRefusalIsTold(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	if w.status().Portal != nil {
		t.Error("status tells of a portal that nobody has a key to")
	}
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	if s := w.status().Portal; s == nil || s.Refused != nil || w.metric("ccad_portal_refused") != "0" {
		t.Errorf("%+v", s)
	}
	events := w.events()
	p.Behave(practice.PortalQuirk{Status: http.StatusUnauthorized, Skip: 2}) // the list and the first environment
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeRefused, "it knows no such API key")
	sent := p.Requests()
	w.want(w.try("GET", "/v1/portal", nil, nil), ipc.CodeRefused, "not sent again")
	if p.Requests() != sent {
		t.Error("a refused key was sent again")
	}
	events.once("refused", "the portal refuses its API key")
	if s := w.status().Portal; s.Refused == nil || !strings.Contains(s.Reason, "no such API key") || w.metric("ccad_portal_refused") != "1" {
		t.Errorf("%+v", s)
	}
	p.Behave(practice.PortalQuirk{})
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	events.once("healed", "the portal accepts its API key again")
	if s := w.status().Portal; s.Refused != nil {
		t.Errorf("%+v", s)
	}
}

// TestPortalMistypedKey: another key than the stored one that the portal refuses is
// no incident, for the stored one goes on working; the stored one is, once.
func TestPortalMistypedKey(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	const incidents = `ccad_incidents_total{kind="portal-key",state="refused"}`
	before := w.metric(incidents)
	_, err := w.portalLogin("mistyped")
	w.want(err, ipc.CodeRefused, "it knows no such API key")
	if s := w.status().Portal; s == nil || s.Refused != nil || w.metric(incidents) != before {
		t.Errorf("%+v, %s incidents", s, w.metric(incidents))
	}
	w.do("GET", "/v1/portal", nil, nil)
	p.Behave(practice.PortalQuirk{Status: http.StatusUnauthorized})
	for range 2 {
		_, err := w.portalLogin(portalKey)
		w.want(err, ipc.CodeRefused, "it knows no such API key")
	}
	if s := w.status().Portal; s.Refused == nil || w.metric(incidents) != "1" {
		t.Errorf("%+v, %s incidents", s, w.metric(incidents))
	}
}

// TestPortalDenies: an environment that the key may not see is not asked for
// again by itself, over a restart neither, and is once a person has looked.
func TestPortalDenies(t *testing.T) {
	var strange atomic.Bool
	strange.Store(true)
	w, p := newPortalWorld(t, func(shown []practice.PortalEnvironment) []practice.PortalEnvironment {
		for i := range shown {
			shown[i].Stranger = strange.Load()
		}
		return shown
	})
	config := fmt.Sprintf("[portal]\nurl = %q\npoll = \"5s\"\n", p.URL)
	w.stop()
	w.start(config)
	w.add("dev", "dev-ccontini")
	if out, err := w.portalLogin(portalKey); err != nil || out.Environments[0].State != "denied" {
		t.Fatalf("%+v, %v", out, err)
	}
	w.stop()
	before := p.Requests()
	w.start(config)
	w.until("the portal is read", func() bool { return w.metric(`ccad_portal_reads_total{outcome="read"}`) == "1" })
	if n := p.Requests() - before; n != 1 {
		t.Errorf("%d requests, and only the list was not denied", n)
	}
	if s := w.status().Portal; len(s.Troubles) != 0 {
		t.Errorf("it is a trouble that others have environments too: %+v", s)
	}
	strange.Store(false)
	w.do("GET", "/v1/portal", nil, nil) // ccactl portal fields
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.until("the poll adopts again", func() bool { return w.shown("dev").Password == "second" })
}

// TestPortalReadBySeveral: who read the portal at once, while the key comes to see
// other environments, do not write in what all of them read.
func TestPortalReadBySeveral(t *testing.T) {
	var readings atomic.Int64
	w, _ := newPortalWorld(t, func(shown []practice.PortalEnvironment) []practice.PortalEnvironment {
		for i := range shown {
			shown[i].Stranger = readings.Add(1)%3 == 0
		}
		return shown
	})
	w.add("dev", "dev-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if err := w.try("GET", "/v1/portal", nil, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestPortalFields: config.toml says what a field means that ccad does not know.
func TestPortalFields(t *testing.T) {
	w, p := newPortalWorld(t, func(shown []practice.PortalEnvironment) []practice.PortalEnvironment {
		for _, e := range shown {
			for i := range e.Fields {
				if e.Fields[i][0] == "Password" {
					e.Fields[i][0] = "Losung"
				}
			}
		}
		return shown
	})
	w.add("dev", "dev-ccontini")
	w.cloud.Reset(w.cloud.User.Name, "second")
	if _, err := w.portalLogin(portalKey); err != nil || w.shown("dev").Password != secret {
		t.Fatalf("a field of which nobody knows what it means was taken: %v", err)
	}
	w.stop()
	w.start(fmt.Sprintf("[portal]\nurl = %q\n[portal.fields]\npassword = \"Losung\"\n", p.URL))
	w.until("it is taken", func() bool { return w.shown("dev").Password == "second" })
}

// TestPortalAtUnlock: what was regenerated while ccad was locked is there soon
// after it is unlocked, long before the next poll.
func TestPortalAtUnlock(t *testing.T) {
	w, p := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.cloud.Reset(w.cloud.User.Name, "second")
	passphrase := filepath.Join(w.dir, "passphrase")
	data, err := os.ReadFile(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	w.startLocked(fmt.Sprintf("[portal]\nurl = %q\n", p.URL))
	before := p.Requests()
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: strings.TrimSpace(string(data))}, nil)
	w.until("the portal's value is in force", func() bool { return w.shown("dev").Password == "second" })
	if p.Requests() == before {
		t.Error("nobody asked the portal")
	}
}

// TestPortalTroubles: what the portal shows and the cloud refuses stands in
// status.
func TestPortalTroubles(t *testing.T) {
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
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	s := w.status().Portal
	if len(s.Troubles) != 1 || s.Troubles[0].State != "refused" || s.Troubles[0].Environment != "dev" || strings.Contains(s.Troubles[0].Reason, "not-the-password") {
		t.Errorf("%+v", s)
	}
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
	w.add("system", "system-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	events := w.events()
	w.cloud.Reset(w.cloud.User.Name, "regenerated-2")
	for _, name := range []string{"dev", "system"} {
		w.until("the poll adopts what the portal shows", func() bool {
			s := w.shown(name)
			return s.Password == "regenerated-2" && s.State == "ok" && w.listed(s.S3.AccessKeyID)
		})
	}
	events.once("noticed", "was changed elsewhere, its 2 environments have the new one")
	if n := w.refusals(); n != 0 {
		t.Errorf("%d passwords were refused on the way", n)
	}
}
