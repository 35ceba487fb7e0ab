package main

import (
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/cloud-ca/ccad/ipc"
)

// What status and doctor show on a terminal: signs before names, colours, the
// command that mends in bold behind an arrow; on a terminal of 80 columns status
// fits.
func TestStatusOnATerminal(t *testing.T) {
	f := daemonFor(t)
	ago := time.Now().Add(-3 * time.Minute)
	f.set("GET /v1/status", ipc.Status{
		Daemon: ipc.Daemon{Version: "1.0", PID: 7, Keyring: "file"},
		Users:  []ipc.User{{Name: "system-ccontini-2925", AuthURL: "https://auth.cloud.ca", State: "refused", PasswordVersion: 2, CheckedAt: &ago}},
		Environments: []ipc.Environment{
			{Name: "dev", User: "system-ccontini-2925", Project: "dev-ccontini", State: "refused", S3: ipc.S3{AccessKeyID: "076d7a255a4236965ba97b4f91363f2", State: "ok"}},
			{Name: "keys", State: "ok", S3: ipc.S3{AccessKeyID: "abcd", State: "ok"}, Rotation: &ipc.Rotation{Step: "drain", Version: 1}},
			{Name: "new", State: "unverified"},
		},
	})
	seen := onScreen(t, f, "status")
	for _, want := range []string{
		"✗ system-ccontini-2925  https://auth.cloud.ca  v2        3m ago   \x1b[31mrefused\x1b[0m",
		"✗ dev          dev-ccontini  076d7a25…  0       \x1b[31mrefused\x1b[0m",
		"✓ keys         -             abcd       0       \x1b[32mok\x1b[0m",
		"! new          -             -          0       \x1b[33munverified\x1b[0m",
		"\x1b[32m✓\x1b[0m keys: its former S3 key v1 is kept until the programs have ended that run with\n  it\n",
		"\x1b[31m✗\x1b[0m system-ccontini-2925: the cloud refuses the password\n  → \x1b[1mccactl update --user system-ccontini-2925\x1b[0m",
	} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %q in\n%s", want, seen)
		}
	}
	for line := range strings.Lines(seen) {
		if n := len([]rune(strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[1m", "", "\x1b[0m", "", "\n", "").Replace(line))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if seen := onScreen(t, f, "doctor"); !strings.Contains(seen, "\x1b[32m✓\x1b[0m keyring ") || !strings.Contains(seen, "→ ccactl update --user system-ccontini-2925") {
		t.Errorf("doctor shows\n%s", seen)
	}
}

// onScreen runs ccactl on a terminal and returns all that it shows there.
func onScreen(t *testing.T, f *fake, args ...string) string {
	t.Helper()
	cmd := exec.Command("ccactl", args...)
	cmd.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "TERM=xterm", "NO_COLOR=", "HOME="+t.TempDir())
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(terminal) // ends with an error when the program does
	_ = cmd.Wait()
	_ = terminal.Close()
	return strings.ReplaceAll(string(data), "\r", "")
}

// The recording of the README shows the setup that there is: test/record.sh draws
// it anew.
func TestRecordingIsCurrent(t *testing.T) {
	data, err := os.ReadFile("../../test/record/terminal.svg")
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range setupSteps {
		if want := html.EscapeString(fmt.Sprintf("%d. %s", i+1, step.title)); !strings.Contains(string(data), want) {
			t.Errorf("the recording does not show %q", want)
		}
	}
	for _, want := range []string{"$ ccactl setup<", "This sets it up in 7 steps", "A short name for it", "command -v ~/.local/bin/ccactl", ">the S3 key of dev: prove-dead (" + purpose("prove-dead") + ")<", "aws --profile dev s3 ls works"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the recording does not show %q", want)
		}
	}
}
