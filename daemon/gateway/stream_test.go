package gateway

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// An encoder writes a payload in the aws-chunked encoding, as clients do.
type encoder struct {
	size    int
	trailer string                // "crc32": its checksum follows
	chain   *chain                // nil: unsigned
	value   string                // the trailer's value; "": the right one
	extra   string                // a further trailer line
	gap     string                // before the trailer's signature
	lie     func(s string) string // changes the whole encoding
}

func (e encoder) encode(data []byte) []byte {
	var b bytes.Buffer
	rest := data
	for {
		n := min(e.size, len(rest))
		b.WriteString(strconv.FormatInt(int64(n), 16))
		if e.chain != nil {
			b.WriteString(";chunk-signature=" + e.sign("-PAYLOAD", emptyHash+"\n", rest[:n]))
		}
		b.WriteString("\r\n")
		if n == 0 {
			break
		}
		b.Write(rest[:n])
		b.WriteString("\r\n")
		rest = rest[n:]
	}
	if e.trailer != "" {
		h := checksums[e.trailer]()
		h.Write(data)
		if e.value == "" {
			e.value = base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
		line := checksumPrefix + e.trailer + ":" + e.value
		b.WriteString(line + "\r\n" + e.extra)
		if e.chain != nil {
			b.WriteString(e.gap + "x-amz-trailer-signature:" + e.sign("-TRAILER", "", []byte(line+"\n")) + "\r\n")
		}
	}
	b.WriteString("\r\n")
	if e.lie != nil {
		return []byte(e.lie(b.String()))
	}
	return b.Bytes()
}

func (e encoder) sign(kind, before string, data []byte) string {
	sum := sha256.Sum256(data)
	s := fmt.Sprintf("AWS4-HMAC-SHA256%s\n%s\n%s\n%x\n%s%x", kind, e.chain.stamp, e.chain.scope, e.chain.previous, before, sum)
	e.chain.previous = mac(e.chain.key, s)
	return hex.EncodeToString(e.chain.previous)
}

// streamed makes a request of a payload in chunks.
func (b *bench) streamed(uri, payload string, data []byte, e encoder, change func(*http.Request)) *http.Request {
	b.t.Helper()
	r := b.request("PUT", uri, nil, func(r *http.Request) {
		r.Header.Set("X-Amz-Content-Sha256", payload)
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
		r.Header.Set("Content-Encoding", "aws-chunked")
		if e.trailer != "" {
			r.Header.Set("X-Amz-Trailer", checksumPrefix+e.trailer)
		}
		if change != nil {
			change(r)
		}
	})
	if strings.HasPrefix(payload, algorithmStreaming) {
		c, f := headerClaim(r, r.Header.Get("Authorization"))
		if f != nil {
			b.t.Fatal(f)
		}
		key := []byte("AWS4" + b.pair.Secret.Reveal())
		for _, part := range strings.Split(c.scope, "/") {
			key = mac(key, part)
		}
		e.chain = newChain(&c, key)
	}
	encoded := e.encode(data)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(encoded)), int64(len(encoded))
	return r
}

const (
	signedChunks    = algorithmStreaming
	signedTrailer   = algorithmStreaming + "-TRAILER"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

func TestStreamedPayloads(t *testing.T) {
	b := newBench(t)
	big := make([]byte, 300<<10)
	_, _ = rand.Read(big)
	for _, data := range [][]byte{nil, []byte("x"), big[:70000], big} {
		for _, size := range []int{8 << 10, 64 << 10, 1 << 20} {
			for algorithm := range checksums {
				for _, c := range []struct {
					payload string
					e       encoder
				}{
					{signedChunks, encoder{size: size}},
					{signedTrailer, encoder{size: size, trailer: algorithm}},
					{signedTrailer, encoder{size: size, trailer: algorithm, gap: "\r\n"}},
					{unsignedTrailer, encoder{size: size, trailer: algorithm}},
				} {
					what := fmt.Sprint(c.payload, " ", len(data), " in ", size, " ", c.e.trailer)
					b.want(what, b.streamed("/bucket/key", c.payload, data, c.e, nil), 200, "")
					if got, _ := b.s3.object("/bucket/key"); !bytes.Equal(got, data) {
						t.Fatalf("%s: %d bytes were stored", what, len(got))
					}
					r := b.s3.last(t)
					if r.ContentLength != int64(len(data)) || r.Header.Get("Content-Encoding") != "" || r.Header.Get("X-Amz-Decoded-Content-Length") != "" || r.Header.Get("X-Amz-Trailer") != "" {
						t.Fatalf("%s: it went out as %d bytes with %v", what, r.ContentLength, r.Header)
					}
				}
				if testing.Short() {
					break
				}
			}
		}
	}
}

// TestStreamOfUnknownLength is how the JavaScript SDK sends a stream.
func TestStreamOfUnknownLength(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{0, 10, 300 << 10} {
		data := bytes.Repeat([]byte("0123456789"), n/10)
		r := b.streamed("/bucket/key", unsignedTrailer, data, encoder{size: 64 << 10, trailer: "crc32"}, func(r *http.Request) {
			r.Header.Del("X-Amz-Decoded-Content-Length")
			r.Header.Set("Content-Encoding", "gzip,aws-chunked")
		})
		r.Body, r.ContentLength = io.NopCloser(iotest.OneByteReader(r.Body)), -1
		b.want("put", r, 200, "")
		if got, _ := b.s3.object("/bucket/key"); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes were stored", len(got))
		}
		if got := b.s3.last(t).Header.Get("Content-Encoding"); got != "gzip" {
			t.Errorf("the content encoding became %q", got)
		}
	}
}

// TestCommitAfterVerification: whatever is wrong with a payload, it is refused
// and never becomes an object.
func TestCommitAfterVerification(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	flip := func(s string) string { return strings.Replace(s, "0123456789abcdef\r\n", "0123456789abcdeX\r\n", 1) }
	first := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, data := range [][]byte{[]byte("0123456789abcdef"), big} {
		for _, c := range []struct {
			what, payload string
			e             encoder
			change        func(*http.Request)
			status        int
			code          string
		}{
			{"a changed chunk", signedChunks, encoder{lie: flip}, nil, 403, "SignatureDoesNotMatch"},
			{"a wrong chunk signature", signedChunks, encoder{lie: first("chunk-signature=", "chunk-signature=0")}, nil, 400, "InvalidChunk"},
			{"a chunk signature of zeros", signedChunks, encoder{lie: func(s string) string {
				i := strings.Index(s, "=") + 1
				return s[:i] + strings.Repeat("0", 64) + s[i+64:]
			}}, nil, 403, "SignatureDoesNotMatch"},
			{"no chunk signature", signedChunks, encoder{lie: func(s string) string { i := strings.Index(s, ";"); return s[:i] + s[i+81:] }}, nil, 400, "InvalidChunk"},
			{"a missing last chunk", signedChunks, encoder{lie: func(s string) string { return s[:strings.LastIndex(s, "0;chunk")] }}, nil, 400, "IncompleteBody"},
			{"no empty line at the end", signedChunks, encoder{lie: func(s string) string { return s[:len(s)-2] }}, nil, 400, "IncompleteBody"},
			{"a wrong trailer signature", signedTrailer, encoder{trailer: "crc32", lie: func(s string) string {
				i := strings.Index(s, "trailer-signature:") + 18
				return s[:i] + strings.Repeat("0", 64) + s[i+64:]
			}}, nil, 403, "SignatureDoesNotMatch"},
			{"no trailer signature", signedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return s[:strings.Index(s, "x-amz-trailer-sig")] + "\r\n" }}, nil, 400, "IncompleteBody"},
			{"a trailer behind the signature", signedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return s[:len(s)-2] + "x-amz-checksum-crc32c:AAAAAA==\r\n\r\n" }}, nil, 400, "InvalidChunk"},
			{"a wrong checksum", signedTrailer, encoder{trailer: "crc32", value: "AAAAAA=="}, nil, 400, "BadDigest"},
			{"a changed byte", unsignedTrailer, encoder{trailer: "sha256", lie: flip}, nil, 400, "BadDigest"},
			{"a wrong trailer", unsignedTrailer, encoder{trailer: "crc64nvme", value: "AAAAAAAAAAA="}, nil, 400, "BadDigest"},
			{"a malformed trailer", unsignedTrailer, encoder{trailer: "crc32", value: "%%%"}, nil, 400, "InvalidRequest"},
			{"a missing trailer", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return s[:strings.Index(s, "x-amz-")] + "\r\n" }}, nil, 400, "MalformedTrailerError"},
			{"an unannounced trailer", unsignedTrailer, encoder{trailer: "crc32", extra: "x-amz-meta-a:b\r\n"}, nil, 400, "MalformedTrailerError"},
			{"a trailer twice", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string {
				i := strings.Index(s, "x-amz-")
				return s[:len(s)-2] + s[i:]
			}}, nil, 400, "MalformedTrailerError"},
			{"a trailer that is none", unsignedTrailer, encoder{trailer: "crc32", extra: "what\r\n"}, nil, 400, "InvalidChunk"},
			{"too many trailers", unsignedTrailer, encoder{trailer: "crc32", extra: strings.Repeat("a:b\r\n", 20)}, nil, 400, "MalformedTrailerError"},
			{"an endless line", unsignedTrailer, encoder{trailer: "crc32", extra: strings.Repeat("a", 100<<10)}, nil, 400, "InvalidChunk"},
			{"bytes behind the end", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return s + "0\r\n" }}, nil, 400, "InvalidChunk"},
			{"a size that is none", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return "-" + s }}, nil, 400, "InvalidChunk"},
			{"a huge size", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return "ffffffffffffffff" + s }}, nil, 400, "InvalidChunk"},
			{"a size beyond the body", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return "7" + s }}, nil, 400, ""},
			{"a size too small", unsignedTrailer, encoder{trailer: "crc32", lie: func(s string) string { return "5" + s[strings.Index(s, "\r"):] }}, nil, 400, "InvalidChunk"},
			{"fewer bytes than said", unsignedTrailer, encoder{trailer: "crc32"}, func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)+1)) }, 400, "IncompleteBody"},
			{"more bytes than said", unsignedTrailer, encoder{trailer: "crc32"}, func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)-1)) }, 400, "InvalidRequest"},
			{"a length that is none", unsignedTrailer, encoder{trailer: "crc32"}, func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", "-1") }, 411, "MissingContentLength"},
			{"signed chunks without a length", signedChunks, encoder{}, func(r *http.Request) { r.Header.Del("X-Amz-Decoded-Content-Length") }, 411, "MissingContentLength"},
			{"a trailer of no checksum", unsignedTrailer, encoder{trailer: "crc32"}, func(r *http.Request) { r.Header.Set("X-Amz-Trailer", "x-amz-meta-a") }, 400, "InvalidRequest"},
			{"an unknown checksum", unsignedTrailer, encoder{trailer: "crc32"}, func(r *http.Request) { r.Header.Set("X-Amz-Trailer", "x-amz-checksum-xxhash") }, 501, "NotImplemented"},
			{"an unknown way to stream", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", encoder{}, nil, 501, "NotImplemented"},
		} {
			if c.e.size == 0 {
				c.e.size = 64 << 10
			}
			r := b.streamed("/bucket/key", c.payload, data, c.e, c.change)
			b.want(fmt.Sprint(c.what, ", ", len(data), " bytes"), r, c.status, c.code)
			if _, ok := b.s3.object("/bucket/key"); ok {
				t.Fatalf("%s, %d bytes: it became an object", c.what, len(data))
			}
		}
	}
}

// TestChecksums: what a server ignores, the gateway checks.
func TestChecksums(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	for _, data := range [][]byte{nil, []byte("data"), big} {
		for algorithm, hash := range checksums {
			h := hash()
			h.Write(data)
			b.s3.set(func() { clear(b.s3.objects) })
			put := func(sum []byte) *http.Request {
				return b.request("PUT", "/bucket/"+algorithm, data, func(r *http.Request) {
					r.Header.Set("X-Amz-Content-Sha256", unsigned)
					r.Header.Set("X-Amz-Checksum-"+algorithm, base64.StdEncoding.EncodeToString(sum))
				})
			}
			b.want("wrong", put(bytes.Repeat([]byte{1}, h.Size())), 400, "BadDigest")
			if _, ok := b.s3.object("/bucket/" + algorithm); ok {
				t.Fatalf("%s: a wrong one of %d bytes became an object", algorithm, len(data))
			}
			b.want("too short", put(h.Sum(nil)[1:]), 400, "InvalidRequest")
			b.want("right", put(h.Sum(nil)), 200, "")
			if got, ok := b.s3.object("/bucket/" + algorithm); !ok || !bytes.Equal(got, data) {
				t.Fatalf("%s: %d bytes were stored", algorithm, len(got))
			}
		}
		for what, payload := range map[string]string{"a hash": strings.Repeat("0", 64), "no hash": "what"} {
			r := b.request("PUT", "/bucket/hash", data, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", payload) })
			b.want(what, r, 400, "")
			if _, ok := b.s3.object("/bucket/hash"); ok {
				t.Fatalf("%s: it became an object", what)
			}
		}
	}
	for _, data := range [][]byte{nil, big} {
		r := b.request("PUT", "/bucket/key", data, func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Xxhash", "AA==") })
		b.want("an unknown one", r, 501, "NotImplemented")
	}
	// In a presigned URL it is in the query. Of nothing, it is of who presigned
	// without the payload, as SDKs do unasked.
	for _, c := range []struct {
		sum, body string
		status    int
	}{{"rfPzYw==", "data", 200}, {"AAAAAQ==", "data", 400}, {"AAAA", "data", 400}, {"AAAAAA==", "data", 200}, {"AAAAAA==", "", 200}, {"AAAAAQ==", "", 400}} {
		r := b.presigned("PUT", "/bucket/by%20url?x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-crc32="+url.QueryEscape(c.sum), time.Hour, nil)
		r.Body, r.ContentLength = readCloser(c.body), int64(len(c.body))
		b.want(c.sum+" in the query of "+c.body, r, c.status, "")
	}
	// At the end of a multipart upload it is the object's.
	r := b.request("POST", "/bucket/key?uploadId=1", []byte("<x/>"), func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Crc32", "AAAAAA==") })
	b.want("of the object", r, 200, "")
	for _, name := range []string{"X-Amz-Checksum-Crc32", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Checksum-Mode"} {
		r := b.request("PUT", "/bucket/key", nil, func(r *http.Request) {
			r.Header.Set(name, map[bool]string{true: "AAAAAA==", false: "ENABLED"}[name == "X-Amz-Checksum-Crc32"])
		})
		b.want(name, r, 200, "")
		if b.s3.last(t).Header.Get(name) != "" {
			t.Errorf("%s went out", name)
		}
	}
}

// TestCutShort: a client that dies in mid-body leaves no object.
func TestCutShort(t *testing.T) {
	b := newBench(t)
	data := bytes.Repeat([]byte("x"), 300<<10)
	for what, r := range map[string]*http.Request{
		"plain":  b.request("PUT", "/bucket/key", data, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) }),
		"small":  b.request("PUT", "/bucket/key", data[:1000], nil),
		"chunks": b.streamed("/bucket/key", unsignedTrailer, data, encoder{size: 64 << 10, trailer: "crc32"}, nil),
	} {
		before := len(b.records)
		c, err := net.Dial("tcp", b.host)
		if err != nil {
			t.Fatal(err)
		}
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(wire.Bytes()[:wire.Len()-100]); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if got := b.record(before + 1); got.Status < 400 {
			t.Errorf("%s: recorded as %+v", what, got)
		}
		if _, ok := b.s3.object("/bucket/key"); ok {
			t.Errorf("%s: it became an object", what)
		}
	}
}

// TestChunkPieces: the decoder does not care in what pieces its input comes.
func TestChunkPieces(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 100)
	encoded := encoder{size: 100, trailer: "crc32"}.encode(data)
	for name, in := range map[string]io.Reader{
		"bytes":        iotest.OneByteReader(bytes.NewReader(encoded)),
		"halves":       iotest.HalfReader(bytes.NewReader(encoded)),
		"an early end": iotest.DataErrReader(bytes.NewReader(encoded)),
	} {
		p, _ := newPromise("x-amz-checksum-crc32")
		c := &chunks{in: bufio.NewReaderSize(in, chunkRoom), trailer: true, promises: []*promise{p}}
		v := &verified{src: c, length: int64(len(data)), promises: c.promises, tick: func(int) {}}
		var got bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{v}, make([]byte, 1))
		if err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%s read one by one: %d bytes, %v", name, got.Len(), err)
		}
	}
	broken := errors.New("broken")
	v := &verified{src: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), length: 10, tick: func(int) {}}
	got, err := io.ReadAll(v)
	if string(got) != "ab" || !errors.Is(err, errCut) {
		t.Errorf("a broken connection gave %q, %v", got, err)
	}
}
