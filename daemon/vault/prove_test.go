package vault

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A passphrase is proved beside a daemon that runs, which notices nothing.
func TestProve(t *testing.T) {
	dir, _, _ := testKeyring(t)
	foreign := filepath.Join(dir, ".store.age.1.tmp")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	if err := Prove(t.Context(), dir, right); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := Prove(t.Context(), dir, wrong); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another: %v", err)
	}
	if after := names(t, dir); after != before {
		t.Errorf("it left %s, and there was %s", after, before)
	}
	none := t.TempDir()
	if err := Prove(t.Context(), none, wrong); err != nil || names(t, none) != "" {
		t.Errorf("before first use: %v, %q", err, names(t, none))
	}
	if err := (disk{}).writeManifest(none, manifest{Backend: "pass", Item: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := Prove(t.Context(), none, right); err == nil || !strings.Contains(err.Error(), "the pass keyring has no passphrase of ours") {
		t.Errorf("pass: %v", err)
	}
}
