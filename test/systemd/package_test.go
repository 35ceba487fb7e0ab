package systemd

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/lab"
)

// pack builds the .deb of a version into a folder. With another protocol it is
// the package of a release that speaks that.
func pack(t *testing.T, folder, version, protocol string) {
	t.Helper()
	cmd := exec.Command("packaging/package.sh", folder, goarch(t))
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "VERSION="+version)
	if protocol != "" {
		cmd.Env = append(cmd.Env, "GOFLAGS=-overlay="+overlay(t, protocol))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func goarch(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// overlay is the compiler's view of a tree whose protocol is another.
func overlay(t *testing.T, protocol string) string {
	t.Helper()
	original, err := filepath.Abs("../../ipc/ipc.go")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`(?m)^(\s*(?:const )?Protocol\s*=\s*)\d+`).ReplaceAll(data, []byte("${1}"+protocol))
	if string(changed) == string(data) {
		t.Fatal("ipc.go has no Protocol")
	}
	folder := t.TempDir()
	list, _ := json.Marshal(map[string]map[string]string{"Replace": {original: folder + "/ipc.go"}})
	for name, content := range map[string][]byte{"ipc.go": changed, "overlay.json": list} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder + "/overlay.json"
}

// Installed, upgraded, removed and purged by dpkg, under users who are logged in.
func TestPackage(t *testing.T) {
	folder := t.TempDir()
	pack(t, folder, "v0.1.0", "")
	pack(t, folder, "v0.2.0", "99")
	m := &machine{t, lab.Boot(t, folder+":/opt/packages")}
	m.root(`echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
		for user in alice bob; do useradd -m -s /bin/bash $user; done
		printf 'correct horse\n' >/home/alice/passphrase; chown alice: /home/alice/passphrase; chmod 600 /home/alice/passphrase`)
	m.login()
	before := m.root(traces)

	t.Log("installed: who is logged in has the socket, and the first request starts ccad")
	m.root("dpkg -i /opt/packages/ccad_0.1.0*.deb >/dev/null")
	m.says("systemctl --user is-active ccad.socket ccad.service || :", `^active\ninactive$`)
	m.says("ccactl status", `locked`)
	m.says("ccactl version", `0\.1\.0`)
	m.says("stat -c '%a %U' /usr/bin/ccad", `^711 root$`)
	m.says("bash -ic 'complete -p ccactl' 2>/dev/null || ls /usr/share/bash-completion/completions/ccactl", `ccactl`)

	t.Log("who logs in later has it too")
	if out, err := m.lab.Run("bob", "systemctl --user is-active ccad.socket; ccactl status"); err != nil || !strings.Contains(out, "locked") {
		t.Errorf("bob: %v\n%s", err, out)
	}

	t.Log("setup makes it her own service, which comes up with the login")
	m.says("ccactl setup --yes --passphrase-file passphrase --without import,aws,shell,scrub,verify", `Install ccad as your service`, `ccad-gateway\.socket$`, `!wrote .*ccad\.service`, `the file keyring is open`)
	m.says("ccad status", `^ccad\.service +active \(running\), enabled`, `^ccad-gateway\.socket +active`)
	m.says(`printf s3-secret | ccactl add dev --s3-endpoint http://127.0.0.1:9 --insecure-http --s3-access-key AKIA --s3-secret-stdin --no-verify
		ccactl credential-process --env dev`, `"AccessKeyId":"AKIA","SecretAccessKey":"s3-secret"`)
	m.says("journalctl --user -u ccad --no-pager", `ready version=0\.1\.0`, `!s3-secret`)
	m.root("loginctl disable-linger alice; loginctl terminate-user alice; for i in $(seq 300); do [ -e /run/user/1000 ] || exit 0; sleep 0.1; done; exit 1")
	m.login()
	m.until("systemctl --user is-active ccad.service ccad-gateway.socket")
	m.alice("ccactl unlock --passphrase-file passphrase")

	t.Log("upgraded to another protocol: what runs goes on, and what mends it is said")
	m.root("loginctl enable-linger bob")
	m.lab.Until(t, "bob", "ccactl status")
	process := m.alice("systemctl --user show -p MainPID --value ccad")
	m.root("dpkg -i /opt/packages/ccad_0.2.0*.deb >/dev/null")
	m.says("systemctl --user show -p MainPID --value ccad", `^`+process+`$`)
	if out, err := m.lab.Run("alice", "ccactl credential-process --env dev"); err == nil || !strings.Contains(out, "ccad restart") {
		t.Errorf("an older daemon: %v\n%s", err, out)
	}
	if out, err := m.lab.Run("bob", "ccactl status"); err == nil || !strings.HasSuffix(out, "ccad restart") {
		t.Errorf("of one who never installed it: %v\n%s", err, out)
	}
	m.says(`ccad restart >/dev/null; ccactl unlock --passphrase-file passphrase; ccactl version; ccactl credential-process --env dev; ccactl log --verify`,
		`0\.2\.0`, `"AccessKeyId":"AKIA","SecretAccessKey":"s3-secret"`)

	t.Log("a keyring is chosen while there is none, though the socket has started ccad")
	if out, err := m.lab.Run("bob", "ccad restart && ccactl status && ccactl setup --yes --keyring keyctl --without import,aws,shell,scrub,verify && ccad status && ccactl status"); err != nil ||
		!strings.Contains(out, "keyring file, locked") || !strings.Contains(out, "keyring keyctl, unlocked") {
		t.Errorf("bob: %v\n%s", err, out)
	}

	t.Log("the strict drop-in of its documentation")
	m.says(`mkdir -p `+units+`ccad.service.d; cp /usr/share/doc/ccad/examples/strict.conf `+units+`ccad.service.d/
		systemctl --user daemon-reload; ccad restart >/dev/null; ccactl unlock --passphrase-file passphrase; ccactl credential-process --env dev
		rm -r `+units+`ccad.service.d; systemctl --user daemon-reload`, `s3-secret`)

	t.Log("removed and installed again it listens")
	m.root("SUDO_UID=1000 ccad install --seal </home/alice/passphrase; dpkg -r ccad >/dev/null; dpkg -i /opt/packages/ccad_0.2.0*.deb >/dev/null")
	m.says("systemctl --user is-active ccad.socket; ccactl status", `^active$`, `locked`)

	t.Log("removed and purged: the user's data is all there is")
	m.root("dpkg -r ccad >/dev/null; ls /etc/credstore.encrypted/ccad.1000")
	m.says("systemctl --user is-active ccad.service ccad.socket ccad-gateway.socket || :", `^inactive\ninactive\ninactive$`)
	m.says("find ~/.config/systemd -type l", `^$`)
	m.root("dpkg -P ccad >/dev/null")
	if after := m.root(traces); after != before {
		t.Errorf("left of it:\n%s\nbefore:\n%s", after, before)
	}
	m.says("ls ~/.local/share/ccad", `^store\.age$`)
	m.says("pgrep -x ccad || echo none", `^none$`)
}

// traces are the files of ccad on the machine outside of people's homes.
const traces = `find / -xdev \( -path /home -o -path /proc -o -path /sys -o -path /opt -o -path /var/log -o -path /var/lib/dpkg -o -path /run/user \) -prune -o -name '*ccad*' -print | sort`
