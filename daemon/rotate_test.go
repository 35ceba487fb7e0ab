package daemon_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// rotate asks for a rotation and returns its lines.
func (w *world) rotate(in ipc.RotateRequest) (lines []ipc.RotateLine) {
	w.Helper()
	err := ipc.StreamOf(w.at(w.Context()), "POST", "/v1/rotate", in, func(raw []byte) error {
		var line ipc.RotateLine
		if err := json.Unmarshal(raw, &line); err != nil {
			return err
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		w.Fatalf("rotate: %v", err)
	}
	return lines
}

func story(lines []ipc.RotateLine) string {
	var words []string
	for _, l := range lines {
		if l.State != "start" {
			words = append(words, l.Step+" "+l.State)
		}
	}
	return strings.Join(words, ", ")
}

// A key is replaced under the hands of who holds it; who that is, is told, and
// the old key is there until they are done.
func TestRotate(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	old := w.cloud.Keys(w.cloud.User.Name)[0]
	if _, _, err := w.get("/v1/environments/dev/views/credential-process?direct=true"); err != nil {
		t.Fatal(err)
	}
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "1m", DryRun: true})
	if len(plan) != 1 || len(plan[0].Holders) != 1 || len(plan[0].Broken) != 1 || !strings.Contains(plan[0].Note, old.Access) {
		t.Fatalf("the plan: %+v", plan)
	}
	if got := story(w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})); got != "journal done, create done, prove done, flip done" {
		t.Errorf("told: %s", got)
	}
	r := w.status().Environments[0].Rotation
	if r == nil || r.Step != "drain" || r.Version != 1 || len(r.Holders) != 1 || r.Until == nil || time.Until(*r.Until) < 15*time.Minute {
		t.Fatalf("status tells %+v", r)
	}
	if got := w.status().Environments[0].S3; got.AccessKeyID == old.Access || got.Version != 2 || got.State != "ok" {
		t.Errorf("it serves %+v", got)
	}
	if n := len(w.cloud.Keys(w.cloud.User.Name)); n != 2 {
		t.Errorf("%d keys while one is held", n)
	}
	w.restart() // and still
	if r := w.status().Environments[0].Rotation; r == nil || r.Until == nil || time.Until(*r.Until) < 15*time.Minute {
		t.Errorf("after a restart: %+v", r)
	}
	lines := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true})
	if got := story(lines); got != "drain done, delete done, prove-dead done" || !lines[0].Already || len(lines[0].Holders) != 0 || w.status().Environments[0].Rotation != nil {
		t.Errorf("told: %s", got)
	}
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 1 || keys[0].Access == old.Access {
		t.Errorf("at the cloud: %+v", keys)
	}
}

func TestRotateAllGoesOn(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.do("POST", "/v1/environments/sys/s3-key", nil, nil)
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Times: 1, Status: 409, Body: `{"error":{"code":409,"title":"Conflict","message":"Quota"}}`})
	failed, flipped := 0, 0
	for _, l := range w.rotate(ipc.RotateRequest{All: true}) {
		if l.Code != "" {
			failed++
		}
		if l.Step == "flip" && l.State == "done" {
			flipped++
		}
	}
	if failed != 1 || flipped != 1 {
		t.Errorf("%d failed, %d were replaced", failed, flipped)
	}
	w.want(w.try("POST", "/v1/rotate", ipc.RotateRequest{Environments: []string{"nobody"}}, nil), ipc.CodeUnknown, "nobody")
	w.want(w.try("POST", "/v1/rotate", ipc.RotateRequest{}, nil), ipc.CodeUsage, "environments")
	w.want(w.try("POST", "/v1/rotate", ipc.RotateRequest{All: true, Grace: "soon"}, nil), ipc.CodeUsage, "--grace")
}

// The daemon ends in the midst of it; the next one finishes.
func TestRotateGoesOnAfterRestart(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 503})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = ipc.StreamOf(w.at(t.Context()), "POST", "/v1/rotate", ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s"}, func([]byte) error { return nil })
	}()
	for w.cloud.Count("s3:ListBuckets") < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	w.stop()
	<-done
	w.cloud.Heal()
	w.start("")
	for deadline := time.Now().Add(time.Minute); w.status().Environments[0].Rotation != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("not finished: %+v", w.status().Environments[0].Rotation)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 1 || keys[0].Access != w.status().Environments[0].S3.AccessKeyID {
		t.Errorf("at the cloud: %+v", keys)
	}
}

// A password is replaced at once for all environments of its user; what the
// cloud's policy refuses changes nothing.
func TestRotatePassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	plan := w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true, DryRun: true})
	if len(plan) != 1 || !strings.Contains(plan[0].Note, "dev sys") {
		t.Errorf("the plan: %+v", plan)
	}
	lines := w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	if got := story(lines); got != "journal done, change done, find done, prove done, flip done, heal done" {
		t.Errorf("told: %s", got)
	}
	dev, err := w.view("dev", "")
	if err != nil {
		t.Fatal(err)
	}
	sys, err := w.view("sys", "")
	if err != nil || sys["OS_PASSWORD"] != dev["OS_PASSWORD"] || sys["OS_PASSWORD"] == secret {
		t.Errorf("not the new password everywhere: %v", err)
	}
	if _, err := w.view("dev", "&auth=token"); err != nil {
		t.Errorf("no token: %v", err)
	}
	w.cloud.SetPolicy(practice.Policy{MinimumAge: 1})
	lines = w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	if last := lines[len(lines)-1]; last.Code != ipc.CodeRefused || !strings.Contains(last.Error, "too recently") {
		t.Errorf("a policy's no: %+v", last)
	}
	if again, err := w.view("dev", ""); err != nil || again["OS_PASSWORD"] != dev["OS_PASSWORD"] {
		t.Errorf("what works was given up: %v", err)
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d failed logins", n)
	}
	w.want(w.try("POST", "/v1/rotate", ipc.RotateRequest{User: "nobody", Password: true}, nil), ipc.CodeUnknown, "nobody")
	w.want(w.try("POST", "/v1/rotate", ipc.RotateRequest{User: w.cloud.User.Name}, nil), ipc.CodeUsage, "--password")
}

// Between a change and its proof nobody is handed a password, or a token of it,
// that may have died: each of its uses would be a failed login.
func TestPasswordInDoubtIsNotServed(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if _, err := w.view("dev", "&auth=token"); err != nil {
		t.Fatal(err)
	}
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	ctx, cancel := context.WithCancel(t.Context())
	rotated := make(chan error, 1)
	go func() {
		rotated <- ipc.StreamOf(w.at(ctx), "POST", "/v1/rotate", ipc.RotateRequest{User: w.cloud.User.Name, Password: true}, func([]byte) error { return nil })
	}()
	step := func() string {
		if r := w.status().Users[0].Rotation; r != nil {
			return r.Step
		}
		return ""
	}
	w.until("the change is made", func() bool { return step() == "prove" })
	refused := make(chan error, 2)
	for _, query := range []string{"", "&auth=token"} {
		go func() { _, err := w.view("dev", query); refused <- err }()
	}
	for range 2 {
		w.want(<-refused, ipc.CodeRefused, "being changed")
	}
	if _, _, err := w.get("/v1/environments/dev/views/env?client=aws&direct=true"); err != nil {
		t.Errorf("S3 keys outlive a password: %v", err)
	}
	stalls := func() string {
		return w.metric("ccad_rotations_stalled") + " of " + w.metric(`ccad_rotations{kind="password"}`)
	}
	if got := stalls(); got != "1 of 1" { // what CcadRotationStuck goes by
		t.Errorf("the metrics tell of %s stalls", got)
	}
	cancel()
	<-rotated
	w.cloud.Heal()
	w.until("it is over", func() bool { return step() == "" })
	if got := stalls(); got != "0 of 0" {
		t.Errorf("in the end the metrics tell of %s stalls", got)
	}
	vars, err := w.view("dev", "")
	if err != nil || vars["OS_PASSWORD"] != w.cloud.Password(w.cloud.User.Name) {
		t.Errorf("the new one is not served: %v", err)
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d failed logins", n)
	}
}

// Who holds a former password is told, until he has the new one: a hooked shell
// from its next prompt on.
func TestFormerHoldersOfAPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	hook := func() {
		t.Helper()
		if _, _, err := w.get("/v1/environments/dev/views/env?format=hook-sh"); err != nil {
			t.Fatal(err)
		}
	}
	hook()
	if _, err := w.view("dev", ""); err != nil {
		t.Fatal(err)
	}
	if n := len(w.status().Users[0].FormerHolders); n != 0 {
		t.Fatalf("%d hold a former password before there is one", n)
	}
	w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	former := w.status().Users[0].FormerHolders
	if len(former) != 2 || former[0].Environment != "dev" || former[0].Version != 1 {
		t.Fatalf("former holders: %+v", former)
	}
	hook()
	if former := w.status().Users[0].FormerHolders; len(former) != 1 || strings.Contains(former[0].View, "hook") {
		t.Errorf("after the shell's next prompt: %+v", former)
	}
}

// A key that somebody else made is told of, and stays.
func TestForeignKeyIsTold(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	foreign := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	if keys := w.status().Environments[0].ForeignKeys; len(keys) != 0 {
		t.Fatalf("foreign keys before anybody looked: %v", keys)
	}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if keys := w.status().Environments[0].ForeignKeys; len(keys) != 1 || keys[0] != foreign.Access {
		t.Errorf("foreign keys: %v", keys)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true})
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 2 {
		t.Errorf("at the cloud: %+v", keys)
	}
	if keys := w.status().Environments[0].ForeignKeys; len(keys) != 1 || keys[0] != foreign.Access {
		t.Errorf("foreign keys after a rotation: %v", keys)
	}
}
