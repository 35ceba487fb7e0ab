package rotate

import (
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// TestLoneKeyHeals: of a key that nobody but S3 knows of, S3 is asked again an hour
// after it refused it. It says the same of a dead key and of a Keystone that it
// can't reach.
func TestLoneKeyHeals(t *testing.T) {
	w := newWorld(t)
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.alone("profile", key)
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 403, Body: "<Error><Code>SignatureDoesNotMatch</Code></Error>"})
	wantRefused(t, w.KeyRejected(t.Context(), "profile"))
	asked := w.cloud.Count("s3:ListBuckets")
	for range 2 { // while it is refused, and when it is dead
		if ok, _ := w.VerifyOwed(t.Context(), "profile"); ok {
			t.Error("it is asked about at once")
		}
		wantRefused(t, w.KeyRejected(t.Context(), "profile"))
		wantRefused(t, MayServeKeys(w.Contents().Environments["profile"]))
		w.clock.step(refusedPause)
		if ok, err := w.VerifyOwed(t.Context(), "profile"); !ok {
			t.Errorf("asked: %v, %v", ok, err)
		}
	}
	if n := w.cloud.Count("s3:ListBuckets") - asked; n != 2 {
		t.Errorf("%d requests", n)
	}
	w.cloud.Heal()
	w.clock.step(refusedPause)
	if ok, err := w.VerifyOwed(t.Context(), "profile"); !ok || err != nil {
		t.Errorf("asked: %v, %v", ok, err)
	}
	if err := MayServeKeys(w.Contents().Environments["profile"]); err != nil {
		t.Error(err)
	}
}
