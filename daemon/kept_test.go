package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// scrub does what ccactl does: what a file was is kept, then it is written.
func (w *world) scrub(path string) (lines []int) {
	w.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	var out ipc.ScrubReply
	w.do("POST", "/v1/scrub", ipc.ScrubRequest{Files: []ipc.File{{Path: path, Data: data}}}, &out)
	s := out.Files[0]
	if s.Left != "" {
		w.Fatal(s.Left)
	}
	if len(s.Lines) > 0 {
		w.do("POST", "/v1/kept", ipc.KeptFile{Path: path, Mode: 0o600, Before: data, After: []byte("digest"), Emptied: true}, nil)
		w.save(path, string(s.Data))
	}
	return s.Lines
}

// settle waits until the watcher has looked at all files: one that was saved
// later has been told of, and mended, by then.
func (w *world) settle() {
	w.Helper()
	later := filepath.Join(w.dir, "zzz.sh")
	w.save(later, w.openrc(secret, "system-ccontini", ""))
	w.importFile(later, "later")
	w.save(later, w.openrc(secret, "another-project", ""))
	w.until("the later file is told of", func() bool {
		for _, f := range w.status().Watched {
			if f.Path == later {
				return true
			}
		}
		return false
	})
	w.save(later, w.openrc(secret, "system-ccontini", ""))
	w.becomes("")
}

// A file whose secret was taken out is nothing to complain of, be it edited
// afterwards or removed; what it was is nowhere but in the sealed store.
func TestScrubbedFile(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	if lines := w.scrub(path); len(lines) != 1 {
		t.Fatalf("lines %v", lines)
	}
	if again := w.scrub(path); len(again) != 0 {
		t.Errorf("a second time lines %v", again)
	}
	data, _ := os.ReadFile(path)
	w.save(path, string(data)+"# mine\n")
	w.settle()
	if err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "zzz.sh" {
			return err
		}
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(secret)) {
			t.Errorf("the password is in %s", path)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	w.restart()
	var gone ipc.Changes
	w.do("DELETE", "/v1/environments/dev-ccontini", nil, &gone)
	if notes := strings.Join(gone.Changes[0].Notes, "\n"); !strings.Contains(notes, "what "+path+" was, its secrets included, is still kept") {
		t.Errorf("a removal says %q", notes)
	}
	var kept ipc.KeptFiles
	w.do("GET", "/v1/kept", nil, &kept)
	if len(kept.Files) != 1 || !strings.Contains(string(kept.Files[0].Before), secret) || kept.Files[0].Path != path {
		t.Fatalf("%d files are kept", len(kept.Files))
	}
	w.do("DELETE", "/v1/kept/"+kept.Files[0].ID, nil, nil)
	w.do("GET", "/v1/kept", nil, &kept)
	if len(kept.Files) != 0 {
		t.Error("it is kept still")
	}
	w.want(w.try("DELETE", "/v1/kept/none", nil, nil), ipc.CodeUnknown, "former file")
	if kept, out := w.trail("kept"), w.trail("handed-out"); kept != 1 || out != 1 {
		t.Errorf("%d and %d lines in the trail for a file that was kept, and handed out", kept, out)
	}
}

// A profile of S3 keys alone is gone from its file when its keys are, which is
// no news; a value that comes back is taken.
func TestScrubbedProfile(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key := w.shown("dev")
	path := filepath.Join(w.dir, "credentials")
	text := "[work]\naws_access_key_id=AKIAWORK\naws_secret_access_key=not-ours\n[keys]\naws_access_key_id=" + key.S3.AccessKeyID +
		"\naws_secret_access_key=" + key.SecretAccessKey + "\nendpoint_url=" + w.cloud.S3URL + "\n"
	w.save(path, text)
	data, _ := os.ReadFile(path)
	var out ipc.Changes
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{{Path: path, Data: data}}}, &out)
	if w.shown("keys").S3.State != "ok" {
		t.Fatalf("%+v", out)
	}
	if lines := w.scrub(path); len(lines) != 2 || lines[0] != 5 {
		t.Fatalf("lines %v", lines)
	}
	data, _ = os.ReadFile(path)
	if !strings.Contains(string(data), "not-ours") || strings.Contains(string(data), key.SecretAccessKey) {
		t.Errorf("it holds\n%s", data)
	}
	w.save(path, string(data)+"[more]\nregion=x\n")
	w.settle()
}

// What was not accepted by the cloud, and what is not in force any more, stays
// in its file.
func TestScrubLeavesWhatIsNotHeld(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	other := filepath.Join(w.dir, "other.sh")
	w.save(other, w.openrc("another", "dev-ccontini", ""))
	if lines := w.scrub(other); len(lines) != 0 {
		t.Errorf("a password that ccad does not have was taken out: %v", lines)
	}
	w.save(other, w.openrc(secret, "another-project", ""))
	if lines := w.scrub(other); len(lines) != 0 {
		t.Errorf("the password was taken out for a project that ccad does not have: %v", lines)
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "unproved", NoVerify: true}, nil)
	w.save(path, w.openrc("unproved", "dev-ccontini", ""))
	if lines := w.scrub(path); len(lines) != 0 {
		t.Errorf("a password that nobody verified was taken out: %v", lines)
	}
}
