package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

func TestScrubEnvironment(t *testing.T) {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOTRACEBACK", "HTTPS_PROXY", "LD_PRELOAD", "GOMEMLIMIT", "CCAD_SOCKET"} {
		t.Setenv(name, "x")
	}
	before := os.Environ()
	t.Cleanup(func() { // what the testing package itself needs
		for _, pair := range before {
			for i := range pair {
				if pair[i] == '=' && i > 0 {
					_ = os.Setenv(pair[:i], pair[i+1:])
					break
				}
			}
		}
	})
	ScrubEnvironment()
	for name, want := range map[string]bool{
		"SSL_CERT_FILE": false, "SSL_CERT_DIR": false, "GODEBUG": false, "GOTRACEBACK": false, "HTTPS_PROXY": false, "LD_PRELOAD": false,
		"GOMEMLIMIT": true, "CCAD_SOCKET": true, "PATH": true,
	} {
		if _, got := os.LookupEnv(name); got != want {
			t.Errorf("%s is kept: %v", name, got)
		}
	}
}

// A server that is told to end in the midst of a lock must be able to.
func TestShutGateCanBeClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(l)
	ended := make(chan error, 1)
	go func() {
		_, err := g.Accept()
		ended <- err
	}()
	g.Shut()
	_ = g.Close()
	_ = g.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Accept returned a connection")
		}
	case <-time.After(time.Minute):
		t.Error("Accept never ends")
	}
}

// Who holds connections, and says nothing or what is the owner's in no way, keeps
// nobody out: those that he has had for longest end. What is proven goes on.
func TestGateLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(l)
	g.Limit = 4
	began, answer := make(chan struct{}), make(chan struct{})
	server := &http.Server{ConnState: g.ConnState, ConnContext: g.ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/strange" {
			began <- struct{}{}
			<-r.Context().Done()
		}
		if r.URL.Path == "/slow" {
			g.Proven(r.Context())
			select {
			case began <- struct{}{}:
			case <-r.Context().Done():
			}
			select {
			case <-answer:
			case <-r.Context().Done():
			}
		}
	})}
	go func() { _ = server.Serve(g) }()
	defer server.Close()
	dial := func(request string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = io.WriteString(c, request)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	reads := func(what string, c net.Conn, want string) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		got := make([]byte, len("HTTP/1.1 200"))
		n, err := io.ReadFull(c, got)
		if string(got[:n]) != want || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v; want %q", what, got[:n], err, want)
		}
	}
	const request, slow = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
	arrives := func() {
		t.Helper()
		select {
		case <-began:
		case <-time.After(time.Minute):
			t.Fatal("a request does not arrive")
		}
	}
	active := dial(slow)
	arrives()
	var silent []net.Conn
	for range 20 {
		silent = append(silent, dial("GET / HTTP/1.1\r\nX: "))
	}
	reads("while others hold what there is", dial(request), "HTTP/1.1 200")
	for i, c := range silent[:len(silent)-4] {
		reads(fmt.Sprint("silent ", i), c, "")
	}
	for range 20 {
		silent = append(silent, dial("GET /strange HTTP/1.1\r\nHost: x\r\n\r\n"))
		arrives()
	}
	reads("while strangers ask", dial(request), "HTTP/1.1 200")
	for i, c := range silent[20 : len(silent)-4] {
		reads(fmt.Sprint("stranger ", i), c, "")
	}
	for limit := time.Now().Add(time.Minute); count(g, http.StateActive) > 3; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("what was answered is not over")
		}
	}
	for range 3 {
		dial(slow)
		arrives()
	}
	reads("where all are proven", dial(request), "")
	close(answer)
	reads("what was being answered", active, "HTTP/1.1 200")
}

func count(g *Gate, state http.ConnState) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		if c.state == state {
			n++
		}
	}
	return n
}
