package cloud

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// NewKeyPair makes an S3 key pair in the form of Keystone's own: 32 hexadecimal
// digits each. Of the access key the last eight tell every ccad that one has made
// it.
func NewKeyPair() account.KeyPair {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	free := account.NewID()[:32-len(makersMark(""))]
	return account.KeyPair{AccessKeyID: free + makersMark(free), Secret: account.NewSecret(hex.EncodeToString(secret[:]))}
}

// MadeByCCAD reports whether some ccad has chosen an access key, on whichever
// machine. One in four thousand million of others looks as if.
func MadeByCCAD(accessKeyID string) bool {
	free, ok := strings.CutSuffix(accessKeyID, makersMark(accessKeyID[:max(0, len(accessKeyID)-8)]))
	return ok && len(free) == 24
}

func makersMark(free string) string {
	sum := sha256.Sum256([]byte("ccad made the S3 key " + free))
	return hex.EncodeToString(sum[:4])
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
