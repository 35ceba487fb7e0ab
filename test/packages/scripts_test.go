package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// systemctl enables and disables below the root that dpkg installs into; what
// it would tell managers that run goes to a log. Alice alone is logged in.
const systemctl = `#!/bin/sh
case "$*" in
--global*) exec /usr/bin/systemctl --root="$DPKG_ROOT" "$@" ;;
list-units*) echo "user@1000.service loaded active running" ;;
*list-unit-files*) echo "ccad.socket enabled" ;;
*) echo "$*" >>"$DPKG_ROOT/asked" ;;
esac
`

// A removal is undone by an installation, an administrator's word by neither; a
// purge leaves nothing of the package's and of root's.
func TestScripts(t *testing.T) {
	root, stub := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(stub, "systemctl"), []byte(systemctl), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("run/systemd/system/here", "")
	write("var/lib/dpkg/status", "")
	env := []string{"PATH=" + stub + ":" + os.Getenv("PATH")}
	dpkg := func(args ...string) (asked string) {
		t.Helper()
		_ = os.Remove(filepath.Join(root, "asked"))
		run(t, env, "dpkg", append([]string{"--root=" + root, "--force-script-chrootless", "--log=/dev/null"}, args...)...)
		said, err := os.ReadFile(filepath.Join(root, "asked"))
		if err != nil {
			t.Fatalf("dpkg %v asked no manager: %v", args, err)
		}
		return string(said)
	}
	const start = "--user --machine=1000@.host --quiet start ccad.socket\n"
	stands := func(when, asked string, enabled, started bool) {
		t.Helper()
		_, err := os.Lstat(filepath.Join(root, "etc/systemd/user/sockets.target.wants/ccad.socket"))
		if (err == nil) != enabled || strings.Contains(asked, start) != started {
			t.Errorf("%s: the socket is enabled: %v; asked of the managers:\n%s", when, err == nil, asked)
		}
	}
	stands("installed", dpkg("-i", file(t, "deb")), true, true)
	stands("upgraded", dpkg("-i", file(t, "deb")), true, false)
	stands("removed", dpkg("-r", "ccad"), false, false)
	stands("installed again", dpkg("-i", file(t, "deb")), true, true)
	stands("upgraded again", dpkg("-i", file(t, "deb")), true, false)
	run(t, append(env, "DPKG_ROOT="+root), filepath.Join(stub, "systemctl"), "--global", "disable", "ccad.socket")
	stands("upgraded over the administrator's word", dpkg("-i", file(t, "deb")), false, false)
	dpkg("-r", "ccad")
	stands("installed over it", dpkg("-i", file(t, "deb")), false, false)

	write("etc/credstore.encrypted/ccad.1000", "sealed")
	write("etc/credstore.encrypted/other", "sealed")
	write("etc/systemd/system/user@1000.service.d/ccad.conf", "# A unit of ccad: ccad uninstall --seal removes this file.\n")
	write("etc/systemd/system/user@1001.service.d/ccad.conf", "[Service]\n")
	dpkg("-r", "ccad")
	if _, err := os.Stat(filepath.Join(root, "etc/credstore.encrypted/ccad.1000")); err != nil {
		t.Errorf("a removal takes what is sealed: %v", err)
	}
	if asked := dpkg("-P", "ccad"); !strings.Contains("\n"+asked, "\ndaemon-reload\n") {
		t.Errorf("after the purge the manager has its former units: %s", asked)
	}
	var left []string
	err := filepath.WalkDir(filepath.Join(root, "etc"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, strings.TrimPrefix(path, root))
		}
		return err
	})
	if got := strings.Join(left, " "); err != nil || got != "/etc/credstore.encrypted/other /etc/systemd/system/user@1001.service.d/ccad.conf" {
		t.Errorf("left in /etc: %s, %v", got, err)
	}
	for _, path := range []string{"etc/systemd/system/user@1000.service.d", "var/lib/ccad"} {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}
