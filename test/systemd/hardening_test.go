package systemd

import (
	"strconv"
	"strings"
	"testing"
)

// add makes an environment that needs no cloud.
const add = "printf s3-secret | ccactl add dev --s3-endpoint http://127.0.0.1:9 --insecure-http --s3-access-key AKIA --s3-secret-stdin --no-verify; "

// The default unit is as hard as one can be that keeps every feature: the pass
// and keyctl keyrings work in it, and no other program of the user's can look
// into the daemon.
func TestHardening(t *testing.T) {
	m := boot(t)
	m.login()
	m.says("ccad install; ccactl unlock --passphrase-file passphrase", `^unlocked$`)
	m.says("systemd-analyze --user verify ccad.service ccad.socket ccad-gateway.socket 2>&1 | grep -v man || :", `^$`)
	if x := m.exposure("ccad.service"); x > 4.7 {
		t.Errorf("the default unit's exposure is %v", x)
	}
	m.says("systemctl --user show -p MemorySwapMax,LimitCORE,LimitCORESoft ccad", `^MemorySwapMax=0$`, `^LimitCORE=0$`, `^LimitCORESoft=0$`)
	const daemon = "/proc/$(systemctl --user show -p MainPID --value ccad)"
	m.fails("cat "+daemon+"/environ", `Permission denied`)
	m.says("grep -e NoNewPrivs -e Seccomp: "+daemon+"/status; grep -i 'core file' "+daemon+"/limits || sudo grep -i 'core file' "+daemon+"/limits",
		`^NoNewPrivs:\s1$`, `^Seccomp:\s2$`, `^Max core file size +0 +0 `)

	t.Log("pass, which runs gpg")
	m.alice(`ccad uninstall; rm -rf ~/.local/share/ccad ~/.local/state/ccad
		gpg -q --batch --passphrase '' --quick-generate-key alice default default never; pass init alice
		mkdir -p ~/.config/ccad; printf '[keyring]\nbackend = "pass"\n' >~/.config/ccad/config.toml
		gpgconf --kill gpg-agent
		ccad install`)
	m.alice("ccactl unlock; " + add)
	m.says("ccactl lock; ccactl unlock; systemctl --user restart ccad; ccactl unlock; ccactl status; ccactl credential-process --env dev", `keyring pass, unlocked`, `s3-secret`)

	t.Log("keyctl")
	m.alice(`ccad uninstall; rm -rf ~/.local/share/ccad ~/.local/state/ccad
		printf '[keyring]\nbackend = "keyctl"\n' >~/.config/ccad/config.toml; ccad install`)
	m.alice("ccactl unlock; " + add)
	m.says("ccactl lock; ccactl unlock; systemctl --user restart ccad; ccactl unlock; ccactl status; ccactl credential-process --env dev", `keyring keyctl, unlocked`, `s3-secret`)
}

// exposure is what systemd-analyze says of a unit of alice's.
func (m *machine) exposure(unit string) float64 {
	m.Helper()
	out := m.alice("systemd-analyze --user security --no-pager " + unit + " | tail -1")
	words := strings.Fields(out[strings.LastIndex(out, ":")+1:])
	x, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		m.Fatalf("%s: %v", out, err)
	}
	m.Logf("%s: exposure %v", unit, x)
	return x
}

// strict.conf, for a program of root's that nobody can read: it serves, locks,
// sees who holds a key, and even its user can't look into it.
func TestStrict(t *testing.T) {
	m := boot(t)
	m.login()
	m.root(`install -m 0711 /opt/ccad/ccad /usr/bin; install -m 0755 /opt/ccad/ccactl /usr/bin; rm /home/alice/.local/bin/*
		install -m 0644 /opt/packaging/systemd/ccad.service /opt/packaging/systemd/ccad.socket /usr/lib/systemd/user`)
	m.alice("mkdir -p " + units + "ccad.service.d; cp /opt/packaging/systemd/strict.conf " + units + "ccad.service.d; ccad install; ccactl unlock --passphrase-file passphrase")
	m.says(add+"ccactl credential-process --env dev; ccactl env dev --client aws --gateway",
		`"SecretAccessKey":"s3-secret"`, `AWS_ENDPOINT_URL_S3=`)
	m.says("ccactl exec dev --client aws -- sleep 60 & until ccactl show dev | grep 'sleep (.* has exec'; do sleep 0.1; done; kill $!", `sleep \(\d+\) of .* has exec`)
	before := m.alice("systemctl --user show -p MainPID,NRestarts ccad")
	m.alice("ccactl lock; ccactl unlock --passphrase-file passphrase; ccactl credential-process --env dev")
	if after := m.alice("systemctl --user show -p MainPID,NRestarts ccad"); after != before {
		t.Errorf("after a lock:\n%s\nbefore:\n%s", after, before)
	}
	if x := m.exposure("ccad.service"); x > 2.0 {
		t.Errorf("the strict unit's exposure is %v", x)
	}
	const daemon = "/proc/$(systemctl --user show -p MainPID --value ccad)"
	for _, file := range []string{"environ", "maps", "mem", "exe"} {
		m.fails("cat "+daemon+"/"+file, `Permission denied`)
	}
	m.says("sudo nsenter -t $(systemctl --user show -p MainPID --value ccad) -m sh -c true 2>&1 || :", `failed to execute sh: Permission denied`)
	m.says("sudo cat "+daemon+"/mountinfo", ` / / ro,`, ` /run/user/1000 ro,`, ` /home/alice/\.local/share/ccad rw,`)
}
