package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/view"
	"github.com/cloud-ca/ccad/ipc"
)

// credentialSocket is where systemd gets the credentials of a user's services,
// by LoadCredential=ENVIRONMENT.FORMAT:PATH. systemd connects, sends nothing and
// reads to the end; which unit asks for what, the address says that it is bound
// to. It answers the user's own manager alone: the one of the system is root.
type credentialSocket struct {
	gate *session.Gate // nil: there is none
	lost string        // why not
}

const (
	// credentialTimeout bounds one answer, which may need an application
	// credential of the cloud.
	credentialTimeout = 30 * time.Second
	// unitsDrain is how long a lock waits for answers to units: one that is cut
	// before its first byte is an empty credential, with which the unit starts.
	unitsDrain = 2 * time.Second
	// acceptPause is how long it takes until it is tried again to accept.
	acceptPause = 100 * time.Millisecond
	// tooLong is more than systemd takes for a credential, 1 MiB.
	tooLong = 1<<20 + 1<<16
)

// listenCredentials takes the socket over or makes it. Without it ccad serves
// everything else.
func (d *Daemon) listenCredentials() (s credentialSocket) {
	if runtime.GOOS != "linux" {
		return s
	}
	var l *ipc.Listener
	var err error
	if f := d.Inherited.Units; f != nil {
		if l, err = ipc.Inherit(f); err == nil {
			l.SetUnlinkOnClose(true)
		}
	} else {
		l, err = ipc.Listen(filepath.Join(filepath.Dir(d.Socket), ipc.CredentialsName))
	}
	if err != nil {
		s.lost = fmt.Sprintf("there is no socket for credentials of systemd: %v", err)
		d.Log.Error("credentials", "error", err)
		return s
	}
	l.Stranger = func(c net.Conn) {
		go d.withhold(c, "", "", nil, errors.New("another user's manager asks: a system unit gets none here"))
	}
	s.gate = session.NewGate(l)
	s.gate.Drain = unitsDrain
	return s
}

// serveCredentials answers until it is stopped.
func (d *Daemon) serveCredentials() (stop func()) {
	g := d.credentials.gate
	if g == nil {
		return func() {}
	}
	go func() {
		for {
			c, err := g.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // too many open files
				time.Sleep(acceptPause)
				continue
			}
			g.ConnState(c, http.StateActive)
			go func() {
				d.answerUnit(c)
				g.ConnState(c, http.StateClosed)
			}()
		}
	}()
	return func() { _ = g.Close() }
}

// answerUnit gives a unit of systemd the credential that it asks for.
func (d *Daemon) answerUnit(c net.Conn) {
	unit, id, err := unitOf(c.RemoteAddr().String())
	o := d.open.Load()
	var body []byte
	if err == nil {
		body, err = d.credential(c, o, unit, id)
	}
	if err != nil {
		d.withhold(c, unit, id, o, err)
		return
	}
	d.asked.note(d.now())
	d.metrics.requests.WithLabelValues("credential", "ok").Inc()
	_ = c.SetDeadline(d.now().Add(credentialTimeout))
	_, _ = c.Write(body)
	_ = c.Close()
}

// credential renders what a unit asks for, as env does for everybody.
func (d *Daemon) credential(c net.Conn, o *opened, unit, id string) ([]byte, error) {
	environment, format, ok := splitCredential(id)
	switch {
	case !ok:
		return nil, usage("a credential is named ENVIRONMENT.FORMAT, the format being one of %s", strings.Join(view.Formats(), ", "))
	case o == nil:
		return nil, &ipc.Error{Code: ipc.CodeLocked, Message: "ccad is locked"}
	}
	ctx, cancel := context.WithTimeout(d.image, credentialTimeout)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "/?"+url.Values{"format": {format}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	ask.SetPathValue("name", environment)
	r := &request{Request: ask, open: o, holder: unit}
	if c, ok := c.(*ipc.Conn); ok {
		r.pid = c.PID
	}
	out, err := d.env(r)
	if err != nil {
		return nil, err
	}
	body, _ := out.(reply)
	return body.body, nil
}

// withhold lets the start of a unit fail. To hang up would not: systemd takes
// an empty answer for an empty credential and starts the unit with it (seen with
// 252). What is longer than a credential may be is what it refuses
// (243/CREDENTIALS). A lock that can't wait any longer may cut it.
func (d *Daemon) withhold(c net.Conn, unit, id string, o *opened, why error) {
	defer func() { _ = c.Close() }()
	d.Log.Warn("a credential is withheld", "unit", unit, "credential", id, "error", why)
	d.metrics.requests.WithLabelValues("credential", string(wireError(why).Code)).Inc()
	if o != nil {
		environment, format, _ := splitCredential(id)
		d.record(o, audit.Entry{Event: "withheld", Environment: environment, View: "unit/" + format, Note: unit + ": " + why.Error()})
	}
	_ = c.SetDeadline(d.now().Add(5 * time.Second))
	_, _ = c.Write(append(fmt.Appendf(nil, "ccad: %v\n", why), slices.Repeat([]byte{'\n'}, tooLong)...))
}

// unitOf reads the address that systemd binds its end to:
// @RANDOM/unit/UNIT/CREDENTIAL (systemd.exec(5), LoadCredential=).
func unitOf(address string) (unit, id string, err error) {
	parts := strings.Split(address, "/")
	if len(parts) != 4 || !strings.HasPrefix(parts[0], "@") || parts[1] != "unit" || parts[2] == "" || strings.ContainsFunc(parts[2], unicode.IsControl) {
		return "", "", usage("no unit of systemd asks")
	}
	return parts[2], parts[3], nil
}

// splitCredential reads ENVIRONMENT.FORMAT. Both may hold dots: the longest
// format that fits counts.
func splitCredential(id string) (environment, format string, ok bool) {
	formats := view.Formats()
	slices.SortFunc(formats, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, format := range formats {
		if environment, ok := strings.CutSuffix(id, "."+format); ok && environment != "" {
			return environment, format, true
		}
	}
	return "", "", false
}
