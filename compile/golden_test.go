package compile_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
)

var update = flag.Bool("update", false, "rewrite the golden files with what the passes give now")

// TestGolden runs passes by name over text and compares text: each file of testdata holds "in", the names of the passes
// in its comment ("passes: ..."), then "out" and what the rules counted.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, list, ok := strings.Cut(string(a.Comment), "passes:")
			if !ok || len(a.Files) == 0 || a.Files[0].Name != "in" {
				t.Fatalf(`%s: want a comment "passes: ..." and a first file "in"`, file)
			}
			list, _, _ = strings.Cut(list, "\n")
			m, err := graph.Parse(file, a.Files[0].Data, graph.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var stats []compile.RowStats
			o, err := compile.Optimize(m, compile.Through(strings.Fields(list)...), compile.Stats(&stats))
			if err != nil {
				t.Fatal(err)
			}
			if err := graph.Verify(o); err != nil {
				t.Errorf("from scratch: %v", err)
			}
			var counts strings.Builder
			for _, s := range stats {
				fmt.Fprintf(&counts, "%s:", s.Pass)
				for _, rule := range slices.Sorted(maps.Keys(s.Rewrites)) {
					fmt.Fprintf(&counts, " %s=%d", rule, s.Rewrites[rule])
				}
				counts.WriteByte('\n')
			}
			got := []txtar.File{a.Files[0], {Name: "out", Data: []byte(o.String())}, {Name: "rewrites", Data: []byte(counts.String())}}
			if *update {
				a.Files = got
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(txtar.Format(a)), string(txtar.Format(&txtar.Archive{Comment: a.Comment, Files: got}))); d != "" {
				t.Errorf("the golden file and the passes differ (-update rewrites it):\n%s", d)
			}
		})
	}
}
