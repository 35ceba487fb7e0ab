package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestRoundTrip(t *testing.T) {
	b := newBench(t)
	big := make([]byte, 3<<20)
	_, _ = rand.Read(big)
	for name, data := range map[string][]byte{"empty": nil, "small": []byte("hello"), "big": big} {
		b.want("put "+name, b.request("PUT", "/bucket/"+name, data, nil), 200, "")
		if got, ok := b.s3.object("/bucket/" + name); !ok || !bytes.Equal(got, data) {
			t.Fatalf("%s was stored as %d bytes", name, len(got))
		}
		status, _, body := b.do(b.request("GET", "/bucket/"+name, nil, nil))
		if status != 200 || body != string(data) {
			t.Errorf("get %s: %d, %d bytes", name, status, len(body))
		}
	}
	status, header, _ := b.do(b.request("HEAD", "/bucket/big", nil, nil))
	if status != 200 || header.Get("Content-Length") != "3145728" {
		t.Errorf("head: %d %v", status, header)
	}
	status, header, body := b.do(b.request("GET", "/bucket/big", nil, func(r *http.Request) { r.Header.Set("Range", "bytes=10-19") }))
	if status != 206 || body != string(big[10:20]) || header.Get("Content-Range") != "bytes 10-19/3145728" {
		t.Errorf("range: %d %v %d bytes", status, header, len(body))
	}
	b.want("delete", b.request("DELETE", "/bucket/big", nil, nil), 204, "")
	b.want("gone", b.request("GET", "/bucket/big", nil, nil), 404, "NoSuchKey")
	if r := b.s3.last(t); r.Host != strings.TrimPrefix(b.s3.URL, "http://") || r.Header.Get("User-Agent") != "ccad" {
		t.Errorf("the server saw host %q, agent %q", r.Host, r.Header.Get("User-Agent"))
	}
}

// TestAwkwardKeys: a key is the same here and there, whatever it is made of,
// and stays in its bucket.
func TestAwkwardKeys(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{"a b", "a+b", "a%2Fb", "a//b", "/lead", "..", "a/../b", "./x", "ü/日本", "?q", "*'()!", ";&=", "#h", "a%zzb", "~-_.",
		"//host/p", "\x7f", "\t", strings.Repeat("k", 1024)} {
		escaped := "/bucket/" + escape(key, true)
		b.want(key, b.request("PUT", escaped, []byte(key), nil), 200, "")
		if got, _ := b.s3.object(escaped); string(got) != key {
			t.Errorf("%q is not there under its name", key)
		}
		if status, _, body := b.do(b.request("GET", escaped, nil, nil)); status != 200 || body != key {
			t.Errorf("%q comes back as %d %q", key, status, body)
		}
	}
}

// TestQueries: what a query means to the client it means to the server.
func TestQueries(t *testing.T) {
	b := newBench(t)
	for query, want := range map[string]string{
		"prefix=a%3Bb":              "prefix=a%3Bb",
		"delimiter":                 "delimiter=",
		"prefix=%C3%BC&max-keys=2":  "max-keys=2&prefix=%C3%BC",
		"prefix=a%2Bb%26c":          "prefix=a%2Bb%26c",
		"list-type=2&prefix=%20x":   "list-type=2&prefix=%20x",
		"response-content-type=a/b": "response-content-type=a%2Fb",
		"x-amz-acl=private&x-id=a":  "x-amz-acl=private&x-id=a",
	} {
		b.want(query, b.request("GET", "/bucket?"+query, nil, nil), 404, "")
		if got := b.s3.last(t).URL.RawQuery; got != want {
			t.Errorf("%q went out as %q, want %q", query, got, want)
		}
	}
	// To the server every bucket is in one region, to clients in theirs.
	b.want("buckets of a region", b.request("GET", "/?bucket-region=us-east-1&max-buckets=9", nil, nil), 404, "")
	if got := b.s3.last(t).URL.RawQuery; got != "max-buckets=9" {
		t.Errorf("the buckets of a region went out as %q", got)
	}
	seen := b.s3.requests()
	for _, query := range []string{"prefix=%zz", "prefix=a&prefix=b", "prefix=%", manyFields()} {
		r := b.request("GET", "/bucket", nil, nil)
		r.URL.RawQuery = query
		if status, _, _ := b.do(r); status != 400 {
			t.Errorf("%q: %d", query, status)
		}
	}
	for _, query := range []string{"multipart-manifest=put", "acl&multipart-manifest=delete", "temp_url_sig=a&temp_url_expires=1", "bulk-delete", "ACL", "format=json", "x-amz", "bucket-region=us-east-1"} {
		b.want(query, b.request("DELETE", "/bucket/key?"+query, nil, nil), 501, "NotImplemented")
	}
	if b.s3.requests() != seen {
		t.Error("a query that can't be read, or is none of S3's, went out")
	}
}

// TestRefused: what is signed for one thing is good for nothing else.
func TestRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		what   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, 403, "SignatureDoesNotMatch"},
		{"another path", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/bucket/other", "" }, 403, "SignatureDoesNotMatch"},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "acl" }, 403, "SignatureDoesNotMatch"},
		{"another region", func(r *http.Request) { swap(r, "/us-east-1/", "/eu-west-1/") }, 403, "SignatureDoesNotMatch"},
		{"another service", func(r *http.Request) { swap(r, "/s3/", "/iam/") }, 400, "AuthorizationHeaderMalformed"},
		{"another header", func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }, 403, "SignatureDoesNotMatch"},
		{"an added header", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, 403, "AccessDenied"},
		{"an added header in lower case", func(r *http.Request) { r.Header["x-amz-acl"] = []string{"public-read"} }, 403, "AccessDenied"},
		{"another payload", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) }, 403, "SignatureDoesNotMatch"},
		{"no payload", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, 400, "InvalidRequest"},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "AccessDenied"},
		{"a short signature", func(r *http.Request) { swap(r, "Signature=", "Signature=00") }, 400, "AuthorizationHeaderMalformed"},
		{"a foreign key", func(r *http.Request) { swap(r, b.pair.AccessKeyID, "AKIAIOSFODNN7EXAMPLE") }, 403, "InvalidAccessKeyId"},
		{"an invented key", func(r *http.Request) {
			swap(r, b.pair.AccessKeyID, MintKey([]byte("x"), account.NewID(), 1, time.Now().Add(time.Hour)).AccessKeyID)
		}, 403, "InvalidAccessKeyId"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 400, "AuthorizationHeaderMalformed"},
		{"a web page", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403, "AccessDenied"},
		{"a page of no origin", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "AccessDenied"},
		{"another host", func(r *http.Request) { r.Host = "evil.example:80" }, 403, "AccessDenied"},
		{"a virtual host", func(r *http.Request) { r.Host = "bucket." + r.URL.Host }, 403, "AccessDenied"},
		{"signature version 2", func(r *http.Request) { r.Header.Set("Authorization", "AWS key:sig") }, 400, "InvalidRequest"},
		{"version 4a", func(r *http.Request) { swap(r, "HMAC-SHA256", "ECDSA-P256-SHA256") }, 400, "InvalidRequest"},
		{"a method of no S3", func(r *http.Request) { r.Method = "PATCH" }, 405, "MethodNotAllowed"},
		{"two ways to sign", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" }, 400, "InvalidArgument"},
	} {
		r := b.request("PUT", "/bucket/key", []byte("data"), func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "a") })
		c.change(r)
		b.want(c.what, r, c.status, c.code)
	}
	if n := b.s3.requests(); n != 0 {
		t.Errorf("%d of them went out", n)
	}
	for i := range b.records {
		r := b.record(i + 1)
		if unproved := r.Code != "AccessDenied"; unproved && (r.Environment != "" || r.Key != "") {
			t.Errorf("an unproved request was recorded as %+v", r)
		}
	}
}

func swap(r *http.Request, old, new string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
}

// TestVersionTwo: clients that presign by the old method are told what to set.
func TestVersionTwo(t *testing.T) {
	b := newBench(t)
	resp, err := b.client.Get(b.url + "/bucket/key?AWSAccessKeyId=k&Signature=s&Expires=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	if resp.StatusCode != 400 || !strings.Contains(body.String(), "signature_version = s3v4") {
		t.Errorf("%d %s", resp.StatusCode, &body)
	}
}

// TestRegions: a client may sign for whatever region it was given.
func TestRegions(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	for _, region := range []string{"us-east-1", "cloud.ca", "eu-west-1", "cloud-ca"} {
		r := b.request("GET", "/bucket/key", nil, nil)
		r.Header.Del("Authorization")
		sign(r, b.pair.Secret.Reveal(), b.pair.AccessKeyID, emptyHash, region, time.Now())
		b.want(region, r, 200, "")
	}
}

// TestKeys: a gateway key is void when it has expired, when the epoch rose,
// while locked, when the environment is gone or refused; of another vault key
// it never was one.
func TestKeys(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	get := func() *http.Request { return b.request("GET", "/bucket/key", nil, nil) }
	b.want("as it is", get(), 200, "")
	if r := b.record(1); r.Environment != b.binding.ID || len(r.Key) != 18 || r.Class != ClassGet || r.Status != 200 || r.Out != 1 {
		t.Errorf("the record is %+v", r)
	}
	good := b.pair
	for _, c := range []struct {
		what   string
		change func()
		status int
		code   string
	}{
		{"expired", func() { b.pair = MintKey(b.key, b.binding.ID, 1, time.Now().Add(-time.Second)) }, 403, "ExpiredToken"},
		{"of another vault", func() { b.pair = MintKey([]byte("other"), b.binding.ID, 1, time.Now().Add(time.Hour)) }, 403, "SignatureDoesNotMatch"},
		{"with its expiry changed", func() {
			later := MintKey(b.key, b.binding.ID, 1, time.Now().Add(9*time.Hour))
			b.pair = account.KeyPair{AccessKeyID: later.AccessKeyID, Secret: good.Secret}
		}, 403, "SignatureDoesNotMatch"},
		{"of another environment, said to be this one's", func() {
			other := MintKey(b.key, account.NewID(), 1, time.Now().Add(time.Hour))
			mine, _ := readKey(good.AccessKeyID)
			theirs, _ := readKey(other.AccessKeyID)
			copy(theirs[:16], mine[:16])
			b.pair = account.KeyPair{AccessKeyID: keyPrefix + letters.EncodeToString(theirs[:]), Secret: other.Secret}
		}, 403, "SignatureDoesNotMatch"},
		{"revoked", func() { b.set(func() { b.binding.Epoch = 2 }) }, 403, "SignatureDoesNotMatch"},
		{"refused", func() { b.set(func() { b.binding.Refused = &Refusal{Message: "the cloud refused the S3 key of dev"} }) }, 403, "AccessDenied"},
		{"refused for a while", func() {
			b.set(func() { b.binding.Refused = &Refusal{Message: "there is none just now", Passing: true} })
		}, 503, "ServiceUnavailable"},
		{"refused, and not proved", func() {
			b.set(func() { b.binding.Refused = &Refusal{Message: "the cloud refused the S3 key of dev"} })
			b.pair.Secret = account.NewSecret("what")
		}, 403, "SignatureDoesNotMatch"},
		{"failing", func() { b.set(func() { b.bindErr = errors.New("what") }) }, 503, "ServiceUnavailable"},
		{"without S3", func() { b.set(func() { b.binding.S3 = account.S3{} }) }, 403, "AccessDenied"},
		{"without a key", func() { b.set(func() { b.binding.Keys = account.KeyPair{} }) }, 403, "AccessDenied"},
		{"gone", func() { b.set(func() { b.bindErr = ErrUnknown }) }, 403, "InvalidAccessKeyId"},
		{"locked", func() { b.set(func() { b.key = nil }) }, 503, "ServiceUnavailable"},
		{"locked while it is read", func() { b.set(func() { b.bindErr = ErrLocked }) }, 503, "ServiceUnavailable"},
	} {
		seen := b.s3.requests()
		was, key, err := b.binding, b.key, b.bindErr
		c.change()
		body := b.want(c.what, get(), c.status, c.code)
		if strings.HasPrefix(c.what, "locked") && !strings.Contains(body, "ccactl unlock") {
			t.Errorf("locked says %s", body)
		}
		if b.s3.requests() != seen {
			t.Errorf("%s: it went out", c.what)
		}
		if r := b.record(2); r.Environment != "" { // the expired one may be in anybody's hands
			t.Errorf("what is no key any more is used: %+v", r)
		}
		b.set(func() { b.binding, b.key, b.bindErr = was, key, err })
		b.pair = good
	}
	b.want("as it was", get(), 200, "")
}

// TestTime: a signature holds for a quarter of an hour, a presigned URL for as
// long as it says.
func TestTime(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	b.pair = MintKey(b.key, b.binding.ID, 1, time.Now().Add(10*24*time.Hour))
	for skew, status := range map[time.Duration]int{-14 * time.Minute: 200, 14 * time.Minute: 200, -16 * time.Minute: 403, 16 * time.Minute: 403} {
		b.set(func() { b.now = time.Now().Add(skew) })
		b.want("header "+skew.String(), b.request("GET", "/bucket/key", nil, nil), status, map[int]string{403: "RequestTimeTooSkewed"}[status])
	}
	for _, c := range []struct {
		expires, after time.Duration
		status         int
		code           string
	}{
		{time.Hour, 59 * time.Minute, 200, ""},
		{time.Hour, 61 * time.Minute, 403, "AccessDenied"},
		{time.Minute, 2 * time.Minute, 403, "AccessDenied"},
		{time.Hour, -14 * time.Minute, 200, ""},
		{time.Hour, -16 * time.Minute, 403, "RequestTimeTooSkewed"},
		{7 * 24 * time.Hour, 6 * 24 * time.Hour, 200, ""},
		{8 * 24 * time.Hour, 0, 400, "AuthorizationQueryParametersError"},
	} {
		b.set(func() { b.now = time.Now().Add(c.after) })
		b.want("presigned", b.presigned("GET", "/bucket/key", c.expires, nil), c.status, c.code)
	}
}

// presigned makes a presigned request with the SDK's signer.
func (b *bench) presigned(method, path string, expires time.Duration, header http.Header) *http.Request {
	b.t.Helper()
	return b.presignedAs(unsigned, method, path, expires, header)
}

// presignedAs is presigned with the payload's hash, or what stands for it.
func (b *bench) presignedAs(hash, method, path string, expires time.Duration, header http.Header) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	query := r.URL.Query()
	query.Set("X-Amz-Expires", itoa(int(expires/time.Second)))
	r.URL.RawQuery = query.Encode()
	for name, values := range header {
		r.Header[name] = values
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping, o.DisableHeaderHoisting = true, true })
	uri, signed, err := signer.PresignHTTP(context.Background(),
		aws.Credentials{AccessKeyID: b.pair.AccessKeyID, SecretAccessKey: b.pair.Secret.Reveal()}, r, hash, "s3", "us-east-1", time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := http.NewRequest(method, uri, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range signed {
		if name != "Host" {
			out.Header[name] = values
		}
	}
	return out
}

func TestPresigned(t *testing.T) {
	b := newBench(t)
	put := b.presigned("PUT", "/bucket/a%20b", time.Hour, http.Header{"X-Amz-Meta-A": {"m"}})
	put.Body, put.ContentLength = readCloser("data"), 4
	b.want("put", put, 200, "")
	if data, _ := b.s3.object("/bucket/a%20b"); string(data) != "data" {
		t.Errorf("stored %q", data)
	}
	if r := b.s3.last(t); r.URL.RawQuery != "" || r.Header.Get("X-Amz-Meta-A") != "m" {
		t.Errorf("went out with %q, %v", r.URL.RawQuery, r.Header)
	}
	get := b.presigned("GET", "/bucket/a%20b?X-Amz-Security-Token=ccad", time.Hour, nil)
	if status, _, body := b.do(get); status != 200 || body != "data" {
		t.Errorf("get: %d %q", status, body)
	}
	if r := b.s3.last(t); r.URL.RawQuery != "" {
		t.Errorf("went out with %q", r.URL.RawQuery)
	}
	other := b.presigned("GET", "/bucket/a%20b", time.Hour, nil)
	other.URL.Path, other.URL.RawPath = "/bucket/other", ""
	b.want("another key", other, 403, "SignatureDoesNotMatch")
	added := b.presigned("GET", "/bucket/a%20b", time.Hour, nil)
	added.Header.Set("X-Amz-Acl", "public-read")
	b.want("an added header", added, 403, "AccessDenied")
	longer := b.presigned("GET", "/bucket/a%20b", time.Hour, nil)
	longer.URL.RawQuery = strings.Replace(longer.URL.RawQuery, "3600", "3601", 1)
	b.want("a longer life", longer, 403, "SignatureDoesNotMatch")
}

func manyFields() string {
	var fields []string
	for i := range 65 {
		fields = append(fields, "f"+itoa(i))
	}
	return strings.Join(fields, "&")
}

func itoa(n int) string { return strconv.Itoa(n) }

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
