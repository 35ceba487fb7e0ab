package daemon

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/ipc"
)

// A stream writes JSON lines as they come; its last line says that it ended,
// since an HTTP/1.0 stream that was cut looks like one that is over.
// Several may write into one.
type stream struct {
	flush *http.ResponseController

	mu  sync.Mutex
	enc *json.Encoder
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set(ipc.ProtocolHeader, strconv.Itoa(ipc.Protocol))
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	s := &stream{flush: http.NewResponseController(w), enc: json.NewEncoder(w)}
	_ = s.flush.Flush()
	return s
}

func (s *stream) line(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enc.Encode(v); err != nil {
		return err
	}
	return s.flush.Flush()
}

func (s *stream) events(events []ipc.Event) error {
	for _, e := range events {
		if err := s.line(e); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) endStream(s *stream, reason string) {
	_ = s.line(ipc.Event{Time: d.now(), Event: ipc.EventEnd, Message: reason})
}

// errSlow ends the stream of a reader that misses what comes next.
var errSlow = &ipc.Error{Code: ipc.CodeFailed, Message: "events were not read as fast as they came, and the next are lost"}

// events streams what happens until the client hangs up or the daemon locks. It
// begins with how things stand: a lock ends every stream, so that a client is
// away when the unlock comes.
func (d *Daemon) events(r *request) (any, error) {
	events, cancel := d.feed.subscribe()
	defer cancel()
	s := newStream(r.w)
	state := "unlocked"
	if d.open.Load() == nil {
		state = "locked"
	}
	if err := s.line(ipc.Event{Time: d.now(), Event: state, Message: "as the stream begins"}); err != nil {
		return hijacked{}, nil
	}
	for {
		select {
		case <-r.Context().Done():
			return hijacked{}, nil
		case <-d.closing:
			d.drain(s, events)
			d.endStream(s, "the daemon locks or ends")
			return hijacked{}, nil
		case together, ok := <-events:
			if !ok {
				_ = s.line(ipc.Event{Time: d.now(), Event: ipc.EventEnd, Error: errSlow})
				return hijacked{}, nil
			}
			if s.events(together) != nil {
				return hijacked{}, nil
			}
		}
	}
}

// drain writes what was published before the end, "locked" above all.
func (d *Daemon) drain(s *stream, events <-chan []ipc.Event) {
	for {
		select {
		case together, ok := <-events:
			if !ok || s.events(together) != nil {
				return
			}
		default:
			return
		}
	}
}

// log streams the audit trail; with ?follow=true it goes on with what comes.
func (d *Daemon) log(r *request) (any, error) {
	follow := r.URL.Query().Get("follow") == "true"
	entries, err := r.open.trail.Read(r.Context(), follow)
	if err != nil {
		return nil, err
	}
	s := newStream(r.w)
	for {
		select {
		case <-d.closing:
			d.endStream(s, "the daemon locks or ends")
			return hijacked{}, nil
		case e, ok := <-entries:
			if !ok {
				d.endStream(s, "")
				return hijacked{}, nil
			}
			if err := s.line(e); err != nil {
				return hijacked{}, nil
			}
		}
	}
}

// verifyLog checks the chain of the audit trail against the store's checkpoint,
// and says where lines may have been cut off that no checkpoint knew.
func (d *Daemon) verifyLog(r *request) (any, error) {
	lines, err := r.open.trail.Verify()
	report := ipc.LogReport{Lines: lines, Intact: err == nil}
	if err != nil {
		report.Fault = err.Error()
		return report, nil
	}
	entries, err := r.open.trail.Read(r.Context(), false)
	if err != nil {
		return nil, err
	}
	for e := range entries {
		if e.Event == audit.EventCutShort {
			report.Notes = append(report.Notes, e.Note)
		}
	}
	return report, nil
}
