package rotate

import "testing"

// TestKeyGivenAgain: a key that was accepted once and refused since is as good as
// one that nobody was asked about, where a person gives it again unasked.
func TestKeyGivenAgain(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.cloud.DeleteKey(key.Access)
	wantRefused(t, w.Verify(t.Context(), "dev", true))
	if _, err := w.Adopt(t.Context(), Offer{Name: "dev", Named: true, Keys: pairOf(key), NoVerify: true, By: "person"}); err != nil {
		t.Fatal(err)
	}
	e := w.Contents().Environments["dev"]
	if state := KeyState(e); state != StateUnverified || Awaits(w.Contents(), e, w.clock.Now()) || MayServeKeys(e) != nil {
		t.Errorf("it is %s, asked about by itself: %v, served: %v", state, Awaits(w.Contents(), e, w.clock.Now()), MayServeKeys(e))
	}
	wantRefused(t, w.Verify(t.Context(), "dev", true))
	if state := KeyState(w.Contents().Environments["dev"]); state != StateRefused {
		t.Errorf("after verify it is %s", state)
	}
}
