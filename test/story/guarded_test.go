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

// A guarded is a user of a real Keystone that locks accounts, and a ccad of his.
// Between the two stands a proxy that counts, loses answers and kills.
type guarded struct {
	*testing.T
	lab     *lab.Lab
	user    lab.User
	project string
	dir     string
	env     []string
	bin     string
	cmd     *exec.Cmd
	ended   chan struct{}
	auth    string // the proxy, as an auth URL

	mu     sync.Mutex
	wrong  map[string]int // how often Keystone said no to each password
	change func(forward func()) (answer bool)
	login  func(forward func()) (answer bool)
}

func newGuarded(t *testing.T, l *lab.Lab) *guarded {
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
	g := &guarded{T: t, lab: l, user: l.NewUser(t, "dev-ccontini"), dir: t.TempDir(), bin: bin, wrong: map[string]int{}}
	for g.project = range g.user.Projects {
	}
	g.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + g.dir, "LANG=C.UTF-8", "XDG_RUNTIME_DIR=" + run,
		"XDG_CONFIG_HOME=" + g.dir + "/c", "XDG_DATA_HOME=" + g.dir + "/d", "XDG_STATE_HOME=" + g.dir + "/s"}
	proxy := httptest.NewServer(g.proxy())
	t.Cleanup(proxy.Close)
	g.auth = proxy.URL
	g.write("passphrase", "correct horse\n")
	g.write("c/ccad/config.toml", "[watch]\nprobe = \"1s\"\n")
	g.start()
	t.Cleanup(func() { g.kill() })
	return g
}

func (g *guarded) write(name, text string) {
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
func (g *guarded) openrc(password string) {
	g.Helper()
	g.write("openrc", fmt.Sprintf("export OS_AUTH_URL=%s\nexport OS_USERNAME=%s\nexport OS_PASSWORD=%s\nexport OS_PROJECT_NAME=%s\nexport OS_IDENTITY_API_VERSION=3\n",
		g.auth, g.user.Name, password, g.project))
}

func (g *guarded) start() {
	g.Helper()
	cmd := exec.Command(filepath.Join(g.bin, "plain", "ccad"), "run", "--passphrase-file", g.dir+"/passphrase")
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
func (g *guarded) kill() {
	g.mu.Lock()
	cmd, ended := g.cmd, g.ended
	g.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-ended
}

func (g *guarded) restart() { g.kill(); g.start() }

// ccactl runs it and returns what it prints and how it ends.
func (g *guarded) ccactl(stdin string, args ...string) (out string, code int) {
	g.Helper()
	cmd := exec.Command(filepath.Join(g.bin, "ccactl"), args...)
	cmd.Env, cmd.Dir, cmd.Stdin = g.env, g.dir, strings.NewReader(stdin)
	data, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		g.Fatal(err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

// must runs ccactl and wants it to end so.
func (g *guarded) must(code int, stdin string, args ...string) string {
	g.Helper()
	out, got := g.ccactl(stdin, args...)
	if got != code {
		g.Fatalf("ccactl %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

func (g *guarded) status() (st ipc.Status) {
	g.Helper()
	if err := json.Unmarshal([]byte(g.must(0, "", "status", "--json")), &st); err != nil {
		g.Fatal(err)
	}
	return st
}

// until waits for something.
func (g *guarded) until(what string, is func() bool) {
	g.Helper()
	for limit := time.Now().Add(60 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			g.Fatalf("never: %s; status %+v", what, g.status().Users)
		}
	}
}

// proxy passes on what ccad asks of Keystone.
func (g *guarded) proxy() http.Handler {
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
		password, changes := passwordIn(body)
		if password == "" {
			forward.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		ask := func() {
			forward.ServeHTTP(answer, r)
			if answer.Code == http.StatusUnauthorized && !strings.Contains(answer.Body.String(), "expired") {
				g.mu.Lock()
				g.wrong[password]++
				g.mu.Unlock()
			}
		}
		g.mu.Lock()
		hook := g.login
		if changes {
			hook = g.change
		}
		g.mu.Unlock()
		if hook == nil {
			ask()
		} else if !hook(ask) {
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// passwordIn is the password that a request proves itself with.
func passwordIn(body []byte) (password string, changes bool) {
	var doc struct {
		Auth struct {
			Identity struct {
				Password struct{ User struct{ Password string } }
			}
		}
		User struct {
			OriginalPassword string `json:"original_password"`
		}
	}
	_ = json.Unmarshal(body, &doc)
	if doc.User.OriginalPassword != "" {
		return doc.User.OriginalPassword, true
	}
	return doc.Auth.Identity.Password.User.Password, false
}

// hooks sets what happens to changes and logins from now on; nil: nothing.
func (g *guarded) hooks(change, login func(forward func()) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change, g.login = change, login
}

// notLocked proves that the user can still log in, past ccad, and that no wrong
// password was sent more often than that.
func (g *guarded) notLocked(password string, most int) {
	g.Helper()
	g.mu.Lock()
	for value, n := range g.wrong {
		if n > most {
			g.Errorf("Keystone refused %q %d times", value, n)
		}
	}
	g.mu.Unlock()
	body := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"id":"default"},"password":%q}}}}}`, g.user.Name, password)
	res, err := http.Post(g.lab.AuthURL+"/auth/tokens", "application/json", strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		g.Errorf("the right password is refused (%d): the user is locked out", res.StatusCode)
	}
}

// served is the password that a shell gets.
func (g *guarded) served() string {
	g.Helper()
	for _, line := range strings.Split(g.must(0, "", "env", "dev", "--format", "dotenv"), "\n") {
		if value, ok := strings.CutPrefix(line, "OS_PASSWORD="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	g.Fatal("the view has no password")
	return ""
}
