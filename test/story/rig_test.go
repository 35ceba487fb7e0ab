package story

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/lab"
)

// A rig is a user of a real cloud and a ccad of his that may be killed and started
// again. Between ccad and Keystone stands a proxy.
type rig struct {
	*testing.T
	lab     *lab.Lab
	user    lab.User
	project string
	dir     string
	binary  string // of ccad
	env     []string
	auth    string // the proxy, as an auth URL

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	hook  hook
}

// A hook has a request that ccad sends to Keystone. forward asks Keystone;
// whether it did or not, ccad gets an answer only where it returns true.
type hook func(r *http.Request, body []byte, forward func() (status int, answer []byte)) (answers bool)

// newRig starts a ccad of a new user, with that configuration.
func newRig(t *testing.T, l *lab.Lab, binary, config string, more ...string) *rig {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("", "cc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	g := &rig{T: t, lab: l, user: l.NewUser(t, "dev-ccontini"), dir: t.TempDir(), binary: binary}
	for g.project = range g.user.Projects {
	}
	g.env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + g.dir, "LANG=C.UTF-8", "XDG_RUNTIME_DIR=" + run,
		"XDG_CONFIG_HOME=" + g.dir + "/c", "XDG_DATA_HOME=" + g.dir + "/d", "XDG_STATE_HOME=" + g.dir + "/s", "CCAD_TEST_CRASHES=" + g.dir}, more...)
	proxy := httptest.NewServer(g.proxy())
	t.Cleanup(proxy.Close)
	g.auth = proxy.URL
	g.write("passphrase", "correct horse\n")
	g.write("c/ccad/config.toml", config)
	g.start()
	t.Cleanup(g.kill)
	return g
}

func (g *rig) write(name, text string) {
	g.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		g.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
}

// openrc writes one with a password.
func (g *rig) openrc(password string) {
	g.Helper()
	g.write("openrc", fmt.Sprintf("export OS_AUTH_URL=%s\nexport OS_USERNAME=%s\nexport OS_PASSWORD=%s\nexport OS_PROJECT_NAME=%s\nexport OS_IDENTITY_API_VERSION=3\n",
		g.auth, g.user.Name, password, g.project))
}

func (g *rig) start() {
	g.Helper()
	cmd := exec.Command(g.binary, "run", "--passphrase-file", g.dir+"/passphrase")
	cmd.Env, cmd.Dir, cmd.Stderr = g.env, g.dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	line := make([]byte, 256)
	if n, err := out.Read(line); err != nil || !strings.Contains(string(line[:n]), "ready") {
		g.Fatalf("no ready line: %q, %v", line[:n], err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cmd, g.ended = cmd, ended
}

// kill is kill -9, and returns when the process is gone.
func (g *rig) kill() {
	g.mu.Lock()
	cmd, ended := g.cmd, g.ended
	g.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-ended
}

func (g *rig) restart() { g.kill(); g.start() }

// ccactl runs it and returns what it prints and how it ends.
func (g *rig) ccactl(stdin string, args ...string) (out string, code int) {
	g.Helper()
	bin, _ := binaries()
	cmd := exec.Command(filepath.Join(bin, "ccactl"), args...)
	cmd.Env, cmd.Dir, cmd.Stdin = g.env, g.dir, strings.NewReader(stdin)
	data, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		g.Fatal(err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

// must runs ccactl and wants it to end so.
func (g *rig) must(code int, stdin string, args ...string) string {
	g.Helper()
	out, got := g.ccactl(stdin, args...)
	if got != code {
		g.Fatalf("ccactl %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

func (g *rig) status() (st ipc.Status) {
	g.Helper()
	if err := json.Unmarshal([]byte(g.must(0, "", "status", "--json")), &st); err != nil {
		g.Fatal(err)
	}
	return st
}

// until waits for something.
func (g *rig) until(what string, is func() bool) {
	g.Helper()
	for limit := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			g.Fatalf("never: %s; status %+v", what, g.status().Users)
		}
	}
}

// proxy passes on what ccad asks of Keystone, as the hook lets it.
func (g *rig) proxy() http.Handler {
	keystone, err := url.Parse(strings.TrimSuffix(g.lab.AuthURL, "/v3"))
	if err != nil {
		g.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(keystone)
	forward.ErrorLog = log.New(io.Discard, "", 0) // clients that go away are what this is about
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set("Connection", "close")
		answer := httptest.NewRecorder()
		ask := func() (int, []byte) {
			forward.ServeHTTP(answer, r)
			return answer.Code, answer.Body.Bytes()
		}
		g.mu.Lock()
		hook := g.hook
		g.mu.Unlock()
		if hook == nil {
			ask()
		} else if !hook(r, body, ask) {
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
