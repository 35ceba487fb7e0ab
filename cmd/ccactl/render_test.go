package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file is looked after when somebody else touched it, when its key is half
// used up (also while the machine slept), and sooner where something is wrong.
func TestDue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	touch := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f := kept{at: start}
	if f.due(path, start) {
		t.Error("a file that is to be none, and is none")
	}
	touch("one")
	if !f.due(path, start) {
		t.Error("one that is there now is not looked at")
	}
	f.info = statOf(path)
	for after, want := range map[time.Duration]bool{0: false, renderRetry: false, renderRefresh - 1: false, renderRefresh: true, 8 * time.Hour: true} {
		if f.due(path, start.Add(after)) != want {
			t.Errorf("after %v: %v", after, !want)
		}
	}
	f.trouble = "something"
	if f.due(path, start.Add(renderRetry-1)) || !f.due(path, start.Add(renderRetry)) {
		t.Error("one with a trouble is not looked at in time")
	}
	f.trouble = ""
	touch("another")
	if !f.due(path, start) {
		t.Error("one that somebody wrote is not looked at")
	}
	_ = os.Remove(path)
	if !f.due(path, start) {
		t.Error("one that is gone is not looked at")
	}
}
