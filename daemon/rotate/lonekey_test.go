package rotate

import (
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
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

// TestKeyOfAWithheldPassword: nobody asks Keystone about a key by a password that only
// a person may send, and that is not taken for its word.
func TestKeyOfAWithheldPassword(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if _, err := w.UpdatePassword(w.Context(), w.user().ID, account.NewSecret("not sent"), true); err != nil {
		t.Fatal(err)
	}
	before := w.cloud.Count("POST /v3/auth/tokens")
	wantIs(t, w.KeyRejected(w.Context(), "dev"), ErrWithheld)
	if n := w.cloud.Count("POST /v3/auth/tokens") - before; n != 0 {
		t.Errorf("%d logins", n)
	}
}
