package daemon

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/watch"
)

// TestNoticeSleep: after the machine has slept, and only then, the watched files,
// the portal, what is in use and what is owed are looked at.
func TestNoticeSleep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openrc")
	if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 10)
	d := &Daemon{askPortal: make(chan struct{}, 1), askCloud: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
	d.watched.watcher = watch.New(time.Hour, func(watch.Reading) time.Duration { told <- struct{}{}; return 0 })
	d.watched.watcher.Set([][]string{{path}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.watched.watcher.Run(ctx, func(err error) { t.Error(err) }) }()
	t.Cleanup(func() { cancel(); <-done })
	<-told

	var asleep atomic.Int64
	ticks := make(chan time.Time)
	go d.noticeSleep(ctx, ticks, func() time.Duration { return time.Duration(asleep.Load()) })
	for range 3 {
		ticks <- time.Time{}
	}
	if len(d.askPortal)+len(d.askCloud)+len(d.kick)+len(told) != 0 {
		t.Error("looked at though nobody slept")
	}
	asleep.Store(int64(time.Hour))
	ticks <- time.Time{}
	<-d.askPortal
	<-d.askCloud
	<-d.kick
	<-told
	ticks <- time.Time{} // and once for each sleep
	ticks <- time.Time{}
	if len(d.askPortal)+len(d.askCloud)+len(d.kick)+len(told) != 0 {
		t.Error("looked at twice")
	}
}

// TestSlept: the two clocks differ by what the machine has slept, if at all.
func TestSlept(t *testing.T) {
	if first := slept(); first < 0 || slept()-first > time.Second {
		t.Errorf("%v, and then %v", first, slept())
	}
}
