package watch

import (
	"time"

	"github.com/fsnotify/fsnotify"
)

// ReadBy has the Watcher read through a file system of the test's, one that may
// hang.
func (w *Watcher) ReadBy(read func(path string) ([]byte, error)) {
	w.read, w.patience = read, 2*time.Second
}

// Stall keeps the Watcher from taking events until release is called.
func (w *Watcher) Stall() (release func()) { w.mu.Lock(); return w.mu.Unlock }

// Deaf has the system refuse each watch with err.
func (w *Watcher) Deaf(err error) {
	w.add = func(*fsnotify.Watcher, string) error { return err }
}
