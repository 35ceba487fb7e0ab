package daemon_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// TestOpensOnAFullDisk: nothing has to be written to serve, and status tells of
// what could not be until it is.
func TestOpensOnAFullDisk(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.stop()
	var inTheWay []string
	for n := 1; n <= 5; n++ { // so that no predecessor moves, and no commit works
		path := filepath.Join(w.dir, "data", "store.age."+strconv.Itoa(n))
		inTheWay = append(inTheWay, path)
		_ = os.Remove(path)
		if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.start("")
	if got, err := w.view("dev", ""); err != nil || got["OS_PASSWORD"] != secret {
		t.Fatalf("%v, %v", got, err)
	}
	const told = "the store on disk is not what ccad has: "
	w.until("status tells", func() bool { return strings.Contains(w.status().Daemon.Warning, told) })
	for _, path := range inTheWay {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	w.do("POST", "/v1/environments/dev/revoke", nil, nil)
	if warning := w.status().Daemon.Warning; strings.Contains(warning, told) {
		t.Errorf("the disk has it, and yet: %s", warning)
	}
}
