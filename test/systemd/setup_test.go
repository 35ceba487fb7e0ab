package systemd

import (
	"strings"
	"testing"
)

// setup makes ccad a service where there is a manager for it, finds nothing to
// do the next time, and takes it away again.
func TestSetup(t *testing.T) {
	m := boot(t)
	m.login()
	const setup = "ccactl setup --yes --passphrase-file passphrase --without import,aws,shell,scrub,verify"
	m.says(setup, `Install ccad as your service, started at login`, `^ +wrote ~/\.config/systemd/user/ccad\.service$`, `ccad test runs`, `the file keyring is open`)
	m.says("ccad status", `^ccad\.service +active \(running\), enabled`)
	m.says(setup, `ccad test runs`, `!wrote`)
	m.says("ccactl doctor || true", `^ok +service +ccad\.service active \(running\), enabled`, `^ok +daemon +ccad test answers at /run/user/1000/ccad/ccad\.sock`)
	if out, err := m.lab.Run("alice", path+"ccad stop; ccactl status"); err == nil || !strings.HasSuffix(out, "ccactl: hint: ccad start") {
		t.Errorf("stopped: %v\n%s", err, out)
	}
	m.says(setup, `Install ccad as your service`, `ccad test runs`)
	m.says("ccactl setup --undo", `^removed `+units+`ccad\.service$`, `^the keyring stays`)
	m.says("ls ~/.local/share/ccad; systemctl --user list-unit-files; ccactl setup --undo", `^store\.age$`, `!ccad\.service`, `^there is nothing to undo$`)

	t.Log("the files that it edited go back before the service that knows what they were")
	m.says("cp ~/.bashrc before; SHELL=/bin/bash "+strings.Replace(setup, "shell,", "", 1), `added to ~/.bashrc: command -v`)
	m.says("ccactl setup --undo; cmp ~/.bashrc before && echo same", `^/home/alice/.bashrc is as it was$`, `^removed `+units+`ccad\.service$`, `^same$`)

	t.Log("a login comes to ~/.bashrc before ~/.local/bin is in its PATH: the hook is found all the same")
	m.alice("cp /etc/skel/.profile /etc/skel/.bashrc ~")
	m.says("SHELL=/bin/bash "+strings.Replace(setup, "shell,", "", 1), `added to ~/.bashrc: command -v ~/\.local/bin/ccactl >/dev/null && eval "\$\(~/\.local/bin/ccactl shell-init bash\)"`)
	m.says("env -i HOME=$HOME TERM=dumb bash -lic 'type -t ccactl' 2>&1", `^function$`, `!not found`)
	m.says("SHELL=/bin/bash ccactl doctor || true", `^ok +shell +bash is hooked`)
	m.says("sed -i 's,~/.local/bin/ccactl,ccactl,g' ~/.bashrc; SHELL=/bin/bash ccactl doctor || true", `^WRONG shell +a login shell comes to the line`)
	m.says("env -i HOME=$HOME TERM=dumb bash -lic 'type -t ccactl' 2>&1", `!^function$`, `!not found`)
	m.says("sed -i 's,\\([ (]\\)ccactl ,\\1~/.local/bin/ccactl ,g' ~/.bashrc; ccactl setup --undo", `^removed `+units+`ccad\.service$`)

	t.Log("a unit of somebody's own")
	m.alice("mkdir -p " + units + "; printf '[Service]\\nExecStart=/bin/true\\n' >" + units + "ccad.service")
	if out, err := m.lab.Run("alice", path+setup); err == nil || !strings.Contains(out, "is somebody's own") {
		t.Errorf("a unit of somebody's own: %v\n%s", err, out)
	}
	m.says("ccactl setup --undo; cat "+units+"ccad.service", `^there is nothing to undo$`, `^ExecStart=/bin/true$`)
}
