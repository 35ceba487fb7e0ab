package daemon_test

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// Two clouds have a user of one name: each is called by a name that is his
// alone, and that name finds him again.
func TestUsersOfOneNameAreCalledApart(t *testing.T) {
	w := newWorld(t, practice.Options{})
	other, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	there := func(name string) ipc.AddRequest {
		r := w.addRequest(name, "dev-ccontini")
		r.AuthURL, r.S3Endpoint = other.AuthURL, other.S3URL
		return r
	}
	w.add("here", "dev-ccontini")
	if u := w.environment("here").User; u != w.cloud.User.Name {
		t.Errorf("the only one of his name is called %s", u)
	}
	var out ipc.Changes
	w.do("POST", "/v1/environments", there("there"), &out)
	hosts := map[string]string{"here": host(t, w.cloud.AuthURL), "there": host(t, other.AuthURL)}
	if want := w.cloud.User.Name + "@" + hosts["there"]; out.Changes[0].User != want {
		t.Errorf("add calls him %s, want %s", out.Changes[0].User, want)
	}
	next := w.watch()
	for name, host := range hosts {
		want := w.cloud.User.Name + "@" + host
		if e := w.environment(name); e.User != want {
			t.Errorf("%s: its user is called %s", name, e.User)
		}
		s := w.status()
		if i := strings.Index(s.Users[0].Name+" "+s.Users[1].Name, want); i < 0 {
			t.Errorf("status calls the users %s and %s", s.Users[0].Name, s.Users[1].Name)
		}
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: want, Password: secret}, &out)
		if len(out.Changes) != 1 || out.Changes[0].Environment != name || out.Changes[0].User != want {
			t.Errorf("update --user %s: %+v", want, out.Changes)
		}
		if e := next("adopted", name); e.User != want {
			t.Errorf("an event of %s calls him %q", name, e.User)
		}
	}
	bare := w.try("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: secret}, nil)
	w.want(bare, ipc.CodeUnknown, w.cloud.User.Name+"@"+hosts["there"])
	r := there("here")
	r.Project = "system-ccontini"
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeTaken, "@"+hosts["here"])
	w.restart()
	if u := w.environment("here").User; u != w.cloud.User.Name+"@"+hosts["here"] {
		t.Errorf("after a restart he is called %s", u)
	}
	w.do("DELETE", "/v1/environments/there", nil, nil)
	if u := w.environment("here").User; u != w.cloud.User.Name {
		t.Errorf("the only one left is called %s", u)
	}
}

// Nor does one cloud's second domain make two users one.
func TestUsersOfTwoDomains(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for name, domain := range map[string]string{"a": "default", "b": "other"} {
		r := w.addRequest(name, "p")
		r.UserDomainID, r.NoVerify = domain, true
		w.do("POST", "/v1/environments", r, nil)
	}
	at := w.cloud.User.Name + "@" + host(t, w.cloud.AuthURL)
	for name, want := range map[string]string{"a": at + "/default", "b": at + "/other"} {
		if e := w.environment(name); e.User != want {
			t.Errorf("%s: its user is called %s, want %s", name, e.User, want)
		}
		var out ipc.Changes
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: want, Password: "next", NoVerify: true}, &out)
		if len(out.Changes) != 1 || out.Changes[0].Environment != name {
			t.Errorf("update --user %s: %+v", want, out.Changes)
		}
	}
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: at, Password: "x"}, nil), ipc.CodeUnknown, at+"/other")
}

// A user's host may be given without its port, where that is one user's alone.
func TestUserAtHostWithoutPort(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for name, url := range map[string]string{"a": "http://127.0.0.1:5000/v3", "b": "http://127.0.0.2:5000/v3", "c": "http://127.0.0.2:5001/v3"} {
		r := w.addRequest(name, "p")
		r.AuthURL, r.NoVerify = url, true
		w.do("POST", "/v1/environments", r, nil)
	}
	user := w.cloud.User.Name
	for _, name := range []string{user + "@127.0.0.1", user + "@127.0.0.1:5000"} {
		var out ipc.Changes
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: name, Password: "next", NoVerify: true}, &out)
		if len(out.Changes) != 1 || out.Changes[0].Environment != "a" {
			t.Errorf("update --user %s: %+v", name, out.Changes)
		}
	}
	for name, says := range map[string]string{
		user:                user + "@127.0.0.1:5000, " + user + "@127.0.0.2:5000",
		user + "@127.0.0.2": "say which: " + user + "@127.0.0.2:5000, " + user + "@127.0.0.2:5001",
	} {
		err := w.try("POST", "/v1/update", ipc.UpdateRequest{User: name, Password: "next", NoVerify: true}, nil)
		w.want(err, ipc.CodeUnknown, says)
		if strings.Contains(err.Error(), "no such") {
			t.Errorf("there are several, and it says %v", err)
		}
	}
}

func host(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// The trail calls a user as all else does, whatever it tells of him.
func TestTrailCallsUsersApart(t *testing.T) {
	w, _ := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	elsewhere := w.addRequest("elsewhere", "p")
	elsewhere.AuthURL, elsewhere.NoVerify = "https://keystone.example", true
	w.do("POST", "/v1/environments", elsewhere, nil)
	called := w.environment("dev").User
	path := filepath.Join(w.dir, "openrc")
	w.save(path, w.openrc(secret, "dev-ccontini", ""))
	w.importAll("dev", path)
	before := len(w.recorded())

	w.cloud.Reset(w.cloud.User.Name, "by-file")
	w.save(path, w.openrc("by-file", "dev-ccontini", ""))
	w.has("dev", "by-file")
	w.cloud.Reset(w.cloud.User.Name, "by-portal")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true})
	w.rotate(ipc.RotateRequest{User: called, Password: true})

	told := map[string]bool{}
	for _, line := range w.recorded()[before:] {
		var e struct{ Event, User, Note string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		told[e.Event+" "+e.Note] = true
		if e.User != "" && e.User != called {
			t.Errorf("he is called %s, and is %s: %s", e.User, called, line)
		}
	}
	for _, event := range []string{"adopted " + path, "adopted the portal", "key-deleted ", "rotated password"} {
		if !told[event] {
			t.Errorf("%q is not in the trail: %v", event, told)
		}
	}
}

// A name that no Keystone could have is refused, and not shown.
func TestNamesAreShort(t *testing.T) {
	w := newWorld(t, practice.Options{})
	long := strings.Repeat("é", 256)
	for what, in := range map[string]func(*ipc.AddRequest){
		"user":           func(r *ipc.AddRequest) { r.User = long },
		"project":        func(r *ipc.AddRequest) { r.Project = long },
		"user domain":    func(r *ipc.AddRequest) { r.UserDomainID = long },
		"project domain": func(r *ipc.AddRequest) { r.ProjectDomainID = long },
	} {
		r := w.addRequest("dev", "dev-ccontini")
		in(&r)
		err := w.try("POST", "/v1/environments", r, nil)
		w.want(err, ipc.CodeUsage, "of 255 characters at most")
		if err != nil && strings.Contains(err.Error(), "éé") {
			t.Errorf("%s: it is shown: %v", what, err)
		}
	}
	if s := w.status(); len(s.Users)+len(s.Environments) != 0 {
		t.Errorf("%+v is stored", s)
	}
	r := w.addRequest("dev", "dev-ccontini")
	r.User, r.NoVerify = long[:2*255], true
	w.do("POST", "/v1/environments", r, nil)
}
