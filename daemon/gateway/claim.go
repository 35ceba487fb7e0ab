package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminal   = "aws4_request"
	stampForm  = "20060102T150405Z"
	maxSkew    = 15 * time.Minute
	maxExpires = 7 * 24 * time.Hour
	unsigned   = "UNSIGNED-PAYLOAD"
	emptyHash  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// A claim is what a request says of its signature (SigV4, in a header or in the
// query): whose it is, of when, for which region, over which headers and what
// payload. It is believed once signedBy has returned true.
type claim struct {
	accessKey string
	scope     string // date/region/service/aws4_request
	region    string
	stamp     string
	at        time.Time
	expires   time.Duration // of a presigned URL
	headers   string        // "host;x-amz-date"
	signature []byte
	payload   string // the payload's hash, or in what other way it is covered
	presigned bool
}

const useV4 = "sign with AWS Signature Version 4: signature_version = s3v4 in the client's s3 settings"

// readClaim finds the claim of a request.
func readClaim(r *http.Request, t target) (claim, *fault) {
	header := r.Header.Get("Authorization")
	switch {
	case t.has("AWSAccessKeyId") || strings.HasPrefix(header, "AWS "):
		return claim{}, badRequest("InvalidRequest", "this is Signature Version 2, which is not accepted: "+useV4)
	case t.has("X-Amz-Algorithm") && header != "":
		return claim{}, badRequest("InvalidArgument", "only one of the Authorization header and X-Amz-Algorithm is allowed")
	case t.has("X-Amz-Algorithm"):
		return presignedClaim(r, t)
	case header == "":
		return claim{}, denied("AccessDenied", "the request is not signed")
	}
	return headerClaim(r, header)
}

func headerClaim(r *http.Request, header string) (claim, *fault) {
	malformed := func(what string) (claim, *fault) {
		return claim{}, badRequest("AuthorizationHeaderMalformed", "the authorization header is malformed: "+what)
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return claim{}, badRequest("InvalidRequest", "the authorization is not understood: "+useV4)
	}
	c := claim{stamp: r.Header.Get("X-Amz-Date"), payload: r.Header.Get("X-Amz-Content-Sha256")}
	var credential, signature string
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			c.headers = value
		case "Signature":
			signature = value
		default:
			return malformed("it has an unknown part")
		}
	}
	if c.payload == "" {
		return claim{}, badRequest("InvalidRequest", "missing required header for this request: x-amz-content-sha256")
	}
	if what := c.fill(credential, signature); what != "" {
		return malformed(what)
	}
	if !listed(c.headers, "x-amz-date") {
		return malformed("x-amz-date is not signed")
	}
	return c, nil
}

func presignedClaim(r *http.Request, t target) (claim, *fault) {
	malformed := func(what string) (claim, *fault) {
		return claim{}, badRequest("AuthorizationQueryParametersError", "the presigned URL is malformed: "+what)
	}
	get := func(name string) string { v, _ := t.get("X-Amz-" + name); return v }
	if get("Algorithm") != algorithm {
		return malformed("its algorithm is not " + algorithm)
	}
	c := claim{presigned: true, stamp: get("Date"), headers: get("SignedHeaders"), payload: unsigned}
	seconds, err := strconv.ParseUint(get("Expires"), 10, 31)
	c.expires = time.Duration(seconds) * time.Second
	if err != nil || c.expires > maxExpires {
		return malformed("X-Amz-Expires is not a number of seconds up to a week")
	}
	if what := c.fill(get("Credential"), get("Signature")); what != "" {
		return malformed(what)
	}
	// The payload's hash may be signed in the query or as a header (which must be
	// signed, as every x-amz-*); without it S3 takes the payload as unsigned.
	if v := get("Content-Sha256"); v != "" {
		c.payload = v
	} else if v := r.Header.Get("X-Amz-Content-Sha256"); v != "" {
		c.payload = v
	}
	return c, nil
}

// fill takes the parts that both forms have; it returns what is wrong.
func (c *claim) fill(credential, signature string) string {
	accessKey, scope, _ := strings.Cut(credential, "/")
	part := strings.Split(scope, "/")
	if accessKey == "" || len(part) != 4 || part[2] != "s3" || part[3] != terminal {
		return "the credential is not KEY/DATE/REGION/s3/" + terminal
	}
	c.accessKey, c.scope, c.region = accessKey, scope, part[1]
	var err error
	if c.at, err = time.Parse(stampForm, c.stamp); err != nil {
		return "there is no X-Amz-Date of the form " + stampForm
	}
	if part[0] != c.stamp[:8] {
		return "the credential's date is not that of X-Amz-Date"
	}
	if c.signature, err = hex.DecodeString(signature); err != nil || len(c.signature) != sha256.Size {
		return "there is no signature of 64 hexadecimal digits"
	}
	if !listed(c.headers, "host") {
		return "the host is not signed"
	}
	return ""
}

// timely checks the claim's own time. Of a presigned URL the start may not lie
// further ahead than clocks may differ.
func (c *claim) timely(now time.Time) *fault {
	age := now.Sub(c.at)
	switch {
	case c.presigned && age > c.expires:
		return denied("AccessDenied", "the presigned URL has expired")
	case age < -maxSkew, !c.presigned && age > maxSkew:
		return denied("RequestTimeTooSkewed", "the request's time and this machine's differ too much")
	}
	return nil
}

// derive makes the signing key, by which the chunks of a streamed payload are
// signed too.
func (c *claim) derive(secret string) []byte {
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(c.scope, "/") {
		key = mac(key, part)
	}
	return key
}

// signedBy checks the signature under a signing key.
//
// Every client known signs the canonical form of the path; one that escapes
// otherwise may have signed what it sent.
func (c *claim) signedBy(key []byte, r *http.Request, t target) bool {
	canonical := escape(t.path, true)
	return c.matches(key, r, t, canonical) || canonical != t.raw && c.matches(key, r, t, t.raw)
}

func (c *claim) matches(key []byte, r *http.Request, t target, path string) bool {
	b, ok := c.canonical(make([]byte, 0, 2048), r, t, path)
	if !ok {
		return false
	}
	sum := sha256.Sum256(b)
	b = append(b[:0], algorithm+"\n"...)
	b = append(append(append(append(b, c.stamp...), '\n'), c.scope...), '\n')
	b = hex.AppendEncode(b, sum[:])
	return hmac.Equal(mac(key, string(b)), c.signature)
}

// canonical appends the canonical request; false if a signed header is missing.
func (c *claim) canonical(b []byte, r *http.Request, t target, path string) ([]byte, bool) {
	b = append(append(append(append(b, r.Method...), '\n'), path...), '\n')
	b = t.appendQuery(b, func(name string) bool { return name == "X-Amz-Signature" })
	b = append(b, '\n')
	for name := range strings.SplitSeq(c.headers, ";") {
		b = append(append(b, name...), ':')
		if name == "host" {
			b = append(append(b, r.Host...), '\n')
			continue
		}
		values := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
		if len(values) == 0 {
			return b, false
		}
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCollapsed(b, v)
		}
		b = append(b, '\n')
	}
	b = append(append(append(b, '\n'), c.headers...), '\n')
	return append(b, c.payload...), true
}

// appendCollapsed appends a header's value without the spaces around it and
// with one for several inside.
func appendCollapsed(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	for i := range len(v) {
		if v[i] != ' ' || v[i-1] != ' ' {
			b = append(b, v[i])
		}
	}
	return b
}

// unsignedHeader reports whether a header x-amz-* came that the signature does
// not cover. Ours would bless it.
func (c *claim) unsignedHeader(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") && !listed(c.headers, name) {
			return true
		}
	}
	return false
}

// listed reports whether a list of signed headers names one, of whatever case.
func listed(headers, name string) bool {
	for h := range strings.SplitSeq(headers, ";") {
		if len(h) == len(name) && strings.EqualFold(h, name) {
			return true
		}
	}
	return false
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(s))
	return h.Sum(nil)
}
