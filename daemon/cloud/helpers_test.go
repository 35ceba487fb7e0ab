package cloud_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
)

// TestMain finds what a call left running; a lab that this process booted runs on
// until it ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloud-ca/ccad/test/lab.boot.func2"))
}

const password = "hunter2-must-not-show"

var (
	secret = account.NewSecret(password)
	keys   = account.KeyPair{AccessKeyID: "0123456789abcdef0123456789abcdef", Secret: account.NewSecret("s3-secret-must-not-show")}
	grant  = cloud.Grant{Token: account.Token{ID: account.NewSecret("token-must-not-show")}, UserID: "u1", ProjectID: "p1"}
)

// hidden must be in no error: what we sent, and what the other end wrote.
var hidden = []string{"must-not-show", "the server's own words", "\n"}

// A request as the far end got it.
type got struct {
	method, path, body string
	header             http.Header
}

// far is a far end that answers what it is told and keeps what it got.
type far struct {
	*httptest.Server
	mu   sync.Mutex
	seen []got
}

// reply is one answer: a status, header lines, a body.
type reply struct {
	status int
	header map[string]string
	body   string
}

func (f *far) requests() []got {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

// newFar answers the replies in turn, and the last one for ever.
func newFar(t *testing.T, replies ...reply) *far {
	t.Helper()
	f := &far{}
	f.Server = httptest.NewServer(f.handler(replies))
	t.Cleanup(f.Close)
	return f
}

func (f *far) handler(replies []reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		answer := replies[min(len(f.seen), len(replies)-1)]
		f.seen = append(f.seen, got{r.Method, r.URL.EscapedPath(), string(body), r.Header})
		f.mu.Unlock()
		for k, v := range answer.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, answer.body)
	}
}

func (f *far) endpoint() account.Endpoint { return account.Endpoint{URL: f.URL} }
func (f *far) user() account.User {
	return account.User{Name: "system-ccontini-2925", DomainID: "default", Auth: f.endpoint(), IdentityAPI: "3", KeystoneID: "u1"}
}
func (f *far) s3() account.S3 { return account.S3{Endpoint: f.endpoint(), Region: "cloud.ca"} }

// said is an error document of Keystone.
func said(status int, words string) reply {
	return reply{status, map[string]string{"Content-Type": "application/json"},
		fmt.Sprintf(`{"error": {"code": %d, "message": %q, "title": "x"}}`, status, words)}
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func tokenReply(t *testing.T) reply {
	t.Helper()
	return reply{201, map[string]string{"X-Subject-Token": "new-token"}, fixture(t, "v3_scoped.json")}
}

// checkError checks kind and text, and that nothing is in it that must not be.
func checkError(t *testing.T, err, kind error, text string) *cloud.Error {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v; want kind %v", err, kind)
	}
	line := err.Error()
	if !strings.Contains(line, text) {
		t.Errorf("got %q; want it to say %q", line, text)
	}
	for _, h := range hidden {
		if strings.Contains(line, h) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), "must-not-show") {
			t.Errorf("%q is in the error %q", h, line)
		}
	}
	var e *cloud.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *Error", err)
	}
	return e
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// certified starts a TLS far end with a certificate for host, signed by a new
// authority, whose PEM is returned.
func certified(t *testing.T, host string, until time.Time, replies ...reply) (*far, string) {
	t.Helper()
	caKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA must-not-show"}, NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER := must[[]byte](t)(x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey))
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{host}
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey))
	f := &far{}
	f.Server = httptest.NewUnstartedServer(f.handler(replies))
	f.Config.ErrorLog = quiet()
	f.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
}
