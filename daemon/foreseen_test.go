package daemon_test

import (
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// What an add or an update would be refused for is known before its secret is, and
// whether the user's password is stored; nothing is stored by that, or asked.
func TestForeseen(t *testing.T) {
	w := newWorld(t, practice.Options{})
	bare := func(name, project string) ipc.AddRequest {
		r := w.addRequest(name, project)
		r.Password, r.DryRun = "", true
		return r
	}
	would := func(r ipc.AddRequest) ipc.Change {
		t.Helper()
		var out ipc.Changes
		w.do("POST", "/v1/environments", r, &out)
		return out.Changes[0]
	}
	if c := would(bare("dev", "dev-ccontini")); c.Action != "added" || c.Missing != "password" {
		t.Errorf("a user whom nobody knows: %+v", c)
	}
	if n := len(w.status().Environments); n != 0 {
		t.Fatalf("%d environments are stored", n)
	}
	w.add("dev", "dev-ccontini")
	asked := w.cloud.Count("POST /v3/auth/tokens")
	if c := would(bare("sys", "system-ccontini")); c.Action != "added" || c.Missing != "" {
		t.Errorf("another environment of his: %+v", c)
	}
	if c := would(bare("dev", "dev-ccontini")); c.Action != "merged" || c.Missing != "" {
		t.Errorf("the same one: %+v", c)
	}
	w.want(w.try("POST", "/v1/environments", bare("dev", "system-ccontini"), nil), ipc.CodeTaken, "environment dev is project dev-ccontini")
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: "nosuch", DryRun: true}, nil), ipc.CodeUnknown, "nosuch")
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{Environment: "nosuch", DryRun: true}, nil), ipc.CodeUnknown, "nosuch")
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", DryRun: true}, nil), ipc.CodeUsage, "--s3-access-key")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, DryRun: true}, nil)
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != asked || len(w.status().Environments) != 1 {
		t.Errorf("the cloud was asked %d times, and there are %d environments", n-asked, len(w.status().Environments))
	}
	r := bare("sys", "system-ccontini")
	r.DryRun = false
	if c := would(r); c.Error != nil || c.State != "ok" {
		t.Errorf("with the stored password: %+v", c)
	}
}
