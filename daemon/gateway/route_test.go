package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

// TestEndpointWithPath: an S3 API may be below a path of its server.
func TestEndpointWithPath(t *testing.T) {
	b := newBench(t)
	b.set(func() { b.binding.S3.Endpoint.URL += "/s3%20api" })
	b.want("put", b.request("PUT", "/bucket/a%20b", []byte("x"), nil), 200, "")
	if got, _ := b.s3.object("/s3%20api/bucket/a%20b"); string(got) != "x" {
		t.Errorf("it went to %s", b.s3.last(t).RequestURI)
	}
	b.want("get", b.request("GET", "/bucket/a%20b", nil, nil), 200, "")
	b.want("copy", b.request("PUT", "/bucket/copy", nil, func(r *http.Request) {
		r.Header.Set("X-Amz-Copy-Source", "/bucket/a%20b")
		r.Header.Set("X-Amz-Copy-Source-If-Match", `"0-2"`)
	}), 412, "PreconditionFailed")
}

// TestOtherRegion: a signer that was warm signs for the region of now.
func TestOtherRegion(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	b.want("before", b.request("GET", "/bucket/key", nil, nil), 200, "")
	b.s3.set(func() { b.s3.region = "other" })
	b.set(func() { b.binding.S3.Region = "other" })
	b.want("after", b.request("GET", "/bucket/key", nil, nil), 200, "")
}

// TestForgotten: the real key of what is gone or refused is not kept.
func TestForgotten(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	kept := func() bool {
		b.g.upstreams.mu.Lock()
		defer b.g.upstreams.mu.Unlock()
		return b.g.upstreams.signers[b.binding.ID] != nil
	}
	for what, change := range map[string]func(){
		"gone":    func() { b.bindErr = ErrUnknown },
		"refused": func() { b.binding.Refused = &Refusal{Message: "refused"} },
	} {
		b.set(func() { b.bindErr, b.binding.Refused = nil, nil })
		b.want("before", b.request("GET", "/bucket/key", nil, nil), 200, "")
		if !kept() {
			t.Fatal("the signer is made anew each time")
		}
		b.set(change)
		b.want(what, b.request("GET", "/bucket/key", nil, nil), 403, "")
		if kept() {
			t.Errorf("%s: its signer is kept", what)
		}
	}
}

// TestBucketsLocation: a new bucket's is a path here; a server that names a host
// is not quoted.
func TestBucketsLocation(t *testing.T) {
	b := newBench(t)
	for location, want := range map[string]string{"/new": "/new", "http://evil.example/new": "", "//evil.example/new": "", "new": ""} {
		b.s3.set(func() {
			b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Location", location)
				return true
			}
		})
		if _, header, _ := b.do(b.request("PUT", "/new", nil, nil)); header.Get("Location") != want {
			t.Errorf("%s is passed on as %q", location, header.Get("Location"))
		}
	}
}

// TestOwnConnectionOfHead: a HEAD closes its connection, and no other request
// does, since opening one costs.
func TestOwnConnectionOfHead(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	for method, closes := range map[string]bool{"HEAD": true, "GET": false, "PUT": false, "DELETE": false} {
		b.do(b.request(method, "/bucket/key", nil, nil))
		if got := b.s3.last(t).Close; got != closes {
			t.Errorf("%s closes its connection: %v", method, got)
		}
	}
}

// TestSentAgain: a connection that the server has closed meanwhile gives no
// answer, and the request is sent again, but for a POST: it may have been acted
// on.
func TestSentAgain(t *testing.T) {
	for method, status := range map[string]int{"GET": 200, "PUT": 200, "DELETE": 204, "POST": 503} {
		b := newBench(t)
		b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
		b.want("first", b.request("GET", "/bucket/key", nil, nil), 200, "")
		var came atomic.Int64
		b.s3.set(func() {
			b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
				if came.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		})
		b.want(method, b.request(method, "/bucket/key?uploadId=1", nil, nil), status, "")
		if want := map[bool]int{true: 1, false: 2}[method == "POST"]; came.Load() != int64(want) {
			t.Errorf("%s was sent %d times, want %d", method, came.Load(), want)
		}
	}
}

// TestPlainHTTPGoesDirect: a proxy would read it.
func TestPlainHTTPGoesDirect(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the proxy was asked to %s %s", r.Method, r.RequestURI)
	}))
	defer proxy.Close()
	b := benchFor(t, newFakeS3(t, httptest.NewServer), func(o *Options) { o.Proxy = parsed(t, proxy.URL) })
	b.want("put", b.request("PUT", "/bucket/key", []byte("x"), nil), 200, "")
}

// TestOldTLS: a server that can do no better than TLS 1.1 is not spoken to.
func TestOldTLS(t *testing.T) {
	for version, status := range map[uint16]int{tls.VersionTLS11: 503, tls.VersionTLS12: 200} {
		s3 := newFakeS3(t, func(h http.Handler) *httptest.Server {
			s := httptest.NewUnstartedServer(h)
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			return s
		})
		b := benchFor(t, s3, func(*Options) {})
		b.set(func() {
			b.binding.S3.Endpoint = account.Endpoint{URL: s3.URL, CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s3.Certificate().Raw}))}
		})
		b.want(tls.VersionName(version), b.request("PUT", "/bucket/key", []byte("x"), nil), status, "")
		b.g.Close()
		s3.CloseClientConnections()
	}
}

// TestBuffers: few are large, whoever asks, and they come back.
func TestBuffers(t *testing.T) {
	b := newBuffers()
	var lent []*[]byte
	for range 64 {
		lent = append(lent, b.get(-1))
	}
	large := 0
	for _, buf := range lent {
		if len(*buf) == largeBuffer {
			large++
		}
		b.put(buf)
	}
	if large != largeBuffers {
		t.Errorf("%d of 64 are large, want %d", large, largeBuffers)
	}
	for length, want := range map[int64]int{-1: largeBuffer, 0: smallBuffer, smallBuffer: smallBuffer, smallBuffer + 1: largeBuffer} {
		buf := b.get(length)
		if len(*buf) != want {
			t.Errorf("for %d bytes there is a buffer of %d", length, len(*buf))
		}
		b.put(buf)
	}
}

// widest is a connection that notes how much it was given at once.
type widest struct {
	net.Conn
	most int
}

func (w *widest) Write(p []byte) (int, error) { w.most = max(w.most, len(p)); return len(p), nil }

// TestUploadInLargePieces: what net/http copies to a connection to the server
// goes there in pieces of a large buffer.
func TestUploadInLargePieces(t *testing.T) {
	w := &widest{}
	if _, err := io.Copy(newConn(w, newBuffers()), struct{ io.Reader }{bytes.NewReader(make([]byte, 3<<20))}); err != nil || w.most != largeBuffer {
		t.Errorf("at most %d bytes at once, %v", w.most, err)
	}
}

// TestUploadsShareBuffers: uploads use the buffers of all transfers, of which few
// are large, and give them back.
func TestUploadsShareBuffers(t *testing.T) {
	b := newBench(t)
	r, err := b.g.upstreams.open(b.binding.S3.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.transport.DialContext(t.Context(), "tcp", r.base.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.(*conn).buffers != b.g.buffers {
		t.Error("a connection to the server has buffers of its own")
	}
	shared := newBuffers()
	for range largeBuffers - 1 {
		shared.get(-1)
	}
	for _, want := range []int{largeBuffer, largeBuffer, smallBuffer} {
		if want == smallBuffer {
			shared.get(-1) // the last large one
		}
		w := &widest{}
		if _, err := io.Copy(newConn(w, shared), struct{ io.Reader }{bytes.NewReader(make([]byte, 3<<20))}); err != nil || w.most != want {
			t.Errorf("at most %d bytes at once, want %d, %v", w.most, want, err)
		}
	}
}
