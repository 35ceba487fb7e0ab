package cloud_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// every calls each method that sends a secret.
func every(t *testing.T, c *cloud.Cloud, f *far, check func(t *testing.T, err error)) {
	t.Helper()
	ctx, u := t.Context(), f.user()
	ac := account.ApplicationCredential{ID: "ac1", Name: "ac", Secret: secret}
	v2 := u
	v2.IdentityAPI = "2.0"
	calls := map[string]func() error{
		"Password":                    func() error { _, err := c.Password(ctx, u, secret, account.Environment{}); return err },
		"Password 2.0":                func() error { _, err := c.Password(ctx, v2, secret, account.Environment{}); return err },
		"Application":                 func() error { _, err := c.Application(ctx, u.Auth, ac); return err },
		"Rescope":                     func() error { _, err := c.Rescope(ctx, u, secret, account.Environment{Project: "p"}); return err },
		"TokenLives":                  func() error { _, err := c.TokenLives(ctx, u.Auth, secret); return err },
		"Keys":                        func() error { _, err := c.Keys(ctx, u, grant); return err },
		"CreateKey":                   func() error { _, err := c.CreateKey(ctx, u, grant, keys); return err },
		"DeleteKey":                   func() error { return c.DeleteKey(ctx, u, grant, keys.AccessKeyID) },
		"CreateApplicationCredential": func() error { _, err := c.CreateApplicationCredential(ctx, u, grant, ac, cloud.Limits{}); return err },
		"ApplicationCredentials":      func() error { _, err := c.ApplicationCredentials(ctx, u, grant); return err },
		"DeleteApplicationCredential": func() error { return c.DeleteApplicationCredential(ctx, u, grant, ac.ID) },
		"ChangePassword":              func() error { return c.ChangePassword(ctx, u, secret, secret, secret) },
		"ListBuckets":                 func() error { _, err := c.ListBuckets(ctx, f.s3(), keys); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { check(t, call()) })
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		second := newFar(t, reply{200, nil, "{}"})
		first := newFar(t, reply{status, map[string]string{"Location": second.URL + "/v3/auth/tokens"}, ""})
		every(t, cloud.New(cloud.Options{}), first, func(t *testing.T, err error) {
			e := checkError(t, err, cloud.ErrUnreachable, "answered with a redirect, which is not followed (3")
			if e.Status != status || cloud.MayHaveJudged(err) {
				t.Errorf("status %d, judged %v", e.Status, cloud.MayHaveJudged(err))
			}
		})
		if n := len(second.requests()); n != 0 {
			t.Errorf("%d: the second host got %d requests", status, n)
		}
	}
}

func TestPlainHTTPIsRefused(t *testing.T) {
	f := &far{Server: &httptest.Server{URL: "http://keystone.example"}}
	every(t, cloud.New(cloud.Options{}), f, func(t *testing.T, err error) {
		if e := checkError(t, err, cloud.ErrInvalid, "not sent: keystone.example is plain http"); e.Sent || cloud.MayHaveJudged(err) {
			t.Error("it was sent")
		}
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html"}
	for _, c := range []struct {
		name   string
		reply  reply
		kind   error
		text   string
		judged bool
	}{
		{"HTML, 200", reply{200, html, "<html>the server's own words"}, cloud.ErrUnreachable, "answered with something else than", true},
		{"HTML, 403", reply{403, html, "<html>the server's own words"}, cloud.ErrUnreachable, "answered with something else than", true},
		{"HTML, 404", reply{404, html, "<html>the server's own words"}, cloud.ErrNotOffered, "it does not offer that (404)", false},
		{"HTML, 405", reply{405, html, ""}, cloud.ErrNotOffered, "it does not offer that (405)", false},
		{"teapot", reply{418, html, ""}, cloud.ErrUnreachable, "answered with something else than", true},
		{"500", reply{500, html, "the server's own words"}, cloud.ErrUnreachable, "it failed (500)", true},
		{"503", reply{503, map[string]string{"Retry-After": "7"}, ""}, cloud.ErrUnreachable, "it failed (503)", true},
		{"429", reply{429, map[string]string{"Retry-After": "7"}, ""}, cloud.ErrLimited, "asked too often (429)", false},
		{"413", reply{413, map[string]string{"Retry-After": "Sun, 22 Nov 2026 21:00:07 GMT"}, ""}, cloud.ErrLimited, "asked too often (413)", false},
		{"huge", reply{500, nil, strings.Repeat("x", 3<<20)}, cloud.ErrUnreachable, "it failed (500)", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := func() time.Time { return time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC) }
			f := newFar(t, c.reply)
			every(t, cloud.New(cloud.Options{Now: now}), f, func(t *testing.T, err error) {
				e := checkError(t, err, c.kind, c.text)
				if !e.Sent || e.Status != c.reply.status || cloud.MayHaveJudged(err) != c.judged {
					t.Errorf("got sent %v, status %d, judged %v", e.Sent, e.Status, cloud.MayHaveJudged(err))
				}
				if want := c.reply.header["Retry-After"] != ""; want != (e.RetryAfter == 7*time.Second) {
					t.Errorf("RetryAfter %v", e.RetryAfter)
				}
			})
		})
	}
}

func TestGarbageWithTheRightStatus(t *testing.T) {
	whole := fixture(t, "v3_scoped.json")
	header := map[string]string{"X-Subject-Token": "t"}
	for name, r := range map[string]reply{
		"empty":             {201, header, ""},
		"HTML":              {201, header, "<html>the server's own words"},
		"truncated JSON":    {201, header, whole[:len(whole)-20]},
		"huge":              {201, header, strings.TrimSuffix(whole, "\n") + strings.Repeat(" ", 1<<20)},
		"another document":  {201, header, `{"a": 1}`},
		"a list":            {201, header, `[]`},
		"null":              {201, header, `null`},
		"no token":          {201, nil, whole},
		"not a time":        {201, header, strings.Replace(whole, "2026-11-22T22:27:55", "soon", 1)},
		"no project":        {201, header, strings.Replace(whole, `"project"`, `"p"`, 1)},
		"compressed, asked": {201, map[string]string{"X-Subject-Token": "t", "Content-Encoding": "gzip"}, "\x1f\x8b\x08"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t, r)
			_, err := cloud.New(cloud.Options{}).Password(t.Context(), f.user(), secret, account.Environment{Project: "dev-ccontini"})
			checkError(t, err, cloud.ErrUnreachable, "answered with something else than Keystone's JSON")
			if !cloud.MayHaveJudged(err) {
				t.Error("it may well have been judged")
			}
		})
	}
	for _, body := range []string{"", "{}", "[]", "x", `{"credentials": {}}`, `{"projects": null}`} {
		f := newFar(t, reply{200, nil, body})
		_, err := cloud.New(cloud.Options{}).Keys(t.Context(), f.user(), grant)
		checkError(t, err, cloud.ErrUnreachable, "something else")
		_, err = cloud.New(cloud.Options{}).TokenLives(t.Context(), f.endpoint(), secret)
		checkError(t, err, cloud.ErrUnreachable, "something else")
	}
	for _, body := range []string{"{}", `{"credential": {"access": "a"}}`, `{"credential": {"blob": "{}"}}`, `{"application_credential": {"id": "x"}}`} {
		f := newFar(t, reply{201, nil, body})
		_, err := cloud.New(cloud.Options{}).CreateKey(t.Context(), f.user(), grant, keys)
		checkError(t, err, cloud.ErrUnreachable, "something else")
		_, err = cloud.New(cloud.Options{}).CreateApplicationCredential(t.Context(), f.user(), grant, account.ApplicationCredential{Name: "n"}, cloud.Limits{})
		checkError(t, err, cloud.ErrUnreachable, "something else")
	}
}

// An endless answer is read to the cap, not until time is up.
func TestEndlessAnswer(t *testing.T) {
	block := []byte(strings.Repeat("x", 1<<16))
	f := &far{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(block)
		}
	}))}
	t.Cleanup(f.Close)
	_, err := cloud.New(cloud.Options{Timeout: time.Minute}).ListBuckets(t.Context(), f.s3(), keys)
	checkError(t, err, cloud.ErrUnreachable, "something else than S3's XML (200)")
}

func TestCertificates(t *testing.T) {
	later := time.Now().Add(time.Hour)
	good, ca := certified(t, "127.0.0.1", later, tokenReply(t))
	other, otherCA := certified(t, "other.example", later, tokenReply(t))
	old, oldCA := certified(t, "127.0.0.1", time.Now().Add(-time.Hour), tokenReply(t))
	c := cloud.New(cloud.Options{})
	ask := func(f *far, ca string) error {
		u := f.user()
		u.Auth.CA = ca
		_, err := c.Password(t.Context(), u, secret, account.Environment{Project: "dev-ccontini"})
		return err
	}
	if err := ask(good, ca); err != nil {
		t.Fatalf("the given authority does not vouch: %v", err)
	}
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		tlsError  *tls.CertificateVerificationError
	)
	for _, b := range []struct {
		name string
		f    *far
		ca   string
		text string
		as   any
	}{
		{"another host's", other, otherCA, "its certificate is for another host", &host},
		{"another authority's", good, otherCA, "its certificate is of an authority that is not trusted here", &authority},
		{"the system does not know it", good, "", "its certificate is of an authority that is not trusted here", &authority},
		{"expired", old, oldCA, "its certificate has expired", &invalid},
	} {
		t.Run(b.name, func(t *testing.T) {
			err := ask(b.f, b.ca)
			if e := checkError(t, err, cloud.ErrUnreachable, b.text); e.Sent || cloud.MayHaveJudged(err) {
				t.Error("it was sent")
			}
			if !errors.As(err, b.as) || !errors.As(err, &tlsError) {
				t.Errorf("%v hides its cause", err)
			}
		})
	}
	if n := len(good.requests()) + len(other.requests()) + len(old.requests()); n != 1 {
		t.Errorf("%d requests arrived; want the one that was vouched for", n)
	}
	checkError(t, ask(good, "no PEM"), cloud.ErrInvalid, "not sent: the certificate authority is no PEM certificate")
}

// A server that speaks no TLS, one that hangs, one that hangs up, none at all.
func TestSilence(t *testing.T) {
	listen := func(serve func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				serve(conn)
			}
		}()
		t.Cleanup(func() { l.Close(); <-done })
		return l.Addr().String()
	}
	drain := func(conn net.Conn, answer string) {
		buf := make([]byte, 1024)
		_, _ = conn.Read(buf)
		_, _ = io.WriteString(conn, answer)
		if answer == "" || strings.HasSuffix(answer, "…") {
			_, _ = io.Copy(io.Discard, conn) // hangs until the client goes away
		}
		conn.Close()
	}
	for _, c := range []struct {
		name, url, text string
		sent            bool
	}{
		{"hangs", "http://" + listen(func(c net.Conn) { drain(c, "") }), "no answer in time", true},
		{"hangs in TLS", "https://" + listen(func(c net.Conn) { drain(c, "") }), "no answer in time", false},
		{"hangs in the body", "http://" + listen(func(c net.Conn) { drain(c, "HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{…") }), "no answer in time", true},
		{"cuts the body", "http://" + listen(func(c net.Conn) { drain(c, "HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{") }), "it gave no whole answer", true},
		{"hangs up", "http://" + listen(func(c net.Conn) { c.Close() }), "it gave no whole answer", true},
		{"no HTTP", "http://" + listen(func(c net.Conn) { drain(c, "SSH-2.0 must-not-show\r\n") }), "it gave no whole answer", true},
		{"no TLS", "https://" + listen(func(c net.Conn) { drain(c, "HTTP/1.1 400 must-not-show\r\n\r\n") }), "it does not speak TLS", false},
		{"endless header", "http://" + listen(func(c net.Conn) { drain(c, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 1<<17)+"\r\n\r\n") }), "it gave no whole answer", true},
		{"no host", "https://" + strings.Repeat("a", 64) + ".invalid", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, o := &far{Server: &httptest.Server{URL: c.url}}, cloud.Options{}
			if c.text == "no answer in time" {
				o.Timeout = time.Second
			}
			_, err := cloud.New(o).Password(t.Context(), f.user(), secret, account.Environment{})
			if e := checkError(t, err, cloud.ErrUnreachable, c.text); e.Sent != c.sent || cloud.MayHaveJudged(err) != c.sent {
				t.Errorf("sent %v; want %v (%v)", e.Sent, c.sent, err)
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f := &far{Server: &httptest.Server{URL: "http://" + l.Addr().String()}}
	_, err = cloud.New(cloud.Options{}).Password(t.Context(), f.user(), secret, account.Environment{})
	checkError(t, err, cloud.ErrUnreachable, "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = cloud.New(cloud.Options{}).Password(ctx, f.user(), secret, account.Environment{})
	if checkError(t, err, cloud.ErrUnreachable, "given up"); !errors.Is(err, context.Canceled) || cloud.MayHaveJudged(err) {
		t.Errorf("%v is not the caller's own", err)
	}
}

func TestProxy(t *testing.T) {
	target, ca := certified(t, "127.0.0.1", time.Now().Add(time.Hour), tokenReply(t))
	var tunnels []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnels = append(tunnels, r.Method+" "+r.Host)
		up, err := net.Dial("tcp", r.Host)
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		down, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(up, buffered); up.Close() }()
		_, _ = io.Copy(down, up)
		down.Close()
	}))
	t.Cleanup(proxy.Close)
	u := target.user()
	u.Auth.CA = ca
	scope := account.Environment{Project: "dev-ccontini"}

	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if _, err := cloud.New(cloud.Options{}).Password(t.Context(), u, secret, scope); err != nil || len(tunnels) != 0 {
		t.Fatalf("the environment's proxy matters: %v, %v", err, tunnels)
	}
	c := cloud.New(cloud.Options{Proxy: must[*url.URL](t)(url.Parse(proxy.URL))})
	if _, err := c.Password(t.Context(), u, secret, scope); err != nil || len(tunnels) != 1 {
		t.Fatalf("the configured proxy is not used: %v, %v", err, tunnels)
	}
	plain := newFar(t, tokenReply(t))
	if _, err := c.Password(t.Context(), plain.user(), secret, scope); err != nil || len(tunnels) != 1 {
		t.Fatalf("plain http went through the proxy: %v, %v", err, tunnels)
	}
	nobody := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	_, err := cloud.New(cloud.Options{Proxy: nobody}).Password(t.Context(), u, secret, scope)
	checkError(t, err, cloud.ErrUnreachable, "the proxy gave no connection")
	unwilling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(unwilling.Close)
	_, err = cloud.New(cloud.Options{Proxy: must[*url.URL](t)(url.Parse(unwilling.URL))}).Password(t.Context(), u, secret, scope)
	checkError(t, err, cloud.ErrUnreachable, "the proxy refuses (407)")
}
