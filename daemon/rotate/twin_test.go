package rotate

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

// inAnotherDomain is the world's Keystone with its only domain under another id
// and name.
func (w *world) inAnotherDomain() string {
	w.Helper()
	return w.renaming([]string{`"d0ma1n"`, `"default"`, `"Our Domain"`, `"Default"`}, []string{`"default"`, `"d0ma1n"`, `"Default"`, `"Our Domain"`})
}

// renaming is the world's Keystone, with words replaced in requests and answers.
func (w *world) renaming(asked, answered []string) string {
	w.Helper()
	target, err := url.Parse(w.cloud.AuthURL)
	if err != nil {
		w.Fatal(err)
	}
	target.Path = ""
	proxy := &httputil.ReverseProxy{}
	rename := func(body io.ReadCloser, pairs ...string) (io.ReadCloser, int) {
		data, err := io.ReadAll(body)
		if err != nil {
			w.Error(err)
		}
		for i := 0; i < len(pairs); i += 2 {
			data = bytes.ReplaceAll(data, []byte(pairs[i]), []byte(pairs[i+1]))
		}
		return io.NopCloser(bytes.NewReader(data)), len(data)
	}
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		var n int
		if r.Out.Body != nil {
			r.Out.Body, n = rename(r.Out.Body, asked...)
			r.Out.ContentLength = int64(n)
		}
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		var n int
		r.Body, n = rename(r.Body, answered...)
		r.ContentLength = int64(n)
		r.Header.Set("Content-Length", strconv.Itoa(n))
		return nil
	}
	server := httptest.NewServer(proxy)
	w.Cleanup(server.Close)
	return server.URL + "/v3"
}

// One user and project, the domain given once by its id and once by its name: only
// the cloud can say that they are one, and what is in ccad then is one.
func TestOneUserByTwoSpellingsOfHisDomain(t *testing.T) {
	w := newWorld(t)
	auth, err := account.ParseEndpoint(w.inAnotherDomain(), false)
	if err != nil {
		t.Fatal(err)
	}
	offered := func(name, password string, byID bool) Offer {
		o := w.offer(name)
		o.User.Auth, o.Password = auth, secretOf(password)
		o.User.DomainID, o.User.DomainName = "", "Our Domain"
		if byID {
			o.User.DomainID, o.User.DomainName = "d0ma1n", ""
		}
		o.Environment.ProjectDomainID, o.Environment.ProjectDomainName = o.User.DomainID, o.User.DomainName
		return o
	}
	if _, err := w.Adopt(t.Context(), offered("dev", "hunter2", true)); err != nil {
		t.Fatal(err)
	}
	again := offered("dev", "hunter2", false)
	again.Name, again.Named = "a-guess", false
	out, err := w.Adopt(t.Context(), again)
	if err != nil || out.Added || out.Environment != "dev" {
		t.Errorf("the same once more: %+v, %v", out, err)
	}
	w.cloud.SetPassword(w.name(), "regenerated")
	w.clock.step(2e9)
	if out, err := w.Adopt(t.Context(), offered("sys", "regenerated", false)); err != nil || !out.Added {
		t.Errorf("his other project: %+v, %v", out, err)
	}
	if len(w.Contents().Users) != 1 || len(w.Contents().Environments) != 2 {
		t.Errorf("there are %d users and %d environments", len(w.Contents().Users), len(w.Contents().Environments))
	}
	if v, _ := w.user().Passwords.Active(); v.Value != secretOf("regenerated") {
		t.Error("his new password is not in force")
	}
}

// A Keystone that does not tell capitals apart has one user where files have two.
func TestOneUserInCapitals(t *testing.T) {
	w := newWorld(t)
	auth, err := account.ParseEndpoint(w.renaming([]string{strings.ToUpper(w.name()), w.name()}, nil), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dev", "sys"} {
		o := w.offer(name)
		o.User.Auth, o.Password = auth, secretOf("hunter2")
		if name == "sys" {
			o.User.Name = strings.ToUpper(o.User.Name)
		}
		if out, err := w.Adopt(t.Context(), o); err != nil || !out.Added || !w.has(name) {
			t.Errorf("%s: %+v, %v; stored: %v", name, out, err, w.has(name))
		}
	}
	if len(w.Contents().Users) != 1 {
		t.Errorf("there are %d users", len(w.Contents().Users))
	}
}
