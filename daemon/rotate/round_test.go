package rotate

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/test/practice"
)

// hanging makes the cloud take requests and say nothing, to a Keeper that waits for
// a moment only; it counts them.
func (w *world) hanging() *atomic.Int64 {
	asked := &atomic.Int64{}
	w.Keeper.cloud = cloud.New(cloud.Options{Now: w.clock.Now, Timeout: 50 * time.Millisecond})
	w.cloud.Fail(practice.Fault{Route: "*", Break: practice.Hang, Begun: func() { asked.Add(1) }})
	return asked
}

// offered is an openrc of the user for dev or sys, with a password.
func (w *world) offered(name, password string) Offer {
	o := w.offer(name)
	o.Password = account.NewSecret(password)
	return o
}

// TestCommandWaitsOnce: a command about several environments waits once for a cloud
// that hangs; all of them are stored, and asked about once it answers.
func TestCommandWaitsOnce(t *testing.T) {
	w := newWorld(t)
	asked := w.hanging()
	round := w.Round()
	right := w.cloud.Password(w.cloud.User.Name)
	for _, name := range []string{"dev", "sys"} {
		out, err := round.Adopt(t.Context(), w.offered(name, right))
		if err != nil || !strings.Contains(strings.Join(out.Notes, "\n"), "stored unverified: ask "+w.user().Auth.Host()+" for a token: no answer in time") {
			t.Errorf("%s: %q, %v", name, out.Notes, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("an import of two environments asked %d times", n)
	}
	asked.Store(0)
	for _, err := range w.verifyAll() {
		if !cloud.Late(err) {
			t.Errorf("verify: %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("verify of two environments asked %d times", n)
	}
	w.cloud.Heal()
	w.open()
	for _, name := range []string{"dev", "sys"} {
		if asked, err := w.VerifyOwed(t.Context(), name); !asked || err != nil || EnvironmentState(w.Contents(), w.Contents().Environments[name], w.clock.Now()) != StateOK {
			t.Errorf("%s afterwards: asked %v, %v", name, asked, err)
		}
	}
}

// TestHangingCloudTakesNoWrong: what is known to be wrong is not stored because
// nobody answers just now.
func TestHangingCloudTakesNoWrong(t *testing.T) {
	w := newWorld(t)
	w.dev()
	_, err := w.Adopt(t.Context(), w.offered("sys", "wrong"))
	wantRefused(t, err)
	w.hanging()
	round := w.Round()
	if _, err := round.Adopt(t.Context(), w.offered("dev", "new")); err != nil {
		t.Fatal(err)
	}
	_, err = round.Adopt(t.Context(), w.offered("sys", "wrong"))
	wantRefused(t, err)
	if w.has("sys") {
		t.Error("it was stored")
	}
}

// TestCommandSendsOnce: a password of which the answer is lost is sent once in a
// command, for however many environments: it may be wrong.
func TestCommandSendsOnce(t *testing.T) {
	for name, lost := range map[string]practice.Fault{"cut": {Break: practice.Cut}, "504": {Status: 504}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			lost.Route, lost.AfterWork = tokenRoute, true
			w.cloud.Fail(lost)
			round := w.Round()
			for _, name := range []string{"dev", "sys"} {
				if out, err := round.Adopt(t.Context(), w.offered(name, "wrong")); err != nil || !w.has(name) {
					t.Errorf("%s: %q, %v", name, out.Notes, err)
				}
			}
			if n := w.refusals(); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// TestLateOfOneHost: another cloud than the one that hangs is asked all the same.
func TestLateOfOneHost(t *testing.T) {
	w := newWorld(t)
	w.dev()
	round := w.Round()
	round.late["elsewhere.example.com"] = cloud.ErrUnreachable
	if err := round.Verify(t.Context(), "dev"); err != nil {
		t.Error(err)
	}
}
