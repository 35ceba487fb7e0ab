package practice

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// This file is what both APIs of the storage servers share: containers in
// memory, and the listing of names.

// container is a Swift container, a bucket in S3's words.
type container struct {
	name    string
	created time.Time
	header  http.Header // X-Container-Meta-…
	objects map[string]*blob
	uploads map[string]*upload // S3's multipart uploads, by id
}

// blob is an object's state; a change makes a new one.
type blob struct {
	data     []byte
	etag     string // unquoted; of a multipart object: the sum of the sums, and their number
	uploadID string // the multipart upload it came from

	wasCopied bool // a part by copy of an object, whose tag s3api then doesn't list
	header    http.Header
	modified  time.Time
}

// keptHeaders are what a client may set beside X-Object-Meta-….
var keptHeaders = []string{"Content-Type", "Content-Encoding", "Content-Disposition",
	"Content-Language", "Cache-Control", "Expires", "X-Robots-Tag"}

func newContainer(name string, now time.Time) *container {
	return &container{name: name, created: now, header: http.Header{}, objects: map[string]*blob{}, uploads: map[string]*upload{}}
}

func newBlob(data []byte, header http.Header, now time.Time) *blob {
	sum := md5.Sum(data)
	return &blob{data: data, etag: hex.EncodeToString(sum[:]), header: header, modified: now}
}

func (ct *container) bytes() (n int) {
	for _, b := range ct.objects {
		n += len(b.data)
	}
	return n
}

// entry is one line of a listing: a name, or a prefix that ends at a delimiter.
type entry struct {
	name   string
	prefix bool
}

// query is what a listing is asked for.
type query struct {
	prefix, delimiter, marker, end string
	limit                          int
	reverse                        bool
}

// list is Swift's listing, names in the order of their bytes.
func list(names []string, q query) []entry {
	slices.Sort(names)
	if q.reverse {
		slices.Reverse(names)
		q.marker, q.end = q.end, q.marker
	}
	var entries []entry
	for _, name := range names {
		if !strings.HasPrefix(name, q.prefix) || q.marker != "" && name <= q.marker || q.end != "" && name >= q.end {
			continue
		}
		e := entry{name: name}
		if q.delimiter != "" {
			if i := strings.Index(name[len(q.prefix):], q.delimiter); i >= 0 {
				e = entry{name: name[:len(q.prefix)+i+len(q.delimiter)], prefix: true}
			}
		}
		if e.prefix && (e.name == q.marker || len(entries) > 0 && entries[len(entries)-1] == e) {
			continue
		}
		if len(entries) == q.limit {
			break
		}
		entries = append(entries, e)
	}
	return entries
}

// byteRange reads "bytes=…" for a body of size; whole is true where there is no
// range to obey, and ok false where it can't be satisfied. Several ranges count
// as none, as HTTP allows.
func byteRange(header string, size int) (from, until int, whole, ok bool) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, isRange := strings.Cut(spec, "-")
	if !isBytes || !isRange || strings.Contains(spec, ",") {
		return 0, size, true, true
	}
	from, until = 0, size
	switch {
	case first == "" && scan(last, &from): // the last bytes
		if from == 0 {
			return 0, 0, false, false
		}
		from = max(0, size-from)
	case !scan(first, &from):
		return 0, size, true, true
	case last != "":
		if !scan(last, &until) || until < from {
			return 0, size, true, true
		}
		until = min(until+1, size)
	}
	return from, until, false, from < size
}

func scan(digits string, n *int) bool {
	_, err := fmt.Sscanf(digits, "%d", n)
	return err == nil && *n >= 0
}

// cleanETag is an entity tag without quotes.
func cleanETag(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}

// matchesETag reports whether a list of If-Match or If-None-Match names etag.
func matchesETag(header, etag string) bool {
	for _, tag := range strings.Split(header, ",") {
		if tag = cleanETag(tag); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

// lastModified is HTTP's form; Swift rounds up.
func lastModified(t time.Time) string { return ceil(t).UTC().Format(http.TimeFormat) }

func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}
