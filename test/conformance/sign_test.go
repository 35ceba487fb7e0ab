package conformance

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// s3Client signs with the AWS SDK's signer, which is neither Swift's code nor
// the practice cloud's.
type s3Client struct {
	s        *session
	key      key
	base     string
	region   string
	time     time.Time
	unsigned bool                // sign UNSIGNED-PAYLOAD instead of the body's hash
	before   func(*http.Request) // before signing
	after    func(*http.Request) // after signing
}

func (s *session) s3(k key) *s3Client {
	return &s3Client{s: s, key: k, base: s.on.s3, region: "cloud.ca", time: time.Now()}
}

// with returns a changed copy.
func (c *s3Client) with(change func(*s3Client)) *s3Client {
	d := *c
	change(&d)
	return &d
}

// request signs a request for a path that is escaped already.
func (c *s3Client) request(method, path string, body any, header ...string) *http.Request {
	c.s.t.Helper()
	req := c.s.request(method, c.base+path, body, header...)
	if c.before != nil {
		c.before(req)
	}
	payload := req.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = hashOf(req)
		if c.unsigned {
			payload = "UNSIGNED-PAYLOAD"
		}
		req.Header.Set("X-Amz-Content-Sha256", payload)
	}
	err := signer().SignHTTP(context.Background(), c.credentials(), req, payload, "s3", c.region, c.time)
	if err != nil {
		c.s.t.Fatal(err)
	}
	if c.after != nil {
		c.after(req)
	}
	return req
}

func (c *s3Client) do(label, method, path string, body any, header ...string) answer {
	c.s.t.Helper()
	return c.s.do(label, c.request(method, path, body, header...))
}

// presign signs a URL.
func (c *s3Client) presign(method, path string, expires string) *http.Request {
	c.s.t.Helper()
	req := c.s.request(method, c.base+path, nil)
	q := req.URL.Query()
	if expires != "" {
		q.Set("X-Amz-Expires", expires)
	}
	req.URL.RawQuery = q.Encode()
	signed, _, err := signer().PresignHTTP(context.Background(), c.credentials(), req, "UNSIGNED-PAYLOAD", "s3", c.region, c.time)
	if err != nil {
		c.s.t.Fatal(err)
	}
	if req.URL, err = url.Parse(signed); err != nil {
		c.s.t.Fatal(err)
	}
	return req
}

func (c *s3Client) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: c.key.access, SecretAccessKey: c.key.secret}
}

func signer() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

func hashOf(req *http.Request) string {
	var data []byte
	if req.Body != nil {
		data, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(data))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// md5Header is Content-MD5, and its value.
func md5Header(data string) []string {
	sum := md5.Sum([]byte(data))
	return []string{"Content-Md5", base64.StdEncoding.EncodeToString(sum[:])}
}

// etag is the entity tag of data, kept as it is in the transcript.
func (s *session) etag(data string) string {
	sum := md5.Sum([]byte(data))
	tag := hex.EncodeToString(sum[:])
	s.constant(tag)
	return tag
}

// bucket makes a bucket without a word. Its name is the scenario's: the
// project is its own.
func (c *s3Client) bucket(name string) {
	c.s.t.Helper()
	if a := c.s.send(c.request("PUT", "/"+name, nil)); a.StatusCode != http.StatusOK {
		c.s.t.Fatalf("no bucket: %s %s", a.Status, a.body)
	}
}

// put stores an object without a word.
func (c *s3Client) put(path, data string, header ...string) {
	c.s.t.Helper()
	c.s.etag(data)
	if a := c.s.send(c.request("PUT", path, data, header...)); a.StatusCode != http.StatusOK {
		c.s.t.Fatalf("no object: %s %s", a.Status, a.body)
	}
}

// firstKey is an S3 key of the session's user for his first project.
func (s *session) firstKey() *s3Client {
	k := s.on.createKey(s.t, s.user.name, s.user.projects[0].id)
	s.volatile(k.access, "ACCESS")
	return s.s3(k)
}

// expect100 asks to be told before the body is sent.
func expect100(req *http.Request) { req.Header.Set("Expect", "100-continue") }

func set(name, value string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set(name, value) }
}

func drop(name string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Del(name) }
}

// repeat is n bytes.
func repeat(text string, n int) string { return strings.Repeat(text, n/len(text)+1)[:n] }
