package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key = []byte("0123456789abcdef0123456789abcdef")
	at  = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
)

func open(t testing.TB, path string, head Head) *Trail {
	t.Helper()
	trail, err := Open(path, key, head)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trail.Close() })
	return trail
}

// verifyFile proves the trail at path, where no Trail writes.
func verifyFile(path string, key []byte, head Head) (lines uint64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && head.Line == 0 {
		return 0, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("audit trail %s: lines 1 to %d: %w", path, head.Line, ErrTruncated)
	}
	if err != nil {
		return 0, fmt.Errorf("verify audit trail: %w", err)
	}
	defer f.Close()
	n, err := verify(f, key, head)
	if err != nil {
		return n, fmt.Errorf("audit trail %s: %w", path, err)
	}
	return n, nil
}

func entry(n int) Entry {
	return Entry{
		Time: at.Add(time.Duration(n) * time.Second), Event: "served", Environment: "dev", User: "system-ccontini-2925",
		View: "env", Version: 2, PID: 4711, Program: "/usr/bin/aws", Parent: `/bin/b"a\s,h","mac":"`, Store: uint64(n), Note: "é\n\xff<>",
	}
}

// written makes a trail of n lines and returns its folder, path, lines and
// where it stood after each.
func written(t testing.TB, n int) (path string, lines []string, heads []Head) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state", "audit.jsonl")
	trail := open(t, path, Head{})
	heads = append(heads, Head{})
	for i := range n {
		if _, err := trail.Append(entry(i + 1)); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, trail.Head())
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.SplitAfter(string(data), "\n")
	return path, lines[:len(lines)-1], heads
}

func TestAppendAndVerify(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path, lines, heads := written(t, 5)
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
	for i, line := range lines {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Line != uint64(i+1) || e.MAC != fmt.Sprintf("%x", heads[i+1].MAC) {
			t.Errorf("line %d: %s, %v", i+1, line, err)
		}
	}
	want := `{"line":1,"time":"2026-11-22T00:00:01Z","event":"served","environment":"dev","user":"system-ccontini-2925","view":"env","version":2,"pid":4711,"program":"/usr/bin/aws","parent":`
	if !strings.HasPrefix(lines[0], want) {
		t.Errorf("line 1: %s", lines[0])
	}
	for _, head := range heads {
		if n, err := verifyFile(path, key, head); n != 5 || err != nil {
			t.Errorf("checkpoint %d: %d lines, %v", head.Line, n, err)
		}
	}
	if n, err := verifyFile(path, []byte("another"), Head{}); n != 0 || !errors.Is(err, ErrAltered) {
		t.Errorf("another key: %d lines, %v", n, err)
	}

	// It goes on where it was.
	trail := open(t, path, heads[3])
	if trail.Torn() != 0 || trail.Head().Line != 5 {
		t.Errorf("reopened: %d torn, line %d", trail.Torn(), trail.Head().Line)
	}
	e, err := trail.Append(entry(6))
	if err != nil || e.Line != 6 || len(e.MAC) != 64 {
		t.Errorf("%+v, %v", e, err)
	}
	head, err := trail.Checkpoint()
	if n, bad := verifyFile(path, key, head); err != nil || bad != nil || n != 6 || head.Line != 6 {
		t.Errorf("checkpoint %d: %v; %d lines, %v", head.Line, err, n, bad)
	}
	if n, err := trail.Verify(); n != 6 || err != nil {
		t.Errorf("while it is open: %d lines, %v", n, err)
	}
	if last, err := Last(path); last.Store != 6 || err != nil {
		t.Errorf("last store %d, %v", last.Store, err)
	}
}

// Every kind of tampering, each named by line and kind.
func TestTampering(t *testing.T) {
	path, lines, heads := written(t, 6)
	join := func(parts ...[]string) string {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return strings.Join(all, "")
	}
	alter := func(n int, old, new string) string {
		changed := append([]string{}, lines...)
		changed[n-1] = strings.Replace(changed[n-1], old, new, 1)
		if changed[n-1] == lines[n-1] {
			t.Fatalf("line %d has no %s", n, old)
		}
		return join(changed)
	}
	foreign := func(n uint64) string { // a line that somebody without the key makes up
		e := entry(int(n))
		e.Line = n
		body, _ := json.Marshal(e)
		return string(withMAC(body, fmt.Sprintf("%x", chain([]byte("guess"), heads[n-1].MAC, body))))
	}
	for what, c := range map[string]struct {
		data string
		head Head
		want error
		says string
		good uint64
	}{
		"nothing":                         {join(lines), heads[6], nil, "", 6},
		"a field":                         {alter(3, `"dev"`, `"prod"`), heads[0], ErrAltered, "line 3:", 2},
		"a space":                         {alter(3, `"dev",`, `"dev", `), heads[0], ErrAltered, "line 3:", 2},
		"the first line":                  {alter(1, `4711`, `4712`), heads[0], ErrAltered, "line 1:", 0},
		"the last line":                   {alter(6, `4711`, `4712`), heads[0], ErrAltered, "line 6:", 5},
		"a MAC":                           {alter(4, `"mac":"`, `"mac":"00`), heads[0], ErrAltered, "line 4:", 3},
		"a number":                        {alter(4, `"line":4`, `"line":7`), heads[0], ErrMissing, "lines 4 to 6:", 3},
		"a line by noise":                 {join(lines[:2], []string{"\x00\x01\n"}, lines[3:]), heads[0], ErrAltered, "line 3:", 2},
		"an empty line":                   {join(lines[:2], []string{"\n"}, lines[2:]), heads[0], ErrAltered, "line 3:", 2},
		"a line by a huge one":            {join(lines[:2], []string{strings.Repeat("x", 2*lineMax) + "\n"}, lines[3:]), heads[0], ErrAltered, "line 3:", 2},
		"a line taken out":                {join(lines[:2], lines[3:]), heads[0], ErrMissing, "line 3:", 2},
		"two lines taken out":             {join(lines[:2], lines[4:]), heads[0], ErrMissing, "lines 3 to 4:", 2},
		"the beginning taken out":         {join(lines[2:]), heads[0], ErrMissing, "lines 1 to 2:", 0},
		"lines exchanged":                 {join(lines[:2], lines[3:4], lines[2:3], lines[4:]), heads[0], ErrMissing, "line 3:", 2},
		"a line twice":                    {join(lines[:3], lines[2:]), heads[0], ErrRepeated, "line 3,", 3},
		"an old line at the end":          {join(lines, lines[1:2]), heads[0], ErrRepeated, "line 2,", 6},
		"a line made up":                  {join(lines, []string{foreign(7)}), heads[6], ErrAltered, "line 7:", 6},
		"a line replaced":                 {join(lines[:5], []string{foreign(6)}), heads[6], ErrAltered, "line 6:", 5},
		"the end, after the checkpoint":   {join(lines[:4]), heads[4], nil, "", 4},
		"the end, behind the checkpoint":  {join(lines[:4]), heads[6], ErrTruncated, "lines 5 to 6:", 4},
		"one line, behind the checkpoint": {join(lines[:5]), heads[6], ErrTruncated, "lines 6 to 6:", 5},
		"all of it":                       {"", heads[6], ErrTruncated, "lines 1 to 6:", 0},
		"half a line":                     {join(lines)[:len(join(lines))-9], heads[4], ErrTorn, "line 6:", 5},
		"the newline":                     {strings.TrimSuffix(join(lines), "\n"), heads[6], ErrTorn, "line 6:", 5},
		"the checkpoint":                  {join(lines), Head{Line: 4, MAC: heads[5].MAC}, ErrAltered, "line 4:", 3},
	} {
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := verifyFile(path, key, c.head)
		if !errors.Is(err, c.want) || n != c.good || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s altered: %d lines good, %v", what, n, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyFile(path, key, heads[2]); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "lines 1 to 2") {
		t.Errorf("the file removed: %v", err)
	}
	if n, err := verifyFile(path, key, Head{}); n != 0 || err != nil {
		t.Errorf("no trail yet: %d, %v", n, err)
	}
	if _, err := verifyFile(t.TempDir(), key, Head{}); err == nil {
		t.Error("a folder was verified")
	}
}

// Any byte of any line.
func TestEveryByteCounts(t *testing.T) {
	path, lines, heads := written(t, 3)
	data := strings.Join(lines, "")
	for i := range data {
		bent := []byte(data)
		bent[i] ^= 1
		if _, err := verify(bytes.NewReader(bent), key, heads[3]); err == nil {
			t.Errorf("byte %d (%q) of %s bent, and nobody saw it", i, data[i], path)
		}
	}
	for n := range data {
		if _, err := verify(strings.NewReader(data[:n]), key, heads[3]); err == nil {
			t.Errorf("cut to %d bytes, and nobody saw it", n)
		}
	}
}

// What is lost behind the checkpoint stays visible after any number of new
// lines and checkpoints.
func TestGapStaysVisible(t *testing.T) {
	path, lines, heads := written(t, 6)
	for what, left := range map[string]string{"cut": strings.Join(lines[:3], ""), "emptied": "", "noise": "x\n"} {
		if err := os.WriteFile(path, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		trail, err := Open(path, key, heads[6])
		if err != nil {
			t.Fatal(err)
		}
		e, err := trail.Append(entry(7))
		if err != nil || e.Line != 7 {
			t.Errorf("%s: went on with line %d, %v", what, e.Line, err)
		}
		if _, err := trail.Verify(); err == nil {
			t.Errorf("%s: verified while open", what)
		}
		head := trail.Head()
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := verifyFile(path, key, head); err == nil || what != "noise" && !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Torn anywhere in its last line, by a crash, the trail goes on without it.
func TestTornLastLine(t *testing.T) {
	path, lines, heads := written(t, 3)
	whole, last := strings.Join(lines[:2], ""), lines[2]
	torn := []string{last[:len(last)-1], "\x00\x00\x00", strings.Repeat("\x00", 3*lineMax)}
	for n := 1; n < len(last); n += 7 {
		torn = append(torn, last[:n])
	}
	for _, half := range torn {
		if err := os.WriteFile(path, []byte(whole+half), 0o644); err != nil {
			t.Fatal(err)
		}
		if last, err := Last(path); last.Store != 2 || err != nil {
			t.Errorf("last store %d, %v", last.Store, err)
		}
		trail, err := Open(path, key, heads[2])
		if err != nil {
			t.Fatal(err)
		}
		if trail.Torn() != int64(len(half)) {
			t.Errorf("%d bytes torn, said %d", len(half), trail.Torn())
		}
		if e, err := trail.Append(entry(9)); err != nil || e.Line != 3 {
			t.Errorf("went on with line %d, %v", e.Line, err)
		}
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := verifyFile(path, key, heads[2]); n != 3 || err != nil {
			t.Errorf("%d bytes torn: %d lines, %v", len(half), n, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a loose trail stayed: %v, %v", info.Mode(), err)
	}
}

func TestLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for data, want := range map[string]bool{"": true, "half": true, "noise\n": false, "{}\n": false} {
		if data != "" {
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if last, err := Last(path); last.Store != 0 || (err == nil) != want {
			t.Errorf("%q: %d, %v", data, last.Store, err)
		}
		_ = os.Remove(path)
	}
	long := strings.Repeat("x", 2*lineMax) + "\n"
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Last(path); err == nil {
		t.Error("a line that is none")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, key, Head{}); err == nil {
		t.Error("a folder is a trail")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pipe, key, Head{}); err == nil || !strings.Contains(err.Error(), pipe) {
		t.Errorf("a pipe is a trail: %v", err)
	}
	if _, err := Open(filepath.Join(pipe, "x"), key, Head{}); err == nil {
		t.Error("a pipe is a folder")
	}
}

// A disk that is full half way through each write: nothing is denied, nothing
// kept twice, and what had to be dropped is counted in the trail.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	trail := open(t, path, Head{})
	if _, err := trail.Append(entry(1)); err != nil {
		t.Fatal(err)
	}
	if err := trail.Flush(); err != nil {
		t.Fatal(err)
	}
	good := trail.write
	full := func(data []byte, at int64) (int, error) {
		n, err := good(data[:len(data)/2], at)
		return n, errors.Join(err, syscall.ENOSPC)
	}
	trail.setWrite(full)
	if e, err := trail.Append(entry(2)); err != nil || e.Line != 2 {
		t.Errorf("before the disk is known to be full: %+v, %v", e, err)
	}
	if err := trail.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flush: %v", err)
	}
	if e, err := trail.Append(entry(3)); !errors.Is(err, syscall.ENOSPC) || e.Line != 3 {
		t.Errorf("after it: %+v, %v", e, err)
	}
	if _, err := trail.Verify(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("verify: %v", err)
	}
	if _, err := trail.Checkpoint(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("checkpoint: %v", err)
	}
	trail.setWrite(good)
	if err := trail.Flush(); err != nil {
		t.Fatal(err)
	}
	if e, err := trail.Append(entry(4)); err != nil || e.Line != 4 {
		t.Errorf("with room again: %+v, %v", e, err)
	}
	if n, err := trail.Verify(); n != 4 || err != nil {
		t.Errorf("with room again: %d lines, %v", n, err)
	}

	trail.setWrite(func([]byte, int64) (int, error) { return 0, syscall.ENOSPC }) // not even half a line
	big := entry(5)
	big.Note = strings.Repeat("x", pendingMax/4)
	dropped, kept := 0, 0
	for range 10 {
		e, err := trail.Append(big)
		if e.Line == 0 {
			dropped++
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("dropped: %v", err)
			}
		} else {
			kept++
		}
	}
	if dropped == 0 || kept == 0 {
		t.Fatalf("%d kept, %d dropped", kept, dropped)
	}
	trail.setWrite(good)
	if err := trail.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := trail.Append(entry(6)); err != nil {
		t.Fatal(err)
	}
	if n, err := trail.Verify(); err != nil || n != uint64(4+kept+2) {
		t.Errorf("%d lines, %v", n, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), fmt.Sprintf("%d entries were lost", dropped)) {
		t.Errorf("%d were dropped, and the trail doesn't say it: %v", dropped, err)
	}
}

func (t *Trail) setWrite(write func([]byte, int64) (int, error)) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.write = write
}

// A disk that is only slow makes Append wait rather than drop.
func TestSlowDisk(t *testing.T) {
	trail := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), Head{})
	good, release := trail.write, make(chan struct{})
	trail.setWrite(func(data []byte, at int64) (int, error) { <-release; return good(data, at) })
	big := entry(1)
	big.Note = strings.Repeat("x", pendingMax/2)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if e, err := trail.Append(big); err != nil || e.Line == 0 {
				t.Errorf("%d, %v", e.Line, err)
			}
		})
	}
	close(release)
	all.Wait()
	if n, err := trail.Verify(); n != 8 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

// Lines reach the file without anyone asking.
func TestLinesAreWrittenByThemselves(t *testing.T) {
	trail := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), Head{})
	good, wrote := trail.write, make(chan string, 1)
	trail.setWrite(func(data []byte, at int64) (int, error) { wrote <- string(data); return good(data, at) })
	if _, err := trail.Append(entry(1)); err != nil {
		t.Fatal(err)
	}
	if data := <-wrote; !strings.HasPrefix(data, `{"line":1,`) {
		t.Errorf("wrote %q", data)
	}
}

// TestReplacedFile: whoever moves the file away, removes it or puts another in its
// place (as sed -i does) is found out while the trail is open, and what comes goes
// where it belongs.
func TestReplacedFile(t *testing.T) {
	for what, c := range map[string]struct {
		replace func(path string) error
		lines   string // that are there in the end
		fault   error
	}{
		"moved":   {func(path string) error { return os.Rename(path, path+".1") }, "3", ErrMissing},
		"removed": {os.Remove, "3", ErrMissing},
		"edited": {func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".new", bytes.Replace(data, []byte(`"dev"`), []byte(`"DEV"`), 1), 0o600)
			}
			return errors.Join(err, os.Rename(path+".new", path))
		}, "1 2 3", ErrAltered},
		"copied": {func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.Remove(path), os.WriteFile(path, data, 0o600))
		}, "1 2 3", nil},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			trail := open(t, path, Head{})
			for n := range 2 {
				_, _ = trail.Append(entry(n + 1))
			}
			following, err := trail.Read(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				<-following
			}
			if trail.Moved() {
				t.Error("nobody has touched it")
			}
			if err := c.replace(path); err != nil {
				t.Fatal(err)
			}
			if _, err := trail.Verify(); what != "copied" && err == nil {
				t.Error("what is at its place now is as it was written")
			}
			if !trail.Moved() {
				t.Error("it is not noticed")
			}
			if _, err := trail.Append(entry(3)); err != nil {
				t.Error(err)
			}
			if e := <-following; e.Line != 3 {
				t.Errorf("followed line %d", e.Line)
			}
			if _, err := trail.Verify(); !errors.Is(err, c.fault) {
				t.Errorf("verify says %v", err)
			}
			entries, err := trail.Read(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for e := range entries {
				got = append(got, fmt.Sprint(e.Line))
			}
			if s := strings.Join(got, " "); s != c.lines {
				t.Errorf("there are the lines %s", s)
			}
		})
	}
}

// Who reads slowly gets all that was there when the file is moved away under him.
func TestSlowReaderOfAMovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	trail := open(t, path, Head{})
	for n := range 3000 {
		_, _ = trail.Append(entry(n + 1))
	}
	following, err := trail.Read(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	<-following
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	_, _ = trail.Append(entry(3001))
	if err := trail.Flush(); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n <= 3001; n++ {
		if e := <-following; e.Line != n {
			t.Fatalf("line %d follows %d", e.Line, n-1)
		}
	}
}

func TestReadAndFollow(t *testing.T) {
	path, lines, _ := written(t, 3)
	lines[1] = "noise\n"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	trail := open(t, path, Head{})
	entries, err := trail.Read(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range entries {
		got = append(got, fmt.Sprint(e.Event, e.Line))
	}
	if s := strings.Join(got, " "); s != "served1 unreadable0 served3" {
		t.Errorf("read %s", s)
	}

	ctx, cancel := context.WithCancel(t.Context())
	following, err := trail.Read(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-following
	}
	for i := range 50 { // each is there as soon as it is appended
		if _, err := trail.Append(entry(i + 4)); err != nil {
			t.Fatal(err)
		}
		if e := <-following; e.Line != uint64(i+4) || e.Store != e.Line {
			t.Errorf("followed line %d", e.Line)
		}
	}
	for i := range 50 { // and none is lost for one who is slow
		if _, err := trail.Append(entry(i + 54)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		if e := <-following; e.Line != uint64(i+54) {
			t.Errorf("followed line %d", e.Line)
		}
	}
	cancel()
	for e := range following {
		t.Errorf("after the end: %+v", e)
	}

	abandoned, stop := context.WithCancel(t.Context())
	if _, err := trail.Read(abandoned, true); err != nil { // nobody reads; goleak sees that it ends
		t.Fatal(err)
	}
	stop()
	last, err := trail.Read(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for range 103 {
		<-last
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	if e, ok := <-last; ok {
		t.Errorf("after closing: %+v", e)
	}
}

func TestClosed(t *testing.T) {
	trail := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), Head{})
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	_, appended := trail.Append(entry(1))
	_, read := trail.Read(t.Context(), true)
	_, verified := trail.Verify()
	_, checked := trail.Checkpoint()
	for what, err := range map[string]error{"append": appended, "read": read, "verify": verified, "checkpoint": checked, "flush": trail.Flush(), "close": trail.Close()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEverythingAtOnce(t *testing.T) {
	trail := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), Head{})
	ctx, cancel := context.WithCancel(t.Context())
	var all, follower sync.WaitGroup
	entries, err := trail.Read(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	follower.Go(func() {
		for want := uint64(1); want <= 400; want++ {
			if e := <-entries; e.Line != want {
				t.Errorf("followed line %d, want %d", e.Line, want)
				return
			}
		}
	})
	for w := range 4 {
		all.Go(func() {
			for i := range 100 {
				if _, err := trail.Append(entry(i)); err != nil {
					t.Error(err)
				}
				if i%20 == w {
					if _, err := trail.Verify(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	follower.Wait()
	cancel()
	if n, err := trail.Verify(); n != 400 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	trail := open(b, filepath.Join(b.TempDir(), "audit.jsonl"), Head{})
	for b.Loop() {
		if _, err := trail.Append(entry(1)); err != nil {
			b.Fatal(err)
		}
	}
}
