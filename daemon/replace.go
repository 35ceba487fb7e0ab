package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// errEnding: somebody told ccad to end while it was about to replace itself.
var errEnding = errors.New("ccad was told to end")

// replace hands everything over and replaces the process by a fresh image.
func (d *Daemon) replace(w http.ResponseWriter) error {
	h := session.Handover{Locks: d.locks, Made: d.made}
	err := error(nil)
	if w != nil {
		if h.Reply, err = connection(w); err != nil {
			return fmt.Errorf("keep the connection: %w", err)
		}
	}
	if h.Listener, err = fileOf(d.gate); err != nil {
		return fmt.Errorf("keep the listener: %w", err)
	}
	s3 := d.s3.gate()
	if h.Gateway, err = fileOf(s3); err != nil {
		return fmt.Errorf("keep the gateway's port: %w", err)
	}
	if h.Metrics, err = fileOf(d.metricsPort.gate); err != nil {
		return fmt.Errorf("keep the metrics port: %w", err)
	}
	if h.Units, err = fileOf(d.credentials.gate); err != nil {
		return fmt.Errorf("keep the socket for credentials: %w", err)
	}
	var shut sync.WaitGroup
	for _, g := range []*session.Gate{d.gate, s3, d.metricsPort.gate, d.credentials.gate} {
		if g != nil {
			shut.Go(g.Shut)
		}
	}
	shut.Wait()
	// From here on a signal ends the process at once, as it does the next image
	// until that listens for them. One that came before shows in the context.
	d.Signals.Release()
	if d.ctx.Err() != nil {
		return errEnding
	}
	_, _ = sd.SdNotify(false, sd.SdNotifyReloading) // until the next image is ready
	return h.Replace(d.Binary)
}

// connection takes the one that a request came by, for the next image to answer.
func connection(w http.ResponseWriter) (*os.File, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*ipc.Conn)
	if !ok {
		return nil, errors.New("it is no Unix socket")
	}
	return c.File()
}

// fileOf is a gate's listener, for the next image of the process; nil where
// there is none.
func fileOf(g *session.Gate) (*os.File, error) {
	if g == nil {
		return nil, nil
	}
	l, ok := g.Listener.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("it is no socket")
	}
	return l.File()
}

// answerLock answers the request that made the old image end. A lock that a restart
// will not remember, or no passphrase opens, is a failure, though it is one: its
// person must know.
func (d *Daemon) answerLock(f *os.File) {
	defer func() { _ = f.Close() }()
	status, body, but := "200 OK", []byte("{}"), ""
	if _, err := d.keyring.Exists(); err != nil {
		but = err.Error()
	} else if !vault.IsLocked(d.DataDir) {
		but = "a restart will not remember it: its data folder is gone, or can't be written"
	}
	if but != "" {
		status = "500 Internal Server Error"
		body, _ = json.Marshal(map[string]*ipc.Error{"error": {Code: ipc.CodeFailed, Message: "ccad is locked, and " + but}})
	}
	body = append(body, '\n')
	_, _ = fmt.Fprintf(f, "HTTP/1.0 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s: %d\r\nConnection: close\r\n\r\n%s",
		status, len(body), ipc.ProtocolHeader, ipc.Protocol, body)
}
