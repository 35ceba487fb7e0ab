package gateway

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStalls: whoever hangs, the exchange ends.
func TestStalls(t *testing.T) {
	b := newBench(t)
	b.g.stall = time.Second
	hang := make(chan struct{})
	defer close(hang)
	big := bytes.Repeat([]byte("x"), 1<<20)

	t.Run("the client does not send", func(t *testing.T) {
		r := b.request("PUT", "/bucket/slow", big, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) })
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Fatal(err)
		}
		c, in := b.raw(t)
		if _, err := c.Write(wire.Bytes()[:wire.Len()-10]); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(in)
		if len(answer) > 0 && !strings.Contains(string(answer), "<Code>RequestTimeout</Code>") {
			t.Errorf("the answer is %s", answer)
		}
		if _, ok := b.s3.object("/bucket/slow"); ok {
			t.Error("it became an object")
		}
		b.record(1)
	})
	t.Run("the client does not send little", func(t *testing.T) {
		var wire bytes.Buffer
		if err := b.request("PUT", "/bucket/slow", big[:1000], nil).Write(&wire); err != nil {
			t.Fatal(err)
		}
		c, in := b.raw(t)
		if _, err := c.Write(wire.Bytes()[:wire.Len()-10]); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 400 {
			t.Fatalf("%+v, %v", resp, err)
		}
		if answer, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(answer), "<Code>RequestTimeout</Code>") {
			t.Errorf("the answer is %s, %v", answer, err)
		}
		b.record(2)
	})
	t.Run("the client does not read", func(t *testing.T) {
		b.s3.set(func() {
			b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Length", itoa(64<<20))
				for range 64 {
					_, _ = w.Write(big)
				}
				return true
			}
		})
		c, _ := b.raw(t, b.request("GET", "/bucket/big", nil, nil))
		if r := b.record(3); r.Status != 200 || r.Out == 64<<20 {
			t.Errorf("it was recorded as %+v", r)
		}
		_ = c.Close()
	})
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/bucket/half" {
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
			}
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return true
		}
	})
	t.Run("the server does not answer", func(t *testing.T) {
		b.want("get", b.request("GET", "/bucket/key", nil, nil), 503, "ServiceUnavailable")
		b.want("put", b.request("PUT", "/bucket/key", big[:10], nil), 503, "ServiceUnavailable")
	})
	t.Run("the server stops in mid-body", func(t *testing.T) {
		resp, err := b.client.Do(b.request("GET", "/bucket/half", nil, nil))
		if err != nil {
			return // cut before the first byte
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("the client got %q as if it were whole", got)
		}
	})
}

// TestCancel: a client that goes ends what was asked of the server.
func TestCancel(t *testing.T) {
	b := newBench(t)
	began, ended := make(chan struct{}), make(chan struct{})
	b.s3.set(func() {
		b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
			close(began)
			<-r.Context().Done()
			close(ended)
			return true
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-began:
		case <-t.Context().Done():
		}
		cancel()
	}()
	if _, err := b.client.Do(b.request("GET", "/bucket/key", nil, nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the server was not told")
	}
	if r := b.record(1); r.Status != statusGone {
		t.Errorf("it was recorded as %+v", r)
	}
}

// TestServerFails: an answer that is cut never looks whole, a redirect is not
// followed, and S3's own errors come through.
func TestServerFails(t *testing.T) {
	b := newBench(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed with %v", r.Header)
	}))
	defer elsewhere.Close()
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/bucket/cut":
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "half")
			case "/bucket/cutchunk":
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			case "/bucket/redirect":
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			case "/bucket/busy":
				w.Header().Set("Retry-After", "3")
				s3Error(w, http.StatusServiceUnavailable, "SlowDown")
			case "/bucket/denied":
				s3Error(w, http.StatusForbidden, "AccessDenied")
			case "/bucket/dead":
				panic(http.ErrAbortHandler)
			case "/bucket/same":
				w.WriteHeader(http.StatusNotModified)
			case "/bucket/untyped":
				w.Header()["Content-Type"] = nil
				_, _ = io.WriteString(w, "<html>")
			default:
				return false
			}
			return true
		}
	})
	b.rejected = func(Binding) (Binding, bool) { t.Error("a key was taken for dead"); return Binding{}, false }
	for _, path := range []string{"/bucket/cut", "/bucket/cutchunk"} {
		resp, err := b.client.Do(b.request("GET", path, nil, nil))
		if err != nil {
			continue // cut before the first byte
		}
		if got, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: the client got %q as if it were whole", path, got)
		}
		resp.Body.Close()
	}
	b.want("a redirect", b.request("GET", "/bucket/redirect", nil, nil), 400, "InvalidRequest")
	b.want("a redirect of an upload", b.request("PUT", "/bucket/redirect", make([]byte, 1<<20), nil), 400, "InvalidRequest")
	b.want("busy", b.request("GET", "/bucket/busy", nil, nil), 503, "SlowDown")
	b.want("denied", b.request("GET", "/bucket/denied", nil, nil), 403, "AccessDenied")
	b.want("denied", b.request("HEAD", "/bucket/denied", nil, nil), 403, "")
	b.want("dead", b.request("GET", "/bucket/dead", nil, nil), 503, "ServiceUnavailable")
	b.want("not modified", b.request("GET", "/bucket/same", nil, nil), 304, "")
	if _, header, _ := b.do(b.request("GET", "/bucket/untyped", nil, nil)); header["Content-Type"] != nil {
		t.Errorf("a content type was made up: %v", header)
	}
}

// TestWhitespace: a server that keeps the client waiting with white space is
// heard at once.
func TestWhitespace(t *testing.T) {
	b := newBench(t)
	heard := make(chan struct{})
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-heard:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "<Done/>")
			return true
		}
	})
	resp, err := b.client.Do(b.request("POST", "/bucket/key?uploadId=1", []byte("<x/>"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	one := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, one); err != nil {
		t.Fatal(err)
	}
	close(heard)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "<Done/>" {
		t.Errorf("then comes %q, %v", rest, err)
	}
}

// TestKeyDead: without a newer key the answer is what the daemon knows.
func TestKeyDead(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.keys = nil })
	asked := 0
	b.rejected = func(Binding) (Binding, bool) { asked++; return Binding{}, false }
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		b.want(method, b.request(method, "/bucket/key", nil, nil), 503, "ServiceUnavailable")
	}
	b.rejected = func(Binding) (Binding, bool) {
		b.set(func() { b.binding.Refused = &Refusal{Message: "refused: ccactl verify dev"} })
		return Binding{}, false
	}
	b.want("refused meanwhile", b.request("GET", "/bucket/key", nil, nil), 403, "AccessDenied")
	b.set(func() { b.binding.Refused = nil })
	b.rejected = func(was Binding) (Binding, bool) {
		was.Refused = &Refusal{Message: "nobody looks"}
		return was, false
	}
	if body := b.want("looked into by nobody", b.request("GET", "/bucket/key", nil, nil), 403, "AccessDenied"); !strings.Contains(body, "nobody looks") {
		t.Errorf("the client is told %s", body)
	}
	b.rejected = func(was Binding) (Binding, bool) { return was, true } // "newer", and as dead
	before := b.s3.requests()
	b.want("the new one is dead too", b.request("GET", "/bucket/key", nil, nil), 503, "ServiceUnavailable")
	if n := b.s3.requests() - before; n != 2 {
		t.Errorf("it was sent %d times", n)
	}
	if asked != 3 {
		t.Errorf("the daemon was asked %d times", asked)
	}
}

// TestKeyRefused: a key that the daemon takes for refused goes nowhere, and the
// daemon is asked to look before the client is told; what it finds is used.
func TestKeyRefused(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	refused := b.binding
	refused.Keys.Secret, refused.Refused = account.NewSecret("old"), &Refusal{Message: "there is none just now", Passing: true}
	good := b.binding
	b.set(func() { b.binding = refused })
	var found Binding
	b.rejected = func(was Binding) (Binding, bool) {
		if was.Refused == nil || was.Keys != refused.Keys {
			t.Errorf("the daemon was told of %+v", was)
		}
		return found, found.ID != ""
	}
	b.want("nothing found", b.request("GET", "/bucket/key", nil, nil), 503, "ServiceUnavailable")
	if n := b.s3.requests(); n != 0 {
		t.Errorf("%d requests went out with a refused key", n)
	}
	found = good
	b.want("found", b.request("GET", "/bucket/key", nil, nil), 200, "")
	found.Epoch++
	b.want("found, and the gateway key is revoked", b.request("GET", "/bucket/key", nil, nil), 403, "SignatureDoesNotMatch")
}

// TestReachingTheServer: which failures pass and which stay.
func TestReachingTheServer(t *testing.T) {
	s3 := newFakeS3(t, httptest.NewTLSServer)
	s3.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	b := benchFor(t, s3, func(*Options) {})
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s3.Certificate().Raw}))
	name := strings.Replace(s3.URL, "127.0.0.1", "localhost", 1) // not in the certificate
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	for _, c := range []struct {
		what     string
		endpoint account.Endpoint
		status   int
		code     string
	}{
		{"its authority", account.Endpoint{URL: s3.URL, CA: authority}, 200, ""},
		{"the system's authorities", account.Endpoint{URL: s3.URL}, 400, "InvalidRequest"},
		{"another name", account.Endpoint{URL: name, CA: authority}, 400, "InvalidRequest"},
		{"no authority", account.Endpoint{URL: s3.URL, CA: "what"}, 400, "InvalidRequest"},
		{"plain http", account.Endpoint{URL: "http://s3.example"}, 400, "InvalidRequest"},
		{"nobody there", account.Endpoint{URL: "http://" + free.Addr().String()}, 503, "ServiceUnavailable"},
		{"https where http is", account.Endpoint{URL: strings.Replace(b.url, "http:", "https:", 1)}, 400, "InvalidRequest"},
	} {
		b.set(func() { b.binding.S3.Endpoint = c.endpoint })
		b.want(c.what, b.request("PUT", "/bucket/key", []byte("x"), nil), c.status, c.code)
	}
}

// TestProxy: https goes through the configured proxy's tunnel.
func TestProxy(t *testing.T) {
	s3 := newFakeS3(t, httptest.NewTLSServer)
	tunnels := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy was asked to %s", r.Method)
			return
		}
		tunnels++
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n") // net/http would read the tunnel's first byte meanwhile
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	}))
	defer proxy.Close()
	b := benchFor(t, s3, func(o *Options) { o.Proxy = parsed(t, proxy.URL) })
	b.set(func() {
		b.binding.S3.Endpoint = account.Endpoint{URL: s3.URL, CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s3.Certificate().Raw}))}
	})
	data := bytes.Repeat([]byte("x"), 1<<20)
	b.want("put", b.request("PUT", "/bucket/key", data, nil), 200, "")
	if got, _ := s3.object("/bucket/key"); !bytes.Equal(got, data) || tunnels != 1 {
		t.Errorf("%d bytes came through %d tunnels", len(got), tunnels)
	}
	b.g.Close()
	s3.CloseClientConnections()
}

func TestServerLimits(t *testing.T) {
	g := New(Options{})
	if g.stall != stallLimit {
		t.Errorf("an exchange may stall for %s", g.stall)
	}
	s := g.Server()
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 || s.ReadTimeout != 0 || s.WriteTimeout != 0 || s.Protocols.UnencryptedHTTP2() || s.ErrorLog == nil {
		t.Errorf("the server is %+v", s)
	}
}
