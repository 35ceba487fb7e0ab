package daemon_test

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/test/practice"
)

// A token for credentials is of no use to another user, who may have had the
// port, and with it the token, while ccad was away. S3 requests are everybody's
// who can sign them.
func TestTokenOfAnotherUser(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	body, _, err := w.get("/v1/environments/dev/views/endpoint")
	if err != nil {
		t.Fatal(err)
	}
	var url, token string
	for entry := range strings.SplitSeq(string(body), "\x00") {
		if v, ok := strings.CutPrefix(entry, "AWS_CONTAINER_CREDENTIALS_FULL_URI="); ok {
			url = v
		}
		if v, ok := strings.CutPrefix(entry, "AWS_CONTAINER_AUTHORIZATION_TOKEN="); ok {
			token = v
		}
	}
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("our own program: %d", answer.StatusCode)
	}
	// A client that reaches the address by a socket of IPv6, as Java's do.
	end := netip.MustParseAddrPort(strings.TrimPrefix(w.status().Daemon.Gateway, "http://"))
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(s), "socket")
	if err := unix.Connect(s, &unix.SockaddrInet6{Port: int(end.Port()), Addr: end.Addr().As16()}); err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := r.Write(c); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("HTTP/1.1 200"))
	if _, err := c.Read(first); err != nil || string(first) != "HTTP/1.1 200" {
		t.Errorf("by IPv6: %q, %v", first, err)
	}
	if os.Getuid() != 0 {
		return // nobody else can be had
	}
	curl := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "@-", url)
	curl.Stdin = strings.NewReader("Authorization: " + token)
	curl.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := curl.CombinedOutput(); err != nil || string(out) != "403" {
		t.Errorf("another user: %s, %v", out, err)
	}
}

// A unit that asks while ccad can open no more files is answered once it can.
func TestCredentialsWithoutFiles(t *testing.T) {
	c := newChild(t, "")
	var before unix.Rlimit
	limit := func(is, was *unix.Rlimit) {
		t.Helper()
		if err := unix.Prlimit(c.cmd.Process.Pid, unix.RLIMIT_NOFILE, is, was); err != nil {
			t.Fatal(err)
		}
	}
	limit(nil, &before)
	limit(&unix.Rlimit{Cur: 1, Max: before.Max}, nil)
	answer := make(chan string, 1)
	go func() {
		body, _ := c.systemdAsks("@0/unit/backup.service/dev.dotenv")
		answer <- body
	}()
	select {
	case body := <-answer:
		t.Fatalf("answered without a file: %.80q", body)
	case <-time.After(300 * time.Millisecond): // it has tried to accept by then
	}
	limit(&before, nil)
	select {
	case body := <-answer:
		if !strings.HasPrefix(body, "ccad: ccad is locked") {
			t.Errorf("answered %.80q", body)
		}
	case <-time.After(time.Minute):
		t.Error("never answered")
	}
	c.end()
}
