package view

import (
	"bytes"
	"fmt"
	"strings"
)

// writeDotenv writes lines that a POSIX shell can source. Readers of .env files
// agree on most values; where they do not, the shell is right and a warning
// names the variable. What follows a line end would be a variable of its own for
// some (docker run --env-file), whatever the quotes.
func writeDotenv(v *view, set []variable, _ []string) ([]byte, error) {
	var b bytes.Buffer
	for _, one := range set {
		if strings.ContainsAny(one.value, "\n\r") {
			return nil, uncarried(one.name, "a .env file")
		}
		quoted, agreed := quoteDotenv(one.value)
		if !agreed {
			v.warn("has a value for %s that only a shell is sure to read right from a .env file; other readers may differ", one.name)
		}
		fmt.Fprintf(&b, "%s=%s\n", one.name, quoted)
	}
	return b.Bytes(), nil
}

// plain are the characters that need no quotes anywhere. Docker's --env-file
// takes quotes literally, so what needs none gets none. (An equals sign needs
// none at the end, where base64 has it; elsewhere zsh may expand it.)
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+:,./@%"

var doubleEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")

// quoteDotenv also reports whether all readers agree on what it wrote. They
// part over backslashes, over $ (some expand it in whatever quotes) and over a
// single quote where double ones do not just take it.
func quoteDotenv(value string) (quoted string, agreed bool) {
	if stem := strings.TrimRight(value, "="); stem != "" && strings.Trim(stem, plain) == "" {
		return value, true
	}
	agreed = !strings.ContainsAny(value, `\$`)
	if !strings.Contains(value, "'") {
		return "'" + value + "'", agreed
	}
	return `"` + doubleEscapes.Replace(value) + `"`, agreed && !strings.ContainsAny(value, "\"`")
}
