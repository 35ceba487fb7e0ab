package gateway

import (
	"bytes"
	"fmt"
	"net/http"
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
