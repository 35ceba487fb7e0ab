package daemon_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// gaugedLocked asks without being a client: metrics are no use of ccad.
func (c *child) gaugedLocked() bool {
	c.Helper()
	body, _, err := c.get("/metrics")
	if err != nil {
		c.Fatal(err)
	}
	return strings.Contains(string(body), "\nccad_locked 1\n")
}

// eventually waits for what must come to be, a minute at most.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

// ccad that nobody asks locks itself, and no stored credential opens it then;
// one that is asked now and then stays open.
func TestLockWhenIdle(t *testing.T) {
	const idle = 2 * time.Second
	c := newChild(t, "[lock]\nidle = \"2s\"\n")
	began := time.Now()
	asked := began
	c.unlock()
	for time.Since(began) < 2*idle {
		before := asked
		asked = time.Now()
		if _, _, err := c.get("/v1/status"); err != nil {
			t.Fatal(err)
		}
		if c.gaugedLocked() && time.Since(before) < idle { // else this test was held up
			t.Fatalf("locked after %v, while clients ask", time.Since(began))
		}
		time.Sleep(idle / 20)
	}
	eventually(t, "it locks by itself", c.gaugedLocked)
	if waited := time.Since(asked); waited < idle { // from before the last request
		t.Errorf("locked %v after a request", waited)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "data", "locked")); err != nil {
		t.Errorf("the lock is not remembered: %v", err)
	}
	if c.cmd.ProcessState != nil {
		t.Error("it ended")
	}
	// An unlock that overtakes the new image is refused: it would open the old one.
	eventually(t, "it opens again", func() bool { return c.try("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: words}, nil) == nil })
	trail, err := os.ReadFile(filepath.Join(c.dir, "state", "audit.jsonl"))
	if err != nil || !strings.Contains(string(trail), "no request for 2s") {
		t.Errorf("the trail does not say why it was locked: %v\n%s", err, trail)
	}
}

// Who has no gateway key keeps ccad open by no request, answered or left hanging:
// to the gateway's port every user of the machine can connect, and web pages can.
func TestLockWhenKnockedAt(t *testing.T) {
	c := newChild(t, "[lock]\nidle = \"2s\"\n")
	var s ipc.Status
	c.do("GET", "/v1/status", nil, &s)
	address := strings.TrimPrefix(s.Daemon.Gateway, "http://")
	c.unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var knocking sync.WaitGroup
	defer knocking.Wait()
	defer cancel()
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n",
		"PUT /bucket/key HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\nContent-Length: 10\r\n\r\n",
	} {
		knocking.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.WriteString(conn, request)
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}
		})
	}
	eventually(t, "it locks by itself", c.gaugedLocked)
}

// Where the lock can't be remembered (a full disk; here something is in the way
// of its marker), it comes all the same.
func TestLockWhenIdleWithoutMarker(t *testing.T) {
	c := newChild(t, "[lock]\nidle = \"3s\"\n")
	c.unlock()
	if err := os.MkdirAll(filepath.Join(c.dir, "data", "locked", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it locks by itself", c.gaugedLocked)
}

// A person's lock comes all the same, too, and he is told what a restart will do.
func TestLockWithoutMarker(t *testing.T) {
	c := newChild(t, "")
	c.unlock()
	data := filepath.Join(c.dir, "data")
	if err := os.Rename(data, data+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := c.try("POST", "/v1/lock", nil, nil); err == nil || !strings.Contains(err.Error(), "ccad is locked, and a restart will not remember it") {
		t.Errorf("a person is told %v", err)
	}
	if !c.gaugedLocked() {
		t.Error("it is open")
	}
}

// systemd hears WATCHDOG=1 while ccad answers, over a lock too, and no longer
// once it can't be asked.
func TestWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = notify.Close() })
	said := make(chan string, 10000) // taken at once, as systemd does: a socket that nobody reads makes ccad wait
	go func() {
		for buf := make([]byte, 256); ; {
			n, err := notify.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	hear := func(within time.Duration) string {
		select {
		case line := <-said:
			return line
		case <-time.After(within):
			return ""
		}
	}
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			got := hear(time.Minute)
			for got == "WATCHDOG=1" && w != got { // one more of the former image
				got = hear(time.Minute)
			}
			if got != w {
				t.Fatalf("said %q, want %q", got, w)
			}
		}
	}
	c := newChild(t, "", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=600000")
	expect("READY=1", "WATCHDOG=1", "WATCHDOG=1")
	c.unlock()
	c.lock()
	expect("RELOADING=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1")
	if err := os.Remove(c.socket); err != nil {
		t.Fatal(err)
	}
	for hear(200*time.Millisecond) != "" { // what was said before
	}
	if got := hear(2 * time.Second); got != "" {
		t.Errorf("nobody can ask it, and it says %q", got)
	}
}

// The gateway's port that systemd holds is the gateway's, if it is where the
// config has it and nobody else's machine can reach it. Without a port there is
// no key.
func TestGatewayPortOfSystemd(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	kept := w.status().Daemon.Gateway
	hold := func(address string) string {
		w.stop()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		if w.inherited.Gateway, err = l.(*net.TCPListener).File(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	at := hold("127.0.0.1:0")
	w.start("")
	if got := w.status().Daemon.Gateway; got != "http://"+at {
		t.Errorf("the gateway is at %s, systemd holds %s", got, at)
	}
	if code := w.buckets(w.gatewayKey("dev")); code != 200 {
		t.Errorf("through the port of systemd: %d", code)
	}
	at = hold("127.0.0.1:0")
	w.start("[gateway]\nlisten = \"127.0.0.1:0\"\n")
	if got := w.status().Daemon.Gateway; got != "http://"+at {
		t.Errorf("any port would do: the gateway is at %s, systemd holds %s", got, at)
	}
	other := strings.TrimPrefix(kept, "http://")
	hold("127.0.0.1:0")
	w.start("[gateway]\nlisten = \"" + other + "\"\n")
	if got := w.status().Daemon.Gateway; got != kept {
		t.Errorf("the gateway is at %s, the config has it at %s", got, other)
	}
	hold("0.0.0.0:0")
	w.start("")
	if s := w.status().Daemon; s.Gateway != "" || !strings.Contains(s.Warning, "no loopback address") {
		t.Errorf("a port that all the world can reach: %+v", s)
	}
	_, _, err := w.get("/v1/environments/dev/views/credential-process?gateway=true")
	w.want(err, ipc.CodeFailed, "no port")
}
