package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A question is a request to Keystone and the answer hoped for.
type question struct {
	op     string
	method string
	path   string
	token  account.Secret
	body   any
	want   int
	gone   error // what "Could not find …" means; nil: ErrNotFound
}

// unversioned returns Keystone's root: people and files give an auth URL with
// or without its version.
func unversioned(auth account.Endpoint) account.Endpoint {
	for _, version := range []string{"/v3", "/v2.0"} {
		auth.URL = strings.TrimSuffix(strings.TrimRight(auth.URL, "/"), version)
	}
	return auth
}

// Answers asks Keystone for its versions, which needs no secret: whether anybody
// is there. Any answer but that of a server in trouble is one.
func (c *Cloud) Answers(ctx context.Context, auth account.Endpoint) error {
	const op = "for its versions"
	auth = unversioned(auth)
	a, err := c.send(ctx, auth, request{op: op, method: http.MethodGet, path: "/v3"})
	if err == nil && a.status >= http.StatusInternalServerError {
		return c.common(auth, op, a, "Keystone")
	}
	return err
}

// ask sends a question to Keystone and reads the answer into out, unless that
// is nil.
func (c *Cloud) ask(ctx context.Context, auth account.Endpoint, q question, out any) (http.Header, error) {
	auth = unversioned(auth)
	var body []byte
	if q.body != nil {
		var err error
		if body, err = json.Marshal(q.body); err != nil {
			return nil, unsent(auth, q.op, errGarbled.Error())
		}
	}
	a, err := c.send(ctx, auth, request{op: q.op, method: q.method, path: q.path, token: q.token, body: body})
	if err != nil {
		return nil, err
	}
	if a.status != q.want {
		return nil, c.unwanted(auth, q, a)
	}
	if out != nil && (a.cut || json.Unmarshal(a.body, out) != nil) {
		return nil, c.garbage(auth, q.op, a)
	}
	return a.header, nil
}

// unsent is the error of a request that is wrong before it is sent.
func unsent(target account.Endpoint, op, reason string) *Error {
	return &Error{Op: op, Host: target.Host(), Kind: ErrInvalid, reason: "not sent: " + reason}
}

// garbage is the error of a good status with an answer that is none.
func (c *Cloud) garbage(auth account.Endpoint, op string, a answer) *Error {
	return &Error{Op: op, Host: auth.Host(), Kind: ErrUnreachable, Status: a.status, Sent: true,
		reason: "answered with something else than Keystone's JSON"}
}

var expiredRule = regexp.MustCompile(`^The password is expired and needs to be changed for user: ([0-9A-Za-z_-]{1,64})\.?$`)

// policies tells Keystone's 400s apart: it has no codes for them.
var policies = []struct {
	words  string
	policy Policy
}{
	{"minimum password age", PolicyAge},
	{"cannot be identical to a previous password", PolicyHistory},
	{"password does not match the requirements", PolicyPattern},
	{"password policy disallowing password changes", PolicyLocked},
}

// unwanted makes an error of an answer that was not hoped for.
func (c *Cloud) unwanted(auth account.Endpoint, q question, a answer) *Error {
	words, spoken := keystoneWords(a)
	e := c.common(auth, q.op, a, "Keystone's JSON")
	e.spoken = spoken
	switch {
	case !spoken: // a gateway's page, not Keystone's word
	case a.status == http.StatusUnauthorized && words == "Attempted to authenticate with an unsupported method.":
		e.Kind, e.reason = ErrNotOffered, "it does not offer that"
	case a.status == http.StatusUnauthorized:
		e.Kind, e.reason = ErrRefused, "refused"
		if m := expiredRule.FindStringSubmatch(words); m != nil {
			e.Kind, e.UserID, e.reason = ErrPasswordExpired, m[1], "refused: the password has expired and must be changed"
		}
	case a.status == http.StatusForbidden:
		e.Kind, e.reason = ErrRefused, "refused"
	case a.status == http.StatusConflict:
		e.Kind, e.reason = ErrConflict, "there is one already"
	case a.status == http.StatusNotFound && strings.HasPrefix(words, "Could not find"):
		e.Kind, e.reason = ErrNotFound, "it is not there"
		if q.gone != nil {
			e.Kind, e.reason = q.gone, "it is not there any more"
		}
	case a.status == http.StatusBadRequest:
		e.Kind, e.reason = ErrInvalid, "the request was not understood"
		for _, p := range policies {
			if strings.Contains(words, p.words) {
				e.Kind, e.Policy, e.reason = ErrPolicy, p.policy, string(p.policy)
			}
		}
	}
	return e
}

// keystoneWords returns the message of one of Keystone's own error documents.
func keystoneWords(a answer) (words string, ok bool) {
	var doc struct {
		Error struct{ Message *string }
	}
	if a.cut || json.Unmarshal(a.body, &doc) != nil || doc.Error.Message == nil {
		return "", false
	}
	return *doc.Error.Message, true
}

// TokenLives asks with a token whether it still is one. It is so until it
// expires or its user's password changes; Swift believes in it for its cache
// time longer.
func (c *Cloud) TokenLives(ctx context.Context, auth account.Endpoint, token account.Secret) (bool, error) {
	q := question{op: "whether a token lives", method: http.MethodGet, path: "/v3/auth/projects", token: token, want: 200}
	if token.Empty() {
		return false, unsent(auth, q.op, "there is none")
	}
	var v3 struct{ Projects *[]struct{} }
	_, err := c.ask(ctx, auth, q, &v3)
	if errors.Is(err, ErrNotOffered) {
		q.path = "/v2.0/tenants"
		var v2 struct{ Tenants *[]struct{} }
		_, err = c.ask(ctx, auth, q, &v2)
		v3.Projects = v2.Tenants
	}
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrNotFound): // not found: its application credential
		return false, nil
	case err != nil:
		return false, err
	case v3.Projects == nil:
		return false, c.garbage(auth, q.op, answer{status: 200})
	}
	return true, nil
}

// openly is a secret in the JSON of a request or an answer, the only type of
// this room that encodes one. It refuses what JSON would silently turn into
// another value, and thus into a failed login.
type openly struct{ account.Secret }

// MarshalJSON reveals.
func (o openly) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(o.Reveal()) {
		return nil, errGarbled
	}
	return json.Marshal(o.Reveal())
}

// UnmarshalJSON takes the secret in.
func (o *openly) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	o.Secret = account.NewSecret(value)
	return nil
}

// segments joins a path of ids that came from elsewhere: none may be empty or
// climb, so that a request to delete one thing can't become another's.
func segments(format string, ids ...string) (string, error) {
	escaped := make([]any, len(ids))
	for i, id := range ids {
		if strings.Trim(id, ".") == "" {
			return "", errors.New("an id is missing")
		}
		escaped[i] = url.PathEscape(id)
	}
	return fmt.Sprintf(format, escaped...), nil
}

// A stamp is a time as Keystone writes it: RFC 3339, in some fields without a
// zone (then UTC), or null.
type stamp struct{ time.Time }

// UnmarshalJSON reads it.
func (s *stamp) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil || text == "" {
		return err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			s.Time = at.UTC()
			return nil
		}
	}
	return errors.New("not a time")
}
