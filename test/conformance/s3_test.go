package conformance

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// This file has the scenarios of S3's operations.

func s3Buckets(s *session) {
	c := s.firstKey()
	us := c.with(func(c *s3Client) { c.base, c.region = s.on.s3us, "us-east-1" })
	c.do("none", "GET", "/", nil)
	c.do("create", "PUT", "/bucket-b", nil)
	c.do("create again", "PUT", "/bucket-b", nil)
	in := func(where string) string {
		return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` +
			where + `</LocationConstraint></CreateBucketConfiguration>`
	}
	c.do("create in the region", "PUT", "/bucket-a", in("cloud.ca"))
	c.do("create in another region", "PUT", "/bucket-c", in("us-east-1"))
	us.do("create in another region at the other server", "PUT", "/bucket-c", in("cloud.ca"))
	c.do("create with bad XML", "PUT", "/bucket-c", "<Create")
	c.do("create with other XML", "PUT", "/bucket-c", "<Other/>")
	for label, name := range ordered("short", "ab", "leading dash", "-abc", "underscore", "a_b", "upper case", "ABC",
		"an address", "1.2.3.4", "trailing dot", "abc.", "plus", "a+b", "two dots", "a..b") {
		c.do("name: "+label, "PUT", "/"+name.(string), nil)
	}
	c.do("list", "GET", "/", nil)
	us.do("list at the other server", "GET", "/", nil)
	c.do("location", "GET", "/bucket-a?location", nil)
	us.do("location at the other server", "GET", "/bucket-a?location", nil)
	c.do("location of none", "GET", "/nothing?location", nil)
	c.do("head", "HEAD", "/bucket-a", nil)
	c.do("head with a slash", "HEAD", "/bucket-a/", nil)
	c.do("head none", "HEAD", "/nothing", nil)
	c.do("list none", "GET", "/nothing", nil)
	c.do("delete none", "DELETE", "/nothing", nil)
	c.put("/bucket-a/key", "data")
	c.do("delete one that is not empty", "DELETE", "/bucket-a", nil)
	c.do("delete", "DELETE", "/bucket-b", nil)
	c.do("delete again", "DELETE", "/bucket-b", nil)
}

func s3Listings(s *session) {
	c := s.firstKey()
	c.bucket("listed")
	c.do("empty", "GET", "/listed", nil)
	c.do("empty, version 2", "GET", "/listed?list-type=2", nil)
	for _, name := range []string{"a/1", "a/2", "a/b/3", "b", "c%20d", "%C3%BC%26%3C"} {
		c.put("/listed/"+name, "data of "+name)
	}
	for _, query := range []string{
		"", "prefix=a/", "delimiter=/", "prefix=a/&delimiter=/", "marker=a/2", "max-keys=2", "max-keys=2&delimiter=/",
		"max-keys=1&delimiter=/", "max-keys=0", "max-keys=2000", "max-keys=x", "max-keys=-1", "max-keys=99999999999",
		"encoding-type=url", "encoding-type=x", "prefix=nothing",
		"list-type=2", "list-type=2&prefix=a/&delimiter=/", "list-type=2&start-after=a/2", "list-type=2&max-keys=2",
		"list-type=2&max-keys=1&delimiter=/", "list-type=2&fetch-owner=true&max-keys=1", "list-type=2&encoding-type=url",
	} {
		c.do("listing", "GET", "/listed?"+query, nil)
	}
	a := c.do("first page", "GET", "/listed?list-type=2&max-keys=4", nil)
	c.do("second page", "GET", "/listed?list-type=2&max-keys=4&continuation-token="+a.element(s.t, "NextContinuationToken"), nil)
}

func s3Objects(s *session) {
	c := s.firstKey()
	c.bucket("objects")
	const data = "hello, world"
	tag := s.etag(data)
	s.etag("")
	c.do("put", "PUT", "/objects/key", data, "Content-Type", "text/plain", "X-Amz-Meta-Color", "red",
		"Content-Disposition", "inline", "Cache-Control", "no-cache", "Content-Language", "en")
	c.do("get", "GET", "/objects/key", nil)
	c.do("head", "HEAD", "/objects/key", nil)
	for _, r := range []string{"bytes=0-4", "bytes=7-", "bytes=-5", "bytes=0-999", "bytes=12-", "bytes=-0", "bytes=5-2", "lines=1-2", "bytes=x"} {
		c.do("range "+r, "GET", "/objects/key", nil, "Range", r)
	}
	c.do("head with a range", "HEAD", "/objects/key", nil, "Range", "bytes=2-3")
	c.do("head with an impossible range", "HEAD", "/objects/key", nil, "Range", "bytes=99-")
	c.do("if it matches", "GET", "/objects/key", nil, "If-Match", `"`+tag+`"`)
	c.do("if another matches", "GET", "/objects/key", nil, "If-Match", `"x"`)
	c.do("if none matches", "GET", "/objects/key", nil, "If-None-Match", `"`+tag+`"`)
	c.do("head if none matches", "HEAD", "/objects/key", nil, "If-None-Match", tag)
	c.do("response headers", "GET", "/objects/key?response-content-type=text/x&response-cache-control=no-store", nil)
	c.do("no such key", "GET", "/objects/nothing", nil)
	c.do("no such key, head", "HEAD", "/objects/nothing", nil)
	c.do("no such bucket", "GET", "/nothing/key", nil)
	c.do("put to no bucket", "PUT", "/nothing/key", data)

	c.do("put nothing", "PUT", "/objects/empty", nil)
	c.do("get nothing", "GET", "/objects/empty", nil)
	c.with(func(c *s3Client) { c.unsigned, c.before = true, expect100 }).do("unsigned, waiting for 100", "PUT", "/objects/key", data)
	c.do("put with an MD5", "PUT", "/objects/key", data, md5Header(data)...)
	c.do("put with another's MD5", "PUT", "/objects/bad", data, md5Header("x")...)
	c.do("put with an MD5 that is none", "PUT", "/objects/bad", data, "Content-Md5", "x")
	c.with(func(c *s3Client) { c.before = set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }).
		do("put with another hash", "PUT", "/objects/bad", data)
	c.with(func(c *s3Client) { c.unsigned, c.before = true, chunked }).do("put in chunks", "PUT", "/objects/chunked", data)
	c.do("stored nothing bad", "GET", "/objects?list-type=2", nil)
	c.do("an unknown checksum is no matter", "PUT", "/objects/key", data, "X-Amz-Checksum-Crc32", "AAAAAA==", "X-Amz-Sdk-Checksum-Algorithm", "CRC32")
	c.do("a long name", "PUT", "/objects/"+repeat("long", 1025), data)

	c.put("/objects/source", data, "X-Amz-Meta-Color", "blue", "Content-Type", "text/y")
	c.do("copy", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "/objects/source")
	c.do("the copy", "HEAD", "/objects/copy", nil)
	c.do("copy with other metadata", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "objects/source",
		"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Size", "small")
	c.do("that copy", "HEAD", "/objects/copy", nil)
	c.do("copy to itself", "PUT", "/objects/source", nil, "X-Amz-Copy-Source", "/objects/source")
	c.do("copy nothing", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "/objects/nothing")
	c.do("copy from no bucket", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "/nothing/key")
	c.do("copy from a bucket", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "/objects")
	c.do("copy if it matches another", "PUT", "/objects/copy", nil, "X-Amz-Copy-Source", "/objects/source", "X-Amz-Copy-Source-If-Match", "x")
	c.do("delete", "DELETE", "/objects/key", nil)
	c.do("delete again", "DELETE", "/objects/key", nil)
	c.do("delete from no bucket", "DELETE", "/nothing/key", nil)
}

// chunked sends the body without its length.
func chunked(req *http.Request) { req.ContentLength = -1 }

func s3DeleteObjects(s *session) {
	c := s.firstKey()
	c.bucket("emptied")
	for i := range 4 {
		c.put(fmt.Sprintf("/emptied/key%d", i), "data")
	}
	del := func(label, body string, header ...string) {
		c.do(label, "POST", "/emptied?delete", body, append(header, "Content-Type", "application/xml")...)
	}
	object := func(names ...string) string {
		text := `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
		for _, n := range names {
			text += "<Object><Key>" + n + "</Key></Object>"
		}
		return text
	}
	one := object("key0") + "</Delete>"
	del("without an MD5", one)
	del("with a CRC only", one, "X-Amz-Checksum-Crc32", "AAAAAA==")
	del("with another's MD5", one, md5Header("x")...)
	del("one", one, md5Header(one)...)
	del("the same again", one, md5Header(one)...)
	quiet := object("key1") + "<Quiet>true</Quiet></Delete>"
	del("quietly", quiet, md5Header(quiet)...)
	del("nothing", "")
	none := object() + "</Delete>"
	del("no object", none, md5Header(none)...)
	del("bad XML", "<Delete", md5Header("<Delete")...)
	del("other XML", "<Other/>", md5Header("<Other/>")...)
	nameless := object("") + "</Delete>"
	del("an object without a key", nameless, md5Header(nameless)...)
	c.do("from no bucket", "POST", "/nothing?delete", one, md5Header(one)...)
	c.do("what is left", "GET", "/emptied?list-type=2", nil)
}

// parts is a bucket with a multipart upload of two parts' data.
type parts struct {
	s                *session
	c                *s3Client
	big, small       string
	bigTag, smallTag string
	begun            int
}

func newParts(s *session) *parts {
	p := &parts{s: s, c: s.firstKey(), big: repeat("big part ", 5<<20), small: "small part"}
	p.c.bucket("parts")
	p.bigTag, p.smallTag = s.etag(p.big), s.etag(p.small)
	both, err := hex.DecodeString(p.bigTag + p.smallTag)
	if err != nil {
		s.t.Fatal(err)
	}
	s.etag(string(both))
	return p
}

// begin begins an upload and names its id.
func (p *parts) begin(label, key string) string {
	p.s.t.Helper()
	a := p.s.send(p.c.request("POST", "/parts/"+key+"?uploads", nil, "X-Amz-Meta-Color", "red", "Content-Type", "text/plain"))
	p.begun++
	id := a.element(p.s.t, "UploadId")
	p.s.volatile(id, fmt.Sprintf("UPLOAD%d", p.begun))
	fmt.Fprintf(&p.s.out, "# %s\n%d %s\n\n", label, a.StatusCode, p.s.normal(string(a.body)))
	return id
}

func (p *parts) put(label, n, id, data string, header ...string) {
	p.s.t.Helper()
	p.c.do(label, "PUT", "/parts/key?partNumber="+n+"&uploadId="+id, data, header...)
}

func s3Multipart(s *session) {
	p := newParts(s)
	c := p.c
	c.do("no uploads", "GET", "/parts?uploads", nil)
	c.do("begin in no bucket", "POST", "/nothing/key?uploads", nil)
	id := p.begin("begin", "key")
	p.put("part 1", "1", id, p.big)
	p.put("part 2", "2", id, p.small)
	p.put("part 2 with another's MD5", "2", id, p.small, md5Header("x")...)
	p.put("part 0", "0", id, p.small)
	p.put("part 1001", "1001", id, p.small)
	p.put("part x", "x", id, p.small)
	p.put("unknown upload", "1", "nothing", p.small)
	c.do("no upload", "PUT", "/parts/key?partNumber=1", p.small)
	c.put("/parts/source", p.small)
	c.do("a part by copy", "PUT", "/parts/key?partNumber=3&uploadId="+id, nil, "X-Amz-Copy-Source", "/parts/source")
	s.etag(p.small[2:5])
	c.do("a part by copy of a range", "PUT", "/parts/key?partNumber=4&uploadId="+id, nil,
		"X-Amz-Copy-Source", "/parts/source", "X-Amz-Copy-Source-Range", "bytes=2-4")
	c.do("list parts", "GET", "/parts/key?uploadId="+id, nil)
	c.do("list one part", "GET", "/parts/key?max-parts=1&uploadId="+id, nil)
	c.do("list parts after 2", "GET", "/parts/key?part-number-marker=2&uploadId="+id, nil)
	c.do("list parts of no upload", "GET", "/parts/key?uploadId=nothing", nil)
	c.do("list uploads", "GET", "/parts?uploads", nil)
	c.do("not yet an object", "HEAD", "/parts/key", nil)
	second := p.begin("begin another", "other")
	p.begin("begin a third", "third")
	c.do("list all", "GET", "/parts?uploads", nil)
	c.do("list by prefix", "GET", "/parts?uploads&prefix=t", nil)
	c.do("abort", "DELETE", "/parts/other?uploadId="+second, nil)
	c.do("abort again", "DELETE", "/parts/other?uploadId="+second, nil)
	c.do("list the rest", "GET", "/parts?uploads", nil)
}

func s3Complete(s *session) {
	p := newParts(s)
	c, id := p.c, p.begin("begin", "key")
	p.put("part 1", "1", id, p.big)
	p.put("part 2", "2", id, p.small)
	p.put("part 3", "3", id, p.small)
	list := func(pairs ...string) string {
		text := `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
		for i := 0; i < len(pairs); i += 2 {
			text += "<Part><PartNumber>" + pairs[i] + "</PartNumber><ETag>" + pairs[i+1] + "</ETag></Part>"
		}
		return text + "</CompleteMultipartUpload>"
	}
	complete := func(label, body string) { c.do(label, "POST", "/parts/key?uploadId="+id, body) }
	complete("nothing", "")
	complete("no part", list())
	complete("bad XML", "<Complete")
	complete("out of order", list("2", p.smallTag, "1", p.bigTag))
	complete("with a wrong tag", list("1", p.smallTag, "2", p.smallTag))
	complete("with no tag", list("1", "x"))
	complete("with a missing part", list("1", p.bigTag, "9", p.smallTag))
	complete("with a small part in the middle", list("2", p.smallTag, "3", p.smallTag))
	complete("complete", list("1", `"`+p.bigTag+`"`, "2", p.smallTag))
	complete("again", list("1", `"`+p.bigTag+`"`, "2", p.smallTag))
	c.do("the object", "HEAD", "/parts/key", nil)
	c.do("a range over the seam", "GET", "/parts/key", nil, "Range", fmt.Sprintf("bytes=%d-%d", 5<<20-3, 5<<20+4))
	c.do("listed", "GET", "/parts?list-type=2", nil)
	c.do("no uploads left", "GET", "/parts?uploads", nil)
	c.do("delete the object", "DELETE", "/parts/key", nil)
	c.do("and it is gone", "GET", "/parts/key", nil)
}

// s3Refusals are requests that s3api refuses rather than misunderstands.
func s3Refusals(s *session) {
	c := s.firstKey()
	c.bucket("refused")
	const path, data = "/refused/key", "data"
	for _, h := range [][]string{
		{"Content-Encoding", "aws-chunked"},
		{"Content-Encoding", "gzip,aws-chunked"},
		{"X-Amz-Decoded-Content-Length", "4"},
		{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
		{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
		{"If-None-Match", "*"},
		{"If-Match", "x"},
		{"X-Amz-Storage-Class", "GLACIER"},
		{"X-Amz-Storage-Class", "STANDARD"},
		{"X-Amz-Server-Side-Encryption", "AES256"},
		{"X-Amz-Tagging", "a=b"},
		{"X-Amz-Metadata-Directive", "KEEP"},
	} {
		c.do("put with "+h[0]+": "+h[1], "PUT", path, data, h...)
	}
	for _, name := range []string{"tagging", "lifecycle", "policy", "cors", "website", "notification", "torrent"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			for _, at := range []string{"/refused", path} {
				c.do(method+" of "+name, method, at+"?"+name, map[string]any{"PUT": "<X/>"}[method])
			}
		}
	}
	s.etag(data)
	c.do("what was stored", "GET", "/refused?list-type=2", nil)
	c.do("as it was", "GET", path, nil)
}
