//go:build smoke_keyctl && linux

package vault

import "testing"

// Needs the user keyring of the person who runs it, in the kernel:
// go test -tags smoke_keyctl -run TestKeyctl ./daemon/vault
func TestKeyctl(t *testing.T) { exercise(t, "keyctl") }
