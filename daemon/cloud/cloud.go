// Package cloud is what the far end says: Keystone (password, tokens, EC2 keys,
// application credentials) and an S3 probe. It stores nothing, decides nothing
// and tries nothing twice: one call is one request, but for those that say so.
//
//	Password ──▶ Grant ──▶ Rescope (another project)
//	                  ├──▶ Keys, CreateKey, DeleteKey ──▶ ListBuckets (the probe)
//	                  └──▶ CreateApplicationCredential ──▶ Application ──▶ Grant
//
// Where a secret goes. Everything passes one function, send (send.go). Its
// target is an account.Endpoint, never a catalog, a redirect or an answer:
// redirects are not followed, the environment's proxy variables are not read,
// and plain http is refused again here except on loopback or where a person
// allowed it. What a catalog names is reported in the Grant and never called.
//
// What an answer means. Refused, unreachable and rate-limited are different
// answers (errors.go): the first drops a value, the others wait. So a server
// that is not Keystone, a certificate of another host and an overloaded proxy
// are all ErrUnreachable, and only what Keystone or S3 itself says about a
// secret is ErrRefused. A 401 without Keystone's JSON is a gateway's, then; that
// it may hide a failed login is MayHaveJudged's to say.
//
// Connections are not kept: the calls are few, an idle one would be stale after
// a suspend, and net/http sends a request again when a kept one breaks.
package cloud

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Options of a Cloud. The zero value serves.
type Options struct {
	Proxy   *url.URL         // a proxy for https targets, through a tunnel; nil: none. Plain http goes direct: a proxy would read it
	Timeout time.Duration    // of one request with its answer; 0: 10 s
	Now     func() time.Time // nil: time.Now
}

// A Cloud asks Keystone and S3. It is safe for concurrent use.
type Cloud struct {
	proxy   *url.URL
	timeout time.Duration
	now     func() time.Time

	mu      sync.Mutex
	clients map[string]*http.Client // by Endpoint.CA: few, for a person enters each

	skew atomic.Pointer[time.Duration] // see Skew
}

// New returns a Cloud.
func New(o Options) *Cloud {
	c := &Cloud{timeout: o.Timeout, now: o.Now, proxy: o.Proxy, clients: map[string]*http.Client{}}
	if c.timeout == 0 {
		c.timeout = 10 * time.Second
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// Skew is how far the clock of who answered last is ahead of ours, to the
// second in which the answer came; not known before the first answer. S3 refuses
// signatures that are more than 15 minutes off.
func (c *Cloud) Skew() (ahead time.Duration, known bool) {
	if skew := c.skew.Load(); skew != nil {
		return *skew, true
	}
	return 0, false
}

// noteClock reads the Date header of an answer. It is cut to the second, and
// came to be while the answer was under way.
func (c *Cloud) noteClock(h http.Header, sent time.Time) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	var skew time.Duration
	switch now := c.now(); {
	case at.Add(time.Second).Before(sent):
		skew = at.Sub(sent)
	case at.After(now):
		skew = at.Sub(now)
	}
	c.skew.Store(&skew)
}

// A Grant is a token and what the cloud said with it. Without a scope the
// project and the URLs are empty.
type Grant struct {
	Token                                   account.Token
	UserID, UserName, UserDomainID          string
	ProjectID, ProjectName, ProjectDomainID string
	StorageURL                              string    // the catalog's public object-store URL; "" where it has none that may be used
	S3URL                                   string    // the same for the service type s3
	PasswordExpires                         time.Time // zero: it does not, or Keystone does not say. After a change Keystone tells the former one for a while
	Methods                                 []string  // how the token was got: password, token, application_credential
}

// EC2 is a key pair as Keystone lists it, with its secret.
type EC2 struct {
	account.KeyPair
	UserID, ProjectID string
}

// An Owner is whom S3 names as the owner of the buckets it lists.
type Owner struct{ ID, Name string }
