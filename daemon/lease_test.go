package daemon_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// What AWS SDKs are told to keep a key for is the lease from now on, by the
// second, with a real key and with the gateway's.
func TestExpirationIsTheLease(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	for config, lease := range map[string]time.Duration{"": 20 * time.Minute, "[serve]\nlease = \"16m\"": 16 * time.Minute, "[serve]\nlease = \"12h\"": 12 * time.Hour} {
		w.stop()
		w.start(config)
		for _, query := range []string{"", "?gateway=true"} {
			before := time.Now().Truncate(time.Second)
			body, _, err := w.get("/v1/environments/dev/views/credential-process" + query)
			after := time.Now()
			if err != nil {
				t.Fatal(err)
			}
			var said struct{ Expiration time.Time }
			if err := json.Unmarshal(body, &said); err != nil {
				t.Fatal(err)
			}
			if said.Expiration.Before(before.Add(lease)) || said.Expiration.After(after.Add(lease)) {
				t.Errorf("%q%s: it expires in %v", config, query, said.Expiration.Sub(after))
			}
			held := w.leaseEnd("dev", "credential-process", "gateway-key")
			if query == "" && !held.Truncate(time.Second).Equal(said.Expiration) {
				t.Errorf("%q: the ledger knows of %v, the client of %v", config, held, said.Expiration)
			}
		}
	}
}

// leaseEnd is until when the last of these leases lasts.
func (w *world) leaseEnd(name string, views ...string) (until time.Time) {
	w.Helper()
	var shown ipc.Shown
	w.do("GET", "/v1/environments/"+name, nil, &shown)
	for _, l := range shown.Holders {
		for _, view := range views {
			if l.View == view && l.Until != nil && l.Until.After(until) {
				until = *l.Until
			}
		}
	}
	return until.UTC()
}

// Below 16 minutes botocore asks again on every request.
func TestLeaseBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for lease, fine := range map[string]bool{"15m59s": false, "16m": true, "12h": true, "12h0m1s": false, "99h": false, "-20m": false, "x": false} {
		if err := os.WriteFile(path, []byte("[serve]\nlease = \""+lease+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.LoadConfig(path, true); (err == nil) != fine {
			t.Errorf("%s: %v", lease, err)
		}
	}
}

// The region that a server demands is learned by a check, too, and told as a
// change of what is served.
func TestVerifyLearnsTheRegion(t *testing.T) {
	w := newWorld(t, practice.Options{})
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	listed := w.addRequest("listed", "dev-ccontini")
	listed.S3Region, listed.NoVerify = "elsewhere", true
	alone := ipc.AddRequest{Name: "alone", S3Endpoint: w.cloud.S3URL, S3Region: "elsewhere", S3AccessKey: key.Access, S3Secret: key.Secret, NoVerify: true}
	for _, r := range []ipc.AddRequest{listed, alone} {
		w.do("POST", "/v1/environments", r, nil)
		before := w.environment(r.Name)
		if before.S3.Region != "elsewhere" {
			t.Fatalf("%s: %+v", r.Name, before.S3)
		}
		if err := w.verify(r.Name); err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		after := w.environment(r.Name)
		if after.S3.Region != practice.Region || after.S3.State != "ok" || after.Generation <= before.Generation {
			t.Errorf("%s: region %s, %s, generation %d after %d", r.Name, after.S3.Region, after.S3.State, after.Generation, before.Generation)
		}
	}
}
