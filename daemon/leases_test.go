package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// leases is the file that says which programs run with what.
func (r reach) leases() string { return filepath.Join(filepath.Dir(r.socket), "leases") }

// exec is what ccactl exec asks for; this process takes its place.
func (r reach) exec() error {
	_, _, err := r.get("/v1/environments/dev/views/env?as=exec&client=aws&direct=true")
	return err
}

// held checks that dev's former key waits for this process to end, however long.
func (r reach) held(when string) {
	r.Helper()
	var s ipc.Status
	r.do("GET", "/v1/status", nil, &s)
	rotation := s.Environments[0].Rotation
	if rotation == nil || rotation.Step != "drain" || rotation.Until != nil || len(rotation.Holders) != 1 ||
		rotation.Holders[0].PID != os.Getpid() || rotation.Holders[0].View != "exec" || rotation.Holders[0].Program == "" {
		r.Errorf("%s: this process holds the former key, and the rotation is %+v", when, rotation)
	}
}

// A program keeps its key while it runs, whatever becomes of the daemon meanwhile.
func TestProgramKeepsItsKeyOverRestarts(t *testing.T) {
	var clock leap
	w := newWorld(t, practice.Options{Now: clock.now, TokenTTL: 1000 * time.Hour})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	for _, hot := range []string{"credential-process?direct=true", "env?client=aws&format=hook-sh&direct=true", "env?client=aws&direct=true"} {
		if _, _, err := w.get("/v1/environments/dev/views/" + hot); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(w.leases()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is asked for again and again writes a file: %v", err)
	}
	if err := w.exec(); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	keys := func() int { return len(w.cloud.Keys(w.cloud.User.Name)) }
	look := func() int { w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil); return keys() }
	restarts := map[string]func(){
		"restarted": w.restart,
		"started locked": func() {
			w.stop()
			w.startLocked("")
			w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words}, nil)
		},
		"never unlocked in between": func() { w.stop(); w.startLocked(""); w.restart() },
	}
	for how, restart := range restarts {
		restart()
		clock.step(24 * time.Hour)
		w.held(how)
		if n := look(); n != 2 {
			t.Fatalf("%s: at the cloud are %d keys", how, n)
		}
	}
	w.stop()
	w.ended()
	w.start("")
	clock.step(time.Hour) // for what else the daemon before may have given
	w.until("the former key is gone", func() bool { return look() == 1 })
	w.stop()
	if left, err := os.ReadDir(filepath.Dir(w.socket)); err != nil || len(left) != 0 {
		t.Errorf("nobody runs any more, and there is left %v, %v", left, err)
	}
}

// ended has the record speak of an earlier process of this one's number.
func (w *world) ended() {
	w.Helper()
	text, err := os.ReadFile(w.leases())
	if err != nil {
		w.Fatal(err)
	}
	text = regexp.MustCompile(`"started":[0-9]+`).ReplaceAll(text, []byte(`"started":1`))
	if err := os.WriteFile(w.leases(), text, 0o600); err != nil {
		w.Fatal(err)
	}
}

// A lock replaces the process, and forgets what it knows: but not who runs with a
// key. What it has on record of that is for nobody else, and tells no name.
func TestProgramKeepsItsKeyOverLocks(t *testing.T) {
	cloud, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	c := newChild(t, "")
	c.unlock()
	w := &world{reach: c.reach, cloud: cloud}
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if err := w.exec(); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	w.held("before")
	for range 2 {
		c.lock()
		c.unlock()
		w.held("after a lock")
	}
	c.lock()
	c.end()
	info, err := os.Lstat(w.leases())
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("left for the next daemon: %v, %v", info, err)
	}
	text, err := os.ReadFile(w.leases())
	if want := regexp.MustCompile(`^\[\{"environment":"[0-9a-f-]+","version":1,"keys":1,"pid":[0-9]+,"started":[0-9]+\}\]\n$`); err != nil || !want.Match(text) {
		t.Errorf("it says %s, %v", text, err)
	}
}

// What else has the name of the record stays as it is: the folder may be a person's.
// All is served without it, and the log says once what that means.
func TestLeasesCannotBeWritten(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(mine, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(path string) error{
		"a folder":      func(path string) error { return os.Mkdir(path, 0o700) },
		"a text":        func(path string) error { return os.WriteFile(path, []byte("mine\n"), 0o600) },
		"other objects": func(path string) error { return os.WriteFile(path, []byte(`[{"name":"mine"}]`), 0o600) },
		"a link":        func(path string) error { return os.Symlink(mine, path) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.add("dev", "dev-ccontini")
			w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
			w.stop()
			if err := make(w.leases()); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(w.leases())
			w.log.Reset()
			w.start("")
			for range 3 {
				if err := w.exec(); err != nil {
					t.Error(err)
				}
			}
			w.stop()
			if n := strings.Count(w.log.String(), `"msg":"leases`); n != 2 {
				t.Errorf("%d lines in the log, want one at the unlock and one at the first exec:\n%s", n, w.log.String())
			}
			after, _ := os.ReadFile(w.leases())
			if _, err := os.Lstat(w.leases()); err != nil || string(after) != string(before) {
				t.Errorf("%q became %q, %v", before, after, err)
			}
		})
	}
}
