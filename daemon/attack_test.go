package daemon_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestMain makes this binary a daemon where a test starts it as one: locks and
// signals need a process of their own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CCAD_TEST_DAEMON"); dir != "" {
		if err := childDaemon(dir); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	_ = os.Unsetenv("CREDENTIALS_DIRECTORY")
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // tests of this package wait more than they work
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func childDaemon(dir string) error {
	if files, err := strconv.ParseUint(os.Getenv("CCAD_TEST_FILES"), 10, 64); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
			return err
		}
	}
	inherited, err := session.Inherited()
	if err != nil {
		return err
	}
	c, err := daemon.LoadConfig(filepath.Join(dir, "config.toml"), false)
	if err != nil {
		return err
	}
	o := daemon.Options{
		Version: "test", Socket: os.Getenv("CCAD_SOCKET"), DataDir: filepath.Join(dir, "data"), StateDir: filepath.Join(dir, "state"),
		Config: c, Ready: os.Stdout, Inherited: inherited, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	}
	if o.Binary, err = os.Executable(); err != nil {
		return err
	}
	ctx, signals := session.FollowSignals(context.Background())
	defer signals.Release()
	o.Signals = signals
	return daemon.Run(ctx, o)
}

const words = "correct horse"

// A child is a daemon in a process of its own.
type child struct {
	reach
	dir  string
	cmd  *exec.Cmd
	done chan error
}

func newChild(t *testing.T, config string, env ...string) *child {
	t.Helper()
	r := newReach(t)
	return startChild(r, r.folder(), config, env...)
}

func startChild(t reach, dir, config string, env ...string) *child {
	t.Helper()
	c := &child{reach: t, dir: dir, done: make(chan error, 1)}
	if err := os.WriteFile(filepath.Join(c.dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd = exec.Command(self)
	c.cmd.Env = append(os.Environ(), "CCAD_TEST_DAEMON="+c.dir, "CCAD_SOCKET="+c.socket)
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line := make([]byte, 256)
	if n, err := out.Read(line); err != nil || !strings.Contains(string(line[:n]), "ready") {
		t.Fatalf("no ready line: %q, %v", line[:n], err)
	}
	return c
}

func (c *child) unlock() {
	c.Helper()
	c.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words}, nil)
}

func (c *child) lock() { c.Helper(); c.do("POST", "/v1/lock", nil, nil) }

func (c *child) locked() bool {
	c.Helper()
	var s ipc.Status
	c.do("GET", "/v1/status", nil, &s)
	return s.Daemon.Locked
}

// end sends SIGTERM and waits for the process; its exit must be a clean one.
func (c *child) end() {
	c.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.done:
		if err != nil {
			c.Errorf("the daemon ended with %v", err)
		}
	case <-time.After(time.Minute):
		c.Error("SIGTERM was swallowed")
	}
}

// A lock wins over the unlock that is under way when it comes.
func TestLockDuringUnlock(t *testing.T) {
	c := startChild(newReach(t), t.TempDir(), "") // with a keyring that takes its time
	c.unlock()
	c.lock()
	body := `{"passphrase":"` + words + `"}`
	request := fmt.Sprintf("POST /v1/unlock HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	won := 0
	for i := range 8 {
		answer := make(chan string, 1)
		go func() { answer <- c.raw(request) }()             // once: a client of ours would ask again
		time.Sleep(time.Duration(15+8*i) * time.Millisecond) // anywhere in argon2's work
		c.lock()
		if got := <-answer; !strings.HasPrefix(got, "HTTP/") { // else a client would ask the next image again
			t.Errorf("the unlock got no answer: %q", got)
		}
		// An unlock that reached ccad only after the lock is the next image's, and opens.
		_, err := os.Stat(filepath.Join(c.dir, "data", "locked"))
		switch locked := c.locked(); {
		case locked != (err == nil):
			t.Errorf("a lock was lost: locked %v, marker: %v", locked, err)
			c.lock()
		case locked:
			won++
		default:
			c.lock()
		}
	}
	if won == 0 {
		t.Error("no lock came while an unlock was under way")
	}
	c.end()
}

// TERM in the midst of a lock, while a request under way holds it up.
func TestSIGTERMDuringLock(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 20, 100, 200, 250, 300} {
		t.Run(fmt.Sprint(int(delay)), func(t *testing.T) {
			c := newChild(t, "")
			c.unlock()
			slow, err := net.Dial("unix", c.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = slow.Close() }()
			_, _ = io.WriteString(slow, "POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
			time.Sleep(50 * time.Millisecond)
			go func() { _ = c.try("POST", "/v1/lock", nil, nil) }()
			time.Sleep(delay * time.Millisecond)
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case err := <-c.done:
				// In the image's first moments the signal ends it by itself.
				var exit *exec.ExitError
				if err != nil && (!errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM) {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("SIGTERM was swallowed")
			}
		})
	}
}

// What we made goes when we end, after a lock too.
func TestEndAfterLockLeavesNothing(t *testing.T) {
	c := newChild(t, "")
	c.unlock()
	c.lock()
	c.lock()
	c.unlock()
	c.lock()
	c.end()
	left, err := os.ReadDir(filepath.Dir(c.socket))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The metrics port stays ours over a lock.
func TestMetricsPortOverLock(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	c := newChild(t, "[metrics]\nlisten = \""+address+"\"\n")
	ends := thief(t, address)
	for range 3 {
		c.unlock()
		c.lock()
		r, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if !strings.Contains(string(body), "ccad_locked 1") {
			t.Error("no metrics after a lock")
		}
	}
	if ends() {
		t.Error("somebody else could take the port during a lock")
	}
	c.end()
}

// Who asks for metrics and doesn't come to the end of it keeps nobody from them.
func TestMetricsPortFlood(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	newChild(t, "[metrics]\nlisten = \""+address+"\"\n")
	for range 100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
	}
	eventually(t, "metrics", func() bool {
		r, err := (&http.Client{Timeout: time.Minute}).Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer func() { _ = r.Body.Close() }()
		body, _ := io.ReadAll(r.Body)
		return strings.Contains(string(body), "ccad_locked 1")
	})
}

// thief tries to take a port until he is told to end, and tells if he could.
func thief(t *testing.T, address string) (ends func() (stolen bool)) {
	done, stolen := make(chan struct{}), make(chan bool, 1)
	go func() {
		for {
			select {
			case <-done:
				stolen <- false
				return
			default:
			}
			if l, err := net.Listen("tcp", address); err == nil {
				_ = l.Close()
				stolen <- true
				return
			}
		}
	}()
	ends = sync.OnceValue(func() bool { close(done); return <-stolen })
	t.Cleanup(func() { ends() })
	return ends
}

// A metrics port that somebody else has is a warning.
func TestMetricsPortTaken(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	w.start("[metrics]\nlisten = \"" + l.Addr().String() + "\"\n")
	if warning := w.status().Daemon.Warning; !strings.Contains(warning, "metrics have no port") {
		t.Errorf("the warning is %q", warning)
	}
}

// A folder "gen" beside the socket may be a person's own.
func TestForeignGenerations(t *testing.T) {
	for name, make := range map[string]func(gen string) error{
		"a file": func(gen string) error {
			return os.WriteFile(filepath.Join(gen, "notes.txt"), []byte("my only copy\n"), 0o600)
		},
		"a hidden one": func(gen string) error { return os.WriteFile(filepath.Join(gen, ".hidden"), []byte("z\n"), 0o600) },
		"a folder":     func(gen string) error { return os.Mkdir(filepath.Join(gen, "sub"), 0o700) },
		"a link":       func(gen string) error { return os.Symlink("/etc/passwd", filepath.Join(gen, "dev")) },
		"a temporary":  func(gen string) error { return os.WriteFile(filepath.Join(gen, ".new"), []byte("my words"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.stop()
			gen := w.generations()
			if err := errors.Join(os.Mkdir(gen, 0o700), make(gen), os.WriteFile(filepath.Join(gen, "old"), []byte("7\n"), 0o600)); err != nil {
				t.Fatal(err)
			}
			before := tree(t, gen)
			err := w.run()
			if err == nil || !strings.Contains(err.Error(), gen) {
				t.Errorf("it started, or does not say why not: %v", err)
			}
			if after := tree(t, gen); after != before {
				t.Errorf("%s became %s", before, after)
			}
		})
	}
	t.Run("elsewhere", func(t *testing.T) {
		w := newWorld(t, practice.Options{})
		w.stop()
		if err := os.Symlink(t.TempDir(), w.generations()); err != nil {
			t.Fatal(err)
		}
		if err := w.run(); err == nil {
			t.Error("it started with a link for a folder")
		}
	})
	t.Run("leftovers", func(t *testing.T) { // of a daemon that was killed
		w := newWorld(t, practice.Options{})
		w.stop()
		if err := errors.Join(os.Mkdir(w.generations(), 0o700), os.WriteFile(filepath.Join(w.generations(), "old"), []byte("7\n"), 0o600),
			os.WriteFile(filepath.Join(w.generations(), ".new"), []byte("1"), 0o600)); err != nil {
			t.Fatal(err)
		}
		w.start("")
		w.add("dev", "dev-ccontini")
		if got := tree(t, w.generations()); !strings.HasPrefix(got, "dev=") || strings.Contains(got, "old") {
			t.Errorf("the folder has %s", got)
		}
		// What comes into it later stays, and unlocks go on.
		if err := os.WriteFile(filepath.Join(w.generations(), "mine.TXT"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.stop()
		if got := tree(t, w.generations()); got != "mine.TXT=x " {
			t.Errorf("at the end the folder has %s", got)
		}
	})
}

// run runs a daemon that can't start, and returns why.
func (w *world) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	c, err := daemon.LoadConfig(filepath.Join(w.dir, "config.toml"), true)
	if err != nil {
		return err
	}
	return daemon.Run(ctx, daemon.Options{
		Version: "test", Binary: "/nonexistent", Socket: w.socket, DataDir: filepath.Join(w.dir, "data"), StateDir: filepath.Join(w.dir, "state"),
		Config: c, Ready: io.Discard, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
}

func tree(t *testing.T, dir string) (s string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		s += e.Name() + "=" + strings.TrimSpace(string(data)) + " "
	}
	return s
}

// Labels are words of ours, whatever a client says.
func TestAsIsAFixedWord(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	for _, as := range []string{"job1", "%ff", "credential-process", "exec%20"} {
		_, err := w.view("dev", "&as="+as)
		w.want(err, ipc.CodeUsage, "as=")
	}
	if _, err := w.view("dev", "&as=exec"); err != nil {
		t.Error(err)
	}
}

// trail returns the audit trail's lines with that event.
func (w *world) trail(event string) (n int) {
	w.Helper()
	w.stop()
	data, err := os.ReadFile(filepath.Join(w.dir, "state", "audit.jsonl"))
	if err != nil {
		w.Fatal(err)
	}
	return strings.Count(string(data), `"event":"`+event+`"`)
}

// A key that was made is in the trail, though what came after it failed.
func TestMadeKeyIsRecorded(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 503})
	_ = w.try("POST", "/v1/environments/dev/s3-key", nil, nil)
	if n := len(w.cloud.Keys(w.cloud.User.Name)); n != 1 {
		t.Fatalf("%d keys at the cloud", n)
	}
	if _, err := w.view("dev", "&auth=application-credential"); err != nil {
		t.Fatal(err)
	}
	if made, credentials := w.trail("key-made"), w.trail("credential-made"); made != 1 || credentials != 1 {
		t.Errorf("%d keys and %d credentials in the trail", made, credentials)
	}
}

func TestFoundKeyIsRecorded(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.add("dev", "dev-ccontini")
	if adopted, made := w.trail("adopted"), w.trail("key-made"); adopted != 2 || made != 0 { // the environment, and its key
		t.Errorf("%d adopted, %d made", adopted, made)
	}
}

func TestCheckpointsAreFew(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.add("dev", "dev-ccontini")
	sequence := func() (n int) {
		body, _, err := w.get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(body), "\nccad_store_sequence ")
		_, _ = fmt.Sscan(rest, &n)
		return n
	}
	before := sequence()
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for range 64 {
				_, _, _ = w.get("/v1/environments/dev/views/credential-process")
			}
		})
	}
	clients.Wait()
	if n := sequence() - before; n < 1 || n > 6 {
		t.Errorf("%d commits for 1024 lines, of which 256 make a checkpoint", n)
	}
}

func TestOlderStore(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.stop()
	store := filepath.Join(w.dir, "data", "store.age")
	old, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	w.start("")
	w.add("sys", "system-ccontini")
	w.stop()
	if err := os.WriteFile(store, old, 0o600); err != nil {
		t.Fatal(err)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "meanwhile another")
	w.start("")
	if d := w.status().Daemon; !d.Locked || !d.Older || !strings.Contains(d.Unreadable, "older") {
		t.Fatalf("with an older store: %+v", d)
	}
	w.want(w.try("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words}, nil), ipc.CodeOlder, "older")
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words, AcceptOlder: true}, nil)
	if n := len(w.status().Environments); n != 1 {
		t.Errorf("%d environments", n)
	}
	w.until("what it has is asked about", func() bool { return w.status().Users[0].State == "refused" })
	w.restart() // it is accepted once and for all
	if w.status().Daemon.Locked {
		t.Error("it was refused again")
	}
	if n := w.trail("older-store-accepted"); n != 1 {
		t.Errorf("%d lines in the trail", n)
	}
}

func TestTrailTakenAway(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"shorter": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			first := strings.SplitAfter(string(data), "\n")[0]
			return os.WriteFile(path, []byte(first+`{"line":99`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.add("dev", "dev-ccontini")
			if s := w.status().Daemon.Warning; s != "" {
				t.Errorf("a warning without a reason: %s", s)
			}
			w.restart()
			if s := w.status().Daemon.Warning; s != "" {
				t.Errorf("a warning without a reason: %s", s)
			}
			w.stop()
			if err := take(filepath.Join(w.dir, "state", "audit.jsonl")); err != nil {
				t.Fatal(err)
			}
			w.start("")
			if s := w.status().Daemon.Warning; !strings.Contains(s, "audit trail") {
				t.Errorf("the warning is %q", s)
			}
		})
	}
}

// A trail that can't be opened leaves ccad locked, and a later unlock works.
func TestTrailCannotBeOpened(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.stop()
	trail := filepath.Join(w.dir, "state", "audit.jsonl")
	if err := errors.Join(os.Rename(trail, trail+".aside"), os.Mkdir(trail, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.start("")
	if !w.status().Daemon.Locked {
		t.Error("it is open without a trail")
	}
	if err := errors.Join(os.Remove(trail), os.Rename(trail+".aside", trail)); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words}, nil)
}

func TestRawRequests(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.add("dev", "dev-ccontini")
	for _, view := range []string{"credential-process", "env", "endpoint"} {
		if got := w.raw("HEAD /v1/environments/dev/views/" + view + " HTTP/1.0\r\n\r\n"); !strings.Contains(got, " 400 ") {
			t.Errorf("HEAD of %s: %q", view, got)
		}
	}
	for body, refused := range map[string]bool{"": false, "{}": false, " {} \n": false, "{}{}": true, "{}x": true, `{"environments":["dev"]} null`: true} {
		got := w.raw(fmt.Sprintf("POST /v1/verify HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if strings.Contains(got, " 400 ") != refused {
			t.Errorf("body %q: %q", body, got)
		}
	}
	if n := w.trail("handed-out"); n != 0 {
		t.Errorf("%d views were handed out", n)
	}
}

// What a backup of somebody else's names reaches no file.
func TestRestoreOfGarbage(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.want(w.try("POST", "/v1/restore", ipc.RestoreRequest{Passphrase: "b", Data: []byte("x")}, nil), ipc.CodeFailed, "backup")
}

// Who takes the trail away under ccad is told of, and what comes is not lost with
// it.
func TestTrailTakenAwayMeanwhile(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	path := filepath.Join(w.dir, "state", "audit.jsonl")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.view("dev", "&as=exec"); err != nil {
		t.Fatal(err)
	}
	var report ipc.LogReport
	w.do("GET", "/v1/log/verify", nil, &report)
	if report.Intact || !strings.Contains(report.Fault, "missing") {
		t.Errorf("verify says %+v", report)
	}
	if warning := w.status().Daemon.Warning; !strings.Contains(warning, "audit trail") {
		t.Errorf("the warning is %q", warning)
	}
	if n := w.trail("handed-out"); n != 1 {
		t.Errorf("%d lines at its place", n)
	}
}
