package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
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

// The figures against the lab, from a gateway in a process of its own:
//
//	CCAD_LAB=DIR go test -run xxx -bench Lab -benchtime 1x
//
// Direct and through are interleaved in one run, medians are given, and what
// counts is their ratio.

// TestMain is also that process, and the Go client of a rotation under load.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http says there what Swift sends behind its answers to HEAD
	if os.Getenv("CCAD_TEST_GO_LOAD") != "" {
		goLoad()
		return
	}
	if os.Getenv("CCAD_TEST_GATEWAY") == "" {
		os.Exit(m.Run())
	}
	var c struct{ ID, URL, Region, Access, Secret string }
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	b := gateway.Binding{ID: c.ID, Epoch: 1, S3: account.S3{Endpoint: account.Endpoint{URL: c.URL}, Region: c.Region},
		Keys: account.KeyPair{AccessKeyID: c.Access, Secret: account.NewSecret(c.Secret)}}
	g := gateway.New(gateway.Options{Hosts: []string{l.Addr().String()}, Key: func() []byte { return vaultKey },
		Bind: func(string) (gateway.Binding, error) { return b, nil }})
	fmt.Println(l.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // until the parent ends
	panic(g.Server().Serve(l))
}

// A side is one way to the lab: straight, or through the gateway.
type side struct {
	url, region, access, secret string
	client                      *http.Client
}

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
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
	if err != nil || resp.StatusCode >= 300 {
		tb.Fatal(resp.Status, n, err)
	}
	return time.Since(start)
}

func BenchmarkLab(b *testing.B) {
	w := newWorld(b)
	key := w.binding.Keys
	direct := side{w.lab.S3URL, w.lab.Region, key.AccessKeyID, key.Secret.Reveal(), benchClient()}
	process, through := gatewayProcess(b, w)
	direct.do(b, "PUT", "/bench", nil, "")
	large := make([]byte, 64<<20)
	_, _ = rand.Read(large)
	const mib = 64
	for _, c := range []struct {
		name, method, hash string
		body               []byte
	}{{"PutUnsigned", "PUT", "UNSIGNED-PAYLOAD", large}, {"PutSigned", "PUT", "", large}, {"Get", "GET", "", nil}} {
		b.Run(c.name+"64MiB", func(b *testing.B) {
			var took [2][]time.Duration
			var cpu []time.Duration
			for range b.N {
				for range 9 {
					took[0] = append(took[0], direct.do(b, c.method, "/bench/large", c.body, c.hash))
					before := cpuOf(b, process)
					took[1] = append(took[1], through.do(b, c.method, "/bench/large", c.body, c.hash))
					cpu = append(cpu, cpuOf(b, process)-before)
				}
			}
			d, g := median(took[0]), median(took[1])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(mib/d.Seconds(), "direct-MiB/s")
			b.ReportMetric(mib/g.Seconds(), "gateway-MiB/s")
			b.ReportMetric(d.Seconds()/g.Seconds(), "ratio")
			b.ReportMetric(float64(median(cpu).Milliseconds()), "cpu-ms")
		})
	}
	for _, method := range []string{"PUT", "GET"} {
		b.Run("Small"+method, func(b *testing.B) {
			var took [2][]time.Duration
			body := map[string][]byte{"PUT": []byte("hello")}[method]
			for range b.N {
				for range 150 {
					took[0] = append(took[0], direct.do(b, method, "/bench/small", body, ""))
					took[1] = append(took[1], through.do(b, method, "/bench/small", body, ""))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took[0]).Seconds()*1e3, "direct-ms")
			b.ReportMetric((median(took[1])-median(took[0])).Seconds()*1e3, "added-ms")
		})
	}
	b.Run("64AtOnce", func(b *testing.B) {
		for range b.N {
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					path := fmt.Sprint("/bench/many", i)
					through.do(b, "PUT", path, large[:16<<20], "UNSIGNED-PAYLOAD")
					through.do(b, "GET", path, nil, "")
				})
			}
			all.Wait()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(statusOf(b, process, "VmHWM:"))/1024, "peak-MiB")
	})
}

func benchClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: 5 * time.Second, WriteBufferSize: 256 << 10}}
}

// gatewayProcess starts this binary as a gateway for the world's binding.
func gatewayProcess(b *testing.B, w *world) (pid int, s side) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CCAD_TEST_GATEWAY=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	if err := json.NewEncoder(stdin).Encode(map[string]string{"ID": w.binding.ID, "URL": w.binding.S3.Endpoint.URL, "Region": w.binding.S3.Region,
		"Access": w.binding.Keys.AccessKeyID, "Secret": w.binding.Keys.Secret.Reveal()}); err != nil {
		b.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(stdout, &address); err != nil {
		b.Fatal(err)
	}
	return cmd.Process.Pid, side{"http://" + address, "us-east-1", w.Pair.AccessKeyID, w.Pair.Secret.Reveal(), benchClient()}
}

// cpuOf is what a process has used so far, in ticks of 10 ms.
func cpuOf(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// statusOf is a line of /proc/PID/status, in KiB.
func statusOf(tb testing.TB, pid int, line string) int {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), line)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
