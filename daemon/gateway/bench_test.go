package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/daemon/account"
)

// What the gateway does in memory. Its throughput is measured where it is a
// process of its own: test/aws.

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
		before := cpuTime(b)
		defer func() { b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-us") }()
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

// cpuTime is what this process has used. The clock on the wall counts what other
// processes of the machine do.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkChecksums is what a checksum costs the gateway.
func BenchmarkChecksums(b *testing.B) {
	data := make([]byte, 1<<20)
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
