package aws_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestCommit: a payload that is wrong or cut short becomes no object of the real
// Swift's, which ignores checksums and takes what has the length that it was told.
func TestCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := callerClient(t)
	request := func(method, path, hash string, body []byte, header ...string) *http.Request {
		t.Helper()
		r := must[*http.Request](t)(http.NewRequest(method, w.url+path, bytes.NewReader(body)))
		r.Header.Set("X-Amz-Content-Sha256", hash)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: w.Pair.AccessKeyID, SecretAccessKey: w.Pair.Secret.Reveal()}, r, hash, "s3", "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	status := func(r *http.Request) (int, string) {
		t.Helper()
		resp := must[*http.Response](t)(c.Do(r))
		defer resp.Body.Close()
		return resp.StatusCode, string(must[[]byte](t)(io.ReadAll(resp.Body)))
	}
	const unsigned, trailed = "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	if code, body := status(request("PUT", "/commit", unsigned, nil)); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	data := make([]byte, 300_000)
	_, _ = rand.Read(data)
	sum := crc32.ChecksumIEEE(data)
	crc := func(sum uint32) string {
		return base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	}
	chunks := func(trailer string) []byte {
		return fmt.Appendf(nil, "%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n", len(data), data, trailer)
	}
	streamed := func(path string, encoded []byte) *http.Request {
		return request("PUT", path, trailed, encoded, "Content-Encoding", "aws-chunked", "X-Amz-Trailer", "x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length", fmt.Sprint(len(data)))
	}
	for _, c := range []struct {
		what   string
		r      *http.Request
		status int
	}{
		{"right", request("PUT", "/commit/right", unsigned, data, "X-Amz-Checksum-Crc32", crc(sum)), 200},
		{"wrong", request("PUT", "/commit/wrong", unsigned, data, "X-Amz-Checksum-Crc32", crc(sum+1)), 400},
		{"another hash", request("PUT", "/commit/hash", strings.Repeat("0", 64), data), 400},
		{"a right trailer", streamed("/commit/trailer", chunks(crc(sum))), 200},
		{"a wrong trailer", streamed("/commit/wrongtrailer", chunks(crc(sum+1))), 400},
		{"no trailer", streamed("/commit/notrailer", chunks("")), 400},
	} {
		path := c.r.URL.Path
		code, body := status(c.r)
		if code != c.status {
			t.Errorf("%s: %d %s", c.what, code, body)
		}
		code, body = status(request("GET", path, unsigned, nil))
		if want := map[int]int{200: 200, 400: 404}[c.status]; code != want || code == 200 && body != string(data) {
			t.Errorf("%s: afterwards %d, %d bytes", c.what, code, len(body))
		}
	}

	conn := must[net.Conn](t)(net.Dial("tcp", strings.TrimPrefix(w.url, "http://")))
	defer conn.Close()
	var wire bytes.Buffer
	if err := request("PUT", "/commit/cut", unsigned, data, "Expect", "100-continue").Write(&wire); err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(wire.Bytes(), []byte("\r\n\r\n"))
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(append(head, "\r\n\r\n"...)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // Swift has begun to read
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := conn.Write(body[:len(body)-1]); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		over := w.records[len(w.records)-1].Status == 499 || w.records[len(w.records)-1].Code == "IncompleteBody"
		w.mu.Unlock()
		if over {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("the upload goes on: %+v", w.records[len(w.records)-1])
		}
	}
	if code, _ := status(request("GET", "/commit/cut", unsigned, nil)); code != 404 {
		t.Errorf("cut short: %d", code)
	}
}
