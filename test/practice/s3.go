package practice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file routes S3's requests. Each is checked in the order of Swift's s3api:
// who signed and when, the bucket's name, the headers, the signature, the body,
// and then what it asks for.

// s3Call is one request; do, and what it calls, run under Cloud.mu.
type s3Call struct {
	*http.Request
	cloud       *Cloud
	region      string // of this server
	trans       string // the request's id
	params      map[string]string
	bucket, key string
	now         time.Time
	sign        signature
	user        *user
	project     *project
	data        []byte
}

// isS3 reports whether a request is S3's: signed, by header or query.
func isS3(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), algorithm+" ") ||
		strings.Contains(r.URL.RawQuery, "X-Amz-Credential")
}

// operation names a request as S3's documentation does.
func operation(r *http.Request) string {
	bucket, key := s3Path(r)
	q := r.URL.Query()
	has := func(name string) bool { return q.Has(name) }
	switch {
	case bucket == "":
		return "ListBuckets"
	case slices.ContainsFunc(unsupported, has), has("tagging") && r.Method != http.MethodGet:
		return "Unsupported"
	case has("tagging"):
		return "GetTagging"
	case has("delete"):
		return "DeleteObjects"
	case has("location"):
		return "GetBucketLocation"
	case has("partNumber"):
		return "UploadPart"
	case has("uploadId"):
		return map[string]string{"GET": "ListParts", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[r.Method]
	case has("uploads"):
		return map[string]string{"GET": "ListMultipartUploads", "POST": "CreateMultipartUpload"}[r.Method]
	case key != "":
		return map[string]string{"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[r.Method]
	}
	return map[string]string{"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}[r.Method]
}

// unsupported are the subresources that s3api knows and does not have. Of others
// it knows nothing: it takes a DELETE of a bucket's lifecycle for the bucket's.
var unsupported = []string{"notification", "policy", "requestPayment", "torrent", "website", "cors", "restore"}

func s3Path(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// s3 serves one request.
func (c *Cloud) s3(r *http.Request, region, trans string) reply {
	k := &s3Call{Request: r, cloud: c, region: region, trans: trans, now: c.now(), params: map[string]string{}}
	for name, values := range r.URL.Query() {
		k.params[name] = values[len(values)-1]
	}
	a, e := k.run()
	if e != nil {
		return k.failed(e)
	}
	return a
}

func (k *s3Call) run() (reply, *s3Error) {
	if e := k.parseSignature(); e != nil {
		return reply{}, e
	}
	k.bucket, k.key = s3Path(k.Request)
	if k.bucket != "" && !validBucket(k.bucket) {
		return reply{}, s3Errorf(400, "InvalidBucketName", "The specified bucket is not valid.").with("BucketName", k.bucket)
	}
	if e := k.checkHeaders(); e != nil {
		return reply{}, e
	}
	if e := k.checkSignature(); e != nil {
		return reply{}, e
	}
	if e := k.readBody(); e != nil {
		return reply{}, e
	}
	k.cloud.mu.Lock()
	defer k.cloud.mu.Unlock()
	return k.do()
}

// shaMismatch is how s3api spells it.
const shaMismatch = "The X-Amz-Content-SHA56 you specified did not match what we received."

// readBody reads the body and holds it against the hash that was signed.
func (k *s3Call) readBody() *s3Error {
	var err error
	if k.data, err = io.ReadAll(io.LimitReader(k.Body, maxObject)); err != nil {
		return s3Errorf(400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.")
	}
	signed := k.Header.Get("X-Amz-Content-Sha256")
	if k.sign.byQuery || signed == unsignedPayload || k.ContentLength == 0 && k.Header.Get("Content-Length") == "" {
		return nil
	}
	sum := sha256.Sum256(k.data)
	if strings.EqualFold(signed, hex.EncodeToString(sum[:])) {
		return nil
	}
	if k.Method == http.MethodPut && k.key != "" && len(k.data) > 0 {
		return badDigest
	}
	return s3Errorf(400, "BadDigest", shaMismatch)
}

// do acts: the request is well-formed and somebody's.
func (k *s3Call) do() (reply, *s3Error) {
	switch operation(k.Request) {
	case "ListBuckets":
		if k.Method == http.MethodGet {
			return k.listBuckets()
		}
	case "DeleteObjects":
		if k.Method == http.MethodPost {
			return k.deleteObjects()
		}
	case "Unsupported":
		return reply{}, notImplemented("The requested resource is not implemented")
	case "GetTagging":
		return k.tagging()
	case "GetBucketLocation":
		return k.bucketLocation()
	case "UploadPart":
		return k.uploadPart()
	case "ListParts":
		return k.listParts()
	case "CompleteMultipartUpload":
		return k.completeUpload()
	case "AbortMultipartUpload":
		return k.abortUpload()
	case "ListMultipartUploads":
		return k.listUploads()
	case "CreateMultipartUpload":
		return k.createUpload()
	case "GetObject", "HeadObject":
		return k.getObject()
	case "PutObject":
		return k.putObject()
	case "DeleteObject":
		return k.deleteObject()
	case "ListObjects":
		return k.listObjects()
	case "HeadBucket":
		return k.headBucket()
	case "CreateBucket":
		return k.createBucket()
	case "DeleteBucket":
		return k.deleteBucket()
	}
	return reply{}, s3Errorf(501, "NotImplemented", "Not implemented.")
}

// owner is the id that s3api gives a project's owner.
func (k *s3Call) owner() string { return k.project.name + ":" + k.user.name }

// container finds the bucket of the path.
func (k *s3Call) container() (*container, *s3Error) {
	ct := k.project.containers[k.bucket]
	if ct == nil {
		return nil, noSuchBucket(k.bucket)
	}
	return ct, nil
}

// validBucket is s3api's rule with dns_compliant_bucket_names off.
func validBucket(name string) bool {
	if len(name) < 3 || len(name) > 255 || !isAlnum(name[0]) || strings.HasSuffix(name, ".") || isIPv4(name) {
		return false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) && !strings.ContainsRune("-._", rune(name[i])) {
			return false
		}
	}
	return true
}

func isAlnum(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func isIPv4(name string) bool {
	var a, b, c, d uint8
	var rest string
	n, _ := fmt.Sscanf(name+" ", "%d.%d.%d.%d%s", &a, &b, &c, &d, &rest)
	return n == 4 && fmt.Sprintf("%d.%d.%d.%d", a, b, c, d) == name
}

// awsEscape is the percent-encoding of signatures and of encoding-type=url.
func awsEscape(s string, slash bool) string {
	var b bytes.Buffer
	for i := range len(s) {
		if ch := s[i]; isAlnum(ch) || strings.IndexByte("-_.~", ch) >= 0 || ch == '/' && !slash {
			b.WriteByte(ch)
		} else {
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}

// source finds the object that X-Amz-Copy-Source names.
func (k *s3Call) source() (*blob, *s3Error) {
	from := k.Header.Get("X-Amz-Copy-Source")
	path, err := url.PathUnescape(strings.TrimPrefix(strings.Split(from, "?")[0], "/"))
	bucket, key, ok := strings.Cut(path, "/")
	if err != nil || !ok || key == "" {
		return nil, invalidArgument("x-amz-copy-source", from,
			"Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	ct := k.project.containers[bucket]
	if ct == nil {
		return nil, noSuchBucket(bucket)
	}
	b := ct.objects[key]
	if b == nil {
		return nil, noSuchKey(key)
	}
	if match := k.Header.Get("X-Amz-Copy-Source-If-Match"); match != "" && !matchesETag(match, b.etag) {
		return nil, preconditionFailed
	}
	return b, nil
}
