package cloud

import (
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A catalog sends no token by plain http to whoever has a port of this machine,
// unless the cloud is on it; and what was checked is what is kept.
func TestOfferOfLoopback(t *testing.T) {
	far := account.Endpoint{URL: "https://keystone.example"}
	allowed := account.Endpoint{URL: "http://keystone.example", InsecureHTTP: true}
	for _, c := range []struct {
		auth      account.Endpoint
		raw, want string
	}{
		{far, "http://127.0.0.1:2375/x", ""},
		{far, "http://localhost:6379/\n", ""},
		{far, "http://[::1]/x", ""},
		{far, "https://127.0.0.1/x", "https://127.0.0.1/x"},
		{far, " HTTPS://S3.example/v1/\n", "https://s3.example/v1"},
		{far, "http://s3.example", ""},
		{allowed, "http://s3.example/", "http://s3.example"},
		{allowed, "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{account.Endpoint{URL: "http://127.0.0.1:5000"}, "http://localhost:8080/v1/", "http://localhost:8080/v1"},
		{account.Endpoint{URL: "https://[::1]/identity"}, "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{account.Endpoint{URL: "http://127.0.0.1:5000"}, "http://s3.example", ""},
	} {
		var g Grant
		g.offer(c.auth, "object-store", c.raw)
		g.offer(c.auth, "s3", c.raw)
		if g.StorageURL != c.want || g.S3URL != c.want {
			t.Errorf("%s offers %q: storage %q, S3 %q, want %q", c.auth.URL, c.raw, g.StorageURL, g.S3URL, c.want)
		}
	}
}
