package daemon_test

import (
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A key that a person puts in force while the former one drains is replaced when
// he asks for it, and the trail has every key that was deleted, the one that was
// left with the first rotation too.
func TestTrailOfARotationThatGaveWay(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if _, _, err := w.get("/v1/environments/dev/views/credential-process?direct=true"); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", DryRun: true})
	if len(plan) != 1 || len(plan[0].Broken) != 1 {
		t.Errorf("the plan: %+v", plan)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true})
	w.until("all that was left is over", func() bool { return w.status().Environments[0].Rotation == nil })
	if e := w.status().Environments[0]; e.S3.AccessKeyID == key.Access || len(w.cloud.Keys(w.cloud.User.Name)) != 2 {
		t.Errorf("dev has %+v; at the cloud are %+v", e.S3, w.cloud.Keys(w.cloud.User.Name))
	}
	if got := w.rotations(); got != "rotated dev\nrotated dev\nkey-deleted dev\nkey-deleted dev\n" {
		t.Errorf("the trail:\n%s", got)
	}
}
