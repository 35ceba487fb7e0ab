package practice

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is Signature Version 4 as s3api checks it, by header and by query.

const (
	algorithm       = "AWS4-HMAC-SHA256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	amzDate         = "20060102T150405Z"
	maxSkew         = 15 * time.Minute
	noDate          = "AWS authentication requires a valid Date or x-amz-date header"
)

// signature is what a request says about who signed it.
type signature struct {
	byQuery bool
	access  string
	value   string
	headers []string
	time    time.Time
}

// parseSignature reads the signature; it checks everything but itself.
func (k *s3Call) parseSignature() *s3Error {
	if k.sign.byQuery = k.params["X-Amz-Credential"] != ""; k.sign.byQuery {
		return k.parseQuery()
	}
	at, err := time.Parse(amzDate, k.Header.Get("X-Amz-Date"))
	if err != nil {
		if at, err = http.ParseTime(k.Header.Get("Date")); err != nil || k.Header.Get("X-Amz-Date") != "" {
			return s3Errorf(403, "AccessDenied", noDate)
		}
	}
	k.sign.time = at
	if skew := k.now.Sub(at); skew > maxSkew || skew < -maxSkew {
		return s3Errorf(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	}
	auth := k.Header.Get("Authorization")
	field := func(name string) string {
		_, after, _ := strings.Cut(auth, name+"=")
		value, _, _ := strings.Cut(after, ",")
		return value
	}
	scope := strings.Split(field("Credential"), "/")
	if k.sign.value = field("Signature"); k.sign.value == "" || scope[0] == "" || len(scope) != 5 {
		return accessDenied
	}
	k.sign.access, k.sign.headers = scope[0], strings.Split(field("SignedHeaders"), ";")
	if field("SignedHeaders") == "" {
		return s3Errorf(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the authorization "+
			"header requires three components: Credential, SignedHeaders, and Signature.")
	}
	return k.checkScope(scope, "AuthorizationHeaderMalformed",
		"The authorization header is malformed; the region '%s' is wrong; expecting '%s'",
		"The authorization header is malformed; incorrect %s \"%s\". This endpoint %s \"%s\".")
}

// parseQuery is parseSignature for a presigned URL.
func (k *s3Call) parseQuery() *s3Error {
	at, err := time.Parse(amzDate, k.params["X-Amz-Date"])
	if err != nil {
		return s3Errorf(403, "AccessDenied", noDate)
	}
	k.sign.time = at
	bad := func(why string) *s3Error { return s3Errorf(400, "AuthorizationQueryParametersError", "%s", why) }
	given, ok := k.params["X-Amz-Expires"]
	expires, err := strconv.Atoi(given)
	switch {
	case !ok:
		return accessDenied
	case err != nil:
		return bad("X-Amz-Expires should be a number")
	case expires < 0:
		return bad("X-Amz-Expires must be non-negative")
	case expires > 604800:
		return bad("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	case at.Add(time.Duration(expires) * time.Second).Before(k.now):
		return s3Errorf(403, "AccessDenied", "Request has expired")
	}
	if k.params["X-Amz-Algorithm"] != algorithm {
		return invalidArgument("X-Amz-Algorithm", k.params["X-Amz-Algorithm"], "Invalid Argument.")
	}
	scope := strings.Split(k.params["X-Amz-Credential"], "/")
	if k.sign.value = k.params["X-Amz-Signature"]; k.sign.value == "" || scope[0] == "" || len(scope) != 5 {
		return accessDenied
	}
	k.sign.access, k.sign.headers = scope[0], strings.Split(k.params["X-Amz-SignedHeaders"], ";")
	return k.checkScope(scope, "AuthorizationQueryParametersError",
		"Error parsing the X-Amz-Credential parameter; the region '%s' is wrong; expecting '%s'",
		"Error parsing the X-Amz-Credential parameter; incorrect %s \"%s\". This endpoint %s \"%s\".")
}

// checkScope holds date, region, service and end of a credential scope against
// this server's. The error names the region that is demanded.
func (k *s3Call) checkScope(scope []string, code, region, other string) *s3Error {
	day := k.sign.time.Format("20060102")
	switch {
	case scope[1] != day:
		return s3Errorf(400, code, "Invalid credential date \"%s\". This date is not the same as X-Amz-Date: \"%s\".", scope[1], day)
	case scope[2] != k.region:
		return s3Errorf(400, code, region, scope[2], k.region).with("Region", k.region)
	case scope[3] != "s3":
		return s3Errorf(400, code, other, "service", scope[3], "belongs to", "s3")
	case scope[4] != "aws4_request":
		return s3Errorf(400, code, other, "terminal", scope[4], "uses", "aws4_request")
	}
	return nil
}

// checkHeaders refuses what s3api can't do, rather than ignoring it.
func (k *s3Call) checkHeaders() *s3Error {
	h := k.Header
	if md := h.Get("Content-Md5"); md != "" {
		if sum, err := base64.StdEncoding.DecodeString(md); err != nil || len(sum) != md5.Size {
			return s3Errorf(400, "InvalidDigest", "The Content-MD5 you specified was an invalid.").with("ContentMd5", md)
		}
	}
	conditional := h.Get("If-Match") + h.Get("If-None-Match") + h.Get("If-Modified-Since") + h.Get("If-Unmodified-Since")
	directive := h.Get("X-Amz-Metadata-Directive")
	switch {
	case k.Method == http.MethodPut && conditional != "":
		return notImplemented("Conditional object PUTs are not supported.")
	case directive != "" && directive != "COPY" && directive != "REPLACE":
		return invalidArgument("x-amz-metadata-directive", directive, "Unknown metadata directive.")
	case h.Get("X-Amz-Storage-Class") != "" && h.Get("X-Amz-Storage-Class") != "STANDARD":
		return s3Errorf(400, "InvalidStorageClass", "The storage class you specified is not valid.")
	case h.Get("X-Amz-Server-Side-Encryption") != "":
		return notImplemented("Server-side encryption is not supported.")
	case strings.Contains(h.Get("Content-Encoding"), "aws-chunked"),
		h.Get("X-Amz-Content-Sha256") == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		h.Get("X-Amz-Decoded-Content-Length") != "":
		return notImplemented("Transfering payloads in multiple chunks using aws-chunked is not supported.")
	case h.Get("X-Amz-Tagging") != "":
		return notImplemented("Object tagging is not supported.")
	}
	return nil
}

// checkSignature proves the signature and finds whose it is. An unknown key, a
// key of a project that its user has left and a wrong signature look the same.
func (k *s3Call) checkSignature() *s3Error {
	request, e := k.canonicalRequest()
	if e != nil {
		return e
	}
	sum := sha256.Sum256([]byte(request))
	scope := k.sign.time.Format("20060102") + "/" + k.region + "/s3/aws4_request"
	toSign := algorithm + "\n" + k.sign.time.Format(amzDate) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	k.cloud.mu.Lock()
	defer k.cloud.mu.Unlock()
	if c := k.cloud.state.credentials[credentialID(k.sign.access)]; c != nil && c.kind == "ec2" {
		k.user, k.project = k.cloud.state.users[c.userID], k.cloud.state.projects[c.projectID]
		key := []byte("AWS4" + c.secret)
		for _, part := range strings.Split(scope, "/") {
			key = mac(key, part)
		}
		given := []byte(k.sign.value)
		if hmac.Equal(given, []byte(hex.EncodeToString(mac(key, toSign)))) && k.user.enabled && k.user.memberOf(k.project) {
			return nil
		}
	}
	bytesOf := func(s string) string { return strings.TrimSpace(fmt.Sprintf("% x", s)) }
	return s3Errorf(403, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.").
		with("AWSAccessKeyId", k.sign.access).with("StringToSign", toSign).with("SignatureProvided", k.sign.value).
		with("StringToSignBytes", bytesOf(toSign)).with("CanonicalRequest", request).with("CanonicalRequestBytes", bytesOf(request))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalRequest is what was signed, or an error where a header is missing or
// would slip in unsigned.
func (k *s3Call) canonicalRequest() (string, *s3Error) {
	headers := map[string]string{"host": k.Host}
	if k.ContentLength >= 0 {
		headers["content-length"] = strconv.FormatInt(k.ContentLength, 10)
	}
	for name, values := range k.Header {
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name := range headers {
		for _, must := range []string{"x-amz-copy", "x-amz-acl", "x-amz-grant", "x-amz-meta"} {
			if strings.HasPrefix(name, must) && !slices.Contains(k.sign.headers, name) {
				return "", s3Errorf(403, "AccessDenied", "There were headers present in the request which were not signed").
					with("HeadersNotSigned", name)
			}
		}
	}
	slices.Sort(k.sign.headers)
	var signed strings.Builder
	for _, name := range k.sign.headers {
		value, ok := headers[name]
		if !ok {
			return "", s3Errorf(403, "SignatureDoesNotMatch",
				"The request signature we calculated does not match the signature you provided. Check your key and signing method.")
		}
		signed.WriteString(name + ":" + value + "\n")
	}
	payload := k.Header.Get("X-Amz-Content-Sha256")
	if k.sign.byQuery {
		payload = unsignedPayload
	} else if payload == "" {
		return "", s3Errorf(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	return strings.Join([]string{k.Method, awsEscape(k.URL.Path, false), k.canonicalQuery(), signed.String(),
		strings.Join(k.sign.headers, ";"), payload}, "\n"), nil
}

func (k *s3Call) canonicalQuery() string {
	var names, pairs []string
	for name := range k.params {
		if name != "X-Amz-Signature" && name != "Signature" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		pairs = append(pairs, awsEscape(name, true)+"="+awsEscape(k.params[name], true))
	}
	return strings.Join(pairs, "&")
}
