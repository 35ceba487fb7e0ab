package gateway

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// What Options.Bind returns for an environment that is gone, and for any while
// ccad is locked.
var (
	ErrUnknown = errors.New("no such environment")
	ErrLocked  = errors.New("ccad is locked")
)

// A fault is an answer of the gateway's own, in S3's words. SDKs act on the
// code: 503 is tried again by all, 403 and most of 400 by none.
type fault struct {
	status        int
	code, message string
}

func (f *fault) Error() string { return f.message }

func badRequest(code, message string) *fault {
	return &fault{http.StatusBadRequest, code, message}
}

func denied(code, message string) *fault {
	return &fault{http.StatusForbidden, code, message}
}

func unavailable(message string) *fault {
	return &fault{http.StatusServiceUnavailable, "ServiceUnavailable", message}
}

var (
	errLocked   = unavailable("ccad is locked: run ccactl unlock")
	errMismatch = denied("SignatureDoesNotMatch", "the signature does not match: the request changed on its way, the secret is another one, or the gateway key was revoked")
	errUnsigned = denied("AccessDenied", "the request has a header x-amz-* that is not signed")
	errTimedOut = badRequest("RequestTimeout", "the request body did not come in time")
	errCut      = badRequest("IncompleteBody", "the request body ended early")
)

// What is read of a body that nobody wants, before the answer to it: a client
// that still writes when the connection is closed never reads why.
const (
	drainLimit = 16 << 20
	drainTime  = 2 * time.Second
)

// refuse answers with a fault, unless the answer has begun: then the connection
// is cut, since S3 has no other way to say that a body is not whole.
func (x *exchange) refuse(f *fault) {
	if x.record.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	x.record.Code = f.code
	if x.r.Header.Get("Expect") == "" || x.body != nil && x.body.wanted() {
		x.drain()
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Error><Code>" + f.code + "</Code><Message>")
	_ = xml.EscapeText(&b, []byte(f.message))
	b.WriteString("</Message></Error>")
	x.reply(f.status, "application/xml", b.Bytes())
}

// drain takes what a client still sends. The deadline also ends an upload that
// waits for more of it, and without which net/http could not end the request. A
// body that has failed is not read on: nobody knows where it ends.
func (x *exchange) drain() {
	if x.r.ContentLength == 0 || x.body != nil && x.body.failure() != nil {
		return
	}
	_ = x.guard.client.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, x.r.Body, drainLimit)
	_ = x.guard.client.SetReadDeadline(time.Time{})
}

// reply sends a small answer of the gateway's own.
func (x *exchange) reply(status int, contentType string, body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if x.guard.stalled.Load() {
		h.Set("Connection", "close") // its deadlines have passed
	}
	x.w.WriteHeader(status)
	x.record.Status = status
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write(body)
		x.record.Out += int64(n)
	}
}
