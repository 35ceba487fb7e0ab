package daemon_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/ipc"
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
	if err := os.WriteFile(path, []byte("\xef\xbb\xbf[serve]\nlease = \"1m\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.LoadConfig(path, true); err == nil || !strings.Contains(err.Error(), "serve.lease is 1m0s") {
		t.Error(err)
	}
}

// The configuration names programs that are run: one that others may write is
// refused before it is looked into.
func TestConfigOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for what, c := range map[string]struct {
		make func() error
		want string
	}{
		"everybody's":    {func() error { return os.Chmod(path, 0o666) }, "others may write it"},
		"readable":       {func() error { return os.Chmod(path, 0o644) }, ""},
		"behind a link":  {func() error { return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path)) }, ""},
		"another user's": {func() error { return os.Chown(path, 12345, 12345) }, "it is another user's"},
		"a folder":       {func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "it is no regular file"},
	} {
		if what == "another user's" && os.Getuid() != 0 {
			continue // only root can make a file another's
		}
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("[nonsense]\n"), 0o600), c.make()); err != nil {
			t.Fatal(err)
		}
		_, err := daemon.LoadConfig(path, false)
		if c.want != "" && (err == nil || err.Error() != "config "+path+": not read: "+c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if c.want == "" && (err == nil || !strings.Contains(err.Error(), "unknown section nonsense")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A keyring that there is none of is told when the configuration is read.
func TestConfigKeyring(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for backend, says := range map[string]string{"nope": "keyring.backend: unknown backend \"nope\"; there are file, ", "keyctl": ""} {
		if err := os.WriteFile(path, []byte("[keyring]\nbackend = \""+backend+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := daemon.LoadConfig(path, true)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", backend, err)
		}
	}
}

// A proxy that is none is told at the start, not by every request; a password
// inside it is not.
func TestConfiguredProxy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for proxy, fine := range map[string]bool{
		"": true, "http://u:hunter2@proxy.example:3128": true, "socks5://127.0.0.1:1080": true,
		"proxy.example:3128": false, "http://u:hunter2@[": false, "x": false, "ftp://u:hunter2@proxy.example": false,
	} {
		if err := os.WriteFile(path, []byte("[cloud]\nproxy = \""+proxy+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := daemon.LoadConfig(path, true)
		if (err == nil) != fine {
			t.Errorf("%q: %v", proxy, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "cloud.proxy is no URL") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: %v", proxy, err)
		}
	}
}

// What config.toml names as proxy is on the way to Keystone and to S3.
func TestConfiguredProxyIsUsed(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method+" "+r.Host] = true
		rw.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	w := newWorld(t, practice.Options{})
	w.stop()
	w.start("[cloud]\nproxy = \"" + proxy.URL + "\"")
	w.do("POST", "/v1/environments", ipc.AddRequest{
		Name: "dev", User: "u", Password: "hunter2", Project: "dev-ccontini", AuthURL: "https://keystone.invalid:443/v3",
		S3Endpoint: "https://s3.invalid:443", S3AccessKey: "AK", S3Secret: "secret", NoVerify: true,
	}, nil)
	if failure := w.verify("dev"); failure == nil || failure.Code != ipc.CodeFailed || !strings.Contains(failure.Message, "proxy") {
		t.Errorf("verify says %v", failure)
	}
	if status := w.buckets(w.gatewayKey("dev")); status != http.StatusServiceUnavailable {
		t.Errorf("through the gateway: %d", status)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, tunnel := range []string{"CONNECT keystone.invalid:443", "CONNECT s3.invalid:443"} {
		if !asked[tunnel] {
			t.Errorf("the proxy was not asked to %s, but %v", tunnel, asked)
		}
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
