package daemon_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// heardEvents are those of the feed since it was asked for.
type heardEvents struct {
	*world
	mu  sync.Mutex
	all []ipc.Event
}

// events follows the feed until the test or the daemon ends.
func (w *world) events() *heardEvents {
	h := &heardEvents{world: w}
	first := make(chan struct{})
	seen := sync.OnceFunc(func() { close(first) })
	go func() {
		_ = ipc.Stream(w.at(w.Context()), "GET", "/v1/events", func(line []byte) error {
			var e ipc.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			h.mu.Lock()
			h.all = append(h.all, e)
			h.mu.Unlock()
			seen()
			return nil
		})
	}()
	w.until("the feed is followed", func() bool { // it says nothing until something happens
		_, _ = w.view(w.status().Environments[0].Name, "") // a lease
		select {
		case <-first:
			return true
		default:
			return false
		}
	})
	return h
}

func (h *heardEvents) count(event, words string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		if e.Event == event && strings.Contains(e.Message, words) {
			n++
		}
	}
	return n
}

func (h *heardEvents) first(event string) ipc.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		if e.Event == event {
			return e
		}
	}
	return ipc.Event{}
}

// once: it was told, and is not told again.
func (h *heardEvents) once(event, words string) {
	h.Helper()
	h.until(words, func() bool { return h.count(event, words) > 0 })
	time.Sleep(300 * time.Millisecond) // longer than a second telling would take
	if n := h.count(event, words); n != 1 {
		h.Errorf("%q was told %d times", words, n)
	}
}

// prompt is what a shell's hook is told on stderr: this process's parent is the
// shell.
func (w *world) prompt(name string) string {
	_, warnings, err := w.get("/v1/environments/" + name + "/views/env?format=hook-sh&selected=true")
	if err != nil {
		return "refused"
	}
	return strings.Join(warnings, "|")
}

// metric is a series' value in /metrics; "" where there is none.
func (w *world) metric(series string) string {
	w.Helper()
	body, _, err := w.get("/metrics")
	if err != nil {
		w.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestTellsOncePerIncident: a refusal, a healing and a value that was noticed are
// each an event, a count and a line at the prompt, once; S3 keys and users alike.
func TestTellsOncePerIncident(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.do("POST", "/v1/environments/dev-ccontini/s3-key", nil, nil)
	if line := w.prompt("dev-ccontini"); line != "" {
		t.Errorf("a shell that takes it up is told %q", line)
	}
	events := w.events()
	user := w.cloud.User.Name

	w.cloud.Reset(user, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.has("dev-ccontini", "second")
	changed := "the password of " + user + " was changed elsewhere"
	events.once("noticed", changed)
	if line := w.prompt("dev-ccontini"); !strings.Contains(line, changed) || strings.Contains(line, "|") {
		t.Errorf("the prompt is told %q", line)
	}
	if line := w.prompt("dev-ccontini"); line != "" {
		t.Errorf("and once more %q", line)
	}

	w.cloud.Reset(user, "third")
	for range 3 {
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, nil)
	}
	if line := w.prompt("dev-ccontini"); line != "refused" {
		t.Errorf("the prompt is told %q", line)
	}
	events.once("refused", "the cloud refuses the password of "+user)
	w.save(path, w.openrc("third", "dev-ccontini", ""))
	w.has("dev-ccontini", "third")
	works := "the password of " + user + " works again"
	events.once("healed", works)
	if line := w.prompt("dev-ccontini"); !strings.Contains(line, works) || strings.Contains(line, "|") {
		t.Errorf("the prompt is told %q", line)
	}

	key := w.newKey()
	w.cloud.DeleteKey(w.shown("dev-ccontini").S3.AccessKeyID)
	w.save(path, w.openrc("third", "dev-ccontini", fmt.Sprintf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", key.Access, key.Secret)))
	w.hasKey("dev-ccontini", key.Access)
	newKey := "the S3 key of dev-ccontini was changed elsewhere"
	events.once("noticed", newKey)
	if line := w.prompt("dev-ccontini"); !strings.Contains(line, newKey) || strings.Contains(line, "|") {
		t.Errorf("the prompt is told %q", line)
	}
	for series, want := range map[string]string{
		`ccad_incidents_total{kind="password",state="noticed"}`: "1", `ccad_incidents_total{kind="password",state="refused"}`: "1",
		`ccad_incidents_total{kind="password",state="healed"}`: "1", `ccad_incidents_total{kind="s3-key",state="noticed"}`: "1",
	} {
		if got := w.metric(series); got != want {
			t.Errorf("%s is %q", series, got)
		}
	}
}

// incidents are the counts of a kind's: refused, healed, noticed.
func (w *world) incidents(kind string) (counts [3]string) {
	w.Helper()
	for i, state := range []string{"refused", "healed", "noticed"} {
		counts[i] = w.metric(fmt.Sprintf("ccad_incidents_total{kind=%q,state=%q}", kind, state))
	}
	return counts
}

// TestTellsHealedOnceAccepted: a password that nobody has judged, or that is
// refused too, neither ends an incident nor begins one.
func TestTellsHealedOnceAccepted(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	user := w.cloud.User.Name
	w.prompt("dev")
	events := w.events()
	w.cloud.SetPassword(user, "right")
	verify := func() { w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil) }
	give := func(password string) {
		t.Helper()
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: user, Password: password, NoVerify: true}, nil)
		if got := w.incidents("password"); got != [3]string{"1", "", ""} {
			t.Errorf("with %s, which nobody has judged: %q", password, got)
		}
		if line := w.prompt("dev"); line != "" {
			t.Errorf("with %s, which nobody has judged, the prompt is told %q", password, line)
		}
	}
	verify()
	give("mistyped")
	verify()
	give("right")
	verify()
	works := "the password of " + user + " works again"
	if got := w.incidents("password"); got != [3]string{"1", "1", ""} {
		t.Errorf("in the end: %q", got)
	}
	if line := w.prompt("dev"); line != "note: "+works {
		t.Errorf("the prompt is told %q", line)
	}
	events.once("healed", works)
	if n := events.count("refused", "the cloud refuses the password"); n != 1 {
		t.Errorf("the refusal was told %d times", n)
	}
}

// TestTellsOfApplicationCredentials: one that is refused is an incident as any other.
func TestTellsOfApplicationCredentials(t *testing.T) {
	w := newWorld(t, practice.Options{})
	path := filepath.Join(w.dir, "app-openrc.sh")
	save := func(v map[string]string) {
		w.save(path, fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_IDENTITY_API_VERSION=3\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
			w.cloud.AuthURL, v["OS_APPLICATION_CREDENTIAL_ID"], v["OS_APPLICATION_CREDENTIAL_SECRET"]))
	}
	var made [2]map[string]string
	for i := range made {
		w.add("dev", "dev-ccontini")
		var err error
		if made[i], err = w.view("dev", "&auth=application-credential"); err != nil {
			t.Fatal(err)
		}
		w.do("DELETE", "/v1/environments/dev", nil, nil)
	}
	save(made[0])
	w.importAll("app", path)
	w.prompt("app")
	events := w.events()
	w.cloud.Enable(w.cloud.User.Name, false)
	for range 2 {
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	}
	if got := w.incidents("application-credential"); got != [3]string{"1", "", ""} {
		t.Errorf("once refused: %q", got)
	}
	events.once("refused", "the cloud refuses the application credential of app")
	w.cloud.Enable(w.cloud.User.Name, true)
	save(made[1])
	works := "the application credential of app works again"
	events.once("healed", works)
	if line := w.prompt("app"); line != "note: "+works {
		t.Errorf("the prompt is told %q", line)
	}
	if got := w.incidents("application-credential"); got != [3]string{"1", "1", ""} {
		t.Errorf("once healed: %q", got)
	}
}

// TestTellsWhatHappenedWhileAway: a shell that had the environment before a
// restart of ccad hears what was found at it.
func TestTellsWhatHappenedWhileAway(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.prompt("dev-ccontini")
	w.stop()
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.start("")
	w.has("dev-ccontini", "second")
	if line := w.prompt("dev-ccontini"); !strings.Contains(line, "was changed elsewhere") {
		t.Errorf("the prompt is told %q", line)
	}
	if line := w.prompt("dev-ccontini"); line != "" {
		t.Errorf("and once more %q", line)
	}
}

// desktop is somebody who shows notifications.
type desktop struct{ shown chan string }

// Notify is the specification's method.
func (d desktop) Notify(app string, _ uint32, _, summary, _ string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.shown <- app + ": " + summary
	return 1, nil
}

// TestTellsTheDesktop: an incident is a notification, once, and its healing one.
func TestTellsTheDesktop(t *testing.T) {
	alone(t) // of the whole process there is one address of a bus
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("dbus-daemon (make test installs it): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	conn, err := dbus.Connect(strings.TrimSpace(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := desktop{make(chan string, 100)}
	if err := conn.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	w, path := imported(t, "dev-ccontini")
	w.cloud.Reset(w.cloud.User.Name, "second")
	for range 2 {
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, nil)
	}
	if got := <-d.shown; got != "ccad: the cloud refuses the password of "+w.cloud.User.Name {
		t.Errorf("shown %q", got)
	}
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	if got := <-d.shown; got != "ccad: the password of "+w.cloud.User.Name+" works again" {
		t.Errorf("shown %q", got)
	}
	select {
	case more := <-d.shown:
		t.Errorf("shown, too: %q", more)
	case <-time.After(500 * time.Millisecond):
	}
}

// TestExpiredIsNotWrong: an expired password is a right one, and status says what mends it.
func TestExpiredIsNotWrong(t *testing.T) {
	w, _ := imported(t, "dev-ccontini")
	w.cloud.ExpirePassword(w.cloud.User.Name)
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, nil)
	_, err := w.view("dev-ccontini", "")
	w.want(err, ipc.CodeRefused, "it has expired, or must be changed before its first use")
	if u := w.status().Users[0]; u.State != "refused" || !u.Expired {
		t.Errorf("%+v", u)
	}
}
