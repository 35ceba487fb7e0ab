// Package gateway is the loopback S3 endpoint: it accepts S3 requests in any
// region that are signed with a gateway key, and sends them on signed with the
// environment's real key, for its real endpoint and region.
//
//	client ──▶ admit ──▶ claim ──▶ verify ──▶ body ──▶ forward ──▶ S3 server
//	(gateway   host,     SigV4,    gateway    decode,  headers     (real key)
//	 key)      form      header    key, time, check    of S3's,
//	                     or query  epoch      hashes   re-signed
//	       ◀─────────────────── answer ◀──────────────────
//
// # Gateway keys
//
// A gateway key is worth something here only, and is stored nowhere (key.go):
// the access key names the environment and the end of its life, its secret is
// an HMAC of that and of the binding's epoch under a key of the vault. So it is
// void at once when the daemon locks, the environment is removed or bound
// anew, or its epoch is raised.
//
// # What goes out
//
// The server, its certificate authority and the region come from the Binding,
// never from a request; of the request go the method, the path, the query
// without the signature and an allowlist of headers (allowed.go). A header
// x-amz-* that the client did not sign is refused, for our signature would
// bless it. Redirects are not followed. The credential endpoint
// (credentials.go) hands out gateway keys, never real ones.
//
// # Bodies
//
// Payloads stream; memory does not depend on their size (body.go, verified.go,
// buffers.go). Chunk signatures, checksums and lengths are checked on the way,
// and the last byte is held back until they have been: a payload that is wrong
// or cut short never becomes an object. Of a multipart upload that holds for
// each part; what its end says of the whole (a checksum, a size) and of the
// parts is left to the server, which may ignore it: no part is kept here. Up to
// 64 KiB are taken in first, so they can be sent again with a newer key; a larger
// body goes out with "Expect: 100-continue", so that a refusal comes before
// anything of it was read.
//
// # Time and failure
//
// What passes is answered so that SDKs try again (503), what stays is not
// (fault.go). An exchange in which nothing moves is ended (guard.go). What is no
// proper HTTP net/http answers before we see it, in plain text and not in S3's
// XML: 400, 417, 431, 501 and 505.
package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A Binding is where an environment's requests go and with which key.
type Binding struct {
	ID      string // account.Environment.ID
	Epoch   uint64 // raised to void every gateway key
	S3      account.S3
	Keys    account.KeyPair
	Version int      // of Keys
	Refused *Refusal // why Keys may not be used; nil: they may
}

// A Refusal says why an environment has no key that may be used.
type Refusal struct {
	Message string // clients are shown it
	Passing bool   // it may be over at once: they are to try again
}

// Options of a Gateway. Hosts, Key and Bind must be set.
type Options struct {
	// Hosts are the names that requests may have for us, with the port:
	// "127.0.0.1:9000", "localhost:9000". A page of another site that made its
	// name point here is refused by them.
	Hosts []string
	// Key returns the vault's gateway key; nil while locked. It is called for
	// every request, as Bind is.
	Key func() []byte
	// Bind returns an environment's binding: ErrUnknown if it is gone, ErrLocked
	// if nothing is known just now.
	Bind func(environmentID string) (Binding, error)
	// Rejected is told that the server refuses the key of b, which Bind still
	// returns, or that b is Refused, and returns a newer binding if one can be
	// had, else where it is known one whose Refused says why there is none. Many
	// requests may tell it at once, and the server may say the same when it only
	// can't reach its identity service. Nil: never.
	Rejected func(ctx context.Context, b Binding) (Binding, bool)
	// Alive reports whether the process that a token is for still runs. Nil: all
	// do.
	Alive func(Holder) bool
	// Own reports whether the connection between two addresses, a client's and
	// ours, is a program's of the user or of root. Nil: all are.
	Own func(client, ours netip.AddrPort) bool
	// Proven is called with the context of a request once it is known to be one of
	// whoever holds a key or token. Nil: not.
	Proven func(context.Context)
	// Done is called after every request. Nil: not.
	Done func(Record)
	// Proxy is the URL of a proxy for https, through a tunnel. Nil: none.
	Proxy *url.URL
	Now   func() time.Time // nil: time.Now
}

// The classes of operations that a Record distinguishes.
const (
	ClassGet         = "get"         // of an object
	ClassPut         = "put"         // of an object or a part of one
	ClassCopy        = "copy"        // on the server
	ClassHead        = "head"        // of anything
	ClassList        = "list"        // buckets, objects, settings
	ClassDelete      = "delete"      // of one object or many
	ClassMultipart   = "multipart"   // begin, end, give up
	ClassBucket      = "bucket"      // create, change, remove
	ClassCredentials = "credentials" // the credential endpoint
)

// A Record is what is told of a request: enough for metrics and the audit
// trail, and nothing of buckets and objects.
type Record struct {
	Environment string // its id; "" until the signature has been verified
	Key         string // the gateway key's nonce, likewise
	Class       string
	Status      int    // 499: the client went before the answer
	Code        string // of an answer of the gateway's own: "ServiceUnavailable"
	In, Out     int64  // bytes of payload
	Duration    time.Duration
	Resent      bool // sent again with a newer key
}

const statusGone = 499

// A Gateway serves S3. Use it through Server.
type Gateway struct {
	o         Options
	hosts     map[string]bool
	buffers   *buffers
	whole     chan struct{} // one for each large body that is had whole
	derived   derived
	upstreams *upstreams
	stall     time.Duration
	underway  atomic.Int64 // requests whose signature has been verified
}

// New returns a Gateway.
func New(o Options) *Gateway {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alive == nil {
		o.Alive = func(Holder) bool { return true }
	}
	if o.Own == nil {
		o.Own = func(_, _ netip.AddrPort) bool { return true }
	}
	g := &Gateway{o: o, hosts: map[string]bool{}, buffers: newBuffers(), whole: make(chan struct{}, wholeBodies), stall: stallLimit}
	for _, host := range o.Hosts {
		g.hosts[strings.ToLower(host)] = true
	}
	g.upstreams = newUpstreams(o.Proxy, g.buffers)
	return g
}

// Server returns an http.Server with what the gateway needs: time and size
// limits for headers but none for bodies, which take as long as they take, and
// nothing that answers by itself or writes a log.
func (g *Gateway) Server() *http.Server {
	s := &http.Server{
		Handler:                      g,
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
		Protocols:                    new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}

// Busy reports whether a request is under way of somebody who holds a gateway
// key. Others keep nothing awake: to the port everybody may connect.
func (g *Gateway) Busy() bool { return g.underway.Load() > 0 }

// Close lets go of idle connections to S3 servers.
func (g *Gateway) Close() {
	g.upstreams.mu.Lock()
	defer g.upstreams.mu.Unlock()
	g.upstreams.closeLocked()
}

func (g *Gateway) now() time.Time { return g.o.Now() }

// bind asks for a binding, which may be refused.
func (g *Gateway) bind(id string) (Binding, *fault) {
	b, err := g.o.Bind(id)
	switch {
	case err == nil && b.Refused == nil:
		return b, nil
	case err == nil:
		g.upstreams.forget(id)
		return b, nil
	case errors.Is(err, ErrUnknown):
		g.upstreams.forget(id)
		return b, denied("InvalidAccessKeyId", "the environment of this gateway key is gone")
	case errors.Is(err, ErrLocked):
		return b, errLocked
	}
	return b, unavailable("the environment of this gateway key can't be had just now")
}

// refusal says in S3's words why nothing goes out by a binding; nil: it does.
func (b Binding) refusal() *fault {
	switch {
	case b.Refused != nil && b.Refused.Passing:
		return unavailable(b.Refused.Message)
	case b.Refused != nil:
		return denied("AccessDenied", b.Refused.Message)
	case b.S3.Endpoint.IsZero():
		return denied("AccessDenied", "the environment has no S3 endpoint")
	case b.Keys.Secret.Empty():
		return denied("AccessDenied", "the environment has no S3 key")
	}
	return nil
}
