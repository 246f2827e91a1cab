package compile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// walk declares the model that ARCHITECTURE.md walks through every stage; the page quotes what stands between the
// markers.
func walk() *graph.Module {
	// begin walk
	m := graph.NewModule("walk")
	w := m.Variable("w", graph.F32, []int{3, 2}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.RandomUniform(f, graph.F32, -1, 1, 3, 2)
	})
	train := m.Func("train")
	x := train.Input("x", graph.F32, "N", 3)
	t := train.Input("t", graph.F32, "N", 2)
	p := ops.Log(ops.Softmax(ops.MatMul(x, w.Read(train)), 1))
	loss := ops.Neg(ops.ReduceMean(ops.Mul(t, p), nil, false))
	train.Return("loss", loss)
	dw := graph.Grad(loss, w.Read(train))[0]
	train.Update(w, ops.Sub(w.Read(train), ops.Mul(dw, 0.1)))
	// end walk
	return m
}

var block = regexp.MustCompile("(?s)(<!-- (walk|stage|table): ?([a-z0-9 ]*) -->\n```[a-z]*\n)(.*?)```\n")

// TestArchitecture keeps the printed text in ARCHITECTURE.md what the compiler prints; -update rewrites it.
func TestArchitecture(t *testing.T) {
	page := filepath.Join("..", "ARCHITECTURE.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	stages := stageTexts(t)
	seen := 0
	got := block.ReplaceAllStringFunc(string(text), func(b string) string {
		seen++
		m := block.FindStringSubmatch(b)
		want := ""
		switch m[2] {
		case "walk":
			want = walkSource(t)
		case "table":
			var rows strings.Builder
			for _, p := range compile.Passes {
				rows.WriteString(p.Name + "\n")
			}
			want = rows.String()
		default:
			var ok bool
			if want, ok = stages[m[3]]; !ok {
				t.Fatalf("ARCHITECTURE.md shows the stage %q, which there is not: a stage has the number of its row in compile.Passes", m[3])
			}
		}
		return m[1] + want + "```\n"
	})
	if seen < 6 {
		t.Errorf("ARCHITECTURE.md shows %d blocks: the markers are broken", seen)
	}
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(text), got); d != "" {
		t.Errorf("ARCHITECTURE.md is out of date (go test ./compile -update):\n%s", d)
	}
}

var namedFile = regexp.MustCompile("`([a-z0-9_./]+/[a-z0-9_./]*)`")

// TestArchitectureFiles wants every file and directory that ARCHITECTURE.md names to be there.
func TestArchitectureFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range namedFile.FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("ARCHITECTURE.md names %s: %v", m[1], err)
		}
	}
}

// stageTexts prints the function train after each row of the table, by "N pass", N from 1, and "0 declared".
func stageTexts(t *testing.T) map[string]string {
	m := walk()
	texts := map[string]string{"0 declared": m.String(), "0 train": m.LookupFunc("train").String()}
	var names []string
	for i, p := range compile.Passes {
		names = append(names, p.Name)
		o, err := compile.Optimize(m, compile.Through(names...))
		if err != nil {
			t.Fatal(err)
		}
		texts[strconv.Itoa(i+1)+" "+p.Name] = o.LookupFunc("train").String()
	}
	return texts
}

// walkSource cuts the declaration out of this file.
func walkSource(t *testing.T) string {
	src, err := os.ReadFile("architecture_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, src, _ = bytes.Cut(src, []byte("// begin walk\n"))
	src, _, _ = bytes.Cut(src, []byte("\t// end walk"))
	lines := strings.Split(string(src), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "\t")
	}
	return strings.Join(lines, "\n")
}
