package daemon_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A user whose password is refused keeps no other's environments from their turn.
func TestRotateAllPastARefusedUser(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("sys", "system-ccontini")
	other := w.cloud.AddUser("other", secret, "dev-other")
	r := w.addRequest("dev", "dev-other")
	r.User = other.Name
	w.do("POST", "/v1/environments", r, nil)
	for _, name := range []string{"dev", "sys"} {
		w.do("POST", "/v1/environments/"+name+"/s3-key", nil, nil)
	}
	w.cloud.SetPassword(other.Name, "another")
	w.want(w.verify("dev"), ipc.CodeRefused, "")
	lines := w.rotate(ipc.RotateRequest{All: true})
	failed := slices.DeleteFunc(slices.Clone(lines), func(l ipc.RotateLine) bool { return l.Code == "" })
	if len(failed) != 1 || failed[0].Code != ipc.CodeRefused || failed[0].Subject != "the S3 key of dev" || !strings.Contains(story(lines), "flip done") {
		t.Errorf("told %+v", lines)
	}
	if s := w.status(); s.Environments[0].S3.Version != 1 || s.Environments[1].S3.Version != 2 {
		t.Errorf("served: %+v", s.Environments)
	}
}
