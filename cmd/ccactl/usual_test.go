package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The files are found whatever the home folder is called; an empty one holds
// nothing, and what only looks like a pattern is a name.
func TestUsualFiles(t *testing.T) {
	for _, name := range []string{"plain", "a[b", `back\slash`, "st*r"} {
		home := filepath.Join(t.TempDir(), name)
		for _, folder := range []string{"Downloads", ".config/openstack", ".aws"} {
			if err := os.MkdirAll(filepath.Join(home, folder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for _, file := range []string{".aws/x[1", "dev-openrc.sh", "Downloads/a[1]-openrc", ".config/openstack/clouds.yaml", "empty-openrc.sh", ".bashrc"} {
			path := filepath.Join(home, file)
			text := []byte("x")
			if file == "empty-openrc.sh" {
				text = nil
			} else if file != ".bashrc" {
				want = append(want, real(filepath.Dir(path))+"/"+filepath.Base(path))
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("HOME", home)
		t.Setenv("XDG_CONFIG_HOME", "")
		t.Setenv("XDG_STATE_HOME", "")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws/x[1"))
		got := usualFiles()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := shellFiles(); len(got) != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}
