package practice

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Fault breaks requests. What it does is Break, or else Status; with neither
// the request is only delayed.
type Fault struct {
	// Route is which requests: a name such as "POST /v3/auth/tokens",
	// "PUT swift/object" or "s3:ListBuckets" (Counts has the names of all that
	// came); with a "*" at the end all that begin so; "" is all.
	Route string
	Skip  int           // let so many pass before the first
	Times int           // how many to break; 0: all until Heal
	Delay time.Duration // wait first
	Begun func()        // called as each of them arrives, before the wait
	Break Break
	// AfterWork does the request's work before breaking it: the cloud acted,
	// the client can't know.
	AfterWork bool
	// Late keeps the request aside and does its work at Deliver, long after the
	// client has stopped waiting.
	Late   bool
	Status int // answer this, with Header and Body, in place of working
	Header http.Header
	Body   string
}

// Break is how a connection ends without an answer.
type Break int

// The ways.
const (
	Answer Break = iota // it does not: there is an answer
	Hang                // nothing comes, until the client gives up
	Cut                 // the connection is closed
	Reset               // the connection is reset
	Torn                // the work is done, and the connection reset in mid-answer
)

// Limited is Keystone's or a proxy's 429.
func Limited(route string, retryAfter string) Fault {
	return Fault{Route: route, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {retryAfter}}}
}

// Garbage is a 200 with an answer that is none.
func Garbage(route string) Fault {
	return Fault{Route: route, Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: "\x1f\x8b{\"token\": [<html>\xff\x00"}
}

// faults is the layer in front of the servers.
type faults struct {
	mu     sync.Mutex // guards all below
	list   []*Fault
	late   []func()
	counts map[string]map[int]int // per route and status
}

// broken counts requests that got no answer.
const broken = 0

func newFaults() *faults { return &faults{counts: map[string]map[int]int{}} }

// Fail breaks requests from now on. Where several faults match a request, the
// one given first is used until it is used up.
func (c *Cloud) Fail(f Fault) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.list = append(c.faults.list, &f)
}

// Heal removes all faults; requests that hang go on hanging.
func (c *Cloud) Heal() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.list = nil
}

// Deliver does the work of the requests that are kept aside, in the order in which
// they came, and returns how many there were.
func (c *Cloud) Deliver() int {
	c.faults.mu.Lock()
	late := c.faults.late
	c.faults.late = nil
	c.faults.mu.Unlock()
	for _, work := range late {
		work()
	}
	return len(late)
}

// Late tells how many requests are kept aside.
func (c *Cloud) Late() int {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	return len(c.faults.late)
}

// keep puts a request aside.
func (f *faults) keep(h http.Handler, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	r = r.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, func() { h.ServeHTTP(&nowhere{header: http.Header{}}, r) })
}

// Count tells how many requests of a route came, or of all whose names begin
// with what stands before a "*".
func (c *Cloud) Count(route string) int {
	n := 0
	for name, outcomes := range c.Counts() {
		if matches(route, name) {
			for _, k := range outcomes {
				n += k
			}
		}
	}
	return n
}

// Counts tells how many requests of each route had each status; status 0 are
// those without an answer. Requests that still run are not in it.
func (c *Cloud) Counts() map[string]map[int]int {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	counts := map[string]map[int]int{}
	for route, outcomes := range c.faults.counts {
		counts[route] = maps.Clone(outcomes)
	}
	return counts
}

// ResetCounts begins counting anew.
func (c *Cloud) ResetCounts() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.counts = map[string]map[int]int{}
}

func matches(pattern, route string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(route, prefix)
	}
	return pattern == "" || pattern == route
}

// pick returns the fault for a request, and uses it up by one.
func (f *faults) pick(route string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.list {
		if !matches(fault.Route, route) {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			return Fault{}, false
		}
		if fault.Times == 1 {
			f.list = slices.Delete(slices.Clone(f.list), i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return *fault, true
	}
	return Fault{}, false
}

func (f *faults) count(route string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts[route] == nil {
		f.counts[route] = map[int]int{}
	}
	f.counts[route][status]++
}

// faulty puts the layer in front of h; name tells a request's route.
func (c *Cloud) faulty(name func(*http.Request) string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := name(r)
		fault, ok := c.faults.pick(route)
		seen := &counter{w, func(status int) { c.faults.count(route, status) }}
		if !ok {
			h.ServeHTTP(seen, r)
			return
		}
		if fault.Begun != nil {
			fault.Begun()
		}
		if fault.Delay > 0 && !c.wait(r, fault.Delay) {
			c.faults.count(route, broken)
			panic(http.ErrAbortHandler)
		}
		if fault.Break == Answer && fault.Status == 0 {
			h.ServeHTTP(seen, r)
			return
		}
		if fault.Break == Torn {
			c.faults.count(route, broken)
			h.ServeHTTP(&torn{w, http.StatusOK}, r)
			reset(w)
			panic(http.ErrAbortHandler)
		}
		if fault.Late {
			c.faults.keep(h, r)
		}
		if fault.AfterWork {
			h.ServeHTTP(&nowhere{header: http.Header{}}, r)
		}
		c.finish(w, r, route, fault)
	})
}

// finish ends a request as its fault says.
func (c *Cloud) finish(w http.ResponseWriter, r *http.Request, route string, fault Fault) {
	if fault.Break == Answer {
		c.faults.count(route, fault.Status)
		maps.Copy(w.Header(), fault.Header)
		w.WriteHeader(fault.Status)
		_, _ = io.WriteString(w, fault.Body)
		return
	}
	c.faults.count(route, broken)
	switch fault.Break {
	case Hang:
		c.wait(r, 0)
	case Reset:
		reset(w)
	}
	panic(http.ErrAbortHandler) // closes the connection
}

// wait lasts d, or for ever if d is 0, and reports false when the client or the
// cloud went away before.
func (c *Cloud) wait(r *http.Request, d time.Duration) bool {
	// net/http notices that the client went away only once the body is read;
	// the work may want it later.
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	var timer <-chan time.Time
	if d > 0 {
		timer = time.After(d)
	}
	select {
	case <-timer:
		return true
	case <-r.Context().Done():
	case <-c.closed:
	}
	return false
}

// reset makes the kernel answer with RST: a close with unsent data discarded.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// counter counts an answer's status before a byte of it goes out, so that a
// client that has the answer finds it counted.
type counter struct {
	http.ResponseWriter
	count func(status int)
}

func (c *counter) WriteHeader(status int) {
	if status >= 200 {
		c.count(status)
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// torn lets out half of an answer that its work gives in one piece; of one without
// a body nothing.
type torn struct {
	http.ResponseWriter
	status int
}

func (t *torn) WriteHeader(status int) { t.status = status }

func (t *torn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	t.ResponseWriter.WriteHeader(t.status)
	if _, err := t.ResponseWriter.Write(b[:len(b)/2]); err != nil {
		return 0, err
	}
	return len(b), http.NewResponseController(t.ResponseWriter).Flush()
}

// nowhere takes the answer of work whose answer is lost.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}
