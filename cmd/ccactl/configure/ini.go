package configure

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	empty  kind = iota // or a comment
	header             // [name]
	option             // key = value
	nested             // a further line of an option's value, by its indent
)

// iniLine is a line of an INI file, read as Python's configparser does.
type iniLine struct {
	text  string // with its end
	kind  kind
	space string // what it is indented by
	name  string // of the section, or the key in lower case
	value string
	at    int // where the value starts in text
}

// ini is an INI file. Each edit reads the whole again: files are small, and what
// an edit makes of the lines after it is then known.
type ini struct {
	file  string
	bom   string
	lines []iniLine
	end   string
}

const bom = "\ufeff"

func parseINI(file, text string) (*ini, error) {
	if err := legible(file, text); err != nil {
		return nil, err
	}
	f := &ini{file: file}
	if rest, ok := strings.CutPrefix(text, bom); ok {
		f.bom, text = bom, rest
	}
	all, end := lines(text)
	f.end = end
	indent, inSection, inOption := 0, false, false
	for i, text := range all {
		l := iniLine{text: text}
		content := strings.TrimSpace(text)
		l.space = text[:len(text)-len(strings.TrimLeftFunc(text, unicode.IsSpace))]
		depth := utf8.RuneCountInString(l.space)
		switch {
		case content == "" || content[0] == '#' || content[0] == ';':
			l.space = ""
		case inOption && depth > indent:
			l.kind = nested
			if eq := strings.IndexByte(text, '='); eq >= 0 {
				l.split(eq)
			}
		case content[0] == '[' && strings.LastIndexByte(content, ']') > 1:
			l.kind, l.name = header, content[1:strings.LastIndexByte(content, ']')]
			indent, inSection, inOption = depth, true, false
		default:
			l.kind = option
			eq := strings.IndexAny(text, "=:")
			if !inSection || eq < 0 {
				return nil, fmt.Errorf("%s:%d: neither a section nor a setting in one", file, i+1)
			}
			l.split(eq)
			if l.name == "" {
				return nil, fmt.Errorf("%s:%d: a setting without a name", file, i+1)
			}
			indent, inOption = depth, true
		}
		f.lines = append(f.lines, l)
	}
	return f, nil
}

// split takes the line apart at its delimiter.
func (l *iniLine) split(delimiter int) {
	l.name = strings.ToLower(strings.TrimSpace(l.text[:delimiter]))
	rest := l.text[delimiter+1:]
	l.value = strings.TrimSpace(rest)
	l.at = delimiter + 1 + len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
	if l.value == "" {
		l.at = delimiter + 1
	}
}

func (f *ini) String() string {
	var b strings.Builder
	b.WriteString(f.bom)
	for _, l := range f.lines {
		b.WriteString(l.text)
	}
	return b.String()
}

// find returns the index of the one section whose name matches, or -1.
func (f *ini) find(match func(name string) bool) (int, error) {
	found := -1
	for i, l := range f.lines {
		switch {
		case l.kind != header || !match(l.name):
		case found >= 0:
			return 0, fmt.Errorf("%s:%d: the section [%s] of line %d again", f.file, i+1, l.name, found+1)
		default:
			found = i
		}
	}
	return found, nil
}

// option returns the index of a key in the section that starts at head, or -1.
func (f *ini) option(head int, key string) (int, error) {
	found := -1
	for i := head + 1; i < len(f.lines) && f.lines[i].kind != header; i++ {
		switch l := f.lines[i]; {
		case l.kind != option || l.name != key:
		case found >= 0:
			return 0, fmt.Errorf("%s: %s is twice in [%s]", f.file, key, f.lines[head].name)
		default:
			found = i
		}
	}
	return found, nil
}

// value returns what a key is set to, "" if it isn't.
func (f *ini) value(head int, key string) (string, error) {
	i, err := f.option(head, key)
	if err != nil || i < 0 {
		return "", err
	}
	return f.lines[i].value, nil
}

// nested returns the indexes of the further lines of the option at i.
func (f *ini) nested(i int) (all []int) {
	for i++; i < len(f.lines) && (f.lines[i].kind == nested || f.lines[i].kind == empty); i++ {
		if f.lines[i].kind == nested {
			all = append(all, i)
		}
	}
	return all
}

// set gives a key of the section at head a value.
func (f *ini) set(head int, key, value string) error {
	i, err := f.option(head, key)
	if err != nil {
		return err
	}
	if i < 0 {
		last := head
		for j := head + 1; j < len(f.lines) && f.lines[j].kind != header; j++ {
			if f.lines[j].kind != empty {
				last = j
			}
		}
		space := f.lines[head].space
		for j := head + 1; j <= last; j++ {
			if f.lines[j].kind == option {
				space = f.lines[j].space
			}
		}
		return f.insert(last+1, strings.TrimRight(space+key+" = "+value, " "))
	}
	if more := f.nested(i); len(more) > 0 && value != "" {
		return fmt.Errorf("%s: further lines below %s in [%s], which takes one value", f.file, key, f.lines[head].name)
	}
	return f.replace(i, value)
}

// setNested gives a key on the lines under another key a value.
func (f *ini) setNested(head int, key, sub, value string) error {
	i, err := f.option(head, key)
	if err != nil {
		return err
	}
	if i < 0 {
		if err := f.set(head, key, ""); err != nil {
			return err
		}
		if i, err = f.option(head, key); err != nil {
			return err
		}
	}
	if f.lines[i].value != "" {
		return fmt.Errorf("%s: a value of %s in [%s], whose settings belong on indented lines below it", f.file, key, f.lines[head].name)
	}
	last, space := i, f.lines[i].space+"  "
	for _, j := range f.nested(i) {
		if f.lines[j].name == sub {
			return f.replace(j, value)
		}
		last, space = j, f.lines[j].space
	}
	return f.insert(last+1, space+sub+" = "+value)
}

// replace changes the value in a line, and nothing else of it.
func (f *ini) replace(i int, value string) error {
	l := f.lines[i]
	if l.value == value {
		return nil
	}
	gap := ""
	if l.value == "" {
		gap = " "
	}
	f.lines[i].text = l.text[:l.at] + gap + value + l.text[l.at+len(l.value):]
	return f.again()
}

func (f *ini) insert(i int, text string) error {
	if i > 0 && !strings.HasSuffix(f.lines[i-1].text, "\n") {
		f.lines[i-1].text += f.end
	}
	f.lines = append(f.lines[:i:i], append([]iniLine{{text: text + f.end}}, f.lines[i:]...)...)
	return f.again()
}

// section adds a section at the end, after an empty line, and returns its index.
func (f *ini) section(name string) (int, error) {
	if n := len(f.lines); n > 0 && strings.TrimSpace(f.lines[n-1].text) != "" {
		if err := f.insert(n, ""); err != nil {
			return 0, err
		}
	}
	at := len(f.lines)
	return at, f.insert(at, "["+name+"]")
}

func (f *ini) again() error {
	next, err := parseINI(f.file, f.String())
	if err != nil {
		return err
	}
	next.end = f.end
	*f = *next
	return nil
}
