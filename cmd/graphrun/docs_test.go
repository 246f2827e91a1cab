package main

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// undocumented are the packages that TestPackageDocs does not look at.
var undocumented = []string{
	"graph/artifact", "models/data", "models/data/digits", "models/optim", "models/train", "models/zoo",
}

// TestPackageDocs wants every public package to teach by printed text: a package comment that shows code and what it
// prints, and an example that runs. What the comment shows is held against the examples.
func TestPackageDocs(t *testing.T) {
	for _, line := range list(t, "-f", `{{if .GoFiles}}{{.ImportPath}}={{.Dir}}{{end}}`, module+"/...") {
		path, dir, _ := strings.Cut(line, "=")
		path = strings.TrimPrefix(path, module+"/")
		if strings.HasPrefix(path, "cmd/") || slices.Contains(strings.Split(path, "/"), "internal") || slices.Contains(undocumented, path) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			text, examples := readPackage(t, dir)
			if !slices.ContainsFunc(examples, func(e *doc.Example) bool { return e.Output != "" }) {
				t.Error("no Example has an Output: add one to example_test.go")
			}
			if text == "" {
				t.Fatal("there is no package comment: add doc.go")
			}
			checkComment(t, text, dir)
		})
	}
}

// readPackage returns the comment and the examples of the package in a directory.
func readPackage(t *testing.T, dir string) (comment string, examples []*doc.Example) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var tests []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, f)
		} else {
			comment += f.Doc.Text()
		}
	}
	return comment, doc.Examples(tests...)
}

var printsText = regexp.MustCompile(`\bprints?\b`)

// checkComment wants a package comment to show code, and, after a paragraph that says so, what it prints. The
// lines of both stand in an example of the package, in this order; others may stand between them, such as
// what handles errors.
func checkComment(t *testing.T, text, dir string) {
	t.Helper()
	var p comment.Parser
	shown := 0
	blocks := p.Parse(text).Content
	for i, b := range blocks {
		code, ok := b.(*comment.Code)
		if !ok || i+2 >= len(blocks) {
			continue
		}
		says, isPara := blocks[i+1].(*comment.Paragraph)
		prints, isCode := blocks[i+2].(*comment.Code)
		if !isPara || !isCode || !printsText.MatchString(plain(says.Text)) {
			continue
		}
		shown++
		lines := append(trimmedLines(code.Text), trimmedLines(prints.Text)...)
		if missing := missingIn(t, dir, lines); missing != "" {
			t.Errorf("the package comment shows what no example has: %s", missing)
		}
	}
	if shown == 0 {
		t.Error("the package comment shows no code and what it prints")
	}
}

func plain(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		if t, ok := t.(comment.Plain); ok {
			b.WriteString(string(t))
		}
	}
	return b.String()
}

// missingIn returns the first line that is in no test file of a directory after those before it: of the file that has most
// of them.
func missingIn(t *testing.T, dir string, lines []string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	most := -1
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, line := range trimmedLines(string(src)) {
			printed := strings.TrimSpace(strings.TrimPrefix(line, "//")) // in an Output comment
			if found < len(lines) && (line == lines[found] || printed == lines[found]) {
				found++
			}
		}
		if found == len(lines) {
			return ""
		}
		most = max(most, found)
	}
	return lines[max(most, 0)]
}

// trimmedLines returns the lines of a text without the space around them, and without empty ones.
func trimmedLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
