package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestMint(t *testing.T) {
	id, key := account.NewID(), []byte("k")
	a, b := MintKey(key, id, 1, time.Unix(1e9, 0)), MintKey(key, id, 1, time.Unix(1e9, 0))
	if a.AccessKeyID == b.AccessKeyID || a.Secret.Equal(b.Secret) {
		t.Error("two keys are the same")
	}
	if len(a.AccessKeyID) != 52 || len(a.Secret.Reveal()) != 52 || strings.Trim(a.AccessKeyID+a.Secret.Reveal(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("the key is %s / %d bytes", a.AccessKeyID, len(a.Secret.Reveal()))
	}
	p, ok := readKey(a.AccessKeyID)
	if !ok || p.environment() != id || !p.until().Equal(time.Unix(1e9, 0)) {
		t.Errorf("it reads as %v %s %s", ok, p.environment(), p.until())
	}
	for _, bad := range []string{"", "short", strings.Repeat("z", 32), id + "00"} {
		if got := MintKey(key, bad, 1, time.Unix(1e9, 0)); got.AccessKeyID != "" || !got.Secret.Empty() {
			t.Errorf("an id %q made a key", bad)
		}
	}
	if got := MintKey(nil, id, 1, time.Unix(1e9, 0)); got.AccessKeyID != "" {
		t.Error("a locked vault made a key")
	}
	if got := MintToken(nil, id, 1, time.Unix(1e9, 0), Holder{}); !got.Empty() {
		t.Error("a locked vault made a token")
	}
	for _, bad := range []string{"", "CCAD", a.AccessKeyID[:51], a.AccessKeyID + "A", "X" + a.AccessKeyID[1:], a.AccessKeyID[:51] + "!"} {
		if _, ok := readKey(bad); ok {
			t.Errorf("%q is a key", bad)
		}
	}
}

// The same holder gets the same key until its end, another one never.
func TestMintKeyFor(t *testing.T) {
	key, id, until := []byte("0123456789abcdef0123456789abcdef"), strings.Repeat("ab", 16), time.Unix(2e9, 0)
	first := MintKeyFor("file a", key, id, 1, until)
	if again := MintKeyFor("file a", key, id, 1, until); again != first {
		t.Error("another key for the same holder")
	}
	if _, ok := readKey(first.AccessKeyID); !ok {
		t.Error("no key of ours")
	}
	for name, other := range map[string]account.KeyPair{
		"holder": MintKeyFor("file b", key, id, 1, until), "until": MintKeyFor("file a", key, id, 1, until.Add(time.Second)),
		"vault": MintKeyFor("file a", key[1:], id, 1, until), "epoch": MintKeyFor("file a", key, id, 2, until),
	} {
		if other.Secret == first.Secret {
			t.Errorf("another %s, the same secret", name)
		}
	}
}
