package source

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Why a word cannot be told.
const (
	unsetVariable = "depends on a variable that the file does not set before (single quotes keep a $ as it is)"
	byCommand     = "is computed by a command, and nothing is executed"
	byShell       = "is computed by the shell, and nothing is executed"
	dollarQuotes  = "is written in $'…' or $\"…\", which shells read in different ways (use plain single quotes)"
	tooLong       = "is too long"
)

// after returns v with before's text in front of it; what cannot be told of
// either cannot be told of both.
func (v value) after(before value) value {
	switch {
	case before.home != "" && v.problem == "":
		v.home = before.home + v.text
	case before.home != "" || before.text != "" || before.problem != "":
		v.home = ""
	}
	v.text = before.text + v.text
	v.asked = v.asked || before.asked
	if v.problem == "" {
		v.problem = before.problem
	}
	if len(v.text) > maxValue { // at once: A=$A$A doubles on every line
		v.text, v.problem = "", tooLong
	}
	if v.asked || len(v.home) > maxValue {
		v.home = ""
	}
	return v
}

// unset is the value of a variable that the file does not set, written so.
func unset(name, written string) value {
	v := value{problem: unsetVariable}
	if name == "HOME" {
		v.home = written
	}
	return v
}

// word returns what a shell word stands for, as far as the file tells.
func (sh *shell) word(w *syntax.Word) value {
	v := value{}
	if w == nil {
		return v
	}
	for _, part := range w.Parts {
		v = sh.part(part, false).after(v)
	}
	v.at = sh.at(w)
	return v
}

func (sh *shell) part(part syntax.WordPart, quoted bool) value {
	switch part := part.(type) {
	case *syntax.Lit:
		if quoted {
			return value{text: unescape(part.Value, "\\$`\"")}
		}
		return value{text: unescape(part.Value, "")}
	case *syntax.SglQuoted:
		if part.Dollar {
			return value{problem: dollarQuotes}
		}
		return value{text: part.Value}
	case *syntax.DblQuoted:
		v := value{}
		if part.Dollar {
			v.problem = dollarQuotes
		}
		for _, inner := range part.Parts {
			v = sh.part(inner, true).after(v)
		}
		return v
	case *syntax.ParamExp:
		name := variableName(part)
		switch v, set := sh.vars[name]; {
		case set:
			return v
		case name != "" && part.Short:
			return unset(name, "$"+name)
		case name != "":
			return unset(name, "${"+name+"}")
		}
	case *syntax.CmdSubst, *syntax.ProcSubst:
		return value{problem: byCommand}
	}
	return value{problem: byShell}
}

// variableName returns the name of a plain $NAME or ${NAME}, else "".
func variableName(p *syntax.ParamExp) string {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.Names != 0 ||
		p.Index != nil || p.Slice != nil || p.Repl != nil || p.Exp != nil {
		return ""
	}
	return p.Param.Value
}

// soleVariable returns the name of the variable that a word consists of, else "".
func soleVariable(w *syntax.Word) string {
	parts := w.Parts
	if len(parts) == 1 {
		if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = quoted.Parts
		}
	}
	if len(parts) == 1 {
		if p, ok := parts[0].(*syntax.ParamExp); ok {
			return variableName(p)
		}
	}
	return ""
}

// unescape takes the backslash off the special characters, or off every
// character where special is "".
func unescape(s, special string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (special == "" || strings.IndexByte(special, s[i+1]) >= 0) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
