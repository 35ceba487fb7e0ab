package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// rawS3 is a server that answers each request with the same bytes, and hangs up.
func (b *bench) rawS3(t *testing.T, answer string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	b.set(func() { b.binding.S3.Endpoint = account.Endpoint{URL: "http://" + l.Addr().String()} })
}

// TestHostileServer: whatever a server answers, the client gets an answer of
// S3's, and none that lets a key out or leads him elsewhere.
func TestHostileServer(t *testing.T) {
	b := newBench(t)
	deep := strings.Repeat("<a>", 2000)
	for _, c := range []struct {
		what, answer string
		status       int
		code         string
	}{
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nbytes of it", 503, "ServiceUnavailable"},
		{"a status that is none", "HTTP/1.1 000 What\r\nContent-Length: 0\r\n\r\n", 503, "ServiceUnavailable"},
		{"a status beyond all", "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", 503, "ServiceUnavailable"},
		{"endless words before", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", 10000), 503, "ServiceUnavailable"},
		{"an endless header", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Amz-Meta-A: "+strings.Repeat("a", 1000)+"\r\n", 1000) + "\r\n", 503, "ServiceUnavailable"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 503, "ServiceUnavailable"},
		{"no HTTP", "220 mail.example ESMTP\r\n", 503, "ServiceUnavailable"},
		{"a redirect", "HTTP/1.1 308 Permanent Redirect\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", 400, "InvalidRequest"},
		{"a proxy's demand", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 407, ""},
		{"nested XML", "HTTP/1.1 403 Forbidden\r\nContent-Length: 6000\r\n\r\n" + deep, 403, ""},
		{"entities", "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><Error><Code>&c;</Code></Error>", 403, ""},
	} {
		b.rawS3(t, c.answer)
		for _, r := range []*http.Request{b.request("GET", "/bucket/key", nil, nil), b.request("PUT", "/bucket/key", []byte("x"), nil)} {
			status, header, body := b.do(r)
			if status != c.status || !strings.Contains(body, c.code) {
				t.Errorf("%s, %s: %d %.300s", c.what, r.Method, status, body)
			}
			for _, name := range []string{"Location", "Proxy-Authenticate", "Upgrade", "Link"} {
				if header[name] != nil {
					t.Errorf("%s, %s: the client sees %s", c.what, r.Method, name)
				}
			}
		}
	}
}
