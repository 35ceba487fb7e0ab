package gateway

import (
	"io"
	"net"
	"sync"
	"time"
)

// A conn to the server reads an upload with a buffer of ours: net/http would
// copy it in pieces of 32 KiB.
//
// A write that fails is told only once the connection is closed. Servers refuse
// an upload midway and hang up: net/http would take the first that it hears of,
// that it can't write or what the server said, and the second is wanted. Who
// said nothing is closed by the reader, at once.
type conn struct {
	net.Conn
	buffers *buffers
	closed  chan struct{}
	close   func()
}

// lastWord is how long a refusal may be on its way, to us or to the client,
// when nothing more can be sent.
const lastWord = time.Second

func newConn(c net.Conn, b *buffers) *conn {
	own := &conn{Conn: c, buffers: b, closed: make(chan struct{})}
	own.close = sync.OnceFunc(func() { close(own.closed) })
	return own
}

func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	buf := c.buffers.get(-1)
	defer c.buffers.put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{r}, *buf)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		select {
		case <-c.closed:
		case <-time.After(lastWord):
		}
	}
	return n, err
}

func (c *conn) Close() error {
	c.close()
	return c.Conn.Close()
}
