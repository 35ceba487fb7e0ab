package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// This file replaces what changes from run to run by stable names.

// schema is what follows the first line of a schema violation: Keystone prints
// its whole schema, and for some the request.
var schema = regexp.MustCompile(`(?s)\n\nFailed validating.*`)
var anySchema = regexp.MustCompile(`^.* is not valid under any of the given schemas`)

// unhashed replaces what S3's signatures hash: two requests within one second
// may be signed alike.
func unhashed(text string) string { return sha256Hex.ReplaceAllString(text, "HASH") }

var sha256Hex = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// normalJSON replaces what is volatile in strings and sorts lists of objects,
// whose order Keystone leaves open.
func (s *session) normalJSON(v any) any {
	switch v := v.(type) {
	case string:
		v = schema.ReplaceAllString(v, "")
		v = anySchema.ReplaceAllString(v, "the credential is not valid under any of the given schemas")
		return s.normal(v)
	case []any:
		if len(v) > 1 {
			if _, objects := v[0].(map[string]any); objects {
				slices.SortStableFunc(v, func(a, b any) int { return strings.Compare(s.sortKey(a), s.sortKey(b)) })
			}
		}
		for i := range v {
			v[i] = s.normalJSON(v[i])
		}
		return v
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v[name] = s.normalField(name, v[name])
		}
		return v
	}
	return v
}

// normalField knows the fields whose random values look like any text.
func (s *session) normalField(name string, v any) any {
	switch list, _ := v.([]any); {
	case name == "methods": // a set in Keystone, in another order each time it starts
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return list
	case name == "audit_ids":
		for i := range list {
			list[i] = s.name("AUDIT", list[i].(string))
		}
		return list
	case name == "secret" && len(v.(string)) == 86:
		return s.name("SECRET", v.(string))
	}
	return s.normalJSON(v)
}

// sortKey is v with the names known so far, and without those not yet given.
func (s *session) sortKey(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.replace(string(text), func(kind, value string) string {
		if name, ok := s.seen[value]; ok {
			return name
		}
		return kind
	})
}

// volatile is what changes from run to run; the group names are the kinds.
var volatile = []struct {
	kind string
	re   *regexp.Regexp
}{
	{"TOKEN", regexp.MustCompile(`gAAAAA[A-Za-z0-9_-]{60,}=*`)},
	{"TRANS", regexp.MustCompile(`tx[0-9a-f]{21}-[0-9a-f]{10}`)},
	{"HASH", sha256Hex},
	{"ID", regexp.MustCompile(`\b[0-9a-f]{32}\b`)},
	{"TIME", regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?`)},
	{"DATE", regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT`)},
	{"AMZDATE", regexp.MustCompile(`20\d{6}T\d{6}Z`)},
	{"SCOPE", regexp.MustCompile(`20\d{6}%2F`)}, // the day in a presigned URL
	{"DAY", regexp.MustCompile(`\b20\d{6}\b`)},
	{"STAMP", regexp.MustCompile(`\b\d{10}\.\d{5}\b`)},
	{"BYTES", regexp.MustCompile(`([0-9a-f]{2} ){20,}[0-9a-f]{2}`)},
}

var numbered = map[string]bool{"TOKEN": true, "HASH": true, "ID": true}

// normal replaces what is volatile in text, the same value by the same name.
func (s *session) normal(text string) string {
	return s.replace(text, func(kind, value string) string {
		if !numbered[kind] {
			return kind
		}
		return s.name(kind, value)
	})
}

// name gives every value of a kind a name of its own.
func (s *session) name(kind, value string) string {
	if s.seen[value] == "" {
		s.counts[kind]++
		s.seen[value] = fmt.Sprintf("%s%d", kind, s.counts[kind])
	}
	return s.seen[value]
}

func (s *session) replace(text string, name func(kind, value string) string) string {
	text = strings.NewReplacer(s.names...).Replace(text)
	for _, v := range volatile {
		text = v.re.ReplaceAllStringFunc(text, func(value string) string {
			if s.fixed[value] {
				return value
			}
			if v.kind == "TIME" {
				return shape(value)
			}
			return name(v.kind, value)
		})
	}
	return text
}

// shape keeps how a time is written, and one that is no time of today.
func shape(value string) string {
	at, err := time.Parse("2006-01-02T15:04:05", value[:19])
	if err != nil || time.Since(at).Abs() > 400*24*time.Hour {
		return value
	}
	return "TIME" + regexp.MustCompile(`\d`).ReplaceAllString(value[19:], "0")
}

// volatile gives a value a name.
func (s *session) volatile(value, name string) { s.names = append(s.names, value, name) }

// constant keeps values that look volatile.
func (s *session) constant(values ...string) {
	for _, v := range values {
		s.fixed[v] = true
	}
}
