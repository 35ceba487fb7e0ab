package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A world is a practice cloud and a daemon in this process, which a test can
// end and start again on the same folders.
type world struct {
	reach
	cloud *practice.Cloud
	dir   string
	now   func() time.Time // the daemon's clock; nil: the real one
	log   bytes.Buffer
	stop  func()

	inherited session.Handover // what the next start finds
}

func newWorld(t *testing.T, o practice.Options) *world {
	t.Helper()
	w := &world{reach: newReach(t), now: o.Now}
	w.dir = w.folder()
	var err error
	if w.cloud, err = practice.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cloud.Close)
	if err := os.WriteFile(filepath.Join(w.dir, "passphrase"), []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start("")
	return w
}

// start runs the daemon, unlocked; config is its config.toml.
func (w *world) start(config string) {
	w.Helper()
	w.startWith(config, filepath.Join(w.dir, "passphrase"))
}

// startLocked runs it without its passphrase.
func (w *world) startLocked(config string) {
	w.Helper()
	w.startWith(config, "")
}

func (w *world) startWith(config, passphraseFile string) {
	w.Helper()
	path := filepath.Join(w.dir, "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		w.Fatal(err)
	}
	c, err := daemon.LoadConfig(path, true)
	if err != nil {
		w.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	o := daemon.Options{
		Version: "test", Binary: "/nonexistent", Socket: w.socket,
		DataDir: filepath.Join(w.dir, "data"), StateDir: filepath.Join(w.dir, "state"),
		PassphraseFile: passphraseFile, Config: c, Inherited: w.inherited,
		Ready: readyWriter(func() { close(ready) }), Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: w.now,
	}
	go func() { done <- daemon.Run(ctx, o) }()
	select {
	case <-ready:
	case err := <-done:
		w.Fatalf("the daemon ended: %v", err)
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("the daemon ended with %v", err)
		}
	})
	w.Cleanup(w.stop)
}

type readyWriter func()

func (f readyWriter) Write(p []byte) (int, error) { f(); return len(p), nil }

func (w *world) restart() { w.stop(); w.start("") }

// want checks that an error has the code, and one clear line without a secret.
func (w *world) want(err error, code ipc.Code, words string) {
	w.Helper()
	var failure *ipc.Error
	if !errors.As(err, &failure) || failure.Code != code {
		w.Errorf("error %v; want code %s", err, code)
		return
	}
	if !strings.Contains(failure.Message, words) || strings.ContainsAny(failure.Message, "\n\x00") || strings.Contains(failure.Message, secret) {
		w.Errorf("the message is %q; want one line with %q", failure.Message, words)
	}
}

const secret = "hunter2"

func (w *world) addRequest(name, project string) ipc.AddRequest {
	return ipc.AddRequest{
		Name: name, User: w.cloud.User.Name, Project: project, Password: secret,
		AuthURL: w.cloud.AuthURL, S3Endpoint: w.cloud.S3URL,
	}
}

func (w *world) add(name, project string) ipc.Change {
	w.Helper()
	var out ipc.Changes
	w.do("POST", "/v1/environments", w.addRequest(name, project), &out)
	return out.Changes[0]
}

func (w *world) status() (s ipc.Status) {
	w.Helper()
	w.do("GET", "/v1/status", nil, &s)
	return s
}

// view fetches an environment's variables as JSON.
func (w *world) view(name, query string) (map[string]string, error) {
	body, _, err := w.get("/v1/environments/" + name + "/views/env?format=json" + query)
	vars := map[string]string{}
	if err == nil {
		if err := json.Unmarshal(body, &vars); err != nil {
			w.Fatalf("the view is no flat object: %v", err)
		}
	}
	return vars, err
}

// refusals is how many wrong passwords the cloud counted for the user.
func (w *world) refusals() int {
	_, refused := w.cloud.Passwords(w.cloud.User.Name)
	return refused
}

func TestWrongPasswordIsSentOnce(t *testing.T) {
	w := newWorld(t, practice.Options{})
	wrong := w.addRequest("dev", "dev-ccontini")
	wrong.Password = "hunter3"
	for range 3 {
		w.want(w.try("POST", "/v1/environments", wrong, nil), ipc.CodeRefused, "refused")
	}
	if n := len(w.status().Environments); n != 0 {
		t.Errorf("%d environments are stored of what the cloud refused", n)
	}
	w.restart()
	w.want(w.try("POST", "/v1/environments", wrong, nil), ipc.CodeRefused, "not sent again")
	if n := w.refusals(); n != 1 {
		t.Errorf("the cloud saw the wrong password %d times", n)
	}
	w.add("dev", "dev-ccontini")
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "hunter3"}, nil), ipc.CodeRefused, "not sent again")
	if vars, err := w.view("dev", ""); err != nil || vars["OS_PASSWORD"] != secret {
		t.Errorf("a refused update took away what works: %v, %v", vars["OS_PASSWORD"], err)
	}
}

func TestRegenerated(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	before := w.status().Environments
	w.cloud.Reset(w.cloud.User.Name, "regenerated")
	for range 3 {
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
		if out.Changes[0].Error == nil || out.Changes[0].Error.Code != ipc.CodeRefused {
			t.Fatalf("verify found nothing wrong: %+v", out.Changes)
		}
		_, err := w.view("sys", "")
		w.want(err, ipc.CodeRefused, "refused")
		_, err = w.view("dev", "&auth=token")
		w.want(err, ipc.CodeRefused, "refused")
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("the cloud saw the dead password %d times", n)
	}
	var out ipc.Changes
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "regenerated"}, &out)
	if len(out.Notes) != 0 {
		t.Errorf("notes: %q", out.Notes)
	}
	after := w.status()
	for i, e := range after.Environments {
		if e.State != "ok" || e.S3.State != "ok" || e.Generation <= before[i].Generation {
			t.Errorf("not healed: %+v", e)
		}
		listed := false
		for _, key := range w.cloud.Keys(w.cloud.User.Name) {
			listed = listed || key.Access == e.S3.AccessKeyID
		}
		if !listed {
			t.Errorf("%s serves an S3 key that the cloud does not have", e.Name)
		}
	}
}

// A cloud in trouble judges nothing: what a person gives is stored, called
// unverified, and checked when the cloud is well again.
func TestCloudInTrouble(t *testing.T) {
	const route = "POST /v3/auth/tokens"
	for name, c := range map[string]struct {
		fault practice.Fault
		words string
	}{
		"500":     {practice.Fault{Route: route, Status: 500, Body: "<html>"}, "500"},
		"503":     {practice.Fault{Route: route, Status: 503}, "503"},
		"429":     {practice.Limited(route, "1"), "429"},
		"garbage": {practice.Garbage(route), "127.0.0.1"},
		"cut":     {practice.Fault{Route: route, Break: practice.Cut}, "127.0.0.1"},
		"reset":   {practice.Fault{Route: route, Break: practice.Reset}, "127.0.0.1"},
		"hang":    {practice.Fault{Route: route, Break: practice.Hang, Times: 1}, "127.0.0.1"}, // 10 s, and then an answer to us
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.cloud.Fail(c.fault)
			change := w.add("dev", "dev-ccontini")
			notes := strings.Join(change.Notes, "\n")
			if change.State != "unverified" || !strings.Contains(notes, "unverified") || !strings.Contains(notes, c.words) {
				t.Errorf("state %q, notes %q", change.State, notes)
			}
			if vars, err := w.view("dev", ""); err != nil || vars["OS_PASSWORD"] != secret {
				t.Errorf("what a person gave is not served: %v", err)
			}
			w.cloud.Heal()
			var out ipc.Changes
			w.do("POST", "/v1/verify", ipc.VerifyRequest{Environments: []string{"dev"}}, &out)
			if out.Changes[0].State != "ok" {
				t.Errorf("after healing: %+v", out.Changes[0])
			}
			if n := w.refusals(); n != 0 {
				t.Errorf("the cloud counted %d failed logins", n)
			}
		})
	}
}

func TestAnotherHostsCertificate(t *testing.T) {
	w := newWorld(t, practice.Options{TLS: true, Host: "elsewhere.example"})
	change := w.add("dev", "dev-ccontini")
	if notes := strings.Join(change.Notes, " "); change.State != "unverified" || !strings.Contains(notes, "certificate") {
		t.Errorf("state %q, notes %q", change.State, notes)
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 0 {
		t.Errorf("%d passwords went to a host whose certificate is another's", n)
	}
}

func TestUncheckedIsCheckedLater(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503, Times: 1})
	events := make(chan ipc.Event, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = ipc.Stream(w.at(ctx), "GET", "/v1/events", func(line []byte) error {
			var e ipc.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			events <- e
			return nil
		})
	}()
	if change := w.add("dev", "dev-ccontini"); change.State != "unverified" {
		t.Fatalf("state %s", change.State)
	}
	limit := time.After(time.Minute)
	for w.status().Environments[0].State != "ok" {
		select {
		case <-events:
		case <-limit:
			t.Fatal("it was never checked")
		case <-time.After(20 * time.Millisecond): // the stream may have begun after the event
		}
	}
}

func TestTokenIsObtainedOnce(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.restart() // no token is cached
	w.cloud.ResetCounts()
	var clients sync.WaitGroup
	tokens := make([]string, 24)
	for i := range tokens {
		clients.Go(func() {
			vars, err := w.view("dev", "&auth=token&client=swift")
			if err != nil {
				t.Error(err)
			}
			tokens[i] = vars["OS_AUTH_TOKEN"]
		})
	}
	clients.Wait()
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Fatal("the clients got different tokens")
		}
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n > 2 { // a login, and its scope
		t.Errorf("%d requests for one token", n)
	}
}

func TestApplicationCredentialIsMadeOnce(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			if _, err := w.view("dev", "&auth=application-credential"); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	made := 0
	for route, byStatus := range w.cloud.Counts() {
		if strings.HasPrefix(route, "POST ") && strings.Contains(route, "application_credentials") {
			made += byStatus[201]
		}
	}
	if made != 1 {
		t.Errorf("%d application credentials were made", made)
	}
}

// failLogin sends the cloud a wrong password, as another machine might.
func (w *world) failLogin() {
	w.Helper()
	body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + w.cloud.User.Name + `","domain":{"id":"default"},"password":"wrong"}}}}}`
	r, err := http.Post(w.cloud.AuthURL+"/auth/tokens", "application/json", strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusUnauthorized {
		w.Fatalf("a wrong password: %s", r.Status)
	}
}

func TestLockedOut(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3})
	w.add("dev", "dev-ccontini")
	if _, err := w.view("dev", "&auth=token"); err != nil {
		t.Fatal(err)
	}
	for range 3 { // somebody else, elsewhere
		w.failLogin()
	}
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if s := w.status().Users[0]; s.State != "locked-out" {
		t.Fatalf("state %s (%s), want locked-out", s.State, s.Reason)
	}
	w.cloud.SetPassword(w.cloud.User.Name, secret) // ends it
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if s := w.status().Users[0]; s.State != "ok" {
		t.Errorf("a person's verify did not send it once more: %s", s.State)
	}
}

func TestEnsureKeyMakesOne(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	if s := w.status().Environments[0].S3.State; s != "none" {
		t.Fatalf("import made an S3 key: %s", s)
	}
	var reply ipc.KeyReply
	w.do("POST", "/v1/environments/dev/s3-key", nil, &reply)
	if !reply.Created || !reply.Gateway {
		t.Errorf("a key for a region that AWS clients refuse: %+v", reply)
	}
	if s3 := w.status().Environments[0].S3; s3.Region != practice.Region || s3.State != "ok" {
		t.Errorf("the region that the server demands was not learned: %+v", s3)
	}
	w.do("POST", "/v1/environments/dev/s3-key", nil, &reply)
	if reply.Created || len(w.cloud.Keys(w.cloud.User.Name)) != 1 {
		t.Error("a second key was made")
	}
}

// Without an S3 endpoint there is nothing to sign with a key, and none is made.
func TestEnsureKeyNeedsAnEndpoint(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.S3Endpoint = ""
	w.do("POST", "/v1/environments", r, nil)
	w.want(w.try("POST", "/v1/environments/dev/s3-key", nil, nil), ipc.CodeFailed, "environment dev has no S3 endpoint")
	if n := len(w.cloud.Keys(w.cloud.User.Name)); n != 0 {
		t.Errorf("%d keys at the cloud", n)
	}
}

// The cloud made the key, and its answer was lost: the pair was on record
// before, so it is found again.
func TestLostAnswerLosesNoKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Break: practice.Cut, AfterWork: true, Times: 1})
	err := w.try("POST", "/v1/environments/dev/s3-key", nil, nil)
	if err == nil {
		t.Fatal("the fault was not felt")
	}
	keys := w.cloud.Keys(w.cloud.User.Name)
	if len(keys) != 1 {
		t.Fatalf("%d keys at the cloud", len(keys))
	}
	w.restart()
	var reply ipc.KeyReply
	w.do("POST", "/v1/environments/dev/s3-key", nil, &reply)
	if reply.Created || reply.AccessKeyID != keys[0].Access || len(w.cloud.Keys(w.cloud.User.Name)) != 1 {
		t.Errorf("the key was not found again: %+v", reply)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for _, name := range []string{"nonesuch", "a%2Fb", "a%0Ab", "$(x)", "%00", "A"} {
		_, _, err := w.get("/v1/environments/" + name + "/views/env")
		var failure *ipc.Error
		if !errors.As(err, &failure) || (failure.Code != ipc.CodeUnknown && failure.Code != ipc.CodeUsage) {
			t.Errorf("environment %q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a/b", "a\nb", "$(x)", "../x", "A", strings.Repeat("x", 64)} {
		r := w.addRequest("dev", "dev-ccontini")
		r.Name = name
		w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeUsage, "name")
	}
	w.want(w.try("POST", "/v1/environments", map[string]any{"name": "x", "dry_run_of_tomorrow": true}, nil), ipc.CodeUsage, "not understood")
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: "nobody", Password: "x"}, nil), ipc.CodeUnknown, "nobody")
	w.want(w.try("POST", "/v1/unheard-of", nil, nil), ipc.CodeUsage, "no such request")
	r := w.addRequest("dev", "dev-ccontini")
	r.AuthURL = "http://keystone.example"
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeUsage, "https")
	if n := len(w.status().Environments); n != 0 {
		t.Errorf("%d environments were stored", n)
	}
}

func TestMetricsAndLogsTellNothing(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	for _, query := range []string{"", "&auth=token", "&client=aws", "&client=nonsense"} {
		_, _ = w.view("dev", query)
	}
	key := w.cloud.Keys(w.cloud.User.Name)[0]
	w.want(w.importText("dev", w.openrc("wrong-password", "dev-ccontini", "")), ipc.CodeRefused, "")
	w.do("POST", "/v1/passphrase", ipc.PassphraseRequest{Old: "correct horse", New: "battery staple"}, nil)
	w.want(w.try("POST", "/v1/passphrase", ipc.PassphraseRequest{Old: "wrong horse", New: "x"}, nil), ipc.CodePassphrase, "wrong passphrase")
	w.do("POST", "/v1/passphrase", ipc.PassphraseRequest{Old: "battery staple", New: "correct horse"}, nil)
	w.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "of the backup"}, new([]byte))
	w.restart()
	w.status()
	body, _, err := w.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{"ccad_locked 0", `ccad_environments{state="ok"} 1`, "ccad_rotations_stalled 0", `ccad_oldest_secret_seconds{kind="s3-key"} `, "ccad_requests_total", "process_resident_memory_bytes"} {
		if !bytes.Contains(body, []byte(series)) {
			t.Errorf("no %s in the metrics", series)
		}
	}
	trail, err := os.ReadFile(filepath.Join(w.dir, "state", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := os.ReadFile(filepath.Join(w.dir, "data", "store.age"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string][]byte{"metrics": body, "logs": w.log.Bytes(), "audit trail": trail, "store": store} {
		for _, s := range []string{secret, key.Secret, "correct horse", "wrong-password", "battery staple", "wrong horse", "of the backup"} {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("a secret is in the %s", where)
			}
		}
	}
	for _, name := range []string{"dev-ccontini", w.cloud.User.Name, key.Access, `"dev"`} {
		if bytes.Contains(body, []byte(name)) {
			t.Errorf("%s is in the metrics", name)
		}
	}
	if n := bytes.Count(trail, []byte("handed-out")); n != 3 {
		t.Errorf("%d lines in the audit trail for 3 views with secrets", n)
	}
}

func TestMetricsPort(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for _, config := range []string{"[metrics]\nlisten = \"0.0.0.0:0\"", "[metrics]\nlisten = \"9090\"", "[serve]\nlease = \"1m\"", "[nonsense]\nx = 1"} {
		path := filepath.Join(w.dir, "bad.toml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.LoadConfig(path, true); err == nil {
			t.Errorf("config %q was accepted", config)
		}
	}
}

func TestEventsEndInWords(t *testing.T) {
	w := newWorld(t, practice.Options{})
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- ipc.Stream(w.at(t.Context()), "GET", "/v1/events", func([]byte) error {
			select {
			case <-begun:
			default:
				close(begun)
			}
			return nil
		})
	}()
	go func() {
		for i := 0; ; i++ { // until the stream has begun
			select {
			case <-begun:
				return
			default:
				_ = w.try("POST", "/v1/environments", w.addRequest("dev", "dev-ccontini"), nil)
			}
		}
	}()
	<-begun
	w.stop()
	if err := <-ended; err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// Of several keys a person names one; its secret is Keystone's to tell.
func TestAddByAccessKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	project := w.cloud.User.Projects["dev-ccontini"]
	var last practice.Key
	for range 3 {
		last = w.cloud.CreateKey(w.cloud.User.Name, project)
	}
	r := w.addRequest("dev", "dev-ccontini")
	r.S3AccessKey = "nonesuch"
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeRefused, "does not list")
	r.S3AccessKey = last.Access
	w.do("POST", "/v1/environments", r, nil)
	if got := w.status().Environments[0].S3; got.AccessKeyID != last.Access || got.State != "ok" {
		t.Errorf("the named key is not the one in force: %+v", got)
	}
}
