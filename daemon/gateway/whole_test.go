package gateway

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWholeBodies: large bodies that are needed whole are few at a time, however
// many come; small ones don't wait for them.
func TestWholeBodies(t *testing.T) {
	b := newBench(t)
	large, small := bytes.Repeat([]byte("x"), 1<<20), []byte("<Delete/>")
	var inside, most atomic.Int64
	arrived, answer := make(chan struct{}, 64), make(chan struct{})
	b.s3.set(func() {
		b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < smallBody {
				return true
			}
			n := inside.Add(1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			arrived <- struct{}{}
			<-answer
			inside.Add(-1)
			return true
		}
	})
	var clients sync.WaitGroup
	for i := range 32 {
		clients.Go(func() {
			r := b.request("POST", "/bucket?delete", large, nil)
			if i%2 == 0 { // of a length that is not known
				r = b.request("POST", "/bucket?delete", nil, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) })
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(large)), -1
			}
			b.want("large", r, 200, "")
		})
	}
	for range wholeBodies {
		<-arrived
	}
	b.want("small", b.request("POST", "/bucket?delete", small, nil), 200, "")
	close(answer)
	clients.Wait()
	if n := most.Load(); n > wholeBodies {
		t.Errorf("%d large bodies were had whole at a time", n)
	}

	// Who waits too long for the others is told to try again.
	for range wholeBodies {
		b.g.whole <- struct{}{}
	}
	b.g.stall = 50 * time.Millisecond
	b.want("no room", b.request("POST", "/bucket?delete", large, nil), 503, "ServiceUnavailable")
}
