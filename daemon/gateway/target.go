package gateway

import (
	"slices"
	"strings"
)

// A target is the request target, taken apart by ourselves: url.URL cleans
// paths, and url.Values loses what it can't parse, silently.
type target struct {
	raw   string // the path as it came
	path  string // decoded
	query []field
}

// A field is a name and value of the query, decoded.
type field struct{ name, value string }

// maxFields is more than any request of S3 has.
const maxFields = 64

// readTarget takes the origin form only ("/path?query"): another form names a
// host of its own.
func readTarget(uri string) (target, *fault) {
	if !strings.HasPrefix(uri, "/") {
		return target{}, badRequest("InvalidURI", "the request target is not a path")
	}
	raw, query, _ := strings.Cut(uri, "?")
	t := target{raw: raw}
	var ok bool
	if t.path, ok = unescape(raw, false); !ok {
		return target{}, badRequest("InvalidURI", "the path has an escape that is none")
	}
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		f := field{}
		var okValue bool
		f.name, ok = unescape(name, true)
		f.value, okValue = unescape(value, true)
		if !ok || !okValue {
			return target{}, badRequest("InvalidURI", "the query has an escape that is none")
		}
		if len(t.query) == maxFields {
			return target{}, badRequest("InvalidURI", "the query has too many parameters")
		}
		if t.has(f.name) {
			// S3 has no such request, and servers differ in what they take it for.
			return target{}, badRequest("InvalidArgument", "the query names a parameter twice")
		}
		t.query = append(t.query, f)
	}
	return t, nil
}

// get returns the value of a query parameter.
func (t target) get(name string) (string, bool) {
	for _, f := range t.query {
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

func (t target) has(name string) bool {
	_, ok := t.get(name)
	return ok
}

// names splits the path into bucket and key.
func (t target) names() (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(t.path, "/"), "/")
	return bucket, key
}

// appendQuery appends the canonical query without the parameters that drop
// names. It is also the query that goes out: every byte but the unreserved is
// escaped, so that no parser on the way reads it differently.
func (t target) appendQuery(b []byte, drop func(name string) bool) []byte {
	var room [8]field
	encoded := room[:0]
	for _, f := range t.query {
		if drop == nil || !drop(f.name) {
			encoded = append(encoded, field{escape(f.name, false), escape(f.value, false)})
		}
	}
	slices.SortFunc(encoded, func(a, b field) int {
		return strings.Compare(a.name, b.name) // names are unique
	})
	for i, f := range encoded {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, f.name...), '='), f.value...)
	}
	return b
}

// plain reports whether S3's canonical form leaves c as it is.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

// escape is S3's URI encoding; in a path the slash stays.
func escape(s string, path bool) string {
	n := 0
	for i := range len(s) {
		if !plain(s[i]) && (!path || s[i] != '/') {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plain(c) || path && c == '/' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// unescape decodes percent escapes, and in a query the plus that stands for a
// space (servers read it so).
func unescape(s string, query bool) (string, bool) {
	if !strings.Contains(s, "%") && (!query || !strings.Contains(s, "+")) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high > 15 || low > 15 {
				return "", false
			}
			b = append(b, high<<4|low)
			i += 2
		case c == '+' && query:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
