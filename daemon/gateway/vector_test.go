package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// These are published examples with published signatures.

// TestSuiteVectors has those of AWS's Signature Version 4 test suite that S3's
// form of a request can express.
func TestSuiteVectors(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	type headers [][2]string
	for _, c := range []struct {
		name, method, uri string
		headers           headers // beside host and x-amz-date
		signed            string
		body, signature   string
	}{
		{"get-vanilla", "GET", "/", nil, "host;x-amz-date", "",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", nil, "host;x-amz-date", "",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-vanilla-query-unreserved", "GET",
			"/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
			nil, "host;x-amz-date", "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"get-vanilla-utf8-query", "GET", "/?%E1%88%B4=bar", nil, "host;x-amz-date", "",
			"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"get-utf8", "GET", "/%E1%88%B4", nil, "host;x-amz-date", "",
			"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", nil, "host;x-amz-date", "",
			"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-header-key-duplicate", "GET", "/", headers{{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
			"host;my-header1;x-amz-date", "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"get-header-value-order", "GET", "/", headers{{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}},
			"host;my-header1;x-amz-date", "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		{"get-header-value-trim", "GET", "/", headers{{"My-Header1", " value1"}, {"My-Header2", ` "a   b   c"`}},
			"host;my-header1;my-header2;x-amz-date", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-vanilla", "POST", "/", nil, "host;x-amz-date", "",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-vanilla-query", "POST", "/?Param1=value1", nil, "host;x-amz-date", "",
			"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		{"post-header-value-case", "POST", "/", headers{{"My-Header1", "VALUE1"}}, "host;my-header1;x-amz-date", "",
			"cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		{"post-x-www-form-urlencoded", "POST", "/", headers{{"Content-Type", "application/x-www-form-urlencoded"}},
			"content-type;host;x-amz-date", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{Method: c.method, Host: "example.amazonaws.com", Header: http.Header{}}
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			for _, h := range c.headers {
				r.Header.Add(h[0], h[1])
			}
			sum := sha256.Sum256([]byte(c.body))
			claim := claim{scope: "20150830/us-east-1/service/aws4_request", stamp: "20150830T123600Z", headers: c.signed,
				signature: unhexed(t, c.signature), payload: hex.EncodeToString(sum[:])}
			verifies(t, claim, r, c.uri, secret)
		})
	}
}

// exampleSecret is that of S3's documentation.
const exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// TestDocumentedExamples has those of S3's documentation: three headers, a
// list, and a presigned URL.
func TestDocumentedExamples(t *testing.T) {
	for _, c := range []struct {
		name, method, uri string
		headers           map[string]string
		signed, signature string
	}{
		{"get an object", "GET", "/test.txt", map[string]string{"Range": "bytes=0-9", "X-Amz-Content-Sha256": emptyHash},
			"host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"put an object", "PUT", "/test%24file.text", map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"get the lifecycle", "GET", "/?lifecycle", map[string]string{"X-Amz-Content-Sha256": emptyHash},
			"host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"list objects", "GET", "/?max-keys=2&prefix=J", map[string]string{"X-Amz-Content-Sha256": emptyHash},
			"host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{Method: c.method, Host: "examplebucket.s3.amazonaws.com", Header: http.Header{}}
			for name, value := range c.headers {
				r.Header.Set(name, value)
			}
			r.Header.Set("X-Amz-Date", "20130524T000000Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="+
				c.signed+",Signature="+c.signature)
			claim, f := readClaim(r, targetOf(t, c.uri))
			if f != nil {
				t.Fatal(f)
			}
			if claim.accessKey != "AKIAIOSFODNN7EXAMPLE" || claim.region != "us-east-1" {
				t.Errorf("claim of %q in %q", claim.accessKey, claim.region)
			}
			verifies(t, claim, r, c.uri, exampleSecret)
		})
	}
	t.Run("presigned", func(t *testing.T) {
		const uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
		r := &http.Request{Method: "GET", Host: "examplebucket.s3.amazonaws.com", Header: http.Header{}}
		claim, f := readClaim(r, targetOf(t, uri))
		if f != nil {
			t.Fatal(f)
		}
		verifies(t, claim, r, uri, exampleSecret)
	})
}

// TestDocumentedChunks has S3's two examples of a streamed upload: 66,560 bytes
// of "a" in three chunks, without and with a signed trailer.
func TestDocumentedChunks(t *testing.T) {
	big, rest := strings.Repeat("a", 65536), strings.Repeat("a", 1024)
	for _, c := range []struct {
		name, payload, extra  string
		seed                  string
		signatures            [3]string
		trailer, trailerSigns string
	}{
		{"without", algorithmStreaming, "",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			[3]string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, "", ""},
		{"with", algorithmStreaming + "-TRAILER", "x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			[3]string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
			"x-amz-checksum-crc32c:sOO8/Q==", "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{Method: "PUT", Host: "s3.amazonaws.com", Header: http.Header{}}
			for name, value := range map[string]string{"Content-Encoding": "aws-chunked", "Content-Length": "66824",
				"X-Amz-Content-Sha256": c.payload, "X-Amz-Date": "20130524T000000Z",
				"X-Amz-Decoded-Content-Length": "66560", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"} {
				r.Header.Set(name, value)
			}
			signed := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
			if c.extra != "" {
				r.Header.Del("Content-Length")
				r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
				signed = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"
			}
			claim := claim{scope: "20130524/us-east-1/s3/aws4_request", stamp: "20130524T000000Z", headers: signed,
				signature: unhexed(t, c.seed), payload: c.payload}
			key := verifies(t, claim, r, "/examplebucket/chunkObject.txt", exampleSecret)

			var b strings.Builder
			for i, data := range []string{big, rest, ""} {
				b.WriteString(strings.ToLower(hexLen(data)) + ";chunk-signature=" + c.signatures[i] + "\r\n" + data)
				if data != "" {
					b.WriteString("\r\n")
				}
			}
			if c.trailer != "" {
				b.WriteString(c.trailer + "\r\nx-amz-trailer-signature:" + c.trailerSigns + "\r\n")
			}
			b.WriteString("\r\n")
			decode := func(encoded string) ([]byte, error) {
				d := &chunks{in: bufio.NewReaderSize(strings.NewReader(encoded), chunkRoom), chain: newChain(&claim, key)}
				v := &verified{src: d, length: 66560, tick: func(int) {}}
				if c.trailer != "" {
					d.trailer = true
					p, f := newPromise("x-amz-checksum-crc32c")
					if f != nil {
						t.Fatal(f)
					}
					d.promises, v.promises = []*promise{p}, []*promise{p}
				}
				return io.ReadAll(v)
			}
			got, err := decode(b.String())
			if err != nil || !bytes.Equal(got, []byte(big+rest)) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			// One bit of the data, and it must neither pass nor be whole.
			got, err = decode(strings.Replace(b.String(), "aaaa\r\n", "aaab\r\n", 1))
			if !errors.Is(err, errMismatch) || len(got) >= 66560 {
				t.Errorf("a changed chunk gave %d bytes, %v", len(got), err)
			}
		})
	}
}

// verify checks a claim under a secret.
func (c *claim) verify(r *http.Request, t target, secret string) (key []byte, ok bool) {
	key = c.derive(secret)
	return key, c.signedBy(key, r, t)
}

func hexLen(s string) string {
	if s == "" {
		return "0"
	}
	return strings.TrimLeft(hex.EncodeToString([]byte{byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}), "0")
}

// verifies checks that the claim holds and that it holds for nothing else.
func verifies(t *testing.T, c claim, r *http.Request, uri, secret string) []byte {
	t.Helper()
	key, ok := c.verify(r, targetOf(t, uri), secret)
	if !ok {
		b, _ := c.canonical(nil, r, targetOf(t, uri), escape(targetOf(t, uri).path, true))
		t.Fatalf("the published signature does not verify; the canonical request is\n%s", b)
	}
	for what, change := range map[string]func(c *claim, r *http.Request) (string, string){
		"another secret": func(*claim, *http.Request) (string, string) { return uri, secret + "x" },
		"another path":   func(*claim, *http.Request) (string, string) { return strings.Replace(uri, "/", "/x", 1), secret },
		"another query": func(*claim, *http.Request) (string, string) {
			if strings.Contains(uri, "?") {
				return uri + "&x=y", secret
			}
			return uri + "?x=y", secret
		},
		"another method":  func(_ *claim, r *http.Request) (string, string) { r.Method = "DELETE"; return uri, secret },
		"another host":    func(_ *claim, r *http.Request) (string, string) { r.Host = "evil.example"; return uri, secret },
		"another time":    func(c *claim, _ *http.Request) (string, string) { c.stamp = "20130525T000000Z"; return uri, secret },
		"another payload": func(c *claim, _ *http.Request) (string, string) { c.payload = "x" + c.payload; return uri, secret },
		"another region": func(c *claim, _ *http.Request) (string, string) {
			c.scope = strings.Replace(c.scope, "us-east-1", "cloud.ca", 1)
			return uri, secret
		},
		"another date header": func(c *claim, r *http.Request) (string, string) {
			if c.presigned {
				return uri + "&X-Amz-Date=1", secret
			}
			r.Header.Set("X-Amz-Date", "20130524T000001Z")
			return uri, secret
		},
	} {
		other, request := c, r.Clone(t.Context())
		uri, secret := change(&other, request)
		target, f := readTarget(uri)
		if f != nil {
			continue // refused before that
		}
		if _, ok := other.verify(request, target, secret); ok {
			t.Errorf("%s verifies too", what)
		}
	}
	return key
}

func targetOf(t *testing.T, uri string) target {
	t.Helper()
	target, f := readTarget(uri)
	if f != nil {
		t.Fatal(f)
	}
	return target
}

func unhexed(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
