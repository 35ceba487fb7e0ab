package view

import (
	"bytes"
	"fmt"
	"strings"
)

// writeSh writes for eval in any POSIX shell. It unsets first, so that the last
// status is that of an export; -v, so that a function of such a name stays.
func writeSh(_ *view, set []variable, drop []string) ([]byte, error) {
	var b bytes.Buffer
	if len(drop) > 0 {
		fmt.Fprintf(&b, "unset -v %s\n", strings.Join(drop, " "))
	}
	for _, one := range set {
		fmt.Fprintf(&b, "export %s=%s\n", one.name, quoteSh(one.value))
	}
	return b.Bytes(), nil
}

// writeHookSh writes for the prompt hook of bash and zsh: calls of its two
// functions and nothing else. A value may span lines.
func writeHookSh(_ *view, set []variable, drop []string) ([]byte, error) {
	return hook(set, drop, quoteSh), nil
}

// hook writes the calls, those that drop first.
func hook(set []variable, drop []string, quote func(string) string) []byte {
	var b bytes.Buffer
	for _, name := range drop {
		fmt.Fprintf(&b, "__ccad_drop %s\n", name)
	}
	for _, one := range set {
		fmt.Fprintf(&b, "__ccad_put %s %s\n", one.name, quote(one.value))
	}
	return b.Bytes()
}

// quoteSh makes one word of value. A quote is closed, escaped and opened again,
// which zsh's rc_quotes reads the same way.
func quoteSh(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
