// Package lab boots a real OpenStack Object Storage for tests: Debian's
// Keystone and Swift on loopback, by cloud.sh beside this file, which also
// works by hand (`cloud.sh up DIR`).
//
// A test calls Start. CCAD_LAB=DIR makes it use the lab that is up in DIR, so
// that several test binaries share one; else the first Start of a process boots
// one, which ends with the process, however that ends: cloud.sh watches the
// pipe from here. A machine that can't have a lab fails the test, unless
// CCAD_TEST_PARTIAL=1 says that leaving something out is known and wanted.
//
// One lab serves both S3 regions: S3URL is signed for Region (cloud.ca), S3URLUS
// for us-east-1, over the same accounts. Tests share it, so one that changes
// passwords or keys makes a user of its own with NewUser, and one that changes
// Keystone's configuration takes a lab of its own (Options.Own).
package lab

import (
	"bufio"
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

//go:embed cloud.sh
var script string

// Options says which lab a test needs. The zero value: the shared one.
type Options struct {
	Own      bool     // a lab of the test's own, gone when the test ends
	Settings []string // settings of cloud.sh, such as "CLOUD_TOKEN_CACHE=10"; implies Own
}

// A Lab is a running Keystone and Swift.
type Lab struct {
	Dir      string
	AuthURL  string // Keystone, with /v3
	S3URL    string // Swift and S3
	Region   string // the S3 region of S3URL
	S3URLUS  string // the same accounts in RegionUS
	RegionUS string
	User     User // system-ccontini-2925 with system-ccontini and dev-ccontini

	admin   string        // the admin's token
	adminMu sync.Mutex    // guards admin
	owner   testing.TB    // the test whose own it is; nil: it is shared
	end     func()        // closes the pipe that keeps the lab up
	ended   chan struct{} // closed when cloud.sh has taken it down
}

// shared is the lab of this process.
var shared struct {
	sync.Mutex
	lab *Lab
}

// Start returns a lab that answers.
func Start(t testing.TB, o Options) *Lab {
	t.Helper()
	if o.Own || len(o.Settings) > 0 {
		l := boot(t, o.Settings)
		l.owner = t
		t.Cleanup(func() { l.end(); <-l.ended })
		return l
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.lab == nil {
		if dir := os.Getenv("CCAD_LAB"); dir != "" {
			shared.lab = open(t, dir)
		} else {
			shared.lab = boot(t, nil)
		}
	}
	return shared.lab
}

// boot makes a lab in a new folder. /var/tmp, because Swift needs user xattrs,
// which a tmpfs has only since Linux 6.6.
func boot(t testing.TB, settings []string) *Lab {
	t.Helper()
	if out, err := cloud("install").CombinedOutput(); err != nil {
		unavailable(t, "no real cloud here: %s", bytes.TrimSpace(out))
	}
	dir := filepath.Join("/var/tmp", "ccad-lab-"+strings.ToLower(rand.Text()[:10]))
	cmd := cloud("hold", dir)
	cmd.Env = append(os.Environ(), settings...)
	// Of its own group: an interrupt from the terminal ends the test, and then
	// the pipe's end takes the lab down in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A file, for a pipe would have a goroutine that outlives the test which boots.
	stderr, err := os.CreateTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	_ = os.Remove(stderr.Name())
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	if line != "ready\n" {
		_ = cmd.Wait()
		said, _ := io.ReadAll(io.NewSectionReader(stderr, 0, 1<<20))
		t.Fatalf("the lab did not come up in %s:\n%s", dir, said)
	}
	l := open(t, dir)
	l.end = func() { _ = stdin.Close() }
	l.ended = make(chan struct{})
	go func() { _ = cmd.Wait(); close(l.ended) }()
	return l
}

// open reads where the lab in dir is.
func open(t testing.TB, dir string) *Lab {
	t.Helper()
	v := vars(t, dir, "vars")
	l := &Lab{
		Dir: dir, AuthURL: v["OS_AUTH_URL"],
		S3URL: v["CLOUD_S3_URL"], Region: v["CLOUD_S3_REGION"],
		S3URLUS: v["CLOUD_S3_URL_US"], RegionUS: v["CLOUD_S3_REGION_US"],
	}
	l.User = User{Name: v["OS_USERNAME"], Password: v["OS_PASSWORD"], Projects: map[string]string{}}
	l.User.ID = l.userID(t, l.User.Name)
	for _, project := range []string{"system-ccontini", "dev-ccontini"} {
		l.User.Projects[project] = l.find(t, "project", project)
	}
	return l
}

// Env returns the variables of an identity of the lab, "user", "dev" or
// "admin", as KEY=VALUE for exec.Cmd.
func (l *Lab) Env(t testing.TB, who string) []string {
	t.Helper()
	var env []string
	for name, value := range vars(t, l.Dir, "env", who) {
		env = append(env, name+"="+value)
	}
	return env
}

// Configure writes Keystone's extra.conf (INI, such as [security_compliance])
// and restarts Keystone; the end of the test restores it, unless the lab ends with
// it. Only in a lab of the test's own or one that no other test uses meanwhile.
func (l *Lab) Configure(t testing.TB, ini string) {
	t.Helper()
	file := filepath.Join(l.Dir, "keystone", "extra.conf")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := cloud("restart", l.Dir).CombinedOutput(); err != nil {
			t.Fatalf("restart Keystone: %v\n%s", err, out)
		}
	}
	write([]byte(ini))
	if l.owner != t {
		t.Cleanup(func() { write(before) })
	}
}

// cloud is cloud.sh with arguments. It comes from the binary, which may run far
// from its source, by an open file without a name.
func cloud(args ...string) *exec.Cmd {
	cmd := exec.Command("bash", append([]string{"/proc/self/fd/3"}, args...)...)
	cmd.ExtraFiles = []*os.File{scriptFile()}
	return cmd
}

var scriptFile = sync.OnceValue(func() *os.File {
	f, err := os.CreateTemp("", "cloud.sh")
	if err == nil {
		_, err = f.WriteString(script)
	}
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		panic(fmt.Sprintf("lab: write cloud.sh: %v", err))
	}
	return f
})

// vars runs cloud.sh env or vars.
func vars(t testing.TB, dir, verb string, args ...string) map[string]string {
	t.Helper()
	out, err := cloud(append([]string{verb, dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("no lab is in %s (%v): cloud.sh up %s", dir, err, dir)
	}
	v := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		v[name] = value
	}
	return v
}

// unavailable ends a test that needs a lab where none can be.
func unavailable(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv("CCAD_TEST_PARTIAL") == "1" {
		t.Skip("LEFT OUT: " + reason)
	}
	t.Fatal(reason + "\n(CCAD_TEST_PARTIAL=1 leaves such tests out)")
}
