//go:build smoke_keychain && darwin && cgo

package vault

import "testing"

// Needs the login keychain of the person who runs it; it asks him:
// go test -tags smoke_keychain -run TestKeychain ./daemon/vault
func TestKeychain(t *testing.T) { exercise(t, "keychain") }
