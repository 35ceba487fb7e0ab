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

// Somebody with the portal's page open, at a terminal: the keyring is made, what
// the page shows is asked for by its labels, secrets are not shown, and steps can
// be declined.
func TestSetupByHand(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Fresh: true, Keyring: "file"}})
	f.set("POST /v1/unlock", struct{}{})
	f.set("POST /v1/environments", ipc.Changes{Changes: []ipc.Change{{Environment: "dev-ccontini", Action: "added", State: "ok"}}})
	home := t.TempDir()
	c, terminal := setUp(t, f, home)
	var all strings.Builder
	screen := io.TeeReader(terminal, &all)
	until(t, screen, "New passphrase: ")
	waitForEcho(t, terminal, false)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Keyring: "file"}})
	f.refuse("POST /v1/environments", ipc.CodeRefused, "the password of system-ccontini-2925 was refused by the cloud")
	typed(t, terminal, screen, [][2]string{
		{"", "correct horse"}, {"the same again: ", "correct horse"},
		{"no file of credentials in the usual places\r\n   Type in what the portal shows? [yes] ", ""},
		{"Authentication URL [https://auth.cloud.ca] ", "cloud.ca"}, {"an address, such as https://auth.cloud.ca", ""},
		{"Domain ID [default] ", ""},
		{"Project name ", "Dev-Ccontini"}, {"User name ", "system-ccontini-2925"},
		{"Password (not shown): ", "hunter1"},
		{"S3 API access key, if there is one [found by ccad] ", "AK"},
		{"S3 API secret key (not shown): ", "s3-secret"},
		{"A short name for it, for commands [dev] ", ""},
	})
	// a mistyped password loses nothing else
	until(t, screen, "was refused by the cloud")
	until(t, screen, "as the presets? [yes] ")
	f.set("POST /v1/environments", ipc.Changes{Changes: []ipc.Change{{Environment: "dev", Action: "added", State: "ok"}}})
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Keyring: "file"}, Environments: []ipc.Environment{{Name: "dev", User: "u", State: "ok"}}})
	typed(t, terminal, screen, [][2]string{
		{"", ""},
		{"Authentication URL [https://auth.cloud.ca] ", ""}, {"Domain ID [default] ", ""},
		{"Project name [Dev-Ccontini] ", ""}, {"User name [system-ccontini-2925] ", ""},
		{"Password (not shown): ", "hunter2"},
		{"S3 API access key, if there is one [AK] ", ""},
		{"S3 API secret key (not shown): ", "s3-secret"},
		{"A short name for it, for commands [dev] ", ""},
	})
	until(t, screen, "added dev")
	typed(t, terminal, screen, [][2]string{
		{"The cloud's S3 endpoint, if there is one [none] ", ""},
		{"Add it? [yes] ", "perhaps"},
		{"yes or no: Enter is yes\r\n   Add it? [yes] ", "no"},
	})
	until(t, screen, "ccactl doctor what is wrong.")
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if seen := all.String(); strings.Contains(seen, "hunter") || strings.Contains(seen, "s3-secret") || strings.Contains(seen, "correct horse") {
		t.Errorf("a secret was shown:\n%s", seen)
	}
	want := `{"name":"dev","user":"system-ccontini-2925","project":"Dev-Ccontini","auth_url":"https://auth.cloud.ca","user_domain_id":"default","project_domain_id":"default","s3_access_key":"AK","s3_secret":"s3-secret","password":"hunter2"}`
	f.mu.Lock()
	got := f.asked["POST /v1/environments"]
	f.mu.Unlock()
	if got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(home, ".zshrc")); err == nil {
		t.Error("a declined step wrote .zshrc")
	}
}

// setUp begins setup at a terminal, for a user of zsh whose home that is.
func setUp(t *testing.T, f *fake, home string) (*exec.Cmd, *os.File) {
	t.Helper()
	c := exec.Command("ccactl", "setup")
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home, "SHELL=/bin/zsh", "ZDOTDIR="+home, "TERM=dumb", "PATH="+filepath.Dir(pathOf(t)))
	terminal, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return c, terminal
}

// Who has mistyped is asked again; the portal's page can be declined, and Ctrl-D
// ends setup.
func TestSetupIsLeft(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Fresh: true, Keyring: "file"}})
	f.set("POST /v1/unlock", struct{}{})
	c, terminal := setUp(t, f, t.TempDir())
	until(t, terminal, "Ctrl-D ends setup here, and makes none")
	typed(t, terminal, terminal, [][2]string{
		{"New passphrase: ", ""}, {"the secret is empty\r\n   New passphrase: ", "correct horse"},
		{"the same again: ", "correct mare"}, {"New passphrase (the two differ): ", "correct horse"},
	})
	until(t, terminal, "the same again: ")
	waitForEcho(t, terminal, false)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Keyring: "file"}})
	typed(t, terminal, terminal, [][2]string{{"", "correct horse"}, {"Type in what the portal shows? [yes] ", "no"}})
	until(t, terminal, "left out")
	until(t, terminal, "Add it? [yes] ")
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "ended here: ccactl setup goes on another time\r\n")
	if _ = c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Errorf("ended by %v", c.ProcessState)
	}
}

// So it does where the passphrase is asked for, and no keyring is made.
func TestSetupIsLeftAtThePassphrase(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Locked: true, Fresh: true, Keyring: "file"}})
	c, terminal := setUp(t, f, t.TempDir())
	until(t, terminal, "New passphrase: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "ended here: ccactl setup goes on another time\r\n")
	if _ = c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Errorf("ended by %v", c.ProcessState)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if body, asked := f.asked["POST /v1/unlock"]; asked {
		t.Errorf("asked to unlock: %q", body)
	}
}

// So it does where a file's password is asked for.
func TestSetupIsLeftAtAPassword(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Keyring: "file"}})
	f.set("POST /v1/import", ipc.Changes{Changes: []ipc.Change{{Environment: "dev", User: "u", AuthURL: "https://k.example", Action: "failed", Missing: "password", Source: "/x/openrc:1"}}})
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "openrc"), []byte("export OS_USERNAME=u\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, terminal := setUp(t, f, home)
	typed(t, terminal, terminal, [][2]string{{"Import it? [yes] ", ""}})
	until(t, terminal, "password of u at https://k.example: ")
	waitForEcho(t, terminal, false)
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "ccactl: hint: ccactl update --user u\r\n   ended here: ccactl setup goes on another time\r\n")
	_ = c.Wait()
}

// An S3 endpoint is asked for where the cloud is another; what is no address is
// told by what one is like, not by a flag that nobody typed.
func TestSetupElsewhere(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/status", ipc.Status{Daemon: ipc.Daemon{Version: "dev", Keyring: "file"}})
	c, terminal := setUp(t, f, t.TempDir())
	typed(t, terminal, terminal, [][2]string{
		{"Type in what the portal shows? [yes] ", ""}, {"Authentication URL [https://auth.cloud.ca] ", "https://k.example"},
		{"Domain ID [default] ", ""}, {"Project name ", "p"}, {"User name ", "u"}, {"Password (not shown): ", "hunter2"},
		{"S3 endpoint, if there is one [as the cloud says] ", "s3"}, {"an address, such as https://objects.cloud.ca", "https://s3.example"},
		{"S3 API access key, if there is one [found by ccad] ", ""},
	})
	until(t, terminal, "A short name for it, for commands [p] ")
	_, _ = io.WriteString(terminal, "\x04")
	until(t, terminal, "ended here")
	_ = c.Wait()
}

// typed waits for each text and types an answer; after a colon nothing is shown.
func typed(t *testing.T, terminal *os.File, screen io.Reader, steps [][2]string) {
	t.Helper()
	for _, step := range steps {
		if step[0] != "" {
			until(t, screen, step[0])
		}
		if strings.HasSuffix(step[0], ": ") {
			waitForEcho(t, terminal, false)
		}
		_, _ = io.WriteString(terminal, step[1]+"\n")
	}
}

// pathOf is where the tests' ccactl is.
func pathOf(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ccactl")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
