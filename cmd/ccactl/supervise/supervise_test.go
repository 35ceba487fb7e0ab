package supervise

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// world is a command under test. Its clock stands still unless told, and what
// is waited for comes when the test wants it.
type world struct {
	*testing.T
	c       *Command
	changes chan struct{}
	file    string // the command's own account, by "say WORD"
	ended   chan syscall.WaitStatus

	refused  atomic.Bool // there is no environment for the next start
	unwanted atomic.Bool // and so Run fails

	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
	timers map[time.Duration]chan time.Time // those that do not fire at once
	said   []string
}

// begin runs a shell script. hold are the waits that fire when the test says so,
// as the ones before and after a SIGKILL always do.
func begin(t *testing.T, script string, signal syscall.Signal, hold ...time.Duration) *world {
	t.Helper()
	w := &world{
		T: t, changes: make(chan struct{}), file: filepath.Join(t.TempDir(), "said"),
		ended: make(chan syscall.WaitStatus, 1), timers: map[time.Duration]chan time.Time{}, now: time.Unix(1e9, 0),
	}
	for _, d := range append(hold, grace, dying) {
		w.timers[d] = make(chan time.Time)
	}
	starts := 0
	env := func() ([]string, error) {
		if w.refused.Load() {
			return nil, errors.New("refused")
		}
		starts++
		return append(os.Environ(), "FILE="+w.file, "START="+string(rune('0'+starts))), nil
	}
	first, _ := env()
	w.c = &Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", `say() { echo "$*" >>"$FILE"; }; ` + script}, Env: first, Renew: env,
		Changes: w.changes, Signal: signal, Say: w.say, After: w.after,
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	}
	go func() {
		status, err := w.c.Run()
		if (err != nil) != w.unwanted.Load() {
			t.Error(err)
		}
		w.ended <- status
	}()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		w.end()
		data, _ := os.ReadFile(w.file)
		t.Logf("the command said %q", data)
	})
	return w
}

func (w *world) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, line)
}

func (w *world) after(d time.Duration) <-chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waited = append(w.waited, d)
	if c, held := w.timers[d]; held {
		return c
	}
	if d == glance {
		return time.After(time.Millisecond)
	}
	c := make(chan time.Time)
	close(c)
	return c
}

// reads waits until the command's account is this one.
func (w *world) reads(want ...string) {
	w.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		data, _ := os.ReadFile(w.file)
		if got = strings.Fields(string(data)); slices.Equal(got, want) {
			return
		}
	}
	w.Fatalf("it said %q, not %q", got, want)
}

func (w *world) end() syscall.WaitStatus {
	w.Helper()
	select {
	case status := <-w.ended:
		return status
	case <-time.After(time.Minute):
		w.Fatal("it does not end")
		return 0
	}
}

func (w *world) change() {
	w.Helper()
	select {
	case w.changes <- struct{}{}:
	case <-time.After(time.Minute):
		w.Fatal("a change is not taken")
	}
}

// waits returns once such a wait has begun.
func (w *world) waits(d time.Duration) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		begun := slices.Contains(w.waited, d)
		w.mu.Unlock()
		if begun {
			return
		}
	}
	w.Fatalf("it does not wait for %v", d)
}

func (w *world) passes(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// idle is a script that waits until it is told to end.
const idle = `trap 'say term$START; exit 0' TERM; say start$START; while :; do sleep 0.01; done`

func TestItsEndIsOurs(t *testing.T) {
	if s := begin(t, "exit 7", 0).end(); s.ExitStatus() != 7 {
		t.Errorf("ended by %v", s)
	}
	if s := begin(t, "kill -KILL $$", 0).end(); !s.Signaled() || s.Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v", s)
	}
	_, err := (&Command{Path: "/nonexistent", Args: []string{"nothing"}}).Run()
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("started nothing: %v", err)
	}
}

// Each change starts it anew, with what is right then, and a signal to us ends
// both.
func TestRestart(t *testing.T) {
	w := begin(t, idle, 0)
	w.reads("start1")
	w.change()
	w.reads("start1", "term1", "start2")
	w.change()
	w.reads("start1", "term1", "start2", "term2", "start3")
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if s := w.end(); !s.Exited() || s.ExitStatus() != 0 {
		t.Errorf("ended by %v", s)
	}
	w.reads("start1", "term1", "start2", "term2", "start3", "term3")
}

// Changes that come at once make one restart, after the rest.
func TestChangesAreGathered(t *testing.T) {
	w := begin(t, idle, 0, rest)
	w.reads("start1")
	w.change()
	w.reads("start1", "term1", "start2")
	select {
	case w.changes <- struct{}{}:
		t.Error("a change is taken before its time")
	case <-time.After(20 * time.Millisecond):
	}
	w.timers[rest] <- time.Time{}
	w.change()
	w.reads("start1", "term1", "start2", "term2", "start3")
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	w.end()
}

func TestWhoDoesNotListenIsKilled(t *testing.T) {
	w := begin(t, `trap '' TERM; say start$START; while test $START = 1; do sleep 0.01; done; exit 5`, 0)
	w.reads("start1")
	w.change()
	w.timers[grace] <- time.Time{}
	w.reads("start1", "start2", "start3", "start4", "start5", "start6", "start7") // and its successors fail
	if s := w.end(); s.ExitStatus() != 5 {
		t.Errorf("ended by %v", s)
	}
	if len(w.said) == 0 || !strings.Contains(w.said[0], "killed") {
		t.Errorf("said %q", w.said)
	}
}

// One that fails right after a restart is tried again, later each time, and its
// last code is ours. One that ran for a while first is not.
func TestCrashLoop(t *testing.T) {
	w := begin(t, `test $START = 1 || { say start$START; exit 3; }; `+idle, 0)
	w.reads("start1")
	w.change()
	if s := w.end(); s.ExitStatus() != 3 {
		t.Errorf("ended by %v", s)
	}
	w.reads("start1", "term1", "start2", "start3", "start4", "start5", "start6", "start7")
	var pauses []time.Duration
	for _, d := range w.waited {
		if d != grace && d != rest && d != glance {
			pauses = append(pauses, d)
		}
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}
	if !slices.Equal(pauses, want) {
		t.Errorf("paused %v", pauses)
	}

	w = begin(t, `say start$START; test $START = 1 || { while ! test -e "$FILE.go"; do sleep 0.01; done; exit 4; }; sleep 100`, 0)
	w.reads("start1")
	w.change()
	w.reads("start1", "start2")
	w.mu.Lock()
	w.now = w.now.Add(soon + time.Second)
	w.mu.Unlock()
	if err := os.WriteFile(w.file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := w.end(); s.ExitStatus() != 4 {
		t.Errorf("ended by %v", s)
	}
	w.reads("start1", "start2")
}

// What is refused is not started again with it: a crash loop ends, with its own
// code; after a change it is our failure.
func TestRefusedIsNotStarted(t *testing.T) {
	w := begin(t, `test $START = 1 || { say start$START; exit 3; }; `+idle, 0, firstPause)
	w.reads("start1")
	w.change()
	w.reads("start1", "term1", "start2")
	w.refused.Store(true)
	w.timers[firstPause] <- time.Time{}
	if s := w.end(); s.ExitStatus() != 3 || w.said[len(w.said)-1] != "refused" {
		t.Errorf("ended by %v, said %q", s, w.said)
	}
	w.reads("start1", "term1", "start2")

	w = begin(t, idle, 0)
	w.reads("start1")
	w.refused.Store(true)
	w.unwanted.Store(true)
	w.change()
	w.end()
	w.reads("start1", "term1")
}

// What we inherited the command inherits, at its number.
func TestDescriptorsAreInherited(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const number = 63 // of a shell's <(…)
	if err := unix.Dup2(int(out.Fd()), number); err != nil {
		t.Fatal(err)
	}
	w := begin(t, "echo handed down >/dev/fd/63", 0)
	if s := w.end(); s.ExitStatus() != 0 {
		t.Errorf("ended by %v", s)
	}
	_ = unix.Close(number)
	_ = out.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != "handed down\n" {
		t.Errorf("%q, %v", data, err)
	}
}

// Told to end while a failed command rests, nothing is started again.
func TestToldToEndWhileItRests(t *testing.T) {
	w := begin(t, `test $START = 1 || { say start$START; exit 3; }; `+idle, 0, firstPause)
	w.reads("start1")
	w.change()
	w.reads("start1", "term1", "start2")
	for said := 0; said == 0; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		said = len(w.said)
		w.mu.Unlock()
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if s := w.end(); s.ExitStatus() != 3 {
		t.Errorf("ended by %v", s)
	}
}

// A reload by HUP, or a Ctrl-C at a prompt, is outlived: changes are followed as
// before, once it is clear that it is.
func TestSignalThatIsOutlived(t *testing.T) {
	for name, of := range map[string]struct {
		signal syscall.Signal
		heed   time.Duration
	}{"HUP": {syscall.SIGHUP, heed}, "INT": {syscall.SIGINT, heedINT}} {
		s, heed := of.signal, of.heed
		// a shell whose command in the foreground dies by INT may die, too: it has none
		w := begin(t, `trap 'say `+name+`' `+name+`; trap 'say term$START; exit 0' TERM; say start$START; while :; do sleep 1 & wait $!; done`, 0, heed)
		w.reads("start1")
		_ = syscall.Kill(os.Getpid(), s)
		w.reads("start1", name)
		w.change() // too soon to tell
		w.waits(heed)
		w.passes(heed)
		w.timers[heed] <- time.Time{}
		w.reads("start1", name, "term1", "start2")
		_ = syscall.Kill(os.Getpid(), s)
		w.reads("start1", name, "term1", "start2", name)
		w.passes(heed)
		w.change()
		w.reads("start1", name, "term1", "start2", name, "term2", "start3")
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		w.end()
	}
}

// Who takes his time to end as he was told is neither hurried by a change nor
// started again.
func TestChangeWhileItEnds(t *testing.T) {
	for name, s := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT} {
		w := begin(t, `trap 'say told; while ! test -e "$FILE.end"; do sleep 0.01; done; kill $! 2>/dev/null; exit 4' `+name+`; say start; while :; do sleep 1 & wait $!; done`, 0, heed, heedINT)
		w.reads("start")
		_ = syscall.Kill(os.Getpid(), s)
		w.reads("start", "told")
		w.change()
		if err := os.WriteFile(w.file+".end", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if s := w.end(); s.ExitStatus() != 4 {
			t.Errorf("%s: ended by %v", name, s)
		}
		w.reads("start", "told")
	}
}

func TestSignal(t *testing.T) {
	w := begin(t, `trap 'say hup' HUP; trap 'say usr1' USR1; trap 'exit 9' TERM; say start$START; while :; do sleep 0.01; done`, syscall.SIGHUP)
	w.reads("start1")
	w.change()
	w.reads("start1", "hup")
	_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) // what is sent to us goes on
	w.reads("start1", "hup", "usr1")
	w.change()
	w.reads("start1", "hup", "usr1", "hup")
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if s := w.end(); s.ExitStatus() != 9 {
		t.Errorf("ended by %v", s)
	}
}
