package rotate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/test/practice"
)

const createRoute = "POST /v3/credentials"

// atOnce rotates a value of dev, and the former one is deleted.
func (w *world) atOnce(kind Kind) error {
	w.Helper()
	return w.Rotate(w.Context(), kind, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent)
}

// heldUp has the first request for a new value lie in a queue, and ccad ask again.
func (w *world) heldUp(kind Kind, route string) {
	w.Helper()
	w.cloud.Fail(practice.Fault{Route: route, Break: practice.Cut, Late: true, Times: 1})
	if err := w.atOnce(kind); err != nil && !errors.Is(err, ErrStalled) {
		w.Fatal(err)
	}
	w.clock.step(time.Minute)
	w.finish()
	w.finishCredential()
	if w.cloud.Late() != 1 {
		w.Fatalf("%d requests are held up", w.cloud.Late())
	}
}

// TestKeyThatComesBack: a request for a key that arrives when that key was replaced
// and deleted makes it anew. It is deleted once more, at the next look, and one is
// owed when it can't arrive any more.
func TestKeyThatComesBack(t *testing.T) {
	for name, look := range map[string]func(w *world) error{
		"verify": func(w *world) error { return w.Verify(w.Context(), "dev", true) },
		"rotate": func(w *world) error { return w.atOnce(KindKey) },
		"a day later": func(w *world) error {
			if Awaits(w.Contents(), w.Contents().Environments["dev"], w.clock.Now()) {
				w.Error("a look is owed at once")
			}
			w.clock.step(lingers)
			asked, err := w.VerifyOwed(w.Context(), "dev")
			if !asked {
				w.Error("no look is owed")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.heldUp(KindKey, createRoute)
			back := w.active("dev").AccessKeyID
			if err := w.atOnce(KindKey); err != nil {
				t.Fatal(err)
			}
			w.cloud.Deliver()
			if !slices.Contains(w.keys(), back) {
				t.Fatal("it has not come back")
			}
			w.open()
			if err := look(w); err != nil {
				t.Error(err)
			}
			w.clean()
			w.clock.step(2 * lingers)
			if _, err := w.VerifyOwed(t.Context(), "dev"); err != nil {
				t.Error(err)
			}
			if e := w.Contents().Environments["dev"]; len(e.KeysDeleted) != 0 || Awaits(w.Contents(), e, w.clock.Now()) {
				t.Errorf("remembered for ever: %v", e.KeysDeleted)
			}
		})
	}
}

// TestWithdrawnKeyThatComesBack: so is one that was given up.
func TestWithdrawnKeyThatComesBack(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: createRoute, Break: practice.Cut, Late: true, Times: 1})
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	_, _ = w.GoOn(t.Context())
	w.cloud.Fail(practice.Fault{Route: createRoute, Status: 400, Body: `{"error":{"code":400,"title":"Bad Request","message":"x"}}`})
	for range 3 {
		w.clock.step(time.Minute)
		_, _ = w.GoOn(t.Context())
	}
	w.cloud.Heal()
	if w.journal() != nil || w.cloud.Late() != 1 || len(w.keys()) != 1 {
		t.Fatalf("%d requests are held up, and there are %v", w.cloud.Late(), w.keys())
	}
	w.cloud.Deliver()
	if len(w.keys()) != 2 {
		t.Fatal("it has not come")
	}
	w.open()
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Error(err)
	}
	w.clean()
}

// TestKeyThatIsGivenBack: what somebody has made anew and given to ccad is his.
func TestKeyThatIsGivenBack(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.heldUp(KindKey, createRoute)
	back := w.active("dev")
	if err := w.atOnce(KindKey); err != nil {
		t.Fatal(err)
	}
	w.cloud.Deliver()
	if err := w.takeKey("dev", practice.Key{Access: back.AccessKeyID, Secret: back.Secret.Reveal()}, false); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Verify(t.Context(), "dev", true); err != nil || w.active("dev") != back {
			t.Errorf("%v, %s serves", err, w.active("dev").AccessKeyID)
		}
		w.clock.step(lingers)
	}
	w.living("in the end")
}

// TestCredentialThatComesBack is TestKeyThatComesBack for an application
// credential, which the next rotation looks for.
func TestCredentialThatComesBack(t *testing.T) {
	w := newWorld(t)
	w.credential()
	w.heldUp(KindAppCred, "POST "+credentialRoute)
	if err := w.atOnce(KindAppCred); err != nil {
		t.Fatal(err)
	}
	w.cloud.Deliver()
	if n := len(w.credentials()); n != 2 {
		t.Fatalf("there are %d", n)
	}
	w.clock.step(30 * lingers)
	w.open()
	if err := w.atOnce(KindAppCred); err != nil {
		t.Error(err)
	}
	w.finishCredential()
	w.cleanCredential()
	if gone := w.Contents().Environments["dev"].AppCredsDeleted; len(gone) != 1 {
		t.Errorf("remembered: %v", gone)
	}
}
