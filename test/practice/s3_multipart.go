package practice

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is S3's multipart uploads.

// minPart is min_segment_size; the last part may be smaller.
const minPart = 5242880

type upload struct {
	id, key   string
	header    http.Header
	parts     map[int]*blob
	initiated time.Time
}

// upload finds the upload of the query.
func (k *s3Call) upload() (*container, *upload, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return nil, nil, e
	}
	u := ct.uploads[k.params["uploadId"]]
	if u == nil || u.key != k.key {
		return ct, nil, s3Errorf(404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID might be "+
			"invalid, or the multipart upload might have been aborted or completed.").with("UploadId", k.params["uploadId"])
	}
	return ct, u, nil
}

func (k *s3Call) createUpload() (reply, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	if k.key == "" {
		return reply{}, s3Errorf(400, "InvalidRequest", "A key must be specified")
	}
	u := &upload{id: randomText(48), key: k.key, header: fromS3(k.Header), parts: map[int]*blob{}, initiated: k.now}
	ct.uploads[u.id] = u
	return xmlReply(tree("InitiateMultipartUploadResult", leaf("Bucket", k.bucket), leaf("Key", k.key), leaf("UploadId", u.id)))
}

func (k *s3Call) uploadPart() (reply, *s3Error) {
	if _, e := k.container(); e != nil {
		return reply{}, e
	}
	if _, ok := k.params["uploadId"]; !ok {
		return reply{}, invalidArgument("ResourceType", "partNumber", "Unexpected query string parameter")
	}
	n, err := strconv.Atoi(k.params["partNumber"])
	if err != nil || n < 1 || n > 1000 {
		return reply{}, invalidArgument("partNumber", k.params["partNumber"], "Part number must be an integer between 1 and 1000, inclusive")
	}
	_, u, e := k.upload()
	if e != nil {
		return reply{}, e
	}
	if k.Header.Get("X-Amz-Copy-Source") != "" {
		source, e := k.source()
		if e != nil {
			return reply{}, e
		}
		from, until, _, ok := byteRange(k.Header.Get("X-Amz-Copy-Source-Range"), len(source.data))
		if !ok {
			return reply{}, invalidArgument("x-amz-source-range", k.Header.Get("X-Amz-Copy-Source-Range"),
				fmt.Sprintf("Range specified is not valid for source object of size: %d", len(source.data)))
		}
		u.parts[n] = newBlob(source.data[from:until], nil, k.now)
		u.parts[n].wasCopied = k.Header.Get("X-Amz-Copy-Source-Range") == ""
		return k.copied("CopyPartResult", u.parts[n]), nil
	}
	b := newBlob(k.data, nil, k.now)
	if e := k.checkBody(b); e != nil {
		return reply{}, e
	}
	u.parts[n] = b
	return k.stored(b), nil
}

func (k *s3Call) initiator() []*node {
	return []*node{tree("Initiator", leaf("ID", k.owner()), leaf("DisplayName", k.owner())), k.ownerNode(), leaf("StorageClass", "STANDARD")}
}

func (k *s3Call) listParts() (reply, *s3Error) {
	_, u, e := k.upload()
	if e != nil {
		return reply{}, e
	}
	limit, e := k.number("max-parts", 1000, 1000)
	if e != nil {
		return reply{}, e
	}
	marker, e := k.number("part-number-marker", 0, 1<<31-1)
	if e != nil {
		return reply{}, e
	}
	var numbers []int
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n > marker {
			numbers = append(numbers, n)
		}
	}
	truncated := len(numbers) > limit
	numbers = numbers[:min(len(numbers), limit)]
	last := 0
	var parts []*node
	for _, n := range numbers {
		b := u.parts[n]
		etag := b.etag
		if b.wasCopied {
			etag = ""
		}
		parts = append(parts, tree("Part", leaf("PartNumber", fmt.Sprint(n)), leaf("LastModified", s3Time(b.modified)),
			leaf("ETag", `"`+etag+`"`), leaf("Size", fmt.Sprint(len(b.data)))))
		last = n
	}
	root := tree("ListPartsResult", leaf("Bucket", k.bucket), leaf("Key", k.encode(k.key)), leaf("UploadId", u.id))
	root.add(k.initiator()...)
	root.add(leaf("PartNumberMarker", fmt.Sprint(marker)), leaf("NextPartNumberMarker", fmt.Sprint(last)),
		leaf("MaxParts", fmt.Sprint(limit)))
	if enc := k.params["encoding-type"]; enc != "" {
		root.add(leaf("EncodingType", enc))
	}
	root.add(leaf("IsTruncated", strconv.FormatBool(truncated)))
	root.add(parts...)
	return xmlReply(root)
}

func (k *s3Call) listUploads() (reply, *s3Error) {
	ct, e := k.container()
	if e != nil {
		return reply{}, e
	}
	limit, e := k.number("max-uploads", 1000, 1000)
	if e != nil {
		return reply{}, e
	}
	uploads := slices.SortedFunc(maps.Values(ct.uploads), func(a, b *upload) int {
		return strings.Compare(a.key+"/"+a.id, b.key+"/"+b.id)
	})
	uploads = slices.DeleteFunc(uploads, func(u *upload) bool { return !strings.HasPrefix(u.key, k.params["prefix"]) })
	truncated := len(uploads) >= limit
	uploads = uploads[:min(len(uploads), limit)]
	nextKey, nextID := "", ""
	if len(uploads) > 1 {
		nextKey, nextID = uploads[len(uploads)-1].key, uploads[len(uploads)-1].id
	}
	root := tree("ListMultipartUploadsResult", leaf("Bucket", k.bucket), openLeaf("KeyMarker", ""), openLeaf("UploadIdMarker", ""),
		openLeaf("NextKeyMarker", nextKey), openLeaf("NextUploadIdMarker", nextID))
	if prefix, ok := k.params["prefix"]; ok {
		root.add(leaf("Prefix", prefix))
	}
	root.add(leaf("MaxUploads", fmt.Sprint(limit)))
	if enc := k.params["encoding-type"]; enc != "" {
		root.add(leaf("EncodingType", enc))
	}
	root.add(leaf("IsTruncated", strconv.FormatBool(truncated)))
	for _, u := range uploads {
		line := tree("Upload", leaf("Key", k.encode(u.key)), leaf("UploadId", u.id))
		line.add(k.initiator()...)
		line.add(leaf("Initiated", s3Time(u.initiated)))
		root.add(line)
	}
	return xmlReply(root)
}

func (k *s3Call) abortUpload() (reply, *s3Error) {
	ct, u, e := k.upload()
	if e != nil {
		return reply{}, e
	}
	delete(ct.uploads, u.id)
	return reply{status: http.StatusNoContent, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}}, nil
}

// partList is the body of CompleteMultipartUpload.
type partList struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
	}
}

// completeUpload joins the parts. Asked again, it says again that it is done.
func (k *s3Call) completeUpload() (reply, *s3Error) {
	ct, u, e := k.upload()
	if ct == nil {
		return reply{}, e
	}
	done := ct.objects[k.key]
	if e != nil && (done == nil || done.uploadID != k.params["uploadId"]) {
		return reply{}, e
	}
	if len(k.data) == 0 {
		return reply{}, s3Errorf(400, "InvalidRequest", "You must specify at least one part")
	}
	var asked partList
	if xml.Unmarshal(k.data, &asked) != nil || len(asked.Part) == 0 {
		return reply{}, malformedXML
	}
	if u != nil {
		if e := asked.check(u); e != nil {
			return reply{}, e
		}
		done = asked.join(u, k.now)
		ct.objects[k.key] = done
		delete(ct.uploads, u.id)
	}
	return k.completed(done)
}

// check looks at the list itself first, then at the parts.
func (l partList) check(u *upload) *s3Error {
	previous := 0
	for _, part := range l.Part {
		if part.PartNumber <= previous {
			return s3Errorf(400, "InvalidPartOrder", "The list of parts was not in ascending order."+
				"Parts list must specified in order by part number.").with("UploadId", u.id)
		}
		if previous = part.PartNumber; len(cleanETag(part.ETag)) != 32 {
			return invalidPart(u).with("PartNumber", fmt.Sprint(part.PartNumber))
		}
	}
	// What follows Swift finds when the answer has begun.
	for i, part := range l.Part {
		b, e := u.parts[part.PartNumber], (*s3Error)(nil)
		switch {
		case b == nil || b.etag != cleanETag(part.ETag):
			e = invalidPart(u)
		case i < len(l.Part)-1 && len(b.data) < minPart:
			e = s3Errorf(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
		}
		if e != nil {
			e.late = true
			return e
		}
	}
	return nil
}

// join makes the object; its tag is S3's, the sum of the sums and their number.
func (l partList) join(u *upload, now time.Time) *blob {
	var data bytes.Buffer
	sums := md5.New()
	for _, part := range l.Part {
		b := u.parts[part.PartNumber]
		sum, _ := hex.DecodeString(b.etag) // our own
		sums.Write(sum)
		data.Write(b.data)
	}
	whole := newBlob(data.Bytes(), u.header, now)
	whole.etag, whole.uploadID = fmt.Sprintf("%x-%d", sums.Sum(nil), len(l.Part)), u.id
	return whole
}

func invalidPart(u *upload) *s3Error {
	return s3Errorf(400, "InvalidPart", "One or more of the specified parts could not be found. The part might not have been uploaded, "+
		"or the specified entity tag might not have matched the part's entity tag.").with("UploadId", u.id)
}

func (k *s3Call) completed(b *blob) (reply, *s3Error) {
	scheme := "http"
	if k.TLS != nil {
		scheme = "https"
	}
	return xmlReply(tree("CompleteMultipartUploadResult", leaf("Location", scheme+"://"+k.Host+awsEscape(k.URL.Path, false)),
		leaf("Bucket", k.bucket), leaf("Key", k.key), leaf("ETag", `"`+b.etag+`"`)))
}
