package daemon_test

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// systemdAsks connects as systemd does for LoadCredential=: from an address that
// says for whom, without a word, and reads to the end.
func (r reach) systemdAsks(address string) (string, error) {
	from := &net.UnixAddr{Net: "unix", Name: address}
	if address == "" {
		from = nil
	}
	c, err := net.DialUnix("unix", from, &net.UnixAddr{Net: "unix", Name: r.units()})
	if err != nil {
		return "", err
	}
	defer c.Close()
	body, err := io.ReadAll(c)
	return string(body), err
}

// refusedUnit demands an answer that systemd takes for no credential, which says
// why and holds no secret.
func (r reach) refusedUnit(address, why string) {
	r.Helper()
	body, err := r.systemdAsks(address)
	if err != nil {
		r.Fatal(err)
	}
	line, rest, _ := strings.Cut(body, "\n")
	if len(body) <= 1<<20 || !strings.HasPrefix(line, "ccad: ") || !strings.Contains(line, why) || strings.Trim(rest, "\n") != "" {
		r.Errorf("%s: %d bytes, %q; want too many, and %s", address, len(body), line, why)
	}
}

// lines is the audit trail, read from the daemon that runs.
func (w *world) lines() string {
	w.Helper()
	var all strings.Builder
	if err := ipc.Stream(w.at(w.Context()), "GET", "/v1/log", func(line []byte) error { all.Write(append(line, '\n')); return nil }); err != nil {
		w.Fatal(err)
	}
	return all.String()
}

// A unit gets what env prints, named as it is in systemd, and holds a lease until
// its next start.
func TestCredentials(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("dev.clouds", "system-ccontini")
	if info, err := os.Stat(w.units()); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	for _, format := range []string{"dotenv", "clouds.yaml", "json"} {
		want, _, err := w.get("/v1/environments/dev/views/env?format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := w.systemdAsks("@0123456789abcdef/unit/back up@1.service/dev." + format)
			if err != nil || got != string(want) || !strings.Contains(got, secret) {
				t.Errorf("%s: %v, %q", format, err, got)
			}
		}
	}
	if got, _ := w.systemdAsks("@1/unit/a.service/dev.clouds.json"); !strings.Contains(got, "system-ccontini") {
		t.Errorf("an environment with a dot: %q", got)
	}
	leases := 0
	for _, l := range w.shown("dev").Holders {
		if l.Program == "back up@1.service" {
			leases++
			if l.PID != 0 || l.Until != nil || !strings.HasPrefix(l.View, "unit/") || l.Version != 1 {
				t.Errorf("%+v", l)
			}
		}
	}
	if leases != 3 {
		t.Errorf("%d leases of the unit on 3 views", leases)
	}
	if trail := w.lines(); strings.Count(trail, `"view":"unit/dotenv","version":1,"pid":`) != 2 || !strings.Contains(trail, `"note":"back up@1.service"`) {
		t.Error(trail)
	}
}

// What can't be had lets a unit fail to start, and leaves a line.
func TestWithheld(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	const at = "@1/unit/backup.service/"
	for address, why := range map[string]string{
		at + "other.dotenv":             "no such environment",
		at + "dev":                      "named ENVIRONMENT.FORMAT, the format being one of clouds.yaml, dotenv",
		at + "dev.hook-sh":              "named ENVIRONMENT.FORMAT",
		at + "..dotenv":                 "no such environment",
		at + "dev.s3cfg":                "no S3 key",
		"":                              "no unit of systemd asks",
		"@1/unit//dev.dotenv":           "no unit of systemd asks",
		"@1/unit/x.service":             "no unit of systemd asks",
		"@1/other/x.service/dev.dotenv": "no unit of systemd asks",
	} {
		w.refusedUnit(address, why)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	w.refusedUnit(at+"dev.dotenv", "refused by the cloud")
	trail := w.lines()
	for _, want := range []string{`"event":"withheld","environment":"dev","view":"unit/dotenv"`, `"note":"backup.service: `} {
		if !strings.Contains(trail, want) {
			t.Errorf("%s is not in\n%s", want, trail)
		}
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("the dead password was sent %d times", n)
	}
}

// A lock hands the socket over: whoever knocks in its midst is answered by the
// one or by the other image, with the credential or with a reason, and never with
// nothing.
func TestCredentialsOverALock(t *testing.T) {
	cloud, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	c := newChild(t, "")
	const address = "/unit/over-a-lock.service/dev.dotenv"
	c.refusedUnit("@0"+address, "ccad is locked")
	c.unlock()
	c.do("POST", "/v1/environments", ipc.AddRequest{Name: "dev", User: cloud.User.Name, Project: "dev-ccontini", Password: secret, AuthURL: cloud.AuthURL}, nil)
	given := func(n string) string {
		body, err := c.systemdAsks("@" + n + address)
		if err != nil {
			t.Errorf("ask %s: %v", n, err)
		}
		line, _, _ := strings.Cut(body, "\n")
		if line != "ccad: ccad is locked" && !strings.Contains(body, secret) {
			t.Errorf("ask %s: %d bytes, %q", n, len(body), line)
		}
		return body
	}
	if body := given("1"); len(body) > 1<<20 {
		t.Errorf("unlocked: %.80q", body)
	}
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for client := range 8 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					number, _ := json.Marshal([]int{client, n})
					given(string(number))
				}
			}
		})
	}
	for range 3 {
		c.lock()
		c.refusedUnit("@2"+address, "ccad is locked")
		c.unlock()
	}
	close(stop)
	clients.Wait()
	if body := given("3"); len(body) > 1<<20 {
		t.Errorf("unlocked again: %.80q", body)
	}
	c.end()
	if left, _ := os.ReadDir(filepath.Dir(c.socket)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
