package source

import (
	"crypto/x509"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cloud-ca/ccad/daemon/account"
)

// maxValue is the size of the longest value: longer ones are noise, or a
// script that doubles a variable on every line.
const maxValue = 16 << 10

// A value is what a file gives to one name, and where.
type value struct {
	key     string // the name as the format spells it, for messages
	text    string
	problem string // why the text cannot be told without executing or guessing; words of ours
	home    string // the text as it is written, where the home folder at its start is the whole problem
	asked   bool   // the script asks a person for it
	at      place
}

// fault returns why the value cannot be taken, or nil.
func (v value) fault() error {
	reason := v.problem
	switch {
	case reason != "":
	case len(v.text) > maxValue:
		reason = "is too long"
	case strings.Contains(v.text, "\n"):
		reason = "runs over more than one line (an unclosed quote?)"
	case strings.ContainsFunc(v.text, func(r rune) bool { return isControl(r) && r != '\t' }):
		reason = "holds a control character"
	default:
		return nil
	}
	return v.at.error(v.key + " " + reason)
}

// values are what a file says of one environment, by OS_* and AWS_* names.
type values map[string]value

// over lays other's values on top and returns the result.
func (vs values) over(other values) values {
	merged := make(values, len(vs)+len(other))
	for name, v := range vs {
		merged[name] = v
	}
	for name, v := range other {
		if v.text != "" || v.problem != "" || v.asked {
			merged[name] = v
		}
	}
	return merged
}

// has reports whether any of the names is given, be it by a value that cannot
// be taken.
func (vs values) has(names ...string) bool {
	for _, name := range names {
		if v := vs[name]; v.text != "" || v.problem != "" || v.asked {
			return true
		}
	}
	return false
}

// reader takes values and remembers the first that cannot be taken; its user
// asks for err once, when it has read all.
type reader struct {
	values values
	notes  []string
	marks  []mark // of the secrets that were taken
	err    error
}

// get returns the first of names that is given.
func (r *reader) get(names ...string) value {
	for _, name := range names {
		v := r.values[name]
		if err := v.fault(); err != nil && r.err == nil {
			r.err = err
		}
		if v.text != "" || v.problem != "" || v.asked {
			return v
		}
	}
	return value{}
}

// text returns the first of names that is given. Only secrets may be left to
// ask for.
func (r *reader) text(names ...string) string {
	v := r.get(names...)
	if v.asked && r.err == nil {
		r.err = v.at.error(v.key + " is asked for by the script: only a password may be")
	}
	return v.text
}

// named is text, of what Keystone has a name or an id of.
func (r *reader) named(names ...string) string {
	v := r.get(names...)
	if utf8.RuneCountInString(v.text) > account.MaxNamed && r.err == nil {
		r.err = v.at.error(fmt.Sprintf("%s is longer than %d characters", v.key, account.MaxNamed))
	}
	return r.text(names...)
}

// secret returns the first of names that is given and is a value: a portal's
// mask is none.
func (r *reader) secret(names ...string) account.Secret {
	v := r.get(names...)
	if v.asked || account.Masked(v.text) {
		return account.Secret{}
	}
	if v.text != "" {
		r.marks = append(r.marks, mark{v.key, v.at})
	}
	return account.NewSecret(v.text)
}

// isTrue reports whether the name is given and means yes.
func (r *reader) isTrue(name string) bool {
	switch strings.ToLower(r.text(name)) {
	case "true", "yes", "on", "1", "y", "t":
		return true
	}
	return false
}

// isFalse reports whether the name is given and means no.
func (r *reader) isFalse(name string) bool {
	switch strings.ToLower(r.text(name)) {
	case "false", "no", "off", "0", "n", "f":
		return true
	}
	return false
}

// note adds a line to what is said of the environment.
func (r *reader) note(text string) { r.notes = append(r.notes, text) }

// endpoint makes an Endpoint of a URL that a file gives. account's reason is
// not passed on: it names a host, and of a broken URL that may be a password.
func (r *reader) endpoint(v value, raw string) account.Endpoint {
	e, err := account.ParseEndpoint(raw, v.at.in.insecureHTTP)
	if err != nil && r.err == nil {
		r.err = v.at.error(v.key + " must be an https URL of a host, without user, query and fragment (http on loopback, or with --insecure-http)")
	}
	return e
}

// authority returns the certificates of the CA file that name gives, where
// they came along. It is by the path as written: the home folder is ccactl's to
// know.
func (r *reader) authority(name string) string {
	v := r.values[name]
	path := v.home // which ccactl has read
	if path == "" || v.problem != unsetVariable {
		path = r.text(name)
	}
	if path == "" {
		return ""
	}
	pem := v.at.in.CA[path]
	switch {
	case pem == "":
		r.note("the file that " + v.key + " names was not given: the system's authorities are used")
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)):
		r.note("the file that " + v.key + " names holds no certificate: the system's authorities are used")
	default:
		return pem
	}
	return ""
}
