package cloudsfile

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the one document of a file.
func parseYAML(file, text string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(file, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", file)
	}
	return &doc, nil
}

func decode(file string, doc *yaml.Node) (map[string]any, error) {
	root := map[string]any{}
	if content(doc) == nil {
		return root, nil
	}
	if err := doc.Decode(&root); err != nil {
		return nil, unreadable(file, err)
	}
	return root, nil
}

var lineNumber = regexp.MustCompile(`line (\d+)`)

// unreadable keeps of an error of the YAML library its line: the rest may quote
// a password.
func unreadable(file string, err error) error {
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		file += ":" + m[1]
	}
	return fmt.Errorf("%s: it can't be read as YAML of clouds", file)
}

// content returns the root of a document, nil if there is nothing in it.
func content(doc *yaml.Node) *yaml.Node {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" {
		return nil
	}
	return doc.Content[0]
}

// child finds a key and its value in a mapping.
func child(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// block reports whether a mapping is written on lines of its own.
func block(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0
}

// scalar writes a string so that no reader takes it for something else.
func scalar(s string) string {
	data, err := yaml.Marshal(s)
	if err != nil { // strings can be written
		panic(err)
	}
	return strings.TrimSuffix(string(data), "\n")
}

// yamlEdit gathers edits to the lines of a YAML file: their numbers stay those
// of the file as it was read.
type yamlEdit struct {
	file   string
	lines  []string
	end    string
	before map[int][]string // new lines, by the index of the one that follows
}

func newYAMLEdit(file, text string) *yamlEdit {
	all, end := lines(text)
	return &yamlEdit{file, all, end, map[int][]string{}}
}

func (e *yamlEdit) refuse(n *yaml.Node) error {
	return fmt.Errorf("%s:%d: a form that can't be edited safely: write the entry by hand", e.file, n.Line)
}

// space is the indent of a key.
func (e *yamlEdit) space(key *yaml.Node) string { return strings.Repeat(" ", key.Column-1) }

// insert puts new lines before the line of that index.
func (e *yamlEdit) insert(at int, lines []string) error {
	if at > len(e.lines) {
		return fmt.Errorf("%s: no line %d", e.file, at)
	}
	e.before[at] = append(e.before[at], lines...)
	return nil
}

// append puts new lines at the end.
func (e *yamlEdit) append(line string, more ...string) {
	e.before[len(e.lines)] = append([]string{line}, more...)
}

// after puts new lines behind the last line of a mapping, before the empty lines
// and the comments that separate it from what follows.
func (e *yamlEdit) after(n *yaml.Node, line string, more ...string) error {
	first := n.Content[0]
	last := n.Content[len(n.Content)-2].Line // of the last key
	for i := last; i < len(e.lines); i++ {
		content := strings.TrimSpace(e.lines[i])
		depth := len(e.lines[i]) - len(strings.TrimLeft(e.lines[i], " "))
		if content == "" || content[0] == '#' && depth < first.Column {
			continue
		}
		if depth < first.Column { // not deeper than the key
			break
		}
		last = i + 1
	}
	return e.insert(last, append([]string{line}, more...))
}

// replace changes a value that is written on one line.
func (e *yamlEdit) replace(n *yaml.Node, value string) error {
	line := e.lines[n.Line-1]
	start := 0
	for range n.Column - 1 { // columns are characters
		_, size := utf8.DecodeRuneInString(line[start:])
		start += size
	}
	size := len(n.Value)
	switch rest := line[start:]; {
	case n.Style == 0 && strings.HasPrefix(rest, n.Value):
	case n.Style == yaml.SingleQuotedStyle && strings.HasPrefix(rest, "'"+n.Value+"'"),
		n.Style == yaml.DoubleQuotedStyle && strings.HasPrefix(rest, `"`+n.Value+`"`):
		size += 2
	default:
		return e.refuse(n)
	}
	e.lines[n.Line-1] = line[:start] + value + line[start+size:]
	return nil
}

func (e *yamlEdit) String() string {
	var b strings.Builder
	ended := true
	write := func(line string) {
		b.WriteString(line)
		ended = strings.HasSuffix(line, "\n") || line == bom
	}
	for i := 0; i <= len(e.lines); i++ {
		for _, line := range e.before[i] {
			if !ended {
				write(e.end)
			}
			write(line + e.end)
		}
		if i < len(e.lines) {
			write(e.lines[i])
		}
	}
	return b.String()
}
