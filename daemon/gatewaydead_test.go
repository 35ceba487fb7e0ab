package daemon_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A dead key about which nobody can ask Keystone stays dead until a person does
// something: clients are told why, and not to try again.
func TestDeadKeyUnasked(t *testing.T) {
	for _, c := range []struct {
		what, words string
		add         func(w *world)
	}{
		{"the password is refused", "is not sent again", func(w *world) {
			w.add("dev", "dev-ccontini")
			w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
			w.cloud.SetPassword(w.cloud.User.Name, "another")
			w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
		}},
		{"the password is unverified", "ccactl verify dev", func(w *world) {
			key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
			r := w.addRequest("dev", "dev-ccontini")
			r.S3AccessKey, r.S3Secret, r.S3Region, r.NoVerify = key.Access, key.Secret, practice.Region, true
			w.do("POST", "/v1/environments", r, nil)
		}},
		{"there is no password", "no password of user", func(w *world) {
			key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
			file := ipc.File{Path: "/x/openrc", Data: []byte(w.openrc("", "dev-ccontini", ""))}
			w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{file}, Name: "dev", Bare: true, S3Endpoint: w.cloud.S3URL, S3Region: practice.Region}, nil)
			w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: key.Access, S3Secret: key.Secret, NoVerify: true}, nil)
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			c.add(w)
			key := w.gatewayKey("dev")
			if status := w.buckets(key); status != http.StatusOK {
				t.Fatalf("before: %d", status)
			}
			w.regenerate()
			before := w.cloud.Count("POST /v3/auth/tokens")
			for range 2 {
				status, body := w.s3("GET", "/", nil, key)
				if status != http.StatusForbidden || !strings.Contains(string(body), "AccessDenied") || !strings.Contains(string(body), c.words) {
					t.Errorf("%d %s", status, body)
				}
			}
			if n := w.cloud.Count("POST /v3/auth/tokens") - before; n != 0 {
				t.Errorf("%d logins were made", n)
			}
		})
	}
}
