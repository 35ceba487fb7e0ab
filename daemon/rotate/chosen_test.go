package rotate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/test/practice"
)

// TestChosenKeyKilledAnywhere: where the cloud alone makes keys, a kill at every
// boundary leaves one key, which works and serves. The next rotation leaves it at
// the cloud if it was found there, made and not recorded; no other is left.
func TestChosenKeyKilledAnywhere(t *testing.T) {
	found := 0
	for n := 1; ; n++ {
		w := newWorld(t)
		w.dev()
		w.cloud.Fail(practice.Fault{Route: createRoute, Status: 403, Body: `{"error":{"code":403,"title":"Forbidden","message":"no"}}`})
		points := w.die(n)
		err := w.atOnce(KindKey)
		if err == nil {
			if n < 20 || found != 2 { // before the answer, and before its record
				t.Errorf("%d points to die at, %d leave a found key: %v", n, found, *points)
			}
			return
		}
		last := (*points)[n-1]
		if !errors.Is(err, errDied) {
			t.Fatalf("%s: %v", last, err)
		}
		w.open()
		for range 8 {
			_, _ = w.GoOn(t.Context())
			w.living(last)
			w.clock.step(15 * time.Minute)
		}
		w.clean()
		v, _ := w.Contents().Environments["dev"].Keys.Active()
		if made := w.cloud.Count("POST /v3/users/{user}/credentials/OS-EC2"); made != 1 {
			t.Errorf("%d keys were made", made)
		}
		if err := w.atOnce(KindKey); err != nil {
			t.Fatal(err)
		}
		want := []string{w.active("dev").AccessKeyID}
		if v.Source == foundAlone {
			found++
			want = append(want, v.Value.AccessKeyID)
		}
		got := w.keys()
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the cloud has %v, want %v", got, want)
		}
		if t.Failed() {
			t.Fatalf("killed at %q", last)
		}
	}
}
