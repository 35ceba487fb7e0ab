package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
)

// forward sends the request with the real key and answers with what comes
// back. A key that turns out dead is replaced once, where there is a newer one
// and the body can be sent again.
func (x *exchange) forward() *fault {
	resp, f := x.send(x.binding)
	if f == nil && x.keyDead(resp) {
		discard(resp)
		if f := x.renew(); f != nil {
			return f
		}
		if resp, f = x.send(x.binding); f == nil && x.keyDead(resp) {
			discard(resp)
			return x.standing()
		}
	}
	if f != nil {
		return f
	}
	defer discard(resp)
	return x.answer(resp)
}

// renew takes the newer binding that the daemon has by now, or else asks it for
// one, and makes ready to send again.
func (x *exchange) renew() *fault {
	next, f := x.g.bind(x.binding.ID)
	if f == nil && (next.Refused != nil || next.Keys == x.binding.Keys) {
		next, f = x.newer()
	}
	if f == nil {
		f = x.rebind(next)
	}
	if f != nil {
		return f
	}
	if !x.body.again() {
		return unavailable("the S3 key was replaced while the request ran: send it again")
	}
	x.record.Resent = true
	return nil
}

// newer asks the daemon for another binding than ours, whose key is refused.
func (x *exchange) newer() (Binding, *fault) {
	if x.g.o.Rejected != nil {
		next, ok := x.g.o.Rejected(x.ctx, x.binding)
		if ok {
			return next, nil
		}
		if next.Refused != nil {
			return Binding{}, next.refusal()
		}
	}
	return Binding{}, x.standing()
}

// rebind takes a newer binding, unless the gateway key was revoked meanwhile.
func (x *exchange) rebind(next Binding) *fault {
	if next.Epoch != x.binding.Epoch {
		return errMismatch
	}
	x.binding = next
	return next.refusal()
}

// standing is the answer where the cloud refuses the key and there is no newer:
// that of the daemon if it knows, else "try again", since S3 says the same when
// it can't reach its identity service.
func (x *exchange) standing() *fault {
	b, f := x.g.bind(x.binding.ID)
	if f == nil {
		f = b.refusal()
	}
	if f == nil {
		f = unavailable("the S3 server refuses the key of this environment, which is being looked into: ccactl status")
	}
	return f
}

// send is one attempt. Its faults are those of the way there and of the
// client's body.
func (x *exchange) send(b Binding) (*http.Response, *fault) {
	route, signer, err := x.g.upstreams.to(b)
	if err != nil {
		return nil, badRequest("InvalidRequest", err.Error())
	}
	if f := x.checkSource(route, signer); f != nil {
		return nil, f
	}
	if resp, f := x.checkSubresource(route, signer); resp != nil || f != nil {
		return resp, f
	}
	req := x.outgoing(route.base)
	req.Body, req.ContentLength = x.body.open(), x.body.length
	hash := x.claim.payload
	if strings.HasPrefix(hash, "STREAMING-") {
		hash = unsigned
	}
	switch {
	case req.Body == http.NoBody:
		hash = emptyHash
	case x.body.whole:
		req.GetBody = func() (io.ReadCloser, error) { return x.body.open(), nil }
	default:
		// The server decides before the body is asked for: a refusal costs no
		// upload, and the body can be sent again.
		req.Header["Expect"] = []string{"100-continue"}
	}
	resp, f := x.roundTrip(route, signer, req, hash)
	if failed := x.body.failure(); failed != nil {
		if resp != nil {
			discard(resp)
		}
		return nil, failed
	}
	return resp, f
}

// outgoing is the request without its body: from the client come the method,
// the path, the query and S3's own headers, from the binding where it goes.
func (x *exchange) outgoing(base *url.URL) *http.Request {
	u := *base
	u.Path = base.Path + x.target.path
	u.RawPath = base.EscapedPath() + escape(x.target.path, true)
	u.RawQuery = string(x.target.appendQuery(nil, unsent))
	req := (&http.Request{Method: x.r.Method, URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(x.r.Header)+4)}).WithContext(x.ctx)
	for name, values := range x.r.Header {
		if forwarded(name) {
			req.Header[name] = values
		}
	}
	x.adapt(req)
	return req
}

// roundTrip signs and sends. A redirect is not followed: its target would get a
// signature that was meant for another.
func (x *exchange) roundTrip(route *route, s *signer, req *http.Request, hash string) (*http.Response, *fault) {
	if err := s.sign(x.ctx, req, hash, x.g.now()); err != nil {
		return nil, &fault{http.StatusInternalServerError, "InternalError", "the request could not be signed"}
	}
	resp, err := x.attempts(route.transport, req)
	if err != nil {
		return nil, x.unreached(s.binding, err)
	}
	x.guard.progress()
	if resp.StatusCode < 200 || resp.StatusCode > 599 { // net/http gives out 101 and 999, and can't write them
		_ = resp.Body.Close()
		return nil, unavailable("the S3 server " + s.binding.S3.Endpoint.Host() + " answers with a status that S3 has not")
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		discard(resp)
		return nil, badRequest("InvalidRequest", "the S3 server "+s.binding.S3.Endpoint.Host()+" answers with a redirect, which is not followed")
	}
	return resp, nil
}

// maxAttempts bounds how often a request is sent that met a bad connection.
const maxAttempts = 3

// attempts sends, and sends again where a connection that had been used before
// gave no answer: servers close them. A POST may have been acted on; it is left
// to the client. A HEAD has its connection to itself: Swift writes the end of a
// body behind its refusal, which would look like the answer to whatever is next,
// and a bucket that was made would be made again.
func (x *exchange) attempts(t *http.Transport, req *http.Request) (resp *http.Response, err error) {
	req.Close = req.Method == http.MethodHead
	for range maxAttempts {
		reused := false
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
		if u, ok := req.Body.(*upload); ok {
			u.trace(trace)
		}
		resp, err = t.RoundTrip(req.WithContext(httptrace.WithClientTrace(x.ctx, trace)))
		if err == nil || !reused || req.Method == http.MethodPost || x.ctx.Err() != nil {
			break
		}
		if req.Body != http.NoBody {
			if x.body.failure() != nil || !x.body.again() {
				break
			}
			req.Body = x.body.open()
		}
	}
	return resp, err
}

// unreached says why there is no answer: a wrong certificate stays wrong, the
// rest may pass.
func (x *exchange) unreached(b Binding, err error) *fault {
	host := b.S3.Endpoint.Host()
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		name        x509.HostnameError
		record      tls.RecordHeaderError
	)
	switch {
	case x.guard.stalled.Load() && !x.body.whole && x.body.wanted():
		return errTimedOut
	case x.guard.stalled.Load():
		return unavailable("the S3 server " + host + " does not answer")
	case x.r.Context().Err() != nil:
		return &fault{statusGone, "RequestTimeout", "the client has gone"}
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &name), errors.As(err, &record):
		return badRequest("InvalidRequest", "the S3 server "+host+" can't prove that it is that: its certificate is not trusted")
	}
	return unavailable("the S3 server " + host + " can't be reached")
}

// keyDead reports whether an answer says that the key is none (any more). A
// HEAD has no words: it is asked again as a GET of the first byte.
func (x *exchange) keyDead(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
	default:
		return false
	}
	if x.r.Method != http.MethodHead {
		return deadCode(errorCode(resp))
	}
	route, signer, err := x.g.upstreams.to(x.binding)
	if err != nil {
		return false
	}
	req := x.outgoing(route.base)
	req.Method, req.Body = http.MethodGet, http.NoBody
	req.Header.Set("Range", "bytes=0-0")
	again, f := x.roundTrip(route, signer, req, emptyHash)
	if f != nil {
		return false
	}
	defer discard(again)
	return again.StatusCode == http.StatusUnauthorized || again.StatusCode == http.StatusForbidden && deadCode(errorCode(again))
}

func deadCode(code string) bool {
	return code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId" || code == "InvalidToken" || code == "ExpiredToken"
}

// errorCode reads the S3 code of an answer, and puts back what it read.
func errorCode(resp *http.Response) string {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	d := xml.NewDecoder(bytes.NewReader(head))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "Code" {
			var code string
			_ = d.DecodeElement(&code, &start)
			return code
		}
	}
}

// discard ends an answer that nobody reads. A little is read, so that the
// connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 8<<10)
	_ = resp.Body.Close()
}
