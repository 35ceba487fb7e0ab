package story

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/lab"
)

// rehearsal builds a ccad that can be told where to die, once.
var rehearsal = sync.OnceValues(func() (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rehearsal", "ccad")
	if out, err := exec.Command("go", "build", "-tags", "rehearsal", "-o", path, "../../cmd/ccad").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// A victim is a daemon on the real cloud that is killed again and again, on one
// home. Between it and Keystone stands a proxy.
type victim struct {
	*testing.T
	lab     *lab.Lab
	user    lab.User
	project string
	dir     string
	binary  string
	same    bool // what records its steps is killed there already, in another's rotation
	env     []string
	cmd     *exec.Cmd
	ended   chan struct{}

	mu     sync.Mutex
	logins bool   // they count among the requests: they may lock somebody out
	asked  int    // requests that ask Keystone for more than a look, since the last arming
	killAt int    // the one that the daemon dies of; 0: none
	after  bool   // once Keystone has answered it, else before it hears of it
	died   string // where it did
}

func newVictim(t *testing.T, l *lab.Lab) *victim {
	t.Helper()
	binary, err := rehearsal()
	if err != nil {
		t.Fatal(err)
	}
	bin, _ := binaries()
	v := &victim{T: t, lab: l, dir: t.TempDir(), binary: binary}
	v.user = v.lab.NewUser(t, "dev-ccontini")
	run, err := os.MkdirTemp("", "cc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	v.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + v.dir, "LANG=C.UTF-8", "XDG_RUNTIME_DIR=" + run,
		"XDG_CONFIG_HOME=" + v.dir + "/c", "XDG_DATA_HOME=" + v.dir + "/d", "XDG_STATE_HOME=" + v.dir + "/s", "CCAD_TEST_CRASHES=" + v.dir}
	v.write("passphrase", "correct horse\n")
	v.start()
	t.Cleanup(func() { _ = v.cmd.Process.Kill(); <-v.ended })
	keystone := httptest.NewServer(v.proxy())
	t.Cleanup(keystone.Close)
	for v.project = range v.user.Projects {
	}
	v.write("openrc", fmt.Sprintf("export OS_AUTH_URL=%s\nexport OS_USERNAME=%s\nexport OS_PASSWORD=%s\nexport OS_PROJECT_NAME=%s\nexport OS_IDENTITY_API_VERSION=3\n",
		keystone.URL, v.user.Name, v.user.Password, v.project))
	v.ccactl("import", "openrc", "--name", "dev", "--s3-endpoint", v.lab.S3URL)
	v.ccactl("rotate", "dev", "--grace", "0s", "--wait")
	return v
}

func (v *victim) write(name, text string) {
	v.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o600); err != nil {
		v.Fatal(err)
	}
}

var hexID = regexp.MustCompile("[0-9a-f]{32}")

// proxy passes on what the daemon asks of Keystone, or kills it.
func (v *victim) proxy() http.Handler {
	keystone, err := url.Parse(strings.TrimSuffix(v.lab.AuthURL, "/v3"))
	if err != nil {
		v.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(keystone)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fatal := false
		v.mu.Lock()
		login := strings.HasSuffix(r.URL.Path, "/auth/tokens")
		if r.Method != http.MethodGet && (v.logins || !login) {
			v.asked++
			fatal = v.asked == v.killAt
		}
		after, victim := v.after, v.cmd.Process
		v.mu.Unlock()
		if !fatal {
			forward.ServeHTTP(w, r)
			return
		}
		when := "before"
		if after {
			when = "after"
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
		}
		path := hexID.ReplaceAllString(r.URL.Path, "ID")
		v.mu.Lock()
		v.died = fmt.Sprintf("%s Keystone has %s %s", when, r.Method, path)
		v.mu.Unlock()
		_ = victim.Kill()
		panic(http.ErrAbortHandler)
	})
}

// start starts the daemon where nothing is to kill it.
func (v *victim) start() {
	v.Helper()
	v.write("die", "0")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.killAt = 0
	v.cmd = exec.Command(v.binary, "run", "--passphrase-file", filepath.Join(v.dir, "passphrase"))
	v.cmd.Env = v.env
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.Fatal(err)
	}
	line := make([]byte, 256)
	if n, err := out.Read(line); err != nil || !strings.HasPrefix(string(line[:n]), "ccad ") {
		v.Fatalf("no ready line: %q, %v", line[:n], err)
	}
	cmd, ended := v.cmd, make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	v.ended = ended
}

// ccactl runs a command that must succeed, and returns what it prints.
func (v *victim) ccactl(args ...string) string {
	v.Helper()
	return v.hand("", args...)
}

// hand is ccactl with something on stdin.
func (v *victim) hand(stdin string, args ...string) string {
	v.Helper()
	out, errs, err := v.tryWith(stdin, args...)
	if err != nil {
		v.Fatalf("ccactl %q: %v\n%s%s", args, err, out, errs)
	}
	return out
}

func (v *victim) try(args ...string) (stdout, stderr string, err error) {
	return v.tryWith("", args...)
}

func (v *victim) tryWith(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(filepath.Join(filepath.Dir(filepath.Dir(v.binary)), "ccactl"), args...)
	cmd.Dir, cmd.Env = v.dir, v.env
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// rotate asks for a rotation that the daemon dies of, says where it did, and
// starts the next one.
func (v *victim) rotate(args ...string) (died string) {
	v.Helper()
	out, errs, err := v.try(append([]string{"rotate"}, args...)...)
	if err == nil {
		v.Fatalf("the daemon lives, and the rotation is over:\n%s", out)
	}
	select {
	case <-v.ended:
	case <-time.After(10 * time.Second):
		v.Fatalf("the daemon lives; rotate: %v\n%s%s", err, out, errs)
	}
	if status := v.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		v.Fatalf("the daemon was not killed, it ended with %v; rotate: %v\n%s%s", v.cmd.ProcessState, err, out, errs)
	}
	v.mu.Lock()
	died = v.died
	v.mu.Unlock()
	if passed := v.passed(); died == "" {
		died = "at " + passed[len(passed)-1]
	}
	v.start()
	return died
}

// passed are the points that the daemon has passed since the file was removed.
func (v *victim) passed() []string {
	v.Helper()
	passed, err := os.ReadFile(filepath.Join(v.dir, "passed"))
	if err != nil {
		v.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(passed)), "\n")
}

// over waits until no rotation is under way any more.
func (v *victim) over() (s ipc.Status) {
	v.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s = ipc.Status{}
		if err := json.Unmarshal([]byte(v.ccactl("status", "--json")), &s); err != nil {
			v.Fatal(err)
		}
		if len(s.Users) != 1 || len(s.Environments) != 1 {
			v.Fatalf("status tells of %+v", s)
		}
		if !strings.Contains(v.ccactl("status", "--json"), `"step"`) {
			return s
		}
		if time.Now().After(deadline) {
			v.Fatalf("the rotation does not end: %+v, %+v", s.Users[0].Rotation, s.Environments[0])
		}
	}
}

// sound checks that what is served is what the cloud has, all that it has, and
// works.
func (v *victim) sound() {
	v.Helper()
	s := v.over()
	if s.Users[0].State != "ok" || s.Environments[0].S3.State != "ok" {
		v.Fatalf("user %s, key %s", s.Users[0].State, s.Environments[0].S3.State)
	}
	var shown ipc.Shown
	if err := json.Unmarshal([]byte(v.ccactl("show", "dev", "--reveal", "--json")), &shown); err != nil {
		v.Fatal(err)
	}
	pair := account.KeyPair{AccessKeyID: shown.S3.AccessKeyID, Secret: account.NewSecret(shown.SecretAccessKey)}
	far := cloud.New(cloud.Options{})
	s3 := account.S3{Endpoint: account.Endpoint{URL: v.lab.S3URL}, Region: v.lab.Region}
	if _, err := far.ListBuckets(v.Context(), s3, pair); err != nil {
		v.Errorf("the S3 key that is served: %v", err)
	}
	var there []string
	for _, key := range v.lab.Keys(v, v.user.Name) {
		if key.ProjectID == v.user.Projects[v.project] {
			there = append(there, key.Access)
		}
	}
	if len(there) != 1 || there[0] != pair.AccessKeyID {
		v.Errorf("at the cloud are the keys %v, and %s is served", there, pair.AccessKeyID)
	}
	u := account.User{Name: v.user.Name, DomainID: "default", IdentityAPI: "3", Auth: account.Endpoint{URL: v.lab.AuthURL}}
	grant, err := far.Password(v.Context(), u, account.NewSecret(shown.Password), account.Environment{ProjectID: v.user.Projects[v.project]})
	if err != nil {
		v.Fatalf("the password that is served: %v", err)
	}
	v.soundCredential(far, u, grant)
}

// soundCredential is sound for the application credential, of which there is none
// before one is asked for.
func (v *victim) soundCredential(far *cloud.Cloud, u account.User, grant cloud.Grant) {
	v.Helper()
	there, err := far.ApplicationCredentials(v.Context(), u, grant)
	if err != nil {
		v.Fatal(err)
	}
	if len(there) == 0 {
		return
	}
	var vars map[string]string
	if err := json.Unmarshal([]byte(v.ccactl("env", "dev", "--auth", "application-credential", "--format", "json")), &vars); err != nil {
		v.Fatal(err)
	}
	serves := account.ApplicationCredential{ID: vars["OS_APPLICATION_CREDENTIAL_ID"], Secret: account.NewSecret(vars["OS_APPLICATION_CREDENTIAL_SECRET"])}
	if len(there) != 1 || there[0].ID != serves.ID {
		v.Errorf("at the cloud are the application credentials %+v, and %s is served", there, serves.ID)
	}
	if _, err := far.Application(v.Context(), u.Auth, serves); err != nil {
		v.Errorf("the application credential that is served: %v", err)
	}
}

// arm counts anew, and lets the daemon die of the nth point, or of the nth
// request; 0: of none. It has a token already, so that the requests are always the
// same.
func (v *victim) arm(point, request int, after bool) {
	v.Helper()
	v.ccactl("env", "dev", "--auth", "token")
	_ = os.Remove(filepath.Join(v.dir, "passed"))
	v.mu.Lock()
	v.asked, v.died, v.killAt, v.after = 0, "", request, after
	v.mu.Unlock()
	v.write("die", fmt.Sprint(point))
}

// killed rotates once for each point and each request of a rotation, and has the
// daemon die there. It returns where it died.
func (v *victim) killed(rotate ...string) (died []string) {
	v.Helper()
	v.arm(0, 0, false)
	v.ccactl(append([]string{"rotate"}, rotate...)...)
	points := v.passed()
	v.mu.Lock()
	requests := v.asked
	v.mu.Unlock()
	kill := func() {
		died = append(died, v.rotate(rotate...))
		if v.sound(); v.Failed() {
			v.Fatalf("killed %s", died[len(died)-1])
		}
	}
	for i, point := range points {
		if i > 0 && strings.HasSuffix(point, ": begun") {
			continue // nothing happens between the end of a step and this
		}
		if v.same && strings.HasSuffix(point, ": recorded") {
			continue
		}
		v.arm(i+1, 0, false)
		kill()
	}
	for n := range requests {
		for _, after := range []bool{false, true} {
			v.arm(0, n+1, after)
			kill()
		}
	}
	v.arm(0, 0, false)
	v.ccactl("log", "--verify")
	return died
}

// TestKilled: the daemon dies by kill -9 at every step of a rotation, and between
// every request that changes something and its answer, on the real cloud. The
// next one finishes, and nothing is lost or left behind.
func TestKilled(t *testing.T) {
	for what, of := range map[string]struct {
		rotate func(v *victim) []string
		places []string // where it must have died, among others
	}{
		"key": {func(*victim) []string { return []string{"dev", "--grace", "0s", "--wait"} },
			[]string{"at create: begun", "at flip: recorded", "at delete: asked", "before Keystone has POST /v3/credentials", "after Keystone has POST /v3/credentials"}},
		"password": {func(v *victim) []string { return []string{"--user", v.user.Name, "--password"} },
			[]string{"at change: recorded", "at prove: asked", "at flip: asked", "before Keystone has POST /v3/users/ID/password", "after Keystone has POST /v3/users/ID/password"}},
		"application-credential": {func(v *victim) []string {
			v.ccactl("env", "dev", "--auth", "application-credential")
			return []string{"dev", "--application-credential", "--grace", "0s", "--wait"}
		}, []string{"at create: begun", "at flip: asked", "after Keystone has POST /v3/users/ID/application_credentials", "after Keystone has DELETE /v3/users/ID/application_credentials/ID"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, lab.Start(t, lab.Options{}))
			v.logins, v.same = what == "password", what == "application-credential"
			died := v.killed(of.rotate(v)...)
			t.Logf("killed %d times: %s", len(died), strings.Join(died, ", "))
			for _, place := range of.places {
				if !slices.Contains(died, place) {
					t.Errorf("it never died %s", place)
				}
			}
		})
	}
}
