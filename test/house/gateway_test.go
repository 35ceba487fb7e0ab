package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The gateway compares MACs and signatures by hmac.Equal alone, which tells nobody
// by its time how much of one was right, and signs by the SDK's signer.
func TestGatewayComparesAndSigns(t *testing.T) {
	compared, signs := 0, false
	parsed(t, func(path string, fset *token.FileSet, f *ast.File) {
		if !strings.HasPrefix(path, "daemon/gateway/") {
			return
		}
		signs = signs || slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"github.com/aws/aws-sdk-go-v2/aws/signer/v4"` })
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch name := called(n); {
				case name == "hmac.Equal":
					compared++
				case strings.HasSuffix(name, ".Equal") || strings.HasSuffix(name, ".Compare") || strings.HasSuffix(name, ".EqualFold"):
					if slices.ContainsFunc(n.Args, isMAC) {
						t.Errorf("%s compares a MAC by %s", fset.Position(n.Pos()), name)
					}
				}
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && (isMAC(n.X) || isMAC(n.Y)) {
					t.Errorf("%s compares a MAC by %s", fset.Position(n.Pos()), n.Op)
				}
			}
			return true
		})
	})
	if compared != 3 { // a request's signature, a chunk's, a token
		t.Errorf("%d comparisons are by hmac.Equal", compared)
	}
	if !signs {
		t.Error("the SDK's signer is not imported")
	}
}

// called names a call as PACKAGE.FUNCTION or VALUE.METHOD.
func called(n *ast.CallExpr) string {
	if s, ok := n.Fun.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}

// isMAC reports whether an expression is made of a MAC, or of what claims to be one.
func isMAC(e ast.Expr) (is bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "len" {
				return false
			}
		case *ast.Ident:
			is = is || n.Name == "mac" || n.Name == "signature"
		}
		return true
	})
	return is
}
