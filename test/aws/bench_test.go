package aws_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
)

// The figures of the gateway, in a process of its own, before a real Swift and
// before a server that does nothing:
//
//	CCAD_LAB=DIR go test -run xxx -bench 'Lab|Null' -benchtime 1x
//
// Direct and through take turns in one run, medians are given, and what counts
// is their ratio. CCAD_BENCH_PROFILES is a folder for CPU profiles of the
// gateway.

// A side is one way to the lab: straight, or through the gateway.
type side struct {
	url, region, access, secret string
	client                      *http.Client
}

// do takes the time of a request; hash "" is that of the body.
func (s side) do(tb testing.TB, method, path string, body []byte, hash string) time.Duration {
	tb.Helper()
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if hash == "" {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
	}
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if len(body) > 1<<20 {
		r.Header.Set("Expect", "100-continue")
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: s.access, SecretAccessKey: s.secret}, r, hash, "s3", s.region, time.Now()); err != nil {
		tb.Fatal(err)
	}
	start := time.Now()
	resp, err := s.client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 1<<20))
	if err != nil || resp.StatusCode >= 300 {
		tb.Fatal(resp.Status, n, err)
	}
	return time.Since(start)
}

// relayed is the same server behind a relay of its own.
func (s side) relayed(b *testing.B) side {
	_, url := between(b, "CCAD_TEST_RELAY="+strings.TrimPrefix(s.url, "http://"), nil)
	return side{url, s.region, s.access, s.secret, benchClient(b)}
}

const (
	mib       = 1 << 20
	largeSize = 64 * mib
	unsigned  = "UNSIGNED-PAYLOAD"
)

// A pair is both ways to one server, and the gateway's process. Relayed is a
// third, through a process that only hands on.
type pair struct {
	direct, through, relayed side
	process                  int
}

// turns makes a call straight and by another way n times, the first of each turn
// being the last of the next; cpu is the gateway's for one.
func (p pair) turns(b *testing.B, n int, other side, method, path string, body []byte, hash string) (took [2][]time.Duration, cpu time.Duration) {
	before := cpuOf(b, p.process)
	for i := range n {
		for j := range 2 {
			way := (i + j) % 2
			took[way] = append(took[way], []side{p.direct, other}[way].do(b, method, path, body, hash))
		}
	}
	return took, (cpuOf(b, p.process) - before) / time.Duration(n)
}

// large reports what 64 MiB cost; unit is by what throughput is counted. Ratio
// and, for small requests, what is added are the medians of each turn's: a Swift
// and the other work of a machine vary more than that from minute to minute.
func (p pair) large(b *testing.B, method string, body []byte, hash, unit string, bytes float64) {
	for range b.N {
		took, cpu := p.turns(b, 15, p.through, method, "/bench/large", body, hash)
		direct, through := took[0], took[1]
		ratios := make([]float64, len(direct))
		for i := range ratios {
			ratios[i] = direct[i].Seconds() / through[i].Seconds()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(bytes/median(direct).Seconds(), "direct-"+unit)
		b.ReportMetric(bytes/median(through).Seconds(), "gateway-"+unit)
		b.ReportMetric(cpu.Seconds()*1e3, "cpu-ms")
	}
}

// small reports what the gateway adds to a request of a few bytes, and what a
// process that only hands on adds.
func (p pair) small(b *testing.B, method string, n int) {
	body := map[string][]byte{"PUT": []byte("hello")}[method]
	for range b.N {
		for _, by := range []struct {
			way  side
			unit string
		}{{p.through, "added-ms"}, {p.relayed, "relay-ms"}} {
			took, cpu := p.turns(b, n, by.way, method, "/bench/small", body, "")
			added := make([]time.Duration, n)
			for i := range added {
				added[i] = took[1][i] - took[0][i]
			}
			b.ReportMetric(median(added).Seconds()*1e3, by.unit)
			if by.way == p.through {
				b.ReportMetric(within(added).Seconds()*1e3, "within-ms")
				b.ReportMetric(median(took[0]).Seconds()*1e3, "direct-ms")
				b.ReportMetric(cpu.Seconds()*1e3, "cpu-ms")
			}
		}
		b.ReportMetric(0, "ns/op")
	}
}

func BenchmarkLab(b *testing.B) {
	w := newWorld(b)
	key := w.binding.Keys
	p := gatewayProcess(b, w.binding, "lab")
	p.direct = side{w.lab.S3URL, w.lab.Region, key.AccessKeyID, key.Secret.Reveal(), benchClient(b)}
	p.relayed = p.direct.relayed(b)
	p.direct.do(b, "PUT", "/bench", nil, "")
	large := make([]byte, largeSize)
	_, _ = rand.Read(large)
	b.Run("PutUnsigned64MiB", func(b *testing.B) { p.large(b, "PUT", large, unsigned, "MiB/s", largeSize/mib) })
	b.Run("PutSigned64MiB", func(b *testing.B) { p.large(b, "PUT", large, "", "MiB/s", largeSize/mib) })
	b.Run("Get64MiB", func(b *testing.B) { p.large(b, "GET", nil, "", "MiB/s", largeSize/mib) })
	// a Swift varies by some ms from request to request: within-ms says how sure the median is
	b.Run("SmallPut", func(b *testing.B) { p.small(b, "PUT", 600) })
	b.Run("SmallGet", func(b *testing.B) { p.small(b, "GET", 600) })
	b.Run("64AtOnce", func(b *testing.B) { p.atOnce(b, large[:16*mib]) })
}

// BenchmarkNull is before a server that takes and gives bytes without looking:
// what is slow is the gateway. Memory is measured here, by sizes that would keep
// a Swift busy for minutes.
func BenchmarkNull(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(null))
	defer server.Close()
	p := gatewayProcess(b, gateway.Binding{ID: account.NewID(), S3: account.S3{Endpoint: account.Endpoint{URL: server.URL}, Region: "cloud.ca"},
		Keys: account.KeyPair{AccessKeyID: "real", Secret: account.NewSecret("secret")}}, "null")
	p.direct = side{server.URL, "cloud.ca", "real", "secret", benchClient(b)}
	p.relayed = p.direct.relayed(b)
	large := make([]byte, largeSize)
	const gib = float64(largeSize) / (1 << 30)
	b.Run("Put64MiB", func(b *testing.B) { p.large(b, "PUT", large, unsigned, "GiB/s", gib) })
	b.Run("Get64MiB", func(b *testing.B) { p.large(b, "GET", nil, "", "GiB/s", gib) })
	b.Run("SmallPut", func(b *testing.B) { p.small(b, "PUT", 500) })
	b.Run("SmallGet", func(b *testing.B) { p.small(b, "GET", 500) })
	b.Run("64AtOnceOf8MiB", func(b *testing.B) { p.atOnce(b, large[:8*mib]) })
	b.Run("64AtOnceOf64MiB", func(b *testing.B) { p.atOnce(b, large) })
}

// null answers a GET with as many bytes as the object's name says.
func null(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, make([]byte, min(r.ContentLength+1, mib)))
		return
	}
	size := 5
	switch {
	case strings.HasSuffix(r.URL.Path, "/large"):
		size = largeSize
	case strings.Contains(r.URL.Path, "/many"):
		size, _ = strconv.Atoi(filepath.Base(r.URL.Path))
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(size)}
	for left := size; left > 0; left -= mib {
		_, _ = w.Write(zeros[:min(left, mib)])
	}
}

var zeros = make([]byte, mib)

// atOnce reports the most memory that the gateway had in 64 uploads and then 64
// downloads at once.
func (p pair) atOnce(b *testing.B, body []byte) {
	for range b.N {
		// 5: the peak of resident memory counts from here (proc_pid_clear_refs(5)).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.process), []byte("5"), 0); err != nil {
			b.Fatal(err)
		}
		for _, method := range []string{"PUT", "GET"} {
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					sent := body
					if method == "GET" {
						sent = nil
					}
					p.through.do(b, method, fmt.Sprint("/bench/many", i, "/", len(body)), sent, unsigned)
				})
			}
			all.Wait()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(statusOf(b, p.process, "VmHWM:"))/1024, "peak-MiB")
}

// benchClient reads and writes in large pieces, so that it costs little.
func benchClient(b *testing.B) *http.Client {
	t := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: 5 * time.Second, WriteBufferSize: mib}
	b.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func median[T cmp.Ordered](all []T) T {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// within is how far the median of so many may lie from that of all that could be
// measured, in 19 of 20 runs: half of what is between the order statistics that
// enclose it.
func within(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	off := int(math.Sqrt(float64(len(all))))
	return (all[len(all)/2+off] - all[len(all)/2-off]) / 2
}
