package practice

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Portal is a stand-in for the reading part of the portal's API (CloudMC), as
// its documentation has it. It has no real counterpart that a test could reach:
// which field names the real one gives object storage is not documented.
type Portal struct {
	URL string // with its version
	Key string // the one API key it knows

	show   func() []PortalEnvironment
	server *http.Server
	done   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	quirk    PortalQuirk
	requests int
	tasks    map[string]any // results by task id
}

// A PortalEnvironment is what the portal shows of one environment.
type PortalEnvironment struct {
	ID, Name string
	Fields   [][2]string // key and value, in the portal's order
	Stranger bool        // the holder of the key is no member: 403
}

// PortalQuirk says how a portal answers. The zero value is the newer one.
type PortalQuirk struct {
	Status int    // answer every request with this error
	Skip   int    // but for so many that come first
	Old    bool   // errors and tasks in the older form
	Task   string // "slow": apiInfo is a task, pending once; "failed": a task that fails
}

// StartPortal serves what show returns until Close.
func StartPortal(key string, show func() []PortalEnvironment) (*Portal, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("practice portal: %w", err)
	}
	p := &Portal{URL: "http://" + l.Addr().String() + "/api/v2", Key: key, show: show, tasks: map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/environments", p.environments)
	mux.HandleFunc("GET /api/v2/services/connections/{id}/apiInfo", p.apiInfo)
	mux.HandleFunc("GET /api/v2/tasks/{id}", p.task)
	p.server = &http.Server{Handler: p.guarded(mux), ReadHeaderTimeout: 10 * time.Second}
	p.done.Go(func() {
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("practice portal: %v", err))
		}
	})
	return p, nil
}

// Close ends the portal.
func (p *Portal) Close() { _ = p.server.Close(); p.done.Wait() }

// Behave changes how the portal answers from now on.
func (p *Portal) Behave(q PortalQuirk) { p.mu.Lock(); defer p.mu.Unlock(); p.quirk = q }

// Requests tells how many requests came.
func (p *Portal) Requests() int { p.mu.Lock(); defer p.mu.Unlock(); return p.requests }

// PortalView is what the portal shows the user now, under the labels of its table.
func (c *Cloud) PortalView(name string) []PortalEnvironment {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.find(name)
	var shown []PortalEnvironment
	for _, id := range u.roles {
		fields := [][2]string{
			{"Authentication endpoint", c.AuthURL[:len(c.AuthURL)-len("/v3")] + "/v2.0"}, {"Project name", c.state.projects[id].name},
			{"User name", name}, {"Password", u.current().value},
			{"Authentication URL", c.AuthURL[:len(c.AuthURL)-len("/v3")]}, {"Identity API version", "3"}, {"Domain ID", "default"},
		}
		for _, k := range c.state.keys(u.id) {
			if k.projectID == id {
				fields = append(fields, [2]string{"S3 API access key", k.access}, [2]string{"S3 API secret key", k.secret})
				break
			}
		}
		shown = append(shown, PortalEnvironment{ID: "env-" + id, Name: c.state.projects[id].name, Fields: fields})
	}
	return shown
}

// guarded counts, and asks for the key.
func (p *Portal) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests++
		status := p.quirk.Status
		if p.quirk.Skip > 0 {
			p.quirk.Skip--
			status = 0
		}
		p.mu.Unlock()
		switch {
		case status != 0:
			p.fail(w, status, 2012, "RATE")
		case r.Header.Get("MC-Api-Key") != p.Key:
			p.fail(w, http.StatusUnauthorized, 1001, "UNAUTHORIZED")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// fail answers with an error in one of the two documented forms.
func (p *Portal) fail(w http.ResponseWriter, status, code int, word string) {
	e := map[string]any{"code": code, "message": "words of the portal", "context": map[string]any{}}
	if p.old() {
		e = map[string]any{"errorCode": word, "message": "words of the portal"}
	}
	writeJSON(w, status, map[string]any{"errors": []any{e}})
}

func (p *Portal) old() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.quirk.Old }

func (p *Portal) environments(w http.ResponseWriter, _ *http.Request) {
	list := []any{}
	for _, e := range p.show() {
		list = append(list, map[string]any{"id": e.ID, "name": e.Name,
			"serviceConnection": map[string]any{"id": "sc-1", "name": "objects", "serviceCode": "objects", "type": "swift"}})
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": list, "metadata": map[string]any{"recordCount": len(list)}})
}

func (p *Portal) apiInfo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("environmentId") == "" {
		p.fail(w, http.StatusBadRequest, 2000, "MISSING")
		return
	}
	for _, e := range p.show() {
		if e.ID != r.URL.Query().Get("environmentId") {
			continue
		}
		if e.Stranger {
			p.fail(w, http.StatusForbidden, 1002, "FORBIDDEN")
			return
		}
		fields := []any{}
		for _, f := range e.Fields {
			fields = append(fields, map[string]any{"key": f[0], "value": f[1], "sensitive": f[0] == "Password", "environmentSpecific": true})
		}
		p.tell(w, map[string]any{"canRegenerateCredentials": true, "fields": fields})
		return
	}
	p.fail(w, http.StatusNotFound, 2001, "NOT_FOUND")
}

// tell answers at once, or by a task.
func (p *Portal) tell(w http.ResponseWriter, data any) {
	p.mu.Lock()
	task, old := p.quirk.Task, p.quirk.Old
	if task == "slow" {
		p.tasks["t1"] = data
	}
	p.mu.Unlock()
	switch {
	case task == "":
		writeJSON(w, http.StatusOK, map[string]any{"data": data})
	case old:
		writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"id": "t1", "status": "PENDING", "created": "2026-11-22T00:00:00Z"}})
	default:
		writeJSON(w, http.StatusOK, map[string]any{"taskId": "t1", "taskStatus": "PENDING"})
	}
}

func (p *Portal) task(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	result, ok := p.tasks[r.PathValue("id")]
	old := p.quirk.Old
	p.mu.Unlock()
	status := "SUCCESS"
	if !ok {
		status = "FAILED"
	}
	if old {
		writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"id": "t1", "status": status, "result": result}})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"taskId": "t1", "taskStatus": status, "data": result})
}
