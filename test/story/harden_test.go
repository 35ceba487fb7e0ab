package story

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user whose processes' files tell whether he may look into them.
const nobody = 65534

// TestHardened: from its start on and after a lock, which executes it anew, the
// daemon is not dumpable, makes no core file, and has lost the variables of who
// started it. It runs as another user than root, whose eyes would see through
// everything.
func TestHardened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a daemon as another user, and look at it")
	}
	built, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cc") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, pair := range [][2]string{{"plain/ccad", "ccad"}, {"ccactl", "ccactl"}} {
		data, err := os.ReadFile(filepath.Join(built, pair[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pair[1]), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(dir, "home")
	passphrase := filepath.Join(home, "passphrase")
	for _, step := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(home, 0o700), os.WriteFile(passphrase, []byte("correct horse\n"), 0o600),
		os.Chown(home, nobody, nobody), os.Chown(passphrase, nobody, nobody),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	as := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(dir, name), args...)
		c.Dir = home
		c.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "PATH=/usr/bin:/bin", "https_proxy=http://user:hunter2@proxy.example", "SSL_CERT_FILE=/nowhere", "OS_PASSWORD=hunter2"}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return c
	}
	ccad := as("ccad", "run", "--passphrase-file", passphrase)
	ccad.Stderr = os.Stderr
	out, err := ccad.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ccad.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ccad.Process.Signal(os.Interrupt); _ = ccad.Wait() })
	line := make([]byte, 256)
	if n, err := out.Read(line); err != nil || !strings.Contains(string(line[:n]), "(open)") {
		t.Fatalf("no ready line: %q, %v", line[:n], err)
	}
	hardened(t, "at its start", ccad.Process.Pid)
	if said, err := as("ccactl", "lock").CombinedOutput(); err != nil {
		t.Fatalf("lock: %v: %s", err, said)
	}
	hardened(t, "after a lock", ccad.Process.Pid)
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", ccad.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"hunter2", "proxy", "SSL_CERT_FILE"} { // what the first image has handed on
		if strings.Contains(string(environ), word) {
			t.Errorf("%s is in its environment", word)
		}
	}
	if !strings.Contains(string(environ), "HOME="+home) {
		t.Errorf("it has lost what it needs: %q", environ)
	}
}

func hardened(t *testing.T, when string, pid int) {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("%s it is dumpable: its files in /proc are uid %d's", when, owner)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, is := strings.CutPrefix(line, "Max core file size"); is && strings.Join(strings.Fields(rest), " ") != "0 0 bytes" {
			t.Errorf("%s it may make a core file:%s", when, rest)
		}
	}
}
