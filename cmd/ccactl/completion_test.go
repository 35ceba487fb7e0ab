package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/cloud-ca/ccad/ipc"
)

// shellOf finds a shell, or a file of its package, that the test can't do without.
func shellOf(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if filepath.IsAbs(name) {
		path = name
		_, err = os.Stat(name)
	}
	if err != nil && os.Getenv("CCAD_TEST_PARTIAL") == "1" {
		t.Skipf("left out, for CCAD_TEST_PARTIAL=1: %v", err)
	}
	if err != nil {
		t.Fatalf("%v (make test installs it)", err)
	}
	return path
}

func completing(t *testing.T) *fake {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{
		Users:        []ipc.User{{Name: "system-ccontini-2925"}},
		Environments: []ipc.Environment{{Name: "dev"}, {Name: "dev-two"}, {Name: "prod"}},
	})
	return f
}

// Real shells complete names of environments and users.
func TestCompletionInShells(t *testing.T) {
	f := completing(t)
	library := shellOf(t, "/usr/share/bash-completion/bash_completion")
	for _, c := range []struct{ name, script, want string }{
		{"bash", `. ` + library + `; . <(ccactl completion bash)
			compopt() { :; } # works on a terminal alone
			try() { COMP_WORDS=("$@") COMP_CWORD=$(($#-1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}; COMPREPLY=(); __start_ccactl; printf '%s\n' ${COMPREPLY[@]%% *}; }
			try ccactl show d; try ccactl update --user sys; try ccactl prom`, "dev\ndev-two\nsystem-ccontini-2925\nprompt\n"},
		{"fish", `ccactl completion fish | source
			complete -C 'ccactl show d'; complete -C 'ccactl update --user sys'; complete -C 'ccactl prom' | string split -f1 \t`, "dev\ndev-two\nsystem-ccontini-2925\nprompt\n"},
	} {
		cmd := exec.Command(shellOf(t, c.name), "-c", c.script)
		cmd.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("%s: %v:\n%s\nwant\n%s", c.name, err, out, c.want)
		}
	}
}

// zsh completes on a terminal alone: the key is pressed.
func TestCompletionInZsh(t *testing.T) {
	f := completing(t)
	home := t.TempDir()
	rc := "PS1='READY> '; autoload -U compinit; compinit -u; source <(ccactl completion zsh); setopt no_beep\n"
	if err := os.WriteFile(filepath.Join(home, ".zshrc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shellOf(t, "zsh"), "-d", "-i")
	cmd.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "HOME="+home, "ZDOTDIR="+home, "TERM=dumb")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close(); _ = cmd.Wait() })
	until(t, terminal, "READY> ")
	_, _ = io.WriteString(terminal, "echo GOT ccactl; ccactl show pr\t; echo over\r")
	if seen := until(t, terminal, "over\r\n"); !strings.Contains(seen, "ccactl show prod") {
		t.Errorf("saw %q", seen)
	}
}

// The daemon's own verbs are completed by a script of packaging.
func TestCompletionOfCcad(t *testing.T) {
	script := `. ../../packaging/completion/ccad.bash
try() { COMP_WORDS=("$@") COMP_CWORD=$(($#-1)); COMPREPLY=(); _ccad; echo "${COMPREPLY[@]}"; }
try ccad un; try ccad run --pass; try ccad run --log-level w; try ccad run --config ccad.b`
	cmd := exec.Command(shellOf(t, "bash"), "-c", script)
	out, err := cmd.CombinedOutput()
	if want := "uninstall\n--passphrase-file\nwarn\n\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

// PowerShell's script asks the same completer. The shell itself is not tried: no
// registry that the tests may use has it.
func TestCompletionOfPowerShell(t *testing.T) {
	out, err := exec.Command("ccactl", "completion", "pwsh").Output()
	if err != nil || !strings.Contains(string(out), "Register-ArgumentCompleter") {
		t.Fatalf("%v: %.200s", err, out)
	}
}
