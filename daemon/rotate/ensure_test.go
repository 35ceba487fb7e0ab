package rotate

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// Who waits for the gate sends no password that was replaced meanwhile.
func TestEnsureKeyWaitsForANewPassword(t *testing.T) {
	w := newWorld(t)
	w.take("dev", "dev-ccontini")
	_, u, _ := w.Environment("dev")
	former, next := w.cloud.Password(w.cloud.User.Name), "new-password-1"
	w.cloud.SetPassword(w.cloud.User.Name, next)
	w.clock.step(13 * time.Hour) // tokens have ended

	release := w.gate(u.Key())
	ensured := make(chan error, 1)
	go func() {
		_, err := w.EnsureKey(t.Context(), "dev")
		ensured <- err
	}()
	for !waitsIn("EnsureKey") {
		runtime.Gosched()
	}
	if err := w.putPassword(u, secretOf(next), nil, nil, "person", true); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-ensured; err == nil || !strings.Contains(err.Error(), "--no-verify") {
		t.Errorf("the password that a person gave unverified: %v", err)
	}
	if n := w.cloud.Wrong(w.cloud.User.Name)[former]; n != 0 {
		t.Errorf("the former password was sent %d times", n)
	}
	if _, u, _ = w.Environment("dev"); u.Refused != nil {
		t.Errorf("the user is refused: %+v", u.Refused)
	}
}

// waitsIn reports whether a method of the Keeper waits for a mutex.
func waitsIn(method string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "(*Keeper)."+method+"(") && strings.Contains(stack, "sync.(*Mutex).Lock(") {
			return true
		}
	}
	return false
}

// What the cloud says of a password that is in force no more says nothing of the
// one that is.
func TestAnswerAboutAFormerPassword(t *testing.T) {
	w := newWorld(t)
	w.take("dev", "dev-ccontini")
	_, u, _ := w.Environment("dev")
	former, _ := u.Passwords.Active()
	if err := w.putPassword(u, secretOf("new-password-1"), nil, nil, "person", true); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []error{nil, &RefusedError{Subject: "it", At: w.clock.Now(), Reason: "it is wrong"}} {
		_, before, _ := w.Environment("dev")
		if v, ok := before.Passwords.Find(former.ID); !ok || v.State != vault.Retiring {
			t.Fatal("the former password is not kept")
		}
		if err := w.settle(u.ID, former.ID, login{}, answer); err != nil {
			t.Fatal(err)
		}
		_, after, _ := w.Environment("dev")
		is, _ := after.Passwords.Active()
		if after.Refused != nil || len(after.Passwords.List) != len(before.Passwords.List) || is.Accepted {
			t.Errorf("after %v: refused %v, %d versions, accepted %v", answer, after.Refused, len(after.Passwords.List), is.Accepted)
		}
	}
}
