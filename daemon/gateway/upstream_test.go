package gateway

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A fakeS3 is an S3 server in memory. It checks signatures with the SDK's
// signer, so by other code than ours, and takes one region.
type fakeS3 struct {
	*httptest.Server
	region string

	mu      sync.Mutex
	keys    map[string]string // access key to secret
	objects map[string][]byte // by path
	stored  map[string]http.Header
	seen    []*http.Request
	before  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
}

func newFakeS3(t *testing.T, start func(http.Handler) *httptest.Server) *fakeS3 {
	t.Helper()
	f := &fakeS3{region: "cloud.ca", keys: map[string]string{"real": "realsecret"}, objects: map[string][]byte{}, stored: map[string]http.Header{}}
	f.Server = start(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r)
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if code := f.refuses(r); code != "" {
		status := http.StatusForbidden
		if code == "AuthorizationHeaderMalformed" {
			status = http.StatusBadRequest
		}
		s3Error(w, status, code)
		return
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	switch r.Method {
	case http.MethodPut:
		f.put(w, r, path)
	case http.MethodGet, http.MethodHead:
		f.mu.Lock()
		data, ok := f.objects[path]
		header := f.stored[path]
		f.mu.Unlock()
		if !ok {
			s3Error(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		for name, values := range header {
			if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Encoding" || name == "Content-Type" {
				w.Header()[name] = values
			}
		}
		sum := md5.Sum(data)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	case http.MethodDelete:
		f.mu.Lock()
		delete(f.objects, path)
		f.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		f.put(w, r, path)
	}
}

// put stores an object if all of it came, as its length, hash and MD5 say.
func (f *fakeS3) put(w http.ResponseWriter, r *http.Request, path string) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off: nothing becomes an object
	}
	if want := r.Header.Get("X-Amz-Content-Sha256"); want != unsigned {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			s3Error(w, http.StatusBadRequest, "BadDigest")
			return
		}
	}
	if want := r.Header.Get("Content-Md5"); want != "" {
		if sum := md5.Sum(data); base64.StdEncoding.EncodeToString(sum[:]) != want {
			s3Error(w, http.StatusBadRequest, "BadDigest")
			return
		}
	}
	f.mu.Lock()
	f.objects[path], f.stored[path] = data, r.Header.Clone()
	f.mu.Unlock()
	w.Header().Set("ETag", `"x"`)
}

// refuses returns the code by which the request is refused, or "".
func (f *fakeS3) refuses(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	var credential, signed string
	for _, part := range strings.Split(strings.TrimPrefix(auth, algorithm+" "), ", ") {
		if v, ok := strings.CutPrefix(part, "Credential="); ok {
			credential = v
		}
		if v, ok := strings.CutPrefix(part, "SignedHeaders="); ok {
			signed = v
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 {
		return "AccessDenied"
	}
	if scope[2] != f.region {
		return "AuthorizationHeaderMalformed"
	}
	f.mu.Lock()
	secret, ok := f.keys[scope[0]]
	f.mu.Unlock()
	if !ok {
		return "SignatureDoesNotMatch"
	}
	at, err := time.Parse(stampForm, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return "AccessDenied"
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return "InvalidURI"
	}
	again := &http.Request{Method: r.Method, Host: r.Host, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: r.Host, Path: decoded, RawPath: path, RawQuery: query}}
	for _, name := range strings.Split(signed, ";") {
		if name == "content-length" {
			again.ContentLength = r.ContentLength
		} else if values := r.Header.Values(name); name != "host" {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && again.Header[name] == nil {
			return "AccessDenied"
		}
	}
	sign(again, secret, scope[0], r.Header.Get("X-Amz-Content-Sha256"), f.region, at)
	if again.Header.Get("Authorization") != auth {
		return "SignatureDoesNotMatch"
	}
	if again.URL.RawQuery != query {
		return "InvalidURI" // the signer read another query than came
	}
	return ""
}

func (f *fakeS3) object(path string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.objects[path]
	return data, ok
}

// last returns the last request that came.
func (f *fakeS3) last(t *testing.T) *http.Request {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		t.Fatal("no request came through")
	}
	return f.seen[len(f.seen)-1]
}

func (f *fakeS3) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *fakeS3) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func s3Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version='1.0'?><Error><Code>%s</Code><Message>by the server</Message></Error>", code)
}

func sign(r *http.Request, secret, accessKey, hash, region string, at time.Time) {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	who := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}
	if err := signer.SignHTTP(context.Background(), who, r, hash, "s3", region, at); err != nil {
		panic(err)
	}
}

// A bench is a gateway in front of a fake server, and one environment.
type bench struct {
	t      testing.TB
	s3     *fakeS3
	g      *Gateway
	url    string // of the gateway
	host   string
	client *http.Client

	mu       sync.Mutex
	key      []byte // the vault's
	binding  Binding
	bindErr  error
	now      time.Time // zero: the clock's
	rejected func(Binding) (Binding, bool)
	records  []Record
	pair     account.KeyPair // a gateway key
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return benchFor(t, newFakeS3(t, httptest.NewServer), func(*Options) {})
}

func benchFor(t *testing.T, s3 *fakeS3, with func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, s3: s3, key: []byte("the vault's key")}
	b.binding = Binding{ID: account.NewID(), Epoch: 1, Version: 1,
		S3:   account.S3{Endpoint: account.Endpoint{URL: s3.URL}, Region: "cloud.ca"},
		Keys: account.KeyPair{AccessKeyID: "real", Secret: account.NewSecret("realsecret")}}
	server := httptest.NewUnstartedServer(nil)
	b.host = server.Listener.Addr().String()
	o := Options{
		Hosts: []string{b.host},
		Key:   func() []byte { b.mu.Lock(); defer b.mu.Unlock(); return b.key },
		Bind: func(id string) (Binding, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if id != b.binding.ID {
				return Binding{}, ErrUnknown
			}
			return b.binding, b.bindErr
		},
		Rejected: func(_ context.Context, was Binding) (Binding, bool) {
			if b.rejected == nil {
				return Binding{}, false
			}
			return b.rejected(was)
		},
		Done: func(r Record) { b.mu.Lock(); b.records = append(b.records, r); b.mu.Unlock() },
		Now: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.now.IsZero() {
				return time.Now()
			}
			return b.now
		},
	}
	with(&o)
	b.g = New(o)
	server.Config = b.g.Server()
	server.Start()
	b.url = server.URL
	b.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableCompression: true, ExpectContinueTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { b.client.CloseIdleConnections(); server.Close(); b.g.Close() })
	b.pair = MintKey(b.key, b.binding.ID, 1, time.Now().Add(time.Hour))
	return b
}

func (b *bench) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// record waits for the record of the nth request.
func (b *bench) record(n int) Record {
	b.t.Helper()
	for range 500 {
		b.mu.Lock()
		if len(b.records) >= n {
			defer b.mu.Unlock()
			return b.records[n-1]
		}
		b.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("there is no record %d", n)
	return Record{}
}

// request makes a request signed with the gateway key for us-east-1, its
// payload hashed. change runs before it is signed.
func (b *bench) request(method, uri string, body []byte, change func(*http.Request)) *http.Request {
	b.t.Helper()
	path, query, _ := strings.Cut(uri, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequest(method, b.url, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = decoded, path, query
	sum := sha256.Sum256(body)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if change != nil {
		change(r)
	}
	sign(r, b.pair.Secret.Reveal(), b.pair.AccessKeyID, r.Header.Get("X-Amz-Content-Sha256"), "us-east-1", time.Now())
	return r
}

// do sends and returns status, header and body.
func (b *bench) do(r *http.Request) (int, http.Header, string) {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// want sends and checks status and, if any, the code of the error.
func (b *bench) want(what string, r *http.Request, status int, code string) string {
	b.t.Helper()
	got, _, body := b.do(r)
	if got != status || code != "" && r.Method != http.MethodHead && !strings.Contains(body, "<Code>"+code+"</Code>") {
		b.t.Errorf("%s: %d %s, want %d %s", what, got, body, status, code)
	}
	return body
}

func parsed(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
