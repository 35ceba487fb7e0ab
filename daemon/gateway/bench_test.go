package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// The figures against a server that does nothing, on loopback: what the gateway
// itself costs. Each has its "direct" beside it.

// nullS3 takes and gives bytes without looking.
func nullS3(size int64) http.Handler {
	zeros := make([]byte, 1<<20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, make([]byte, min(r.ContentLength+1, 1<<20)))
			return
		}
		w.Header()["Content-Length"] = []string{itoa(int(size))}
		for left := size; left > 0; left -= int64(len(zeros)) {
			_, _ = w.Write(zeros[:min(left, int64(len(zeros)))])
		}
	})
}

// benchClient reads and writes in large pieces itself, so that it costs little.
func benchClient(b *testing.B) *http.Client {
	buffers := newBuffers()
	t := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return newConn(c, buffers), nil
		}}
	b.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// benchWorld returns a client's request-maker for the gateway and one that goes
// straight to the server, both signed.
func benchWorld(b *testing.B, size int64) (client *http.Client, through, direct func(method string, size int64) *http.Request) {
	server := httptest.NewServer(nullS3(size))
	b.Cleanup(server.Close)
	binding := Binding{ID: account.NewID(), Epoch: 1,
		S3:   account.S3{Endpoint: account.Endpoint{URL: server.URL}, Region: "cloud.ca"},
		Keys: account.KeyPair{AccessKeyID: "real", Secret: account.NewSecret("realsecret")}}
	key := []byte("key")
	front := httptest.NewUnstartedServer(nil)
	g := New(Options{Hosts: []string{front.Listener.Addr().String()}, Key: func() []byte { return key },
		Bind: func(string) (Binding, error) { return binding, nil }})
	front.Config = g.Server()
	front.Start()
	b.Cleanup(func() { front.Close(); g.Close() })
	pair := MintKey(key, binding.ID, 1, time.Now().Add(time.Hour))
	maker := func(base string) func(string, int64) *http.Request {
		return func(method string, size int64) *http.Request {
			u, _ := url.Parse(base + "/bucket/key")
			r := &http.Request{Method: method, URL: u, Header: http.Header{}}
			hash := emptyHash
			if method == http.MethodPut {
				r.Body, r.ContentLength, hash = io.NopCloser(io.LimitReader(zeroReader{}, size)), size, unsigned
				if size > smallBody {
					r.Header.Set("Expect", "100-continue")
				}
			}
			r.Header.Set("X-Amz-Content-Sha256", hash)
			sign(r, pair.Secret.Reveal(), pair.AccessKeyID, hash, "us-east-1", time.Now())
			return r
		}
	}
	return benchClient(b), maker(front.URL), maker(server.URL)
}

func benchRequests(b *testing.B, method string, size int64) {
	client, through, direct := benchWorld(b, size)
	for name, make := range map[string]func(string, int64) *http.Request{"direct": direct, "gateway": through} {
		b.Run(name, func(b *testing.B) {
			buf := make1M()
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Do(make(method, size))
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(resp, err)
				}
				_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
				resp.Body.Close()
			}
		})
	}
}

func make1M() []byte { return make([]byte, 1<<20) }

func BenchmarkGetLarge(b *testing.B) { benchRequests(b, "GET", 64<<20) }
func BenchmarkPutLarge(b *testing.B) { benchRequests(b, "PUT", 64<<20) }
func BenchmarkGetSmall(b *testing.B) { benchRequests(b, "GET", 100) }
func BenchmarkPutSmall(b *testing.B) { benchRequests(b, "PUT", 100) }

// BenchmarkVerifyAndSign is what every request costs before it goes out: read
// the claim, verify it, make the request to the server and sign it.
func BenchmarkVerifyAndSign(b *testing.B) {
	binding := Binding{ID: account.NewID(), Epoch: 1,
		S3:   account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"},
		Keys: account.KeyPair{AccessKeyID: "real", Secret: account.NewSecret("realsecret")}}
	key := []byte("key")
	g := New(Options{Hosts: []string{"127.0.0.1:1"}, Key: func() []byte { return key }, Bind: func(string) (Binding, error) { return binding, nil }})
	pair := MintKey(key, binding.ID, 1, time.Now().Add(time.Hour))
	sum := sha256.Sum256([]byte("data"))
	r := &http.Request{Method: "PUT", Host: "127.0.0.1:1", URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/bucket/some/key.txt", RawQuery: "x-id=PutObject"},
		Header: http.Header{"X-Amz-Content-Sha256": {hex.EncodeToString(sum[:])}, "Content-Type": {"text/plain"}, "X-Amz-Checksum-Crc32": {"AAAAAA=="},
			"X-Amz-Sdk-Checksum-Algorithm": {"CRC32"}, "Amz-Sdk-Request": {"attempt=1"}}}
	sign(r, pair.Secret.Reveal(), pair.AccessKeyID, r.Header.Get("X-Amz-Content-Sha256"), "us-east-1", time.Now())
	r.RequestURI = r.URL.RequestURI()
	work := func(b *testing.B, signs bool) {
		b.ReportAllocs()
		for b.Loop() {
			x := &exchange{g: g, r: r, ctx: context.Background(), body: &body{whole: true}}
			if f := x.admit(); f != nil {
				b.Fatal(f)
			}
			if f := x.authenticate(); f != nil {
				b.Fatal(f)
			}
			if !signs {
				continue
			}
			route, s, err := g.upstreams.to(x.binding)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.sign(x.ctx, x.outgoing(route.base), unsigned, g.now()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("verify", func(b *testing.B) { work(b, false) })
	b.Run("both", func(b *testing.B) { work(b, true) })
}

// BenchmarkChecksums is what a checksum costs the gateway.
func BenchmarkChecksums(b *testing.B) {
	data := make1M()
	for name, hash := range checksums {
		b.Run(name, func(b *testing.B) {
			h := hash()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				_, _ = h.Write(data)
			}
		})
	}
}
