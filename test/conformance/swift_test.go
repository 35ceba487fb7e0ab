package conformance

// This file has the scenarios of Swift's own API.

// swift is one request of Swift's API for a path below the account of the
// user's first project.
func (s *session) swift(label, method, path, token string, body any, header ...string) answer {
	s.t.Helper()
	req := s.request(method, s.on.s3+"/v1/AUTH_"+s.user.projects[0].id+path, body, header...)
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	return s.do(label, req)
}

func swiftAccounts(s *session) {
	token := s.token("hunter2", 0)
	s.do("healthcheck", s.request("GET", s.on.s3+"/healthcheck", nil))
	s.swift("unused", "HEAD", "", token, nil)
	s.swift("list unused", "GET", "", token, nil)
	s.swift("list unused in JSON", "GET", "?format=json", token, nil)
	s.swift("no token", "GET", "", "", nil)
	s.swift("bad token", "GET", "", "bad", nil)
	s.swift("bad token, head", "HEAD", "", "bad", nil)
	s.swift("bad token, put", "PUT", "/container", "bad", nil)
	s.swift("another project's token", "GET", "", s.token("hunter2", 1), nil)
	s.swift("an unscoped token", "GET", "", s.token("hunter2", -1), nil)
	s.do("another account", s.request("GET", s.on.s3+"/v1/AUTH_nothing", nil, "X-Auth-Token", token))
	s.do("the other server", s.request("GET", s.on.s3us+"/v1/AUTH_"+s.user.projects[0].id, nil, "X-Auth-Token", token))
	s.swift("post", "POST", "", token, nil, "X-Account-Meta-Color", "red")
	s.swift("head", "HEAD", "", token, nil)
	for _, name := range []string{"b", "a", "c%20%C3%BC"} {
		s.swift("make "+name, "PUT", "/"+name, token, nil)
	}
	for _, query := range []string{"", "?format=json", "?limit=1", "?marker=a", "?prefix=c", "?prefix=nothing", "?end_marker=b", "?reverse=true"} {
		s.swift("list "+query, "GET", query, token, nil)
	}
	s.swift("wrong method", "PATCH", "", token, nil)
	s.do("nowhere", s.request("GET", s.on.s3+"/", nil))
}

func swiftContainers(s *session) {
	token := s.token("hunter2", 0)
	s.swift("head none", "HEAD", "/box", token, nil)
	s.swift("get none", "GET", "/box", token, nil)
	s.swift("post none", "POST", "/box", token, nil)
	s.swift("delete none", "DELETE", "/box", token, nil)
	s.swift("put", "PUT", "/box", token, nil, "X-Container-Meta-Color", "red")
	s.swift("put again", "PUT", "/box", token, nil)
	s.swift("put with a slash", "PUT", "/box/", token, nil)
	s.swift("a long name", "PUT", "/"+repeat("long", 257), token, nil)
	s.swift("head", "HEAD", "/box", token, nil)
	s.swift("list empty", "GET", "/box", token, nil)
	s.swift("list empty in JSON", "GET", "/box?format=json", token, nil)
	s.swift("post", "POST", "/box", token, nil, "X-Container-Meta-Size", "big", "X-Remove-Container-Meta-Color", "x")
	s.swift("head after it", "HEAD", "/box", token, nil)
	for _, name := range []string{"a/1", "a/2", "a/b/3", "b", "c%20d", "%C3%BC"} {
		s.etag(name)
		s.swift("put "+name, "PUT", "/box/"+name, token, name)
	}
	for _, query := range []string{
		"", "?format=json", "?limit=2", "?limit=0", "?limit=x", "?limit=10001", "?prefix=a/", "?delimiter=/", "?delimiter=/&format=json",
		"?prefix=a/&delimiter=/", "?marker=a/2", "?marker=a/&delimiter=/", "?end_marker=b", "?reverse=true", "?prefix=nothing",
		"?prefix=nothing&format=json",
	} {
		s.swift("list", "GET", "/box"+query, token, nil)
	}
	s.swift("list, JSON accepted", "GET", "/box?limit=1", token, nil, "Accept", "application/json")
	s.swift("delete one that is not empty", "DELETE", "/box", token, nil)
	s.swift("put another", "PUT", "/empty", token, nil)
	s.swift("delete", "DELETE", "/empty", token, nil)
	s.swift("delete again", "DELETE", "/empty", token, nil)
	s.swift("wrong method", "PATCH", "/box", token, nil)
}

func swiftObjects(s *session) {
	token := s.token("hunter2", 0)
	const data = "hello, world"
	tag := s.etag(data)
	s.etag("")
	s.swift("put to no container", "PUT", "/box/key", token, data)
	s.swift("container", "PUT", "/box", token, nil)
	s.swift("put", "PUT", "/box/key", token, data, "Content-Type", "text/plain", "X-Object-Meta-Color", "red", "X-Object-Meta-Mtime", "1.5",
		"Content-Encoding", "none", "Content-Disposition", "inline")
	s.swift("get", "GET", "/box/key", token, nil)
	s.swift("head", "HEAD", "/box/key", token, nil)
	for _, r := range []string{"bytes=0-4", "bytes=7-", "bytes=-5", "bytes=0-999", "bytes=12-", "bytes=-0", "bytes=5-2", "lines=1-2"} {
		s.swift("range "+r, "GET", "/box/key", token, nil, "Range", r)
	}
	s.swift("if it matches", "GET", "/box/key", token, nil, "If-Match", tag)
	s.swift("if another matches", "GET", "/box/key", token, nil, "If-Match", "x")
	s.swift("if none matches", "GET", "/box/key", token, nil, "If-None-Match", `"`+tag+`"`)
	s.swift("put if there is none", "PUT", "/box/key", token, data, "If-None-Match", "*")
	s.swift("put with a tag", "PUT", "/box/tagged", token, data, "Etag", tag)
	s.swift("put with a wrong tag", "PUT", "/box/bad", token, data, "Etag", repeat("0", 32))
	s.swift("put nothing", "PUT", "/box/nothing", token, nil)
	s.swift("get nothing", "GET", "/box/nothing", token, nil)
	req := s.request("PUT", s.on.s3+"/v1/AUTH_"+s.user.projects[0].id+"/box/chunked", data, "X-Auth-Token", token)
	chunked(req)
	s.do("put in chunks", req)
	s.swift("put waiting for 100", "PUT", "/box/waited", token, data, "Expect", "100-continue")
	s.swift("post", "POST", "/box/key", token, nil, "X-Object-Meta-Size", "big")
	s.swift("head after it", "HEAD", "/box/key", token, nil)
	s.swift("copy", "PUT", "/box/copy", token, nil, "X-Copy-From", "/box/tagged")
	s.swift("get the copy", "GET", "/box/copy", token, nil)
	s.swift("copy none", "PUT", "/box/copy", token, nil, "X-Copy-From", "/box/none")
	s.swift("get none", "GET", "/box/none", token, nil)
	s.swift("head none", "HEAD", "/box/none", token, nil)
	s.swift("post none", "POST", "/box/none", token, nil)
	s.swift("delete none", "DELETE", "/box/none", token, nil)
	s.swift("get from no container", "GET", "/none/key", token, nil)
	s.swift("a long name", "PUT", "/box/"+repeat("long", 1025), token, data)
	s.swift("names with slashes and spaces", "PUT", "/box/a//b%20c%2F%C3%BC", token, data)
	s.swift("as they are listed", "GET", "/box", token, nil)
	s.swift("delete", "DELETE", "/box/key", token, nil)
	s.swift("delete again", "DELETE", "/box/key", token, nil)
}
