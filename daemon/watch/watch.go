// Package watch tells which of a set of files has settled with new contents. It
// knows nothing of what is in them.
//
//	events of the folders ─┐
//	a rescan now and then ─┼▶ due (debounced) ─▶ Read (guarded) ─▶ changed? ─▶ settled(Reading)
//	Again ─────────────────┘
//
// An event is no more than a hint to look. Editors save in many ways (in place,
// by a rename, by way of a backup), volumes swap a link above the file, folders
// go and come back, the kernel's queue overflows, and network file systems send
// no events at all. So what is watched are folders, any event in one makes its
// files due, and every file is looked at again at each rescan; whether there is
// anything new is decided by the contents alone. Each contents is told once, and
// once more where somebody asks, for what it means may have changed.
//
// Each file has a goroutine of its own (file.go): neither a file system that
// hangs nor whoever is told holds up another file.
//
// A file is read under guard (read.go), since whoever may write a watched file
// has a say in what ccad looks at.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A Reading is what a file was found to hold, with the files that are read
// together with it.
type Reading struct {
	Files []File // the first is the one that it is about
	Since time.Time
}

// A File is one file's contents, or why it could not be read: Err is
// fs.ErrNotExist, ErrUnsafe, ErrUnfit, ErrSlow or the system's.
type File struct {
	Path string
	Data []byte
	Err  error
}

// A Watcher looks after a set of files. Set and Again may be called at any time,
// Run once.
type Watcher struct {
	rescan  time.Duration
	settled func(Reading) time.Duration
	wake    chan struct{}
	refused chan error // cap 1: why a folder can't be watched

	read     func(path string) ([]byte, error)                   // Read; in tests a file system that hangs
	add      func(notify *fsnotify.Watcher, folder string) error // its Add; in tests one that fails
	patience time.Duration                                       // how long a file system may take to answer before that is told

	mu      sync.Mutex // guards what follows; held over no file system
	wanted  [][]string
	files   map[string]*file  // by the first of its paths
	notify  *fsnotify.Watcher // nil: the kernel gives none, and the rescan has to do
	folders map[string]bool   // watched
}

// New makes a Watcher that looks at every file at least each rescan. settled is
// called by several goroutines, for one file one call at a time; what it
// returns, if it is not 0, is after how long it wants to be told the same
// contents again.
func New(rescan time.Duration, settled func(Reading) time.Duration) *Watcher {
	return &Watcher{
		rescan: rescan, settled: settled, wake: make(chan struct{}, 1), refused: make(chan error, 1),
		read: Read, add: (*fsnotify.Watcher).Add, patience: 10 * time.Second,
		files: map[string]*file{}, folders: map[string]bool{},
	}
}

// Set says which files are looked after from now on: each with those that are
// read together with it, which may not exist. A new one is told as it is.
func (w *Watcher) Set(files [][]string) {
	w.mu.Lock()
	w.wanted = slices.Clone(files)
	w.mu.Unlock()
	wake(w.wake)
}

// Again has every file told once more, whether or not it has changed.
func (w *Watcher) Again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		wake(f.asked)
	}
}

// wake leaves word for somebody who may be busy.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends and everybody who is told has returned. trouble is
// told why there are no events (the system's limits); it watches all the same,
// by the rescan alone.
func (w *Watcher) Run(ctx context.Context, trouble func(error)) {
	var events chan fsnotify.Event
	var failures chan error
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		trouble(fmt.Errorf("watch files: %w", err))
	} else {
		w.mu.Lock()
		w.notify = notify
		w.mu.Unlock()
		events, failures = notify.Events, notify.Errors
		defer notify.Close()
	}
	refused := w.refused
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-refused:
			refused = nil // it is told once
			trouble(fmt.Errorf("watch files: the system gives no more watches, and the rescan has to do: %w", err))
		case <-w.wake:
			w.adopt(ctx, &running)
		case e := <-events:
			w.hint(e.Name)
		case err := <-failures:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				trouble(fmt.Errorf("watch files: %w", err))
			}
			w.hint("") // what was lost nobody knows
		}
	}
}

// adopt takes over the set of files. What was known of the others is forgotten.
func (w *Watcher) adopt(ctx context.Context, running *sync.WaitGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	former := w.files
	w.files = map[string]*file{}
	for _, paths := range w.wanted {
		f, known := former[paths[0]]
		if known && slices.Equal(f.paths, paths) {
			delete(former, paths[0])
		} else {
			mine, stop := context.WithCancel(ctx)
			f = newFile(paths, stop)
			running.Go(func() { w.follow(mine, f) })
		}
		w.files[paths[0]] = f
	}
	for _, f := range former {
		f.stop()
	}
	w.dropFoldersLocked()
}

// hint makes the files due that an event of that name may be about: those that
// are in its folder, and those that it may have brought back or taken away; with
// "" all of them.
func (w *Watcher) hint(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		if name == "" || f.folders == nil || slices.Contains(f.folders, filepath.Dir(name)) || f.below(name) {
			wake(f.hinted)
		}
	}
}

// watchFolders watches the folders whose events may be about a file: of each of
// its paths the folder, that of what it links to, and, where one is missing, the
// nearest above it that is there.
func (w *Watcher) watchFolders(f *file) {
	var folders []string
	for _, path := range f.paths {
		folders = append(folders, foldersOf(path)...)
	}
	w.mu.Lock()
	f.folders = folders
	w.dropFoldersLocked()
	notify := w.notify
	w.mu.Unlock()
	if notify == nil {
		return
	}
	for _, folder := range folders {
		// One that hangs has to hang here: fsnotify would hang for all. Adding
		// one again is harmless, and the way to a folder that was removed and
		// made anew: its former watch is dead.
		if _, err := os.Stat(folder); err != nil {
			continue
		}
		switch err := w.add(notify, folder); {
		case err == nil:
			w.mu.Lock()
			w.folders[folder] = true
			w.mu.Unlock()
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // the folder's own, and no limit
		default:
			select {
			case w.refused <- err:
			default:
			}
		}
	}
}

// dropFoldersLocked watches no folder any more that no file is about.
func (w *Watcher) dropFoldersLocked() {
	wanted := map[string]bool{}
	for _, f := range w.files {
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

// below reports whether the file is in what name names, however deep.
func (f *file) below(name string) bool {
	return slices.ContainsFunc(f.paths, func(path string) bool {
		return strings.HasPrefix(path, name+string(filepath.Separator))
	})
}
