package daemon_test

import (
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestStale: what went out of force is known again, living secrets and words
// that never were any are not told, and what comes back into force is forgotten.
func TestStale(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.add("dev", "dev-ccontini")
	var before ipc.Shown
	w.do("GET", "/v1/environments/dev?reveal=true", nil, &before)
	words := []string{"never-a-secret", secret, "second-password", before.SecretAccessKey}
	ask := func() map[int]string {
		var reply ipc.StaleReply
		w.do("POST", "/v1/stale", ipc.StaleRequest{Words: words}, &reply)
		kinds := map[int]string{}
		for _, s := range reply.Found {
			kinds[s.Index] = s.Kind + " of " + s.Subject
			if s.Refused {
				kinds[s.Index] += ", refused"
			}
		}
		return kinds
	}
	if found := ask(); len(found) != 0 {
		t.Errorf("before anything changed: %v", found)
	}
	w.cloud.Reset(w.cloud.User.Name, "second-password")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second-password"}, nil)
	if found := ask(); len(found) != 2 || found[1] != "password of "+w.cloud.User.Name || found[3] != "s3-key of dev" {
		t.Errorf("after a Regenerate: %v", found)
	}
	w.cloud.SetPassword(w.cloud.User.Name, secret)
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: secret}, nil)
	if found := ask(); len(found) != 2 || found[2] == "" || found[1] != "" {
		t.Errorf("after the first came back: %v", found)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "third-password")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if found := ask(); found[1] != "password of "+w.cloud.User.Name+", refused" {
		t.Errorf("after the cloud refuses what is in force: %v", found)
	}
}

// TestStaleRefused: a password in force that the cloud refuses counts as former, and
// one that has expired does not: it is right, and has only to be changed.
func TestStaleRefused(t *testing.T) {
	for _, expired := range []bool{false, true} {
		w := newWorld(t, practice.Options{})
		w.add("dev", "dev-ccontini")
		if expired {
			w.cloud.ExpirePassword(w.cloud.User.Name)
		} else {
			w.cloud.Reset(w.cloud.User.Name, "second")
		}
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
		var reply ipc.StaleReply
		w.do("POST", "/v1/stale", ipc.StaleRequest{Words: []string{secret}}, &reply)
		if u := w.status().Users[0]; u.State != "refused" || u.Expired != expired || (len(reply.Found) == 0) != expired {
			t.Errorf("%+v: found %+v", u, reply.Found)
		}
	}
}
