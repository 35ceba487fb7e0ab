package practice

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// This file is Swift's accounts and containers, and how their listings look.

const listingLimit = 10000

// account serves /v1/AUTH_x.
func (k *swiftCall) account() reply {
	h := http.Header{}
	bytes, objects := 0, 0
	for _, ct := range k.project.containers {
		bytes, objects = bytes+ct.bytes(), objects+len(ct.objects)
	}
	maps.Copy(h, k.project.header)
	if k.project.inUse {
		h.Set("Accept-Ranges", "bytes")
	}
	h.Set("X-Account-Container-Count", fmt.Sprint(len(k.project.containers)))
	h.Set("X-Account-Object-Count", fmt.Sprint(objects))
	h.Set("X-Account-Bytes-Used", fmt.Sprint(bytes))
	h.Set("X-Timestamp", timestamp(k.now))
	switch k.Method {
	case http.MethodPost:
		setMeta(k.project.header, k.Header, "Account")
		k.project.inUse = true
		a := plain(http.StatusNoContent)
		return a
	case http.MethodHead:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Vary", "Accept")
		if !k.project.inUse { // an account that nobody has written to yet
			return reply{status: http.StatusOK, header: h}
		}
		return reply{status: http.StatusNoContent, header: h}
	case http.MethodGet:
		return k.listing(h, slices.Collect(maps.Keys(k.project.containers)), func(name string) map[string]any {
			ct := k.project.containers[name]
			return map[string]any{"name": name, "count": len(ct.objects), "bytes": ct.bytes(), "last_modified": iso(ct.created)}
		})
	}
	return notAllowed()
}

// container serves /v1/AUTH_x/container.
func (k *swiftCall) container(name string) reply {
	ct := k.project.containers[name]
	if ct == nil && k.Method != http.MethodPut {
		return plain(http.StatusNotFound)
	}
	switch k.Method {
	case http.MethodPut:
		if len(name) > 256 {
			a := plain(http.StatusBadRequest)
			a.body = []byte(fmt.Sprintf("Container name length of %d longer than 256", len(name)))
			return a
		}
		status := http.StatusAccepted
		if ct == nil {
			ct, status = k.project.create(name, k.now), http.StatusCreated
		}
		setMeta(ct.header, k.Header, "Container")
		return plain(status)
	case http.MethodPost:
		setMeta(ct.header, k.Header, "Container")
		return plain(http.StatusNoContent)
	case http.MethodDelete:
		if len(ct.objects) > 0 {
			return plain(http.StatusConflict)
		}
		delete(k.project.containers, name)
		return plain(http.StatusNoContent)
	case http.MethodHead:
		h := k.containerHeader(ct)
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Vary", "Accept")
		return reply{status: http.StatusNoContent, header: h}
	case http.MethodGet:
		return k.listing(k.containerHeader(ct), slices.Collect(maps.Keys(ct.objects)), func(name string) map[string]any {
			b := ct.objects[name]
			return map[string]any{"name": name, "bytes": len(b.data), "hash": b.etag,
				"content_type": b.header.Get("Content-Type"), "last_modified": iso(b.modified)}
		})
	}
	return notAllowed()
}

func (k *swiftCall) containerHeader(ct *container) http.Header {
	h := http.Header{}
	maps.Copy(h, ct.header)
	h.Set("X-Container-Object-Count", fmt.Sprint(len(ct.objects)))
	h.Set("X-Container-Bytes-Used", fmt.Sprint(ct.bytes()))
	h.Set("X-Timestamp", timestamp(ct.created))
	h.Set("Last-Modified", lastModified(ct.created))
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Storage-Policy", "Policy-0")
	return h
}

// listing answers with the names that the query asks for, as text or JSON.
func (k *swiftCall) listing(h http.Header, names []string, describe func(string) map[string]any) reply {
	limit, err := strconv.Atoi(k.query.Get("limit"))
	if err != nil || limit < 0 {
		limit = listingLimit
	}
	if limit > listingLimit {
		a := plain(http.StatusPreconditionFailed)
		a.body = []byte("Maximum limit is 10000")
		return a
	}
	entries := list(names, query{
		prefix: k.query.Get("prefix"), delimiter: k.query.Get("delimiter"), marker: k.query.Get("marker"),
		end: k.query.Get("end_marker"), limit: limit, reverse: k.query.Get("reverse") == "true",
	})
	format := k.query.Get("format")
	if format == "" {
		h.Set("Vary", "Accept")
	}
	if format == "json" || format == "" && strings.Contains(k.Header.Get("Accept"), "application/json") {
		lines := []any{}
		for _, e := range entries {
			if e.prefix {
				lines = append(lines, map[string]any{"subdir": e.name})
			} else {
				lines = append(lines, describe(e.name))
			}
		}
		body, err := json.Marshal(lines)
		if err != nil {
			panic(err) // strings and numbers of ours
		}
		h.Set("Content-Type", "application/json; charset=utf-8")
		return reply{status: http.StatusOK, header: h, body: body}
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if len(entries) == 0 {
		return reply{status: http.StatusNoContent, header: h}
	}
	var body strings.Builder
	for _, e := range entries {
		body.WriteString(e.name + "\n")
	}
	return reply{status: http.StatusOK, header: h, body: []byte(body.String())}
}
