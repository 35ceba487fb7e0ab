package systemd

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// Services of the user get their credentials from ccad, or do not start; those
// that can only read files have them kept written.
func TestUnits(t *testing.T) {
	cloud, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	m := boot(t)
	m.login()
	m.root("install -m 0755 /opt/ccad/* /usr/bin; rm /home/alice/.local/bin/*; install -m 0644 /opt/packaging/systemd/ccad-render.service /usr/lib/systemd/user")
	m.alice(`mkdir -p ~/.config/ccad; cat >~/.config/ccad/config.toml <<'C'
[[render]]
environment = "dev"
view = "dotenv"
path = "~/dev.env"
reload = ["systemctl", "--user", "restart", "told"]
C
mkdir -p ` + units + `
printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "grep OS_PASSWORD %%h/dev.env >>%%h/told"\n' >` + units + `told.service
ccad install; ccactl unlock --passphrase-file passphrase
printf 'export OS_USERNAME=%s OS_PASSWORD=hunter2\nexport OS_PROJECT_NAME=dev-ccontini OS_AUTH_URL=%s\n' ` + cloud.User.Name + " " + cloud.AuthURL + ` >openrc
chmod 664 openrc; ccactl import openrc --name dev # as Ubuntu saves it: alice's group is nobody else's
cat >` + units + `backup@.service <<'U'
[Unit]
Wants=ccad.service
After=ccad.service
[Service]
Type=oneshot
LoadCredential=dev.dotenv:%t/ccad/credentials.sock
LoadCredential=dev.clouds.yaml:%t/ccad/credentials.sock
ExecStart=/bin/sh -c 'cat %d/dev.dotenv %d/dev.clouds.yaml >%h/got-%i'
U
systemctl --user daemon-reload`)

	t.Log("credentials")
	m.says("systemctl --user start backup@one; cat got-one; ccactl show dev; ccactl log", `^OS_PASSWORD=hunter2$`, `^clouds:$`,
		`held by +backup@one\.service has unit/dotenv, version 1, until further notice`, `handed-out dev unit/clouds\.yaml backup@one\.service`)
	m.alice("ccactl lock")
	m.says("systemctl --user start backup@two || systemctl --user show -p ExecMainStatus backup@two; ls got-* /run/user/1000/credentials 2>/dev/null || :", `^ExecMainStatus=243$`, `!got-two`)
	m.says("journalctl --user -u ccad --no-pager", `a credential is withheld unit=backup@two\.service credential=dev\.(dotenv|clouds\.yaml) error="?ccad is locked`, `!hunter2`)
	m.says("ccactl unlock --passphrase-file passphrase; systemctl --user start backup@two; cat got-two", `^OS_PASSWORD=hunter2$`)
	m.says("systemctl --user stop ccad; systemctl --user start backup@three || systemctl --user show -p ExecMainStatus backup@three", `^ExecMainStatus=243$`) // it was started, and is locked
	m.alice("ccactl unlock --passphrase-file passphrase")

	t.Log("files")
	m.says("systemd-analyze --user verify ccad-render.service 2>&1 | grep -v man || :", `^$`)
	m.says("ccad status", `^ccad-render\.service +active \(running\), enabled, process`) // ccad install found the table in the config
	m.until("grep -q hunter2 told")
	m.says("stat -c %a dev.env; ccactl status", `^600$`, `/home/alice/dev\.env +dev +dotenv +\d+s ago`)
	cloud.Reset(cloud.User.Name, "s3cret-new")
	m.alice("sed s/hunter2/s3cret-new/ openrc >new; chmod 664 new; mv new openrc")
	m.until("grep -q s3cret-new told")
	m.alice("ccactl lock")
	m.until("grep -q 'ccad is locked' dev.env")
	m.alice("systemctl --user restart ccad; ccactl unlock --passphrase-file passphrase")
	m.until("grep -q s3cret-new dev.env")
	m.says("cat told", `^OS_PASSWORD=hunter2\nOS_PASSWORD=s3cret-new$`)

	t.Log("system units, whose credentials root fetches")
	for name, service := range map[string]string{
		"asked": "LoadCredential=dev.dotenv:/run/user/1000/ccad/credentials.sock\\nExecStart=/bin/true",
		"exec":  "Environment=XDG_RUNTIME_DIR=/run/user/1000\\nExecStart=/usr/bin/ccactl exec dev -- sh -c 'echo $$OS_PASSWORD >/home/alice/exec'",
		"file":  "LoadCredential=env:/home/alice/dev.env\\nExecStart=/bin/sh -c 'cat $$CREDENTIALS_DIRECTORY/env >/home/alice/file'",
	} {
		m.root(`printf "[Service]\nType=oneshot\nUser=alice\n` + strings.ReplaceAll(strings.ReplaceAll(service, "%", "%%"), "$", `\$`) + `\n" >/etc/systemd/system/` + name + ".service")
	}
	m.root("systemctl daemon-reload; systemctl start exec file; ! systemctl start asked")
	m.says("cat exec file; journalctl --user -u ccad --no-pager", `^s3cret-new$`, `^OS_PASSWORD=s3cret-new$`, `a credential is withheld .*another user's manager asks`)

	m.says("systemctl --user stop ccad-render; systemctl --user show -p Result ccad-render; journalctl --user -u ccad-render --no-pager", `^Result=success$`, `wrote /home/alice/dev\.env`, `!s3cret-new|hunter2`)
}
