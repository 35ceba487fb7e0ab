// Package practice is a cloud to practise on: a Keystone v3, a Swift and its S3
// API in one process, on loopback only, with the identities of the real lab
// (test/lab). Tests and `make demo` use it where a real cloud would be slow, or
// could not be made to fail in the way a test needs.
//
// It claims to speak what these speak, and nothing else: the versions
// documents; tokens by password, token and application credential; projects;
// the password change with Keystone's policies; EC2 keys by OS-EC2 and
// /v3/credentials; application credentials; Swift's accounts, containers and
// objects without large objects and ACLs; S3 with Signature Version 4, without
// versions and ACLs. What it claims, package conformance holds against the real
// Keystone and Swift by one set of transcripts: the real ones are the truth.
// Known liberties: passwords are not stretched, so that a wrong one costs
// nothing; Swift believes no revoked token for the rest of its cache time; a
// schema violation is named by its first line only.
//
// A Cloud is state under one mutex (state.go), the handlers of three servers
// (identity and the files beside it, swift.go, s3.go), a layer in front of them
// that counts and breaks requests (faults.go), and what an administrator can do
// (admin.go). Time comes from Options.Now.
package practice

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// The regions of the two S3 servers. The first is the documentation's, which
// current AWS clients refuse; both serve the same accounts.
const (
	Region   = "cloud.ca"
	RegionUS = "us-east-1"
)

// Options says how a cloud begins. The zero value is a good cloud.
type Options struct {
	Now      func() time.Time // time.Now if nil
	TokenTTL time.Duration    // an hour if 0
	Region   string           // of S3URL; Region if ""
	Port     int              // of Keystone; S3URL and S3URLUS are at the next two. 0: any
	TLS      bool             // https, under an authority of its own (Cloud.CA)
	Host     string           // with TLS: the one name the certificate is for, instead of 127.0.0.1 and localhost
}

// A Cloud is a running practice cloud.
type Cloud struct {
	AuthURL string // Keystone, with /v3
	S3URL   string // Swift and S3, region Options.Region
	S3URLUS string // Swift and S3, region RegionUS
	Region  string // of S3URL
	CA      []byte // PEM of the authority, with Options.TLS
	User    User   // system-ccontini-2925 with system-ccontini and dev-ccontini

	now      func() time.Time
	tokenTTL time.Duration
	faults   *faults
	servers  []*http.Server
	done     sync.WaitGroup
	closed   chan struct{}
	close    sync.Once

	mu    sync.Mutex // guards state
	state state
}

// Start serves a new cloud until Close.
func Start(o Options) (*Cloud, error) {
	c := &Cloud{now: o.Now, tokenTTL: o.TokenTTL, Region: o.Region, faults: newFaults(), closed: make(chan struct{})}
	if c.now == nil {
		c.now = time.Now
	}
	if c.tokenTTL == 0 {
		c.tokenTTL = time.Hour
	}
	if c.Region == "" {
		c.Region = Region
	}
	scheme, config := "http", (*tls.Config)(nil)
	if o.TLS {
		var err error
		if c.CA, config, err = authority(o.Host); err != nil {
			return nil, fmt.Errorf("practice cloud: %w", err)
		}
		scheme = "https"
	}
	listeners, err := listen(o.Port)
	if err != nil {
		return nil, fmt.Errorf("practice cloud: %w", err)
	}
	url := func(i int) string { return scheme + "://" + listeners[i].Addr().String() }
	c.AuthURL, c.S3URL, c.S3URLUS = url(0)+"/v3", url(1), url(2)
	c.state = newState(c.AuthURL, c.S3URL)
	c.seed()
	for i, h := range []http.Handler{c.identity(), c.storage(c.Region), c.storage(RegionUS)} {
		c.serve(listeners[i], config, h)
	}
	return c, nil
}

// seed makes the identities of the lab.
func (c *Cloud) seed() {
	c.User = c.AddUser("system-ccontini-2925", "hunter2", "system-ccontini", "dev-ccontini")
	c.AddUser("admin", "admin-secret", "admin")
}

// listen opens three ports of loopback, first of all where asked for.
func listen(first int) ([]net.Listener, error) {
	var listeners []net.Listener
	for i := range 3 {
		port := 0
		if first != 0 {
			port = first + i
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (c *Cloud) serve(l net.Listener, config *tls.Config, h http.Handler) {
	only1 := new(http.Protocols) // Keystone and Swift speak no HTTP/2
	only1.SetHTTP1(true)
	s := &http.Server{
		Handler:           h,
		Protocols:         only1,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		// A client that refuses the certificate is a test's intention, no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	c.servers = append(c.servers, s)
	c.done.Go(func() {
		var err error
		if config != nil {
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("practice cloud: %v", err))
		}
	})
}

// Close ends the cloud, hanging requests included.
func (c *Cloud) Close() {
	c.close.Do(func() {
		close(c.closed)
		for _, s := range c.servers {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if s.Shutdown(ctx) != nil {
				s.Close()
			}
			cancel()
		}
	})
	c.done.Wait()
}

// Vars are the KEY=VALUE lines that say where the cloud is and who may use it;
// the lab's are the same (cloud.sh vars).
func (c *Cloud) Vars() string {
	return fmt.Sprintf("OS_AUTH_URL=%s\nOS_USERNAME=%s\nOS_PASSWORD=%s\n"+
		"CLOUD_S3_URL=%s\nCLOUD_S3_REGION=%s\nCLOUD_S3_URL_US=%s\nCLOUD_S3_REGION_US=%s\n",
		c.AuthURL, c.User.Name, c.User.Password, c.S3URL, c.Region, c.S3URLUS, RegionUS)
}
