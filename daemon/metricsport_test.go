package daemon_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// A web page reads nothing from the metrics port, also where its own name leads
// to this machine.
func TestMetricsPortOfAWebPage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	w := newWorld(t, practice.Options{})
	w.stop()
	w.start("[metrics]\nlisten = \"" + address + "\"\n")
	_, port, _ := net.SplitHostPort(address)
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{address, "", 200},
		{"127.0.0.1", "", 200},
		{"[::1]:" + port, "", 200},
		{"localhost:" + port, "", 200},
		{"LocalHost", "", 200},
		{"evil.example:" + port, "", 403},
		{"evil.example", "http://evil.example", 403},
		{"127.0.0.1.evil.example:" + port, "", 403},
		{"localhost.evil.example", "", 403},
		{address, "http://" + address, 403},
		{address, "null", 403},
	} {
		r, err := http.NewRequest("GET", "http://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("Host %q, Origin %q: %d, want %d", c.host, c.origin, answer.StatusCode, c.status)
		}
	}
}
