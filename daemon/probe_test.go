package daemon_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestProbes: what was handed out is asked about, one login a user; a password
// that the cloud refuses then has failed once, and goes out to nobody any more.
func TestProbes(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	if _, _, err := w.get("/v1/environments/dev/views/env"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.get("/v1/environments/system/views/env"); err != nil {
		t.Fatal(err)
	}
	w.until("a probe finds it refused", func() bool { return w.status().Users[0].State == "refused" })
	for begun := time.Now(); time.Since(begun) < 2500*time.Millisecond; time.Sleep(100 * time.Millisecond) { // two more periods
		_, _, err := w.get("/v1/environments/dev/views/env")
		w.want(err, ipc.CodeRefused, "refused by the cloud")
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev"}, &out)
		w.want(out.Changes[0].Error, ipc.CodeRefused, "refused")
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("the dead password was sent %d times", n)
	}
}

// TestProbesWhatIsHeld: what a shell was given is asked about as long as the
// shell lives, though it asks for nothing.
func TestProbesWhatIsHeld(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	if _, _, err := w.get("/v1/environments/dev/views/env?format=hook-sh"); err != nil { // this process's parent is the shell
		t.Fatal(err)
	}
	for range 3 {
		before, _ := w.cloud.Passwords(w.cloud.User.Name)
		w.until("it is probed once more", func() bool { now, _ := w.cloud.Passwords(w.cloud.User.Name); return now > before })
	}
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.until("a probe finds it refused", func() bool { return w.status().Users[0].State == "refused" })
}

// TestProbesTheGatewaysTraffic: what goes through the gateway is in use, with a
// key that a daemon before this one gave.
func TestProbesTheGatewaysTraffic(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.gatewayKey("dev")
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.until("a probe finds it refused", func() bool {
		if status := w.buckets(key); status != http.StatusOK { // the S3 key is good all the same
			t.Fatalf("status %d", status)
		}
		return w.status().Users[0].State == "refused"
	})
	if status := w.buckets(key); status != http.StatusOK {
		t.Errorf("while the user is refused: status %d", status)
	}
}

// TestSilence: status says since when the cloud has not answered about what was
// good before, until it does.
func TestSilence(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	silent := func() *time.Time { return w.status().Environments[0].SilentSince }
	if since := silent(); since != nil {
		t.Errorf("silent since %v", since)
	}
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	if _, err := w.view("dev", ""); err != nil { // what is in use is probed
		t.Fatal(err)
	}
	w.until("a probe has no answer", func() bool { return silent() != nil })
	since := *silent()
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if again := silent(); again == nil || !again.Equal(since) {
		t.Errorf("silent since %v, and then %v", since, again)
	}
	if e := w.status().Environments[0]; e.State != "ok" {
		t.Errorf("what was accepted is %s", e.State)
	}
	w.cloud.Heal()
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if since := silent(); since != nil {
		t.Errorf("it answers, and is silent since %v", since)
	}
}

// TestUnasked: what only a person may have sent is no question to the cloud, and no
// answer of it.
func TestUnasked(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.NoVerify = true
	w.do("POST", "/v1/environments", r, nil)
	silent := func() *time.Time { return w.status().Environments[0].SilentSince }
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	_ = w.try("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	since := silent()
	if since == nil {
		t.Fatal("a person's verify has an answer")
	}
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev"}, &out)
	if c := out.Changes[0]; !c.Unasked || c.State != "unverified" || c.Error == nil || !strings.Contains(c.Error.Message, "--no-verify") {
		t.Errorf("%+v, %v", c, c.Error)
	}
	if again := silent(); again == nil || !again.Equal(*since) {
		t.Errorf("silent since %v, and then %v", since, again)
	}
	if asked, accepted := w.metric(`ccad_probes_total{outcome="unasked"}`), w.metric(`ccad_probes_total{outcome="accepted"}`); asked != "1" || accepted != "0" {
		t.Errorf("unasked %q, accepted %q", asked, accepted)
	}
}

// TestRejectedReports: however many programs report, the user is asked about
// once; a report in the background waits for nobody.
func TestRejectedReports(t *testing.T) {
	alone(t) // it is about time
	w, _ := imported(t, "dev-ccontini")
	before, _ := w.cloud.Passwords(w.cloud.User.Name)
	for range 20 {
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, &out)
		if out.Changes[0].Error != nil || out.Changes[0].State != "ok" {
			t.Fatalf("%+v", out.Changes)
		}
	}
	if after, _ := w.cloud.Passwords(w.cloud.User.Name); after-before != 1 {
		t.Errorf("20 reports make %d logins", after-before)
	}
	w.restart()
	asked := make(chan struct{})
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Times: 1, Delay: 5 * time.Second, Begun: func() { close(asked) }})
	begun := time.Now()
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini", Background: true}, nil)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("a report took %v", took)
	}
	<-asked
	w.until("the check finds it refused", func() bool { return w.status().Users[0].State == "refused" })
	w.want(w.try("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "nonesuch", Background: true}, nil), ipc.CodeUnknown, "nonesuch")
}

// TestRejectedAtACloudThatHangs: while one cloud lets two reports wait, a report
// about another's is followed.
func TestRejectedAtACloudThatHangs(t *testing.T) {
	w, _ := imported(t, "dev-ccontini")
	far, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	far.AddUser("other", "first", "others")
	for user, r := range map[string]ipc.AddRequest{
		far.User.Name: {Name: "far", Project: "dev-ccontini", Password: secret}, "other": {Name: "other", Project: "others", Password: "first"},
	} {
		r.User, r.AuthURL, r.S3Endpoint = user, far.AuthURL, far.S3URL
		w.do("POST", "/v1/environments", r, nil)
	}
	report := func(name string) {
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: name, Background: true}, nil)
	}
	var begun atomic.Int32
	far.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Break: practice.Hang, Begun: func() { begun.Add(1) }})
	report("far")
	report("other")
	w.until("the one that hangs is asked", func() bool { return begun.Load() == 1 })
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	report("dev-ccontini")
	w.until("the report about the other cloud is followed", func() bool { return w.refusals() == 1 })
	if n := begun.Load(); n != 1 {
		t.Errorf("it waited for %d reports about the cloud that hangs", n)
	}
	w.until("the second is followed", func() bool { return begun.Load() == 2 })
}

// TestProbesOnlyWhatIsUsed: of a user whose environments nobody works with the
// cloud is not asked.
func TestProbesOnlyWhatIsUsed(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.AddUser("other", "first", "others")
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "other", User: "other", Project: "others", Password: "first", AuthURL: w.cloud.AuthURL, S3Endpoint: w.cloud.S3URL}, nil)
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	used := w.cloud.User.Name
	before, _ := w.cloud.Passwords("other")
	for range 3 {
		mine, _ := w.cloud.Passwords(used)
		if _, err := w.view("dev", ""); err != nil {
			t.Fatal(err)
		}
		w.until("what is used is probed", func() bool { now, _ := w.cloud.Passwords(used); return now > mine })
	}
	if after, _ := w.cloud.Passwords("other"); after != before {
		t.Errorf("what nobody uses was asked about %d times", after-before)
	}
}

// TestRejectedKeys: an S3 key is an environment's own, so the report about one is
// followed though its user was asked about just now for another, without a login
// more. Who asks once more hears that nobody was asked.
func TestRejectedKeys(t *testing.T) {
	now := time.Now()
	w := newWorld(t, practice.Options{Now: func() time.Time { return now }})
	project := w.cloud.User.Projects["system-ccontini"]
	w.cloud.CreateKey(w.cloud.User.Name, project)
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	report := func(name string) ipc.Change {
		t.Helper()
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: name}, &out)
		return out.Changes[0]
	}
	before, _ := w.cloud.Passwords(w.cloud.User.Name)
	if c := report("dev"); c.Error != nil || c.Unasked {
		t.Errorf("%+v", c)
	}
	w.cloud.DeleteKeys(w.cloud.User.Name, project)
	key := w.cloud.CreateKey(w.cloud.User.Name, project)
	if c := report("system"); c.Error != nil || c.Unasked || c.AccessKeyID != key.Access {
		t.Errorf("%+v", c)
	}
	if after, _ := w.cloud.Passwords(w.cloud.User.Name); after-before != 1 {
		t.Errorf("%d logins", after-before)
	}
	report("system") // about the new one
	w.cloud.ResetCounts()
	if c := report("system"); c.Error != nil || !c.Unasked || w.cloud.Count("*") != 0 {
		t.Errorf("%+v, after %d requests", c, w.cloud.Count("*"))
	}
}
