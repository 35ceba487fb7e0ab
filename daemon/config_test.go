package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon"
)

// An error of the configuration shows the place: line, column, and a caret.
func TestConfigErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]string{
		"[watch]\nrescan = \"60s\"\n\tnonsense = 1\n": ":3:2: unknown key watch.nonsense\n  \tnonsense = 1\n  \t^",
		"[nonsense]\r\nx = 1\r\n":                     ":1:2: unknown section nonsense\n  [nonsense]\n   ^",
		"[watch\n":                                    ":1:7: expected ']' to close table name\n  [watch\n        ^",
		"keyring = 3\n":                               ":1:11: this takes another kind of value\n  keyring = 3\n            ^",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.LoadConfig(path, true); err == nil || err.Error() != "config "+path+want {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.WriteFile(path, []byte("[serve]\nlease = \"1m\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.LoadConfig(path, true); err == nil || !strings.Contains(err.Error(), "serve.lease is 1m0s") {
		t.Error(err)
	}
}
