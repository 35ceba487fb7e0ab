package daemon_test

import (
	"errors"
	"io"
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

// squat takes a port as soon as it is free.
func squat(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Who can't be served after a key was made for him hears that it was made.
func TestKeyMadeBeforeAFailure(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	url := w.status().Daemon.Gateway
	w.stop()
	squat(t, strings.TrimPrefix(url, "http://"))
	w.start("")
	err := w.try("POST", "/v1/environments/dev/s3-key", nil, nil)
	made := w.cloud.Keys(w.cloud.User.Name)
	if len(made) != 1 {
		t.Fatalf("%d keys, %v", len(made), err)
	}
	w.want(err, ipc.CodeFailed, "made the S3 key "+made[0].Access+" for dev at the cloud, and then: the S3 gateway has no port")
	if err := w.try("POST", "/v1/environments/dev/s3-key", nil, nil); err == nil || strings.Contains(err.Error(), "made") {
		t.Errorf("again: %v", err)
	}
}

// A port belongs to whoever binds it first: while somebody else has the
// gateway's, no gateway key is given out, and when he leaves it is ours again.
func TestGatewayPortTaken(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	url := w.status().Daemon.Gateway
	key := w.gatewayKey("dev")
	w.stop()
	squatter := squat(t, strings.TrimPrefix(url, "http://"))
	w.start("")
	if s := w.status().Daemon; s.Gateway != "" || !strings.Contains(s.Warning, "no port") || !strings.Contains(s.Warning, "tried again") {
		t.Errorf("gateway %q, warning %q", s.Gateway, s.Warning)
	}
	for _, path := range []string{"credential-process?gateway=true", "env?client=aws", "endpoint"} {
		_, _, err := w.get("/v1/environments/dev/views/" + path)
		w.want(err, ipc.CodeFailed, "no port")
	}
	w.want(w.try("POST", "/v1/environments/dev/s3-key", nil, nil), ipc.CodeFailed, "no port")
	_ = squatter.Close()
	limit := time.Now().Add(time.Minute)
	for w.status().Daemon.Gateway != url {
		if time.Now().After(limit) {
			t.Fatalf("the port was free and is not ours: %+v", w.status().Daemon)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if warning := w.status().Daemon.Warning; warning != "" {
		t.Errorf("the warning is still %q", warning)
	}
	for what, key := range map[string]aws.Credentials{"from before": key, "new": w.gatewayKey("dev")} {
		if status := w.buckets(key); status != http.StatusOK {
			t.Errorf("a key %s: %d", what, status)
		}
	}
}

// The gateway's port stays ours over a lock, and says so meanwhile.
func TestGatewayPortOverLock(t *testing.T) {
	c := newChild(t, "")
	var s ipc.Status
	c.do("GET", "/v1/status", nil, &s)
	address := strings.TrimPrefix(s.Daemon.Gateway, "http://")
	ends := thief(t, address)
	for range 3 {
		c.unlock()
		c.lock()
		r, err := http.Get(s.Daemon.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
	}
	if ends() {
		t.Error("somebody else could take the port during a lock")
	}
	c.end()
}

// A damaged record of the address is no address that is waited for.
func TestGatewayPortDamaged(t *testing.T) {
	for _, kept := range []string{"", "127.0.0.1:36\xff99", "127.0.0.1:70000", "127.0.0.1", "192.0.2.1:80"} {
		w := newWorld(t, practice.Options{})
		w.stop()
		if err := os.WriteFile(filepath.Join(w.dir, "data", "gateway"), []byte(kept+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start("")
		if s := w.status().Daemon; s.Gateway == "" || s.Warning != "" {
			t.Errorf("%q: the gateway is at %q, with the warning %q", kept, s.Gateway, s.Warning)
		}
		w.stop()
		if !strings.Contains(w.log.String(), "the gateway's address on record is damaged") {
			t.Errorf("%q: the log does not tell", kept)
		}
	}
}

// Who fills the gateway's port with connections, as every user of the machine
// can, gets some of them and no more, and keeps no program of ours out.
func TestGatewayFlood(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key, address := w.gatewayKey("dev"), strings.TrimPrefix(w.status().Daemon.Gateway, "http://")
	var held []net.Conn
	for range 1100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	if status := w.buckets(key); status != http.StatusOK {
		t.Errorf("meanwhile: %d", status)
	}
	_ = held[0].SetReadDeadline(time.Now().Add(5 * time.Second)) // before the server's own limit
	if _, err := held[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of 1100 silent connections is kept: %v", err)
	}
}

// Nor does he end what is being answered, whatever he asks for and leaves hanging.
func TestGatewayFloodOfRequests(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	key, address := w.gatewayKey("dev"), strings.TrimPrefix(w.status().Daemon.Gateway, "http://")
	begun := make(chan struct{})
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Times: 1, Delay: 5 * time.Second, Begun: func() { close(begun) }})
	answered := make(chan int, 1)
	go func() { defer close(answered); answered <- w.buckets(key) }() // closed where that fails
	<-begun
	for range 1100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "PUT /bucket/key HTTP/1.1\r\nHost: "+address+"\r\nContent-Length: 1000000\r\n\r\n")
	}
	if status := w.buckets(key); status != http.StatusOK {
		t.Errorf("meanwhile: %d", status)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("what was being answered: %d", status)
	}
}

// Who fills the gateway with connections leaves descriptors for the socket, few
// as there may be.
func TestGatewayFloodWithFewFiles(t *testing.T) {
	c := newChild(t, "", "CCAD_TEST_FILES=128")
	var s ipc.Status
	c.do("GET", "/v1/status", nil, &s)
	var held []net.Conn
	for range 256 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.Daemon.Gateway, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		held = append(held, conn)
	}
	_ = held[0].SetReadDeadline(time.Now().Add(5 * time.Second)) // before the server's own limit
	if _, err := held[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of 256 silent connections is kept: %v", err)
	}
	if !c.locked() {
		t.Error("it is not locked")
	}
	c.end()
}
