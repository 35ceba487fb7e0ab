package ipc

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, name := range []string{"CCAD_SOCKET", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", "/home/u")
	base := map[string]string{"config": "/home/u/.config/ccad", "data": "/home/u/.local/share/ccad", "state": "/home/u/.local/state/ccad"}
	if runtime.GOOS == "darwin" {
		for name := range base {
			base[name] = "/home/u/Library/Application Support/ccad"
		}
	}
	equal := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	equal("config", ConfigPath(), base["config"]+"/config.toml")
	equal("default", DefaultPath(), base["config"]+"/default")
	equal("data", DataDir(), base["data"])
	equal("state", StateDir(), base["state"])
	if got := SocketPath(); !strings.HasPrefix(got, "/run/user/") { // where there is none
		equal("socket without a runtime folder", got, base["state"]+"/run/ccad.sock")
	}

	t.Setenv("XDG_RUNTIME_DIR", "/run/u")
	t.Setenv("XDG_CONFIG_HOME", "/c")
	t.Setenv("XDG_DATA_HOME", "relative/is/ignored")
	equal("socket", SocketPath(), "/run/u/ccad/ccad.sock")
	equal("generations", GenerationFolder(), "/run/u/ccad/gen")
	equal("config", ConfigPath(), "/c/ccad/config.toml")
	equal("data", DataDir(), base["data"])

	t.Setenv("CCAD_SOCKET", "s/ccad.sock")
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	equal("relative socket", SocketPath(), filepath.Join(cwd, "s/ccad.sock"))
	equal("generations", GenerationFolder(), filepath.Join(cwd, "s/gen"))

	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	equal("without HOME", ConfigPath(), strings.Replace(base["config"], "/home/u", me.HomeDir, 1)+"/config.toml")
	t.Setenv("HOME", "relative")
	equal("with a relative HOME", Home(), me.HomeDir)
	t.Setenv("HOME", filepath.Join(t.TempDir(), "gone"))
	if err := CheckHome(); err == nil || !strings.Contains(err.Error(), "no home folder") {
		t.Errorf("a home that is not there: %v", err)
	}
}

func TestCheckFolder(t *testing.T) {
	dir := t.TempDir()
	for mode, fine := range map[os.FileMode]bool{0o700: true, 0o500: true, 0o750: false, 0o701: false, 0o777: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := checkFolder(dir); (err == nil) != fine {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}
