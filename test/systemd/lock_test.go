package systemd

import (
	"strings"
	"testing"
)

// ccad locks with the user's session and before the machine sleeps, as the real
// logind tells it, and nobody else.
func TestLogindLocks(t *testing.T) {
	m := boot(t)
	m.root("useradd -m bob")
	m.login()
	m.alice("mkdir -p ~/.config/ccad; printf '[lock]\\non_suspend = true\\non_session_lock = true\\n' >~/.config/ccad/config.toml; ccad install")
	open := func() {
		m.alice("ccactl unlock --passphrase-file passphrase")
		m.until("systemd-inhibit --list | grep -q 'ccad .*sleep.*ccad locks first.*delay'")
	}
	locked := `ccactl status --json | grep -q '"locked": *true'`
	open()
	m.says("ccactl status", `!does not lock`)

	t.Log("what others do is no reason")
	m.root(`su - bob -c 'loginctl lock-session $XDG_SESSION_ID'
		session=/org/freedesktop/login1/session/$(su - alice -c 'echo $XDG_SESSION_ID')
		busctl emit $session org.freedesktop.login1.Session Lock
		busctl emit /org/freedesktop/login1 org.freedesktop.login1.Manager PrepareForSleep b true`)
	m.says("sleep 0.5; ccactl status --json", `"locked": ?false`)

	t.Log("the session")
	pid := m.alice("systemctl --user show -p MainPID,NRestarts ccad")
	m.alice("loginctl lock-session $XDG_SESSION_ID")
	m.until(locked)
	open()

	t.Log("the machine's sleep, but for the kernel's part")
	m.root(`printf 'freeze mem\n' >/run/state; mount --bind /run/state /sys/power/state
		[ "$(findmnt -no FSTYPE --target /sys/power/state)" = tmpfs ]
		systemctl suspend`)
	m.until(locked)
	m.lab.Until(m.T, "root", "grep -q -e mem -e freeze /run/state && journalctl --no-pager | grep -q 'System returned from sleep'")
	slept := m.root("journalctl --no-pager -o cat | grep -e 'why=.the machine goes to sleep' -e 'Entering sleep state'")
	if lines := strings.Split(slept, "\n"); len(lines) != 2 || !strings.Contains(lines[0], "why") {
		t.Errorf("it sleeps and then locks:\n%s", slept)
	}
	open() // and the next sleep is delayed again
	if now := m.alice("systemctl --user show -p MainPID,NRestarts ccad"); now != pid {
		t.Errorf("it is another process:\n%s\nwas\n%s", now, pid)
	}

	t.Log("without logind")
	m.root("systemctl stop systemd-logind.service; systemctl mask --runtime systemd-logind.service")
	m.until("ccactl status | grep 'it does not lock with the session'")
	m.root("systemctl unmask --runtime systemd-logind.service; systemctl start systemd-logind.service")
	m.until("! ccactl status | grep 'it does not lock with the session'")
}

// A lock that came by itself is none that a stored credential undoes.
func TestAutomaticLockStays(t *testing.T) {
	m := boot(t)
	m.login()
	m.alice("mkdir -p ~/.config/ccad; printf '[lock]\\nidle = \"1s\"\\n' >~/.config/ccad/config.toml; ccad install; ccactl unlock --passphrase-file passphrase")
	m.alice("sudo $(which ccad) install --seal <passphrase")
	m.until("test -e ~/.local/share/ccad/locked")
	m.root("systemctl restart user@1000.service")
	m.until("systemctl --user is-active ccad.service")
	m.says("ccactl status --json", `"locked": ?true`)
}
