package cloud

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// NewKeyPair makes an S3 key pair in the form of Keystone's own: 32 hexadecimal
// digits each.
func NewKeyPair() account.KeyPair {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	return account.KeyPair{AccessKeyID: account.NewID(), Secret: account.NewSecret(hex.EncodeToString(secret[:]))}
}

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// NewPassword makes a password of 48 letters and digits: no shell or file
// format quotes those, and bcrypt looks at 72 bytes. Each kind is in it, as
// password rules want.
func NewPassword() account.Secret {
	const alphabet = digits + lower + upper
	for {
		var password []byte
		for len(password) < 48 {
			var b [1]byte
			_, _ = rand.Read(b[:])
			if n := int(b[0]); n < 256-256%len(alphabet) { // the rest would favour the first letters
				password = append(password, alphabet[n%len(alphabet)])
			}
		}
		s := string(password)
		if strings.ContainsAny(s, digits) && strings.ContainsAny(s, lower) && strings.ContainsAny(s, upper) {
			return account.NewSecret(s)
		}
	}
}
