package main

import (
	"os/exec"
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
		"net/http", "crypto/tls", "log/slog", "os/user", "html/template",
		"github.com/99designs/keyring", "github.com/godbus/dbus", "github.com/prometheus",
		"github.com/kardianos", "github.com/aws", "github.com/fsnotify", "github.com/coreos",
		"github.com/pelletier/go-toml", "filippo.io/age", "golang.org/x/crypto", "mvdan.cc/sh",
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
