package source

import (
	"regexp"
	"strings"
)

var (
	dotenvName = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*`)
	dollarName = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)
)

func looksLikeDotenv(text string) bool {
	return assignmentMark.MatchString(text) && !scriptMark.MatchString(text)
}

// parseDotenv reads a .env. Its dialects differ; this is what most agree on:
// an optional export, single quotes literal, double quotes with escapes, both
// over several lines, else the rest of the line up to a # that follows a
// space; $NAME and ${NAME} from earlier in the file. Other uses of $ that some
// dialect would act on are refused where the value matters.
func parseDotenv(in *input, out *findings) error {
	d := &dotenv{in: in, rest: in.text, line: 1, vars: make(values)}
	for d.rest != "" {
		if err := d.entry(); err != nil {
			return err
		}
	}
	return variables(in, d.vars, out, []string{"read as dotenv: quotes are taken off and $NAME is filled in from the file (docker --env-file does neither)"})
}

type dotenv struct {
	in   *input
	rest string // what is not read yet
	line int    // where rest begins
	vars values
}

// take reads n bytes.
func (d *dotenv) take(n int) string {
	s := d.rest[:n]
	d.rest = d.rest[n:]
	d.line += strings.Count(s, "\n")
	return s
}

// takeLine reads up to the end of the line, and over it.
func (d *dotenv) takeLine() string {
	s, _, found := strings.Cut(d.rest, "\n")
	d.take(len(s))
	if found {
		d.take(1)
	}
	return s
}

func (d *dotenv) entry() error {
	at := place{d.in, d.line}
	d.take(len(d.rest) - len(strings.TrimLeft(d.rest, " \t")))
	if blankOrComment(firstLine(d.rest)) {
		d.takeLine()
		return nil
	}
	m := dotenvName.FindStringSubmatch(d.rest)
	if m == nil {
		return at.error("is not NAME=VALUE")
	}
	d.take(len(m[0]))
	if strings.TrimSpace(firstLine(d.rest)) == "" { // NAME alone: taken from the environment, so nothing
		d.takeLine()
		return nil
	}
	if d.rest[0] != '=' {
		return at.error("is not NAME=VALUE")
	}
	d.take(1)
	d.take(len(d.rest) - len(strings.TrimLeft(d.rest, " \t")))
	v, err := d.value(at)
	if err != nil {
		return err
	}
	v.key, v.at = m[1], at
	d.vars[v.key] = v
	return nil
}

func (d *dotenv) value(at place) (value, error) {
	if d.rest == "" || d.rest[0] != '\'' && d.rest[0] != '"' {
		text := d.takeLine()
		for i := range text {
			if text[i] == '#' && i > 0 && (text[i-1] == ' ' || text[i-1] == '\t') {
				text = text[:i]
				break
			}
		}
		return d.expand(strings.TrimSpace(text), `$`), nil
	}
	quote := d.rest[0]
	end := 1
	for end < len(d.rest) && d.rest[end] != quote {
		if quote == '"' && d.rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(d.rest) {
		return value{}, at.error("opens a quote that is never closed")
	}
	text := d.take(end + 1)[1:end]
	if !blankOrComment(d.takeLine()) {
		return value{}, at.error("has text after the closing quote")
	}
	if quote == '\'' {
		return value{text: text}, nil
	}
	return d.expand(text, "\\\"$`nrt"), nil
}

// expand fills in variables and resolves a backslash before the characters of
// escapes.
func (d *dotenv) expand(text, escapes string) value {
	v := value{}
	for text != "" && (v.problem == "" || v.home != "") {
		i := strings.IndexAny(text, "\\$`")
		if i < 0 {
			return value{text: text}.after(v)
		}
		v = value{text: text[:i]}.after(v)
		text = text[i:]
		m := dollarName.FindStringSubmatch(text)
		switch {
		case text[0] == '\\' && len(text) > 1 && strings.IndexByte(escapes, text[1]) >= 0:
			v = value{text: strings.NewReplacer("n", "\n", "r", "\r", "t", "\t").Replace(text[1:2])}.after(v)
			text = text[2:]
		case text[0] == '`' || strings.HasPrefix(text, "$("):
			v = value{problem: byCommand}.after(v)
		case m != nil:
			v = d.variable(m[1]+m[2], m[0]).after(v)
			text = text[len(m[0]):]
		case strings.HasPrefix(text, "${"):
			v = value{problem: byShell}.after(v)
		default: // a backslash or dollar sign that means itself
			v = value{text: text[:1]}.after(v)
			text = text[1:]
		}
	}
	return v
}

func (d *dotenv) variable(name, written string) value {
	if v, set := d.vars[name]; set {
		return v
	}
	return unset(name, written)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func blankOrComment(s string) bool {
	s = strings.TrimSpace(s)
	return s == "" || s[0] == '#'
}
