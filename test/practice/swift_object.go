package practice

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// This file is Swift's objects.

// iso is how listings write times.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// object serves /v1/AUTH_x/container/object.
func (k *swiftCall) object(containerName, name string) reply {
	ct := k.project.containers[containerName]
	if ct == nil {
		return plain(http.StatusNotFound)
	}
	b := ct.objects[name]
	if b == nil && k.Method != http.MethodPut {
		return plain(http.StatusNotFound)
	}
	switch k.Method {
	case http.MethodPut:
		return k.putObject(ct, name)
	case http.MethodPost:
		h := http.Header{"Content-Type": b.header["Content-Type"]}
		keep(h, k.Header)
		setMeta(h, k.Header, "Object")
		changed := *b
		changed.header, changed.modified = h, k.now
		ct.objects[name] = &changed
		return plain(http.StatusAccepted)
	case http.MethodDelete:
		delete(ct.objects, name)
		return plain(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		return k.getObject(b)
	}
	return notAllowed()
}

// keep copies the headers that an object may have.
func keep(to, from http.Header) {
	for _, name := range keptHeaders {
		if from.Get(name) != "" {
			to.Set(name, from.Get(name))
		}
	}
}

func (k *swiftCall) putObject(ct *container, name string) reply {
	if len(name) > 1024 {
		return reply{status: http.StatusBadRequest, header: http.Header{"Content-Type": {"text/plain"}},
			body: []byte(fmt.Sprintf("Object name length of %d longer than 1024", len(name)))}
	}
	if old := ct.objects[name]; old != nil && k.Header.Get("If-None-Match") == "*" {
		return plain(http.StatusPreconditionFailed)
	}
	h, data := http.Header{"Content-Type": {"application/octet-stream"}}, k.data
	a := plain(http.StatusCreated)
	if from := k.Header.Get("X-Copy-From"); from != "" {
		source := k.source(from)
		if source == nil {
			return plain(http.StatusNotFound)
		}
		data = source.data
		maps.Copy(h, source.header)
		a.header.Set("X-Copied-From", strings.TrimPrefix(from, "/"))
		a.header.Set("X-Copied-From-Account", "AUTH_"+k.project.id)
		a.header.Set("X-Copied-From-Last-Modified", lastModified(source.modified))
	}
	keep(h, k.Header)
	setMeta(h, k.Header, "Object")
	b := newBlob(data, h, k.now)
	if etag := cleanETag(k.Header.Get("Etag")); etag != "" && !strings.EqualFold(etag, b.etag) {
		a := plain(http.StatusUnprocessableEntity)
		a.header.Set("Last-Modified", lastModified(b.modified))
		return a
	}
	ct.objects[name] = b
	a.header.Set("Etag", b.etag)
	a.header.Set("Last-Modified", lastModified(b.modified))
	return a
}

// source finds the object that X-Copy-From names.
func (k *swiftCall) source(from string) *blob {
	path, err := url.PathUnescape(strings.TrimPrefix(from, "/"))
	containerName, name, _ := strings.Cut(path, "/")
	if ct := k.project.containers[containerName]; err == nil && ct != nil {
		return ct.objects[name]
	}
	return nil
}

func (k *swiftCall) getObject(b *blob) reply {
	h := http.Header{}
	maps.Copy(h, b.header)
	h.Set("Etag", b.etag)
	h.Set("Last-Modified", lastModified(b.modified))
	h.Set("X-Timestamp", timestamp(b.modified))
	return serveBlob(k.Request, b, h)
}

// serveBlob answers GET and HEAD with an object, conditions and ranges obeyed;
// a failed one is a status with Swift's body.
func serveBlob(r *http.Request, b *blob, h http.Header) reply {
	if match := r.Header.Get("If-Match"); match != "" && !matchesETag(match, b.etag) {
		h.Set("Content-Type", "text/html; charset=UTF-8")
		return reply{status: http.StatusPreconditionFailed, header: h}
	}
	h.Set("Accept-Ranges", "bytes")
	if match := r.Header.Get("If-None-Match"); match != "" && matchesETag(match, b.etag) {
		return reply{status: http.StatusNotModified, header: h}
	}
	from, until, whole, ok := byteRange(r.Header.Get("Range"), len(b.data))
	if r.Method == http.MethodHead { // Swift obeys no range there
		h.Set("Content-Length", fmt.Sprint(len(b.data)))
		return reply{status: http.StatusOK, header: h}
	}
	if !ok {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", len(b.data)))
		return reply{status: http.StatusRequestedRangeNotSatisfiable, header: h, body: []byte(html[416])}
	}
	if whole {
		return reply{status: http.StatusOK, header: h, body: b.data}
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, until-1, len(b.data)))
	return reply{status: http.StatusPartialContent, header: h, body: b.data[from:until]}
}
