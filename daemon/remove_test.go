package daemon_test

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A password that ccad made, and nobody else has, is not lost by the way.
func TestRemoveOnlyCopy(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	user := w.status().Users[0].Name
	w.rotate(ipc.RotateRequest{User: user, Password: true})
	w.want(w.try("DELETE", "/v1/environments/dev", nil, nil), ipc.CodeOnlyCopy, "the password of "+user+" was made by ccad and is nowhere else")
	if n := len(w.status().Environments); n != 1 {
		t.Fatalf("%d environments are left", n)
	}
	var done ipc.Changes
	w.do("DELETE", "/v1/environments/dev?yes=true", nil, &done)
	if told := strings.Join(done.Changes[0].Notes, "\n"); !strings.Contains(told, "the password of "+user+", which ccad had made, is lost") {
		t.Errorf("told: %s", told)
	}
}
