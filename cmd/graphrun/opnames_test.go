package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
)

// opFree are the folders, or the files of one, in which nothing is decided by the name of an op: what they need to know of one stands in
// its declaration.
var opFree = []string{"graph", "cmd", "runtime/*.go", "runtime/plan", "runtime/program", "models/train", "models/data"}

// otherWords are the texts in these folders that are also names of ops and mean something else, or the one op that is emitted.
var otherWords = []struct{ file, word, meaning string }{
	{"graph/artifact/info.go", "std", "a standard deviation in the meta table"},
	{"graph/internal/picture/kind.go", "constant", "a colour in the legend"},
	{"graph/module.go", "var", "an attribute"},
	{"graph/narrow.go", "cast", "what floats for storage are widened and rounded by"},
	{"graph/parse.go", "var", "a keyword"},
	{"graph/vjp.go", "add", "what reverse mode adds gradients up by"},
	{"graph/vjp.go", "expand", "what it makes zeros by"},
	{"graph/verify_module.go", "var", "the keyword, for which a fault stands"},
	{"graph/verify.go", "call", "a rule"},
	{"cmd/graphrun/dot.go", "fused", "a stage"},
	{"cmd/graphrun/schedules.go", "constant", "a schedule"},
	{"cmd/graphrun/schedules.go", "div", "a parameter of a schedule"},
	{"cmd/graphrun/train.go", "constant", "a schedule"},
	{"cmd/graphrun/train.go", "standardize", "a flag"},
}

// TestNothingNamesOps finds names of ops, and beginnings and ends of several, in the code of opFree. Arguments of the getters of attributes
// are names of those.
func TestNothingNamesOps(t *testing.T) {
	names := map[string]bool{"param": true} // which is not registered
	for _, op := range graph.Ops() {
		names[op.Name] = true
	}
	used := make([]bool, len(otherWords))
	for _, file := range opFreeFiles(t) {
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, filepath.Join("..", "..", filepath.FromSlash(file)), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		attrs := map[ast.Expr]bool{}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if _, ok := n.(*ast.ImportSpec); ok {
				return false // package sort is no op
			}
			if call, ok := n.(*ast.CallExpr); ok && isGetter(call) {
				attrs[call.Args[0]] = true
			}
			if _, ok := n.(*ast.ImportSpec); ok {
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || attrs[lit] {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !names[text] && !partOfNames(text, names) {
				return true
			}
			for i, w := range otherWords {
				if w.file == file && w.word == text {
					used[i] = true
					return true
				}
			}
			t.Errorf("%s:%d: %q names an op: what the code wants to know of it belongs into its declaration (or %[3]q means something else "+
				"here and belongs into otherWords)", file, fset.Position(lit.Pos()).Line, text)
			return true
		})
	}
	for i, w := range otherWords {
		if !used[i] {
			t.Errorf("otherWords: %q does not stand in %s any more", w.word, w.file)
		}
	}
}

// opFreeFiles returns the files of opFree, but for tests and the one that declares the structural ops.
func opFreeFiles(t *testing.T) (files []string) {
	t.Helper()
	root := os.DirFS(filepath.Join("..", ".."))
	for _, pattern := range opFree {
		at, err := fs.Glob(root, pattern)
		if err != nil || len(at) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(at))
		}
		for _, top := range at {
			err := fs.WalkDir(root, top, func(file string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case d.IsDir() && d.Name() == "testdata":
					return fs.SkipDir
				case path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go") && file != "graph/structural.go":
					files = append(files, file)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// isGetter reports whether a call may be one of the methods by which an attribute is read.
func isGetter(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	m, ok := reflect.TypeFor[graph.Attrs]().MethodByName(sel.Sel.Name)
	return ok && m.Type.NumIn() == 2 && m.Type.In(1).Kind() == reflect.String
}

// partOfNames reports whether a text such as "reduce_" or "_grad" is the beginning or the end of several names.
func partOfNames(text string, names map[string]bool) bool {
	if len(text) < 3 || strings.Trim(text, "_") == "" {
		return false
	}
	n := 0
	for name := range names {
		if text[len(text)-1] == '_' && strings.HasPrefix(name, text) || text[0] == '_' && strings.HasSuffix(name, text) {
			n++
		}
	}
	return n > 1
}
