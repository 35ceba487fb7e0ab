package gateway

import (
	"net/http"
	"net/textproto"
	"strings"
)

// This file has what of a request may go out.

// plainHeaders are the headers of S3 besides x-amz-*.
var plainHeaders = map[string]bool{
	"Cache-Control": true, "Content-Disposition": true, "Content-Encoding": true, "Content-Language": true,
	"Content-Md5": true, "Content-Type": true, "Expires": true, "If-Match": true, "If-Modified-Since": true,
	"If-None-Match": true, "If-Unmodified-Since": true, "Range": true,
}

// ofTransfer are those of x-amz-* that speak of the client's signature and
// encoding, or that the gateway has acted on.
var ofTransfer = map[string]bool{
	"X-Amz-Date": true, "X-Amz-Content-Sha256": true, "X-Amz-Security-Token": true, "X-Amz-User-Agent": true,
	"X-Amz-Decoded-Content-Length": true, "X-Amz-Trailer": true, "X-Amz-Sdk-Checksum-Algorithm": true,
}

// forwarded reports whether a header goes to the server. Swift's own, such as
// X-Copy-From or X-Object-Manifest, do more than S3 allows.
func forwarded(name string) bool {
	if !strings.HasPrefix(name, "X-Amz-") {
		return plainHeaders[name]
	}
	return !ofTransfer[name] && !strings.HasPrefix(name, "X-Amz-Checksum-")
}

// ofSignature reports whether a query parameter is the client's signature.
func ofSignature(name string) bool {
	rest, ok := strings.CutPrefix(textproto.CanonicalMIMEHeaderKey(name), "X-Amz-")
	if !ok {
		return false
	}
	switch rest {
	case "Algorithm", "Credential", "Date", "Expires", "Signedheaders", "Signature", "Security-Token", "Content-Sha256":
		return true
	}
	return false
}

// bucketRegion narrows ListBuckets to a region. To clients every bucket is in the
// region that they sign for, to the server in its own: it is left out.
const bucketRegion = "bucket-region"

// unsent reports whether a query parameter is not for the server.
func unsent(name string) bool { return ofSignature(name) || name == bucketRegion }

// parameters are the query parameters of S3 besides x-amz-*. Swift has others,
// such as multipart-manifest, which do more than S3 allows.
var parameters = setOf(`
	abac accelerate acl analytics attributes continuation-token cors delete delimiter encoding-type encryption fetch-owner id
	intelligent-tiering inventory key-marker legal-hold lifecycle list-type location logging marker max-buckets max-keys max-parts
	max-uploads metadataConfiguration metadataTable metrics notification object-lock ownershipControls part-number-marker partNumber
	policy policyStatus prefix publicAccessBlock renameObject replication requestPayment response-cache-control
	response-content-disposition response-content-encoding response-content-language response-content-type response-expires restore
	retention select select-type session start-after tagging torrent upload-id-marker uploadId uploads version-id-marker versionId
	versioning versions website x-id`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// allowed refuses what is no request of S3's. To drop a parameter would make
// another request of it: without "?what", a DELETE removes the object.
func (x *exchange) allowed() *fault {
	for _, f := range x.target.query {
		switch {
		case parameters[f.name], len(f.name) >= 6 && strings.EqualFold(f.name[:6], "x-amz-"):
		case f.name == bucketRegion && x.r.Method == http.MethodGet && x.target.path == "/":
		default:
			return &fault{http.StatusNotImplemented, "NotImplemented", "the query has a parameter that is none of S3's"}
		}
	}
	return nil
}
