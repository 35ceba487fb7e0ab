// Package story lives the stories of users: real binaries, a real daemon, a
// real Keystone and Swift, real shells and clients. Each script of testdata is
// one, in the language of testscript; its first line says what it guards.
package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloud-ca/ccad/test/lab"
)

// binaries builds ccad, under the race detector, and ccactl once.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ccad-story-bin")
	if err != nil {
		return "", err
	}
	next, err := nextProtocol(dir)
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-overlay", next, "-o", dir + "/next/", "../../cmd/ccactl"},
		{"build", "-race", "-ldflags", "-X main.version=test", "-o", dir + "/", "../../cmd/ccad"},
		{"build", "-ldflags", "-X main.version=test", "-o", dir + "/", "../../cmd/ccactl"},
		{"build", "-ldflags", "-X main.version=test", "-o", dir + "/plain/", "../../cmd/ccad"}, // without the detector's terabytes of shadow
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func TestStories(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	real := lab.Start(t, lab.Options{})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(t, real, bin, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"admin":      func(ts *testscript.TestScript, neg bool, args []string) { admin(t, real, ts, neg, args) },
			"ccad":       startDaemon,
			"eventually": eventually,
			"fill":       fill,
			"free-port":  freePort,
			"readme":     func(ts *testscript.TestScript, _ bool, _ []string) { readme(t, real, ts) },
			"stranger":   stranger,
			"ill":        ill,
			"kill9":      func(ts *testscript.TestScript, neg bool, args []string) { endDaemon(ts, os.Kill) },
			"portal":     func(ts *testscript.TestScript, neg bool, args []string) { portal(t, real, ts, neg, args) },
			"portal-regenerate": func(ts *testscript.TestScript, neg bool, args []string) {
				portalRegenerate(t, real, ts, neg, args)
			},
			"only-key": func(ts *testscript.TestScript, _ bool, _ []string) { onlyKey(t, real, ts) },
			"signal":   func(ts *testscript.TestScript, neg bool, args []string) { endDaemon(ts, os.Interrupt) },
		},
		Condition: condition,
	})
}

// TestLeftOut follows the stories, and lists what they left out: a line of a
// story that has a condition is nothing that go test sees.
func TestLeftOut(t *testing.T) {
	missing.Range(func(program, _ any) bool {
		t.Run(program.(string), func(t *testing.T) { t.Skipf("%s is not installed: stories left out what needs it", program) })
		return true
	})
}

// missing are the programs that conditions did not find.
var missing sync.Map

// condition is "prog:NAME": the program is there. One that is missing fails the
// story, unless leaving things out is known and wanted.
func condition(cond string) (bool, error) {
	name, ok := strings.CutPrefix(cond, "prog:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	_, err := exec.LookPath(name)
	if err != nil && os.Getenv("CCAD_TEST_PARTIAL") == "" {
		return false, fmt.Errorf("%s is not installed (make test installs it)", name)
	}
	if err != nil {
		missing.Store(name, true)
	}
	return err == nil, nil
}

// userKey finds the story's own user among the values of its environment.
type userKey struct{}

// setup gives a story a home of its own and a user of its own in the cloud,
// whose password is the documentation's.
func setup(t *testing.T, real *lab.Lab, bin string, env *testscript.Env) error {
	run, err := os.MkdirTemp("", "cc") // short: a socket's path has 107 bytes
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(run) })
	env.Defer(func() { endStray(run, bin) })
	home := filepath.Join(env.WorkDir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	user := real.NewUser(t, "system-ccontini", "dev-ccontini")
	env.Values[userKey{}], env.Values[shownKey{}] = user, new(atomic.Value)
	var system, dev string
	for name := range user.Projects {
		if strings.HasPrefix(name, "dev-") {
			dev = name
		} else {
			system = name
		}
	}
	for _, pair := range [][2]string{
		{"PATH", bin + ":" + os.Getenv("PATH")},
		{"HOME", home}, {"BIN", bin}, {"REPO", repo()},
		{"XDG_RUNTIME_DIR", run}, {"XDG_CONFIG_HOME", home + "/.config"},
		{"XDG_DATA_HOME", home + "/.local/share"}, {"XDG_STATE_HOME", home + "/.local/state"},
		{"AUTH_URL", strings.TrimSuffix(real.AuthURL, "/v3")}, {"S3_HOST", strings.TrimPrefix(real.S3URLUS, "http://")}, {"S3_URL", real.S3URL}, {"S3_URL_US", real.S3URLUS},
		{"USERNAME", user.Name}, {"USERID", user.ID}, {"SYSTEM", system}, {"DEV", dev},
		{"SYSTEM_ID", user.Projects[system]}, {"DEV_ID", user.Projects[dev]},
		{"AWS_EC2_METADATA_DISABLED", "true"}, {"LANG", "C.UTF-8"}, {"TERM", "xterm"}, {"SHELL", "/bin/sh"},
		{"PYENV_VERSION", os.Getenv("PYENV_VERSION")}, {"PYENV_ROOT", pyenvRoot()},
	} {
		env.Setenv(pair[0], pair[1])
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "passphrase"), []byte("correct horse\n"), 0o600)
}

// pyenvRoot lets an AWS CLI that pyenv manages start under another HOME.
func pyenvRoot() string {
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		return root
	}
	return filepath.Join(os.Getenv("HOME"), ".pyenv")
}

// process is a daemon of a story.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startDaemon: ccad [ARG…] starts "ccad run ARG…" and waits for its ready line,
// which ends up in the file "ready"; its log is in "ccad.log".
func startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("a daemon that must not start is: ! exec ccad run")
	}
	cmd := exec.Command(ts.Getenv("BIN")+"/ccad", append([]string{"run"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LANG",
		"DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "PASSWORD_STORE_DIR", "CREDENTIALS_DIRECTORY", "https_proxy", "http_proxy"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	log, err := os.OpenFile(ts.MkAbs("ccad.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	_ = log.Close()
	p := &process{cmd: cmd, done: make(chan struct{})}
	ready := make(chan string, 1)
	go func() {
		line := make([]byte, 512)
		n, _ := stdout.Read(line)
		ready <- string(line[:n])
		_ = cmd.Wait()
		close(p.done)
	}()
	ts.Defer(func() { stop(p, os.Interrupt) })
	select {
	case line := <-ready:
		ts.Check(os.WriteFile(ts.MkAbs("ready"), []byte(line), 0o600))
		if !strings.HasPrefix(line, "ccad ") {
			data, _ := os.ReadFile(ts.MkAbs("ccad.log"))
			ts.Fatalf("ccad did not start: %s%s", line, data)
		}
	case <-time.After(time.Minute):
		ts.Fatalf("no ready line within a minute")
	}
	ts.Setenv("CCAD_PID", fmt.Sprint(cmd.Process.Pid))
	running.Store(cmd.Process.Pid, p)
}

// running finds a daemon by its pid.
var running sync.Map

func stop(p *process, sig os.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// endDaemon: kill9 and signal end the story's daemon and wait until it is gone.
func endDaemon(ts *testscript.TestScript, sig os.Signal) {
	var pid int
	_, _ = fmt.Sscan(ts.Getenv("CCAD_PID"), &pid)
	p, ok := running.Load(pid)
	if !ok {
		ts.Fatalf("no daemon runs")
	}
	stop(p.(*process), sig)
}

// fill FILE…: replaces $NAME and ${NAME} in files by the story's variables.
// Words that it does not know stay as they are.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		path := ts.MkAbs(file)
		data := os.Expand(ts.ReadFile(file), func(name string) string {
			if v := ts.Getenv(name); v != "" {
				return v
			}
			return "$" + name
		})
		ts.Check(os.WriteFile(path, []byte(data), 0o600))
	}
}

// admin ACT…: what the cloud's administrator does to the story's user.
func admin(t *testing.T, real *lab.Lab, ts *testscript.TestScript, _ bool, args []string) {
	u, _ := ts.Value(userKey{}).(lab.User)
	switch strings.Join(args[:1], "") {
	case "password":
		real.SetPassword(t, u.Name, args[1])
	case "lock-password":
		real.PatchUser(t, u.Name, map[string]any{"options": map[string]any{"lock_password": true}})
	case "disable":
		real.DisableUser(t, u.Name)
	case "enable":
		real.EnableUser(t, u.Name)
	case "regenerate":
		real.Regenerate(t, u, args[1])
	case "key":
		key := real.CreateKey(t, u.Name, args[1])
		ts.Setenv("ACCESS", key.Access)
		ts.Setenv("SECRET", key.Secret)
	case "stranger": // somebody else has a key that works
		other := real.NewUser(t, "stranger")
		for _, id := range other.Projects {
			key := real.CreateKey(t, other.Name, id)
			ts.Setenv("ACCESS", key.Access)
			ts.Setenv("SECRET", key.Secret)
		}
	case "delete-keys":
		real.DeleteKeys(t, u.Name, args[1])
	default:
		ts.Fatalf("admin does not know %q", args)
	}
}

// eventually COMMAND…: until the command ends with 0, a minute at most.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out []byte
	var err error
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", strings.Join(args, " "))
		cmd.Dir, cmd.Env = ts.MkAbs("."), storyEnv(ts)
		if out, err = cmd.CombinedOutput(); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	ts.Fatalf("%q never came true: %v\n%s", args, errors.Join(err, ctx.Err()), out)
}

func storyEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LANG", "USERNAME", "DEV", "SYSTEM", "S3_URL_US"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// only-key: the story's user has one S3 key in the project dev, and it is the
// one that ccad serves.
func onlyKey(t *testing.T, real *lab.Lab, ts *testscript.TestScript) {
	u, _ := ts.Value(userKey{}).(lab.User)
	var there []string
	for _, key := range real.Keys(t, u.Name) {
		if key.ProjectID == ts.Getenv("DEV_ID") {
			there = append(there, key.Access)
		}
	}
	cmd := exec.Command(ts.Getenv("BIN")+"/ccactl", "env", "dev", "--client", "aws", "--direct", "--format", "json")
	cmd.Env = storyEnv(ts)
	out, err := cmd.Output()
	ts.Check(err)
	if len(there) != 1 || !strings.Contains(string(out), there[0]) {
		ts.Fatalf("at the cloud are the keys %v, another is served", there)
	}
}
