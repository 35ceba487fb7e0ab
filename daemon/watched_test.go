package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
		mine + "export AWS_ENDPOINT_URL_S3=https://evil.example\nexport AWS_ACCESS_KEY_ID=stolen\nexport AWS_SECRET_ACCESS_KEY=stolen\n",
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
	w.save(path, w.openrc(secret, "dev-ccontini", "")+"export AWS_ACCESS_KEY_ID=nobodys\nexport AWS_SECRET_ACCESS_KEY=none-of-his\n")
	if f := w.becomes("refused"); f.Kind != "s3-key" {
		t.Errorf("%+v", f)
	}
	w.save(path, w.openrc(secret, "dev-ccontini", ""))
	w.becomes("")
	w.save(path, w.openrc("mistyped", "dev-ccontini", ""))
	if f := w.becomes("refused"); f.Kind != "password" {
		t.Errorf("%+v", f)
	}
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

// TestTypoIsCorrected: the right value that follows a wrong one in a file is
// adopted, and the next Regenerate likewise; where a probe has spent the second
// failed login, a person's verify lets it.
func TestTypoIsCorrected(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	for _, password := range []string{"second", "third"} {
		w.cloud.Reset(w.cloud.User.Name, password)
		w.save(path, w.openrc("mistyped-"+password, "dev-ccontini", ""))
		w.becomes("refused")
		w.save(path, w.openrc(password, "dev-ccontini", ""))
		w.until("the corrected one is in force", func() bool { return w.shown("dev-ccontini").Password == password })
	}
	before := w.refusals()
	w.cloud.Reset(w.cloud.User.Name, "fourth")
	w.save(path, w.openrc("mistyped-fourth", "dev-ccontini", ""))
	w.becomes("refused")
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, &out)
	w.want(out.Changes[0].Error, ipc.CodeRefused, "refused")
	w.save(path, w.openrc("fourth", "dev-ccontini", ""))
	w.becomes("withheld")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	w.until("the corrected one is in force", func() bool { return w.shown("dev-ccontini").Password == "fourth" })
	if n := w.refusals() - before; n != 2 {
		t.Errorf("%d logins failed", n)
	}
	w.becomes("")
}

// TestOlderIsLookedAtAgain: an older value that was left alone is adopted once
// what replaced it is refused and a person has acted, though its file does not
// change.
func TestOlderIsLookedAtAgain(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second"}, nil)
	w.becomes("older")
	w.cloud.SetPassword(w.cloud.User.Name, secret) // an administrator has put it back
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, nil)
	w.until("its file says how it goes on", func() bool { return strings.Contains(w.becomes("older").Reason, "before ccactl verify") })
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	w.until("the older one is in force", func() bool { return w.shown("dev-ccontini").Password == secret })
	w.becomes("")
	if w.save(path, w.openrc(secret, "dev-ccontini", "# the same\n")); w.refusals() != 1 {
		t.Errorf("%d logins failed", w.refusals())
	}
}

// TestStaleFileBesideARegenerate: a file that still has what was replaced does not
// keep the new value, saved there at last, from healing by itself.
func TestStaleFileBesideARegenerate(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second"}, nil)
	w.becomes("older")
	w.cloud.Reset(w.cloud.User.Name, "third")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{Rejected: "dev-ccontini"}, nil)
	w.until("its file was looked at again", func() bool { return strings.Contains(w.becomes("older").Reason, "not tried again") })
	w.save(path, w.openrc("third", "dev-ccontini", ""))
	w.until("it heals", func() bool { return w.shown("dev-ccontini").Password == "third" })
	if n := w.refusals(); n != 1 {
		t.Errorf("%d logins failed", n)
	}
}

// TestHalfWrittenPassword: a writer that pauses inside the last line costs no
// login.
func TestHalfWrittenPassword(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.cloud.Reset(w.cloud.User.Name, "second-password")
	whole := w.openrc("", "dev-ccontini", "export OS_PASSWORD=second-password\n")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, part := range []string{whole[:len(whole)-10], whole[len(whole)-10:]} {
		if _, err := f.WriteString(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond) // the writer's own slowness is what is tested
	}
	w.until("the whole one is in force", func() bool { return w.shown("dev-ccontini").Password == "second-password" })
	if n := w.refusals(); n != 0 {
		t.Errorf("%d logins failed", n)
	}
	w.save(path, "export OS_PASSWORD='second-\n") // no end to its quotes, and nobody mends it
	w.becomes("unparsed")
	if s := w.shown("dev-ccontini"); s.Password != "second-password" || s.State != "ok" {
		t.Errorf("%+v", s.Environment)
	}
}

// TestFileGuards: what is no file of one's own is told through status, and the
// daemon goes on.
func TestFileGuards(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.cloud.ResetCounts()
	good := w.openrc("planted", "dev-ccontini", "")
	elsewhere := filepath.Join(t.TempDir(), "loose")
	for what, make := range map[string]func() error{
		"a FIFO":               func() error { return syscall.Mkfifo(path, 0o600) },
		"a device":             func() error { return os.Symlink("/dev/zero", path) },
		"a folder":             func() error { return os.Mkdir(path, 0o700) },
		"1 GB":                 func() error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<30)) },
		"the group's to write": func() error { return errors.Join(os.WriteFile(path, []byte(good), 0o600), os.Chmod(path, 0o660)) },
		"a link to one that is everybody's": func() error {
			return errors.Join(os.WriteFile(elsewhere, []byte(good), 0o600), os.Chmod(elsewhere, 0o666), os.Symlink(elsewhere, path))
		},
		"another user's": func() error {
			if os.Getuid() != 0 { // only root can make a file another's
				return os.Symlink("/etc/passwd", path)
			}
			return errors.Join(os.WriteFile(path, []byte(good), 0o600), os.Chown(path, 12345, 12345))
		},
	} {
		if err := errors.Join(os.RemoveAll(path), make()); err != nil {
			t.Fatal(err)
		}
		state := "unfit"
		if strings.HasSuffix(what, "'s to write") || strings.HasSuffix(what, "everybody's") {
			state = "unsafe"
		}
		if f := w.becomes(state); !strings.Contains(f.Reason, "not read") {
			t.Errorf("%s: %+v", what, f)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		w.save(path, w.openrc(secret, "dev-ccontini", ""))
		w.becomes("")
	}
	if n := w.cloud.Count("*"); n != 0 {
		t.Errorf("the cloud was asked %d times", n)
	}
}

// TestNoVerifyFile: from a file nothing is sent for a user who was stored with
// --no-verify, until a person verifies him.
func TestNoVerifyFile(t *testing.T) {
	w := newWorld(t, practice.Options{})
	path := filepath.Join(w.dir, "openrc.sh")
	w.save(path, w.openrc(secret, "dev-ccontini", ""))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.cloud.ResetCounts()
	w.do("POST", "/v1/import", ipc.ImportRequest{Name: "dev", NoVerify: true, Files: []ipc.File{{Path: path, Data: data}}, S3Endpoint: w.cloud.S3URL}, nil)
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.becomes("withheld")
	if n := w.cloud.Count("*"); n != 0 {
		t.Errorf("the cloud was asked %d times", n)
	}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	w.until("the file's is in force", func() bool { return w.shown("dev").Password == "second" })
}

// TestUnwatch: only a file that was watched is watched no more.
func TestUnwatch(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	for _, want := range [][]string{{"dev-ccontini"}, {}} {
		var out ipc.UnwatchReply
		w.do("POST", "/v1/unwatch", ipc.UnwatchRequest{Paths: []string{path}}, &out)
		if !slices.Equal(out.Environments, want) {
			t.Errorf("%v, want %v", out.Environments, want)
		}
	}
}

// TestNoWatch: a file that was imported with --no-watch is left alone.
func TestNoWatch(t *testing.T) {
	w := newWorld(t, practice.Options{})
	path, watched := filepath.Join(w.dir, "openrc.sh"), filepath.Join(w.dir, "watched.sh")
	for file, noWatch := range map[string]bool{path: true, watched: false} {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		project := map[bool]string{true: "dev-ccontini", false: "system-ccontini"}[noWatch]
		w.save(file, w.openrc(secret, project, ""))
		w.do("POST", "/v1/import", ipc.ImportRequest{Name: name, NoWatch: noWatch, Files: []ipc.File{{Path: file, Data: []byte(w.openrc(secret, project, ""))}}}, nil)
	}
	w.save(path, w.openrc("wrong-1", "dev-ccontini", ""))
	w.save(watched, w.openrc("wrong-2", "system-ccontini", ""))
	if f := w.becomes("refused"); f.Path != watched { // which was saved later, and so the other was judged if ever
		t.Errorf("%+v", f)
	}
	if s := w.status(); len(s.Watched) != 1 || w.refusals() != 1 {
		t.Errorf("%+v, %d logins failed", s.Watched, w.refusals())
	}
}

// TestCloudDown: what is found while the cloud is down is in force soon after it
// is back.
func TestCloudDown(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Status: 503})
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.becomes("waiting")
	w.cloud.Heal()
	w.until("it is in force", func() bool { return w.shown("dev-ccontini").Password == "second" })
	w.becomes("")
}

// TestCloudLimits: a cloud that says when it wants to be asked again is not asked
// before.
func TestCloudLimits(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	var mu sync.Mutex
	var asked []time.Time
	fault := practice.Limited("POST /v3/auth/tokens", "4")
	fault.Begun = func() {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, time.Now())
	}
	w.cloud.Fail(fault)
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.until("it is asked again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) > 1
	})
	if wait := asked[1].Sub(asked[0]); wait < 4*time.Second {
		t.Errorf("after %v", wait)
	}
}

// TestRescanOfConfig: [watch] rescan finds what no event tells of: here a link two
// folders above the file is pointed elsewhere, more than once in a usual rescan.
func TestRescanOfConfig(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.stop()
	w.start("[watch]\nrescan = \"1s\"\n")
	current := filepath.Join(w.dir, "current")
	point := func(password string) {
		w.Helper()
		deep := filepath.Join(w.dir, password, "deep")
		if err := os.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
		w.save(filepath.Join(deep, "openrc.sh"), w.openrc(password, "dev-ccontini", ""))
		if err := errors.Join(os.Symlink(password, current+".new"), os.Rename(current+".new", current)); err != nil {
			t.Fatal(err)
		}
	}
	point(secret)
	w.importFile(filepath.Join(current, "deep", "openrc.sh"), "dev-ccontini")
	for _, password := range []string{"second", "third"} {
		w.cloud.Reset(w.cloud.User.Name, password)
		point(password)
		w.has("dev-ccontini", password)
	}
}

// TestAnotherCloudHangs: no file waits for the cloud of another.
func TestAnotherCloudHangs(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	far, err := practice.Start(practice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	other := filepath.Join(w.dir, "far.sh")
	save := func(password string) {
		w.save(other, strings.Replace(w.openrc(password, "dev-ccontini", ""), w.cloud.AuthURL, far.AuthURL, 1))
	}
	save(secret)
	w.importFile(other, "far")
	asked := make(chan struct{})
	far.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Break: practice.Hang, Begun: sync.OnceFunc(func() { close(asked) })})
	save("second")
	<-asked
	begun := time.Now()
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", ""))
	w.until("the near one is in force", func() bool { return w.shown("dev-ccontini").Password == "second" })
	if took := time.Since(begun); took > 9*time.Second { // the far one is waited for 10 s
		t.Errorf("after %v", took)
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
