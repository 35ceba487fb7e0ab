package systemd

import (
	"strings"
	"testing"
)

// What is not ours is not touched, what is broken is mended, what can't be is
// one clear line; and uninstall leaves nothing but data.
func TestInstall(t *testing.T) {
	m := boot(t)
	m.fails("env -u XDG_RUNTIME_DIR HOME=/nonexistent ccad install", `^ccad: there is no home folder \(HOME is "/nonexistent"\)`)
	m.fails("HOME= ccad install", `^ccad: there is no home folder`)
	m.fails("sudo $(which ccad) install", `^ccad: each user's ccad is his own: run ccad install without sudo$`)
	m.fails("ccad install --seal", `^ccad: sealing needs root: sudo ccad install --seal$`)
	m.fails("CCAD_SOCKET=/tmp/x ccad install", `^ccad: the service listens at /run/user/1000/ccad/ccad.sock, and here clients go to /tmp/x: see to CCAD_SOCKET and XDG_RUNTIME_DIR$`)
	m.fails("XDG_RUNTIME_DIR=/nonexistent ccad install", `^ccad: the service listens at .* here clients go to /nonexistent/`)
	m.fails("sudo mount --bind -o ro $HOME $HOME; sudo mount -o remount,ro,bind $HOME; ccad install; r=$?; sudo umount $HOME; exit $r", `^ccad: .*read-only file system$`)
	m.fails(`sudo unshare -m sh -c "mount -t tmpfs none /run/systemd; su alice -c $HOME/.local/bin/ccad\ install"`, `^ccad: no systemd runs here, .*ccad run`)
	m.root("useradd -m bob")
	m.fails("sudo setpriv --reuid bob --clear-groups env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS HOME=/home/bob USER=bob /opt/ccad/ccad install", `^ccad: your user manager does not answer .* loginctl enable-linger bob$`)
	m.login()

	t.Log("somebody's own units")
	m.alice("mkdir -p " + units)
	for _, unit := range []string{"ccad.service", "ccad.socket", "ccad-gateway.socket"} {
		m.alice("printf '[Service]\\nExecStart=/bin/true\\n' >" + units + unit)
		m.fails("ccad install", `^ccad: `+units+unit+` is somebody's own .* nothing was changed`)
		m.fails("ccad uninstall", `is somebody's own`)
		m.says("ls "+units+"; cat "+units+unit, `^`+unit+`\n\[Service\]\nExecStart=/bin/true$`)
		m.alice("rm " + units + unit)
	}
	m.alice("systemctl --user mask ccad.service")
	m.fails("ccad install", `^ccad: `+units+`ccad.service masks the service: remove it first$`)
	m.alice("systemctl --user unmask ccad.service")

	t.Log("a daemon that runs by hand")
	m.alice("(ccad run >hand 2>&1 & echo $! >hand.pid); until grep -q ready hand; do sleep 0.1; done")
	m.fails("ccad install", `^ccad: a ccad that is no service answers at .* \(process \d+\): end it first$`)
	m.alice("kill $(cat hand.pid); while kill -0 $(cat hand.pid) 2>/dev/null; do sleep 0.1; done")
	kept := m.alice("cat ~/.local/share/ccad/gateway")

	t.Log("a config")
	m.alice("mkdir -p ~/.config/ccad; printf '[gatway]\\nlisten = \"\"\\n' >~/.config/ccad/config.toml")
	if out, err := m.lab.Run("alice", path+"ccad install"); err == nil || !strings.Contains(out, "unknown section gatway") {
		t.Errorf("a config with an unknown section: %v\n%s", err, out)
	}
	m.says("ls "+units, `^$`)
	m.alice("rm -r ~/.config/ccad")

	t.Log("installed, broken, mended")
	m.says("ccad install", `^wrote `+units+`ccad.service$`)
	m.says("cat "+units+"ccad-gateway.socket", `^ListenStream=`+kept+`$`)
	healthy := m.alice("cd " + units + "; sha256sum *.service *.socket; readlink *.wants/*")
	for _, harm := range []string{
		"echo garbage >>ccad.service", ": >ccad.service", "sed -i s/notify/simple/ ccad.service", ": >ccad.socket", "rm ccad-gateway.socket",
		"rm sockets.target.wants/*", "ln -sf /nonexistent default.target.wants/ccad.service", "systemctl --user disable ccad.service ccad.socket", "rm -r *",
		"systemctl --user stop ccad.socket ccad-gateway.socket", "systemctl --user disable --now ccad.socket; systemctl --user daemon-reload; rm ccad.service",
	} {
		m.alice("cd " + units + "; " + harm + "; systemctl --user daemon-reload")
		m.alice("ccad install")
		if now := m.alice("cd " + units + "; sha256sum *.service *.socket; readlink *.wants/*"); now != healthy {
			t.Errorf("%s is not mended:\n%s\nwant\n%s", harm, now, healthy)
		}
		m.says("ccactl status; ccad status", `^ccad\.service +active \(running\), enabled`, `^ccad\.socket +active \(running\), enabled`, `^ccad-gateway\.socket +active \(running\), enabled`)
	}
	m.says("ccad install", `^ccad is installed`)

	t.Log("files to keep written")
	m.alice("mkdir -p ~/.config/ccad; printf '[[render]]\\nenvironment = \"dev\"\\nview = \"dotenv\"\\npath = \"~/dev.env\"\\n' >~/.config/ccad/config.toml")
	m.says("ccad install", `^wrote `+units+`ccad-render\.service$`, `^enabled .*ccad-render\.service$`)
	m.says("ccad install; ccad status", `^ccad is installed`, `^ccad-render\.service +active \(running\), enabled`)
	m.alice("rm -r ~/.config/ccad")
	m.says("ccad install; ccad status; ls "+units, `^removed `+units+`ccad-render\.service$`, `^disabled ccad-render`, `!wants/ccad-render|ccad-render\.service +active`)
	m.alice("mkdir -p ~/.config/ccad; printf '[[render]]\\nenvironment = \"dev\"\\nview = \"dotenv\"\\npath = \"~/dev.env\"\\n' >~/.config/ccad/config.toml; ccad install")

	t.Log("stopped is stopped, failed is told")
	m.says("ccad stop", `^ccad is stopped$`)
	if out, err := m.lab.Run("alice", path+"ccactl status; ccad status"); err == nil || !strings.Contains(out, "no daemon answers") || !strings.Contains(out, "ccad.socket is inactive") {
		t.Errorf("stopped: %v\n%s", err, out)
	}
	m.alice("mkdir -p ~/.config/ccad; echo '[nonsense]' >~/.config/ccad/config.toml")
	m.fails("ccad start", `^ccad: ccad does not start \(.*\): journalctl --user -u ccad says why$`)
	m.says("journalctl --user -u ccad --no-pager", `unknown section nonsense`)
	m.alice("rm -r ~/.config/ccad")
	m.says("ccad start; ccad restart; ccactl status", `^ccad runs\nccad is stopped|^ccad runs$`)

	t.Log("uninstalled")
	m.says("ccad uninstall; ccad uninstall", `^removed `+units+`ccad.service$`, `^the credentials stay: `, `^ccad is not installed$`)
	m.says("find ~/.config ~/.local/share ~/.local/state /run/user/1000/ccad -not -type d 2>/dev/null || :", `^/home/alice/.local/share/ccad/gateway$`, `!systemd`, `!sock`)
	m.until(`! { systemctl --user list-units --all; systemctl --user list-unit-files; } | grep -E 'ccad(-gateway|-render)?\.(service|socket)'`) // systemd forgets in its own time
	m.says("find ~/.config -mindepth 1", `^$`)
}

// The service has the shell's folders, whatever characters are in them and in
// the program's path.
func TestInstallOddPlaces(t *testing.T) {
	m := boot(t)
	m.login()
	const odd = `"$HOME/we %h \$USER é/ccad"`
	const shell = `export XDG_DATA_HOME="$HOME/da ta %i\"\\\\" XDG_CONFIG_HOME=$HOME/conf; `
	m.alice(`mkdir -p "$(dirname ` + odd + `)"; cp ~/.local/bin/ccad ` + odd)
	m.says(shell+odd+" install", `^wrote `+units+`ccad\.service$`, `^wrote `+units+`ccad\.service\.d/environment\.conf$`)
	m.says("systemd-analyze --user verify ccad.service ccad.socket ccad-gateway.socket 2>&1 | grep -v man || :", `^$`)
	m.says(shell+"ccactl unlock --passphrase-file passphrase; ls \"$XDG_DATA_HOME/ccad\"; ls -A ~/.local/share 2>/dev/null || :", `^store\.age$`, `!^ccad$`)
	m.says("readlink /proc/$(systemctl --user show -p MainPID --value ccad)/exe || sudo readlink /proc/$(systemctl --user show -p MainPID --value ccad)/exe", `we %h \$USER é/ccad$`)
	m.alice(shell + "ccactl lock; ccactl unlock --passphrase-file passphrase")
	m.alice(shell + odd + " uninstall")
	m.says("find ~/.config -type f", `^$`)
	for _, folder := range []string{`"$HOME/a {{b}}"`, `"$HOME/a \"b"`} {
		m.alice("mkdir " + folder + "; cp ~/.local/bin/ccad " + folder)
		m.fails(folder+"/ccad install", `^ccad: no service can be made of the program at `)
	}
}

// A manager with a XDG_CONFIG_HOME of its own reads units there; a shell's alone
// is no reason to put them elsewhere.
func TestInstallWhereTheManagerReads(t *testing.T) {
	m := boot(t)
	m.root(`mkdir -p /etc/systemd/system/user@1000.service.d
		printf '[Service]\nEnvironment=XDG_CONFIG_HOME=/home/alice/conf\n' >/etc/systemd/system/user@1000.service.d/xdg.conf; systemctl daemon-reload`)
	m.login()
	m.says("export XDG_CONFIG_HOME=$HOME/conf; ccad install; ccactl status; ccad status", `^wrote /home/alice/conf/systemd/user/ccad\.service$`, `^ccad\.service +active \(running\), enabled`)
	m.says("export XDG_CONFIG_HOME=$HOME/conf; ccad install; ccad uninstall; find ~/.config ~/conf -type f 2>/dev/null || :", `^ccad is installed`, `^removed /home/alice/conf/systemd/user/ccad\.service$`, `!^/home`)
	m.root("rm -r /etc/systemd/system/user@1000.service.d; systemctl daemon-reload; systemctl restart user@1000")
	m.says("XDG_CONFIG_HOME=$HOME/conf ccad install; find ~/conf -type f", `^wrote `+units+`ccad\.service$`, `!^/home`)
}

// Where a package has put the units, those are enabled; copies of an earlier
// install go.
func TestInstallOfPackage(t *testing.T) {
	m := boot(t)
	m.login()
	m.alice("ccad install")
	m.root(`install -m 0755 /opt/ccad/* /usr/bin; install -m 0644 /opt/packaging/systemd/ccad.service /opt/packaging/systemd/ccad.socket /usr/lib/systemd/user; rm /home/alice/.local/bin/*`)
	m.says("ccad install", `^removed `+units+`ccad\.service$`, `^removed `+units+`ccad\.socket$`, `^ccad listens`)
	m.says("ls "+units+"; systemctl --user show -p FragmentPath ccad.service", `^ccad-gateway\.socket$`, `!^ccad\.service$`, `^FragmentPath=/usr/lib/systemd/user/ccad\.service$`)
	m.says("ccactl status; ccad status", `^ccad\.service +active \(running\), enabled`, `^ccad-gateway\.socket +active \(running\), enabled`)
	m.says("ccad install", `^ccad is installed`)
	m.says("ccad uninstall; ls "+units+" 2>/dev/null || :", `a package's$`, `!^ccad-gateway\.socket$`)
	m.says("systemctl --user is-enabled ccad.service ccad.socket || :; ccad uninstall", `^disabled\ndisabled$`, `^ccad is not installed$`)
}
