package daemon

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
)

// stuck is a client that reads nothing until it is let.
type stuck struct {
	*httptest.ResponseRecorder
	begun, read chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.read
	return s.ResponseRecorder.Write(b)
}

// TestSlowReader: who does not keep up gets what was kept for him and hears that
// the rest is lost; what one commit tells of, however much, is kept or lost whole.
func TestSlowReader(t *testing.T) {
	d := &Daemon{feed: newFeed(), closing: make(chan struct{})}
	w := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = d.events(&request{Request: httptest.NewRequest(http.MethodGet, "/v1/events", nil), w: w})
	}()
	<-w.begun
	d.feed.publish(make([]ipc.Event, 10000)...)
	for range feedBuffer {
		d.feed.publish(ipc.Event{Event: "lease"})
	}
	close(w.read)
	<-ended
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	var last ipc.Event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Event != ipc.EventEnd || last.Error == nil {
		t.Errorf("the last line is %+v, %v", last, err)
	}
	if n := len(lines); n != 1+10000+feedBuffer-1+1 { // with how things stand, and the end
		t.Errorf("%d lines", n)
	}
}
