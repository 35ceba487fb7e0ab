package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// session runs a scenario on a target and writes its transcript.
type session struct {
	t      *testing.T
	on     *target
	user   account
	out    strings.Builder
	names  []string          // literals and their replacements, in pairs
	seen   map[string]string // volatile values and the names they got
	counts map[string]int    // of names given per kind
	fixed  map[string]bool   // values that look volatile and are not
}

func record(t *testing.T, s scenario, on *target) string {
	t.Helper()
	r := &session{t: t, on: on, seen: map[string]string{}, counts: map[string]int{}, fixed: map[string]bool{}}
	r.user = on.newUser(t, "first", "second")
	r.names = []string{
		strings.TrimPrefix(on.auth, "http://"), "KEYSTONE/v3", strings.TrimPrefix(on.s3, "http://"), "SWIFT",
		strings.TrimPrefix(on.s3us, "http://"), "SWIFT-US", host(on.auth), "KEYSTONE",
		r.user.id, "USER-ID", r.user.name, "USER",
	}
	for i, p := range r.user.projects {
		r.names = append(r.names, p.id, fmt.Sprintf("PROJECT%d-ID", i+1), p.name, fmt.Sprintf("PROJECT%d", i+1))
	}
	s.run(r)
	return r.out.String()
}

func host(url string) string {
	return strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/v3")
}

// answer is a response, its body read.
type answer struct {
	*http.Response
	body []byte
}

// json reads a value out of the body: "token.user.id".
func (a answer) json(t *testing.T, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s in %s: %v", path, a.body, err)
	}
	for _, name := range strings.Split(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	text, ok := v.(string)
	if !ok {
		t.Fatalf("no %s in %s", path, a.body)
	}
	return text
}

// element reads the text of an XML element.
func (a answer) element(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile("<" + name + ">([^<]*)<").FindSubmatch(a.body)
	if m == nil {
		t.Fatalf("no %s in %s", name, a.body)
	}
	return string(m[1])
}

// client follows no redirect, keeps no connection and asks for no compression.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

// send sends a request without a word in the transcript.
func (s *session) send(req *http.Request) answer {
	s.t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, body}
}

// do sends a request and writes it and its answer down.
func (s *session) do(label string, req *http.Request) answer {
	s.t.Helper()
	a := s.send(req)
	uri := req.URL.RequestURI()
	if req.URL.Query().Has("X-Amz-Signature") {
		uri = unhashed(uri)
	}
	fmt.Fprintf(&s.out, "# %s\n%s %s\n%d\n", label, req.Method, s.normal(uri), a.StatusCode)
	s.writeHeaders(a)
	s.writeBody(a)
	s.out.WriteString("\n")
	return a
}

// ignored are headers that no client of ours reads and that differ: transport,
// request ids, and what Swift counts in the background or about policies.
var ignored = regexp.MustCompile(`^(Connection|Content-Length|Date|Keep-Alive|Transfer-Encoding|X-Openstack-Request-Id|X-Trans-Id|` +
	`X-Amz-Id-2|X-Amz-Request-Id|X-Put-Timestamp|X-Account-(Project-Domain-Id|Storage-Policy-.*|.*-Count|Bytes-Used))$`)

func (s *session) writeHeaders(a answer) {
	var lines []string
	for name, values := range a.Header {
		if ignored.MatchString(name) || name == "Content-Type" && a.StatusCode == http.StatusNotModified {
			continue // Go's server sends no type with 304, as HTTP has it
		}
		for _, v := range values {
			if name == "Allow" {
				methods := strings.Split(v, ", ")
				slices.Sort(methods)
				v = strings.Join(methods, ", ")
			}
			lines = append(lines, name+": "+s.normal(v)+"\n")
		}
	}
	if a.Request.Method == http.MethodHead && a.StatusCode < 300 && a.StatusCode != http.StatusNoContent && !strings.Contains(a.Request.URL.Path, "/v3") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d\n", a.ContentLength))
	}
	slices.Sort(lines)
	s.out.WriteString(strings.Join(lines, ""))
}

func (s *session) writeBody(a answer) {
	if len(a.body) == 0 {
		return
	}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") && json.Valid(a.body) {
		var v any
		decoder := json.NewDecoder(bytes.NewReader(a.body))
		decoder.UseNumber()
		if err := decoder.Decode(&v); err != nil {
			s.t.Fatal(err)
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(s.normalJSON(v)); err != nil {
			s.t.Fatal(err)
		}
		s.out.Write(text.Bytes())
		return
	}
	text := strings.ReplaceAll(s.normal(unhashed(string(a.body))), "><", ">\n<")
	s.out.WriteString(strings.TrimRight(text, "\n") + "\n")
}

// request makes a request; body may be nil, bytes, a string, or JSON.
func (s *session) request(method, url string, body any, header ...string) *http.Request {
	s.t.Helper()
	var reader io.Reader
	isJSON := false
	switch body := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(body)
	case string:
		reader = strings.NewReader(body)
	default:
		data, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader, isJSON = bytes.NewReader(data), true
	}
	req, err := http.NewRequest(method, url, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// announced gives req a body of size bytes of which none is ever sent. Keystone
// refuses by the announcement alone and closes: a body on its way then breaks
// the pipe before or after the answer is read, as it happens.
func (s *session) announced(size int64, req *http.Request) *http.Request {
	body, never := io.Pipe()
	s.t.Cleanup(func() { never.Close() })
	req.Body, req.ContentLength = body, size
	return req
}
