package view

import (
	"bytes"
	"fmt"
	"strings"
)

// writeFish writes for `| source` in fish. It unsets first (erasing what is not
// set fails), and only globals: a universal variable is kept on disk.
func writeFish(_ *view, set []variable, drop []string) ([]byte, error) {
	var b bytes.Buffer
	if len(drop) > 0 {
		fmt.Fprintf(&b, "set -eg %s\n", strings.Join(drop, " "))
	}
	for _, one := range set {
		fmt.Fprintf(&b, "set -gx %s %s\n", one.name, quoteFish(one.value))
	}
	return b.Bytes(), nil
}

// writeHookFish writes for the prompt hook of fish.
func writeHookFish(_ *view, set []variable, drop []string) ([]byte, error) {
	return hook(set, drop, quoteFish), nil
}

var fishEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quoteFish makes one word of value.
func quoteFish(value string) string { return "'" + fishEscapes.Replace(value) + "'" }
