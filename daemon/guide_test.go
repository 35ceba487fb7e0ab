package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A guided rotation is one that is asked for and waits for a person.
type guidedRotation struct {
	*world
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	lines []ipc.RotateLine
}

// guided asks for a rotation and returns once it says what to press.
func (w *world) guided(in ipc.RotateRequest) (*guidedRotation, ipc.RotateLine) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	w.Cleanup(cancel)
	g := &guidedRotation{world: w, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		g.ended <- ipc.StreamOf(w.at(ctx), "POST", "/v1/rotate", in, func(raw []byte) error {
			var line ipc.RotateLine
			err := json.Unmarshal(raw, &line)
			g.mu.Lock()
			defer g.mu.Unlock()
			g.lines = append(g.lines, line)
			return err
		})
	}()
	var told ipc.RotateLine
	w.until("told what to press", func() bool {
		select {
		case err := <-g.ended:
			w.Fatalf("it ends with %v: %+v", err, g.told())
		default:
		}
		var ok bool
		told, ok = g.line("portal")
		return ok
	})
	return g, told
}

func (g *guidedRotation) told() []ipc.RotateLine {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.lines)
}

// line is the last one of a step.
func (g *guidedRotation) line(step string) (found ipc.RotateLine, ok bool) {
	for _, l := range g.told() {
		if l.Step == step {
			found, ok = l, true
		}
	}
	return found, ok
}

// adopts waits for its end, which must be an adoption of subject.
func (g *guidedRotation) adopts(subject, note string, environments ...string) {
	g.Helper()
	if err := <-g.ended; err != nil {
		g.Fatal(err)
	}
	last := g.told()[len(g.told())-1]
	if last.Step != "adopt" || last.State != "done" || last.Subject != subject || !strings.Contains(last.Note, note) || !slices.Equal(last.Environments, environments) {
		g.Errorf("it ended with %+v", last)
	}
}

func (w *world) forbid(route string) {
	w.cloud.Fail(practice.Fault{Route: route, Status: 403, Body: `{"error":{"code":403,"title":"Forbidden","message":"You are not authorized to perform the requested action."}}`})
}

const (
	listKeys       = "GET /v3/users/{user}/credentials/OS-EC2"
	changePassword = "POST /v3/users/{user}/password"
)

// An environment of which ccad has S3 keys alone: a person brings the new ones.
func TestGuidedWithoutPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	project := w.cloud.User.Projects["dev-ccontini"]
	key := w.cloud.CreateKey(w.cloud.User.Name, project)
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "keys", S3Endpoint: w.cloud.S3URL, S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
	g, told := w.guided(ipc.RotateRequest{Environments: []string{"keys"}})
	all := strings.Join(told.Clicks, "\n")
	for _, word := range []string{"Profile", "API Credentials", "Service API keys", "Regenerate", "all his environments"} {
		if !strings.Contains(all, word) {
			t.Errorf("the clicks lack %q:\n%s", word, all)
		}
	}
	if told.User != "" || !strings.Contains(told.Note, "password") || !slices.Equal(told.Environments, []string{"keys"}) || strings.Contains(strings.ToLower(all), "remove") {
		t.Errorf("told %+v", told)
	}
	next := w.cloud.CreateKey(w.cloud.User.Name, project)
	w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "keys", S3AccessKey: next.Access, S3Secret: next.Secret}, nil)
	g.adopts("the S3 key of keys", "v2, from a person, accepted", "keys")
}

// A cloud that lets users not list or make keys; the portal's API shows the new
// password, and the key comes by hand.
func TestGuidedWhereKeysAreForbidden(t *testing.T) {
	w, _ := newPortalWorld(t, asShown)
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	if _, err := w.portalLogin(portalKey); err != nil {
		t.Fatal(err)
	}
	w.forbid(listKeys)
	g, told := w.guided(ipc.RotateRequest{Environments: []string{"dev"}})
	if !slices.Equal(told.Environments, []string{"dev", "sys"}) || len(told.Sources) != 1 || !strings.Contains(told.Sources[0], "portal's API") ||
		!strings.Contains(strings.Join(told.Clicks, "\n"), "project dev-ccontini") || !strings.Contains(told.Note, "refused (403)") {
		t.Errorf("told %+v", told)
	}
	if s := w.status(); s.Environments[0].Rotation != nil {
		t.Errorf("something is under way: %+v", s.Environments[0].Rotation)
	}
	keys := w.cloud.Reset(w.cloud.User.Name, "regenerated-1")
	w.do("GET", "/v1/portal", nil, nil) // as the poll does
	w.until("the password is adopted", func() bool { _, ok := g.line("adopt"); return ok })
	if l, _ := g.line("adopt"); l.Subject != "the password of "+w.cloud.User.Name || !strings.Contains(l.Note, "the portal's API, accepted") {
		t.Errorf("adopted %+v", l)
	}
	for _, key := range keys {
		if key.ProjectID == w.cloud.User.Projects["dev-ccontini"] {
			w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "dev", S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
		}
	}
	g.adopts("the S3 key of dev", "from a person", "dev")
}

// A password that its user may not change; a watched file brings the new one.
func TestGuidedPassword(t *testing.T) {
	for what, forbid := range map[string]func(w *world){
		"forbidden": func(w *world) { w.forbid(changePassword) },
		"lock_password": func(w *world) {
			w.cloud.Fail(practice.Fault{Route: changePassword, Status: 400, Body: `{"error":{"code":400,"title":"Bad Request","message":"There is a password policy disallowing password changes for this user."}}`})
		},
		"not offered": func(w *world) {
			w.cloud.Fail(practice.Fault{Route: changePassword, Status: 404, Body: `{"error":{"code":404,"title":"Not Found","message":"The resource could not be found."}}`})
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, path := imported(t, "dev-ccontini")
			w.add("sys", "system-ccontini")
			forbid(w)
			g, told := w.guided(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
			if !slices.Equal(told.Environments, []string{"dev-ccontini", "sys"}) || !slices.Equal(told.Sources, []string{path}) {
				t.Errorf("told %+v", told)
			}
			if u := w.status().Users[0]; u.Rotation != nil || u.State != "ok" {
				t.Errorf("the user is %+v", u)
			}
			w.cloud.Reset(w.cloud.User.Name, "regenerated-1")
			w.save(path, w.openrc("regenerated-1", "dev-ccontini", ""))
			g.adopts("the password of "+w.cloud.User.Name, "from a watched file, accepted by the cloud", "dev-ccontini", "sys")
			if n := w.refusals(); n != 0 {
				t.Errorf("%d failed logins", n)
			}
		})
	}
}

// Whoever hangs up leaves nothing behind, and what comes later is adopted as ever.
func TestGuidedIsGivenUp(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.forbid(changePassword)
	g, _ := w.guided(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	g.cancel()
	if err := <-g.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended by %v", err)
	}
	if u := w.status().Users[0]; u.Rotation != nil || u.PasswordVersion != 1 {
		t.Errorf("left: %+v", u)
	}
	w.cloud.Reset(w.cloud.User.Name, "regenerated-1")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "regenerated-1"}, nil)
	if got := w.shown("dev"); got.Password != "regenerated-1" || got.State != "ok" {
		t.Errorf("dev is %+v", got)
	}
}

// Nobody is kept waiting for one of many: it is told, and the others go on. A
// refusal that is none of the cloud's rules leads nobody to the portal.
func TestGuidedIsForOne(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["system-ccontini"])
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "keys", S3Endpoint: w.cloud.S3URL, S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
	lines := w.rotate(ipc.RotateRequest{All: true})
	failed := slices.DeleteFunc(slices.Clone(lines), func(l ipc.RotateLine) bool { return l.Code == "" })
	if len(failed) != 1 || failed[0].Subject != "the S3 key of keys" || !strings.Contains(failed[0].Error, "in the portal") || !strings.Contains(story(lines), "flip done") {
		t.Errorf("told %+v", lines)
	}
	w.cloud.SetPolicy(practice.Policy{Accept: func(string) bool { return false }, Requirements: "none will do"})
	last := w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	if l := last[len(last)-1]; l.Code != ipc.CodeRefused || strings.Contains(l.Error, "portal") {
		t.Errorf("told %+v", l)
	}
	plan := w.rotate(ipc.RotateRequest{Environments: []string{"keys"}, DryRun: true})
	if l := plan[0]; l.Step != "plan" || l.State != "failed" || !strings.Contains(l.Error, "portal") {
		t.Errorf("the plan: %+v", l)
	}
}
