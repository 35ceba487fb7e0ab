package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What costs time to import, and what only the daemon may know, is not linked.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const ours = "github.com/cloud-ca/ccad/"
	denied := []string{
		"net/http", "crypto", "log/slog", "os/user", "html/template",
		"github.com/99designs/keyring", "github.com/godbus/dbus", "github.com/prometheus",
		"github.com/kardianos", "github.com/aws", "github.com/fsnotify", "github.com/coreos",
		"github.com/pelletier/go-toml", "filippo.io/age", "golang.org/x/crypto", "mvdan.cc/sh",
		"go.yaml.in/yaml", "gopkg.in/yaml.v3",
	}
	deps := strings.Fields(string(out))
	if len(deps) < 20 {
		t.Fatalf("go list -deps names %d packages only", len(deps))
	}
	for _, dep := range deps {
		for _, no := range denied {
			if dep == no || strings.HasPrefix(dep, no+"/") {
				t.Errorf("%s is linked", dep)
			}
		}
		own, inside := strings.CutPrefix(dep, ours)
		if inside && own != "ipc" && own != "cmd/ccactl" && !strings.HasPrefix(own, "cmd/ccactl/") {
			t.Errorf("%s is linked: ccactl knows ipc alone", dep)
		}
	}
}

// What runs before main is paid for at each start: nothing of ours, and of
// others only what cobra and the terminal bring.
func TestInit(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ccactl")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	known := []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sys/unix"}
	packages := 0
	for line := range strings.Lines(trace.String()) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "init" {
			continue
		}
		packages++
		host, _, _ := strings.Cut(words[1], "/")
		if (words[1] == "main" || strings.Contains(host, ".")) && !slices.Contains(known, words[1]) {
			t.Errorf("%s runs before main", words[1])
		}
	}
	if packages < 5 {
		t.Fatalf("the trace names %d packages only:\n%s", packages, trace.String())
	}
}
