package daemon_test

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// What goes through the gateway is counted by class, in metrics and for status;
// the audit trail has one line for each key and period, and nothing anywhere
// names a bucket or an object.
func TestGatewayUse(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	first, second := w.gatewayKey("dev"), w.gatewayKey("dev")
	for _, c := range []struct {
		method, path string
		payload      []byte
		status       int
	}{
		{"PUT", "/bucket-of-mine", nil, 200},
		{"PUT", "/bucket-of-mine/object-of-mine", []byte("0123456789"), 200},
		{"PUT", "/bucket-of-mine/object-of-mine", []byte("01234"), 200},
		{"GET", "/bucket-of-mine/object-of-mine", nil, 200},
		{"GET", "/bucket-of-mine/none-of-mine", nil, 404},
		{"HEAD", "/bucket-of-mine/object-of-mine", nil, 200},
		{"DELETE", "/bucket-of-mine/object-of-mine", nil, 204},
	} {
		if status, body := w.s3(c.method, c.path, c.payload, first); status != c.status {
			t.Fatalf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	w.regenerate()
	if status := w.buckets(second); status != http.StatusOK {
		t.Fatalf("list: %d", status)
	}
	second.SecretAccessKey += "x"
	if status := w.buckets(second); status != http.StatusForbidden {
		t.Fatalf("with a wrong secret: %d", status)
	}

	body, _, err := w.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`ccad_gateway_requests_total{class="put",status="200"} 2`,
		`ccad_gateway_requests_total{class="get",status="200"} 1`,
		`ccad_gateway_requests_total{class="get",status="404"} 1`,
		`ccad_gateway_requests_total{class="head",status="200"} 1`,
		`ccad_gateway_requests_total{class="bucket",status="200"} 1`,
		`ccad_gateway_requests_total{class="delete",status="204"} 1`,
		`ccad_gateway_requests_total{class="list",status="200"} 1`,
		`ccad_gateway_requests_total{class="list",status="403"} 1`,
		`ccad_gateway_request_duration_seconds_count{class="put"} 2`,
		`ccad_gateway_bytes_total{direction="in"} 15`,
		`ccad_gateway_resent_total 1`,
	} {
		if !strings.Contains(string(body), "\n"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	for _, series := range []string{`ccad_gateway_request_duration_seconds_sum{class="put"}`, `ccad_gateway_bytes_total{direction="out"}`} {
		if v := w.metric(series); v == "" || v == "0" {
			t.Errorf("the metrics have %q for %s", v, series)
		}
	}
	if traffic := w.status().Environments[0].Traffic; traffic.Requests != 8 || traffic.BytesIn != 15 || traffic.BytesOut < 5 {
		t.Errorf("status tells of %+v", traffic)
	}
	if n := w.trail("gateway-used"); n != 2 { // ends the daemon
		t.Errorf("%d lines for two keys", n)
	}
	trail, err := os.ReadFile(filepath.Join(w.dir, "state", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"the metrics": body, "the log": w.log.Bytes(), "the trail": trail} {
		if bytes.Contains(text, []byte("of-mine")) || bytes.Contains(text, []byte(first.SecretAccessKey)) {
			t.Errorf("%s: has names or secrets", what)
		}
	}
}

// TestGatewayUseGoesOn: a key that is used for longer than a period has another
// line for each.
func TestGatewayUseGoesOn(t *testing.T) {
	var clock leap
	w := newWorld(t, practice.Options{Now: clock.now, TokenTTL: 48 * time.Hour})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.ported()
	vars, err := w.view("dev", "&client=aws&for=12h")
	if err != nil {
		t.Fatal(err)
	}
	key := aws.Credentials{AccessKeyID: vars["AWS_ACCESS_KEY_ID"], SecretAccessKey: vars["AWS_SECRET_ACCESS_KEY"]}
	for i, c := range []struct {
		later time.Duration
		lines int
	}{{0, 1}, {50 * time.Minute, 1}, {20 * time.Minute, 2}, {time.Minute, 2}, {2 * time.Hour, 3}} {
		clock.step(c.later)
		if status := w.buckets(key); status != http.StatusOK {
			t.Fatalf("%s later: %d", c.later, status)
		}
		w.until("the request is put down", func() bool { // after its answer
			return w.status().Environments[0].Traffic.Requests == uint64(i+1) && strings.Count(w.lines(), `"gateway-used"`) >= c.lines
		})
		if n := strings.Count(w.lines(), `"gateway-used"`); n != c.lines {
			t.Errorf("%s later there are %d lines, want %d", c.later, n, c.lines)
		}
	}
}

// end is when a gateway key ends, as it says itself.
func end(t *testing.T, accessKey string) time.Time {
	t.Helper()
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimPrefix(accessKey, "CCAD"))
	if err != nil || len(b) != 30 {
		t.Fatalf("%q is no gateway key: %v", accessKey, err)
	}
	return time.Unix(int64(binary.BigEndian.Uint64(append([]byte{0, 0, 0}, b[16:21]...))), 0)
}

// TestGatewayKeysLife: a key lives for the lease, in a view for --for, and in
// the variables of a program for as long as any may.
func TestGatewayKeysLife(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	ends := func(what, accessKey string, life time.Duration) {
		t.Helper()
		if left := time.Until(end(t, accessKey)); left > life || left < life-time.Minute {
			t.Errorf("%s: a life of %s, want %s", what, left, life)
		}
	}
	ends("credential-process", w.gatewayKey("dev").AccessKeyID, 20*time.Minute)
	for query, life := range map[string]time.Duration{"": 12 * time.Hour, "&for=1h": time.Hour, "&for=90m": 90 * time.Minute} {
		vars, err := w.view("dev", "&client=aws"+query)
		if err != nil {
			t.Fatal(err)
		}
		ends("env "+query, vars["AWS_ACCESS_KEY_ID"], life)
	}
	for _, query := range []string{"&for=1s", "&for=-1h", "&for=2161h", "&for=what"} {
		_, err := w.view("dev", "&client=aws"+query)
		w.want(err, ipc.CodeUsage, "--for")
	}
}

// TestGatewayRegion: variables say nothing of the signature's version, and for a
// region of Amazon's botocore would presign by the second, which is refused.
func TestGatewayRegion(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.ported()
	vars, err := w.view("dev", "&client=aws")
	if err != nil {
		t.Fatal(err)
	}
	endpoint, _, err := w.get("/v1/environments/dev/views/endpoint")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if vars[name] != "cloud-ca" || !bytes.Contains(endpoint, []byte(name+"=cloud-ca\x00")) {
			t.Errorf("%s is %q for the client aws, and maybe another for who fetches keys", name, vars[name])
		}
	}
	var key ipc.KeyReply
	w.do("POST", "/v1/environments/dev/s3-key", nil, &key)
	if key.Region != "us-east-1" {
		t.Errorf("a profile gets the region %s", key.Region)
	}
}

// TestGatewayNames: the gateway answers to the names of its own port alone.
func TestGatewayNames(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	address := strings.TrimPrefix(w.status().Daemon.Gateway, "http://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, status := range map[string]int{
		address: 200, "localhost:" + port: 200, "LocalHost:" + port: 200,
		"127.0.0.1": 403, "localhost": 403, "localhost:1": 403, "evil.example:" + port: 403, "[::1]:" + port: 403, "bucket.localhost:" + port: 403,
	} {
		answer, err := http.DefaultClient.Do(w.signed(host, "GET", "/", nil, w.gatewayKey("dev")))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("%s: %d, want %d", host, answer.StatusCode, status)
		}
	}
}
