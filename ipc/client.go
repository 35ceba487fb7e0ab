package ipc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	getTimeout = 30 * time.Second      // a view may wait for a token of Keystone
	retryPause = 20 * time.Millisecond // as long as a locking daemon waits for silent connections
	maxReply   = 256 << 20
	maxHeaders = 100
)

// ErrSlow means that the daemon is there and does not answer in time.
var ErrSlow = errors.New("the daemon takes too long to answer")

var (
	errSilent  = errors.New("it hung up without an answer")
	errCut     = errors.New("the daemon's answer was cut off")
	errGarbled = errors.New("the daemon's answer is no HTTP")
)

// socketKey finds where At has a context's requests go.
type socketKey struct{}

// At returns a context whose requests go to the daemon that listens at socket,
// wherever SocketPath says: several daemons live in one process of tests.
func At(ctx context.Context, socket string) context.Context {
	return context.WithValue(ctx, socketKey{}, socket)
}

func socketOf(ctx context.Context) string {
	if socket, ok := ctx.Value(socketKey{}).(string); ok {
		return socket
	}
	return SocketPath()
}

// Do sends a request with in as its JSON body (nil: none) and decodes the reply
// into out (nil: drops it; a *[]byte: takes it as it is). The warnings are lines
// for stderr.
func Do(ctx context.Context, method, path string, in, out any) (warnings []string, err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	data, warnings, err := fetch(ctx, method, path, body)
	if err != nil || out == nil {
		return warnings, err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = data
		return warnings, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return warnings, fmt.Errorf("decode the daemon's answer: %w", err)
	}
	return warnings, nil
}

// Get returns the bytes of a reply: the lean way, without a decoder.
func Get(path string) (body []byte, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), getTimeout)
	defer cancel()
	return fetch(ctx, "GET", path, nil)
}

// Stream hands each line of a reply to line, without its newline, until the
// daemon ends the stream. A stream that stops without its last line is an
// error, and so is one that its last line gives and what line returns; after a
// cancel it is ctx.Err().
func Stream(ctx context.Context, method, path string, line func([]byte) error) error {
	return StreamOf(ctx, method, path, nil, line)
}

// StreamOf is Stream for a request with in as its JSON body (nil: none).
func StreamOf(ctx context.Context, method, path string, in any, line func([]byte) error) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	return stream(ctx, method, path, body, func() {}, line)
}

// stream calls begun when the daemon has begun to answer, and then line.
func stream(ctx context.Context, method, path string, body []byte, begun func(), line func([]byte) error) error {
	r, err := send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer r.close()
	begun()
	for {
		data, err := r.in.ReadBytes('\n')
		if err != nil {
			return r.broken(ctx, errCut)
		}
		var last struct {
			Event string `json:"event"`
			Error *Error `json:"error"`
		}
		if json.Unmarshal(data, &last) == nil && last.Event == EventEnd {
			if last.Error != nil {
				return last.Error
			}
			return nil
		}
		if err := line(bytes.TrimSuffix(data, []byte("\n"))); err != nil {
			return err
		}
	}
}

func fetch(ctx context.Context, method, path string, body []byte) (data []byte, warnings []string, err error) {
	r, err := send(ctx, method, path, body)
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	if data, err = r.body(); err != nil {
		return nil, nil, r.broken(ctx, err)
	}
	return data, r.warnings, nil
}

// send returns the reply to a request, its body still unread. A daemon that
// locks executes itself anew and drops connections that it has heard nothing
// on; so a request that got not one byte of an answer is sent once more.
func send(ctx context.Context, method, path string, body []byte) (*reply, error) {
	socket := socketOf(ctx)
	request := fmt.Appendf(nil, "%s %s HTTP/1.0\r\nHost: ccad\r\n%s: %d\r\n", method, path, ProtocolHeader, Protocol)
	if body != nil {
		request = fmt.Appendf(request, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	request = append(append(request, "\r\n"...), body...)

	r, err := attempt(ctx, socket, request)
	if unanswered(err) {
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
		r, err = attempt(ctx, socket, request)
	}
	var failure *Error
	switch {
	case err == nil:
		return r, nil
	case errors.As(err, &failure):
		return nil, failure
	case ctx.Err() != nil:
		return nil, err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
		return nil, &Error{Code: CodeNoDaemon, Message: "no daemon answers at " + socket}
	}
	return nil, fmt.Errorf("ask the daemon at %s: %w", socket, err)
}

// unanswered reports whether a request failed before the first byte of an
// answer, in a way that a daemon in the midst of executing itself causes.
func unanswered(err error) bool {
	return errors.Is(err, errSilent) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
}

// attempt sends a request once. It never half-closes the connection: net/http
// takes that for a client that went away.
func attempt(ctx context.Context, socket string, request []byte) (*reply, error) {
	conn, err := dial(socket, os.Getuid())
	if err != nil {
		return nil, err
	}
	r := &reply{conn: conn, socket: socket, in: bufio.NewReader(conn), length: -1}
	r.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	// A daemon may answer and hang up before it has read a long request, so a
	// failed write is no failure until there is nothing to read either.
	_, err = conn.Write(request)
	if _, e := r.in.Peek(1); e != nil {
		if err == nil {
			err = e
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			err = errSilent
		}
	} else if err = r.head(); err == nil {
		err = r.failure()
	}
	if err != nil {
		r.close()
		return nil, r.broken(ctx, err)
	}
	return r, nil
}

// dial connects to the daemon at path once it is sure that both the socket and
// who listens on it are uid's: whoever else may listen gets no byte.
func dial(path string, uid int) (*net.UnixConn, error) {
	if err := ownFolder(filepath.Dir(path), uid, 0o022); err != nil {
		return nil, err
	}
	if err := ownSocket(path, uid); err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn, uid); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func checkPeer(conn *net.UnixConn, uid int) error {
	peer, _, err := peerOf(conn)
	if err == nil && peer != uid {
		err = fmt.Errorf("another user listens there (uid %d)", peer)
	}
	return err
}

// A reply is an answer whose head has been read.
type reply struct {
	conn     *net.UnixConn
	socket   string // its path
	in       *bufio.Reader
	stop     func() bool
	status   int
	length   int64 // of the body; -1: not said
	protocol string
	warnings []string
}

func (r *reply) close() {
	r.stop()
	_ = r.conn.Close()
}

// broken tells a request that was cancelled or took too long from one that
// failed by itself.
func (r *reply) broken(ctx context.Context, err error) error {
	switch ctx.Err() {
	case nil:
		return err
	case context.DeadlineExceeded:
		return ErrSlow
	}
	return ctx.Err()
}

// head reads the status line and the headers. A header that is longer than the
// reader's buffer counts as garbled.
func (r *reply) head() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if len(line) < len("HTTP/1.0 200") || !strings.HasPrefix(line, "HTTP/1.") {
		return errGarbled
	}
	if r.status, err = strconv.Atoi(line[9:12]); err != nil {
		return errGarbled
	}
	if r.status == 204 { // it has no body, and may not say so
		r.length = 0
	}
	for range maxHeaders {
		if line, err = r.line(); err != nil {
			return err
		}
		if line == "" {
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			r.length, err = strconv.ParseInt(value, 10, 64)
			if err != nil || r.length < 0 || r.length > maxReply {
				return errGarbled
			}
		case strings.EqualFold(name, ProtocolHeader):
			r.protocol = value
		case strings.EqualFold(name, WarningHeader):
			r.warnings = append(r.warnings, value)
		}
	}
	return errGarbled
}

func (r *reply) line() (string, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errGarbled
	}
	if err != nil {
		return "", errCut
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// failure returns the error that a reply stands for. A typed refusal counts
// whatever protocol the daemon speaks; anything else must speak ours.
func (r *reply) failure() error {
	if r.status/100 != 2 {
		var wrapped struct {
			Error *Error `json:"error"`
		}
		if data, err := r.body(); err == nil && json.Unmarshal(data, &wrapped) == nil && wrapped.Error != nil {
			return wrapped.Error
		}
	}
	switch {
	case r.protocol == "":
		return &Error{Code: CodeProtocol, Message: "what answers at " + r.socket + " is no ccad"}
	case r.protocol != strconv.Itoa(Protocol):
		return &Error{Code: CodeProtocol, Message: fmt.Sprintf("the daemon speaks protocol %.8q, this program protocol %d", r.protocol, Protocol)}
	case r.status/100 != 2:
		return fmt.Errorf("it answers with HTTP status %d", r.status)
	}
	return nil
}

// body reads the whole body. Without a length a cut body would look whole.
func (r *reply) body() ([]byte, error) {
	if r.length < 0 {
		return nil, errCut
	}
	data := make([]byte, r.length)
	if _, err := io.ReadFull(r.in, data); err != nil {
		return nil, errCut
	}
	return data, nil
}
