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
// A GET of it shows that: the answer is the object, or the list of the bucket. An
// answer that shows neither, such as that of a server that is busy or of a key that
// may not read, is the client's, in place of the one that he wants.
func (x *exchange) checkSubresource(route *route, signer *signer) (instead *http.Response, f *fault) {
	name := ""
	for _, f := range x.target.query {
		if unheardOf[f.name] {
			name = f.name
		}
	}
	if name == "" || x.r.Method != http.MethodPut && x.r.Method != http.MethodDelete {
		return nil, nil
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
		return nil, f
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotFound: // it has one, may have one, or takes this for the whole
	case http.StatusMethodNotAllowed, http.StatusNotImplemented: // it knows of it
		discard(resp)
		return nil, nil
	default:
		return resp, nil
	}
	start, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close() // an object may be large
	has := func(word string) bool { return bytes.Contains(start, []byte("<"+word)) }
	switch missing := resp.StatusCode == http.StatusNotFound; {
	case missing && has("Code>NoSuchKey<"):
		return nil, &fault{http.StatusNotFound, "NoSuchKey", "there is no such object"}
	case missing && has("Code>NoSuchBucket<"):
		return nil, &fault{http.StatusNotFound, "NoSuchBucket", "there is no such bucket"}
	case !missing && (key != "" && resp.Header.Get("Etag") != "" || key == "" && has("ListBucketResult")):
		return nil, &fault{http.StatusNotImplemented, "NotImplemented", "the S3 server has no " + name + ", and would do this to the whole bucket or object"}
	}
	return nil, nil
}
