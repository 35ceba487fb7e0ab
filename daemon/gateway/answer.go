package gateway

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// answered are the headers of an answer that go to the client, in the case in
// which clients want them: net/http would write "Etag". Date is ours, for SDKs
// set their clocks by it and we check them by our own.
var answered = map[string]string{
	"Accept-Ranges": "Accept-Ranges", "Cache-Control": "Cache-Control", "Content-Disposition": "Content-Disposition",
	"Content-Encoding": "Content-Encoding", "Content-Language": "Content-Language", "Content-Range": "Content-Range",
	"Content-Type": "Content-Type", "Etag": "ETag", "Expires": "Expires", "Last-Modified": "Last-Modified",
	"Retry-After": "Retry-After", "X-Trans-Id": "X-Trans-Id", "X-Openstack-Request-Id": "X-Openstack-Request-Id",
}

// answer passes on what the server said.
func (x *exchange) answer(resp *http.Response) *fault {
	if f := x.ownWords(resp); f != nil {
		return f
	}
	if resp.StatusCode >= 300 && (x.r.Header.Get("Expect") == "" || x.body.wanted()) {
		x.drain()
	}
	x.copyHeader(resp)
	if x.locates() && resp.StatusCode == http.StatusOK {
		return x.answerLocation()
	}
	if resp.ContentLength >= 0 {
		x.w.Header()["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	x.w.WriteHeader(resp.StatusCode)
	x.record.Status = resp.StatusCode
	if x.r.Method != http.MethodHead && x.copyBody(resp) != nil {
		_ = resp.Body.Close()       // unread: who hangs would be waited for
		panic(http.ErrAbortHandler) // a body cut short must look like one
	}
	_ = x.guard.client.Flush() // what is still to be done here the client need not wait for
	return nil
}

func (x *exchange) copyHeader(resp *http.Response) {
	h := x.w.Header()
	h["Content-Type"] = nil // what the server didn't say is not to be guessed
	for name, values := range resp.Header {
		as, ok := answered[name]
		switch {
		case ok:
			h[as] = values
		case name == "X-Amz-Bucket-Region":
			h[strings.ToLower(name)] = []string{x.claim.region}
		case strings.HasPrefix(name, "X-Amz-"):
			h[strings.ToLower(name)] = values
		}
	}
	if location := resp.Header.Get("Location"); strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") {
		h["Location"] = []string{location} // of a new bucket
	}
}

// copyBody copies in large pieces. An answer of unknown length is passed on as
// it comes: servers keep a client waiting with white space.
func (x *exchange) copyBody(resp *http.Response) error {
	buf := x.g.buffers.get(resp.ContentLength)
	defer x.g.buffers.put(buf)
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			x.guard.progress()
			written, err := x.w.Write((*buf)[:n])
			x.record.Out += int64(written)
			if err != nil {
				return err
			}
			if resp.ContentLength < 0 {
				if err := x.guard.client.Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
