package cloudsfile

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// pythons returns each Python, in PATH and in /usr/bin, that has openstacksdk.
func pythons(t *testing.T) (all []string) {
	t.Helper()
	for _, candidate := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(candidate)
		if err == nil && !slices.Contains(all, path) && exec.Command(path, "-c", "import openstack.config").Run() == nil {
			all = append(all, path)
		}
	}
	switch {
	case all != nil:
	case os.Getenv("CCAD_TEST_PARTIAL") == "1":
		t.Skip("left out, for CCAD_TEST_PARTIAL=1: no Python with openstacksdk")
	default:
		t.Fatal("no Python with openstacksdk (CCAD_TEST_PARTIAL=1 leaves the test out)")
	}
	return all
}

// TestOpenstacksdk: the file as the program reads it that it is for.
func TestOpenstacksdk(t *testing.T) {
	for _, python := range pythons(t) {
		path := filepath.Join(t.TempDir(), "clouds.yaml")
		c := devCloud
		c.Region = "12:30:45"
		text, _, err := Write(path, "", []Cloud{c})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "-c", `
import json, sys, openstack.config
c = openstack.config.OpenStackConfig(config_files=[sys.argv[1]], load_envvars=False).get_one("dev").config
print(json.dumps([c["auth"], c["region_name"], c["identity_api_version"]]))`, path)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", python, err, out)
		}
		var got []any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint([]any{map[string]any{
			"auth_url": c.AuthURL, "username": c.Username, "project_name": c.ProjectName, "user_domain_id": "default", "project_domain_name": "Sales",
		}, "12:30:45", "3"})
		if fmt.Sprint(got) != want {
			t.Errorf("%s reads\n%v, want\n%s", python, got, want)
		}
	}
}
