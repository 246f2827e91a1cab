package dot_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gonumdot "gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/multi"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dot"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/zoo"
)

// The ops of these tests: package ops is not needed to draw.
var (
	sub = graph.MustRegister(&graph.Op{
		Name: "dot_test_sub", Doc: "Subtracts.", Results: []string{"out"}, NoGrad: "a test",
		Args:   []graph.Arg{{Name: "a", Types: graph.AnyDType}, {Name: "b", Types: graph.AnyDType}},
		Attrs:  []graph.AttrSpec{{Name: "axis", Kind: graph.IntAttr, Default: int64(0), Doc: "d"}, {Name: "mode", Kind: graph.StringAttr, Default: "plain", Doc: "d"}},
		Infer:  func(c *graph.InferCtx) []graph.Type { return c.In[:1] },
		Ref:    func(*graph.RefCtx) {},
		Sample: "f32[]",
	})
	split = graph.MustRegister(&graph.Op{
		Name: "dot_test_split", Doc: "Two results.", Results: []string{"values", "indices"}, NoGrad: "a test",
		Args:   []graph.Arg{{Name: "x", Types: graph.AnyDType}},
		Infer:  func(c *graph.InferCtx) []graph.Type { return []graph.Type{c.In[0], c.In[0]} },
		Ref:    func(*graph.RefCtx) {},
		Sample: "f32[]",
	})
	apply = graph.MustRegister(&graph.Op{
		Name: "dot_test_apply", Doc: "Calls its region.", NoGrad: "a test", NumRegions: 1,
		NumResults: func(_ graph.Attrs, operands int) int { return operands },
		Args:       []graph.Arg{{Name: "xs", Types: graph.AnyType, Variadic: true}},
		Infer:      func(c *graph.InferCtx) []graph.Type { return c.In },
		Ref:        func(*graph.RefCtx) {},
		Sample:     "f32[]",
	})
)

// model has what a drawing must show: layers, a variable read and updated, an operand used twice, results by
// name, a region, text that needs quoting.
func model(t *testing.T) *graph.Func {
	t.Helper()
	m := graph.NewModule("net")
	w := m.Variable("w", graph.F32, []int{2, 3}, func(f *graph.Func, _ graph.Value) graph.Value {
		z, err := value.New(graph.F32, 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		return f.Const(z)
	})
	f := m.Func("main")
	at := graph.Pos{File: "/src/net.go", Line: 7}
	m.At(at, "", func() {
		x := f.Input("x", graph.F32, "N", 3)
		var y graph.Value
		m.At(graph.Pos{}, "body.0", func() {
			y = f.Emit(sub, []graph.Value{w.Read(f), x}, graph.Attrs{{Name: "mode", Value: "a\"<b>\\\n"}})[0]
		})
		m.At(graph.Pos{}, "body.1", func() {
			y = f.Emit(sub, []graph.Value{y, y}, nil)[0]
			r := f.Region("loop", []graph.Type{y.Type()}, func(r *graph.Func, in []graph.Value) []graph.Value {
				m.At(graph.Pos{}, "cell", func() { in = r.Emit(sub, []graph.Value{in[0], r.Scalar(graph.F32, 0.5)}, nil) })
				return in
			})
			y = f.Emit(apply, []graph.Value{y}, nil, r)[0]
		})
		parts := f.Emit(split, []graph.Value{y}, nil)
		f.Return("out", parts[1])
		f.Update(w, parts[0])
	})
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWrite(t *testing.T) {
	var got bytes.Buffer
	if err := dot.Write(&got, model(t), dot.Options{}); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/net.dot"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s (run with UPDATE=1 to rewrite it) -want +got:\n%s", golden, d)
	}
	if err := gonumdot.UnmarshalMulti(got.Bytes(), parsed{multi.NewDirectedGraph()}); err != nil {
		t.Errorf("the drawing does not parse: %v", err)
	}
}

// parsed receives a drawing; it takes nodes as they come, without what multi.DirectedGraph forbids.
type parsed struct{ *multi.DirectedGraph }

func TestFlat(t *testing.T) {
	var got bytes.Buffer
	if err := dot.Write(&got, model(t), dot.Options{Flat: true, Title: `a "title"`}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got.String(), "subgraph"); n != 1 { // the region
		t.Errorf("a flat drawing has %d clusters, want 1:\n%s", n, got.String())
	}
	if !strings.HasPrefix(got.String(), `digraph "a \"title\"" {`) {
		t.Errorf("the drawing begins with %.40q", got.String())
	}
}

// A training step has its gradients in clusters of their own, with edges that point up, and an optimizer's step of a weight as one node.
func TestTraining(t *testing.T) {
	model, ok := zoo.Lookup("lenet5")
	if !ok {
		t.Fatal("there is no model lenet5")
	}
	m, err := compile.Optimize(model.Build(), compile.Through("autodiff", "simplify", "fold", "cse", "dce"))
	if err != nil {
		t.Fatal(err)
	}
	f := m.LookupFunc("train")
	notes := map[*graph.Node][]string{f.Nodes()[1]: {"slot 7"}}
	var got, full bytes.Buffer
	if err := errors.Join(dot.Write(&got, f, dot.Options{Notes: notes}), dot.Write(&full, f, dot.Options{Full: true})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`label="conv1 gradient"`, `label="adam"`, `dir="back"`, `label="adam conv1.weight\n13 ops\nupdates exp_avg, exp_avg_sq"`,
		`label="conv\nkernel 5×5\npads 2\nslot 7"`, `label="@weight\nf32[6,1,5,5]"`,
		`label="conv_weight_grad\npads 2"`, `label="conv_input_grad"`, `label="max_pool\nkernel 2×2\nstrides 2"`, `label="max_pool_grad"`,
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(got.String(), "update @") || !strings.Contains(full.String(), `label="update @conv1.weight"`) {
		t.Error("updates of weights are nodes only of a full drawing")
	}
	for _, text := range []*bytes.Buffer{&got, &full} {
		if err := gonumdot.UnmarshalMulti(text.Bytes(), parsed{multi.NewDirectedGraph()}); err != nil {
			t.Errorf("the drawing does not parse: %v", err)
		}
	}
}

func TestNoFunction(t *testing.T) {
	if err := dot.Write(&bytes.Buffer{}, nil, dot.Options{}); err == nil {
		t.Error("want an error for a nil function")
	}
}
