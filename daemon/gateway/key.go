package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A gateway key and a bearer token are made of the same pass: who, until when,
// and a nonce. Every part has its length, so that no two passes have the same
// bytes; the purpose keeps a key from being a token.
const (
	keyPrefix    = "CCAD"
	tokenPrefix  = "CCADTOKEN"
	keyPurpose   = "ccad gateway key 1\x00"
	tokenPurpose = "ccad gateway token 2\x00"
	noncePurpose = "ccad gateway nonce 1\x00"
	passSize     = 16 + 5 + 9 // environment id, seconds since 1970, nonce
	holderSize   = 4 + 8      // process id, its start
)

// letters has nothing that a shell, an INI file or a URL would quote.
var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

type pass [passSize]byte

// A Holder is the process that a token is made for: its number, and its start,
// which tells it from a later process of that number.
type Holder struct {
	PID     int
	Started uint64
}

// MintKey makes a gateway key for an environment. It is kept nowhere: the
// access key says whose it is and until when, the secret is an HMAC of that
// and of the binding's epoch. Without a vault key, or for an id that
// account.NewID did not make, it returns no key.
func MintKey(key []byte, environmentID string, epoch uint64, until time.Time) account.KeyPair {
	p, ok := newPass(environmentID, until)
	if !ok || len(key) == 0 {
		return account.KeyPair{}
	}
	return account.KeyPair{AccessKeyID: keyPrefix + letters.EncodeToString(p[:]), Secret: account.NewSecret(p.secret(key, epoch))}
}

// MintKeyFor is MintKey, but the same key for the same holder and until: a file
// that is written anew, or the variables of a program that starts anew, change
// only when something in them does.
func MintKeyFor(holder string, key []byte, environmentID string, epoch uint64, until time.Time) account.KeyPair {
	p, ok := newPass(environmentID, until)
	if !ok || len(key) == 0 {
		return account.KeyPair{}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(noncePurpose + holder))
	copy(p[21:], mac.Sum(nil))
	return account.KeyPair{AccessKeyID: keyPrefix + letters.EncodeToString(p[:]), Secret: account.NewSecret(p.secret(key, epoch))}
}

// MintToken makes a bearer token for the credential endpoint, bound to one
// environment and one process; it opens nothing else, and nothing once that
// process has ended. Like MintKey it may return none.
func MintToken(key []byte, environmentID string, epoch uint64, until time.Time, h Holder) account.Secret {
	p, ok := newPass(environmentID, until)
	if !ok || len(key) == 0 {
		return account.Secret{}
	}
	t := token{pass: p}
	binary.BigEndian.PutUint32(t.holder[:], uint32(h.PID))
	binary.BigEndian.PutUint64(t.holder[4:], h.Started)
	t.mac = t.sign(key, epoch)
	return account.NewSecret(tokenPrefix + letters.EncodeToString(slices.Concat(t.pass[:], t.holder[:], t.mac)))
}

// A token is a pass, its holder, and a MAC over both.
type token struct {
	pass
	holder [holderSize]byte
	mac    []byte
}

func (t token) sign(key []byte, epoch uint64) []byte {
	return t.pass.mac(tokenPurpose, key, epoch, t.holder[:]...)
}

func (t token) process() Holder {
	return Holder{int(binary.BigEndian.Uint32(t.holder[:])), binary.BigEndian.Uint64(t.holder[4:])}
}

func newPass(environmentID string, until time.Time) (p pass, ok bool) {
	id, err := hex.DecodeString(environmentID)
	if err != nil || len(id) != 16 || until.Unix() < 0 || until.Unix() >= 1<<40 {
		return p, false
	}
	var seconds [8]byte
	binary.BigEndian.PutUint64(seconds[:], uint64(until.Unix()))
	copy(p[:], id)
	copy(p[16:], seconds[3:])
	_, _ = rand.Read(p[21:]) // never fails (crypto/rand)
	return p, true
}

// readKey reads an access key of ours. That it is one proves nothing.
func readKey(accessKey string) (p pass, ok bool) {
	return p, decode(p[:], keyPrefix, accessKey)
}

// readToken reads a token, whose MAC is still to be checked.
func readToken(s string) (t token, ok bool) {
	var b [passSize + holderSize + sha256.Size]byte
	ok = decode(b[:], tokenPrefix, s)
	t.pass, t.holder, t.mac = pass(b[:passSize]), [holderSize]byte(b[passSize:]), b[passSize+holderSize:]
	return t, ok
}

func decode(into []byte, prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != letters.EncodedLen(len(into)) {
		return false
	}
	n, err := letters.Decode(into, []byte(rest))
	return err == nil && n == len(into)
}

func (p pass) environment() string { return hex.EncodeToString(p[:16]) }
func (p pass) nonce() string       { return hex.EncodeToString(p[21:]) }

func (p pass) until() time.Time {
	var seconds [8]byte
	copy(seconds[3:], p[16:21])
	return time.Unix(int64(binary.BigEndian.Uint64(seconds[:])), 0)
}

func (p pass) secret(key []byte, epoch uint64) string {
	return letters.EncodeToString(p.mac(keyPurpose, key, epoch))
}

// mac covers the pass, the epoch and what more there is, which each purpose
// has of one length.
func (p pass) mac(purpose string, key []byte, epoch uint64, more ...byte) []byte {
	h := hmac.New(sha256.New, key)
	b := make([]byte, 0, len(tokenPurpose)+passSize+8+holderSize)
	b = append(append(b, purpose...), p[:]...)
	_, _ = h.Write(append(binary.BigEndian.AppendUint64(b, epoch), more...))
	return h.Sum(nil)
}
