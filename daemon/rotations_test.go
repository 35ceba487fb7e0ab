package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// rotations is the audit trail's events of rotations, a line each.
func (w *world) rotations() string {
	w.Helper()
	var text strings.Builder
	err := ipc.Stream(w.at(w.Context()), "GET", "/v1/log", func(line []byte) error {
		var e struct {
			Event, Environment, User, Note string
			Version                        int
		}
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(&e); err != nil {
			return err
		}
		switch e.Event {
		case "rotated", "key-deleted", "credential-deleted", "withdrawn":
			text.WriteString(strings.Join(strings.Fields(strings.Join([]string{e.Event, e.Environment, e.Note}, " ")), " ") + "\n")
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return text.String()
}

// Whoever hangs up ends no rotation, and begins none of those that had no turn
// yet; the trail has what became of it all the same.
func TestHangUpBeginsNoMore(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.do("POST", "/v1/environments/sys/s3-key", nil, nil)
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 503})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- ipc.StreamOf(w.at(ctx), "POST", "/v1/rotate", ipc.RotateRequest{Environments: []string{"dev", "sys"}, Grace: "0s", Wait: true}, func([]byte) error { return nil })
	}()
	w.until("dev is under way", func() bool { r := w.status().Environments[0].Rotation; return r != nil && r.Step == "prove" })
	cancel()
	<-ended
	w.cloud.Heal()
	w.until("dev is over", func() bool { return strings.Contains(w.rotations(), "key-deleted dev") })
	if sys := w.status().Environments[1]; sys.S3.Version != 1 || sys.Rotation != nil || strings.Contains(w.rotations(), "sys") {
		t.Errorf("sys is %+v; the trail:\n%s", sys, w.rotations())
	}
	if got := w.rotations(); got != "rotated dev\nkey-deleted dev\n" {
		t.Errorf("the trail:\n%s", got)
	}
}

// A password's rotation is in the trail whoever ends it, and what came to nothing
// is, too.
func TestTrailOfRotations(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if _, err := w.view("dev", "&auth=application-credential"); err != nil {
		t.Fatal(err)
	}
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- ipc.StreamOf(w.at(ctx), "POST", "/v1/rotate", ipc.RotateRequest{User: w.cloud.User.Name, Password: true}, func([]byte) error { return nil })
	}()
	w.until("the change is made", func() bool { r := w.status().Users[0].Rotation; return r != nil && r.Step == "prove" })
	cancel()
	<-ended
	w.restart()
	w.cloud.Heal()
	w.until("it is over", func() bool { return w.status().Users[0].Rotation == nil })
	if got := w.rotations(); got != "rotated password\n" {
		t.Errorf("the trail:\n%s", got)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, ApplicationCredential: true, Grace: "0s", Wait: true})
	w.cloud.SetPolicy(practice.Policy{MinimumAge: 1})
	w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Status: 409, Body: `{"error":{"code":409,"title":"Conflict","message":"Quota"}}`})
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	want := []string{"rotated password", "rotated dev application-credential", "credential-deleted dev application-credential", "withdrawn password", "withdrawn dev ask "}
	got := strings.Split(strings.TrimSpace(w.rotations()), "\n")
	for i, line := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], line) {
			t.Fatalf("the trail:\n%s\nwant it to begin with\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(got) != len(want) {
		t.Errorf("the trail:\n%s", strings.Join(got, "\n"))
	}
}

// A daemon that gives shorter leases, and less grace, than the one before it
// waits for what that one gave.
func TestDrainOverChangedConfig(t *testing.T) {
	var clock leap
	w := newWorld(t, practice.Options{Now: clock.now, TokenTTL: 48 * time.Hour})
	w.stop()
	w.start("[serve]\nlease = \"12h\"\n[rotate]\ngrace = \"3h\"\n")
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if _, _, err := w.get("/v1/environments/dev/views/credential-process?direct=true"); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	keys := func() int { return len(w.cloud.Keys(w.cloud.User.Name)) }
	look := func() int { // what is owed is done within the daemon's next turn
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
		return keys()
	}
	w.stop()
	w.start("[serve]\nlease = \"16m\"\n[rotate]\ngrace = \"0s\"\n")
	r := w.status().Environments[0].Rotation
	if r == nil || r.Until == nil || r.Until.Sub(clock.now()) < 11*time.Hour || !r.Unknown {
		t.Fatalf("after the restart: %+v", r)
	}
	clock.step(11 * time.Hour)
	if n := look(); n != 2 {
		t.Errorf("%d keys while one is held", n)
	}
	clock.step(2 * time.Hour)
	w.until("the former key is gone", func() bool { return look() == 1 })
}

// An environment that came with an application credential gives its programs that
// one and never the password, though another environment of the user has brought
// it; also after a rotation. A person who gives it a password says otherwise.
func TestServedByItsCredential(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	vars, err := w.view("dev", "&auth=application-credential")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := w.view("dev", ""); err != nil || plain["OS_PASSWORD"] != secret {
		t.Errorf("one that was made for a single view is preferred to the password: %v", err)
	}
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	file := fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
		w.cloud.AuthURL, vars["OS_APPLICATION_CREDENTIAL_ID"], vars["OS_APPLICATION_CREDENTIAL_SECRET"])
	if err := w.importText("dev", file); err != nil {
		t.Fatal(err)
	}
	w.add("sys", "system-ccontini")
	former := vars["OS_APPLICATION_CREDENTIAL_ID"]
	for _, rotated := range []bool{false, true} {
		if rotated {
			w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, ApplicationCredential: true, Grace: "0s", Wait: true})
		}
		vars, err := w.view("dev", "")
		if id := vars["OS_APPLICATION_CREDENTIAL_ID"]; err != nil || id == "" || vars["OS_PASSWORD"] != "" || (id != former) != rotated {
			t.Errorf("rotated %v: dev has %v, %v", rotated, vars, err)
		}
	}
	if vars, err := w.view("sys", ""); err != nil || vars["OS_PASSWORD"] != secret {
		t.Errorf("sys: %v", err)
	}
	if err := w.importText("dev", w.openrc(secret, "dev-ccontini", "")); err != nil {
		t.Fatal(err)
	}
	if vars, err := w.view("dev", ""); err != nil || vars["OS_PASSWORD"] != secret {
		t.Errorf("dev with a password of its own: %v", err)
	}
}

// A plan says what would come of it: nothing, for a password that is refused, that
// ccad does not have, or that identity API 2.0 can't change.
func TestPlanOfAPassword(t *testing.T) {
	for what, c := range map[string]struct {
		prepare func(w *world)
		says    string
	}{
		"refused": {func(w *world) {
			w.add("dev", "dev-ccontini")
			w.cloud.SetPassword(w.cloud.User.Name, "another")
			_ = w.try("POST", "/v1/verify", ipc.VerifyRequest{Environments: []string{"dev"}}, nil)
		}, "was refused"},
		"identity API 2.0": {func(w *world) {
			r := w.addRequest("dev", "dev-ccontini")
			r.IdentityAPI, r.NoVerify = "2.0", true
			w.do("POST", "/v1/environments", r, nil)
		}, "identity API 2.0 changes no password: only a person can, in the portal"},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			c.prepare(w)
			lines := w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true, DryRun: true})
			if len(lines) != 1 || lines[0].Step != "plan" || lines[0].State != "failed" || !strings.Contains(lines[0].Error, c.says) {
				t.Errorf("the plan: %+v", lines)
			}
			if n := w.cloud.Count("POST /v3/users/{user}/password"); n != 0 {
				t.Errorf("%d changes were asked for", n)
			}
		})
	}
}

// An S3 key that came with its user, and once more alone as a profile: both are
// asked for by either name, get the new one, and are named by the plan and the
// trail.
func TestRotateSharedKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.cloud.Keys(w.cloud.User.Name)[0]
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "profile", S3Endpoint: w.cloud.S3URL, S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
	if _, _, err := w.get("/v1/environments/profile/views/credential-process?direct=true"); err != nil {
		t.Fatal(err)
	}
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"profile", "dev"}, DryRun: true})
	if len(plan) != 1 || len(plan[0].Holders) != 1 || plan[0].Holders[0].Environment != "profile" || plan[0].Subject != "the S3 key of dev" || !strings.Contains(plan[0].Note, "would be replaced, in dev, profile") {
		t.Errorf("the plan: %+v", plan)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"profile"}, Grace: "0s", Wait: true})
	lines := w.rotate(ipc.RotateRequest{All: true, Grace: "0s", Wait: true})
	if told := story(lines); strings.Contains(told, "failed") {
		t.Errorf("told: %s", told)
	}
	s := w.status()
	if dev, profile := s.Environments[0].S3, s.Environments[1].S3; dev.AccessKeyID != profile.AccessKeyID || dev.Version != 3 || profile.State != "ok" {
		t.Errorf("dev has %+v, profile %+v", dev, profile)
	}
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 1 || keys[0].Access != s.Environments[1].S3.AccessKeyID {
		t.Errorf("at the cloud are %+v", keys)
	}
	if got := w.rotations(); strings.Count(got, "rotated profile\n") != 2 || strings.Count(got, "rotated dev\n") != 2 {
		t.Errorf("the trail:\n%s", got)
	}
}

// One Keystone by two names is two users, whose environments of one project share a
// key: it is replaced once for both, and the trail has both.
func TestRotateSharedKeyOfTwoUsers(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "deveast", User: w.cloud.User.Name, Password: w.cloud.User.Password, Project: "dev-ccontini",
		AuthURL: strings.Replace(w.cloud.AuthURL, "127.0.0.1", "localhost", 1), S3Endpoint: w.cloud.S3URL}, nil)
	if _, _, err := w.get("/v1/environments/deveast/views/credential-process?direct=true"); err != nil {
		t.Fatal(err)
	}
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", DryRun: true})
	if len(plan) != 1 || len(plan[0].Broken) != 1 || plan[0].Broken[0].Environment != "deveast" {
		t.Errorf("the plan: %+v", plan)
	}
	w.rotate(ipc.RotateRequest{All: true, Grace: "0s", Wait: true})
	s := w.status()
	if dev, east := s.Environments[0].S3, s.Environments[1].S3; dev.AccessKeyID != east.AccessKeyID || dev.Version != 2 || east.Version != 2 {
		t.Errorf("dev has %+v, deveast %+v", dev, east)
	}
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 1 {
		t.Errorf("at the cloud are %+v", keys)
	}
	if got := w.rotations(); strings.Count(got, "rotated deveast\n") != 1 || strings.Count(got, "rotated dev\n") != 1 {
		t.Errorf("the trail:\n%s", got)
	}
}

// A plan does not promise to delete what may be another's.
func TestPlanOfASparedKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	w.add("dev", "dev-ccontini") // and now its key is one that some ccad has made
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, DryRun: true})
	if len(plan) != 1 || plan[0].Until != nil || !strings.Contains(plan[0].Note, "would stay at the cloud: another ccad made it") {
		t.Errorf("the plan: %+v", plan)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "0s", Wait: true})
	if keys := w.cloud.Keys(w.cloud.User.Name); len(keys) != 2 {
		t.Errorf("at the cloud are %+v", keys)
	}
}
