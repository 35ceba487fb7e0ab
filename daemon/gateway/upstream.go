package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cloud-ca/ccad/daemon/account"
)

const (
	dialTimeout = 10 * time.Second
	// maxRoutes bounds what is kept of endpoints that no environment has any more.
	maxRoutes = 64
)

var errCA = errors.New("the certificate authority of the S3 endpoint is no PEM certificate")

// A route is the way to one S3 endpoint.
type route struct {
	base      *url.URL
	transport *http.Transport
}

// A signer signs with one key pair. The SDK's caches what it derives by access
// key and day, and would go on signing with the former secret of that access
// key: so it is a new one for every binding that differs.
type signer struct {
	binding Binding
	who     aws.Credentials
	v4      *v4.Signer
}

// upstreams keeps routes and signers.
type upstreams struct {
	proxy   *url.URL
	buffers *buffers

	mu      sync.Mutex
	routes  map[account.Endpoint]*route
	signers map[string]*signer // by environment id
}

func newUpstreams(proxy *url.URL, b *buffers) *upstreams {
	return &upstreams{proxy: proxy, buffers: b, routes: map[account.Endpoint]*route{}, signers: map[string]*signer{}}
}

// to returns the route and signer of a binding.
func (u *upstreams) to(b Binding) (*route, *signer, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.signers[b.ID]
	if s == nil || !s.serves(b) {
		s = &signer{binding: b,
			who: aws.Credentials{AccessKeyID: b.Keys.AccessKeyID, SecretAccessKey: b.Keys.Secret.Reveal()},
			v4:  v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
		u.signers[b.ID] = s
	}
	r := u.routes[b.S3.Endpoint]
	if r == nil {
		var err error
		if r, err = u.open(b.S3.Endpoint); err != nil {
			return nil, nil, err
		}
		if len(u.routes) >= maxRoutes {
			u.closeLocked()
		}
		u.routes[b.S3.Endpoint] = r
	}
	return r, s, nil
}

func (s *signer) serves(b Binding) bool {
	return s.binding.S3 == b.S3 && s.binding.Keys == b.Keys
}

// sign signs what goes out; hash covers its payload.
func (s *signer) sign(ctx context.Context, req *http.Request, hash string, at time.Time) error {
	req.Header["User-Agent"] = []string{"ccad"}
	req.Header["X-Amz-Content-Sha256"] = []string{hash}
	return s.v4.SignHTTP(ctx, s.who, req, hash, "s3", s.binding.S3.Region, at.UTC())
}

// forget drops the key of an environment that is gone.
func (u *upstreams) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.signers, id)
}

// closeLocked drops all routes; requests under way go on.
func (u *upstreams) closeLocked() {
	for endpoint, r := range u.routes {
		r.transport.CloseIdleConnections()
		delete(u.routes, endpoint)
	}
}

// open makes the route to an endpoint, checking again what was checked when a
// person entered it.
func (u *upstreams) open(e account.Endpoint) (*route, error) {
	checked, err := account.ParseEndpoint(e.URL, e.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(checked.URL)
	if err != nil {
		return nil, errors.New("the S3 endpoint is no URL")
	}
	var roots *x509.CertPool
	if e.CA != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(e.CA)) {
			return nil, errCA
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy: u.proxyFor,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return newConn(c, u.buffers), nil
		},
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		// An object stored with Content-Encoding gzip must come back as it is.
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second, // before servers close them
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols), // HTTP/1.1: transfers of several streams over one connection wait for each other
	}
	t.Protocols.SetHTTP1(true)
	return &route{base, t}, nil
}

// proxyFor sends https through a tunnel; plain http goes direct, for a proxy
// would read it.
func (u *upstreams) proxyFor(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil
	}
	return u.proxy, nil
}
