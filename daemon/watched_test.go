package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// imported is a world with an environment that came from a watched openrc.
func imported(t *testing.T, project string) (w *world, path string) {
	t.Helper()
	w = newWorld(t, practice.Options{})
	path = filepath.Join(w.dir, "openrc.sh")
	w.save(path, w.openrc(secret, project, ""))
	w.importFile(path, project)
	return w, path
}

func (w *world) save(path, text string) {
	w.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.Fatal(err)
	}
}

func (w *world) importFile(path, name string) {
	w.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	var out ipc.Changes
	w.do("POST", "/v1/import", ipc.ImportRequest{Name: name, Files: []ipc.File{{Path: path, Data: data}}, S3Endpoint: w.cloud.S3URL}, &out)
	if out.Changes[0].Error != nil {
		w.Fatal(out.Changes[0].Error)
	}
}

func (w *world) shown(name string) (s ipc.Shown) {
	w.Helper()
	w.do("GET", "/v1/environments/"+name+"?reveal=true", nil, &s)
	return s
}

// becomes waits for the state in which a watched file is, "" being none.
func (w *world) becomes(state string) (f ipc.WatchedFile) {
	w.Helper()
	w.until("a watched file is "+state, func() bool {
		s := w.status()
		if len(s.Watched) == 0 {
			return state == ""
		}
		f = s.Watched[0]
		return f.State == state
	})
	return f
}

// TestWatchedFileHeals: one new password in one file, and all environments of
// the user have it, S3 keys included.
func TestWatchedFileHeals(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.add("system", "system-ccontini")
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	for _, name := range []string{"dev-ccontini", "system"} {
		w.until(name+" is healed", func() bool {
			s := w.shown(name)
			return s.Password == "second" && s.State == "ok" && w.listed(s.S3.AccessKeyID)
		})
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d passwords were refused on the way", n)
	}
	w.becomes("")
}

// TestWatchedFileWhileAway: what changed while the daemon was not running is
// found at its start.
func TestWatchedFileWhileAway(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.stop()
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.start("")
	w.until("the new one is in force", func() bool { return w.shown("dev-ccontini").Password == "second" })
}

// TestWatchedFileTurnsHostile: another origin, user or project in a watched file
// is told of, and nobody is asked; neither is a file read that others may write.
func TestWatchedFileTurnsHostile(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	trap, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trap.Close)
	mine := w.openrc("stolen", "dev-ccontini", "")
	w.cloud.AddUser("mallory", "mallory's", "hers")
	w.cloud.ResetCounts()
	for _, text := range []string{
		strings.Replace(mine, w.cloud.AuthURL, trap.AuthURL, 1),
		strings.Replace(mine, w.cloud.User.Name, "mallory", 1),
		strings.Replace(mine, "dev-ccontini", "system-ccontini", 1),
	} {
		w.save(path, w.openrc(secret, "dev-ccontini", ""))
		w.becomes("")
		w.save(path, text)
		if f := w.becomes("foreign"); f.Path != path || f.Environment != "dev-ccontini" {
			t.Errorf("%+v", f)
		}
	}
	for _, count := range []int{trap.Count("*"), w.cloud.Count("POST /v3/auth/tokens")} {
		if count != 0 {
			t.Errorf("%d requests went out", count)
		}
	}
	w.save(path, mine)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	w.becomes("unsafe")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.becomes("missing")
	if s := w.shown("dev-ccontini"); s.Password != secret || s.State != "ok" || w.refusals() != 0 {
		t.Errorf("%+v", s.Environment)
	}
}

// TestWatchedFileIsWrong: a refused value costs one failed login, an old one
// none; the one in force goes on. A value that nobody could judge waits.
func TestWatchedFileIsWrong(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.save(path, w.openrc("mistyped", "dev-ccontini", ""))
	w.becomes("refused")
	w.save(path, w.openrc(secret, "dev-ccontini", ""))
	w.becomes("")
	w.save(path, w.openrc("mistyped", "dev-ccontini", "")) // it flips
	w.becomes("refused")
	if n := w.refusals(); n != 1 {
		t.Errorf("a mistyped password was sent %d times", n)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second"}, nil)
	w.save(path, w.openrc(secret, "dev-ccontini", "")) // a backup is put back
	w.becomes("older")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	w.save(path, w.openrc("third", "dev-ccontini", ""))
	w.becomes("waiting")
	if s := w.shown("dev-ccontini"); s.Password != "second" || s.State != "ok" || w.refusals() != 1 {
		t.Errorf("%+v after %d refusals", s.Environment, w.refusals())
	}
}

// TestTwoSources: of two files that disagree the one wins whose value the cloud
// accepts, whichever is saved first.
func TestTwoSources(t *testing.T) {
	for _, order := range [][]string{{"wrong", "second"}, {"second", "wrong"}} {
		w, path := imported(t, "dev-ccontini")
		other := filepath.Join(w.dir, "other.sh")
		w.save(other, w.openrc(secret, "dev-ccontini", ""))
		w.importFile(other, "dev-ccontini")
		w.cloud.SetPassword(w.cloud.User.Name, "second")
		w.save(path, w.openrc(order[0], "dev-ccontini", ""))
		w.until("the first is judged", func() bool {
			return w.refusals() > 0 || w.shown("dev-ccontini").Password == "second"
		})
		w.save(other, w.openrc(order[1], "dev-ccontini", ""))
		w.until(fmt.Sprint(order, ": the accepted one is in force"), func() bool { return w.shown("dev-ccontini").Password == "second" })
		w.becomes("refused")
	}
}

// TestProbes: what was handed out is asked about, one login a user; a password
// that the cloud refuses then has failed once, and goes out to nobody any more.
func TestProbes(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	w.stop()
	w.start("[watch]\nprobe = \"1s\"\n")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	if _, _, err := ipc.Get("/v1/environments/dev/views/env"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ipc.Get("/v1/environments/system/views/env"); err != nil {
		t.Fatal(err)
	}
	w.until("a probe finds it refused", func() bool { return w.status().Users[0].State == "refused" })
	for range 3 {
		_, _, err := ipc.Get("/v1/environments/dev/views/env")
		w.want(err, ipc.CodeRefused, "refused by the cloud")
		var out ipc.Changes
		w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev"}, &out)
		w.want(out.Changes[0].Error, ipc.CodeRefused, "refused")
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("the dead password was sent %d times", n)
	}
}
