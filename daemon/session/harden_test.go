//go:build linux

package session

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHarden hardens a process of its own, and lets it tell how it stands.
func TestHarden(t *testing.T) {
	if os.Getenv("CCAD_TEST_HARDEN") != "" {
		if err := Harden(); err != nil {
			t.Fatal(err)
		}
		var core unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("dumpable %d, core %d of %d\n", dumpable, core.Cur, core.Max)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestHarden$")
	cmd.Env = append(os.Environ(), "CCAD_TEST_HARDEN=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "dumpable 0, core 0 of 0") {
		t.Errorf("%v: %s", err, out)
	}
}
