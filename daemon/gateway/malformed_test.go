package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wire is a signed GET of /bucket/key as it goes over the wire.
func (b *bench) wire(change func(*http.Request)) string {
	b.t.Helper()
	var wire bytes.Buffer
	if err := b.request("GET", "/bucket/key", nil, change).Write(&wire); err != nil {
		b.t.Fatal(err)
	}
	return wire.String()
}

// status writes bytes and reads the status of the first answer; 0: there is
// none before the connection ends.
func (b *bench) status(t *testing.T, wire string) int {
	t.Helper()
	c, in := b.raw(t)
	go func() { _, _ = io.WriteString(c, wire) }()
	resp, err := http.ReadResponse(in, nil)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestMalformedRequests: what is not plainly a request for us gets no further.
// Each is one that is answered 200, with one thing changed.
func TestMalformedRequests(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	good := b.wire(nil)
	with := func(header string) string { return strings.Replace(good, "\r\n", "\r\n"+header+"\r\n", 1) }
	first := func(line string) string { return line + good[strings.Index(good, "\r\n"):] }
	for what, control := range map[string]string{"as it is": good, "with a header more": with("Te: x"), "by its first line": first("GET /bucket/key HTTP/1.1")} {
		if status := b.status(t, control); status != 200 {
			t.Fatalf("a good request %s is answered %d", what, status)
		}
	}
	seen := b.s3.requests()
	for _, c := range []struct {
		what, wire string
		status     int
	}{
		{"absolute form", first("GET http://" + b.host + "/bucket/key HTTP/1.1"), 400},
		{"absolute form, elsewhere", first("GET http://evil.example/bucket/key HTTP/1.1"), 403},
		{"CONNECT", first("CONNECT 127.0.0.1:22 HTTP/1.1"), 403},
		{"CONNECT to us", first("CONNECT " + b.host + " HTTP/1.1"), 405},
		{"OPTIONS *", first("OPTIONS * HTTP/1.1"), 405},
		{"a preflight", strings.Replace(first("OPTIONS /bucket/key HTTP/1.1"), "\r\n", "\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: PUT\r\n", 1), 403},
		{"TRACE", first("TRACE /bucket/key HTTP/1.1"), 405},
		{"no path", first("GET bucket HTTP/1.1"), 400},
		{"two slashes for a host", first("GET //evil.example/bucket/key HTTP/1.1"), 403},
		{"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 403},
		{"HTTP/1.0 without a host", strings.Replace(first("GET /bucket/key HTTP/1.0"), "Host: "+b.host+"\r\n", "", 1), 403},
		{"HTTP/3.0", first("GET /bucket/key HTTP/3.0"), 505},
		{"two lengths", with("Content-Length: 1\r\nContent-Length: 2"), 400},
		{"a negative length", with("Content-Length: -1"), 400},
		{"a length of words", with("Content-Length: 0x1"), 400},
		{"two transfer encodings", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 501},
		{"another transfer encoding", with("Transfer-Encoding: gzip, chunked"), 501},
		{"two hosts", with("Host: evil.example"), 400},
		{"no host", strings.Replace(good, "Host: "+b.host+"\r\n", "", 1), 400},
		{"a name with a space", with("X-Any : private"), 400},
		{"a name with a colon in front", with(": private"), 400},
		{"a zero byte", with("X-Any: a\x00b"), 400},
		{"an unsigned x-amz header", with("X-Amz-Acl: private"), 403},
		{"one by a bare line feed", with("X-Any: a\nX-Amz-Acl: private"), 403},
		{"a body where there's none", with("Content-Length: 5") + "hello", 400},
		{"a header too large", with("X-Large: " + strings.Repeat("x", 64<<10)), 431},
		{"too many headers", with(strings.TrimSuffix(strings.Repeat("X-Any: "+strings.Repeat("x", 90)+"\r\n", 600), "\r\n")), 431},
		{"a path too long", first("GET /bucket/" + strings.Repeat("x", 64<<10) + " HTTP/1.1"), 431},
		{"a broken escape", first("GET /bucket/%zz HTTP/1.1"), 400},
		{"an unknown expectation", with("Expect: a-miracle"), 417},
		{"rubbish", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
	} {
		if status := b.status(t, c.wire); status != c.status {
			t.Errorf("%s is answered %d, want %d", c.what, status, c.status)
		}
	}
	if n := b.s3.requests() - seen; n != 0 {
		t.Errorf("%d of them went out, the last as %s %s", n, b.s3.last(t).Method, b.s3.last(t).RequestURI)
	}
}

// TestLenientRequests: what net/http reads where a stricter server would not is
// read in one way, here and there.
func TestLenientRequests(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	// A folded line is one with a space for the fold, and signed as that.
	folded := b.wire(func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "a b") })
	if status := b.status(t, strings.Replace(folded, "X-Amz-Meta-A: a b", "X-Amz-Meta-A: a\r\n  b", 1)); status != 200 {
		t.Errorf("a folded line: %d", status)
	}
	if got := b.s3.last(t).Header["X-Amz-Meta-A"]; len(got) != 1 || got[0] != "a b" {
		t.Errorf("it went out as %q", got)
	}
	// A bare line feed ends a line: what follows is a header, and not S3's.
	if status := b.status(t, strings.Replace(b.wire(nil), "\r\n", "\r\nX-Any: a\nX-Copy-From: /other/key\r\n", 1)); status != 200 {
		t.Errorf("a bare line feed: %d", status)
	}
	if got := b.s3.last(t).Header.Get("X-Copy-From"); got != "" {
		t.Errorf("what followed it went out as %q", got)
	}
	// No other protocol is changed to, and none is asked for.
	upgrade := "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	if status := b.status(t, strings.Replace(b.wire(nil), "\r\n", upgrade, 1)); status != 200 {
		t.Errorf("HTTP/2 by upgrade: %d", status)
	}
	if h := b.s3.last(t).Header; h.Get("Upgrade") != "" || h.Get("Connection") != "" || h.Get("HTTP2-Settings") != "" {
		t.Errorf("it went out with %v", h)
	}
}

// TestTwoLengths: where a length and chunks disagree, the chunks count, as RFC
// 9112 has it, and the connection ends: what some would take for a second
// request is never read as one. A length that was signed must be there.
func TestTwoLengths(t *testing.T) {
	b := newBench(t)
	var hidden bytes.Buffer
	if err := b.request("PUT", "/bucket/smuggled", []byte("x"), nil).Write(&hidden); err != nil {
		t.Fatal(err)
	}
	unsignedPayload := func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) }
	for _, c := range []struct {
		what   string
		body   string // by whose length it is signed
		status int
	}{
		{"the length is not signed", "", 200},
		{"the length is signed", "hello", 403},
	} {
		b.s3.set(func() { clear(b.s3.objects) })
		r := b.request("PUT", "/bucket/key", []byte(c.body), unsignedPayload)
		r.Body, r.ContentLength = http.NoBody, 0
		var head bytes.Buffer
		if err := r.Write(&head); err != nil {
			t.Fatal(err)
		}
		wire := strings.Replace(head.String(), "Content-Length: 0\r\n", "", 1)
		wire = strings.Replace(wire, "\r\n", "\r\nContent-Length: 300\r\nTransfer-Encoding: chunked\r\n", 1) + "5\r\nhello\r\n0\r\n\r\n" + hidden.String()
		conn, in := b.raw(t)
		if _, err := io.WriteString(conn, wire); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(in)
		if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if got := "HTTP/1.1 " + itoa(c.status) + " "; !strings.HasPrefix(string(answer), got) || strings.Count(string(answer), "HTTP/1.1 ") != 1 {
			t.Errorf("%s: answered\n%s", c.what, answer)
		}
		if got, _ := b.s3.object("/bucket/key"); string(got) != map[int]string{200: "hello"}[c.status] {
			t.Errorf("%s: stored %q", c.what, got)
		}
		if _, ok := b.s3.object("/bucket/smuggled"); ok {
			t.Errorf("%s: the hidden request was acted on", c.what)
		}
	}
}

// TestBodyNeverComes: a request of nobody's whose body does not come ends all the same,
// whether or not its client waits to be asked for it.
func TestBodyNeverComes(t *testing.T) {
	b := newBench(t)
	var all sync.WaitGroup
	for what, header := range map[string]string{
		"small": "Content-Length: 100", "asks first": "Expect: 100-continue\r\nContent-Length: 100", "large": "Content-Length: 1000000", "chunked": "Transfer-Encoding: chunked",
	} {
		c, _ := b.raw(t)
		all.Go(func() {
			_, _ = io.WriteString(c, "PUT /bucket/key HTTP/1.1\r\nHost: "+b.host+"\r\n"+header+"\r\n\r\n")
			if got, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) || !strings.HasPrefix(string(got), "HTTP/1.1 403") {
				t.Errorf("%s: %.20q, %v", what, got, err)
			}
		})
	}
	all.Wait()
}

// TestSlowHeader: a client that does not come to the end of its header is not
// waited for, whether it is silent or slow.
func TestSlowHeader(t *testing.T) {
	b := newBench(t)
	limit := b.g.Server().ReadHeaderTimeout
	if limit <= 0 || limit > 30*time.Second {
		t.Fatalf("a header may take %s", limit)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := b.g.Server()
	s.ReadHeaderTimeout = 200 * time.Millisecond
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	for what, every := range map[string]time.Duration{"silent": time.Hour, "slow": 20 * time.Millisecond} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /bucket/key HTTP/1.1\r\n")
		go func() {
			for {
				select {
				case <-t.Context().Done():
					return
				case <-time.After(every):
				}
				if _, err := io.WriteString(c, "X-Any: x\r\n"); err != nil {
					return
				}
			}
		}()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a %s client: %v", what, err)
		}
		_ = c.Close()
	}
}
