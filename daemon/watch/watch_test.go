package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cloud-ca/ccad/daemon/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// looker keeps what a Watcher tells.
type looker struct {
	*testing.T
	watcher *watch.Watcher
	told    chan watch.Reading
	trouble func(error) // nil: there may be none
	mu      sync.Mutex
	again   time.Duration
}

func start(t *testing.T, rescan time.Duration, paths ...string) *looker {
	t.Helper()
	l := newLooker(t, rescan)
	l.run(paths...)
	return l
}

func newLooker(t *testing.T, rescan time.Duration) *looker {
	l := &looker{T: t, told: make(chan watch.Reading, 1000)}
	l.watcher = watch.New(rescan, func(r watch.Reading) time.Duration {
		l.told <- r
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.again
	})
	return l
}

func (l *looker) run(paths ...string) {
	var files [][]string
	for _, path := range paths {
		files = append(files, []string{path})
	}
	l.watcher.Set(files)
	if l.trouble == nil {
		l.trouble = func(err error) { l.Error(err) }
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.watcher.Run(ctx, l.trouble) }()
	l.Cleanup(func() { cancel(); <-done })
}

// next is the contents that are told next, without their last newline.
func (l *looker) next() string {
	l.Helper()
	select {
	case r := <-l.told:
		var parts []string
		for _, f := range r.Files {
			if f.Err != nil {
				parts = append(parts, "error: "+f.Err.Error())
			} else {
				parts = append(parts, strings.TrimSuffix(string(f.Data), "\n"))
			}
		}
		return strings.Join(parts, " with ")
	case <-time.After(time.Minute):
		l.Fatal("nothing is told")
		return ""
	}
}

func (l *looker) want(data string) {
	l.Helper()
	if got := l.next(); got != data {
		l.Fatalf("told %q, want %q", got, data)
	}
}

// quiet: nothing more is told for longer than a change takes to be.
func (l *looker) quiet() {
	l.Helper()
	select {
	case r := <-l.told:
		l.Errorf("told once more: %q, %v", r.Files[0].Data, r.Files[0].Err)
	case <-time.After(400 * time.Millisecond):
	}
}

// write writes a whole text: one with an end to its last line.
func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWaysOfSaving: each way is noticed, by events (the rescan is an hour away),
// once.
func TestWaysOfSaving(t *testing.T) {
	for name, save := range map[string]func(t *testing.T, path, data string){
		"in place": write,
		"a rename over it": func(t *testing.T, path, data string) {
			write(t, path+".tmp", data)
			must(t, os.Rename(path+".tmp", path))
		},
		"vim's backup": func(t *testing.T, path, data string) {
			must(t, os.Rename(path, path+"~"))
			write(t, path, data)
			must(t, os.Remove(path+"~"))
		},
		"truncate, wait, write": func(t *testing.T, path, data string) {
			must(t, os.Truncate(path, 0))
			time.Sleep(300 * time.Millisecond) // an editor's own slowness is what is tested
			write(t, path, data)
		},
		"byte by byte": func(t *testing.T, path, data string) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			must(t, err)
			defer f.Close()
			for _, b := range []byte(data + "\n") { // slower than what counts as quiet
				_, err := f.Write([]byte{b})
				must(t, err)
				time.Sleep(200 * time.Millisecond)
			}
		},
		"gone for a while": func(t *testing.T, path, data string) {
			must(t, os.Remove(path))
			time.Sleep(300 * time.Millisecond)
			write(t, path, data)
		},
		"the folder is made again": func(t *testing.T, path, data string) {
			must(t, os.RemoveAll(filepath.Dir(path)))
			time.Sleep(50 * time.Millisecond)
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			write(t, path, data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a", "openrc")
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			write(t, path, "one")
			l := start(t, time.Hour, path)
			l.want("one")
			for _, data := range []string{"two", "three"} {
				save(t, path, data)
				l.want(data)
			}
			l.quiet()
		})
	}
}

// TestLinks: a link that is pointed elsewhere, a target that changes, and a
// volume's swap of the folder above (Kubernetes' ..data).
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "a"), "a1")
	write(t, filepath.Join(elsewhere, "b"), "b1")
	link := filepath.Join(dir, "openrc")
	must(t, os.Symlink(filepath.Join(elsewhere, "a"), link))
	for _, n := range []string{"1", "2"} {
		must(t, os.Mkdir(filepath.Join(dir, "..v"+n), 0o700))
		write(t, filepath.Join(dir, "..v"+n, "conf"), "volume "+n)
	}
	must(t, os.Symlink("..v1", filepath.Join(dir, "..data")))
	volume := filepath.Join(dir, "conf")
	must(t, os.Symlink("..data/conf", volume))
	l := start(t, time.Hour, link, volume)
	first := []string{l.next(), l.next()}
	if first[0]+first[1] != "volume 1a1" && first[0]+first[1] != "a1volume 1" {
		t.Fatalf("told %q", first)
	}
	write(t, filepath.Join(elsewhere, "a"), "a2")
	l.want("a2")
	must(t, os.Symlink(filepath.Join(elsewhere, "b"), link+".new"))
	must(t, os.Rename(link+".new", link))
	l.want("b1")
	write(t, filepath.Join(elsewhere, "b"), "b2")
	l.want("b2")
	must(t, os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	l.want("volume 2")
	l.quiet()
}

// TestRescan: a change that no event tells of is found by the rescan. Here the
// path leads through a link that is swapped two folders above.
func TestRescan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{"1", "2"} {
		must(t, os.MkdirAll(filepath.Join(dir, n, "deep"), 0o700))
		write(t, filepath.Join(dir, n, "deep", "f"), n)
	}
	must(t, os.Symlink("1", filepath.Join(dir, "current")))
	l := start(t, 200*time.Millisecond, filepath.Join(dir, "current", "deep", "f"))
	l.want("1")
	must(t, os.Symlink("2", filepath.Join(dir, "new")))
	must(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "current")))
	l.want("2")
	l.quiet()
}

// TestNoWatches: where the system has no watch left, that is told once, and the
// rescan finds what changes.
func TestNoWatches(t *testing.T) {
	t.Parallel()
	paths := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	l := newLooker(t, 200*time.Millisecond)
	troubles := make(chan error, 100)
	l.trouble = func(err error) { troubles <- err }
	l.watcher.Deaf(syscall.ENOSPC)
	for _, path := range paths {
		write(t, path, "one")
	}
	l.run(paths...)
	l.want("one")
	l.want("one")
	for _, path := range paths {
		write(t, path, path)
		l.want(path)
	}
	if err := <-troubles; !errors.Is(err, syscall.ENOSPC) || len(troubles) != 0 {
		t.Errorf("told %v, and %d times more", err, len(troubles))
	}
}

// TestManyEvents: a folder in which something happens all the time keeps no
// file from being read, nor makes it be read each time.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "openrc")
	write(t, path, "one")
	var reads atomic.Int64
	l := newLooker(t, time.Hour)
	l.watcher.ReadBy(func(path string) ([]byte, error) { reads.Add(1); return watch.Read(path) })
	l.run(path)
	l.want("one")
	begun := time.Now()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				stopped <- n
				return
			default:
				_ = os.WriteFile(filepath.Join(dir, "noise"), []byte("x"), 0o600)
				n += 3 // create or truncate, write, close
			}
		}
	}()
	write(t, path, "two")
	l.want("two")
	for i := range 2 { // flips between two values
		write(t, path, fmt.Sprint("flip", i%2))
		l.want(fmt.Sprint("flip", i%2))
	}
	must(t, os.Truncate(path, 0)) // half written, and still something happens all the time
	time.Sleep(500 * time.Millisecond)
	write(t, path, "whole")
	l.want("whole")
	took, read := time.Since(begun), reads.Load()
	close(stop)
	events := <-stopped
	t.Logf("%d events in %v", events, took)
	if most := int64(took/(150*time.Millisecond)) + 2; read > most || events < 10*int(most) {
		t.Errorf("read %d times in %v of %d events", read, took, events)
	}
	l.quiet()
}

// TestOverflow: where the kernel drops events, every file is looked at again.
func TestOverflow(t *testing.T) {
	t.Parallel()
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		limit = []byte("0") // another kernel: there is no such queue
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	must(t, err)
	noisy, silent := t.TempDir(), t.TempDir()
	write(t, filepath.Join(noisy, "a"), "a")
	write(t, filepath.Join(silent, "b"), "b")
	l := start(t, time.Hour, filepath.Join(noisy, "a"), filepath.Join(silent, "b"))
	if got := l.next() + l.next(); got != "ab" && got != "ba" {
		t.Fatal(got)
	}
	release := l.watcher.Stall()
	var files [2]*os.File // by turns: the kernel merges what is the same
	for i := range files {
		files[i], err = os.Create(filepath.Join(noisy, fmt.Sprint("noise-", i)))
		must(t, err)
		defer files[i].Close()
	}
	for i := range most + 1000 {
		_, err := files[i%2].WriteString("x")
		must(t, err)
	}
	write(t, filepath.Join(silent, "b"), "changed") // its event has no room any more
	release()
	l.want("changed")
	l.quiet()
}

// TestHangs: a file system that does not answer is told, and holds up no other
// file; when it answers again, its file is told.
func TestHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead, alive := filepath.Join(dir, "dead"), filepath.Join(dir, "alive")
	write(t, dead, "back")
	write(t, alive, "one")
	mounted := make(chan struct{})
	l := newLooker(t, time.Hour)
	l.watcher.ReadBy(func(path string) ([]byte, error) {
		if path == dead {
			<-mounted
		}
		return watch.Read(path)
	})
	l.run(dead, alive)
	l.want("one")
	write(t, alive, "two")
	l.want("two")
	l.want("error: its file system does not answer")
	close(mounted)
	l.want("back")
	l.quiet()
}

// TestAgain: what was told is told once more when somebody asks.
func TestAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "openrc")
	write(t, path, "one")
	l := start(t, time.Hour, path)
	l.want("one")
	l.watcher.Again()
	l.want("one")
	l.quiet()
}

// TestTogether: files that are read together are told together, whichever has
// changed; the second may be missing for good, and not for a moment.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clouds, secure := filepath.Join(dir, "clouds.yaml"), filepath.Join(dir, "secure.yaml")
	write(t, clouds, "c1")
	l := newLooker(t, time.Hour)
	l.run()
	l.watcher.Set([][]string{{clouds, secure}})
	l.want("c1 with error: open " + secure + ": no such file or directory")
	write(t, secure, "s1")
	l.want("c1 with s1")
	write(t, clouds, "c2")
	l.want("c2 with s1")
	must(t, os.Remove(secure))
	time.Sleep(500 * time.Millisecond)
	write(t, secure, "s2")
	l.want("c2 with s2")
	l.watcher.Set(nil)
	write(t, secure, "s3")
	l.quiet()
}

// TestEmptyBeside: a file is told soon though the one that is read with it is
// empty, or has no end to its last line, and is left so.
func TestEmptyBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	credentials, config := filepath.Join(dir, "credentials"), filepath.Join(dir, "config")
	write(t, credentials, "c0")
	must(t, os.WriteFile(config, nil, 0o600))
	l := newLooker(t, time.Hour)
	var looks atomic.Int64
	l.watcher.ReadBy(func(path string) ([]byte, error) {
		if path == credentials {
			looks.Add(1)
		}
		return watch.Read(path)
	})
	l.run()
	l.watcher.Set([][]string{{credentials, config}})
	l.want("c0 with ")
	soon := func(data, want string) {
		t.Helper()
		before := looks.Load()
		write(t, credentials, data)
		l.want(want)
		if n := looks.Load() - before; n > 5 { // a file that may be half written is looked at all the time
			t.Errorf("%s was told after %d looks", data, n)
		}
	}
	soon("c1", "c1 with ")
	must(t, os.WriteFile(config, []byte("no end"), 0o600))
	l.want("c1 with no end")
	soon("c2", "c2 with no end")
	before := looks.Load()
	must(t, os.Truncate(config, 0)) // somebody writes it anew
	for looks.Load() == before {    // and it is seen without what he writes
		time.Sleep(time.Millisecond)
	}
	must(t, os.WriteFile(config, []byte("whole\n"), 0o600))
	l.want("c2 with whole")
}

// TestHalfWritten: an empty or missing file is told only once it stays so, and
// what the reader could not make use of is told again when he asks.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "openrc")
	write(t, path, "one")
	l := start(t, time.Hour, path)
	l.want("one")
	begun := time.Now()
	must(t, os.Truncate(path, 0))
	l.want("")
	if time.Since(begun) < 2*time.Second {
		t.Error("an empty file was told at once")
	}
	must(t, os.Remove(path))
	if r := (<-l.told).Files[0]; !errors.Is(r.Err, fs.ErrNotExist) {
		t.Errorf("told %q, %v", r.Data, r.Err)
	}
	must(t, os.WriteFile(path, []byte("one\nha"), 0o600)) // and, after a pause, the rest
	time.Sleep(time.Second)
	write(t, path, "one\nhalf")
	l.want("one\nhalf")
	begun = time.Now()
	must(t, os.WriteFile(path, []byte("no end"), 0o600))
	l.want("no end")
	if time.Since(begun) < 2*time.Second {
		t.Error("a text without an end was told at once")
	}
	l.mu.Lock()
	l.again = 50 * time.Millisecond
	l.mu.Unlock()
	write(t, path, "half")
	l.want("half")
	l.want("half")
	l.mu.Lock()
	l.again = 0
	l.mu.Unlock()
}

// TestGuard: what others may have written, or what is no file, is not read, and
// never waited for.
func TestGuard(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, syscall.Mkfifo(in("fifo"), 0o600))
	write(t, in("loose"), "x")
	must(t, os.Chmod(in("loose"), 0o606))
	write(t, in("group's"), "x")
	must(t, os.Chmod(in("group's"), 0o660))
	write(t, in("huge"), "x")
	must(t, os.Truncate(in("huge"), 1<<30))
	write(t, in("good"), "x")
	must(t, os.Symlink("/dev/zero", in("device")))
	must(t, os.Symlink(in("good"), in("link")))
	for name, want := range map[string]string{
		"fifo": "it is no regular file", "device": "it is no regular file", ".": "it is no regular file",
		"loose": "others may write it", "group's": "others may write it", "huge": "it is larger than 1 MiB", "good": "", "link": "",
	} {
		_, err := watch.Read(in(name))
		is := watch.ErrUnfit
		if want == "others may write it" {
			is = watch.ErrUnsafe
		}
		if want == "" && err != nil || want != "" && (!errors.Is(err, is) || err.Error() != "not read: "+want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if os.Getuid() == 0 { // only root can make a file another's
		write(t, in("foreign"), "x")
		must(t, os.Chown(in("foreign"), 12345, 12345))
		if _, err := watch.Read(in("foreign")); !errors.Is(err, watch.ErrUnfit) {
			t.Errorf("another user's file: %v", err)
		}
	}
}
