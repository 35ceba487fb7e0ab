package main

import (
	"os"
	"path/filepath"
	"testing"
)

// An rc file calls ccactl so that it is found whenever that file is read.
func TestCalledInRC(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/ccactl":            "ccactl",
		"/usr/local/bin/ccactl":      "ccactl",
		"/home/me/.local/bin/ccactl": "~/.local/bin/ccactl",
		"/home/me/my bin/ccactl":     "'/home/me/my bin/ccactl'",
		"/home/mean/bin/ccactl":      "/home/mean/bin/ccactl",
		"/opt/homebrew/bin/ccactl":   "/opt/homebrew/bin/ccactl",
		"/home/me/it's here/bin/cc":  `'/home/me/it'\''s here/bin/cc'`,
	} {
		if got := calledInRC(path, "/home/me"); got != want {
			t.Errorf("%s is called %s, want %s", path, got, want)
		}
	}
}

// What PATH finds is named, where that leads here: what it leads to is another
// folder after an upgrade.
func TestInstalled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if got, err := installed(); err != nil || got != self {
		t.Errorf("with none in PATH: %s, %v", got, err)
	}
	link := filepath.Join(bin, "ccactl")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	if got, err := installed(); err != nil || got != link {
		t.Errorf("got %s, %v, want %s", got, err, link)
	}
}
