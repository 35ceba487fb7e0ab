package rotate

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A user who was disabled looks like one with a wrong password, and comes back:
// after an hour a person may have the same value sent once more, and is told
// when.
func TestDisabledUserComesBack(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Enable(w.cloud.User.Name, false)
	refused := func(what string, err error) *RefusedError {
		t.Helper()
		var r *RefusedError
		if !errors.As(err, &r) {
			t.Fatalf("%s: %v", what, err)
		}
		return r
	}
	refused("verify of a disabled user", w.Verify(t.Context(), "dev", true))
	if s := UserState(w.Contents(), w.user(), w.clock.Now()); s != StateRefused {
		t.Errorf("he is %s", s)
	}
	w.cloud.Enable(w.cloud.User.Name, true)
	until := w.clock.Now().Add(refusedPause)
	if from, ok := AgainFrom(w.user()); !ok || !from.Equal(until) {
		t.Errorf("it may be sent once more from %v, %v", from, ok)
	}
	w.clock.step(refusedPause - time.Second)
	_, updateErr := w.UpdatePassword(t.Context(), w.user().ID, secretOf(w.cloud.User.Password), false)
	for what, err := range map[string]error{"verify": w.Verify(t.Context(), "dev", true), "update": updateErr} {
		if r := refused(what+" too early", err); !r.Again || !strings.Contains(r.Error(), "not sent again before "+until.Local().Format(time.DateTime)) {
			t.Errorf("%s says: %v", what, err)
		}
	}
	if err := w.Verify(t.Context(), "dev", false); strings.Contains(refused("a check by itself", err).Error(), "before") {
		t.Errorf("nothing sends it by itself: %v", err)
	}
	w.clock.step(time.Second)
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatalf("after the hour: %v", err)
	}
	e, u, _ := w.Environment("dev")
	if s := EnvironmentState(w.Contents(), e, w.clock.Now()); s != StateOK || u.Refused != nil {
		t.Errorf("he is back, and dev is %s, %v", s, u.Refused)
	}
	if _, ok := AgainFrom(u); ok {
		t.Error("what is not refused is to be sent once more")
	}
	if n := w.cloud.Counts()["POST /v3/auth/tokens"][401]; n != 1 {
		t.Errorf("%d failed logins", n)
	}
}
