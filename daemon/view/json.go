package view

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// writeJSON writes one flat object, its names sorted.
func writeJSON(_ *view, set []variable, _ []string) ([]byte, error) {
	object := make(map[string]string, len(set))
	for _, one := range set {
		if !utf8.ValidString(one.value) {
			return nil, uncarried(one.name, "JSON")
		}
		object[one.name] = one.value
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(object); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
