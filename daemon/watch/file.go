package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// How long a file has to be quiet before it is read, and how long it may be
// kept from being read by one event after another.
const (
	quiet   = 150 * time.Millisecond
	longest = time.Second
)

// halfFor is how long a file that is empty, or whose last line has no end, is
// taken for one that is being written.
const halfFor = 2 * time.Second

// file is one that is looked after, and those that are read together with it.
type file struct {
	paths  []string
	stop   context.CancelFunc
	hinted chan struct{} // cap 1: something has happened in a folder of its
	asked  chan struct{} // cap 1: it is to be told once more

	folders []string // whose events may be about it; guarded by Watcher.mu

	// Only follow's goroutine has what follows.
	digest [sha256.Size]byte
	since  time.Time // when the digest was seen first
	told   bool
	last   [][sha256.Size]byte // of each of the paths, when it was told last
	again  time.Time           // when the same contents are to be told once more; zero: never
}

func newFile(paths []string, stop context.CancelFunc) *file {
	f := &file{
		paths: paths, stop: stop, last: make([][sha256.Size]byte, len(paths)),
		hinted: make(chan struct{}, 1), asked: make(chan struct{}, 1),
	}
	for i := range f.last[1:] { // one that goes with another may be missing for good
		f.last[i+1] = digestOf([]File{{Err: fs.ErrNotExist}})
	}
	return f
}

// follow looks at a file whenever it is due, until ctx ends.
func (w *Watcher) follow(ctx context.Context, f *file) {
	due, latest := time.Now(), time.Time{} // latest: by when it is read, whatever comes
	rescan := due.Add(w.rescan)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.hinted:
			if latest.IsZero() {
				latest = time.Now().Add(longest)
			}
			due = earliest(time.Now().Add(quiet), latest)
		case <-f.asked:
			f.told, due = false, time.Now()
		}
		if !time.Now().Before(earliest(due, f.again, rescan)) {
			due, latest = time.Time{}, time.Time{}
			if w.look(ctx, f) {
				due = time.Now().Add(quiet)
				latest = due
			}
			rescan = time.Now().Add(w.rescan)
		}
		timer.Reset(time.Until(earliest(due, f.again, rescan)))
	}
}

// earliest is the first of the moments that are not zero.
func earliest(moments ...time.Time) (first time.Time) {
	for _, m := range moments {
		if !m.IsZero() && (first.IsZero() || m.Before(first)) {
			first = m
		}
	}
	return first
}

// look reads a file and tells what is new. It reports whether the file may be
// half written and is to be looked at again.
func (w *Watcher) look(ctx context.Context, f *file) (half bool) {
	read := make(chan []File, 1)
	go func() { // which a dead mount keeps for ever
		w.watchFolders(f) // before the reading: what comes after it makes an event
		read <- w.readAll(f)
	}()
	slow := time.NewTimer(w.patience)
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case files := <-read:
			return w.tell(f, files)
		case <-slow.C:
			w.tell(f, []File{{Path: f.paths[0], Err: ErrSlow}})
		}
	}
}

func (w *Watcher) readAll(f *file) []File {
	files := make([]File, len(f.paths))
	for i, path := range f.paths {
		data, err := w.read(path)
		files[i] = File{path, data, err}
	}
	return files
}

// tell hands a reading on if it is new, or wanted again.
func (w *Watcher) tell(f *file, files []File) (half bool) {
	now := time.Now()
	if digest := digestOf(files); digest != f.digest || f.since.IsZero() {
		f.digest, f.since, f.told, f.again = digest, now, false, time.Time{}
	}
	if f.told && (f.again.IsZero() || now.Before(f.again)) {
		return false
	}
	if !f.told && f.halfWritten(files) && now.Sub(f.since) < halfFor {
		return true
	}
	f.told, f.again = true, time.Time{}
	for i := range files {
		f.last[i] = digestOf(files[i : i+1])
	}
	if wait := w.settled(Reading{Files: files, Since: f.since}); wait > 0 {
		f.again = time.Now().Add(wait)
	}
	return false
}

// halfWritten reports whether somebody may be writing one of the files just now:
// not one that is as it was when it was told last.
func (f *file) halfWritten(files []File) bool {
	for i, r := range files {
		missing := errors.Is(r.Err, fs.ErrNotExist)
		unended := r.Err == nil && (len(r.Data) == 0 || r.Data[len(r.Data)-1] != '\n')
		if (missing || unended) && digestOf(files[i:i+1]) != f.last[i] {
			return true
		}
	}
	return false
}

func digestOf(files []File) (digest [sha256.Size]byte) {
	h := sha256.New()
	for _, r := range files {
		fmt.Fprintf(h, "%s %d\n", kind(r.Err), len(r.Data))
		h.Write(r.Data)
	}
	h.Sum(digest[:0])
	return digest
}

// kind tells failures apart that are not the same news.
func kind(err error) string {
	switch {
	case err == nil:
		return "read"
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.Is(err, ErrUnsafe), errors.Is(err, ErrUnfit), errors.Is(err, ErrSlow):
		return err.Error()
	}
	if errors.Is(err, fs.ErrPermission) {
		return "forbidden"
	}
	return "unreadable"
}
