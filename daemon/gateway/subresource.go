package gateway

import (
	"bytes"
	"io"
	"net/http"
)

// unheardOf are the subresources that Swift's s3api has never heard of: it takes a
// request about one for one about the bucket or object itself. So the DELETE of a
// bucket's lifecycle deletes the bucket, and the PUT of an object's retention puts
// that in place of its contents (seen of Swift 2.30: test/conformance). Other
// servers have them.
var unheardOf = setOf(`
	abac accelerate analytics attributes encryption intelligent-tiering inventory legal-hold lifecycle metadataConfiguration
	metadataTable metrics object-lock ownershipControls policyStatus publicAccessBlock renameObject replication retention select
	session versions`)

// checkSubresource refuses to change a subresource of a server that has none such.
// A GET of it shows that: the answer is the object, or the list of the bucket.
func (x *exchange) checkSubresource(route *route, signer *signer) *fault {
	name := ""
	for _, f := range x.target.query {
		if unheardOf[f.name] {
			name = f.name
		}
	}
	if name == "" || x.r.Method != http.MethodPut && x.r.Method != http.MethodDelete {
		return nil
	}
	_, key := x.target.names()
	of := target{path: x.target.path, query: []field{{name, ""}}}
	if key == "" {
		of.query = append(of.query, field{"max-keys", "1"})
	}
	u := *route.base
	u.Path, u.RawPath = u.Path+of.path, u.EscapedPath()+escape(of.path, true)
	u.RawQuery = string(of.appendQuery(nil, nil))
	req := (&http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Body: http.NoBody, Header: http.Header{}}).WithContext(x.ctx)
	resp, f := x.roundTrip(route, signer, req, emptyHash)
	if f != nil {
		return f
	}
	start, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close() // an object may be large
	has := func(word string) bool { return bytes.Contains(start, []byte("<"+word)) }
	switch {
	case resp.StatusCode == http.StatusNotFound && has("Code>NoSuchKey<"):
		return &fault{http.StatusNotFound, "NoSuchKey", "there is no such object"}
	case resp.StatusCode == http.StatusNotFound && has("Code>NoSuchBucket<"):
		return &fault{http.StatusNotFound, "NoSuchBucket", "there is no such bucket"}
	case resp.StatusCode >= http.StatusBadRequest:
		return nil // the server says what is wrong, or that there is none yet
	case key != "" && resp.Header.Get("Etag") != "", key == "" && has("ListBucketResult"):
		return &fault{http.StatusNotImplemented, "NotImplemented", "the S3 server has no " + name + ", and would do this to the whole bucket or object"}
	}
	return nil
}
