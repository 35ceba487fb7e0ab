package source

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What bounds a shell script: its parser recurses, and a megabyte of brackets
// would overflow the stack, which ends the process. No openrc comes near.
const (
	maxScript   = 64 << 10
	maxBrackets = 1000
)

var (
	assignmentMark = regexp.MustCompile(`(?m)(^|[\s;"'])(OS|AWS)_[A-Z0-9_]+=`)
	scriptMark     = regexp.MustCompile(`(?m)^[ \t]*(#!|(unset|read|if|set|declare|typeset|echo|source|\.)[ \t])|[;&][ \t]*export[ \t]`)
	exportMark     = regexp.MustCompile(`(?m)^[ \t]*export[ \t]`)
	ourName        = regexp.MustCompile(`^(OS|AWS)_[A-Z0-9_]+$`)
)

func looksLikeOpenrc(text string) bool {
	return assignmentMark.MatchString(text) && (scriptMark.MatchString(text) || exportMark.MatchString(text))
}

// parseOpenrc reads a shell script that exports OS_* or AWS_* variables.
func parseOpenrc(in *input, out *findings) error {
	if len(in.text) > maxScript {
		return place{in, 0}.error("is larger than 64 KiB, too large for a script that sets variables")
	}
	brackets := 0
	for _, b := range []byte("([{`") {
		brackets += strings.Count(in.text, string(b))
	}
	if brackets > maxBrackets {
		return place{in, 0}.error("has more than 1000 brackets, too many for a script that sets variables")
	}
	script, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(in.text), "")
	if err != nil {
		return shellError(in, err)
	}
	sh := &shell{in: in, vars: make(values)}
	sh.stmts(script.Stmts)
	return variables(in, sh.vars, out, sh.notes)
}

// shellError keeps the line alone: the parser's words quote the script.
func shellError(in *input, err error) error {
	at, reason := place{in, 0}, "is no well-formed shell script"
	var parse syntax.ParseError
	var lang syntax.LangError
	switch {
	case errors.As(err, &parse):
		at.line = int(parse.Pos.Line())
		reason = "is no well-formed shell (an unclosed quote or bracket?)"
	case errors.As(err, &lang):
		at.line = int(lang.Pos.Line())
	}
	return at.error(reason)
}

// shell follows a script without executing it: it knows assignments, unset,
// read and tests for emptiness, and refuses to know what depends on more.
type shell struct {
	in    *input
	vars  values
	notes []string
}

func (sh *shell) at(n syntax.Node) place { return place{sh.in, int(n.Pos().Line())} }

func (sh *shell) stmts(list []*syntax.Stmt) (ok, known bool) {
	for _, s := range list {
		ok, known = sh.stmt(s)
	}
	return ok, known
}

// stmt follows one statement and returns its exit status where that is known.
func (sh *shell) stmt(s *syntax.Stmt) (ok, known bool) {
	if s.Background {
		sh.spoil(s)
		return false, false
	}
	switch cmd := s.Cmd.(type) {
	case *syntax.CallExpr:
		ok, known = sh.call(cmd)
	case *syntax.DeclClause:
		sh.declare(cmd)
		ok, known = true, true
	case *syntax.Block:
		ok, known = sh.stmts(cmd.Stmts)
	case *syntax.IfClause:
		sh.ifClause(cmd)
	case *syntax.BinaryCmd:
		ok, known = sh.binary(cmd)
	case *syntax.TestClause:
		if test, is := cmd.X.(*syntax.UnaryTest); is {
			if word, is := test.X.(*syntax.Word); is {
				ok, known = sh.test(test.Op.String(), word)
			}
		}
	case *syntax.Subshell: // changes nothing outside
	default:
		sh.spoil(s)
	}
	return ok != s.Negated, known
}

func (sh *shell) ifClause(c *syntax.IfClause) {
	for ; c != nil; c = c.Else {
		ok, known := true, true // of "else"
		if len(c.Cond) > 0 {
			ok, known = sh.stmts(c.Cond)
		}
		if !known {
			sh.spoil(c)
			return
		}
		if ok {
			sh.stmts(c.Then)
			return
		}
	}
}

func (sh *shell) binary(c *syntax.BinaryCmd) (ok, known bool) {
	if c.Op != syntax.AndStmt && c.Op != syntax.OrStmt {
		sh.spoil(c)
		return false, false
	}
	ok, known = sh.stmt(c.X)
	if !known {
		sh.spoil(c.Y)
		return false, false
	}
	if ok == (c.Op == syntax.AndStmt) {
		return sh.stmt(c.Y)
	}
	return ok, true
}

// test evaluates -z and -n. A variable of ours that the file has not set is
// empty: the file is read as in a fresh shell.
func (sh *shell) test(op string, word *syntax.Word) (ok, known bool) {
	v := sh.word(word)
	if name := soleVariable(word); ourName.MatchString(name) && !sh.set(name) {
		v = value{}
	}
	if v.problem != "" || v.asked {
		return false, false
	}
	return (v.text == "") == (op == "-z"), op == "-z" || op == "-n"
}

func (sh *shell) set(name string) bool {
	_, set := sh.vars[name]
	return set
}

// call follows a simple command. What it cannot follow is not executed, and
// said once.
func (sh *shell) call(c *syntax.CallExpr) (ok, known bool) {
	if len(c.Args) == 0 {
		for _, a := range c.Assigns {
			sh.assign(a)
		}
		return true, true
	}
	args := c.Args[1:]
	switch c.Args[0].Lit() {
	case "unset":
		for _, a := range args {
			delete(sh.vars, a.Lit())
		}
	case "read":
		for _, a := range args {
			if name := a.Lit(); syntax.ValidName(name) {
				sh.vars[name] = value{key: name, asked: true, at: sh.at(a)}
			}
		}
	case "[", "test":
		if len(args) >= 2 && len(args) <= 3 && (len(args) == 2 || args[2].Lit() == "]") {
			return sh.test(args[0].Lit(), args[1])
		}
		return false, false
	case "echo", "true", "set", "stty", "exit", "return":
	default:
		sh.spoil(c)
		if name := c.Args[0].Lit(); name != ":" && name != "printf" && sh.notes == nil {
			sh.notes = []string{"line " + strconv.Itoa(sh.at(c).line) + ": a command is left out, as nothing is executed"}
		}
		return false, false
	}
	return true, true
}

// declare follows export and its like. A word that is neither an assignment,
// nor a name, nor an option is the rest of a value that lacks quotes.
func (sh *shell) declare(c *syntax.DeclClause) {
	last := ""
	for _, a := range c.Args {
		switch {
		case a.Name != nil && a.Naked:
		case a.Name != nil:
			sh.assign(a)
			last = a.Name.Value
		default:
			v := sh.word(a.Value)
			name, text, is := strings.Cut(v.text, "=") // export "NAME=value"
			if is && syntax.ValidName(name) {
				v.key, v.text = name, text
				sh.vars[name] = v
				last = name
			} else if before, set := sh.vars[last]; set {
				before.problem = "has a space that is not in quotes"
				sh.vars[last] = before
			}
		}
	}
}

// assign follows one assignment, of export or alone.
func (sh *shell) assign(a *syntax.Assign) {
	v := sh.word(a.Value)
	v.key, v.at = a.Name.Value, sh.at(a)
	if a.Array != nil || a.Index != nil {
		v.problem = "is an array"
	}
	if a.Append {
		before := sh.vars[v.key]
		if !sh.set(v.key) {
			before.problem = unsetVariable
		}
		v = v.after(before)
	}
	sh.vars[v.key] = v
}

// spoil marks the variables that a statement might change, of which nobody can
// tell whether or how often it runs.
func (sh *shell) spoil(n syntax.Node) {
	mark := func(name string, at syntax.Node) {
		if sh.set(name) || ourName.MatchString(name) {
			sh.vars[name] = value{key: name, problem: "is set under a condition or by a command, and nothing is executed", at: sh.at(at)}
		}
	}
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			return len(n.Args) == 0 || n.Args[0].Lit() != "echo"
		case *syntax.Assign:
			if n.Name != nil && !n.Naked {
				mark(n.Name.Value, n)
			}
		case *syntax.ParamExp: // ${NAME:=word} sets, all others only read
			if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
				mark(n.Param.Value, n)
			}
			return false
		case *syntax.Lit: // unset NAME, read NAME, printf -v NAME, for NAME, ((NAME=1))
			mark(n.Value, n)
		}
		return true
	})
}
