package rotate

import (
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// TestOlderStoreIsDoubted: of what an older store has in force the cloud is asked
// once more, and a key that was replaced since is found.
func TestOlderStoreIsDoubted(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.alone("profile", key)
	w.cloud.DeleteKey(key.Access)
	next := w.makeKey()
	w.clock.step(2e9)
	if err := w.Doubt(); err != nil {
		t.Fatal(err)
	}
	w.open()
	names, _ := Owed(w.Contents(), nil, w.clock.Now())
	if len(names) != 2 || UserState(w.Contents(), w.user(), w.clock.Now()) != StateUnverified || KeyState(w.Contents().Environments["dev"]) != StateUnverified {
		t.Errorf("owed are %q", names)
	}
	if asked, err := w.VerifyOwed(t.Context(), "dev"); !asked || err != nil {
		t.Errorf("asked %v, %v", asked, err)
	}
	for _, name := range []string{"dev", "profile"} {
		if w.active(name).AccessKeyID != next.Access {
			t.Errorf("%s serves %s, not %s", name, w.active(name).AccessKeyID, next.Access)
		}
	}
	if names, _ := Owed(w.Contents(), nil, w.clock.Now()); len(names) != 0 {
		t.Errorf("still owed are %q", names)
	}
}

// TestOlderStoreKeepsHandsOff: what only a person may send stays so.
func TestOlderStoreKeepsHandsOff(t *testing.T) {
	w := newWorld(t)
	key := w.makeKey()
	if err := w.takeKey("dev", key, true); err != nil {
		t.Fatal(err)
	}
	if err := w.Doubt(); err != nil {
		t.Fatal(err)
	}
	w.clock.step(time.Hour)
	v, _ := w.Contents().Environments["dev"].Keys.Active()
	if names, _ := Owed(w.Contents(), nil, w.clock.Now()); len(names) != 0 || !v.HandsOff || v.State != vault.Active {
		t.Errorf("owed are %q, %+v", names, v.State)
	}
}
