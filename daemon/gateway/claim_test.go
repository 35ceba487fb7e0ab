package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"
)

// handSigned signs a request by our own code, as no SDK would: over the headers
// named, in the scope given, with the path as it is said to be.
func (b *bench) handSigned(r *http.Request, headers, date, path string) *http.Request {
	stamp := time.Now().UTC().Format(stampForm)
	r.Header.Set("X-Amz-Date", stamp)
	if date == "" {
		date = stamp[:8]
	}
	c := claim{scope: date + "/us-east-1/s3/" + terminal, stamp: stamp, headers: headers, payload: r.Header.Get("X-Amz-Content-Sha256")}
	r.Host = b.host
	canonical, ok := c.canonical(nil, r, target{path: path}, path)
	if !ok {
		b.t.Fatal("a header that is to be signed is missing")
	}
	key := []byte("AWS4" + b.pair.Secret.Reveal())
	for part := range strings.SplitSeq(c.scope, "/") {
		key = mac(key, part)
	}
	sum := sha256.Sum256(canonical)
	signature := mac(key, algorithm+"\n"+stamp+"\n"+c.scope+"\n"+hex.EncodeToString(sum[:]))
	r.Header.Set("Authorization", algorithm+" Credential="+b.pair.AccessKeyID+"/"+c.scope+", SignedHeaders="+headers+", Signature="+hex.EncodeToString(signature))
	return r
}

// TestWhatMustBeSigned: a signature that leaves open for which host or when it
// was made is none, however right it is; nor is one of another day's key.
func TestWhatMustBeSigned(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/key"] = []byte("x") })
	const all = "host;x-amz-content-sha256;x-amz-date"
	for _, c := range []struct {
		what, headers, date string
		status              int
		code                string
	}{
		{"all of it", all, "", 200, ""},
		{"all but the host", "x-amz-content-sha256;x-amz-date", "", 400, "AuthorizationHeaderMalformed"},
		{"all but the date", "host;x-amz-content-sha256", "", 400, "AuthorizationHeaderMalformed"},
		{"all but the payload", "host;x-amz-date", "", 403, "AccessDenied"},
		{"with the key of another day", all, "20130524", 400, "AuthorizationHeaderMalformed"},
	} {
		b.want(c.what, b.handSigned(b.request("GET", "/bucket/key", nil, nil), c.headers, c.date, "/bucket/key"), c.status, c.code)
	}
	if n := b.s3.requests(); n != 1 {
		t.Errorf("%d of them went out", n)
	}
}

// TestRawPath: a client that escapes otherwise than S3 may sign what it sends,
// and nothing else.
func TestRawPath(t *testing.T) {
	b := newBench(t)
	b.s3.set(func() { b.s3.objects["/bucket/a%21b"] = []byte("x") })
	get := func(signed string) *http.Request {
		r := b.request("GET", "/bucket/key", nil, nil)
		r.URL.Path, r.URL.RawPath = "/bucket/a!b", "/bucket/a!b"
		return b.handSigned(r, "host;x-amz-content-sha256;x-amz-date", "", signed)
	}
	b.want("S3's form", get("/bucket/a%21b"), 200, "")
	b.want("as it was sent", get("/bucket/a!b"), 200, "")
	b.want("another", get("/bucket/a%2521b"), 403, "SignatureDoesNotMatch")
}

// TestPresignedPayload: a presigned URL may say the payload's hash, in its query
// or by a header, and is then good for no other; it takes no chunks.
func TestPresignedPayload(t *testing.T) {
	b := newBench(t)
	sum := sha256.Sum256([]byte("data"))
	hash := hex.EncodeToString(sum[:])
	for _, c := range []struct {
		what, hash, body string
		inQuery          bool
		status           int
		code             string
	}{
		{"in the query", hash, "data", true, 200, ""},
		{"in the query, of another payload", hash, "tada", true, 400, "BadDigest"},
		{"as a header", hash, "data", false, 200, ""},
		{"as a header, of another payload", hash, "tada", false, 400, "BadDigest"},
		{"chunks", unsignedTrailer, string(encoder{size: 10, trailer: "crc32"}.encode([]byte("data"))), true, 400, "InvalidRequest"},
	} {
		b.s3.set(func() { clear(b.s3.objects) })
		path, header := "/bucket/key", http.Header{}
		if c.inQuery {
			path += "?X-Amz-Content-Sha256=" + c.hash
		} else {
			header.Set("X-Amz-Content-Sha256", c.hash)
		}
		if c.hash == unsignedTrailer {
			header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
			header.Set("X-Amz-Decoded-Content-Length", "4")
		}
		r := b.presignedAs(c.hash, "PUT", path, time.Hour, header)
		r.Body, r.ContentLength = readCloser(c.body), int64(len(c.body))
		b.want(c.what, r, c.status, c.code)
		if got, ok := b.s3.object("/bucket/key"); ok != (c.status == 200) {
			t.Errorf("%s: stored %q", c.what, got)
		}
	}
}

// TestBodyWhereNoneIs: a GET, HEAD or DELETE has none in S3, and what some make
// of one is not to be found out.
func TestBodyWhereNoneIs(t *testing.T) {
	b := newBench(t)
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		b.want(method, b.request(method, "/bucket/key", []byte("x"), func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) }), 400, "InvalidRequest")
	}
	if n := b.s3.requests(); n != 0 {
		t.Errorf("%d of them went out", n)
	}
}
