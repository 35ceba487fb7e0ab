package cloud_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

const (
	xmlHead = "<?xml version='1.0' encoding='UTF-8'?>\n"
	buckets = xmlHead + `<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>dev:me</ID><DisplayName>Me</DisplayName></Owner><Buckets>`
	bucket  = `<Bucket><Name>photos</Name><CreationDate>2009-02-03T16:45:09.000Z</CreationDate></Bucket>`
)

func s3Said(status int, code, more string) reply {
	return reply{status, nil, xmlHead + "<Error><Code>" + code + "</Code><Message>the server's own words must-not-show</Message>" + more + "</Error>"}
}

func TestListBuckets(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want cloud.Owner
		ok   bool
	}{
		"empty":              {buckets + `</Buckets></ListAllMyBucketsResult>`, cloud.Owner{ID: "dev:me", Name: "Me"}, true},
		"some":               {buckets + bucket + `</Buckets></ListAllMyBucketsResult>`, cloud.Owner{ID: "dev:me", Name: "Me"}, true},
		"more than are read": {buckets + strings.Repeat(bucket, 20_000), cloud.Owner{ID: "dev:me", Name: "Me"}, true},
		"nobody's":           {`<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>`, cloud.Owner{}, true},
		"truncated":          {buckets[:len(buckets)-40], cloud.Owner{}, false},
		"no owner, cut off":  {`<ListAllMyBucketsResult><Buckets>`, cloud.Owner{}, false},
		"another document":   {`<html><Owner><ID>x</ID></Owner></html>`, cloud.Owner{}, false},
		"JSON":               {`{}`, cloud.Owner{}, false},
		"nothing":            {``, cloud.Owner{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t, reply{200, nil, c.body})
			got, err := cloud.New(cloud.Options{}).ListBuckets(t.Context(), f.s3(), keys)
			if c.ok && err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
			if !c.ok {
				checkError(t, err, cloud.ErrUnreachable, "to list the buckets: answered with something else than S3's XML (200)")
			}
		})
	}
}

func TestS3Errors(t *testing.T) {
	for _, c := range []struct {
		reply reply
		kind  error
		text  string
	}{
		{s3Said(403, "SignatureDoesNotMatch", ""), cloud.ErrRefused, "to list the buckets: refused (403)"},
		{s3Said(403, "InvalidAccessKeyId", ""), cloud.ErrRefused, "refused (403)"},
		{s3Said(403, "RequestTimeTooSkewed", ""), cloud.ErrUnreachable, "its clock and this machine's differ too much (403)"},
		{s3Said(400, "InvalidRequest", ""), cloud.ErrInvalid, "the request was not understood (400)"},
		{s3Said(400, "AuthorizationHeaderMalformed", ""), cloud.ErrInvalid, "the request was not understood (400)"},
		{s3Said(400, "AuthorizationHeaderMalformed", "<Region>a must-not-show&#10;</Region>"), cloud.ErrInvalid, "the request was not understood (400)"},
		{s3Said(503, "SlowDown", ""), cloud.ErrUnreachable, "it failed (503)"},
		{s3Said(501, "NotImplemented", ""), cloud.ErrNotOffered, "it does not offer that (501)"},
		{reply{403, nil, "<html>the server's own words</html>"}, cloud.ErrUnreachable, "something else than S3's XML (403)"},
		{reply{400, nil, buckets}, cloud.ErrUnreachable, "something else than S3's XML (400)"},
	} {
		f := newFar(t, c.reply)
		_, err := cloud.New(cloud.Options{}).ListBuckets(t.Context(), f.s3(), keys)
		checkError(t, err, c.kind, c.text)
	}
	f := newFar(t, s3Said(400, "AuthorizationHeaderMalformed", "<Region>us-east-1</Region>"))
	_, err := cloud.New(cloud.Options{}).ListBuckets(t.Context(), f.s3(), keys)
	var region *cloud.RegionError
	if !errors.As(err, &region) || region.Want != "us-east-1" || !errors.Is(err, cloud.ErrInvalid) || errors.Is(err, cloud.ErrRefused) || cloud.MayHaveJudged(err) {
		t.Errorf("got %v", err)
	}
	if !strings.HasSuffix(err.Error(), `to list the buckets: it wants them signed for region "us-east-1"`) {
		t.Error(err)
	}
}

// The signature is of the pair given now, whatever was signed before with that
// access key, and of the path and the region given.
func TestSignature(t *testing.T) {
	f := newFar(t, reply{200, nil, buckets})
	now := func() time.Time { return time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC) }
	c := cloud.New(cloud.Options{Now: now})
	sign := func(path, region, secret string) string {
		s3 := account.S3{Endpoint: account.Endpoint{URL: f.URL + path}, Region: region}
		if _, err := c.ListBuckets(t.Context(), s3, account.KeyPair{AccessKeyID: "AK", Secret: account.NewSecret(secret)}); err != nil {
			t.Fatal(err)
		}
		seen := f.requests()
		last := seen[len(seen)-1]
		if last.method != "GET" || last.path != path+"/" || last.header.Get("X-Amz-Date") != "20261122T210000Z" ||
			last.header.Get("X-Amz-Content-Sha256") != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
			t.Errorf("got %s %s %v", last.method, last.path, last.header)
		}
		auth := last.header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AK/20261122/"+region+"/s3/aws4_request, SignedHeaders=host;") {
			t.Errorf("got %s", auth)
		}
		return auth
	}
	first := sign("", "cloud.ca", "one")
	if first != sign("", "cloud.ca", "one") {
		t.Error("the same request is signed differently")
	}
	if first == sign("", "cloud.ca", "two") {
		t.Error("a former secret of the access key signs")
	}
	if first == sign("", "us-east-1", "one") || first == sign("/s3/api", "cloud.ca", "one") {
		t.Error("region or path is not signed")
	}
}
