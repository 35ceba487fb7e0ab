package rotate

import (
	"strings"
	"testing"
	"time"
)

// A cloud whose clock is twenty minutes off changes passwords as any; S3 refuses
// every signature then, so a new key waits until the clocks agree and nothing is
// given up for it.
func TestRotationsOfSkewedClocks(t *testing.T) {
	for _, skew := range []time.Duration{-20 * time.Minute, 20 * time.Minute} {
		w := newWorld(t)
		w.both()
		w.clock.skews(skew)
		if err := w.rotatePassword(); err != nil {
			t.Errorf("%v: %v", skew, err)
		}
		w.works(0)
		old := w.active("dev")
		if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("%v: a key that nobody can try: %v", skew, err)
		}
		if w.active("dev") != old || len(w.keys()) != 2 {
			t.Errorf("%v: %s serves, and at the cloud are %v", skew, w.active("dev").AccessKeyID, w.keys())
		}
		w.clock.step(2 * proveWithin)
		w.GoOn(t.Context())
		if w.journal() == nil || Step(w.journal().Step) != StepProve {
			t.Errorf("%v: it was given up: %+v", skew, w.journal())
		}
		w.clock.skews(0)
		w.clock.step(lastPause)
		w.finish()
		w.clean()
	}
}
