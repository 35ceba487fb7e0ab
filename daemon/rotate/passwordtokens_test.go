package rotate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/test/practice"
)

// This file has what a change of the password does to what hangs on it.

// cached are the environments that have a token to hand out, and dead those of
// them whose token the cloud does not take.
func (w *world) cached() (all, dead []string) {
	w.Helper()
	for _, name := range []string{"dev", "sys"} {
		e, u, err := w.Environment(name)
		if err != nil {
			w.Fatal(err)
		}
		g, ok := w.cachedToken(e.ID)
		if !ok {
			continue
		}
		all = append(all, name)
		lives, err := w.Keeper.cloud.TokenLives(w.Context(), u.Auth, g.Token.ID)
		if err != nil {
			w.Fatal(err)
		}
		if !lives {
			dead = append(dead, name)
		}
	}
	return all, dead
}

// tokens obtains one for each environment.
func (w *world) tokens() {
	w.Helper()
	w.works2()
	if all, dead := w.cached(); len(all) != 2 || len(dead) != 0 {
		w.Fatalf("tokens of %v, dead of %v", all, dead)
	}
}

// TestTokensDieWithTheirPassword: from the change on none of the old password is
// handed out, and in the end there are new ones; also where a request that was
// thought lost changes it while tokens of the old one are handed out anew.
func TestTokensDieWithTheirPassword(t *testing.T) {
	for _, late := range []bool{false, true} {
		w := newWorld(t)
		w.both()
		w.tokens()
		if late {
			w.cloud.Fail(practice.Fault{Route: changeRoute, Break: practice.Cut, Late: true, Times: 1})
			wantIs(t, w.rotatePassword(), ErrWithdrawn)
			w.tokens()
			w.cloud.Deliver()
			w.clock.step(2 * time.Second)
		}
		var seen []string
		w.fault = func(point string) error {
			changed := point == "find: begun" && !late // where it is late, find is what finds that out
			if changed || point == "prove: begun" || point == "flip: begun" || point == "heal: begun" {
				seen = append(seen, point)
				if _, dead := w.cached(); len(dead) != 0 {
					t.Errorf("late %v, %s: a dead token of %v is handed out", late, point, dead)
				}
			}
			return nil
		}
		if late {
			_ = w.Verify(t.Context(), "dev", false) // a probe notices
			w.settleDown()
		} else if err := w.rotatePassword(); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(seen, "prove: begun") || !slices.Contains(seen, "heal: begun") {
			t.Errorf("late %v: seen %v", late, seen)
		}
		w.fault = nil
		w.tokens()
	}
}

// TestPasswordIsProvedByALivingToken: a token that was revoked the moment it was
// obtained proves nothing, and another one is asked for before the new password
// serves.
func TestPasswordIsProvedByALivingToken(t *testing.T) {
	w := newWorld(t)
	w.both()
	proofs, revoked := 0, false
	w.fault = func(point string) error {
		switch {
		case point == "prove: begun":
			proofs++
		case point == "login: sent" && proofs > 0 && !revoked:
			w.cloud.RevokeTokens(w.name())
			revoked = true
		case point == "prove: asked" && proofs == 1:
			t.Error("a dead token is taken for a proof")
		}
		return nil
	}
	if err := w.rotatePassword(); err != nil && !errors.Is(err, ErrStalled) {
		t.Fatal(err)
	}
	w.settleDown()
	if !revoked || proofs < 2 {
		t.Errorf("revoked %v, proved %d times", revoked, proofs)
	}
	w.works(0)
}

// TestPasswordRotationHealsKeys: what the environments of the user serve is looked
// at while their password is replaced.
func TestPasswordRotationHealsKeys(t *testing.T) {
	w := newWorld(t)
	w.both()
	w.cloud.DeleteKey(w.active("sys").AccessKeyID)
	listed := w.cloud.CreateKey(w.name(), w.cloud.User.Projects["system-ccontini"])
	before := w.Contents().Environments["sys"].Generation
	if err := w.rotatePassword(); err != nil {
		t.Fatal(err)
	}
	if got := w.active("sys"); got.AccessKeyID != listed.Access || got.Secret.Reveal() != listed.Secret {
		t.Errorf("sys serves %s, and %s is listed", got.AccessKeyID, listed.Access)
	}
	if w.Contents().Environments["sys"].Generation <= before {
		t.Error("the shells of sys are not told")
	}
	w.works(0)
}
