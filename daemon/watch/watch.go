// Package watch tells which of a set of files has settled with new contents. It
// knows nothing of what is in them.
//
//	events of the folders ─┐
//	a rescan now and then ─┴▶ due (debounced) ─▶ Read (guarded) ─▶ changed? ─▶ settled(Reading)
//
// An event is no more than a hint to look. Editors save in many ways (in place,
// by a rename, by way of a backup), volumes swap a link above the file, folders
// go and come back, the kernel's queue overflows, and network file systems send
// no events at all. So what is watched are folders, any event in one makes its
// files due, and every file is looked at again at each rescan; whether there is
// anything new is decided by the contents alone. Each contents is told once.
//
// A file is read under guard (read.go), since whoever may write a watched file
// has a say in what ccad looks at.
package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How long a file has to be quiet before it is read, and how long it may be
// kept from being read by one event after another.
const (
	quiet   = 150 * time.Millisecond
	longest = time.Second
)

// emptyFor is how long an empty file is taken for one that is being written.
const emptyFor = 2 * time.Second

// A Reading is what a file was found to hold, or why it could not be read: Err
// is fs.ErrNotExist, ErrUnsafe or the system's.
type Reading struct {
	Path  string
	Data  []byte
	Err   error
	Since time.Time // when this was found first
}

// A Watcher looks after a set of files. Set may be called at any time, Run once.
type Watcher struct {
	rescan  time.Duration
	settled func(Reading) time.Duration

	mu    sync.Mutex
	paths []string
	wake  chan struct{}

	notify  *fsnotify.Watcher // nil: the kernel gives none, and the rescan has to do
	folders map[string]bool   // watched
	files   map[string]*file
}

// file is what is known of one path. Only Run's goroutine has it.
type file struct {
	due    time.Time // zero: not due
	latest time.Time // by when it is read, whatever comes
	digest [sha256.Size]byte
	told   bool
	since  time.Time // when the digest was seen first
	again  time.Time // when the same contents are to be told once more

	folders []string // whose events may be about it
}

// New makes a Watcher that looks at every file at least each rescan. settled is
// called from Run, one call at a time; what it returns, if it is not 0, is after
// how long it wants to be told the same contents again.
func New(rescan time.Duration, settled func(Reading) time.Duration) *Watcher {
	return &Watcher{rescan: rescan, settled: settled, wake: make(chan struct{}, 1), folders: map[string]bool{}, files: map[string]*file{}}
}

// Set says which files are looked after from now on. A new one is told as it is.
func (w *Watcher) Set(paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths = slices.Clone(paths)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends. Its error says why there are no events (the
// system's limits); it watches all the same, by the rescan alone.
func (w *Watcher) Run(ctx context.Context, trouble func(error)) {
	var events chan fsnotify.Event
	var failures chan error
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		trouble(fmt.Errorf("watch files: %w", err))
	} else {
		w.notify, events, failures = notify, notify.Events, notify.Errors
		defer notify.Close()
	}
	timer := time.NewTimer(0)
	next := time.Now().Add(w.rescan)
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			w.adopt()
		case e := <-events:
			w.hint(filepath.Dir(e.Name), e.Name)
		case err := <-failures:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				trouble(fmt.Errorf("watch files: %w", err))
			}
			next = time.Now() // what was lost nobody knows
		case <-timer.C:
		}
		if now := time.Now(); !next.After(now) {
			w.all()
			next = now.Add(w.rescan)
		}
		w.look(ctx)
		timer.Reset(max(time.Until(w.first(next)), 0))
	}
}

// adopt takes over the set of paths. What was known of the others is forgotten.
func (w *Watcher) adopt() {
	w.mu.Lock()
	paths := w.paths
	w.mu.Unlock()
	known := w.files
	w.files = map[string]*file{}
	for _, path := range paths {
		f, ok := known[path]
		if !ok {
			f = &file{due: time.Now()}
		}
		w.files[path] = f
	}
	w.follow()
}

// follow watches the folders that the files are in, and no others: of each file
// its own, that of what it links to, and, where one is missing, the nearest
// above it that is there.
func (w *Watcher) follow() {
	if w.notify == nil {
		return
	}
	wanted := map[string]bool{}
	for path, f := range w.files {
		f.folders = foldersOf(path)
		for _, folder := range f.folders {
			wanted[folder] = true
		}
	}
	for folder := range w.folders {
		if !wanted[folder] {
			_ = w.notify.Remove(folder)
			delete(w.folders, folder)
		}
	}
	for folder := range wanted {
		// Adding one again is harmless, and the way to a folder that was
		// removed and made anew: its former watch is dead.
		if err := w.notify.Add(folder); err == nil {
			w.folders[folder] = true
		} else {
			delete(w.folders, folder)
		}
	}
}

func foldersOf(path string) []string {
	folders := []string{existing(filepath.Dir(path))}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		folders = append(folders, filepath.Dir(target))
	}
	return folders
}

// existing returns the nearest folder that is there.
func existing(folder string) string {
	for {
		if _, err := filepath.EvalSymlinks(folder); err == nil || folder == filepath.Dir(folder) {
			return folder
		}
		folder = filepath.Dir(folder)
	}
}

// hint makes the files due that an event may be about: those that are in the
// folder, and those that it may have brought back or taken away.
func (w *Watcher) hint(folder, name string) {
	now := time.Now()
	for path, f := range w.files {
		inside := slices.Contains(f.folders, folder)
		above := len(path) > len(name) && path[:len(name)] == name && path[len(name)] == filepath.Separator
		if !inside && !above {
			continue
		}
		if f.due.IsZero() {
			f.latest = now.Add(longest)
		}
		f.due = now.Add(quiet)
		if f.due.After(f.latest) && !f.latest.IsZero() {
			f.due = f.latest
		}
	}
}

// all makes every file due.
func (w *Watcher) all() {
	for _, f := range w.files {
		if f.due.IsZero() {
			f.due = time.Now()
		}
	}
}

// first returns when something is due next.
func (w *Watcher) first(next time.Time) time.Time {
	for _, f := range w.files {
		for _, at := range []time.Time{f.due, f.again} {
			if !at.IsZero() && at.Before(next) {
				next = at
			}
		}
	}
	return next
}

// look reads what is due and tells what is new.
func (w *Watcher) look(ctx context.Context) {
	looked := false
	for _, path := range slices.Sorted(maps.Keys(w.files)) {
		f, now := w.files[path], time.Now()
		again := !f.again.IsZero() && !f.again.After(now)
		if ctx.Err() != nil || !again && (f.due.IsZero() || f.due.After(now)) {
			continue
		}
		looked = true
		f.due, f.latest = time.Time{}, time.Time{}
		w.tell(path, f, again)
	}
	if looked {
		w.follow() // a link may point elsewhere now, a folder be back
	}
}

// tell reads one file and hands it on if it holds something new.
func (w *Watcher) tell(path string, f *file, again bool) {
	data, err := Read(path)
	digest := sha256.Sum256(data)
	if err != nil {
		digest = sha256.Sum256([]byte("unread: " + kind(err)))
	}
	now := time.Now()
	if digest != f.digest || f.since.IsZero() {
		f.digest, f.since, f.told = digest, now, false
	}
	empty := err == nil && len(data) == 0 || errors.Is(err, fs.ErrNotExist)
	if empty && !f.told && now.Sub(f.since) < emptyFor { // perhaps it is just being written
		f.due = now.Add(quiet)
		return
	}
	if f.told && !again {
		return
	}
	f.told, f.again = true, time.Time{}
	if wait := w.settled(Reading{Path: path, Data: data, Err: err, Since: f.since}); wait > 0 {
		f.again = time.Now().Add(wait)
	}
}

// kind tells failures apart that are not the same news.
func kind(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.Is(err, ErrUnsafe):
		return err.Error()
	}
	return "unreadable"
}
