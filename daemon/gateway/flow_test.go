package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestBytesPassAtOnce: what has come of a body is at the other end before the
// rest has been sent, whichever way it goes and however it is covered.
func TestBytesPassAtOnce(t *testing.T) {
	b := newBench(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	half := len(data) / 2
	seen := make(chan int, 1)
	b.s3.set(func() {
		b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
			n, _ := io.CopyN(io.Discard, r.Body, int64(half-1<<10)) // the last chunk is still to come
			seen <- int(n)
			_, _ = io.Copy(io.Discard, r.Body)
			return true
		}
	})
	for what, r := range map[string]*http.Request{
		"plain":           b.request("PUT", "/bucket/key", data, nil),
		"signed chunks":   b.streamed("/bucket/key", signedTrailer, data, encoder{size: 1 << 10, trailer: "crc32"}, nil),
		"unsigned chunks": b.streamed("/bucket/key", unsignedTrailer, data, encoder{size: 1 << 10, trailer: "sha256"}, nil),
	} {
		wire, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		out, in := io.Pipe()
		r.Body = out
		go func() {
			_, _ = in.Write(wire[:len(wire)*17/32])
			select {
			case n := <-seen:
				if n != half-1<<10 {
					t.Errorf("%s: the server saw %d bytes", what, n)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: the server has seen nothing of half a body", what)
			}
			_, _ = in.Write(wire[len(wire)*17/32:])
			_ = in.Close()
		}()
		b.want(what, r, 200, "")
	}

	heard := make(chan struct{})
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", itoa(len(data)))
			_, _ = w.Write(data[:half])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-heard:
			case <-r.Context().Done():
			}
			_, _ = w.Write(data[half:])
			return true
		}
	})
	resp, err := b.client.Do(b.request("GET", "/bucket/key", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, half)); err != nil {
		t.Fatal(err)
	}
	close(heard)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != half {
		t.Errorf("then come %d bytes, %v", len(rest), err)
	}
}

// TestAnswerFirst: a client has the whole answer before the gateway puts it down.
func TestAnswerFirst(t *testing.T) {
	heard := make(chan struct{}, 1)
	var late atomic.Bool
	b := benchFor(t, newFakeS3(t, httptest.NewServer), func(o *Options) {
		o.Done = func(Record) {
			select {
			case <-heard:
			case <-time.After(time.Minute):
				late.Store(true)
			}
		}
	})
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if status, _, body := b.do(b.request(method, "/bucket/key", nil, nil)); status/100 != 2 || method == "GET" && body != "x" {
			t.Errorf("%s: %d %q", method, status, body)
		}
		heard <- struct{}{}
		if late.Load() {
			t.Fatalf("the answer to a %s came after it was put down", method)
		}
	}
}

// TestBackPressure: who does not read stops who sends, and what lies between
// them is what sockets hold, not the object.
func TestBackPressure(t *testing.T) {
	const size, held = 1 << 30, 64 << 20
	b := newBench(t)
	var sent atomic.Int64
	stopped := func(t *testing.T) {
		t.Helper()
		for last, still := int64(-1), 0; still < 10; time.Sleep(20 * time.Millisecond) {
			now := sent.Load()
			if now > held {
				t.Fatalf("%d bytes are under way to who does not read", now)
			}
			if now != last || now == 0 {
				last, still = now, 0
				continue
			}
			still++
		}
	}
	t.Run("up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ends := make(chan struct{})
		defer close(ends)
		b.s3.set(func() {
			b.s3.before = func(_ http.ResponseWriter, r *http.Request) bool {
				_, _ = io.ReadFull(r.Body, make([]byte, 1))
				<-ends
				return true
			}
		})
		sent.Store(0)
		r := b.request("PUT", "/bucket/key", nil, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", unsigned)
			r.Body, r.ContentLength = io.NopCloser(counting{io.LimitReader(zeroReader{}, size), &sent}), size
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := b.client.Do(r.WithContext(ctx)); err == nil {
				resp.Body.Close()
			}
		}()
		stopped(t)
		cancel()
		<-done
	})
	t.Run("down", func(t *testing.T) {
		ended := make(chan struct{})
		b.s3.set(func() {
			b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
				defer close(ended)
				w.Header().Set("Content-Length", itoa(size))
				_, _ = io.Copy(w, counting{io.LimitReader(zeroReader{}, size), &sent})
				return true
			}
		})
		sent.Store(0)
		resp, err := b.client.Do(b.request("GET", "/bucket/key", nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		stopped(t)
		resp.Body.Close()
		<-ended
	})
}

// counting counts what is read of a reader.
type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// TestBusy: a request is one from when it is proved to its end, and what nobody
// has signed never.
func TestBusy(t *testing.T) {
	b := newBench(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	b.s3.set(func() {
		b.s3.before = func(http.ResponseWriter, *http.Request) bool { arrived <- struct{}{}; <-answer; return true }
	})
	done := make(chan struct{})
	go func() { defer close(done); b.want("get", b.request("GET", "/bucket/key", nil, nil), 200, "") }()
	<-arrived
	if !b.g.Busy() {
		t.Error("a signed request is no work")
	}
	close(answer)
	<-done
	b.record(1)
	if b.g.Busy() {
		t.Error("what is over is work")
	}
	stranger := b.request("PUT", "/bucket/key", []byte("0123456789"), nil)
	stranger.Header.Del("Authorization")
	var wire bytes.Buffer
	if err := stranger.Write(&wire); err != nil {
		t.Fatal(err)
	}
	c, _ := b.raw(t)
	if _, err := c.Write(wire.Bytes()[:wire.Len()-1]); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(drainTime / 2); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		if b.g.Busy() {
			t.Fatal("a request that nobody signed is work")
		}
	}
}
