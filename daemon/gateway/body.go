package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// smallBody is taken in whole before anything goes out: it is verified first,
	// can be sent again, and needs no Expect.
	smallBody = 64 << 10
	// wholeBody caps what must be had whole for another reason: a header that
	// the server wants, a body that is rewritten.
	wholeBody = 2 << 20
	// wholeBodies is how many above smallBody are had whole at a time.
	wholeBodies = 4
	// chunkRoom is for the lines between chunks; their data mostly passes by it.
	chunkRoom = 16 << 10
)

const algorithmStreaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

// A body is the payload as it goes out, as often as that may be: what was taken
// in whole any number of times, a stream until something of it has been read.
type body struct {
	length int64     // -1: not known
	whole  bool      // data is all of it
	data   []byte    // what was taken in before it went out
	stream *verified // the rest

	mu    sync.Mutex
	last  *upload // the attempt that may read the stream
	begun bool    // it has
}

var errOver = errors.New("the attempt is over")

// openBody finds out how the payload is covered and encoded, and takes in what
// must be had before anything goes out.
func (x *exchange) openBody() *fault {
	streaming := strings.HasPrefix(x.claim.payload, "STREAMING-")
	if x.r.ContentLength == 0 && !streaming {
		x.body = &body{whole: true}
		return x.empty()
	}
	if x.r.Method != http.MethodPut && x.r.Method != http.MethodPost {
		return badRequest("InvalidRequest", "a "+x.r.Method+" request has no body")
	}
	v := &verified{src: x.r.Body, length: x.r.ContentLength, tick: x.received}
	x.body = &body{stream: v}
	var f *fault
	if !x.completes() {
		if v.promises, f = promises(x.r.Header, x.target); f != nil {
			return f
		}
	}
	if streaming {
		f = x.decode(v)
	} else {
		f = x.hashed(v)
	}
	if f != nil {
		return f
	}
	x.body.length = v.length
	switch {
	case x.wantsWhole():
		return x.takeWhole()
	case v.length <= smallBody:
		return x.body.take(smallBody, false)
	}
	return nil
}

// takeWhole takes in a body that is needed whole. A large one waits until there is
// room for it, which it has to the end of the exchange.
func (x *exchange) takeWhole() *fault {
	if n := x.body.length; n < 0 || n > smallBody {
		select {
		case x.g.whole <- struct{}{}:
			x.whole = true
		case <-x.ctx.Done():
			return unavailable("too many large requests are under way that must be had whole")
		}
	}
	f := x.body.take(wholeBody, true)
	if f == nil && x.creates() {
		f = x.anyRegion()
	}
	return f
}

// empty checks what is said of a payload that is none.
func (x *exchange) empty() *fault {
	if x.claim.payload != unsigned && x.claim.payload != emptyHash {
		return badRequest("BadDigest", "the payload is empty, and its hash is not that of nothing")
	}
	if x.completes() {
		return nil
	}
	all, f := promises(x.r.Header, x.target)
	for _, promise := range all {
		if f == nil {
			f = promise.kept()
		}
	}
	return f
}

// hashed covers a payload that comes as it is. A large one whose hash is signed
// is left to the server, which is told the hash.
func (x *exchange) hashed(v *verified) *fault {
	if x.claim.payload == unsigned {
		return nil
	}
	want, err := hex.DecodeString(x.claim.payload)
	if err != nil || len(want) != sha256.Size {
		return badRequest("InvalidArgument", "x-amz-content-sha256 is neither a hash nor a known way to cover the payload")
	}
	if v.length <= smallBody || x.wantsWhole() {
		v.promises = append(v.promises, &promise{algorithm: "sha256", hash: sha256.New(), want: want})
	}
	return nil
}

// decode covers a payload in the aws-chunked encoding.
func (x *exchange) decode(v *verified) (f *fault) {
	c := &chunks{in: bufio.NewReaderSize(x.r.Body, chunkRoom)}
	switch x.claim.payload {
	case algorithmStreaming:
		c.chain = newChain(&x.claim, x.signingKey)
	case algorithmStreaming + "-TRAILER":
		c.chain, c.trailer = newChain(&x.claim, x.signingKey), true
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		c.trailer = true
	default:
		return &fault{http.StatusNotImplemented, "NotImplemented", "this way of signing a streamed payload is not known"}
	}
	if x.claim.presigned {
		return badRequest("InvalidRequest", "a presigned URL takes no chunked payload")
	}
	if v.length, f = decodedLength(x.r.Header, c.chain != nil); f != nil {
		return f
	}
	if c.trailer {
		if c.promises, f = announced(x.r.Header); f != nil {
			return f
		}
		v.promises = append(v.promises, c.promises...)
	}
	v.src = c
	return nil
}

// decodedLength reads x-amz-decoded-content-length. Only a stream of unsigned
// chunks may do without.
func decodedLength(h http.Header, signed bool) (int64, *fault) {
	value := h.Get("X-Amz-Decoded-Content-Length")
	if value == "" && !signed {
		return -1, nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0, &fault{http.StatusLengthRequired, "MissingContentLength", "x-amz-decoded-content-length is missing or no number"}
	}
	return int64(n), nil
}

// announced starts the checksums that x-amz-trailer names.
func announced(h http.Header) ([]*promise, *fault) {
	var all []*promise
	for _, value := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if !isChecksum(name) {
				return nil, badRequest("InvalidRequest", "x-amz-trailer names something else than a checksum")
			}
			p, f := newPromise(name)
			if f != nil {
				return nil, f
			}
			all = append(all, p)
		}
	}
	if len(all) == 0 || len(all) > maxTrailers/2 {
		return nil, badRequest("InvalidRequest", "x-amz-trailer names no checksum, or too many")
	}
	return all, nil
}

// take reads up to limit bytes before anything goes out. What is longer fails
// if it must be had whole, and else goes on as a stream.
func (b *body) take(limit int64, must bool) *fault {
	room := limit + 1
	if b.length >= 0 {
		room = min(room, b.length+1) // one more, to see the end
	}
	buf := bytes.NewBuffer(make([]byte, 0, min(room, smallBody)+bytes.MinRead))
	n, err := io.CopyN(buf, b.stream, room)
	if f := b.failure(); f != nil {
		return f
	}
	if err == nil && must {
		return badRequest("MalformedXML", "the request body is too long")
	}
	b.data, b.begun = buf.Bytes(), false
	if err != nil { // the end
		b.whole, b.length = true, n
	}
	return nil
}

// failure returns what was wrong with the payload, if anything was so far.
func (b *body) failure() *fault {
	if b.stream == nil {
		return nil
	}
	return b.stream.failed.Load()
}

// open begins an attempt to send the body. A stream's attempt is an upload.
func (b *body) open() io.ReadCloser {
	switch {
	case b.whole && len(b.data) == 0:
		return http.NoBody
	case b.whole:
		return io.NopCloser(bytes.NewReader(b.data))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = &upload{b: b, r: io.MultiReader(bytes.NewReader(b.data), b.stream), asked: make(chan struct{}), over: make(chan struct{})}
	return b.last
}

// again reports whether the body can be sent once more.
func (b *body) again() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun {
		return false
	}
	b.endLocked()
	return true
}

// end takes the body from the last attempt, which may not have noticed that it
// is over.
func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endLocked()
}

func (b *body) endLocked() {
	if b.last != nil {
		close(b.last.over)
		b.last = nil
	}
}

// wanted reports whether the client has been asked for the body, by reading it.
func (b *body) wanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun || b.whole || len(b.data) > 0
}

// An upload is one attempt's view of a stream. It goes out with "Expect:
// 100-continue", and where the server answers without asking for the body, it
// is not to be sent: net/http would send it, for the connection's sake, and
// Swift would take it for the next request.
type upload struct {
	b     *body
	r     io.Reader
	going bool          // by who reads
	heard atomic.Bool   // the server has said something
	asked chan struct{} // closed when that was "100 Continue"
	over  chan struct{} // closed when the attempt is over
}

func (u *upload) Read(p []byte) (int, error) {
	if !u.going && u.heard.Load() {
		select {
		case <-u.asked:
		case <-u.over:
			return 0, errOver
		}
	}
	u.going = true
	u.b.mu.Lock()
	mine := u.b.last == u
	u.b.begun = u.b.begun || mine
	u.b.mu.Unlock()
	if !mine {
		return 0, errOver
	}
	return u.r.Read(p)
}

// Close does nothing: the client's body is net/http's to close.
func (u *upload) Close() error { return nil }

// trace lets the attempt hear what the server says.
func (u *upload) trace(t *httptrace.ClientTrace) {
	var once sync.Once
	t.GotFirstResponseByte = func() { u.heard.Store(true) }
	t.Got100Continue = func() { once.Do(func() { close(u.asked) }) }
}
