//go:build smoke_kwallet && linux

package vault

import "testing"

// Needs a running kwalletd5 with an open wallet, on the session bus:
// go test -tags smoke_kwallet -run TestKwallet ./daemon/vault
func TestKwallet(t *testing.T) { exercise(t, "kwallet") }
