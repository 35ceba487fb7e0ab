package busguard

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestBus(t *testing.T) {
	with, without := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(with, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folders []string
		want    string
	}{
		{[]string{with, without}, "unix:path=" + with + "/bus"},
		{[]string{without, with}, "unix:path=" + with + "/bus"},
		{[]string{"", with}, "unix:path=" + with + "/bus"},
		{[]string{"", without}, dead},
		{nil, dead},
	} {
		if got := bus(c.folders...); got != c.want {
			t.Errorf("bus(%q) = %s, want %s", c.folders, got, c.want)
		}
	}
	for _, n := range []int{0, 7, 10, 1000, 65534} {
		if decimal(n) != strconv.Itoa(n) {
			t.Errorf("decimal(%d) = %s", n, decimal(n))
		}
	}
}

// It imports os and nothing else, or something might come before it.
func TestImportsOnlyOS(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Imports}}", ".").Output()
	if err != nil || strings.TrimSpace(string(out)) != "[os]" {
		t.Errorf("imports %s, %v", out, err)
	}
}

// What a process with this package has as its bus, by what it was given.
func TestInit(t *testing.T) {
	if os.Getenv("CCAD_TEST_SAY_BUS") != "" {
		_, _ = os.Stdout.WriteString("bus=" + os.Getenv("DBUS_SESSION_BUS_ADDRESS") + "\n")
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runtime := t.TempDir()
	if err := os.WriteFile(filepath.Join(runtime, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"":                     "unix:path=" + runtime + "/bus",
		"autolaunch:":          "unix:path=" + runtime + "/bus",
		"unix:path=/some/dead": "unix:path=/some/dead",
	} {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestInit$")
		cmd.Env = []string{"CCAD_TEST_SAY_BUS=1", "XDG_RUNTIME_DIR=" + runtime, "GORACE=atexit_sleep_ms=0", "DBUS_SESSION_BUS_ADDRESS=" + given}
		if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "bus="+want {
			t.Errorf("given %q: %s, %v; want %s", given, out, err, want)
		}
	}
}
