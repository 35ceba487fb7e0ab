package account

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that must not be shown: a password, a secret access key, a
// token. Every way of printing it (fmt with any verb, slog, JSON, text) yields
// "[redacted]", also when it is empty, so that a print tells nothing at all.
// The zero value is the empty secret.
type Secret struct{ value string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself. It is the only way to it: a review greps
// for this name.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == "" }

// Equal compares in constant time for secrets of one length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.value), []byte(other.value)) == 1
}

// Format implements fmt.Formatter, and so covers every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts. What must hold the value (the sealed store, a view, a
// request to the cloud) calls Reveal and says so by that.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText redacts, for encoders that know no JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON refuses: a decoder that meets a Secret has the wrong type.
func (*Secret) UnmarshalJSON([]byte) error {
	return errors.New("a secret is not decoded implicitly")
}

// UnmarshalText refuses, as UnmarshalJSON does.
func (*Secret) UnmarshalText([]byte) error {
	return errors.New("a secret is not decoded implicitly")
}
