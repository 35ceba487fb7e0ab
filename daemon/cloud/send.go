package cloud

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/cloud-ca/ccad/daemon/account"
)

// maxAnswer caps what is read of an answer: some 3,000 keys of Keystone.
const maxAnswer = 1 << 20

// A request is one HTTP request; op completes "ask HOST …".
type request struct {
	op     string
	method string
	path   string         // escaped, behind the target's own
	token  account.Secret // X-Auth-Token
	body   []byte         // JSON
	sign   func(*http.Request) error
}

// An answer is what came back, of whatever status.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // there was more than maxAnswer
}

// send is the only function that sends a secret. The target is the Endpoint
// that the secret is bound to. Its errors are *Error; an answer of any status
// is none.
func (c *Cloud) send(ctx context.Context, target account.Endpoint, r request) (answer, error) {
	var sent atomic.Bool
	fail := func(kind error, reason string, cause error) (answer, error) {
		return answer{}, &Error{Op: r.op, Host: target.Host(), Kind: kind, Sent: sent.Load(), reason: reason, cause: cause}
	}
	checked, err := account.ParseEndpoint(target.URL, target.InsecureHTTP)
	if err != nil {
		return fail(ErrInvalid, "not sent: "+err.Error(), nil)
	}
	client, err := c.client(target.CA)
	if err != nil {
		return fail(ErrInvalid, "not sent: "+err.Error(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }, // dialled, and TLS proved who it is
	})
	req, err := http.NewRequestWithContext(ctx, r.method, checked.URL+r.path, bytes.NewReader(r.body))
	if err != nil {
		return fail(ErrInvalid, "not sent: the request is malformed", nil)
	}
	if err := r.dress(req); err != nil {
		return fail(ErrInvalid, "not sent: "+err.Error(), err)
	}
	began := c.now()
	res, err := client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return fail(ErrUnreachable, silence(err, sent.Load()), err)
	}
	defer res.Body.Close()
	c.noteClock(res.Header, began)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fail(ErrUnreachable, silence(err, sent.Load()), err)
	}
	return answer{res.StatusCode, res.Header, body[:min(len(body), maxAnswer)], len(body) > maxAnswer}, nil
}

// dress sets the headers. One that can't be sent as it is (a token or access key
// of two lines) is told here, before it looks like a failing network.
func (r request) dress(req *http.Request) error {
	req.Header.Set("User-Agent", "ccad")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !r.token.Empty() {
		req.Header.Set("X-Auth-Token", r.token.Reveal())
	}
	if r.sign != nil && r.sign(req) != nil {
		return errHeader
	}
	for _, values := range req.Header {
		if strings.ContainsFunc(strings.Join(values, ""), unicode.IsControl) {
			return errHeader
		}
	}
	return nil
}

// client returns the client that trusts one authority: the PEM's, or with ""
// the system's.
func (c *Cloud) client(ca string) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, ok := c.clients[ca]; ok {
		return client, nil
	}
	var roots *x509.CertPool
	if ca != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(ca)) {
			return nil, errCA
		}
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:                  c.proxyFor,
			OnProxyConnectResponse: noTunnel,
			DialContext:            (&net.Dialer{Timeout: c.timeout}).DialContext,
			TLSHandshakeTimeout:    c.timeout,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true, // a small answer can't grow, and the cap is what it says
			MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would carry body and headers to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.clients[ca] = client
	return client, nil
}

// noTunnel tells a proxy that refuses (407 where it wants a password) from a
// network that fails.
func noTunnel(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return tunnelError(answer.StatusCode)
	}
	return nil
}

func (c *Cloud) proxyFor(req *http.Request) (*url.URL, error) {
	if req.URL.Scheme != "https" {
		return nil, nil
	}
	return c.proxy, nil
}

// common makes an error of an answer by its status alone. Where the status says
// nothing, the answer is not that of a Keystone or S3: wanted names its form.
func (c *Cloud) common(target account.Endpoint, op string, a answer, wanted string) *Error {
	e := &Error{Op: op, Host: target.Host(), Status: a.status, Sent: true, RetryAfter: c.retryAfter(a.header)}
	switch s := a.status; {
	case s >= 300 && s < 400:
		e.Kind, e.reason = ErrUnreachable, "answered with a redirect, which is not followed"
	case s == http.StatusTooManyRequests, s == http.StatusRequestEntityTooLarge:
		e.Kind, e.reason = ErrLimited, "asked too often"
	case s == http.StatusNotFound, s == http.StatusMethodNotAllowed, s == http.StatusGone, s == http.StatusNotImplemented:
		e.Kind, e.reason = ErrNotOffered, "it does not offer that"
	case s >= 500:
		e.Kind, e.reason = ErrUnreachable, "it failed"
	default:
		e.Kind, e.reason = ErrUnreachable, "answered with something else than "+wanted
	}
	return e
}

// retryAfter reads the header in both its forms; nonsense and more than a day
// count as none.
func (c *Cloud) retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(c.now())
	}
	if wait < 0 || wait > 24*time.Hour {
		return 0
	}
	return wait
}
