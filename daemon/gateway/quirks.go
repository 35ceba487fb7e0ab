package gateway

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
)

// This file has what makes today's clients and an S3 server of some years ago
// understand each other.

// wantsWhole reports whether the body is needed whole before it goes out.
func (x *exchange) wantsWhole() bool {
	return x.deletes() && x.r.Header.Get("Content-Md5") == "" || x.creates()
}

// deletes reports whether the request is DeleteObjects.
func (x *exchange) deletes() bool { return x.r.Method == http.MethodPost && x.target.has("delete") }

// creates reports whether the request is CreateBucket.
func (x *exchange) creates() bool {
	bucket, key := x.target.names()
	if x.r.Method != http.MethodPut || bucket == "" || key != "" {
		return false
	}
	for _, f := range x.target.query {
		if !ofSignature(f.name) && f.name != "x-id" {
			return false // of a subresource
		}
	}
	return true
}

// locates reports whether the request is GetBucketLocation.
func (x *exchange) locates() bool { return x.r.Method == http.MethodGet && x.target.has("location") }

// completes reports whether the request ends a multipart upload: a checksum in
// its header is the object's, not the payload's, and can't be checked here.
func (x *exchange) completes() bool { return x.r.Method == http.MethodPost && x.target.has("uploadId") }

// adapt changes what goes out.
func (x *exchange) adapt(req *http.Request) {
	h := req.Header
	if values, ok := h["Content-Encoding"]; ok {
		if rest := withoutChunked(values); rest != "" {
			h["Content-Encoding"] = []string{rest}
		} else {
			delete(h, "Content-Encoding")
		}
	}
	if x.deletes() && h.Get("Content-Md5") == "" {
		h["Content-Md5"] = []string{contentMD5(x.body.data)}
	}
	if x.creates() && x.body.length == 0 && x.r.ContentLength != 0 {
		delete(h, "Content-Md5") // of what anyRegion has dropped
	}
	if x.sourceChecked {
		delete(h, "X-Amz-Copy-Source-If-Match")
	}
}

// withoutChunked drops the aws-chunked element, which was the transfer's.
func withoutChunked(values []string) string {
	var kept []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
				kept = append(kept, part)
			}
		}
	}
	return strings.Join(kept, ",")
}

// anyRegion makes CreateBucket independent of the client's region: a body that
// says nothing but where the bucket is to be is dropped, and it will be where
// the server is. The server can't check the MD5 of that, so it is checked here.
func (x *exchange) anyRegion() *fault {
	var doc struct {
		XMLName xml.Name  `xml:"CreateBucketConfiguration"`
		Others  []element `xml:",any"`
	}
	if len(x.body.data) == 0 || xml.Unmarshal(x.body.data, &doc) != nil {
		return nil
	}
	for _, e := range doc.Others {
		if e.XMLName.Local != "LocationConstraint" {
			return nil
		}
	}
	if want := x.r.Header.Get("Content-Md5"); want != "" && want != contentMD5(x.body.data) {
		return badRequest("BadDigest", "the Content-MD5 does not match what was received")
	}
	x.body.data, x.body.length = nil, 0
	return nil
}

func contentMD5(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

type element struct{ XMLName xml.Name }

// answerLocation says that the bucket is where the client takes it to be. One
// that is told another region would sign for that; S3 writes us-east-1 as none.
func (x *exchange) answerLocation() *fault {
	region := x.claim.region
	if region == "us-east-1" {
		region = ""
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	_ = xml.EscapeText(&b, []byte(region))
	b.WriteString("</LocationConstraint>")
	x.reply(http.StatusOK, "application/xml", b.Bytes())
	return nil
}

// checkSource checks x-amz-copy-source-if-match where it names the ETag of a
// multipart object, which this server always refuses: against the source as a
// HEAD shows it. The condition is then left out. A HEAD that shows nothing
// leaves it to the server.
func (x *exchange) checkSource(route *route, signer *signer) *fault {
	x.sourceChecked = false
	want := x.r.Header.Get("X-Amz-Copy-Source-If-Match")
	source := x.r.Header.Get("X-Amz-Copy-Source")
	if x.r.Method != http.MethodPut || source == "" || !strings.Contains(want, "-") {
		return nil
	}
	t, ok := sourceTarget(source)
	if !ok {
		return nil // the server says what is wrong with it
	}
	u := *route.base
	u.Path, u.RawPath = u.Path+t.path, u.EscapedPath()+escape(t.path, true)
	u.RawQuery = string(t.appendQuery(nil, nil))
	req := (&http.Request{Method: http.MethodHead, URL: &u, Host: u.Host, Body: http.NoBody, Header: http.Header{}}).WithContext(x.ctx)
	resp, f := x.roundTrip(route, signer, req, emptyHash)
	if f != nil {
		return f
	}
	discard(resp)
	x.sourceChecked = resp.StatusCode == http.StatusOK
	if x.sourceChecked && !names(want, resp.Header.Get("Etag")) {
		return &fault{http.StatusPreconditionFailed, "PreconditionFailed", "the source's ETag is not the one that the request names"}
	}
	return nil
}

// sourceTarget reads the value of x-amz-copy-source.
func sourceTarget(source string) (target, bool) {
	path, version, versioned := strings.Cut(source, "?versionId=")
	decoded, ok := unescape(path, false)
	t := target{path: "/" + strings.TrimPrefix(decoded, "/")}
	if versioned {
		t.query = []field{{"versionId", version}}
	}
	bucket, key := t.names()
	return t, ok && bucket != "" && key != ""
}

// names reports whether a list of ETags has one.
func names(list, etag string) bool {
	for want := range strings.SplitSeq(list, ",") {
		if want = strings.Trim(strings.TrimSpace(want), `"`); want == "*" || want == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

// ownWords answers in the gateway's words what the server says of a signature
// that is ours: a client would take it for its own, sign for another region or
// set its clock.
func (x *exchange) ownWords(resp *http.Response) *fault {
	if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusForbidden || x.r.Method == http.MethodHead {
		return nil
	}
	host := x.binding.S3.Endpoint.Host()
	switch errorCode(resp) {
	case "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError":
		return badRequest("InvalidRequest", "the S3 server "+host+" demands another region than "+x.binding.S3.Region+
			", which this environment is set to: ccactl verify learns it")
	case "RequestTimeTooSkewed":
		return badRequest("InvalidRequest", "the clocks of this machine and of the S3 server "+host+" differ too much")
	}
	return nil
}
