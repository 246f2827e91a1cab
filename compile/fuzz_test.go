package compile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// FuzzCompile parses text with all ops registered. Nothing panics; what parses prints to text that parses to the same
// text; and what parses compiles or is refused, never through a fault of the compiler's own.
func FuzzCompile(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range a.Files {
			if part.Name != "rewrites" {
				f.Add(string(part.Data))
			}
		}
	}
	for _, op := range graph.Ops() { // every op once, on its first sample
		if m := sampleModule(op); m != nil {
			f.Add(m.String())
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			return
		}
		m, err := graph.Parse("fuzz.graph", []byte(text), graph.ParseOptions{})
		if err != nil {
			if strings.Contains(err.Error(), "BUG") {
				t.Fatal(err)
			}
			return
		}
		printed := m.String()
		again, err := graph.Parse("again.graph", []byte(printed), graph.ParseOptions{})
		if err != nil {
			t.Fatalf("its text does not parse: %v\n%s", err, printed)
		}
		if got := again.String(); got != printed {
			t.Fatalf("print, parse, print changes\n%s\nto\n%s", printed, got)
		}
		p, err := compile.Compile(m)
		if err == nil {
			err = graph.Verify(p.Module)
		} else if !strings.Contains(err.Error(), "BUG") {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// sampleModule applies an op to its first sample, nil if that takes more than attributes.
func sampleModule(op *graph.Op) *graph.Module {
	samples, err := ops.SamplesOf(op)
	if err != nil || len(samples) == 0 || samples[0].Build != nil {
		return nil
	}
	first := samples[0]
	m := graph.NewModule("sample")
	f := m.Func("f")
	var in []graph.Value
	for i, feed := range first.In {
		in = append(in, f.InputOf("x"+string(rune('a'+i)), feed.Type))
	}
	outs := f.Emit(op, in, first.Attrs)
	for i, v := range outs {
		f.Return("y"+string(rune('a'+i)), v)
	}
	if m.Err() != nil {
		return nil
	}
	return m
}
