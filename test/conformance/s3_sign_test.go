package conformance

import (
	"net/http"
	"strings"
	"time"
)

// This file has the scenarios of S3's signatures.

func s3Signatures(s *session) {
	c := s.firstKey()
	c.do("good", "GET", "/", nil)
	c.with(func(c *s3Client) { c.unsigned = true }).do("unsigned payload", "GET", "/", nil)
	us := c.with(func(c *s3Client) { c.base, c.region = s.on.s3us, "us-east-1" })
	us.do("the other server", "GET", "/", nil)

	c.with(func(c *s3Client) { c.key.secret = "wrong" }).do("wrong secret", "GET", "/", nil)
	c.with(func(c *s3Client) { c.key.access = "nobody" }).do("unknown key", "GET", "/", nil)
	c.with(func(c *s3Client) { c.key.secret = "wrong" }).do("wrong secret, head", "HEAD", "/bucket", nil)
	c.with(func(c *s3Client) { c.region = "us-east-1" }).do("another region", "GET", "/", nil)
	us.with(func(c *s3Client) { c.region = "cloud.ca" }).do("another region at the other server", "GET", "/", nil)
	c.with(func(c *s3Client) { c.region = "us-east-1" }).do("another region, head", "HEAD", "/bucket", nil)

	at := func(d time.Duration) *s3Client { return c.with(func(c *s3Client) { c.time = c.time.Add(d) }) }
	at(-14*time.Minute).do("14 minutes late", "GET", "/", nil)
	at(-16*time.Minute).do("16 minutes late", "GET", "/", nil)
	at(16*time.Minute).do("16 minutes early", "GET", "/", nil)
	after := func(f func(*http.Request)) *s3Client { return c.with(func(c *s3Client) { c.after = f }) }
	before := func(f func(*http.Request)) *s3Client { return c.with(func(c *s3Client) { c.before = f }) }
	edit := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	after(drop("X-Amz-Date")).do("no date", "GET", "/", nil)
	after(set("X-Amz-Date", "yesterday")).do("a date that is none", "GET", "/", nil)
	after(edit("/s3/", "/ec2/")).do("another service", "GET", "/", nil)
	after(edit("aws4_request", "aws5_request")).do("another end", "GET", "/", nil)
	after(edit("/cloud.ca/", "/")).do("a short scope", "GET", "/", nil)
	after(edit("Signature=", "Sig=")).do("no signature", "GET", "/", nil)
	after(edit("SignedHeaders=", "Headers=")).do("no signed headers", "GET", "/", nil)
	after(edit("SignedHeaders=", "SignedHeaders=x-missing;")).do("a signed header that is missing", "GET", "/", nil)
	after(set("X-Amz-Meta-Late", "x")).do("an unsigned x-amz-meta header", "GET", "/", nil)
	after(set("X-Amz-Acl", "public-read")).do("an unsigned x-amz-acl", "GET", "/", nil)
	after(set("X-Amz-Copy-Source", "/a/b")).do("an unsigned copy source", "PUT", "/bucket/key", nil)
	after(set("X-Amz-Something", "x")).do("another unsigned x-amz header", "GET", "/", nil)
	after(drop("X-Amz-Content-Sha256")).do("no payload hash", "GET", "/", nil)
	after(set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")).do("another payload hash than signed", "GET", "/", nil)
	before(set("X-Amz-Content-Sha256", strings.Repeat("0", 64))).do("a wrong hash of nothing", "GET", "/", nil)
	before(set("X-Amz-User-Agent", "  many   spaces  ")).do("spaces in a header", "GET", "/", nil)
	s.do("no signature at all", s.request("GET", s.on.s3+"/bucket", nil))

	// Paths and queries that signers and servers easily see differently.
	c.bucket("signed")
	for label, path := range ordered(
		"space", "/signed/a%20b", "plus", "/signed/a%2Bb", "plus as it is", "/signed/a+b", "escaped slash", "/signed/a%2Fb", "double slash", "/signed//a",
		"dots", "/signed/a/../b", "tilde and stars", "/signed/~%2A%27%28%29", "stars as they are", "/signed/~*()", "umlaut", "/signed/%C3%BC", "semicolon", "/signed/a%3Bb",
		"question mark", "/signed/a%3Fb", "percent", "/signed/a%25b",
	) {
		c.do(label, "PUT", path.(string), label)
		c.do(label, "GET", path.(string), nil)
		s.etag(label)
	}
	c.do("as they are listed", "GET", "/signed?prefix=a%20&delimiter=%2F&empty", nil)
	c.do("all of them", "GET", "/signed?list-type=2", nil)
}

func s3Presigned(s *session) {
	c := s.firstKey()
	c.bucket("signed")
	s.etag("hello")
	s.do("put", withBody(c.presign("PUT", "/signed/a%20b", "60"), "hello"))
	s.do("get", c.presign("GET", "/signed/a%20b", "60"))
	s.do("head", c.presign("HEAD", "/signed/a%20b", "60"))
	s.do("with more in the query", c.presign("GET", "/signed?list-type=2&prefix=a", "60"))
	s.do("response headers", c.presign("GET", "/signed/a%20b?response-content-type=text/x", "60"))
	late := c.with(func(c *s3Client) { c.time = c.time.Add(-time.Hour) })
	s.do("an hour old but good for two", late.presign("GET", "/signed/a%20b", "7200"))
	s.do("expired", late.presign("GET", "/signed/a%20b", "60"))
	s.do("for more than a week", c.presign("GET", "/signed/a%20b", "604801"))
	s.do("negative", c.presign("GET", "/signed/a%20b", "-1"))
	s.do("no number", c.presign("GET", "/signed/a%20b", "soon"))
	s.do("no end", c.presign("GET", "/signed/a%20b", ""))
	s.do("wrong secret", c.with(func(c *s3Client) { c.key.secret = "wrong" }).presign("GET", "/signed/a%20b", "60"))
	s.do("another region", c.with(func(c *s3Client) { c.region = "us-east-1" }).presign("GET", "/signed/a%20b", "60"))
	s.do("used with another method", method("DELETE", c.presign("GET", "/signed/a%20b", "60")))
	changed := c.presign("GET", "/signed/a%20b", "60")
	changed.URL.RawQuery = strings.Replace(changed.URL.RawQuery, "X-Amz-Algorithm=AWS4", "X-Amz-Algorithm=AWS5", 1)
	s.do("another algorithm", changed)
}

func withBody(req *http.Request, data string) *http.Request {
	with, err := http.NewRequest(req.Method, req.URL.String(), strings.NewReader(data))
	if err != nil {
		panic(err) // it was a good URL before
	}
	return with
}

func method(name string, req *http.Request) *http.Request { req.Method = name; return req }

// s3Whose asks whom a key opens what for.
func s3Whose(s *session) {
	first := s.firstKey()
	first.bucket("mine")
	first.put("/mine/key", "data")
	second := s.s3(s.on.createKey(s.t, s.user.name, s.user.projects[1].id))
	second.do("the other project's buckets", "GET", "/", nil)
	second.do("the first's bucket", "GET", "/mine", nil)
	other := s.on.newUser(s.t, "other")
	s.volatile(other.name, "OTHER")
	s.volatile(other.projects[0].name, "OTHER-PROJECT")
	s.s3(s.on.createKey(s.t, other.name, other.projects[0].id)).do("another user", "GET", "/", nil)
	// A key may be made for a project where its user is nobody.
	token := s.token("hunter2", 0)
	made := s.send(s.request("POST", s.on.auth+"/users/"+s.user.id+"/credentials/OS-EC2",
		object{"tenant_id": other.projects[0].id}, "X-Auth-Token", token))
	s.s3(key{made.json(s.t, "credential.access"), made.json(s.t, "credential.secret")}).
		do("a key for a project where the user is nobody", "GET", "/", nil)
	chosen := key{"chosen-" + s.user.id, "secret with spaces & ümläuts"}
	body := object{"credential": object{"type": "ec2", "user_id": s.user.id, "project_id": s.user.projects[0].id,
		"blob": `{"access": "` + chosen.access + `", "secret": "` + chosen.secret + `"}`}}
	s.send(s.request("POST", s.on.auth+"/credentials", body, "X-Auth-Token", token))
	s.s3(chosen).do("a chosen pair", "GET", "/", nil)
	s.send(s.request("DELETE", s.on.auth+"/users/"+s.user.id+"/credentials/OS-EC2/"+chosen.access, nil, "X-Auth-Token", token))
	s.s3(chosen).do("once deleted", "GET", "/", nil)
	s.on.leave(s.t, s.user.name, s.user.projects[1].id)
	second.do("a project that was left", "GET", "/", nil)
	s.do("Swift sees the same object", s.request("GET",
		s.on.s3+"/v1/AUTH_"+s.user.projects[0].id+"/mine/key", nil, "X-Auth-Token", token))
}
