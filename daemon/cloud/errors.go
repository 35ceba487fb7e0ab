package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// The kinds of failure. Every error of this room is one of them (errors.Is) and
// an *Error or *RegionError (errors.As).
var (
	// ErrRefused: the cloud said no to the secret that the call went with.
	ErrRefused = errors.New("refused")
	// ErrPasswordExpired is an ErrRefused: the password is right and must be
	// changed first. ChangePassword works with it; Error.UserID says for whom.
	ErrPasswordExpired = fmt.Errorf("%w: the password has expired", ErrRefused)
	// ErrUnreachable: no answer, or none of Keystone or S3. Says nothing about
	// the secret.
	ErrUnreachable = errors.New("unreachable")
	// ErrLimited: asked too often; Error.RetryAfter may say until when.
	ErrLimited = errors.New("rate-limited")
	// ErrNotFound: what was named is not there (any more).
	ErrNotFound = errors.New("not found")
	// ErrNotOffered: this cloud has no such API.
	ErrNotOffered = errors.New("not offered")
	// ErrConflict: there is one already.
	ErrConflict = errors.New("already there")
	// ErrPolicy: the new password is against a rule; Error.Policy says which.
	ErrPolicy = errors.New("against the password policy")
	// ErrInvalid: the request is wrong in itself, or was not sent for what it
	// says; asking again is no use.
	ErrInvalid = errors.New("invalid request")
)

// A Policy is a rule for passwords, told apart by Keystone's words alone.
type Policy string

// The rules.
const (
	PolicyAge     Policy = "the password was changed too recently"
	PolicyHistory Policy = "the new password was used before"
	PolicyPattern Policy = "the new password does not meet the requirements"
	PolicyLocked  Policy = "this user may not change his password"
)

// An Error is a failed call: one line, in our words, never a secret and never
// what the other end wrote.
type Error struct {
	Op         string // "for a token"
	Host       string
	Kind       error         // one of the sentinels
	Status     int           // of HTTP; 0 without an answer
	Sent       bool          // the request may have arrived
	RetryAfter time.Duration // the cloud's wish; 0 without one
	UserID     string        // with ErrPasswordExpired
	Policy     Policy        // with ErrPolicy

	spoken bool // the answer is a document of Keystone's own
	reason string
	cause  error // of the network or TLS, for errors.As; not printed, for it may quote the other end
}

// Error is one line, as "ask auth.cloud.ca for a token: refused (401)".
func (e *Error) Error() string {
	line := fmt.Sprintf("ask %s %s: %s", e.Host, e.Op, e.reason)
	if e.Status != 0 {
		line += fmt.Sprintf(" (%d)", e.Status)
	}
	return line
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// A RegionError says that S3 wants requests signed for another region. The key
// has not been looked at.
type RegionError struct {
	Host string
	Want string
}

// Error is one line that names the wanted region.
func (e *RegionError) Error() string {
	return fmt.Sprintf("ask %s to list the buckets: it wants them signed for region %q", e.Host, e.Want)
}

// Unwrap returns ErrInvalid: signed like that, it is no use asking again.
func (e *RegionError) Unwrap() error { return ErrInvalid }

// MayHaveJudged reports whether the cloud may have acted on the request behind
// err: counted a failed login, made the key. It is false only where that is
// sure: nothing was sent, or the answer shows that nobody looked.
func MayHaveJudged(err error) bool {
	if region := (*RegionError)(nil); errors.As(err, &region) {
		return false
	}
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		return true
	}
	switch e.Kind {
	case ErrInvalid, ErrLimited, ErrNotOffered, ErrNotFound, ErrPolicy:
		return false
	}
	return e.Sent && (e.Status < 300 || e.Status > 399)
}

// Declined reports whether it is sure that Keystone did not do what it was asked,
// and that asking again is no use: it says so in its own words, or the request
// was wrong before it was sent. A 401 is no such word, for a request that a proxy
// sends twice may be done first and refused then.
func Declined(err error) bool {
	e := (*Error)(nil)
	if !errors.As(err, &e) || !e.Sent {
		return e != nil && e.Kind == ErrInvalid
	}
	return e.spoken && e.Kind != ErrLimited && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusUnauthorized
}

// Denied reports whether the cloud lets a user not do this by himself, whatever
// he proves: it does not offer it, or its rules forbid it (so says a quota, too).
func Denied(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && (e.Kind == ErrNotOffered || e.Policy == PolicyLocked || e.spoken && e.Status == http.StatusForbidden)
}

// Unheard reports whether nobody has looked at the request behind err, and
// asking again may be: it was not sent, or came too often.
func Unheard(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && (e.Kind == ErrLimited || !e.Sent && e.Kind != ErrInvalid)
}

// Late reports whether err is that no answer came in time: whoever asks the same
// host next waits as long.
func Late(err error) bool {
	timeout := net.Error(nil)
	return errors.Is(err, ErrUnreachable) && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout())
}

var (
	errCA      = errors.New("the certificate authority is no PEM certificate")
	errHeader  = errors.New("the token or the access key is malformed")
	errGarbled = errors.New("a secret is not valid UTF-8") // JSON would turn it into another one
)

// A tunnelError is the HTTP status of a proxy that gives no way to the cloud.
type tunnelError int

func (e tunnelError) Error() string { return fmt.Sprintf("the proxy refuses (%d)", int(e)) }

// silence describes why there is no answer, in our words.
func silence(err error, sent bool) string {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		cert      *tls.CertificateVerificationError
		alert     tls.AlertError
		dns       *net.DNSError
		op        *net.OpError
		tunnel    tunnelError
		timeout   net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &authority):
		return "its certificate is of an authority that is not trusted here"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &cert):
		return "its certificate is not valid"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS"
	case errors.As(err, &alert):
		return "the TLS handshake failed"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns):
		return "its name could not be looked up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &tunnel):
		return tunnel.Error()
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "the proxy gave no connection"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case sent: // hung up, or spoke no HTTP
		return "it gave no whole answer"
	}
	return "no connection"
}
