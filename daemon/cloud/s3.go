package cloud

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/daemon/account"
)

const listBuckets = "to list the buckets"

// emptyHash is the SHA-256 of no payload.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// ListBuckets probes a key pair with a signed request (GET /, path style) and
// returns the owner that S3 names. ErrRefused proves little: S3 says the same
// of a deleted key, one that never was, a wrong secret, and a Keystone that it
// can't reach; what is gone is proved by Keys. *RegionError says which region
// the server wants; it does so before it looks at the key.
func (c *Cloud) ListBuckets(ctx context.Context, s3 account.S3, pair account.KeyPair) (Owner, error) {
	if pair.AccessKeyID == "" || pair.Secret.Empty() || s3.Region == "" {
		return Owner{}, unsent(s3.Endpoint, listBuckets, "the key or the region is missing")
	}
	a, err := c.send(ctx, s3.Endpoint, request{op: listBuckets, method: http.MethodGet, path: "/",
		sign: func(r *http.Request) error { return c.signS3(r, s3.Region, pair) }})
	if err != nil {
		return Owner{}, err
	}
	if a.status == http.StatusOK {
		if owner, ok := ownerOf(a.body); ok {
			return owner, nil
		}
	}
	return Owner{}, c.s3Error(s3.Endpoint, a)
}

// signS3 signs with a new signer each time: one caches the derived key by
// access key and day, and would sign with the former secret of that access key.
func (c *Cloud) signS3(r *http.Request, region string, pair account.KeyPair) error {
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	who := aws.Credentials{AccessKeyID: pair.AccessKeyID, SecretAccessKey: pair.Secret.Reveal()}
	return signer.SignHTTP(r.Context(), who, r, emptyHash, "s3", region, c.now().UTC())
}

// ownerOf reads a ListAllMyBucketsResult as far as the owner, who stands before
// the buckets: there may be more of those than are read.
func ownerOf(body []byte) (Owner, bool) {
	d := xml.NewDecoder(bytes.NewReader(body))
	root := false
	for {
		token, err := d.Token()
		if err != nil {
			return Owner{}, err == io.EOF && root // whole, and names nobody
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !root:
			if root = start.Name.Local == "ListAllMyBucketsResult"; !root {
				return Owner{}, false
			}
		case start.Name.Local == "Owner":
			var doc struct{ ID, DisplayName string }
			err := d.DecodeElement(&doc, &start)
			return Owner{ID: doc.ID, Name: doc.DisplayName}, err == nil
		}
	}
}

var regionRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// s3Error makes an error of an answer that is no list of buckets.
func (c *Cloud) s3Error(target account.Endpoint, a answer) error {
	e := c.common(target, listBuckets, a, "S3's XML")
	var doc struct {
		XMLName      xml.Name `xml:"Error"`
		Code, Region string
	}
	if a.cut || xml.Unmarshal(a.body, &doc) != nil || doc.Code == "" {
		return e // a gateway's page, not S3's word
	}
	switch {
	case a.status == http.StatusBadRequest && doc.Code == "AuthorizationHeaderMalformed" && regionRule.MatchString(doc.Region):
		return &RegionError{Host: target.Host(), Want: doc.Region}
	case a.status == http.StatusForbidden && doc.Code == "RequestTimeTooSkewed":
		e.Kind, e.reason = ErrUnreachable, "its clock and this machine's differ too much"
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		e.Kind, e.reason = ErrRefused, "refused"
	case a.status == http.StatusBadRequest:
		e.Kind, e.reason = ErrInvalid, "the request was not understood"
	}
	return e
}
