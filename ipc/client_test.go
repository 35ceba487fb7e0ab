package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// socket makes a folder for a socket and points CCAD_SOCKET there. Not
// t.TempDir: a long test name would not fit into a socket's address.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ccad")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "ccad.sock")
	t.Setenv("CCAD_SOCKET", path)
	return path
}

// listen hands every connection to serve, with its number from 1, and closes
// it afterwards.
func listen(t *testing.T, serve func(n int, c net.Conn)) *atomic.Int32 {
	t.Helper()
	l, err := net.Listen("unix", socket(t))
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(int(count.Add(1)), c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return &count
}

// request reads a request whole and returns it in one line.
func request(c net.Conn) string {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return err.Error()
	}
	body, _ := io.ReadAll(r.Body)
	return fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get(ProtocolHeader), body)
}

// answer is a whole reply.
func answer(status int, protocol, body string) string {
	return fmt.Sprintf("HTTP/1.0 %d x\r\nContent-Length: %d\r\nCcad-Protocol: %s\r\n\r\n%s", status, len(body), protocol, body)
}

// serve runs a real net/http server, the daemon's own kind.
func serve(t *testing.T, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", socket(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(ProtocolHeader, strconv.Itoa(Protocol))
		h(w, r)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

func TestDo(t *testing.T) {
	serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in UnlockRequest
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != "POST" || r.URL.Path != "/v1/unlock" ||
			r.Header.Get(ProtocolHeader) != "1" {
			t.Errorf("request %s %s %v: %v", r.Method, r.URL, r.Header, err)
		}
		w.Header().Add(WarningHeader, "one")
		w.Header().Add(WarningHeader, "two")
		body, _ := json.Marshal(Status{Daemon: Daemon{Version: strings.Repeat(in.Passphrase, 10000)}})
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	var out Status
	warnings, err := Do(t.Context(), "POST", "/v1/unlock", UnlockRequest{Passphrase: "hunter2"}, &out)
	if err != nil || out.Daemon.Version != strings.Repeat("hunter2", 10000) {
		t.Errorf("Do: %v, %d bytes", err, len(out.Daemon.Version))
	}
	if fmt.Sprint(warnings) != "[one two]" {
		t.Errorf("warnings %q", warnings)
	}
}

func TestTypedFailure(t *testing.T) {
	serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := json.Marshal(map[string]Error{"error": {Code: CodeLocked, Message: "the keyring is locked"}})
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(CodeLocked.HTTPStatus())
		_, _ = w.Write(body)
	})
	var failure *Error
	if _, _, err := Get("/v1/x"); !errors.As(err, &failure) || failure.Exit() != 4 {
		t.Errorf("Get: %v", err)
	}
	if err := Stream(t.Context(), "GET", "/v1/events", nil); !errors.As(err, &failure) || failure.Exit() != 4 {
		t.Errorf("Stream: %v", err)
	}
}

func TestNoContent(t *testing.T) {
	serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	if _, err := Do(t.Context(), "POST", "/v1/lock", nil, nil); err != nil {
		t.Error(err)
	}
}

// What is cut, garbled or foreign is an error, whatever it looks like.
func TestBadReplies(t *testing.T) {
	whole := answer(200, "1", "{}")
	for name, c := range map[string]struct{ reply, want string }{
		"body cut":          {whole[:len(whole)-1], errCut.Error()},
		"header cut":        {whole[:30], errCut.Error()},
		"no length":         {"HTTP/1.0 200 OK\r\nCcad-Protocol: 1\r\n\r\n{}", errCut.Error()},
		"negative length":   {"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", errGarbled.Error()},
		"huge length":       {"HTTP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n", errGarbled.Error()},
		"no HTTP":           {"SSH-2.0-OpenSSH_9.2\r\n", errGarbled.Error()},
		"no status":         {"HTTP/1.0 abc OK\r\n\r\n", errGarbled.Error()},
		"endless line":      {"HTTP/1.0 200 OK\r\n" + strings.Repeat("x", 1<<16), errGarbled.Error()},
		"endless headers":   {"HTTP/1.0 200 OK\r\n" + strings.Repeat("a: b\r\n", 1000), errGarbled.Error()},
		"foreign server":    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is no ccad"},
		"other protocol":    {answer(200, "2", "{}"), `speaks protocol "2", this program protocol 1`},
		"typed refusal":     {answer(426, "2", `{"error":{"code":"protocol","message":"too old"}}`), "too old"},
		"untyped failure":   {answer(500, "1", "{}"), "HTTP status 500"},
		"redirect":          {answer(301, "1", ""), "HTTP status 301"},
		"reply is not JSON": {answer(200, "1", "nonsense"), "decode the daemon's answer"},
	} {
		t.Run(name, func(t *testing.T) {
			count := listen(t, func(_ int, conn net.Conn) {
				request(conn)
				_, _ = io.WriteString(conn, c.reply)
			})
			_, err := Do(t.Context(), "GET", "/v1/status", nil, &Status{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if n := count.Load(); n != 1 {
				t.Errorf("asked %d times: an answer that began is not asked for again", n)
			}
		})
	}
}

// A request that got no byte of an answer is sent exactly once more.
func TestRetry(t *testing.T) {
	for name, silent := range map[string]func(net.Conn){
		"end of file": func(c net.Conn) { request(c) },
		"reset":       func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, // the rest is unread
	} {
		t.Run(name, func(t *testing.T) {
			second := make(chan string, 1)
			listen(t, func(n int, c net.Conn) {
				if n == 1 {
					silent(c)
					return
				}
				second <- request(c)
				_, _ = io.WriteString(c, answer(200, "1", "{}"))
			})
			if _, err := Do(t.Context(), "POST", "/v1/lock", UnlockRequest{}, nil); err != nil {
				t.Fatal(err)
			}
			if got := <-second; got != "POST /v1/lock 1 {}" {
				t.Errorf("sent %q", got)
			}
		})
	}
	t.Run("twice silent", func(t *testing.T) {
		count := listen(t, func(_ int, c net.Conn) { request(c) })
		_, _, err := Get("/v1/status")
		if err == nil || !strings.Contains(err.Error(), errSilent.Error()) || count.Load() != 2 {
			t.Errorf("asked %d times, error %v", count.Load(), err)
		}
	})
}

// A daemon may refuse a long request before it has read it.
func TestEarlyAnswer(t *testing.T) {
	listen(t, func(_ int, c net.Conn) {
		_, _ = io.WriteString(c, answer(413, "1", `{"error":{"code":"usage","message":"too long"}}`))
	})
	_, err := Do(t.Context(), "POST", "/v1/import", ImportRequest{Files: []File{{Data: make([]byte, 8<<20)}}}, nil)
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != CodeUsage {
		t.Errorf("error %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	path := socket(t)
	check := func(t *testing.T) {
		t.Helper()
		_, _, err := Get("/v1/status")
		var failure *Error
		if !errors.As(err, &failure) || failure.Exit() != 3 || !strings.HasSuffix(err.Error(), os.Getenv("CCAD_SOCKET")) {
			t.Errorf("error %v", err)
		}
	}
	t.Run("no socket", check)
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		check(t)
	})
	t.Run("no folder", func(t *testing.T) {
		t.Setenv("CCAD_SOCKET", filepath.Join(path+".none", "ccad.sock"))
		check(t)
	})
}

// Whoever is not surely ours gets no byte.
func TestOwner(t *testing.T) {
	path := socket(t)
	dir, uid := filepath.Dir(path), os.Getuid()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dial(path, uid)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if peer, pid, err := peerOf(c); err != nil || peer != uid || pid != os.Getpid() {
		t.Errorf("peerOf: uid %d, pid %d, %v", peer, pid, err)
	}
	for name, got := range map[string]struct {
		err  error
		want string
	}{
		"folder of another":  {ownFolder(dir, uid+1, 0), "belongs to another user"},
		"socket of another":  {ownSocket(path, uid+1), "belongs to another user"},
		"folder is a file":   {ownFolder(path, uid, 0), "is no folder"},
		"socket is a folder": {ownSocket(dir, uid), "is no socket"},
		"server of another":  {checkPeer(c, uid+1), "another user listens"},
	} {
		if got.err == nil || !strings.Contains(got.err.Error(), got.want) {
			t.Errorf("%s: error %v, want %q", name, got.err, got.want)
		}
	}
	refused := func(name, want string) {
		t.Helper()
		if _, _, err := Get("/v1/status"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	for _, mode := range []os.FileMode{0o720, 0o702} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		refused("loose folder", "is open to other users")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link := dir + ".link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(link)
	t.Setenv("CCAD_SOCKET", filepath.Join(link, "ccad.sock"))
	refused("linked folder", "is a symbolic link and no folder")
}

func TestStream(t *testing.T) {
	next := make(chan bool)
	serve(t, func(w http.ResponseWriter, r *http.Request) {
		for n := range 3 {
			_, _ = fmt.Fprintf(w, `{"event":"lease","generation":%d}`+"\n", n)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done(): // what a half-close would cause
				t.Error("the server takes the client for gone")
				return
			}
		}
		_, _ = fmt.Fprintln(w, `{"event":"end"}`)
	})
	var lines []string
	err := Stream(t.Context(), "GET", "/v1/events", func(line []byte) error {
		lines = append(lines, string(line))
		next <- true
		return nil
	})
	if err != nil || len(lines) != 3 || lines[2] != `{"event":"lease","generation":2}` {
		t.Errorf("Stream: %v, %q", err, lines)
	}
}

func TestStreamEndsBadly(t *testing.T) {
	serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, `{"event":"lease"}`)
		_, _ = fmt.Fprint(w, `{"event":"end"`)
	})
	if err := Stream(t.Context(), "GET", "/v1/events", func([]byte) error { return nil }); !errors.Is(err, errCut) {
		t.Errorf("cut: %v", err)
	}
	mine := errors.New("mine")
	if err := Stream(t.Context(), "GET", "/v1/events", func([]byte) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("refused by the caller: %v", err)
	}
}

// A cancel ends a request that the daemon never answers.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := Do(ctx, "GET", "/v1/status", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := Do(ctx, "GET", "/v1/status", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(50*time.Millisecond))
	defer stop()
	if _, err := Do(late, "GET", "/v1/status", nil, nil); err == nil || !strings.Contains(err.Error(), ErrSlow.Error()) {
		t.Errorf("too late: %v", err)
	}
}
