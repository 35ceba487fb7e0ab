package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// TestDerived: a signing key that is remembered is good for nothing else, nobody
// who can't sign adds one, and there are not too many.
func TestDerived(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	kept := func() int {
		b.g.derived.mu.Lock()
		defer b.g.derived.mu.Unlock()
		return len(b.g.derived.keys)
	}
	get := func(what string, status int) {
		t.Helper()
		b.want(what, b.request("GET", "/bucket/key", nil, nil), status, "")
	}
	get("first", 200)
	get("again", 200)
	if n := kept(); n != 1 {
		t.Errorf("%d keys are remembered of one", n)
	}
	good := b.pair
	b.pair.Secret = account.NewSecret("what")
	get("a wrong secret", 403)
	b.pair = MintKey([]byte("another vault"), b.binding.ID, 1, time.Now().Add(time.Hour))
	get("of another vault", 403)
	b.pair = good
	b.set(func() { b.binding.Epoch++ })
	get("revoked", 403)
	b.set(func() { b.binding.Epoch--; b.key = []byte("a newer vault key") })
	get("of before the vault key was renewed", 403)
	b.set(func() { b.key = []byte("the vault's key") })
	get("as it was", 200)
	if n := kept(); n != 1 {
		t.Errorf("%d keys are remembered, some of who could not sign", n)
	}
	var d derived
	for i := range 3 * maxDerived {
		d.put(derivation{scope: fmt.Sprint(i)}, nil)
	}
	if n := len(d.keys); n > maxDerived {
		t.Errorf("%d keys are remembered", n)
	}
}
