package source

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Scrubbed is a file without the secrets that were in it.
type Scrubbed struct {
	Path  string
	Data  []byte
	Lines []int  // those that a comment has taken the place of; empty: nothing is to be taken out
	Left  string // why nothing was taken out although there is something; "" where there is no reason
}

// Scrub takes the secrets of those findings that held says yes to out of the
// files. It works on whole lines: one that sets a secret, and nothing else,
// becomes a comment; all others stay byte for byte. A file of which that can't
// be done, or that would then say anything else than before, stays as it is,
// and Left says why, with the line. Files are read as Parse does, together.
func Scrub(files []File, insecureHTTP bool, held func(Found) bool) ([]Scrubbed, error) {
	before, _, err := Parse(files, insecureHTTP)
	if err != nil {
		return nil, err
	}
	var cut []Found
	for _, f := range before {
		if len(f.marks) > 0 && held(f) {
			cut = append(cut, f)
		}
	}
	var out []Scrubbed
	after := slices.Clone(files)
	for i, file := range files {
		s := scrubFile(file, cut)
		after[i].Data = s.Data
		out = append(out, s)
	}
	if left := checkScrubbed(before, cut, after, insecureHTTP); left != "" {
		for i := range out {
			if len(out[i].Lines) > 0 {
				out[i] = Scrubbed{Path: out[i].Path, Data: files[i].Data, Left: left}
			}
		}
	}
	return out, nil
}

// A mark is where a secret stands in a file, and under which name. It does not
// hold it.
type mark struct {
	key string
	at  place
}

// scrubFile makes comments of the lines of one file.
func scrubFile(file File, cut []Found) Scrubbed {
	s := Scrubbed{Path: file.Path, Data: file.Data}
	lines := strings.SplitAfter(string(file.Data), "\n")
	leave := func(m mark, reason string) Scrubbed {
		return Scrubbed{Path: file.Path, Data: file.Data, Left: m.at.String() + ": " + m.key + " " + reason + ": take it out by hand"}
	}
	for _, f := range cut {
		for _, m := range f.marks {
			if m.at.in.Path != file.Path || slices.Contains(s.Lines, m.at.line) { // two environments may share it
				continue
			}
			line, ok := commented(lines[m.at.line-1], f.Format, m.key)
			if !ok {
				return leave(m, "is not all that stands on its line, or goes on below it")
			}
			lines[m.at.line-1] = line
			s.Lines = append(s.Lines, m.at.line)
		}
	}
	if len(s.Lines) == 0 {
		return s
	}
	slices.Sort(s.Lines)
	text := strings.Join(lines, "")
	for _, f := range cut {
		for _, secret := range f.secrets() {
			if strings.Contains(text, secret.Reveal()) {
				return leave(f.marks[0], "stands in another place of the file too")
			}
		}
	}
	s.Data = []byte(text)
	return s
}

// secrets are those that there are.
func (f Found) secrets() (all []account.Secret) {
	all = append(all, f.Password)
	if f.AppCred != nil {
		all = append(all, f.AppCred.Secret)
	}
	if f.Keys != nil {
		all = append(all, f.Keys.Secret)
	}
	return slices.DeleteFunc(all, account.Secret.Empty)
}

// commented makes a comment of a line that gives a value to key, and of all of
// it; a byte order mark, the indent and the line's end stay.
func commented(line, format, key string) (string, bool) {
	text := strings.TrimRight(line, "\r\n")
	body := strings.TrimPrefix(text, bom)
	if !alone(format, key).MatchString(body) {
		return "", false
	}
	indent := body[:len(body)-len(strings.TrimLeft(body, " \t"))]
	return text[:len(text)-len(body)] + indent + "# ccad keeps the " + key + " (ccactl setup --undo brings it back)" + line[len(text):], true
}

const bom = "\ufeff"

// alone matches a line that gives a value to a key and does nothing else. What
// it can't be sure of it does not match.
func alone(format, key string) *regexp.Regexp {
	const (
		quoted  = `"(?:[^"\\]|\\.)*"`
		word    = `(?:'[^']*'|` + quoted + `|\\.|[^\s'"\\;&|<>()#$` + "`" + `]#*)+`
		scalar  = `(?:'(?:[^']|'')*'|` + quoted + `|(?:[^-\s'"|>&*!%@{}\[\],#?:` + "`" + `]|[-?:]\S)(?:[^#]|\S#)*?)`
		comment = `[ \t]*(?:[ \t]#.*)?$`
	)
	name := regexp.QuoteMeta(key)
	switch format {
	case "openrc":
		return regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?` + name + `=` + word + `[ \t]*;?` + comment)
	case "dotenv":
		return regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?` + name + `[ \t]*=[ \t]*(?:(?:'[^']*'|` + quoted + `)` + comment + `|[^\s'"].*$)`)
	case "clouds.yaml":
		return regexp.MustCompile(`^[ \t]*["']?` + name + `["']?:[ \t]+` + scalar + comment)
	}
	return regexp.MustCompile(`^[ \t]*(?i:` + name + `)[ \t]*[=:][ \t]*\S.*$`)
}

// checkScrubbed reads the files again: they must say what they said, without
// the secrets of cut. It returns why they do not.
func checkScrubbed(before, cut []Found, after []File, insecureHTTP bool) string {
	const other = "without its secrets the file would say something else: take them out by hand"
	rest, _, err := Parse(after, insecureHTTP)
	var at *SyntaxError
	switch {
	case err == nil:
	case !errors.As(err, &at):
		return other
	case at.Empty && len(cut) == len(before): // nothing else was in it
		return ""
	default:
		return where(at.File, at.Line) + ": " + other
	}
	for _, f := range before {
		same := func(r Found) bool { return r.File == f.File && r.Line == f.Line && r.Name == f.Name }
		now, wasCut := slices.IndexFunc(rest, same), slices.ContainsFunc(cut, same)
		if now < 0 && wasCut && f.User.Auth.IsZero() {
			continue // a profile of S3 keys alone
		}
		if now < 0 || !sameBut(f, rest[now], wasCut) {
			return where(f.File, f.Line) + ": " + other
		}
	}
	return ""
}

// sameBut compares what was found, but for the secrets where they were cut.
func sameBut(a, b Found, cut bool) bool {
	for _, f := range []*Found{&a, &b} {
		f.Notes, f.marks = nil, nil
		if cut {
			f.Password, f.AppCred, f.Keys, f.Missing = account.Secret{}, nil, nil, ""
		}
	}
	if cut && !reflect.DeepEqual(b.Password, account.Secret{}) {
		return false
	}
	return reflect.DeepEqual(a, b)
}
