package rotate

import (
	"testing"
	"time"
)

// A token is obtained once, handed out until shortly before its end, and never
// in its last minutes: a client must have time to use it.
func TestTokenIsServedUntilShortlyBeforeItsEnd(t *testing.T) {
	w := newWorld(t)
	w.dev()
	token := func() (id string, expires time.Time) {
		t.Helper()
		got, _, err := w.Token(t.Context(), "dev")
		if err != nil {
			t.Fatal(err)
		}
		if left := got.Expires.Sub(w.clock.Now()); left < tokenMargin {
			t.Errorf("a token was handed out %v before its end", left)
		}
		return got.ID.Reveal(), got.Expires
	}
	first, expires := token()
	if again, _ := token(); again != first {
		t.Error("asked twice, it is another one")
	}
	w.clock.step(expires.Sub(w.clock.Now()) - tokenMargin - time.Second)
	w.cloud.ResetCounts()
	if again, _ := token(); again != first || w.cloud.Count("POST /v3/auth/tokens") != 0 {
		t.Error("a second before the margin it is another one")
	}
	w.clock.step(time.Second)
	next, later := token()
	if next == first {
		t.Error("in its last minutes it is handed out still")
	}
	if !later.After(expires) || w.cloud.Count("POST /v3/auth/tokens") != 2 { // a login and a project
		t.Errorf("the next one ends at %v, after %d requests", later, w.cloud.Count("POST /v3/auth/tokens"))
	}
}

// The base of a project's token is renewed in the second half of its life, for
// what is made of it ends with it.
func TestTokensOfAnOldLoginAreShort(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.clock.step(6*time.Hour + time.Minute) // of twelve
	w.forget("", []string{w.Contents().Environments["dev"].ID})
	got, _, err := w.Token(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if left := got.Expires.Sub(w.clock.Now()); left < 11*time.Hour {
		t.Errorf("a new token lives for %v: its base was past half its life", left)
	}
}
