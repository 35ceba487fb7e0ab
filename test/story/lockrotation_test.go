package story

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestLockInMidRotation: a lock waits for no answer of the cloud. Shells see it at
// once and for good; after the unlock the rotation goes on, nothing is lost, and
// nobody is locked out.
func TestLockInMidRotation(t *testing.T) {
	for name, c := range map[string]struct {
		route string
		done  bool
	}{
		"a password, changed":     {"POST /v3/users/{user}/password", true},
		"a password, not changed": {"POST /v3/users/{user}/password", false},
		"its proof":               {"POST /v3/auth/tokens", true},
		"a key, made":             {"POST /v3/credentials", true},
		"a key, not made":         {"POST /v3/credentials", false},
		"a key, deleted":          {"DELETE /v3/users/{user}/credentials/OS-EC2/{key}", true},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, err := practice.Start(practice.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cloud.Close)
			_, passphrase := home(t, "plain/ccad")
			do(t, "POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase}, nil)
			do(t, "POST", "/v1/environments", ipc.AddRequest{
				Name: "dev", User: cloud.User.Name, Project: "dev-ccontini", Password: cloud.User.Password, AuthURL: cloud.AuthURL, S3Endpoint: cloud.S3URL,
			}, nil)
			do(t, "POST", "/v1/environments/dev/s3-key", nil, nil)
			in := ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true}
			if strings.HasSuffix(c.route, "password") || strings.HasSuffix(c.route, "tokens") {
				in = ipc.RotateRequest{User: cloud.User.Name, Password: true}
			}
			arrived := make(chan struct{})
			cloud.Fail(practice.Fault{Route: c.route, Times: 1, Break: practice.Hang, AfterWork: c.done, Begun: func() { close(arrived) }})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = ipc.StreamOf(t.Context(), "POST", "/v1/rotate", in, func([]byte) error { return nil })
			}()
			<-arrived
			do(t, "POST", "/v1/lock", nil, nil)
			<-ended
			generation := filepath.Join(filepath.Dir(os.Getenv("CCAD_SOCKET")), "gen", "dev")
			for range 20 {
				if n, err := os.ReadFile(generation); err != nil || string(n) != "0\n" {
					t.Fatalf("locked, and the generation is %q, %v", n, err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			do(t, "POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase}, nil)
			settled(t)
			vars, _, err := ipc.Get("/v1/environments/dev/views/env?format=dotenv")
			if err != nil || !strings.Contains(string(vars), cloud.Password(cloud.User.Name)) {
				t.Errorf("the password that is served is not the cloud's: %v", err)
			}
			if keys := cloud.Keys(cloud.User.Name); len(keys) != 1 {
				t.Errorf("%d keys are left at the cloud", len(keys))
			}
			for _, n := range cloud.Wrong(cloud.User.Name) {
				if n > 1 {
					t.Errorf("a wrong password was sent %d times", n)
				}
			}
		})
	}
}

// settled waits until no rotation is under way.
func settled(t *testing.T) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var st ipc.Status
		do(t, "GET", "/v1/status", nil, &st)
		if st.Users[0].Rotation == nil && st.Environments[0].Rotation == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("not over: %+v, %+v", st.Users[0].Rotation, st.Environments[0].Rotation)
		}
	}
}
