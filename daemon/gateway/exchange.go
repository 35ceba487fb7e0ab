package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// An exchange is one request and what became of it.
type exchange struct {
	g      *Gateway
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context // ends with the request, or when it stalls
	guard  *guard
	record Record

	target        target
	claim         claim
	signingKey    []byte
	binding       Binding
	body          *body
	whole         bool         // it has one of the places in Gateway.whole
	in            atomic.Int64 // bytes of payload, counted by whoever reads it
	sourceChecked bool         // by checkSource, for the attempt under way
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{g: g, w: w, r: r}
	start := time.Now()
	var cancel context.CancelFunc
	x.ctx, cancel = context.WithCancel(r.Context())
	x.guard = newGuard(w, cancel, g.stall)
	defer func() {
		if r.ContentLength != 0 { // net/http reads what is left of a body, for as long as that takes
			_ = x.guard.client.SetReadDeadline(time.Now().Add(drainTime))
		}
		x.guard.stop()
		if x.body != nil {
			x.body.end()
		}
		if x.whole {
			<-g.whole
		}
		if x.record.Environment != "" {
			g.underway.Add(-1)
		}
		x.record.Duration, x.record.In = time.Since(start), x.in.Load()
		if g.o.Done != nil {
			g.o.Done(x.record)
		}
	}()
	if r.ContentLength == 0 && r.Header.Get("Expect") != "" && r.ProtoAtLeast(1, 1) {
		// net/http leaves this out where no body follows; botocore then takes the
		// next answer on the connection for it, and waits for a minute.
		w.WriteHeader(http.StatusContinue)
	}
	if len(r.TransferEncoding) > 0 {
		// Whoever else counts a Content-Length beside it sees another request here.
		w.Header().Set("Connection", "close")
	}
	f := x.admit()
	if f == nil && x.target.path == CredentialPath {
		x.record.Class = ClassCredentials
		if f := x.credentials(); f != nil {
			x.refuseCredentials(f)
		}
		return
	}
	if f == nil {
		f = x.serve()
	}
	if f != nil {
		x.refuse(f)
	}
}

// admit refuses what no S3 client of this machine sends.
func (x *exchange) admit() (f *fault) {
	if !x.g.hosts[strings.ToLower(x.r.Host)] {
		return denied("AccessDenied", "this is not the host that the request names; S3 clients must use path-style addresses here")
	}
	if x.r.Header["Origin"] != nil {
		return denied("AccessDenied", "requests of web pages are refused")
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
	default:
		return &fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "S3 has no such method"}
	}
	x.target, f = readTarget(x.r.RequestURI)
	return f
}

// serve is the way of a request to S3.
func (x *exchange) serve() *fault {
	x.record.Class = x.class()
	for _, step := range []func() *fault{x.authenticate, x.allowed, x.usable, x.openBody, x.forward} {
		if f := step(); f != nil {
			return f
		}
	}
	return nil
}

// authenticate checks the signature and so finds the binding.
func (x *exchange) authenticate() (f *fault) {
	if x.claim, f = readClaim(x.r, x.target); f != nil {
		return f
	}
	key := x.g.o.Key()
	if key == nil {
		return errLocked
	}
	p, ok := readKey(x.claim.accessKey)
	if !ok {
		return denied("InvalidAccessKeyId", "the access key is no gateway key of ccad's")
	}
	if x.binding, f = x.g.bind(p.environment()); f != nil {
		return f
	}
	of := derivation{string(key), x.claim.accessKey, x.claim.scope, x.binding.Epoch}
	known := false
	if x.signingKey, known = x.g.derived.get(of); !known {
		x.signingKey = x.claim.derive(p.secret(key, x.binding.Epoch))
	}
	if !x.claim.signedBy(x.signingKey, x.r, x.target) {
		return errMismatch
	}
	if !known {
		x.g.derived.put(of, x.signingKey)
	}
	now := x.g.now()
	if !now.Before(p.until()) {
		return denied("ExpiredToken", "the gateway key has expired")
	}
	if f := x.claim.timely(now); f != nil {
		return f
	}
	if x.claim.unsignedHeader(x.r.Header) {
		return errUnsigned
	}
	x.proven(x.binding, p)
	return nil
}

// proven notes that whoever asks holds a key or token of ours that is good now: one
// of former times may be in anybody's hands.
func (x *exchange) proven(b Binding, p pass) {
	x.record.Environment, x.record.Key = b.ID, p.nonce()
	x.g.underway.Add(1)
	if x.g.o.Proven != nil {
		x.g.o.Proven(x.r.Context())
	}
}

// usable makes sure that there is a key to go out with. What the daemon takes
// for refused may have been replaced by now: it is asked to look.
func (x *exchange) usable() *fault {
	if x.binding.Refused == nil {
		return x.binding.refusal()
	}
	next, f := x.newer()
	if f != nil {
		return f
	}
	return x.rebind(next)
}

// received counts a piece of the payload.
func (x *exchange) received(n int) {
	x.guard.progress()
	x.in.Add(int64(n))
}

// class sorts the request into one of the classes.
func (x *exchange) class() string {
	_, key := x.target.names()
	t := x.target
	switch method := x.r.Method; {
	case method == http.MethodHead:
		return ClassHead
	case method == http.MethodDelete && key != "" && !t.has("uploadId"), x.deletes():
		return ClassDelete
	case t.has("uploads"), t.has("uploadId") && method != http.MethodPut:
		return ClassMultipart
	case method == http.MethodGet && key != "" && !t.has("acl") && !t.has("tagging"):
		return ClassGet
	case method == http.MethodGet:
		return ClassList
	case method == http.MethodPut && x.r.Header.Get("X-Amz-Copy-Source") != "":
		return ClassCopy
	case method == http.MethodPut && key != "":
		return ClassPut
	}
	return ClassBucket
}
