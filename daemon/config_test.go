package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/test/practice"
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

// The contract's own sample, with what its comments name written out, starts a
// daemon.
func TestContractsSample(t *testing.T) {
	sample := `[keyring]
backend = "file"          # file | secret-service | keychain | kwallet | pass | keyctl; written at first use and never changed silently
[serve]
lease = "20m"             # 16m to 12h
[gateway]
listen = ""               # empty: 127.0.0.1 and a port chosen free at first use, then kept here
[lock]
idle = "0s"               # 0: never
on_suspend = false
on_session_lock = false
[watch]
rescan = "60s"
probe = "10m"             # 0: never
[rotate]
every = ""                # "90d"; per user with [rotate.user."NAME"]
grace = "1h"              # for holders whose end is unknown
[portal]
url = ""                  # base URL of the portal's API; its key is stored by ` + "`ccactl portal login`" + `
[metrics]
listen = ""               # empty: on the socket only
[[render]]                # written by ` + "`ccactl render`" + `
environment = "dev"
view = "rclone"
path = "~/.config/rclone/rclone.conf"
reload = []               # argv, run without a shell
`
	w := newWorld(t, practice.Options{})
	for _, config := range []string{sample, strings.NewReplacer(`every = ""`, `every = "90d"`, "[portal]", "[rotate.user.\"NAME\"]\nevery = \"30d\"\n[portal]").Replace(sample)} {
		w.stop()
		w.start(config)
		if s := w.status(); s.Daemon.Locked {
			t.Errorf("the daemon is %+v", s.Daemon)
		}
	}
}
