package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// FuzzCanonicalRequest: what the SDK's signer signs verifies, whatever the
// path, the query and a header are made of, and goes out with that meaning.
func FuzzCanonicalRequest(f *testing.F) {
	for _, seed := range [][4]string{
		{"/bucket/key", "a=b&c", "value", "GET"}, {"//..//%2F+ ü", "prefix=%zz;x=+", "  a   b ", "PUT"},
		{"/\x00\x7f", "a=1&a=2", "\t", "DELETE"}, {"/?#[]@!$&'()*,;=", "%41=%61&=&==", "é", "HEAD"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, path, query, value, method string) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			values = url.Values{"all": {query}}
		}
		r := &http.Request{Method: method, Host: "127.0.0.1:1", Header: http.Header{},
			URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: path, RawPath: escape(path, true), RawQuery: values.Encode()}}
		r.Header.Set("X-Amz-Content-Sha256", unsigned)
		r.Header.Set("X-Amz-Meta-Fuzz", value)
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		at := time.Unix(1e9, 0)
		if err := signer.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret"}, r, unsigned, "s3", "cloud.ca", at); err != nil {
			t.Fatal(err)
		}
		target, fault := readTarget(r.URL.EscapedPath() + "?" + r.URL.RawQuery)
		if fault != nil {
			for _, v := range values {
				if len(v) > 1 {
					return // a name twice is refused
				}
			}
			t.Fatalf("refused: %v", fault)
		}
		c, fault := readClaim(r, target)
		if fault != nil {
			if strings.HasPrefix(values.Encode(), "AWSAccessKeyId") || values.Has("AWSAccessKeyId") || values.Has("X-Amz-Algorithm") {
				return
			}
			t.Fatalf("refused: %v", fault)
		}
		if strings.Contains(strings.Trim(value, " "), "\t") || strings.Trim(value, " \t") != strings.Trim(value, " ") {
			return // a tab is white space to us and none to the signer; net/http trims both
		}
		if strings.TrimSpace(value) != strings.Trim(value, " \t") {
			return // the signer trims what HTTP can't carry
		}
		if _, ok := c.verify(r, target, "secret"); !ok {
			b, _ := c.canonical(nil, r, target, escape(target.path, true))
			t.Fatalf("it does not verify:\n%q", b)
		}
		if _, ok := c.verify(r, target, "Secret"); ok {
			t.Fatal("it verifies under another secret")
		}
		if target.path != path {
			t.Fatalf("the path %q became %q", path, target.path)
		}
		out, err := url.ParseQuery(string(target.appendQuery(nil, nil)))
		if err != nil || len(out) != len(values) {
			t.Fatalf("the query %q became %v, %v", values, out, err)
		}
		for name := range values {
			if out.Get(name) != values.Get(name) {
				t.Fatalf("%q was %q and became %q", name, values.Get(name), out.Get(name))
			}
		}
	})
}

// FuzzTarget: any request target is refused or read; what goes out of it reads
// as the same.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/", "/b/k?a=b", "//h/p", "/%2f?%2f=%2F&+=", "http://h/", "*", "/a?b&c&&=d", "/%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		first, fault := readTarget(uri)
		if fault != nil {
			return
		}
		again, fault := readTarget(escape(first.path, true) + "?" + string(first.appendQuery(nil, nil)))
		if fault != nil || again.path != first.path || len(again.query) != len(first.query) {
			t.Fatalf("%q reads as %+v and then as %+v, %v", uri, first, again, fault)
		}
		for _, field := range first.query {
			if v, ok := again.get(field.name); !ok || v != field.value {
				t.Fatalf("%q lost %+v", uri, field)
			}
		}
	})
}

// FuzzChunks: whatever comes for a payload in chunks, no more than was said
// comes out, and all of it only where every check has passed.
func FuzzChunks(f *testing.F) {
	good := encoder{size: 5, trailer: "crc32"}.encode([]byte("0123456789abcdef"))
	f.Add(good, int64(16), true, false)
	f.Add(good, int64(-1), true, false)
	f.Add([]byte("10;chunk-signature="+strings.Repeat("0", 64)+"\r\n0123456789abcdef\r\n0;chunk-signature="+strings.Repeat("0", 64)+"\r\n\r\n"), int64(16), false, true)
	f.Add([]byte("0\r\n\r\n"), int64(0), false, false)
	f.Add([]byte("ffffffffffff\r\n"), int64(3), true, true)
	f.Fuzz(func(t *testing.T, encoded []byte, length int64, trailer, signed bool) {
		if length < -1 {
			return
		}
		c := &chunks{in: bufio.NewReaderSize(bytes.NewReader(encoded), chunkRoom), trailer: trailer}
		v := &verified{src: c, length: length, tick: func(int) {}}
		if trailer {
			p, _ := newPromise("x-amz-checksum-crc32")
			c.promises, v.promises = []*promise{p}, []*promise{p}
		}
		if signed {
			c.chain = newChain(&claim{stamp: "20130524T000000Z", scope: "s", signature: make([]byte, 32)}, []byte("key"))
		}
		got, err := io.ReadAll(v)
		if signed && err == nil {
			t.Fatalf("%q passed without the key", encoded)
		}
		if length >= 0 && (int64(len(got)) > length || int64(len(got)) == length && length > 0 && err != nil) {
			t.Fatalf("%d bytes of %d came out with %v", len(got), length, err)
		}
		if err != nil {
			return
		}
		if trailer {
			h := checksums["crc32"]()
			_, _ = h.Write(got)
			if !bytes.Equal(h.Sum(nil), c.promises[0].want) {
				t.Fatal("a wrong checksum passed")
			}
		}
		if len(got) > len(encoded) {
			t.Fatal("more came out than went in")
		}
	})
}

// FuzzClaim: any Authorization header is refused or read.
func FuzzClaim(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20130524/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "20130524T000000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;, Signature=", "x")
	f.Add("AWS a:b", "")
	f.Fuzz(func(t *testing.T, authorization, date string) {
		r := &http.Request{Method: "GET", Host: "h", Header: http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}, "X-Amz-Content-Sha256": {unsigned}}}
		c, fault := readClaim(r, target{raw: "/", path: "/"})
		if fault != nil {
			return
		}
		if _, ok := c.verify(r, target{raw: "/", path: "/"}, "secret"); ok {
			t.Fatalf("%q verifies without the secret", authorization)
		}
		if c.accessKey == "" || c.region == "" && !strings.Contains(authorization, "//") || len(c.signature) != 32 {
			t.Fatalf("%q reads as %+v", authorization, c)
		}
	})
}
