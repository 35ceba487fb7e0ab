//go:build linux

package session

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoSignalIsSwallowed: one that came before Release has ended the context
// when that returns, be the runtime about to hand it on just then.
func TestNoSignalIsSwallowed(t *testing.T) {
	runtime.LockOSThread() // its own signal a thread has had when tgkill returns
	defer runtime.UnlockOSThread()
	for i := range 500 {
		ctx, signals := FollowSignals(t.Context())
		if i%5 > 0 {
			if err := unix.Tgkill(os.Getpid(), unix.Gettid(), []unix.Signal{unix.SIGTERM, unix.SIGINT}[i%2]); err != nil {
				t.Fatal(err)
			}
		}
		signals.Release()
		if came := ctx.Err() != nil; came != (i%5 > 0) {
			t.Fatalf("round %d: the context has ended: %v", i, came)
		}
		signals.Release()
	}
	var none *Signals
	none.Release()
}
