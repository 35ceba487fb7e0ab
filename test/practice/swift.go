package practice

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// reply is what the storage servers answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// maxObject bounds what one request may bring: this cloud lives in memory.
const maxObject = 1 << 30

// storage is one Swift proxy: S3 for requests that are signed, Swift for all
// others.
func (c *Cloud) storage(region string) http.Handler {
	name := func(r *http.Request) string {
		if isS3(r) {
			return "s3:" + operation(r)
		}
		account, container, object := swiftPath(r)
		switch {
		case object != "":
			return r.Method + " swift/object"
		case container != "":
			return r.Method + " swift/container"
		case account != "":
			return r.Method + " swift/account"
		}
		return r.Method + " swift" + r.URL.Path
	}
	return c.faulty(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := fmt.Sprintf("tx%s-%010x", newID()[:21], c.now().Unix())
		w.Header().Set("X-Trans-Id", id)
		w.Header().Set("X-Openstack-Request-Id", id)
		var a reply
		if isS3(r) {
			a = c.s3(r, region, id)
			w.Header()["x-amz-id-2"], w.Header()["x-amz-request-id"] = []string{id}, []string{id}
		} else {
			a = c.swift(r)
		}
		if r.Header.Get("Expect") != "" && r.ContentLength == 0 {
			// net/http keeps silent where there is no body to wait for, and
			// botocore then waits a minute.
			w.WriteHeader(http.StatusContinue)
		}
		maps.Copy(w.Header(), a.header)
		if w.Header().Get("Content-Length") == "" && a.status != http.StatusNoContent {
			w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	}))
}

// swiftPath takes /v1/AUTH_…/container/object apart.
func swiftPath(r *http.Request) (account, container, object string) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		return "", "", ""
	}
	parts := append(strings.SplitN(path, "/", 3), "", "")
	return parts[0], parts[1], parts[2]
}

// html is the body of Swift's statuses.
var html = map[int]string{
	202: "<html><h1>Accepted</h1><p>The request is accepted for processing.</p></html>",
	400: "<html><h1>Bad Request</h1><p>The server could not comply with the request since it is either malformed or otherwise incorrect.</p></html>",
	401: "<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>",
	403: "<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>",
	404: "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>",
	405: "<html><h1>Method Not Allowed</h1><p>The method is not allowed for this resource.</p></html>",
	409: "<html><h1>Conflict</h1><p>There was a conflict when trying to complete your request.</p></html>",
	411: "<html><h1>Length Required</h1><p>Content-Length header required.</p></html>",
	412: "<html><h1>Precondition Failed</h1><p>A precondition for this request was not met.</p></html>",
	416: "<html><h1>Requested Range Not Satisfiable</h1><p>The Range requested is not available.</p></html>",
	422: "<html><h1>Unprocessable Entity</h1><p>Unable to process the contained instructions</p></html>",
}

// plain is a status with the body that Swift gives it.
func plain(status int) reply {
	return reply{status: status, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, body: []byte(html[status])}
}

// swift serves the v1 API.
func (c *Cloud) swift(r *http.Request) reply {
	switch r.URL.Path {
	case "/healthcheck":
		return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"text/plain"}}, body: []byte("OK")}
	case "/info":
		return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}},
			body: []byte(`{"swift": {"version": "2.30.1", "max_file_size": 1073741824, "container_listing_limit": 10000, "account_listing_limit": 10000}}`)}
	}
	account, container, object := swiftPath(r)
	if r.URL.Path == "/" {
		return plain(http.StatusNotFound)
	}
	if account == "" {
		a := plain(http.StatusPreconditionFailed)
		a.body = []byte("Bad URL")
		return a
	}
	c.mu.Lock()
	p, refusal := c.account(r, account)
	c.mu.Unlock()
	if p == nil {
		return refusal
	}
	var data []byte
	if r.Method == http.MethodPut {
		if r.ContentLength < 0 && len(r.TransferEncoding) == 0 {
			return plain(http.StatusLengthRequired)
		}
		var err error
		if data, err = io.ReadAll(io.LimitReader(r.Body, maxObject)); err != nil {
			return plain(http.StatusBadRequest)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &swiftCall{Request: r, cloud: c, project: p, data: data, now: c.now(), query: r.URL.Query()}
	switch {
	case object != "":
		return k.object(container, object)
	case container != "":
		return k.container(container)
	}
	return k.account()
}

// account finds the project of an account if the token opens it.
func (c *Cloud) account(r *http.Request, account string) (*project, reply) {
	t, e := c.validate(r.Header.Get("X-Auth-Token"))
	if e != nil {
		refusal := plain(http.StatusUnauthorized)
		refusal.header["Www-Authenticate"] = []string{
			fmt.Sprintf("Swift realm=%q", account),
			fmt.Sprintf("Keystone uri=%q", strings.TrimSuffix(c.AuthURL, "/v3"))}
		return nil, refusal
	}
	p := c.state.projects[t.projectID]
	if p == nil || account != "AUTH_"+p.id {
		return nil, plain(http.StatusForbidden)
	}
	return p, reply{}
}

// swiftCall is one request while it runs, under Cloud.mu.
type swiftCall struct {
	*http.Request
	cloud   *Cloud
	project *project
	data    []byte
	now     time.Time
	query   url.Values
}

func notAllowed() reply {
	a := plain(http.StatusMethodNotAllowed)
	a.header.Set("Allow", "DELETE, GET, HEAD, OPTIONS, POST, PUT")
	return a
}

// setMeta keeps X-<kind>-Meta- headers; an empty one, or X-Remove-, drops it.
func setMeta(to, from http.Header, kind string) {
	for name, values := range from {
		if gone, ok := strings.CutPrefix(name, "X-Remove-"+kind); ok {
			to.Del("X-" + kind + gone)
		}
		if strings.HasPrefix(name, "X-"+kind+"-Meta-") {
			if values[0] == "" {
				to.Del(name)
			} else {
				to.Set(name, values[0])
			}
		}
	}
}

// timestamp is how Swift writes X-Timestamp.
func timestamp(t time.Time) string { return fmt.Sprintf("%.5f", float64(t.UnixMicro())/1e6) }
