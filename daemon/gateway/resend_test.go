package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

// replaceKey makes the server forget the key and know another; what the daemon
// would learn of it is returned.
func (b *bench) replaceKey() Binding {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.binding
	next.Version++
	next.Keys = account.KeyPair{AccessKeyID: fmt.Sprint("real", next.Version), Secret: account.NewSecret("other")}
	b.s3.set(func() { b.s3.keys = map[string]string{next.Keys.AccessKeyID: "other"} })
	return next
}

// TestKeyReplaced: where the real key dies, the client sees nothing of it.
func TestKeyReplaced(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	b.s3.set(func() { b.s3.objects["/bucket/get"] = []byte("x") })
	asked := 0
	var next Binding
	b.rejected = func(was Binding) (Binding, bool) {
		asked++
		if was.Version == next.Version {
			t.Error("the new key was reported as dead")
		}
		b.set(func() { b.binding = next })
		return next, true
	}
	for _, r := range []func() *http.Request{
		func() *http.Request { return b.request("GET", "/bucket/get", nil, nil) },
		func() *http.Request { return b.request("HEAD", "/bucket/get", nil, nil) },
		func() *http.Request { return b.request("PUT", "/bucket/small", big[:10], nil) },
		func() *http.Request { return b.request("PUT", "/bucket/big", big, nil) },
		func() *http.Request { return b.request("POST", "/bucket?delete", []byte("<Delete/>"), nil) },
		func() *http.Request {
			return b.streamed("/bucket/stream", signedTrailer, big, encoder{size: 64 << 10, trailer: "crc32"}, nil)
		},
	} {
		next = b.replaceKey()
		r := r()
		b.want(r.Method+" "+r.URL.Path, r, 200, "")
	}
	if asked != 6 {
		t.Errorf("the daemon was asked %d times", asked)
	}
	for path, want := range map[string][]byte{"/bucket/small": big[:10], "/bucket/big": big, "/bucket/stream": big} {
		if got, _ := b.s3.object(path); !bytes.Equal(got, want) {
			t.Errorf("%s was stored as %d bytes", path, len(got))
		}
	}
	for i := range 6 {
		if r := b.record(i + 1); !r.Resent || r.Status != 200 {
			t.Errorf("record %d is %+v", i, r)
		}
	}
}

// TestKeyReplacedMeanwhile: a key that the daemon has replaced while a request
// was under way needs no asking; one that it revoked is void for that too.
func TestKeyReplacedMeanwhile(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/get"] = []byte("x") })
	b.rejected = func(Binding) (Binding, bool) { t.Error("the daemon was asked"); return Binding{}, false }
	var change func(*Binding)
	b.s3.set(func() {
		b.s3.before = func(http.ResponseWriter, *http.Request) bool {
			if change != nil {
				next := b.replaceKey()
				change(&next)
				b.set(func() { b.binding = next })
				change = nil
			}
			return false
		}
	})
	change = func(*Binding) {}
	b.want("replaced", b.request("GET", "/bucket/get", nil, nil), 200, "")
	change = func(next *Binding) { next.Epoch++ }
	b.want("revoked", b.request("GET", "/bucket/get", nil, nil), 403, "SignatureDoesNotMatch")
}

// TestKeyReplacedTooLate: a body of which some was read can't be sent again;
// the client is told to.
func TestKeyReplacedTooLate(t *testing.T) {
	b := newBench(t)
	b.rejected = func(was Binding) (Binding, bool) { was.Keys.Secret = account.NewSecret("newer"); return was, true }
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			s3Error(w, http.StatusForbidden, "InvalidAccessKeyId")
			return true
		}
	})
	big := bytes.Repeat([]byte("x"), 2<<20)
	body := b.want("put", b.request("PUT", "/bucket/big", big, nil), 503, "ServiceUnavailable")
	if n := b.s3.requests(); n != 1 || !strings.Contains(body, "send it again") {
		t.Errorf("after %d requests the client is told %s", n, body)
	}
}

// TestRefusedInMidUpload: a server that has had enough of an upload says why and
// hangs up. What it said counts, not that it could not be written to any more.
func TestRefusedInMidUpload(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			if r, err := http.ReadRequest(in); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
				_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/xml\r\nContent-Length: 44\r\nConnection: close\r\n\r\n<Error><Code>EntityTooLarge</Code></Error>  ")
			}
			_ = c.Close()
		}
	}()
	b := newBench(t)
	b.set(func() { b.binding.S3.Endpoint = account.Endpoint{URL: "http://" + l.Addr().String()} })
	big := bytes.Repeat([]byte("x"), 4<<20)
	for range 50 {
		b.want("put", b.request("PUT", "/bucket/big", big, nil), 400, "EntityTooLarge")
	}
	if r := b.record(50); r.Duration > lastWord/2 {
		t.Errorf("the answer took %s", r.Duration)
	}
}

// TestHangsUpInMidUpload: one that says nothing is not waited for.
func TestHangsUpInMidUpload(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() {
		b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			panic(http.ErrAbortHandler)
		}
	})
	b.want("put", b.request("PUT", "/bucket/big", bytes.Repeat([]byte("x"), 4<<20), nil), 503, "ServiceUnavailable")
	if r := b.record(1); r.Duration > lastWord/2 {
		t.Errorf("the answer took %s", r.Duration)
	}
}
