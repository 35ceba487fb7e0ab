package render

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func text(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func put(t *testing.T, s *Files, path, data string, reload bool) Outcome {
	t.Helper()
	out, err := s.Put(path, []byte(data), reload)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reload is owed from before the file is written until it is paid, through
// whatever comes in between.
func TestOwed(t *testing.T) {
	dir := t.TempDir()
	s, path := &Files{State: dir + "/state"}, dir+"/a/b/file"
	if out := put(t, s, path, "one", true); out != (Outcome{Changed: true, Owed: true}) {
		t.Errorf("%+v", out)
	}
	for range 2 { // a crash before the reload, and once more
		if out := put(t, &Files{State: s.State}, path, "one", true); out != (Outcome{Owed: true}) {
			t.Errorf("%+v", out)
		}
	}
	if err := s.Paid(path); err != nil {
		t.Fatal(err)
	}
	if out := put(t, s, path, "one", true); out != (Outcome{}) {
		t.Errorf("%+v", out)
	}
	if out, err := s.Withdraw(path, []byte("note"), false); err != nil || out != (Outcome{Changed: true}) {
		t.Errorf("%+v, %v", out, err)
	}
	if out := put(t, s, path, "one", false); out != (Outcome{Changed: true}) {
		t.Errorf("%+v", out)
	}
	if got := strings.Join(s.Known(), " "); got != path+" "+path+".former" {
		t.Errorf("known: %s", got)
	}
	if strings.Contains(text(dir+"/state/"+registerName), "one") {
		t.Error("the register holds what is in the file")
	}
}

// What fails on the way leaves the file as it was, and nothing beside it.
func TestFaults(t *testing.T) {
	for _, step := range []string{"create", "mode", "write", "sync", "close", "rename"} {
		dir := t.TempDir()
		s, path := &Files{State: dir + "/state"}, dir+"/x/file"
		write(t, path, "before", 0o640)
		put(t, s, path, "before", false)
		s.fault = func(at string) error {
			if at == step {
				return syscall.ENOSPC
			}
			return nil
		}
		if _, err := s.Put(path, []byte("after"), false); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", step, err)
		}
		if left, _ := os.ReadDir(dir + "/x"); text(path) != "before" || len(left) != 1 {
			t.Errorf("%s: %q, and %v", step, text(path), left)
		}
	}
}

// TestCrash kills a process at each step of a first and of a later write. The
// file is the old or the new one, with its mode; what a person had is kept; and
// the next write finds nothing in its way and no reload lost.
func TestCrash(t *testing.T) {
	if n := os.Getenv("CCAD_TEST_DIE"); n != "" {
		left, _ := strconv.Atoi(n)
		s := &Files{State: os.Getenv("CCAD_TEST_DIR") + "/state", fault: func(string) error {
			if left--; left == -1 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}}
		put(t, s, os.Getenv("CCAD_TEST_DIR")+"/x/file", "after", true)
		return
	}
	for _, first := range []bool{true, false} {
		old, new := 0, 0
		for n, died := 0, true; died; n++ {
			dir := t.TempDir()
			path := dir + "/x/file"
			write(t, path, "mine", 0o640)
			if !first {
				put(t, &Files{State: dir + "/state"}, path, "mine", false)
			}
			cmd := exec.Command(os.Args[0], "-test.run", "^TestCrash$")
			cmd.Env = append(os.Environ(), "CCAD_TEST_DIE="+strconv.Itoa(n), "CCAD_TEST_DIR="+dir)
			out, err := cmd.CombinedOutput()
			if died = err != nil; died && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("step %d: %v: %s", n, err, out)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("first %v, step %d: %v, %v", first, n, info.Mode(), err)
			}
			switch text(path) {
			case "mine":
				old++
			case "after":
				new++
				if first && text(path+formerSuffix) != "mine" {
					t.Errorf("step %d: what was there is lost: %s", n, text(path+formerSuffix))
				}
			default:
				t.Errorf("first %v, step %d: %q", first, n, text(path))
			}
			if again := put(t, &Files{State: dir + "/state"}, path, "after", true); !again.Owed {
				t.Errorf("first %v, step %d: a reload is lost", first, n)
			}
			if first && text(path+formerSuffix) != "mine" {
				t.Errorf("step %d, later: what was there is lost: %s", n, text(path+formerSuffix))
			}
			for _, folder := range []string{dir + "/x", dir + "/state"} {
				if left, _ := filepath.Glob(folder + "/.*.ccad"); len(left) > 0 {
					t.Errorf("step %d: %v is left", n, left)
				}
			}
		}
		if old < 10 || new < 2 {
			t.Errorf("first %v: %d times the old, %d times the new file", first, old, new)
		}
	}
}

// before is a file of a group that the process may not give.
type before struct{ fs.FileInfo }

func (before) Mode() fs.FileMode { return 0o664 }
func (before) Sys() any          { return &syscall.Stat_t{Gid: 0} }

// TestGroup: a mode is kept but never loosened: where the group can't be kept,
// another one gets nothing. It runs as a user who may not give files away.
func TestGroup(t *testing.T) {
	if dir := os.Getenv("CCAD_TEST_GROUP"); dir != "" {
		f, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := (&target{info: before{}}).likeBefore(f); err != nil {
			t.Fatal(err)
		}
		info, _ := f.Stat()
		fmt.Printf("mode %04o\n", info.Mode().Perm())
		return
	}
	dir, err := os.MkdirTemp("", "ccad")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, cmd := dir+"/test", exec.Command(dir+"/test", "-test.run", "^TestGroup$")
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(to, from)
	}
	if err = errors.Join(err, to.Close(), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	cmd.Env, cmd.Dir = append(os.Environ(), "CCAD_TEST_GROUP="+dir), dir
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "mode 0604") {
		t.Errorf("%v: %s", err, out)
	}
}

// A reload gets its words as they are, and is killed with all that it started
// when it takes too long.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	if err := Reload(t.Context(), []string{"sh", "-c", `printf %s "$0" >` + dir + `/said; cat >&2`, "$HOME `id` a  b"}, time.Minute); err != nil {
		t.Error(err)
	}
	if got := text(dir + "/said"); got != "$HOME `id` a  b" {
		t.Errorf("%q", got)
	}
	for want, argv := range map[string][]string{
		"false: exit status 1":                        {"false"},
		"no-such-program: executable file not found":  {"no-such-program"},
		"sh did not end within 300ms, and was killed": {"sh", "-c", "sleep 600 & echo $! >" + dir + "/pid; wait"},
	} {
		if err := Reload(t.Context(), argv, 300*time.Millisecond); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text(dir + "/pid")))
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; <-time.After(10 * time.Millisecond) {
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(state), ") Z ") { // nobody has waited for it yet
			break
		}
		if time.Now().After(limit) {
			t.Fatal("what it started goes on")
		}
	}
}

// Nothing is written by a way that another user can change: he would have it put
// into a file of the user's that everybody reads.
func TestWay(t *testing.T) {
	const nobody = 65534
	for _, c := range []struct {
		what  string
		mode  fs.FileMode // of the folder on the way
		links bool        // it holds a link to where it goes on
		uid   int         // whose the folder is; the test's if 0
		link  int         // whose the link is
		want  string
	}{
		{"the user's", 0o755, true, 0, 0, ""},
		{"without a link", 0o700, false, 0, 0, ""},
		{"everybody's", 0o777, true, 0, 0, "way can be written by others (mode 0777; chmod go-w mends it)"},
		{"everybody's, without a link", 0o777, false, 0, 0, "way can be written by others (mode 0777; chmod go-w mends it)"},
		{"the group's", 0o775, true, 0, 0, "way can be written by others (mode 0775; chmod go-w mends it)"},
		{"the user's, and the link another's", 0o755, true, 0, nobody, "out belongs to another user"},
		{"shared", 0o777 | fs.ModeSticky, true, 0, 0, ""},
		{"shared, and the link another's", 0o777 | fs.ModeSticky, true, 0, nobody, "out belongs to another user"},
		{"another's", 0o755, true, nobody, nobody, "way belongs to another user"},
	} {
		if (c.uid != 0 || c.link != 0) && os.Getuid() != 0 {
			continue // who is not root can't make them
		}
		dir := t.TempDir()
		write(t, dir+"/precious/file", "mine", 0o644)
		err := os.Mkdir(dir+"/way", 0o700)
		path := dir + "/way/out/file"
		if c.links {
			err = errors.Join(err, os.Symlink(dir+"/precious", dir+"/way/out"), chown(dir+"/way/out", c.link))
		} else {
			err = errors.Join(err, os.Mkdir(dir+"/way/out", 0o700))
		}
		if err = errors.Join(err, chown(dir+"/way", c.uid), os.Chmod(dir+"/way", c.mode)); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, path + ".new", dir + "/way/out/deeper/file"} {
			_, err = (&Files{State: dir + "/state"}).Put(path, []byte("secret"), false)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if c.want == "" {
			continue
		}
		if left, _ := os.ReadDir(dir + "/precious"); len(left) != 1 || text(dir+"/precious/file") != "mine" {
			t.Errorf("%s: %q, and %v", c.what, text(dir+"/precious/file"), left)
		}
	}
}

// chown gives a link or folder to another user; 0 leaves it.
func chown(path string, uid int) error {
	if uid == 0 {
		return nil
	}
	return os.Lchown(path, uid, -1)
}
