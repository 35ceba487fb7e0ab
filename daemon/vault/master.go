package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
)

// A Master is what the keyring holds and nothing else does: the age identity
// that opens the store, and the key that proves who wrote it. Anyone who has
// seen the recipient could seal a store to it; only a holder of the MAC key can
// write one that is believed.
type Master struct {
	identity *age.X25519Identity
	mac      []byte
	fresh    bool // made by this process: no store can be sealed to it yet
}

// NewMaster makes a fresh one. Open creates a store for it.
func NewMaster() (Master, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return Master{}, fmt.Errorf("make a master key: %w", err)
	}
	return Master{identity: identity, mac: randomKey(), fresh: true}, nil
}

// Format prints nothing of it, with any verb.
func (Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// authenticator makes the MAC of a store with that header, of the contents that
// are written to it.
func (m Master) authenticator(h header) hash.Hash {
	sum := hmac.New(sha256.New, m.mac)
	_, _ = io.WriteString(sum, "ccad store\n")
	_ = binary.Write(sum, binary.BigEndian, [2]uint64{uint64(h.Schema), h.Sequence})
	return sum
}

// masterRecord is the keyring's item. Its identity is one that the age tool
// takes, should the store ever have to be opened without ccad.
type masterRecord struct {
	Identity string `json:"identity"`
	MAC      []byte `json:"mac"`
}

func (m Master) encode() ([]byte, error) {
	return json.Marshal(masterRecord{m.identity.String(), m.mac})
}

// decodeMaster says nothing about what it was given: that is a secret.
func decodeMaster(data []byte) (Master, error) {
	var r masterRecord
	if json.Unmarshal(data, &r) != nil || len(r.MAC) != sha256.Size {
		return Master{}, errors.New("not a master key")
	}
	identity, err := age.ParseX25519Identity(r.Identity)
	if err != nil {
		return Master{}, errors.New("not a master key")
	}
	return Master{identity: identity, mac: r.MAC}, nil
}
