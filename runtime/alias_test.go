package runtime_test

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/randgraph"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// TestResultsOverFeeds has results written over feeds that are needed once more: by an update, and by another result, which is a feed.
func TestResultsOverFeeds(t *testing.T) {
	m := graph.NewModule("m")
	zeros := func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 0, 4) }
	sum, last := m.Variable("sum", graph.F32, []int{4}, zeros), m.Variable("last", graph.F32, []int{4}, zeros)
	f, pure := m.Func("f"), m.Func("pure")
	x := f.Input("x", graph.F32, 4)
	f.Return("y", ops.Mul(x, 10))
	f.Update(sum, ops.Add(sum.Read(f), x))
	f.Update(last, x)
	x = pure.Input("x", graph.F32, 4)
	pure.Return("y", ops.Mul(x, 10))
	pure.Return("same", ops.Reshape(x, 2, 2))
	s := session(t, compiled(t, m))
	for _, fn := range []string{"f", "pure"} {
		x, same := vec(t, 1, 2, 3, 4), numbers(t, "f32[2,2]", 0, 0, 0, 0)
		results := map[string]value.Value{"y": x}
		if fn == "pure" {
			results["same"] = same
		}
		if err := s.RunInto(context.Background(), fn, map[string]value.Value{"x": x}, results); err != nil {
			t.Fatal(err)
		}
		if !value.Equal(x, vec(t, 10, 20, 30, 40)) {
			t.Errorf("%s: y is %v", fn, x)
		}
		if fn == "pure" && !value.Equal(same, numbers(t, "f32[2,2]", 1, 2, 3, 4)) {
			t.Errorf("a result that is a feed is %v", same)
		}
	}
	for _, name := range []string{"sum", "last"} {
		if v := s.Variable(name); !value.Equal(v, vec(t, 1, 2, 3, 4)) {
			t.Errorf("@%s is %v: the update has read what was written over the feed", name, v)
		}
	}
}

// TestResultsOverEachOther has two results written to storage of which they share a part: a third one, which is the first in another shape, has storage
// of its own and is right.
func TestResultsOverEachOther(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	a := ops.Mul(f.Input("x", graph.F32, 4), 10)
	f.Return("a", a)
	f.Return("b", ops.Reshape(a, 2, 2))
	f.Return("c", ops.Reshape(a, 4, 1))
	buf := make([]float32, 6)
	part := func(xs []float32, shape ...int) *value.Tensor {
		p, err := value.FromSlice(xs, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	c := part(make([]float32, 4), 4, 1)
	results := map[string]value.Value{"a": part(buf[:4], 4), "b": part(buf[2:], 2, 2), "c": c}
	if err := session(t, compiled(t, m)).RunInto(context.Background(), "f", map[string]value.Value{"x": vec(t, 1, 2, 3, 4)}, results); err != nil {
		t.Fatal(err)
	}
	if !value.Equal(c, numbers(t, "f32[4,1]", 10, 20, 30, 40)) {
		t.Errorf("c is %v", c)
	}
}

// TestResultsAnywhere has the results of random functions written over feeds and over each other: those that share storage with no other result are
// those of Run, and so are the variables.
func TestResultsAnywhere(t *testing.T) {
	ctx := context.Background()
	ran, refused := 0, 0 // calls; the latter for sizes that the graph does not take
	for seed := range uint64(150) {
		g := randgraph.Seeded(seed, randgraph.Options{Grad: seed%3 == 0})
		p := compiled(t, g.Module)
		if p.Funcs[g.Func].Dynamic {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		plain, over := session(t, p), session(t, p)
		for n := range 4 {
			feeds, err := g.Feeds(1 + n)
			if err != nil {
				t.Fatal(err)
			}
			want, err := plain.Run(ctx, g.Func, feeds)
			if err != nil && refuses(t, g, 1+n) {
				refused++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			ran++
			var free []*value.Tensor // where results may go
			mine, results := map[string]value.Value{}, map[string]value.Value{}
			for _, in := range g.Inputs {
				mine[in.Name] = value.Clone(feeds[in.Name])
				free = append(free, mine[in.Name].(*value.Tensor))
			}
			for _, o := range p.Funcs[g.Func].Outputs {
				w := want[o.Name].(*value.Tensor)
				i := slices.IndexFunc(free, func(f *value.Tensor) bool { return f.DType() == w.DType() && f.Len() == w.Len() && rng.IntN(2) == 0 })
				to, err := value.New(w.DType(), w.Shape()...)
				if i >= 0 {
					to, err = free[i].Reshape(w.Shape()...)
				}
				if err != nil {
					t.Fatal(err)
				}
				if free = append(free, to); rng.IntN(5) > 0 {
					results[o.Name] = to
				}
			}
			if err := over.RunInto(ctx, g.Func, mine, results); err != nil {
				t.Fatal(err)
			}
			for name, v := range results {
				shared := false
				for other, u := range results {
					shared = shared || other != name && u.(*value.Tensor).Overlaps(v.(*value.Tensor))
				}
				if !shared && !value.Equal(v, want[name]) {
					t.Fatalf("seed %d, N=%d: result %s differs", seed, 1+n, name)
				}
			}
			have := over.Variables()
			for name, v := range plain.Variables() {
				if !value.Equal(v, have[name]) {
					t.Fatalf("seed %d, N=%d: @%s differs", seed, 1+n, name)
				}
			}
		}
	}
	if ran < 2*refused {
		t.Errorf("%d calls run, and the graphs refuse the sizes of %d", ran, refused)
	}
}

// refuses reports whether a random graph does not take the sizes for n, as it was declared.
func refuses(t *testing.T, g *randgraph.Graph, n int) bool {
	declared, err := compile.Optimize(g.Module, compile.PassLimit(0))
	if err != nil {
		t.Fatal(err)
	}
	return declared.LookupFunc(g.Func).CheckSizes(randgraph.Sizes(n)) != nil
}

// TestResultsAreCounted wants a call refused whose results, copies of one value, do not fit beside each other.
func TestResultsAreCounted(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 29))
	m := graph.NewModule("m")
	f := m.Func("f")
	y := ops.Expand(ops.Sum(f.Input("x", graph.F32, "N")), "N", 1<<18)
	for _, name := range []string{"a", "b", "c", "d"} {
		f.Return(name, y)
	}
	s := session(t, compiled(t, m))
	for n, fits := range map[int]bool{1: true, 1 << 8: false} {
		x, err := value.New(graph.F32, n)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Run(context.Background(), "f", map[string]value.Value{"x": x})
		if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "out of memory: the call needs more than the 512.0 MiB there are") {
			t.Errorf("four results of %d MiB: %v", n, err)
		}
	}
}
