package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// maxRequest bounds a request's body: an import of a few files of 1 MiB each,
// in base64, or a backup.
const maxRequest = 64 << 20

// A verb is one line of the table: what is asked, and what answers it. An act
// returns a value to be sent as JSON, a reply, or an error.
type verb struct {
	pattern string // of the mux, and behind a "?" the parameters that it knows, with "&" between
	act     func(*Daemon, *request) (any, error)
	locked  bool // answered while locked, too
}

// route is the pattern without the parameters.
func (v verb) route() string {
	route, _, _ := strings.Cut(v.pattern, "?")
	return route
}

// knows returns an error for a parameter that the verb does not know, or that
// comes twice: what a client asks for must not be overlooked.
func (v verb) knows(query url.Values) error {
	_, known, _ := strings.Cut(v.pattern, "?")
	if v.pattern == unheardPattern {
		return nil
	}
	for name, values := range query {
		if !slices.Contains(strings.Split(known, "&"), name) || len(values) > 1 {
			return usage("the request's parameters are not understood")
		}
	}
	return nil
}

const unheardPattern = "/"

// unheard answers what is no line of the table.
var unheard = verb{unheardPattern, func(*Daemon, *request) (any, error) { return nil, usage("no such request") }, true}

// verbs is every request there is, sorted by pattern.
var verbs = []verb{
	{"DELETE /v1/environments/{name}?yes", (*Daemon).remove, false},
	{"DELETE /v1/kept/{id}", (*Daemon).unkeep, false},
	{"DELETE /v1/portal", (*Daemon).portalLogout, false},
	{"GET /metrics", (*Daemon).prometheus, true},
	{"GET /v1/alive", (*Daemon).alive, true},
	{"GET /v1/environments/{name}?reveal", (*Daemon).show, false},
	{"GET /v1/environments/{name}/views/credential-process?gateway&direct", (*Daemon).credentialProcess, false},
	{"GET /v1/environments/{name}/views/endpoint", (*Daemon).endpoint, false},
	{"GET /v1/environments/{name}/views/env?format&auth&client&for&gateway&direct&as&anew&file&selected", (*Daemon).env, false},
	{"GET /v1/events", (*Daemon).events, true},
	{"GET /v1/kept", (*Daemon).keptFiles, false},
	{"GET /v1/log?follow", (*Daemon).log, false},
	{"GET /v1/log/verify", (*Daemon).verifyLog, false},
	{"GET /v1/portal", (*Daemon).portalFields, false},
	{"GET /v1/renders", (*Daemon).renders, true},
	{"GET /v1/stale", (*Daemon).staleFiles, false},
	{"GET /v1/status", (*Daemon).status, true},
	{"POST /v1/backup", (*Daemon).backup, false},
	{"POST /v1/clouds-file", (*Daemon).cloudsFile, false},
	{"POST /v1/environments", (*Daemon).add, false},
	{"POST /v1/environments/{name}/revoke", (*Daemon).revoke, false},
	{"POST /v1/environments/{name}/s3-key?gateway&direct", (*Daemon).ensureKey, false},
	{"POST /v1/import", (*Daemon).importFiles, false},
	{"POST /v1/kept", (*Daemon).keep, false},
	{"POST /v1/lock", (*Daemon).lockNow, true},
	{"POST /v1/passphrase", (*Daemon).changePassphrase, false},
	{"POST /v1/portal", (*Daemon).portalLogin, false},
	{"POST /v1/restore", (*Daemon).restore, false},
	{"POST /v1/rotate", (*Daemon).rotate, false},
	{"POST /v1/scrub", (*Daemon).scrub, false},
	{"POST /v1/stale", (*Daemon).stale, false},
	{"POST /v1/unlock", (*Daemon).unlockNow, true},
	{"POST /v1/unwatch", (*Daemon).unwatch, false},
	{"POST /v1/update", (*Daemon).update, false},
	{"POST /v1/verify", (*Daemon).verify, false},
}

// unattended are asked by who watches ccad, or keeps files written, and uses
// nothing: they keep no idle lock away.
var unattended = []string{"GET /metrics", "GET /v1/alive", "GET /v1/renders"}

// A request is what an act gets.
type request struct {
	*http.Request
	w    http.ResponseWriter
	open *opened // nil only for verbs that are answered while locked
	pid  int     // the client's, as the kernel says

	holder string        // the file or the systemd unit that the answer is for; "": a process
	asking *rotate.Round // see round
}

// round is what the request is to the keeper: one command of a person's, however
// many environments it is about.
func (r *request) round() *rotate.Round {
	if r.asking == nil {
		r.asking = r.open.keeper.Round()
	}
	return r.asking
}

// A reply is an answer that is not JSON of a value.
type reply struct {
	contentType string
	body        []byte
	warnings    []string
}

// hijacked says that the act has answered by itself.
type hijacked struct{}

// handler routes requests through the wrapper.
func (d *Daemon) handler() http.Handler {
	mux := http.NewServeMux()
	for _, v := range append(slices.Clone(verbs), unheard) {
		mux.HandleFunc(v.route(), func(w http.ResponseWriter, r *http.Request) { d.answer(v, w, r) })
	}
	return mux
}

// answer is the one way through for every request.
func (d *Daemon) answer(v verb, w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	req := &request{Request: r, w: w, open: d.open.Load(), pid: peerOf(r.Context())}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	out, err := d.act(v, req)
	if !slices.Contains(unattended, v.route()) && req.holds() != "file" {
		d.asked.note(d.now())
	}
	code := "ok"
	if err != nil {
		code = string(wireError(err).Code)
		d.Log.Debug("request", "verb", v.route(), "code", code)
	}
	d.metrics.requests.WithLabelValues(v.route(), code).Inc()
	d.metrics.duration.WithLabelValues(v.route()).Observe(time.Since(start).Seconds())
	if _, done := out.(hijacked); !done {
		d.send(w, out, err)
	}
}

func (d *Daemon) act(v verb, req *request) (any, error) {
	if p := req.Header.Get(ipc.ProtocolHeader); p != "" && p != strconv.Itoa(ipc.Protocol) {
		return nil, &ipc.Error{Code: ipc.CodeProtocol, Message: "ccad " + d.Version + " speaks protocol " + strconv.Itoa(ipc.Protocol) + ", the client another: restart the older of the two"}
	}
	if req.Header.Get("Origin") != "" || req.Header.Get("Sec-Fetch-Site") != "" {
		return nil, &ipc.Error{Code: ipc.CodeUsage, Message: "requests of browsers are not answered"}
	}
	if req.Method == http.MethodHead { // the mux takes it for GET, which hands out
		return nil, usage("no such request")
	}
	if err := v.knows(req.URL.Query()); err != nil {
		return nil, err
	}
	if req.open == nil && !v.locked {
		return nil, &ipc.Error{Code: ipc.CodeLocked, Message: "ccad is locked"}
	}
	return v.act(d, req)
}

// decode reads a request's JSON. It is strict: an older daemon must not
// overlook what a newer client asks for.
func decode[T any](r *request) (in T, err error) {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err = dec.Decode(&in)
	if err == nil {
		_, err = dec.Token() // there must be no second value
	}
	if !errors.Is(err, io.EOF) {
		return in, &ipc.Error{Code: ipc.CodeUsage, Message: "the request is not understood"}
	}
	return in, nil
}

// send writes an answer, always with its length: a cut one must not look whole.
func (d *Daemon) send(w http.ResponseWriter, out any, err error) {
	h := w.Header()
	h.Set(ipc.ProtocolHeader, strconv.Itoa(ipc.Protocol))
	h.Set("Cache-Control", "no-store")
	if d.open.Load() == nil {
		h.Set("Connection", "close")
	}
	status, body, contentType := http.StatusOK, []byte(nil), "application/json"
	if err != nil {
		wire := wireError(err)
		status = wire.Code.HTTPStatus()
		body, _ = json.Marshal(map[string]*ipc.Error{"error": wire})
		body = append(body, '\n')
	} else if r, ok := out.(reply); ok {
		body, contentType = r.body, r.contentType
		for _, warning := range r.warnings {
			h.Add(ipc.WarningHeader, warning)
		}
	} else {
		body, _ = json.Marshal(out)
		body = append(body, '\n')
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// wireError gives an error its code. What has none of its own is "failed".
func wireError(err error) *ipc.Error {
	var wire *ipc.Error
	var refused *rotate.RefusedError
	code := ipc.CodeFailed
	switch {
	case errors.As(err, &wire):
		return wire
	case errors.As(err, &refused), errors.Is(err, cloud.ErrRefused), errors.Is(err, rotate.ErrWithdrawn), errors.Is(err, rotate.ErrInDoubt):
		code = ipc.CodeRefused
	case errors.Is(err, rotate.ErrUnknown):
		code = ipc.CodeUnknown
	case errors.Is(err, rotate.ErrWithheld):
		code = ipc.CodeWithheld
	case errors.Is(err, rotate.ErrUnnamed):
		code = ipc.CodeUnnamed
	case errors.Is(err, rotate.ErrTaken):
		code = ipc.CodeTaken
	case errors.Is(err, vault.ErrOlder):
		code = ipc.CodeOlder
	case errors.Is(err, rotate.ErrOnlyCopy):
		code = ipc.CodeOnlyCopy
	case errors.Is(err, vault.ErrPassphrase):
		code = ipc.CodePassphrase
	case errors.Is(err, vault.ErrNoPassphrase):
		code = ipc.CodeUsage
	}
	return &ipc.Error{Code: code, Message: err.Error()}
}

// peerKey is the context's key for the client's pid.
type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*ipc.Conn); ok {
		return context.WithValue(ctx, peerKey{}, p.PID)
	}
	return ctx
}

func peerOf(ctx context.Context) int {
	pid, _ := ctx.Value(peerKey{}).(int)
	return pid
}
