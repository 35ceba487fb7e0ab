package practice

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// call is one request to Keystone while its handler runs, under Cloud.mu.
type call struct {
	*http.Request
	cloud *Cloud
	body  map[string]any
	token *token // of X-Auth-Token; nil without a good one
	user  *user  // the token's
}

// answer is what a handler returns: a status and a document (nil: no body).
type answer struct {
	status   int
	document any
	header   http.Header
}

type handler func(*call) (answer, *keystoneError)

// maxRequest is Keystone's max_request_body_size.
const maxRequest = 114688

// identity is the Keystone server.
func (c *Cloud) identity() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /{$}":                                         versions,
		"GET /v3":                                          version,
		"GET /v3/{$}":                                      version,
		"POST /v3/auth/tokens":                             issueToken,
		"GET /v3/auth/tokens":                              signedIn(showToken),
		"DELETE /v3/auth/tokens":                           signedIn(deleteToken),
		"GET /v3/auth/projects":                            signedIn(listProjects),
		"GET /v3/auth/catalog":                             signedIn(showCatalog),
		"POST /v3/users/{user}/password":                   changePassword,
		"GET /v3/users/{user}/credentials/OS-EC2":          signedIn(listKeys),
		"POST /v3/users/{user}/credentials/OS-EC2":         signedIn(createKey),
		"GET /v3/users/{user}/credentials/OS-EC2/{key}":    signedIn(showKey),
		"DELETE /v3/users/{user}/credentials/OS-EC2/{key}": signedIn(deleteKey),
		"GET /v3/credentials":                              signedIn(listCredentials),
		"POST /v3/credentials":                             signedIn(createCredential),
		"GET /v3/credentials/{id}":                         signedIn(showCredential),
		"DELETE /v3/credentials/{id}":                      signedIn(deleteCredential),
		"GET /v3/users/{user}/application_credentials":     signedIn(listAppCreds),
		"POST /v3/users/{user}/application_credentials":    signedIn(createAppCred),

		"GET /v3/users/{user}/application_credentials/{id}":    signedIn(showAppCred),
		"DELETE /v3/users/{user}/application_credentials/{id}": signedIn(deleteAppCred),
	} {
		mux.Handle(pattern, c.handle(h))
	}
	name := func(r *http.Request) string {
		if _, pattern := mux.Handler(r); pattern != "" {
			_, path, _ := strings.Cut(pattern, " ")
			return r.Method + " " + strings.TrimSuffix(path, "/{$}")
		}
		return r.Method + " unknown"
	}
	return c.faulty(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-Auth-Token")
		w.Header().Set("X-Openstack-Request-Id", "req-"+newID())
		if _, pattern := mux.Handler(r); pattern == "" {
			nothing(mux, w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// nothing answers where there is no route, as Keystone's framework does.
func nothing(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	asked := httptest.NewRecorder()
	mux.ServeHTTP(asked, r)
	title, text := "404 Not Found", "The requested URL was not found on the server. "+
		"If you entered the URL manually please check your spelling and try again."
	status := http.StatusNotFound
	if asked.Code == http.StatusMethodNotAllowed {
		title, text, status = "405 Method Not Allowed", "The method is not allowed for the requested URL.", asked.Code
		w.Header().Set("Allow", asked.Header().Get("Allow")+", OPTIONS")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	writeBody(w, status, []byte("<!doctype html>\n<html lang=en>\n<title>"+title+"</title>\n<h1>"+title[4:]+"</h1>\n<p>"+text+"</p>\n"))
}

// handle reads the request, then runs h under the lock.
func (c *Cloud) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data []byte
		tooLarge := r.ContentLength > maxRequest // refused on its announcement, unread
		if !tooLarge {
			var err error
			data, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
			tooLarge = err != nil
		}
		if tooLarge {
			w.Header().Del("Vary")
			w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
			writeBody(w, http.StatusRequestEntityTooLarge, []byte("413 Request Entity Too Large\n\n"+
				"Request is too large. Larger than max_request_body_size (114688).\n\n   "))
			return
		}
		k := &call{Request: r, cloud: c}
		a, e := k.run(h, data)
		if e != nil {
			c.writeError(w, e)
			return
		}
		maps.Copy(w.Header(), a.header)
		if a.document == nil {
			w.WriteHeader(a.status)
			return
		}
		writeJSON(w, a.status, a.document)
	})
}

func (k *call) run(h handler, data []byte) (answer, *keystoneError) {
	k.cloud.mu.Lock()
	defer k.cloud.mu.Unlock()
	if id := k.Header.Get("X-Auth-Token"); id != "" {
		t, e := k.cloud.validate(id)
		if e != nil && e.status != http.StatusUnauthorized && !unknownToken(e) {
			return answer{}, e
		}
		if t != nil {
			k.token, k.user = t, k.cloud.state.users[t.userID]
		}
	}
	if len(data) > 0 {
		if e := k.decode(data); e != nil {
			return answer{}, e
		}
	}
	return h(k)
}

// decode takes what Keystone takes for JSON: an object, of a type that says so
// or of none.
func (k *call) decode(data []byte) *keystoneError {
	if kind, _, _ := mime.ParseMediaType(k.Header.Get("Content-Type")); kind != "" && kind != "application/json" {
		return expecting("application/json", "Content-Type header")
	}
	if json.Unmarshal(data, &k.body) != nil || k.body == nil {
		return expecting("valid JSON", "request body")
	}
	return nil
}

// signedIn lets only a good token pass.
func signedIn(h handler) handler {
	return func(k *call) (answer, *keystoneError) {
		if k.token == nil {
			return answer{}, unauthorized
		}
		return h(k)
	}
}

// isDelegated reports whether an application credential stands behind the token.
func (k *call) isDelegated() bool { return slices.Contains(k.token.methods, "application_credential") }

func (k *call) url(path string) string { return k.cloud.AuthURL + path }

// collection is Keystone's envelope of a list.
func (k *call) collection(name string, list []any) answer {
	if list == nil {
		list = []any{}
	}
	self := k.url(strings.TrimPrefix(k.URL.Path, "/v3"))
	if k.URL.RawQuery != "" {
		self += "?" + k.URL.RawQuery
	}
	return answer{status: http.StatusOK, document: map[string]any{
		name: list, "links": map[string]any{"next": nil, "self": self, "previous": nil}}}
}

func (k *call) version() map[string]any {
	return map[string]any{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{map[string]any{"rel": "self", "href": k.url("/")}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func version(k *call) (answer, *keystoneError) {
	return answer{status: http.StatusOK, document: map[string]any{"version": k.version()}}, nil
}

func versions(k *call) (answer, *keystoneError) {
	return answer{status: http.StatusMultipleChoices, header: http.Header{"Location": {k.url("/")}},
		document: map[string]any{"versions": map[string]any{"values": []any{k.version()}}}}, nil
}

func listProjects(k *call) (answer, *keystoneError) {
	var list []any
	for _, id := range k.user.roles {
		list = append(list, map[string]any{
			"id": id, "name": k.cloud.state.projects[id].name, "domain_id": "default", "description": "",
			"enabled": true, "parent_id": "default", "is_domain": false, "tags": []any{}, "options": map[string]any{},
			"links": map[string]any{"self": k.url("/projects/" + id)},
		})
	}
	return k.collection("projects", list), nil
}
