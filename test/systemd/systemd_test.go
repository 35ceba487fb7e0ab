// Package systemd lives the life of ccad's service on a real Debian with a real
// systemd, in a container that is gone afterwards (test/lab/systemd.sh).
package systemd

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/lab"
)

// boot starts a machine with the user alice, who has ccad in ~/.local/bin as
// make install puts it there, and says how she does things.
func boot(t *testing.T) *machine {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-X main.version=test", "-o", bin+"/", "../../cmd/ccad", "../../cmd/ccactl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t, lab.Boot(t, bin+":/opt/ccad", repo+"/packaging:/opt/packaging")}
	m.root(`echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
		useradd -m -s /bin/bash alice
		echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice
		install -d -o alice -g alice /home/alice/.local /home/alice/.local/bin
		install -o alice -g alice /opt/ccad/* /home/alice/.local/bin
		printf 'correct horse\n' >/home/alice/passphrase
		chown alice: /home/alice/passphrase
		chmod 600 /home/alice/passphrase`)
	return m
}

type machine struct {
	*testing.T
	lab *lab.Machine
}

// path is what alice's ~/.profile does on Debian where ~/.local/bin was there.
const path = `PATH=$HOME/.local/bin:$PATH; `

func (m *machine) root(command string) string {
	m.Helper()
	return m.lab.Do(m.T, "root", "set -e; "+command)
}
func (m *machine) alice(command string) string {
	m.Helper()
	return m.lab.Do(m.T, "alice", path+"set -e; "+command)
}
func (m *machine) until(command string) string {
	m.Helper()
	return m.lab.Until(m.T, "alice", path+"set -e; "+command)
}

// says checks that a command works, and that what it prints matches each of the
// expressions; one that begins with ! must not match.
func (m *machine) says(command string, want ...string) string {
	m.Helper()
	out := m.alice(command)
	m.match(command, out, want)
	return out
}

// fails checks that a command fails, and says one line that matches.
func (m *machine) fails(command, want string) {
	m.Helper()
	out, err := m.lab.Run("alice", path+command)
	if err == nil {
		m.Errorf("%s works:\n%s", command, out)
	}
	if strings.Contains(out, "\n") {
		m.Errorf("%s says more than a line:\n%s", command, out)
	}
	m.match(command, out, []string{want})
}

func (m *machine) match(command, out string, want []string) {
	m.Helper()
	for _, w := range want {
		expression, not := strings.CutPrefix(w, "!")
		if regexp.MustCompile("(?m)"+expression).MatchString(out) == not {
			m.Errorf("%s: want %s in\n%s", command, w, out)
		}
	}
}

// units is where alice's units are.
const units = "/home/alice/.config/systemd/user/"

// login gives alice a user manager that stays, whatever her sessions do.
func (m *machine) login() {
	m.root(`loginctl enable-linger alice; for i in $(seq 600); do [ -S /run/user/$(id -u alice)/bus ] && exit 0; sleep 0.1; done; exit 1`)
}

// Installed by an ordinary user: the socket listens, the first request starts
// the daemon, it locks and unlocks in one process, and comes up with a login.
func TestService(t *testing.T) {
	m := boot(t)
	m.login()
	m.fails("ccad start", `^ccad: ccad is not installed: ccad install$`)
	m.says("ccad install", `^wrote `+units+`ccad\.service$`, `^ccad listens at /run/user/1000/ccad/ccad\.sock: the first request starts it`)
	m.says("systemctl --user is-active ccad.service ccad.socket ccad-gateway.socket || :", `^inactive\nactive\nactive$`)
	m.says("stat -c %a /run/user/1000/ccad /run/user/1000/ccad/ccad.sock", `^700\n600$`)
	m.says("ccactl status", `locked`)
	m.says("systemctl --user is-active ccad.service", `^active$`)
	m.says(`ccactl unlock --passphrase-file passphrase
		printf s3-secret | ccactl add dev --s3-endpoint http://127.0.0.1:9 --insecure-http --s3-access-key AKIA --s3-secret-stdin --no-verify
		ccactl credential-process --env dev`, `"AccessKeyId":"AKIA","SecretAccessKey":"s3-secret"`)

	t.Log("one process over locks")
	before := m.says("systemctl --user show -p MainPID,NRestarts ccad", `^NRestarts=0$`)
	for range 5 {
		m.alice("ccactl lock; ccactl unlock --passphrase-file passphrase; ccactl credential-process --env dev --gateway")
	}
	if after := m.alice("systemctl --user show -p MainPID,NRestarts ccad"); after != before {
		t.Errorf("after the locks:\n%s\nbefore:\n%s", after, before)
	}
	m.says("ccad status", `^ccad\.service +active \(running\), enabled, process \d+, restarts 0$`, `^ccad-gateway\.socket +active .*127\.0\.0\.1:`)

	t.Log("again, it leaves the daemon alone")
	m.says("ccad install", `^ccad is installed`, `!wrote|anew`)
	m.says("ccactl credential-process --env dev", `s3-secret`)

	t.Log("the journal")
	m.says("journalctl --user -u ccad --no-pager", `ccad\[\d+\]: ready version=test socket=/run/user/1000/ccad/ccad.sock state=locked$`, `!s3-secret|correct horse`, `!\{"time"`)

	t.Log("the gateway's port")
	gateway := m.alice("systemctl --user show -p Listen --value ccad-gateway.socket | cut -d' ' -f1")
	m.says("ccactl status --json", `"gateway": ?"http://`+regexp.QuoteMeta(gateway)+`"`)
	m.says("cat ~/.local/share/ccad/gateway", `^`+regexp.QuoteMeta(gateway)+`$`)
	m.alice("systemctl --user stop ccad.service")
	if l, err := net.Listen("tcp", gateway); err == nil {
		_ = l.Close()
		t.Errorf("anybody can have %s while the daemon is down", gateway)
	}
	if answer, err := http.Get("http://" + gateway + "/"); err != nil {
		t.Errorf("a request that came while the daemon was down: %v", err)
	} else if _ = answer.Body.Close(); answer.StatusCode != 403 {
		t.Errorf("the gateway answers %s", answer.Status)
	}
	m.says("systemctl --user is-active ccad.service", `^active$`)

	t.Log("the watchdog")
	m.alice(`ccactl unlock --passphrase-file passphrase
		mkdir -p ` + units + `ccad.service.d; printf '[Service]\nWatchdogSec=5s\n' >` + units + `ccad.service.d/quick.conf
		systemctl --user daemon-reload; systemctl --user restart ccad; ccactl status`)
	hung := m.alice("systemctl --user show -p MainPID --value ccad")
	m.alice("kill -STOP " + hung)
	m.until(`pid=$(systemctl --user show -p MainPID --value ccad); [ "$pid" != 0 ] && [ "$pid" != ` + hung + ` ]`)
	m.until("ccactl status")
	m.says("journalctl --user -u ccad --no-pager", `Watchdog timeout`, `!goroutine`)
	m.alice("rm " + units + "ccad.service.d/quick.conf; systemctl --user daemon-reload")

	t.Log("a new login")
	m.root("loginctl disable-linger alice; loginctl terminate-user alice; for i in $(seq 300); do [ -e /run/user/1000 ] || exit 0; sleep 0.1; done; exit 1")
	m.until("systemctl --user is-active ccad.service") // by the login of that very command
	m.says("systemctl --user is-active ccad.socket ccad-gateway.socket", `^active\nactive$`)
}
