package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// longest is how many lines a function may have, from its func to its closing brace.
const longest = 80

// longer are the functions that may have more, each with the reason.
var longer = map[string]string{
	"ops.samples":                                 "a table, which a variable would make every program link",
	"runtime/kernels/backend/plain.Unary":         "a switch over all primitives of one operand, a loop each: a table of functions would call one per element",
	"runtime/kernels/backend/avx.(*engine).block": "one loop nest, whose blocks share what is packed: its parts would pass a dozen sizes to each other",
}

// TestFunctionLength parses all Go code but tests, generated files and modules of their own, such as the generators of assembly.
func TestFunctionLength(t *testing.T) {
	root := filepath.Join("..", "..")
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != root || d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || ast.IsGenerated(f) {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := path.Dir(filepath.ToSlash(rel)) + "." + functionName(fn)
			lines := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1
			switch {
			case lines <= longest:
			case longer[name] != "":
				used[name] = true
			default:
				t.Errorf("%s: %s has %d lines, want %d at most: take it apart into steps that have names", files.Position(fn.Pos()), name, lines, longest)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range longer {
		if !used[name] {
			t.Errorf("%s is an exception and needs none: it is gone, or has %d lines at most", name, longest)
		}
	}
}

// functionName names a function as (T).M or (*T).M if it is a method, without type parameters.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	of, _, _ := strings.Cut(types.ExprString(fn.Recv.List[0].Type), "[")
	return "(" + of + ")." + fn.Name.Name
}
