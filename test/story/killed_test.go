package story

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// A victim is a rig whose daemon is killed again and again.
type victim struct {
	*rig
	same bool // what records its steps is killed there already, in another's rotation

	// Guarded by the rig's lock.
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
	v := &victim{rig: newRig(t, l, binary, "")}
	v.openrc(v.user.Password)
	v.must(0, "", "import", "openrc", "--name", "dev", "--s3-endpoint", v.lab.S3URL)
	v.must(0, "", "rotate", "dev", "--grace", "0s", "--wait")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hook = v.pass
	return v
}

var hexID = regexp.MustCompile("[0-9a-f]{32}")

// pass is the rig's hook: it kills the daemon with the request that it is told.
func (v *victim) pass(r *http.Request, _ []byte, forward func() (int, []byte)) (answers bool) {
	fatal := false
	v.mu.Lock()
	login := strings.HasSuffix(r.URL.Path, "/auth/tokens")
	if r.Method != http.MethodGet && (v.logins || !login) {
		v.asked++
		fatal = v.asked == v.killAt
	}
	after := v.after
	v.mu.Unlock()
	if !fatal {
		forward()
		return true
	}
	when := "before"
	if after {
		when = "after"
		forward()
	}
	v.mu.Lock()
	v.died = fmt.Sprintf("%s Keystone has %s %s", when, r.Method, hexID.ReplaceAllString(r.URL.Path, "ID"))
	v.mu.Unlock()
	v.kill()
	return false
}

// rotate asks for a rotation that the daemon dies of, says where it did, and
// starts the next one.
func (v *victim) rotate(args ...string) (died string) {
	v.Helper()
	out, code := v.ccactl("", append([]string{"rotate"}, args...)...)
	if code == 0 {
		v.Fatalf("the daemon lives, and the rotation is over:\n%s", out)
	}
	select {
	case <-v.ended:
	case <-time.After(time.Minute):
		v.Fatalf("the daemon lives; rotate ends with %d\n%s", code, out)
	}
	if status := v.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		v.Fatalf("the daemon was not killed, it ended with %v; rotate ends with %d\n%s", v.cmd.ProcessState, code, out)
	}
	v.mu.Lock()
	died = v.died
	v.mu.Unlock()
	if passed := v.passed(); died == "" {
		died = "at " + passed[len(passed)-1]
	}
	v.arm(0, 0, false)
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
	v.until("the rotation is over", func() bool { return !strings.Contains(v.must(0, "", "status", "--json"), `"step"`) })
	if s = v.status(); len(s.Users) != 1 || len(s.Environments) != 1 {
		v.Fatalf("status tells of %+v", s)
	}
	return s
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
	if err := json.Unmarshal([]byte(v.must(0, "", "show", "dev", "--reveal", "--json")), &shown); err != nil {
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
	if err := json.Unmarshal([]byte(v.must(0, "", "env", "dev", "--auth", "application-credential", "--format", "json")), &vars); err != nil {
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
// request; 0: of none.
func (v *victim) arm(point, request int, after bool) {
	v.Helper()
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
	arm := func(point, request int, after bool) {
		v.must(0, "", "env", "dev", "--auth", "token") // one is cached then, and the requests are always the same
		v.arm(point, request, after)
	}
	arm(0, 0, false)
	v.must(0, "", append([]string{"rotate"}, rotate...)...)
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
		arm(i+1, 0, false)
		kill()
	}
	for n := range requests {
		for _, after := range []bool{false, true} {
			arm(0, n+1, after)
			kill()
		}
	}
	v.must(0, "", "log", "--verify")
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
			v.must(0, "", "env", "dev", "--auth", "application-credential")
			return []string{"dev", "--application-credential", "--grace", "0s", "--wait"}
		}, []string{"at create: begun", "at flip: asked", "after Keystone has POST /v3/users/ID/application_credentials", "after Keystone has DELETE /v3/users/ID/application_credentials/ID"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, lab.Start(t, lab.Options{}))
			v.same = what == "application-credential"
			v.mu.Lock()
			v.logins = what == "password"
			v.mu.Unlock()
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
