package gateway

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Each of these once cost a client or a property; the tests say which.

// raw opens a connection to the gateway and writes requests on it.
func (b *bench) raw(t *testing.T, requests ...*http.Request) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", b.host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for _, r := range requests {
		if err := r.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	return c, bufio.NewReader(c)
}

// TestExpectWithoutBody: botocore asks for "100 Continue" before it sends
// nothing, and hangs for a minute where none comes (trap A).
func TestExpectWithoutBody(t *testing.T) {
	b := newBench(t)
	put := func() *http.Request {
		return b.request("PUT", "/bucket/empty", nil, func(r *http.Request) { r.Header.Set("Expect", "100-continue") })
	}
	refused := put()
	refused.Header.Del("Authorization")
	_, in := b.raw(t, put(), put(), refused, put())
	for i, want := range []string{"100 Continue", "200 OK", "100 Continue", "200 OK", "100 Continue", "403 Forbidden", "100 Continue", "200 OK"} {
		line, err := in.ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Fatalf("line %d is %q, %v; want %s", i, line, err, want)
		}
		length := 0
		for line != "\r\n" {
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
		}
		_, _ = in.Discard(length)
	}
}

// TestEarlyRefusal: what the server refuses is not uploaded, nor asked for.
func TestEarlyRefusal(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("x"), 1<<20)
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			s3Error(w, http.StatusNotFound, "NoSuchBucket")
			return true
		}
	})
	r := b.request("PUT", "/nowhere/key", big, func(r *http.Request) { r.Header.Set("Expect", "100-continue") })
	sent := 0
	r.Body = io.NopCloser(io.TeeReader(bytes.NewReader(big), counter{&sent}))
	b.want("with Expect", r, 404, "NoSuchBucket")
	if sent != 0 {
		t.Errorf("%d bytes were asked for", sent)
	}
	// A client that doesn't wait gets the answer too, not a broken pipe.
	big = bytes.Repeat([]byte("x"), 8<<20)
	for _, status := range []int{404, 503} {
		_, in := b.raw(t, b.request("PUT", "/nowhere/key", big, nil))
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("without Expect: %v, %v; want %d", resp, err, status)
		}
		resp.Body.Close()
		b.set(func() { b.key = nil })
	}
}

type counter struct{ n *int }

func (c counter) Write(p []byte) (int, error) { *c.n += len(p); return len(p), nil }

// TestUnwantedBody: a server that answers before it asked for the body, and
// keeps the connection, does not get the body as its next request.
func TestUnwantedBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rest := make(chan []byte, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						rest <- []byte(line)
						return
					}
					if line == "\r\n" {
						break
					}
				}
				_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2c\r\n<Error><Code>AccessDenied</Code></Error>    \r\n0\r\n\r\n")
				left, _ := io.ReadAll(in)
				rest <- left
			}()
		}
	}()
	b := newBench(t)
	b.set(func() { b.binding.S3.Endpoint = account.Endpoint{URL: "http://" + l.Addr().String()} })
	b.want("put", b.request("PUT", "/bucket/key", bytes.Repeat([]byte("x"), 1<<20), nil), 403, "AccessDenied")
	select {
	case left := <-rest:
		if len(left) != 0 {
			t.Errorf("%d bytes of the body were sent", len(left))
		}
	case <-time.After(time.Minute):
		t.Error("the connection is still open")
	}
}

// TestStrayBytes: Swift ends the body of an answer to a HEAD, which has none.
// The next request on the connection must not take that for its answer.
func TestStrayBytes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for n := 0; ; n++ {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if n > 0 {
						_, _ = io.WriteString(c, "0\r\n\r\n")
						return
					}
					if r.Header.Get("Expect") != "" {
						_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	b := newBench(t)
	b.set(func() { b.binding.S3.Endpoint = account.Endpoint{URL: "http://" + l.Addr().String()} })
	for range 5 {
		b.want("head", b.request("HEAD", "/bucket/key", nil, nil), 404, "")
		b.want("get", b.request("GET", "/bucket/key", nil, nil), 404, "")
		b.want("put", b.request("PUT", "/bucket/key", []byte("x"), nil), 404, "")
		b.want("large put", b.request("PUT", "/bucket/key", make([]byte, 100<<10), nil), 404, "")
	}
}

// TestHeaderCase: boto3 shows metadata in the case in which it comes (trap B).
func TestHeaderCase(t *testing.T) {
	b := newBench(t)
	b.want("put", b.request("PUT", "/bucket/key", []byte("x"), func(r *http.Request) {
		r.Header.Set("X-Amz-Meta-Some-Name", "Value")
		r.Header.Set("X-Amz-Meta-Under_score", "  a   b  ")
	}), 200, "")
	c, in := b.raw(t, b.request("GET", "/bucket/key", nil, func(r *http.Request) { r.Header.Set("Connection", "close") }))
	all, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	for _, want := range []string{"\r\nx-amz-meta-some-name: Value\r\n", "\r\nx-amz-meta-under_score: a   b\r\n", "\r\nETag: \""} {
		if !strings.Contains(string(all), want) {
			t.Errorf("the answer lacks %q:\n%s", want, all)
		}
	}
}

// TestVersionHeaders: a client learns which version he made, and of a deletion
// that it left a marker.
func TestVersionHeaders(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Amz-Version-Id", "1700000000.00000")
			w.Header().Set("X-Amz-Delete-Marker", "true")
			w.WriteHeader(http.StatusNoContent)
			return true
		}
	})
	_, header, _ := b.do(b.request("DELETE", "/bucket/key", nil, nil))
	if header.Get("X-Amz-Version-Id") != "1700000000.00000" || header.Get("X-Amz-Delete-Marker") != "true" {
		t.Errorf("the client learns %v", header)
	}
}

// TestDeleteObjects: clients send a checksum, the server wants an MD5 (trap C).
func TestDeleteObjects(t *testing.T) {
	b := newBench(t)
	doc := []byte("<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 5000) + "</Delete>")
	sum := md5.Sum(doc)
	want := base64.StdEncoding.EncodeToString(sum[:])
	b.want("without", b.request("POST", "/bucket?delete", doc, nil), 200, "")
	if got := b.s3.last(t).Header.Get("Content-Md5"); got != want {
		t.Errorf("Content-MD5 went out as %q, want %q", got, want)
	}
	b.want("with", b.request("POST", "/bucket?delete", doc, func(r *http.Request) { r.Header.Set("Content-Md5", want) }), 200, "")
	b.want("with a wrong one", b.request("POST", "/bucket?delete", doc, func(r *http.Request) { r.Header.Set("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==") }), 400, "BadDigest")
	b.want("in chunks", b.streamed("/bucket?delete", unsignedTrailer, doc, encoder{size: 1 << 16, trailer: "crc32"}, nil), 200, "")
	b.want("too long", b.request("POST", "/bucket?delete", make([]byte, 3<<20), nil), 400, "MalformedXML")
}

// TestSubresources: a server that has never heard of one takes a change of it for
// one of the bucket or object itself; that never reaches it. One that has it is
// asked as ever.
func TestSubresources(t *testing.T) {
	b := newBench(t)
	swift := func(w http.ResponseWriter, r *http.Request) bool {
		_, key, _ := strings.Cut(r.URL.Path[1:], "/")
		switch {
		case r.URL.RawQuery == "" || r.Method != http.MethodGet:
			return false
		case r.URL.Path == "/bucket":
			_, _ = io.WriteString(w, `<?xml version='1.0'?><ListBucketResult><Name>bucket</Name></ListBucketResult>`)
		case key == "key":
			w.Header().Set("ETag", `"x"`)
			_, _ = io.WriteString(w, "data")
		case key != "":
			s3Error(w, http.StatusNotFound, "NoSuchKey")
		default:
			s3Error(w, http.StatusNotFound, "NoSuchBucket")
		}
		return true
	}
	other := func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method != http.MethodGet:
			return false
		case strings.Contains(r.URL.RawQuery, "lifecycle"):
			s3Error(w, http.StatusNotFound, "NoSuchLifecycleConfiguration")
		default:
			_, _ = io.WriteString(w, `<Retention/>`)
		}
		return true
	}
	for _, c := range []struct {
		server               func(http.ResponseWriter, *http.Request) bool
		method, path, answer string
		status, requests     int
	}{
		{swift, "DELETE", "/bucket?lifecycle", "NotImplemented", 501, 1},
		{swift, "PUT", "/bucket?publicAccessBlock", "NotImplemented", 501, 1},
		{swift, "DELETE", "/none?lifecycle", "NoSuchBucket", 404, 1},
		{swift, "PUT", "/bucket/key?retention&versionId=null", "NotImplemented", 501, 1},
		{swift, "PUT", "/bucket/other?legal-hold", "NoSuchKey", 404, 1},
		{other, "PUT", "/bucket?lifecycle", "", 200, 2},
		{other, "PUT", "/bucket/key?retention", "", 200, 2},
		{swift, "PUT", "/bucket/key", "", 200, 1},
		{swift, "PUT", "/bucket/key?tagging", "", 200, 1},
		{swift, "GET", "/bucket?lifecycle", "", 200, 1},
	} {
		b.s3.set(func() { b.s3.before = c.server })
		before := b.s3.requests()
		var body []byte
		if c.method == "PUT" {
			body = []byte("<X/>")
		}
		b.want(c.method+" "+c.path, b.request(c.method, c.path, body, nil), c.status, c.answer)
		if n := b.s3.requests() - before; n != c.requests {
			t.Errorf("%s %s took %d requests, want %d", c.method, c.path, n, c.requests)
		}
	}
}

// A server that does not say whether it has a subresource is believed neither way:
// what it does say is the client's answer, and nothing is changed.
func TestSubresourceUnasked(t *testing.T) {
	for status, code := range map[int]string{503: "SlowDown", 429: "SlowDown", 403: "AccessDenied", 500: "InternalError"} {
		b := newBench(t)
		b.s3.set(func() {
			b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					s3Error(w, status, code)
				}
				return r.Method == http.MethodGet
			}
		})
		b.want(code, b.request("DELETE", "/bucket?lifecycle", nil, nil), status, code)
		for range b.s3.requests() {
			if r := b.s3.last(t); r.Method != http.MethodGet {
				t.Errorf("%d: a %s went out", status, r.Method)
			}
		}
	}
}

// TestCopySource: the server refuses the ETag of a multipart object, so the
// condition is checked here (trap D).
func TestCopySource(t *testing.T) {
	b := newBench(t)
	etag := `"d41d8cd98f00b204e9800998ecf8427e-3"`
	b.s3.set(func() {
		b.s3.objects["/from/a%20b"] = []byte("x")
		b.s3.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source-If-Match") != "" {
				s3Error(w, http.StatusPreconditionFailed, "PreconditionFailed")
				return true
			}
			if r.Method == http.MethodHead && b.s3.refuses(r) == "" && (r.RequestURI == "/from/a%20b" || r.RequestURI == "/from/old?versionId=1.2") {
				w.Header().Set("ETag", etag)
				return true
			}
			return false
		}
	})
	cp := func(source, match string) *http.Request {
		return b.request("PUT", "/to/copy", nil, func(r *http.Request) {
			r.Header.Set("X-Amz-Copy-Source", source)
			r.Header.Set("X-Amz-Copy-Source-If-Match", match)
		})
	}
	for _, c := range []struct {
		what, source, match string
		status, requests    int
	}{
		{"it matches", "/from/a%20b", etag, 200, 2},
		{"without slash and quotes", "from/a%20b", strings.Trim(etag, `"`), 200, 2},
		{"one of several", "from/a%20b", `"x-1", ` + etag, 200, 2},
		{"of a version", "/from/old?versionId=1.2", etag, 200, 2},
		{"of another version", "/from/old?versionId=1.3", etag, 412, 2},
		{"it does not match", "/from/a%20b", `"0-3"`, 412, 1},
		{"the source is gone", "/from/gone", etag, 412, 2},
		{"an ETag of one part", "/from/a%20b", `"d41d8cd98f00b204e9800998ecf8427e"`, 412, 1},
		{"no source", "what", etag, 412, 1},
	} {
		before := b.s3.requests()
		b.want(c.what, cp(c.source, c.match), c.status, "")
		if n := b.s3.requests() - before; n != c.requests {
			t.Errorf("%s took %d requests, want %d", c.what, n, c.requests)
		}
	}
	if r := b.record(1); r.Class != ClassCopy {
		t.Errorf("recorded as %+v", r)
	}
	// The key dies before the copy: the condition is checked again with the new.
	var next Binding
	b.rejected = func(Binding) (Binding, bool) { return next, true }
	next = b.replaceKey()
	b.want("with a new key", cp("/from/a%20b", `"0-3"`), 412, "PreconditionFailed")
}

// TestLocation: a client that asks for the bucket's region is told its own
// (trap F), and may create buckets in it.
func TestLocation(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket"] = []byte("<LocationConstraint>cloud.ca</LocationConstraint>") })
	for region, want := range map[string]string{
		"us-east-1": `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`,
		"eu-west-1": `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`,
		"<&>":       `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">&lt;&amp;&gt;</LocationConstraint>`,
	} {
		r := b.request("GET", "/bucket?location", nil, nil)
		r.Header.Del("Authorization")
		sign(r, b.pair.Secret.Reveal(), b.pair.AccessKeyID, emptyHash, region, time.Now())
		if _, _, body := b.do(r); !strings.HasSuffix(body, want) {
			t.Errorf("%s is told %s", region, body)
		}
	}
	b.want("missing", b.request("GET", "/other?location", nil, nil), 404, "NoSuchKey")

	const plain = `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`
	other := strings.Replace(plain, "</Create", "<Bucket><Type>Directory</Type></Bucket></Create", 1)
	for body, want := range map[string]string{"": "", plain: "", other: other, "<what/>": "<what/>", "no XML": "no XML"} {
		b.want("create", b.request("PUT", "/new", []byte(body), nil), 200, "")
		if got, _ := b.s3.object("/new"); string(got) != want {
			t.Errorf("%q went out as %q", body, got)
		}
	}
	// It is dropped only after it was checked.
	wrong := b.request("PUT", "/new2", []byte(plain), func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) })
	b.want("a wrong hash", wrong, 400, "BadDigest")
	if _, ok := b.s3.object("/new2"); ok {
		t.Error("a bucket was made of a body that was wrong")
	}
	// So is its MD5, which is not that of what goes out.
	sum := md5.Sum([]byte(plain))
	digest := func(value string) *http.Request {
		return b.request("PUT", "/new3", []byte(plain), func(r *http.Request) { r.Header.Set("Content-Md5", value) })
	}
	b.want("a wrong MD5", digest("AAAAAAAAAAAAAAAAAAAAAA=="), 400, "BadDigest")
	if _, ok := b.s3.object("/new3"); ok {
		t.Error("a bucket was made of a body whose MD5 was wrong")
	}
	b.want("an MD5", digest(base64.StdEncoding.EncodeToString(sum[:])), 200, "")
	b.want("a wrong MD5 of nothing", b.request("PUT", "/new4", nil, func(r *http.Request) { r.Header.Set("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==") }), 400, "BadDigest")
	// The body of a subresource is none of that.
	b.want("a subresource", b.request("PUT", "/new?versioning", []byte(plain), nil), 200, "")
	if got, _ := b.s3.object("/new"); string(got) != plain {
		t.Errorf("the body of a subresource went out as %q", got)
	}
}

// TestServerRegion: what the server says of the region is the gateway's affair:
// a client would take it for its own.
func TestServerRegion(t *testing.T) {
	b := newBench(t)
	b.set(func() { b.binding.S3.Region = "wrong" })
	body := b.want("get", b.request("GET", "/bucket/key", nil, nil), 400, "InvalidRequest")
	if strings.Contains(body, "AuthorizationHeaderMalformed") || !strings.Contains(body, "ccactl verify") {
		t.Errorf("the client is told %s", body)
	}
	b.set(func() { b.binding.S3.Region = "cloud.ca" })
	// Nor is the clock, by which a client would set its own; and the key is ours.
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
			s3Error(w, http.StatusForbidden, "RequestTimeTooSkewed</Code><AWSAccessKeyId>real</AWSAccessKeyId><Code>")
			return true
		}
	})
	body = b.want("with another clock", b.request("GET", "/bucket/key", nil, nil), 400, "InvalidRequest")
	if strings.Contains(body, "Skewed") || strings.Contains(body, "real<") || !strings.Contains(body, "clock") {
		t.Errorf("the client is told %s", body)
	}
	b.s3.set(func() {
		b.s3.before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Amz-Bucket-Region", "cloud.ca")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Set-Cookie", "a=b")
			return true
		}
	})
	_, header, _ := b.do(b.request("HEAD", "/bucket", nil, nil))
	if header.Get("X-Amz-Bucket-Region") != "us-east-1" || header.Get("Access-Control-Allow-Origin") != "" || header.Get("Set-Cookie") != "" {
		t.Errorf("the client sees %v", header)
	}
}

// TestHeadersOut: only what S3 has goes out.
func TestHeadersOut(t *testing.T) {
	b := newBench(t)
	b.want("put", b.request("PUT", "/bucket/key", []byte("x"), func(r *http.Request) {
		for _, name := range []string{"X-Copy-From", "X-Object-Manifest", "X-Delete-At", "X-Delete-After", "X-Auth-Token", "X-Static-Large-Object", "X-Symlink-Target",
			"X-Object-Meta-A", "X-Forwarded-For", "Forwarded", "Cookie", "Te", "Upgrade", "Proxy-Authorization", "X-Amz-Security-Token", "Amz-Sdk-Request", "X-Amz-User-Agent"} {
			r.Header.Set(name, "x")
		}
		r.Header["X_copy_from"] = []string{"x"}
		r.Header.Set("Connection", "X-Amz-Meta-B")
		r.Header.Set("User-Agent", "Boto/2.9.1")
		r.Header.Set("Accept-Encoding", "gzip")
		for name, value := range map[string]string{"X-Amz-Meta-A": "a", "X-Amz-Acl": "private", "Cache-Control": "no-cache", "Content-Type": "text/x", "X-Amz-Server-Side-Encryption": "AES256"} {
			r.Header.Set(name, value)
		}
	}), 200, "")
	got := b.s3.last(t).Header
	for name := range got {
		switch name {
		case "Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "Content-Length", "User-Agent",
			"X-Amz-Meta-A", "X-Amz-Acl", "Cache-Control", "Content-Type", "X-Amz-Server-Side-Encryption":
		default:
			t.Errorf("%s went out", name)
		}
	}
	if len(got) != 10 || got.Get("User-Agent") != "ccad" || got.Get("X-Amz-Server-Side-Encryption") != "AES256" {
		t.Errorf("what went out is %v", got)
	}
}

// TestNewSecretForTheSameKey: a signer that was warm signed with the secret of
// before (trap I).
func TestNewSecretForTheSameKey(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	b.want("before", b.request("GET", "/bucket/key", nil, nil), 200, "")
	b.s3.set(func() { b.s3.keys["real"] = "regenerated" })
	b.want("the old secret", b.request("GET", "/bucket/key", nil, nil), 503, "ServiceUnavailable")
	b.set(func() { b.binding.Keys.Secret = account.NewSecret("regenerated") })
	b.want("the new secret", b.request("GET", "/bucket/key", nil, nil), 200, "")
	b.set(func() { b.binding.Keys.Secret = account.NewSecret("wrong") })
	b.want("a wrong secret", b.request("GET", "/bucket/key", nil, nil), 503, "ServiceUnavailable")
	// Verifying keeps nothing that could be warm.
	b.set(func() { b.key = []byte("another vault key") })
	b.want("another vault key", b.request("GET", "/bucket/key", nil, nil), 403, "SignatureDoesNotMatch")
}
