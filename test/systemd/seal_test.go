package systemd

import "testing"

// A passphrase that root sealed opens ccad when the user's manager starts, but
// not after an explicit lock; what sealing made goes again.
func TestSeal(t *testing.T) {
	m := boot(t)
	m.login()
	m.says("ccad install; ccactl unlock --passphrase-file passphrase", `^unlocked$`)
	m.says("systemctl --user restart ccad; ccactl status --json", `"locked": ?true`) // nothing is sealed: it starts, and nothing opens it
	m.fails("ccad install --seal <passphrase", `^ccad: sealing needs root`)
	m.fails("sudo -u root env -u SUDO_UID $(which ccad) install --seal <passphrase", `^ccad: nothing says whose passphrase is meant`)
	m.fails("sudo $(which ccad) install --seal </dev/null", `^ccad: the passphrase is empty; nothing was sealed$`)
	m.fails("printf wrong | sudo $(which ccad) install --seal", `^ccad: the passphrase does not open the keyring in /home/alice/\.local/share/ccad, and nothing was sealed: `)
	m.says("ls -A /etc/credstore.encrypted /etc/systemd/system/user@1000.service.d 2>/dev/null || :", `^$`)
	const seal = "sudo $(which ccad) install --seal <passphrase"
	m.says(seal, `^wrote /etc/credstore\.encrypted/ccad\.1000, which only this machine can open$`, `^wrote /etc/systemd/system/user@1000\.service\.d/ccad\.conf$`, `!correct horse`)
	m.says("sudo stat -c '%a %U' /etc/credstore.encrypted /etc/credstore.encrypted/ccad.1000; sudo cat /etc/credstore.encrypted/ccad.1000", `^700 root\n600 root$`, `!correct horse`)
	m.alice(seal) // again

	anew := func() { m.root("systemctl restart user@1000.service") }
	locked := func(want string) {
		t.Helper()
		m.until("systemctl --user is-active ccad.service")
		m.says("ccactl status --json", `"locked": ?`+want)
	}
	anew()
	locked("false")
	m.alice("ccactl lock")
	anew()
	locked("true")
	m.alice("ccactl unlock --passphrase-file passphrase")
	anew()
	locked("false")

	m.says("ccad uninstall", `^the sealed passphrase is root's to remove: sudo ccad uninstall --seal$`)
	m.says("sudo $(which ccad) uninstall --seal; ccad uninstall", `^removed /etc/systemd/system/user@1000\.service\.d/ccad\.conf$`, `^removed /etc/credstore\.encrypted/ccad\.1000$`, `!root's to remove`)
	m.says("find /etc/systemd/system | grep ccad || :; ls /etc/systemd/system; sudo ls -A /etc/credstore.encrypted", `!ccad`, `!user@1000`)
	m.root("mkdir -p /etc/systemd/system/user@1000.service.d; echo '[Service]' >/etc/systemd/system/user@1000.service.d/ccad.conf")
	m.fails(seal, `^ccad: /etc/systemd/system/user@1000\.service\.d/ccad\.conf is somebody's own`)
}
