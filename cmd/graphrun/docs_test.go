package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPackageDocs wants every public package to teach by printed text: a package comment that shows code and what it
// prints, and an example that runs. What the comment shows is held against the examples.
func TestPackageDocs(t *testing.T) {
	for _, line := range list(t, "-f", `{{if .GoFiles}}{{.ImportPath}}={{.Dir}}{{end}}`, module+"/...") {
		path, dir, _ := strings.Cut(line, "=")
		path = strings.TrimPrefix(path, module+"/")
		if strings.HasPrefix(path, "cmd/") || slices.Contains(strings.Split(path, "/"), "internal") {
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
			printed := strings.TrimSpace(strings.TrimPrefix(line, "//"))
			printed = strings.TrimPrefix(printed, "Output: ")
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

// TestPages does what the pages and README.md say, each in a folder of its own: it writes their files, runs their commands in order and
// compares what these print. What is marked how in a page:
//
//	```go main.go     a file; all Go has a name, and is vetted
//	```console        commands after "$ ", each followed by what it prints; "..." stands for any text within a line, and
//	                  a line of it for any lines; a command that fails prints "exit status N" last
//	```sh, ```text    not looked at
func TestPages(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	pages, err := filepath.Glob(filepath.Join("docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			checkPage(t, string(text))
		})
	}
}

var fence = regexp.MustCompile("(?ms)^```(\\w*) ?([^\n]*)\n(.*?)^```$")

// TestReadmeProgram holds README.md to a program that trains, tests and saves in 25 lines.
func TestReadmeProgram(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "\nfunc main() {\n")
	body, _, ok := strings.Cut(body, "\n}\n```\n")
	if n := strings.Count(body, "\n") + 1; !ok || n > 25 {
		t.Errorf("the program of README.md has %d lines in main: want 25 at most", n)
	}
}

func checkPage(t *testing.T, text string) {
	dir := t.TempDir()
	writeModule(t, dir)
	hasGo := false
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		lang, name, body := m[1], m[2], m[3]
		switch {
		case lang == "console":
			runConsole(t, dir, body)
		case name != "":
			writePageFile(t, filepath.Join(dir, filepath.FromSlash(name)), body)
		case lang == "go":
			t.Errorf("a block of Go has no name of a file:\n%s", body)
		}
		hasGo = hasGo || lang == "go"
	}
	if hasGo {
		if out, err := pageCommand(dir, "go vet ./...").CombinedOutput(); err != nil {
			t.Errorf("the Go of the page: %v\n%s", err, out)
		}
	}
}

// writeModule makes a folder a module that requires this one, as it stands here, and what this one requires.
func writeModule(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			text = bytes.Replace(text, []byte("module "+module), []byte("module example.com/page"), 1)
			text = fmt.Appendf(text, "\nrequire %s v0.0.0\n\nreplace %s => %q\n", module, module, root)
		}
		writePageFile(t, filepath.Join(dir, name), string(text))
	}
}

func writePageFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func pageCommand(dir, line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "NO_COLOR=1")
	return cmd
}

// runConsole runs the commands of a block and compares what each prints with what the page shows.
func runConsole(t *testing.T, dir, block string) {
	t.Helper()
	for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
		line, want, _ := strings.Cut(step, "\n")
		for strings.HasSuffix(line, "\\") {
			var next string
			next, want, _ = strings.Cut(want, "\n")
			line += "\n" + next
		}
		out, err := pageCommand(dir, line).CombinedOutput()
		if err != nil && !bytes.Contains(out, []byte("exit status ")) {
			out = fmt.Appendf(out, "%v\n", err)
		}
		if !pattern(want).MatchString(trimRight(string(out))) {
			t.Errorf("$ %s\nprints\n%s\nthe page shows\n%s", line, out, want)
		}
	}
}

// pattern makes a regular expression of what a page shows.
func pattern(shown string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^`)
	for line := range strings.Lines(trimRight(shown)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "..." {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`) + `\n`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String())
}

// trimRight removes the space at the ends of lines and the empty lines at the end.
func trimRight(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \t\r\n") + "\n")
	}
	if text = strings.TrimRight(b.String(), "\n"); text != "" {
		text += "\n"
	}
	return text
}
