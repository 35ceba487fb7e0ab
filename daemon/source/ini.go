package source

import "strings"

// A section is one of an INI file. Its keys are in lower case and its values
// raw: %, # and ; in a value are part of it, since secrets hold all three.
type section struct {
	name   string // "" for what stands before the first header
	at     place
	values values
	nested map[string]values // by the key they stand under: "s3 =" and indented lines
}

// ini reads the INI of AWS, s3cmd and rclone. With nesting, lines that are
// indented deeper than the key above them belong to it; without, indentation
// means nothing. A section or a key that is given twice is refused: each of
// those programs would take another one.
func ini(in *input, nesting bool) ([]*section, error) {
	p := &iniParser{in: in, nesting: nesting, first: make(map[string]int)}
	p.section = &section{at: place{in, 1}, values: make(values), nested: make(map[string]values)}
	p.sections = []*section{p.section}
	for i, line := range strings.Split(in.text, "\n") {
		p.at = place{in, i + 1}
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
	return p.sections, nil
}

type iniParser struct {
	in       *input
	nesting  bool
	sections []*section
	section  *section       // the last of sections
	first    map[string]int // the line of each section name
	at       place
	key      string // the last key; "" right after a header
	indent   int    // of that key
}

func (p *iniParser) line(line string) error {
	body := strings.TrimSpace(line)
	if body == "" || body[0] == '#' || body[0] == ';' {
		return nil
	}
	indent := len(line) - len(strings.TrimLeft(line, " \t"))
	if p.nesting && p.key != "" && indent > p.indent {
		return p.under(body)
	}
	p.indent = indent
	if body[0] == '[' {
		return p.header(body)
	}
	key, text, ok := splitOption(body)
	if !ok {
		return p.at.error("is neither a [section], nor key = value, nor a comment")
	}
	p.key = key
	return p.put(p.section.values, key, text)
}

func (p *iniParser) header(body string) error {
	name, _, closed := strings.Cut(body[1:], "]")
	name = strings.TrimSpace(name)
	if !closed || name == "" {
		return p.at.error("begins a section without a name or without the closing bracket")
	}
	if _, twice := p.first[name]; twice {
		return p.at.error("begins a section that is there already, see " + place{p.in, p.first[name]}.String())
	}
	p.first[name] = p.at.line
	p.section = &section{name: name, at: p.at, values: make(values), nested: make(map[string]values)}
	p.sections = append(p.sections, p.section)
	p.key = ""
	return nil
}

// under takes a line that belongs to the key above it: one of a nested block
// where the key has no value of its own, else more of its value.
func (p *iniParser) under(body string) error {
	above := p.section.values[p.key]
	key, text, ok := splitOption(body)
	if above.text != "" || !ok {
		above.problem = "runs over more than one line"
		p.section.values[p.key] = above
		return nil
	}
	if p.section.nested[p.key] == nil {
		p.section.nested[p.key] = make(values)
	}
	return p.put(p.section.nested[p.key], key, text)
}

func (p *iniParser) put(vs values, key, text string) error {
	if before, twice := vs[key]; twice {
		return p.at.error("gives a key that is there already, see " + before.at.String())
	}
	vs[key] = value{key: key, text: text, at: p.at}
	return nil
}

func splitOption(body string) (key, text string, ok bool) {
	i := strings.IndexAny(body, "=:")
	if i <= 0 {
		return "", "", false
	}
	return strings.ToLower(strings.TrimSpace(body[:i])), strings.TrimSpace(body[i+1:]), true
}

// renamed translates a format's own keys into the common vocabulary.
func (vs values) renamed(names map[string]string) values {
	out := make(values, len(names))
	for key, name := range names {
		if v, ok := vs[key]; ok {
			out[name] = v
		}
	}
	return out
}
