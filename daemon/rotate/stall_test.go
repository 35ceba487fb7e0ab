package rotate

import (
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// A rotation that stalls is told of as long as it does, also while it pauses: who
// tells its beginning must not take each try for a new one.
func TestStallLasts(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	w.cloud.Fail(practice.Fault{Route: tokenRoute, Status: 503})
	w.cloud.Fail(practice.Fault{Route: "GET /v3/users/{user}/credentials/OS-EC2", Status: 503})
	for _, when := range []string{"it stalls", "it pauses"} {
		next, failures := w.GoOn(t.Context())
		if len(failures) != 1 || !w.clock.Now().Before(next) {
			t.Errorf("%s: failures %v, next at %s", when, failures, next)
		}
	}
	w.finish()
	if _, failures := w.GoOn(t.Context()); len(failures) != 0 {
		t.Errorf("it is over: %v", failures)
	}
}
