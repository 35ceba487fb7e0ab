package account

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// An Endpoint is where a secret may be sent, and by what proof of identity: the
// URL, the certificate authority that must vouch for it, and whether a person
// allowed plain http. A secret carries its Endpoint; the one function that
// sends it takes the target from here and never from a file, a catalog, a
// redirect or a request.
type Endpoint struct {
	URL          string // scheme://host[:port][/path], no trailing slash
	CA           string // PEM; "" means the system's authorities
	InsecureHTTP bool   // a person said --insecure-http
}

// ParseEndpoint cleans and checks a URL: https, or http on loopback or where
// insecureHTTP says so; no user, query or fragment. Errors name no more than
// the host, since a URL may hold a password.
func ParseEndpoint(raw string, insecureHTTP bool) (Endpoint, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return Endpoint{}, fmt.Errorf("not a URL with a host")
	}
	if u.User != nil {
		return Endpoint{}, fmt.Errorf("the URL of %s holds a user or password", u.Host)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return Endpoint{}, fmt.Errorf("the URL of %s has a query or fragment", u.Host)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
	case "http":
		if !insecureHTTP && !loopback(u.Hostname()) {
			return Endpoint{}, fmt.Errorf("%s is plain http (https is required, or --insecure-http)", u.Host)
		}
	default:
		return Endpoint{}, fmt.Errorf("the URL of %s is neither https nor http", u.Host)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return Endpoint{URL: u.String(), InsecureHTTP: insecureHTTP && u.Scheme == "http"}, nil
}

// loopback reports whether host can only be this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Loopback reports whether e can only be on this machine.
func (e Endpoint) Loopback() bool {
	u, err := url.Parse(e.URL)
	return err == nil && loopback(u.Hostname())
}

// IsZero reports whether there is no endpoint.
func (e Endpoint) IsZero() bool { return e.URL == "" }

// Host returns host[:port] for messages.
func (e Endpoint) Host() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Hostname is Host without its port.
func (e Endpoint) Hostname() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Origin returns scheme://host:port with the port always present, the form in
// which origins are compared.
func (e Endpoint) Origin() string {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// SameOrigin reports whether a secret bound to e may go to other: scheme, host,
// port and certificate authority agree.
func (e Endpoint) SameOrigin(other Endpoint) bool {
	return e.Origin() == other.Origin() && e.Origin() != "" && e.CA == other.CA
}
