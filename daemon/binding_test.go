package daemon_test

import (
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// This file guards that the cloud judges each environment: that its user is
// known says nothing of his next project.

func (w *world) environment(name string) ipc.Environment {
	w.Helper()
	for _, e := range w.status().Environments {
		if e.Name == name {
			return e
		}
	}
	w.Fatalf("there is no environment %s", name)
	return ipc.Environment{}
}

func (w *world) verify(name string) *ipc.Error {
	w.Helper()
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Environments: []string{name}}, &out)
	return out.Changes[0].Error
}

func TestNoVerifyOfAKnownUsersProject(t *testing.T) {
	w := newWorld(t, practice.Options{})
	if c := w.add("dev", "dev-ccontini"); c.State != "ok" || w.environment("dev").ProjectState != "ok" {
		t.Errorf("the cloud accepts it, and it is %s", c.State)
	}
	r := w.addRequest("bogus", "doesnotexist")
	r.NoVerify = true
	var out ipc.Changes
	w.do("POST", "/v1/environments", r, &out)
	if s := out.Changes[0].State; s != "unverified" {
		t.Errorf("the cloud has heard of no such project, and its state is %s", s)
	}
	w.cloud.ResetCounts()
	for _, query := range []string{"&auth=token", "&auth=application-credential"} {
		_, err := w.view("bogus", query)
		w.want(err, ipc.CodeWithheld, "--no-verify")
	}
	w.want(w.try("POST", "/v1/environments/bogus/s3-key", nil, nil), ipc.CodeWithheld, "--no-verify")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: secret}, &out)
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 2 { // a login and dev's project
		t.Errorf("update asked for %d tokens; bogus waits for a person's verify", n)
	}
	for range 2 {
		err := w.verify("bogus")
		if err == nil || err.Code != ipc.CodeRefused {
			t.Fatalf("verify: %v", err)
		}
		w.want(err, ipc.CodeRefused, "project doesnotexist")
		if e := w.environment("bogus"); e.State != "refused" || e.Project != "doesnotexist" || e.ProjectState != "refused" || e.Reason == "" {
			t.Errorf("after a refusal: %+v", e)
		}
		w.restart()
	}
	if e := w.environment("dev"); e.State != "ok" {
		t.Errorf("its user's other environment is %s", e.State)
	}
}

// A project that the cloud grants again is well again, whoever asked.
func TestRefusedProjectComesBack(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	project := w.cloud.User.Projects["dev-ccontini"]
	for name, ask := range map[string]func(){
		"a person's verify": func() { w.verify("dev") },
		"a client's token":  func() { _, _ = w.view("dev", "&auth=token") },
	} {
		w.cloud.LeaveProject(w.cloud.User.Name, project)
		if err := w.verify("dev"); err == nil || w.environment("dev").State != "refused" {
			t.Fatalf("%s: a project that the user has left: %v, %s", name, err, w.environment("dev").State)
		}
		w.cloud.JoinProject(w.cloud.User.Name, project)
		if ask(); w.environment("dev").State != "ok" {
			t.Errorf("%s does not mend it: %+v", name, w.environment("dev"))
		}
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d failed logins", n)
	}
}

// A cloud that goes away between a user's login and his project has judged
// nothing, and is asked again.
func TestUnreachableWhileALoginIsCached(t *testing.T) {
	for name, route := range map[string]string{"project": "POST /v3/auth/tokens", "list of keys": "GET /v3/users/*"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.add("dev", "dev-ccontini")
			key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["system-ccontini"])
			w.cloud.Fail(practice.Fault{Route: route, Status: 503})
			if change := w.add("sys", "system-ccontini"); change.State != "unverified" || len(change.Notes) == 0 {
				t.Errorf("nobody has answered, and it is %s: %q", change.State, change.Notes)
			}
			w.cloud.Heal()
			w.restart() // its first look is at once
			w.until("the project is checked and its S3 key taken", func() bool {
				e := w.environment("sys")
				return e.State == "ok" && e.S3.AccessKeyID == key.Access
			})
		})
	}
}

// What verify has put in another's place is told: Keystone's list has the right
// secret of a key that was given a wrong one.
func TestVerifyTellsOfAnotherKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.newKey()
	w.add("dev", "dev-ccontini")
	for _, want := range []string{"merged", "unchanged"} {
		if want == "merged" {
			w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3Secret: "bad", NoVerify: true}, nil)
		}
		was := w.environment("dev").S3.Version
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Environments: []string{"dev"}}, &out)
		now := w.environment("dev").S3.Version
		if c := out.Changes[0]; c.Error != nil || c.Action != want || (now != was) != (want == "merged") {
			t.Errorf("v%d after v%d: %+v", now, was, c)
		}
	}
}
