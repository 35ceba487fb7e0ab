package daemon_test

import (
	"net/url"
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

func host(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
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
