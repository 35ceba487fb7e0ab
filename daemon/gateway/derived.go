package gateway

import "sync"

// maxDerived is more than there are clients; beyond it all is derived anew.
const maxDerived = 1024

// derived remembers signing keys: a client signs for days with the same, and to
// derive one takes as long as all the rest of a request's verification.
type derived struct {
	mu   sync.Mutex
	keys map[derivation][]byte
}

// A derivation is all that a signing key is made of, so that none is taken for
// another's: not for the same access key under another epoch or vault key.
type derivation struct {
	vaultKey, accessKey, scope string
	epoch                      uint64
}

func (d *derived) get(of derivation) (key []byte, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, known = d.keys[of]
	return key, known
}

// put is for keys by which something was signed: who has none fills nothing.
func (d *derived) put(of derivation, key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDerived {
		d.keys = map[derivation][]byte{}
	}
	d.keys[of] = key
}
