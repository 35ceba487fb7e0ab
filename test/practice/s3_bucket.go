package practice

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// This file is S3's service and buckets.

// s3Time is how S3's documents write times; like Swift's, rounded up.
func s3Time(t time.Time) string { return ceil(t).UTC().Format("2006-01-02T15:04:05.000Z") }

func (k *s3Call) ownerNode() *node {
	return tree("Owner", leaf("ID", k.owner()), leaf("DisplayName", k.owner()))
}

func (k *s3Call) listBuckets() (reply, *s3Error) {
	buckets := tree("Buckets")
	for _, name := range slices.Sorted(maps.Keys(k.project.containers)) {
		if validBucket(name) {
			// s3api knows no creation time and says this one.
			buckets.add(tree("Bucket", leaf("Name", name), leaf("CreationDate", "2009-02-03T16:45:09.000Z")))
		}
	}
	return xmlReply(tree("ListAllMyBucketsResult", k.ownerNode(), buckets))
}

func (k *s3Call) createBucket() (reply, *s3Error) {
	if len(k.data) > 0 {
		var asked struct {
			XMLName  xml.Name `xml:"CreateBucketConfiguration"`
			Location *string  `xml:"LocationConstraint"`
		}
		if xml.Unmarshal(k.data, &asked) != nil || asked.Location == nil {
			return reply{}, malformedXML
		}
		if *asked.Location != k.region {
			return reply{}, s3Errorf(400, "InvalidLocationConstraint", "The specified location constraint is not valid.")
		}
	}
	if k.project.containers[k.bucket] != nil {
		return reply{}, s3Errorf(409, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and you already own it.").with("BucketName", k.bucket)
	}
	k.project.create(k.bucket, k.now)
	return reply{status: http.StatusOK, header: http.Header{"Location": {"/" + k.bucket}, "Content-Type": {"text/html; charset=UTF-8"}}}, nil
}

func (k *s3Call) headBucket() (reply, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json; charset=utf-8"},
		"Last-Modified": {lastModified(ct.created)}}}, nil
}

func (k *s3Call) deleteBucket() (reply, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	if len(ct.objects) > 0 {
		return reply{}, s3Errorf(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(k.project.containers, k.bucket)
	return reply{status: http.StatusNoContent, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}}, nil
}

func (k *s3Call) bucketLocation() (reply, *s3Error) {
	if _, e := k.container(); e != nil {
		return reply{}, e
	}
	where := k.region
	if where == RegionUS {
		where = ""
	}
	return xmlReply(leaf("LocationConstraint", where))
}

// tagging is that of what has none.
func (k *s3Call) tagging() (reply, *s3Error) {
	if _, e := k.container(); e != nil {
		return reply{}, e
	}
	a, e := xmlReply(tree("Tagging", leaf("TagSet", "")))
	a.header = http.Header{"Content-Type": nil}
	return a, e
}

// number reads a parameter that must be an integer of S3's kind.
func (k *s3Call) number(name string, fallback, limit int) (int, *s3Error) {
	given, ok := k.params[name]
	if !ok {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	switch {
	case err != nil || n > 1<<31-1:
		return 0, invalidArgument(name, given, fmt.Sprintf("Provided %s not an integer or within integer range", name))
	case n < 0:
		return 0, invalidArgument(name, given, fmt.Sprintf("Argument %s must be an integer between 0 and %d", name, 1<<31-1))
	}
	return min(n, limit), nil
}

// listObjects is both versions of the listing.
func (k *s3Call) listObjects() (reply, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	maxKeys, e := k.number("max-keys", 1000, 1<<31-1)
	if e != nil {
		return reply{}, e
	}
	if enc, ok := k.params["encoding-type"]; ok && enc != "url" {
		return reply{}, invalidArgument("encoding-type", enc, "Invalid Encoding Method specified in Request")
	}
	limit, second := min(maxKeys, 1000), k.params["list-type"] == "2"
	q := query{prefix: k.params["prefix"], delimiter: k.params["delimiter"], marker: k.params["marker"], limit: limit + 1}
	if second {
		q.marker = k.params["start-after"]
		if given, ok := k.params["continuation-token"]; ok {
			decoded, err := base64.StdEncoding.DecodeString(given)
			if err != nil {
				return reply{}, s3Errorf(500, "InternalError", "We encountered an internal error. Please try again.")
			}
			q.marker = string(decoded)
		}
	}
	entries := list(slices.Collect(maps.Keys(ct.objects)), q)
	truncated := limit > 0 && len(entries) > limit
	entries = entries[:min(len(entries), limit)]
	root := k.listingHead(entries, maxKeys, truncated, second)
	for _, entry := range entries {
		if entry.prefix {
			root.add(tree("CommonPrefixes", leaf("Prefix", k.encode(entry.name))))
			continue
		}
		b := ct.objects[entry.name]
		contents := tree("Contents", leaf("Key", k.encode(entry.name)), leaf("LastModified", s3Time(b.modified)),
			leaf("ETag", `"`+b.etag+`"`), leaf("Size", fmt.Sprint(len(b.data))))
		if !second || k.params["fetch-owner"] == "true" {
			contents.add(k.ownerNode())
		}
		contents.add(leaf("StorageClass", "STANDARD"))
		root.add(contents)
	}
	return xmlReply(root)
}

// encode escapes a name where the client asked for it.
func (k *s3Call) encode(name string) string {
	if k.params["encoding-type"] == "url" {
		return awsEscape(name, false)
	}
	return name
}

// listingHead is what stands before the entries; the two versions differ in
// how they say where to go on.
func (k *s3Call) listingHead(entries []entry, maxKeys int, truncated, second bool) *node {
	root := tree("ListBucketResult", leaf("Name", k.bucket), leaf("Prefix", k.encode(k.params["prefix"])))
	delimiter, delimited := k.params["delimiter"]
	if second {
		if truncated {
			root.add(leaf("NextContinuationToken", base64.StdEncoding.EncodeToString([]byte(entries[len(entries)-1].name))))
		}
		if given, ok := k.params["continuation-token"]; ok {
			root.add(leaf("ContinuationToken", given))
		}
		if after, ok := k.params["start-after"]; ok {
			root.add(leaf("StartAfter", k.encode(after)))
		}
		root.add(leaf("KeyCount", fmt.Sprint(len(entries))))
	} else {
		root.add(leaf("Marker", k.encode(k.params["marker"])))
		if truncated && delimited {
			root.add(leaf("NextMarker", k.encode(entries[len(entries)-1].name)))
		}
	}
	root.add(leaf("MaxKeys", fmt.Sprint(maxKeys)))
	if delimiter != "" {
		root.add(leaf("Delimiter", k.encode(delimiter)))
	}
	if enc := k.params["encoding-type"]; enc != "" {
		root.add(leaf("EncodingType", enc))
	}
	root.add(leaf("IsTruncated", strconv.FormatBool(truncated)))
	return root
}

// deleteObjects demands Content-MD5, as s3api does, whatever checksum of
// another kind the client sent.
func (k *s3Call) deleteObjects() (reply, *s3Error) {
	if len(k.data) == 0 {
		return reply{}, s3Errorf(400, "MissingRequestBodyError", "Request body is empty.")
	}
	given := k.Header.Get("Content-Md5")
	if given == "" {
		return reply{}, s3Errorf(400, "InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	if sum := md5.Sum(k.data); base64.StdEncoding.EncodeToString(sum[:]) != given {
		return reply{}, s3Errorf(400, "BadDigest", "%s", badDigest.message).with("ContentMd5", given)
	}
	var asked struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   string
		Object  []struct{ Key string }
	}
	if xml.Unmarshal(k.data, &asked) != nil || len(asked.Object) == 0 || len(asked.Object) > 1000 {
		return reply{}, malformedXML
	}
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	root := tree("DeleteResult")
	for _, object := range asked.Object {
		if object.Key == "" {
			return reply{}, s3Errorf(400, "UserKeyMustBeSpecified", "The bucket POST must contain the specified field name. "+
				"If it is specified, please check the order of the fields.")
		}
		delete(ct.objects, object.Key)
		if asked.Quiet != "true" {
			root.add(tree("Deleted", leaf("Key", object.Key)))
		}
	}
	a, _ := xmlReply(root)
	a.header.Set("Content-Type", "text/html; charset=UTF-8")
	return a, nil
}
