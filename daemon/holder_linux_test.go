package daemon_test

import (
	"os"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// The command that ccactl exec runs has taken ccactl's place, and is named as the
// holder by its own name.
func TestHolderIsNamedAsItIsNow(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	before, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.view("dev", "&as=exec"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/comm", []byte("sleep"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.WriteFile("/proc/self/comm", before, 0) }()
	var shown ipc.Shown
	w.do("GET", "/v1/environments/dev", nil, &shown)
	if len(shown.Holders) != 1 || shown.Holders[0].Program != "sleep" || shown.Holders[0].PID != os.Getpid() {
		t.Errorf("held by %+v", shown.Holders)
	}
}
