package practice

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// This file is S3's objects. An object is the same as Swift's; only the names
// of its headers differ: x-amz-meta-… here, X-Object-Meta-… there.

// fromS3 are the headers of an object that a request sets.
func fromS3(h http.Header) http.Header {
	to := http.Header{"Content-Type": {"binary/octet-stream"}}
	keep(to, h)
	for name, values := range h {
		if meta, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			to["X-Object-Meta-"+meta] = values
		}
	}
	return to
}

// toS3 are the headers of an object as S3 shows them, and no others. s3api
// writes x-amz-meta- in lower case, which some clients rely on.
func toS3(h http.Header) http.Header {
	to := http.Header{}
	for name, values := range h {
		if meta, ok := strings.CutPrefix(name, "X-Object-Meta-"); ok {
			to["x-amz-meta-"+strings.ToLower(meta)] = values
		}
	}
	for _, name := range append([]string{"Content-Length", "Content-Range", "Last-Modified"}, keptHeaders...) {
		if h.Get(name) != "" {
			to.Set(name, h.Get(name))
		}
	}
	if etag := h.Get("Etag"); etag != "" {
		to.Set("Etag", `"`+etag+`"`)
	}
	return to
}

// object finds the object of the path.
func (k *s3Call) object() (*container, *blob, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return nil, nil, e
	}
	b := ct.objects[k.key]
	if b == nil {
		return ct, nil, noSuchKey(k.key)
	}
	return ct, b, nil
}

func (k *s3Call) getObject() (reply, *s3Error) {
	_, b, e := k.object()
	if e != nil {
		return reply{}, e
	}
	h := maps.Clone(b.header)
	h.Set("Etag", b.etag)
	h.Set("Last-Modified", lastModified(b.modified))
	a := serveBlob(k.Request, b, h)
	switch a.status {
	case http.StatusPreconditionFailed:
		return reply{}, preconditionFailed
	case http.StatusRequestedRangeNotSatisfiable:
		return reply{}, s3Errorf(416, "InvalidRange", "The requested range cannot be satisfied.")
	}
	a.header = toS3(a.header)
	for _, name := range keptHeaders {
		if v, ok := k.params["response-"+strings.ToLower(name)]; ok {
			a.header.Set(name, v)
		}
	}
	if k.Method == http.MethodHead && a.status == http.StatusOK {
		return k.headRange(a, len(b.data))
	}
	return a, nil
}

// headRange obeys a range for HEAD, which Swift itself doesn't.
func (k *s3Call) headRange(a reply, size int) (reply, *s3Error) {
	from, until, whole, ok := byteRange(k.Header.Get("Range"), size)
	if !ok {
		return reply{}, s3Errorf(416, "InvalidRange", "The requested range cannot be satisfied.")
	}
	if !whole {
		a.status = http.StatusPartialContent
		a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, until-1, size))
		a.header.Set("Content-Length", fmt.Sprint(until-from))
	}
	return a, nil
}

// checkBody holds the body against Content-MD5.
func (k *s3Call) checkBody(b *blob) *s3Error {
	given, _ := base64.StdEncoding.DecodeString(k.Header.Get("Content-Md5"))
	if len(given) > 0 && hex.EncodeToString(given) != b.etag {
		return badDigest
	}
	return nil
}

func (k *s3Call) putObject() (reply, *s3Error) {
	if len(k.key) > 1024 {
		return reply{}, s3Errorf(400, "KeyTooLongError", "Your key is too long.")
	}
	if k.Header.Get("X-Amz-Copy-Source") != "" {
		return k.copyObject()
	}
	if k.ContentLength < 0 && len(k.TransferEncoding) == 0 {
		return reply{}, s3Errorf(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	b := newBlob(k.data, fromS3(k.Header), k.now)
	if e := k.checkBody(b); e != nil {
		return reply{}, e
	}
	ct.objects[k.key] = b
	return k.stored(b), nil
}

func (k *s3Call) stored(b *blob) reply {
	return reply{status: http.StatusOK, header: http.Header{"Etag": {`"` + b.etag + `"`},
		"Last-Modified": {lastModified(b.modified)}, "Content-Type": {"text/html; charset=UTF-8"}}}
}

func (k *s3Call) copyObject() (reply, *s3Error) {
	source, e := k.source()
	if e != nil {
		return reply{}, e
	}
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	h := source.header
	if k.Header.Get("X-Amz-Metadata-Directive") == "REPLACE" {
		h = fromS3(k.Header)
	} else if source == ct.objects[k.key] {
		return reply{}, s3Errorf(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object "+
			"to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	b := newBlob(source.data, h, k.now) // a copy of a multipart object is a plain one
	ct.objects[k.key] = b
	return k.copied("CopyObjectResult", b), nil
}

func (k *s3Call) copied(root string, b *blob) reply {
	a, _ := xmlReply(tree(root, leaf("LastModified", s3Time(b.modified)), leaf("ETag", `"`+b.etag+`"`)))
	a.header.Set("Last-Modified", lastModified(b.modified))
	return a
}

func (k *s3Call) deleteObject() (reply, *s3Error) {
	ct, b, e := k.object()
	if e != nil && ct == nil {
		return reply{}, e
	}
	a := reply{status: http.StatusNoContent, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}}
	if b != nil && b.uploadID != "" {
		a.header.Set("Content-Type", "text/plain") // its segments are deleted in bulk
	}
	delete(ct.objects, k.key)
	return a, nil
}
