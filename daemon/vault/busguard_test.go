package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No start of a program with this package may run dbus-launch: it would leave a
// bus behind each time. A fake one, first in PATH, tells.
func TestNoBusIsLaunched(t *testing.T) {
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		t.Log("this user has a session bus: nothing would be launched anyway")
	}
	bin, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\n: >" + ran + "\n"
	if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"DBUS_SESSION_BUS_ADDRESS=", "DBUS_SESSION_BUS_ADDRESS=autolaunch:", "UNRELATED="} {
		cmd := child(t, "nothing")
		cmd.Env = []string{childVariable + "=nothing", "PATH=" + bin, "XDG_RUNTIME_DIR=" + bin, "GORACE=atexit_sleep_ms=0", address}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := os.Stat(ran); err == nil {
			t.Fatalf("with %s, dbus-launch ran", address)
		}
	}
}

// The guard is initialised before whatever looks for a bus.
func TestBusguardComesFirst(t *testing.T) {
	cmd := child(t, "nothing")
	cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	order := map[string]int{}
	for i, line := range strings.Split(string(out), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "init" {
			order[f[1]] = i + 1
		}
	}
	const guard = "github.com/cloud-ca/ccad/daemon/vault/busguard"
	for _, later := range []string{"github.com/godbus/dbus", "github.com/godbus/dbus/v5", "github.com/99designs/keyring"} {
		if order[guard] == 0 || order[later] == 0 || order[guard] > order[later] {
			t.Errorf("%s is initialised as %d, %s as %d:\n%s", guard, order[guard], later, order[later], out)
		}
	}
}
