package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// node is an application of an op whose kernel is bound.
type node struct {
	*graph.Node
	in   []*value.Tensor
	run  kernels.Func
	call *kernels.Call
}

// bindNode declares an op on tensors and binds its kernel; there is none if run is nil.
func bindNode(t *testing.T, op string, attrs graph.Attrs, in ...*value.Tensor) node {
	t.Helper()
	m := graph.NewModule("kernel")
	f := m.Func("f")
	xs := make([]graph.Value, len(in))
	spec := &kernels.Spec{}
	for i, x := range in {
		xs[i] = f.InputOf(fmt.Sprintf("x%d", i), graph.TypeOf(x))
		spec.InTypes = append(spec.InTypes, graph.TypeOf(x).(graph.TensorType))
	}
	outs := f.Emit(graph.LookupOp(op), xs, attrs)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	n := node{Node: outs[0].Node(), in: in, call: &kernels.Call{Spec: spec, In: in}}
	spec.Node, spec.Attrs = n.Node, n.Attrs()
	for _, o := range outs {
		typ := o.Type().(graph.TensorType)
		spec.OutTypes = append(spec.OutTypes, typ)
		shape, _ := typ.ConstShape()
		y, err := value.New(typ.DType, shape...)
		if err != nil {
			t.Fatal(err)
		}
		n.call.Out = append(n.call.Out, y)
	}
	k := kernels.Lookup(op, n.OperandTypes(), n.Attrs())
	if k == nil {
		return n
	}
	run, err := k.Bind(spec)
	if err != nil {
		t.Fatal(err)
	}
	n.run = run
	return n
}

// compute runs the kernel with 1, 2, 3 and 8 threads, demands the same bits and no allocation, and returns the results.
func (n node) compute(t *testing.T) []*value.Tensor {
	t.Helper()
	if n.run == nil {
		t.Fatalf("%s on %v has no kernel", n.Op().Name, n.OperandTypes())
	}
	defer parallel.SetThreads(0)
	var first []*value.Tensor
	for _, threads := range []int{1, 2, 3, 8} {
		parallel.SetThreads(threads)
		for _, y := range n.call.Out {
			for i := range y.Bytes() {
				y.Bytes()[i] = 1
			}
		}
		if err := n.run(n.call); err != nil {
			t.Fatal(err)
		}
		for i, y := range n.call.Out {
			if threads == 1 {
				first = append(first, y.Clone())
			} else if !y.Equal(first[i]) {
				t.Fatalf("%s on %v: result %d changes with %d threads", n.Op().Name, n.OperandTypes(), i, threads)
			}
		}
		if raceEnabled {
			continue
		}
		if a := testing.AllocsPerRun(2, func() { _ = n.run(n.call) }); a != 0 {
			t.Fatalf("%s on %v: %v allocations a call with %d threads", n.Op().Name, n.OperandTypes(), a, threads)
		}
	}
	return first
}

// reference computes the node by its op's reference, in float64 if the operands are floats.
func (n node) reference(t *testing.T) []*value.Tensor {
	t.Helper()
	in := make([]value.Value, len(n.in))
	for i, x := range n.in {
		in[i] = x
	}
	outs, err := graph.EvalNode(n.Node, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*value.Tensor, len(outs))
	for i, o := range outs {
		all[i] = o.(*value.Tensor)
	}
	return all
}

func ints(x ...int) []int64 {
	y := make([]int64, len(x))
	for i, v := range x {
		y[i] = int64(v)
	}
	return y
}

// normals returns a tensor of random numbers of a dtype.
func normals(dt graph.DType, seed uint64, scale float64, shape ...int) *value.Tensor {
	rng := rand.New(rand.NewPCG(seed, 77))
	e := value.NewExact(dt, shape)
	for i := range e.F {
		e.F[i] = scale * rng.NormFloat64()
	}
	for i := range e.I {
		e.I[i] = int64(rng.IntN(100)) - 50
	}
	for i := range e.U {
		e.U[i] = uint64(rng.IntN(100))
	}
	for i := range e.B {
		e.B[i] = rng.IntN(2) == 1
	}
	return e.Tensor()
}

var reduceCases = []struct {
	shape, axes []int
}{
	{[]int{}, []int{}},
	{[]int{7}, []int{}},
	{[]int{1}, []int{0}},
	{[]int{17}, []int{0}},
	{[]int{0, 3}, []int{0}},
	{[]int{3, 0}, []int{0}},
	{[]int{3, 33}, []int{1}},
	{[]int{33, 7}, []int{0}},
	{[]int{33, 1}, []int{0}},
	{[]int{1, 33}, []int{0}},
	{[]int{3, 33, 7}, []int{1}},
	{[]int{3, 7, 17}, []int{0, 2}},
	{[]int{3, 7, 17, 3}, []int{0, 2}},
	{[]int{3, 7, 17, 3}, []int{1, 3}},
	{[]int{5, 6, 7, 8}, []int{0, 2, 3}},
	{[]int{2, 3, 4, 5, 6}, []int{0, 2, 4}},
	{[]int{2, 3, 1, 5}, []int{2}},
	{[]int{100000}, []int{0}},
	{[]int{3, 40000}, []int{1}},
	{[]int{1000, 130}, []int{0}},
	{[]int{3, 1000, 70}, []int{1}},
	{[]int{20, 6, 28, 28}, []int{0, 2, 3}},
	{[]int{20000, 3}, []int{0}},
	{[]int{400, 600}, []int{0, -1}},
}

// TestReduce holds reductions over many shapes against their references; the error of a sum is that of a tree, far below that of
// adding one after the other.
func TestReduce(t *testing.T) {
	for _, op := range []string{"reduce_sum", "reduce_mean", "reduce_prod", "reduce_max", "reduce_min"} {
		for _, dt := range []graph.DType{graph.F32, graph.F64, graph.I64, graph.I32, graph.U8} {
			if op == "reduce_mean" && !dt.IsFloat() {
				continue
			}
			t.Run(op+"/"+dt.String(), func(t *testing.T) {
				eps := 0x1p-23
				if dt == graph.F64 {
					eps = 0x1p-52
				}
				for i, c := range reduceCases {
					x := normals(dt, uint64(i), 1, c.shape...)
					e := x.Exact()
					if op == "reduce_prod" {
						for i := range e.F {
							e.F[i] = 1 + 0.001*e.F[i]
						}
					}
					if n := x.Len(); n > 50 && dt.IsFloat() && (op == "reduce_max" || op == "reduce_min") {
						e.F[n/3] = math.NaN()
					}
					x = e.Tensor()
					attrs := graph.Attrs{{Name: "axes", Value: ints(c.axes...)}, {Name: "keepdims", Value: false}}
					n := bindNode(t, op, attrs, x)
					got, want := n.compute(t)[0], n.reference(t)[0]
					if !dt.IsFloat() {
						if !got.Equal(want) {
							t.Fatalf("%v over %v: %v, want %v", c.shape, c.axes, got, want)
						}
						continue
					}
					for i := range e.F {
						e.F[i] = math.Abs(e.F[i])
					}
					magnitude := bindNode(t, op, attrs, e.Tensor()).reference(t)[0].Float64s()
					g, w := got.Float64s(), want.Float64s()
					for i := range w {
						bound := 0.0
						switch op {
						case "reduce_sum", "reduce_mean":
							bound = 40 * eps * magnitude[i]
						case "reduce_prod":
							bound = float64(x.Len()) / float64(len(w)) * eps * math.Abs(w[i])
						}
						if !(math.Abs(g[i]-w[i]) <= bound || g[i] == w[i] || math.IsNaN(g[i]) && math.IsNaN(w[i])) {
							t.Fatalf("%v over %v: element %d is %v, want %v within %v", c.shape, c.axes, i, g[i], w[i], bound)
						}
					}
				}
			})
		}
	}
}

// TestRowsAlone gives each row of a batch, computed alone, the bits that it has among others.
func TestRowsAlone(t *testing.T) {
	last, axis := graph.Attrs{{Name: "axes", Value: ints(1)}}, graph.Attrs{{Name: "axis", Value: int64(1)}}
	for op, attrs := range map[string]graph.Attrs{
		"reduce_sum": last, "reduce_max": last, "reduce_mean": last, "softmax": axis, "log_softmax": axis, "logsumexp": last,
		"standardize": append(slices.Clone(last), graph.Attr{Name: "eps", Value: 1e-5}), "layer_norm": nil,
	} {
		for _, n := range []int{1, 7, 33, 1000, 20000} {
			x := normals(graph.F32, uint64(n), 2, 9, n)
			all := bindNode(t, op, attrs, x).compute(t)[0]
			size := len(all.Bytes()) / 9
			for r := range 9 {
				row, err := value.FromBytes(graph.F32, x.Bytes()[r*4*n:][:4*n], 1, n)
				if err != nil {
					t.Fatal(err)
				}
				one := bindNode(t, op, attrs, row).compute(t)[0]
				if !slices.Equal(one.Bytes(), all.Bytes()[r*size:][:size]) {
					t.Fatalf("%s of %d elements: row %d alone has other bits", op, n, r)
				}
			}
		}
	}
}

// TestRowOps holds softmax and the normalizations, over rows short and long, against their references.
func TestRowOps(t *testing.T) {
	for _, dt := range []graph.DType{graph.F32, graph.F64} {
		eps := 0x1p-23
		if dt == graph.F64 {
			eps = 0x1p-52
		}
		close := func(t *testing.T, n node, scale float64) {
			t.Helper()
			got, want := n.compute(t), n.reference(t)
			for k := range want {
				g, w := got[k].Float64s(), want[k].Float64s()
				for i := range w {
					if math.IsNaN(g[i]) && math.IsNaN(w[i]) || g[i] == w[i] {
						continue
					}
					if bound := 64 * eps * max(math.Abs(w[i]), scale); !(math.Abs(g[i]-w[i]) <= bound) {
						t.Fatalf("%s on %v: element %d of result %d is %v, want %v within %g", n.Op().Name, n.OperandTypes(), i, k, g[i], w[i], bound)
					}
				}
			}
		}
		for _, n := range []int{1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 100, 1000, 4095, 4096, 4097, 9000} {
			rows := 1 + 3000/n
			if n == 10 {
				rows = 5000
			}
			x := normals(dt, uint64(n), 5, rows, n)
			if n > 3 {
				d := x.Exact()
				d.F[n/2], d.F[n/2-1] = math.Inf(-1), 300
				x = d.Tensor()
			}
			axis := graph.Attrs{{Name: "axis", Value: int64(-1)}}
			close(t, bindNode(t, "softmax", axis, x), 0)
			close(t, bindNode(t, "log_softmax", axis, x), 0)
			close(t, bindNode(t, "logsumexp", graph.Attrs{{Name: "axes", Value: ints(1)}}, x), 1) // the maximum and the logarithm may cancel
			x = normals(dt, uint64(n), 5, rows, n)
			w, b := normals(dt, 1, 1, n), normals(dt, 2, 1, n)
			close(t, bindNode(t, "layer_norm", nil, x), 1)
			close(t, bindNode(t, "layer_norm", nil, x, w), 1)
			close(t, bindNode(t, "layer_norm", nil, x, w, b), 1)
			axes := graph.Attrs{{Name: "axes", Value: ints(1)}, {Name: "eps", Value: 1e-5}}
			close(t, bindNode(t, "standardize", axes, x), 1)
			variance := bindNode(t, "standardize", axes, x).reference(t)[2]
			if n > 1 {
				close(t, bindNode(t, "standardize_grad", axes, x, normals(dt, 3, 1, rows, n), variance), 10/math.Sqrt(minOf(variance)))
			}
		}
		// batch normalization: lanes of rows that are apart
		for _, shape := range [][]int{{3, 5, 7}, {64, 3, 14, 14}, {2, 3, 70, 70}, {5, 2, 1, 1}, {300, 2, 3, 3}} {
			axes := ints(0, 2, 3)[:len(shape)-1]
			attrs := graph.Attrs{{Name: "axes", Value: axes}, {Name: "eps", Value: 1e-5}}
			x := normals(dt, 9, 3, shape...)
			close(t, bindNode(t, "standardize", attrs, x), 1)
			variance := bindNode(t, "standardize", attrs, x).reference(t)[2]
			close(t, bindNode(t, "standardize_grad", attrs, x, normals(dt, 3, 1, shape...), variance), 10/math.Sqrt(minOf(variance)))
		}
	}
}

func minOf(t *value.Tensor) float64 { return slices.Min(t.Float64s()) }

// TestMoves holds the ops that move elements against their references, for elements of each size, over shapes large enough for
// blocks and threads.
func TestMoves(t *testing.T) {
	sizes := func(name string, x ...int) graph.Attr { return graph.Attr{Name: name, Value: graph.Ints(x...)} }
	list := func(name string, x ...int) graph.Attr { return graph.Attr{Name: name, Value: ints(x...)} }
	axis := func(a int) graph.Attr { return graph.Attr{Name: "axis", Value: int64(a)} }
	for _, dt := range []graph.DType{graph.Bool, graph.F16, graph.F32, graph.I64} {
		same := func(op string, in []*value.Tensor, attrs ...graph.Attr) {
			t.Helper()
			n := bindNode(t, op, attrs, in...)
			got, want := n.compute(t), n.reference(t)
			for i := range want {
				if !got[i].Equal(want[i]) {
					t.Fatalf("%s on %v %v: result %d is %v, want %v", op, n.OperandTypes(), attrs, i, got[i], want[i])
				}
			}
		}
		x := func(shape ...int) []*value.Tensor {
			return []*value.Tensor{normals(dt, uint64(len(shape)), 9, shape...)}
		}
		for _, shape := range [][]int{{}, {0}, {7}, {3, 0}, {1, 7}, {17, 33}, {170, 241}, {3, 1, 7}, {2, 3, 33, 5}, {2, 1, 3, 2, 3}, {40, 30, 50}} {
			for _, p := range permutations(len(shape)) {
				same("transpose", x(shape...), list("perm", p...))
			}
		}
		same("expand", x(1, 300), sizes("shape", 200, 300))
		same("expand", x(300, 1), sizes("shape", 300, 200))
		same("expand", x(), sizes("shape", 3, 50_000))
		same("expand", x(3, 1, 5, 1), sizes("shape", 7, 3, 11, 5, 2))
		same("slice", x(100, 90, 7), sizes("starts", 3, 89, 0), sizes("limits", 99, -1, 7), list("steps", 2, -3, 1))
		same("slice", x(1000, 90), sizes("starts", 500, 0), sizes("limits", 900, 90), list("steps", 1, 1))
		same("slice_grad", x(48, 30, 7), sizes("starts", 3, 89, 0), sizes("limits", 99, -1, 7), list("steps", 2, -3, 1), sizes("shape", 100, 90, 7))
		same("slice_grad", x(400, 50), sizes("starts", 500, 59), sizes("limits", 900, 9), list("steps", 1, -1), sizes("shape", 1000, 90))
		two := append(x(300, 70), normals(dt, 5, 9, 300, 41), normals(dt, 6, 9, 300, 0), normals(dt, 7, 9, 300, 1))
		same("concat", two, axis(1))
		same("split", x(300, 112), axis(1), sizes("sizes", 70, 0, 41, 1))
		same("pad", append(x(200, 100), normals(dt, 3, 9)), sizes("low", 3, -4), sizes("high", 0, 70))
		same("pad", append(x(20, 10), normals(dt, 3, 9)), sizes("low", -30, 2), sizes("high", 300, 0))
		same("pad_mode", x(40, 30), graph.Attr{Name: "mode", Value: "reflect"}, sizes("low", 3, 40), sizes("high", 90, 0))
		same("shift", x(200, 100), axis(0), graph.Attr{Name: "by", Value: int64(-7)})
		same("shift", x(200, 100), axis(1), graph.Attr{Name: "by", Value: int64(200)})
		if dt != graph.F16 {
			same("tril", x(3, 150, 99), graph.Attr{Name: "diagonal", Value: int64(-3)})
			same("triu", x(3, 99, 150), graph.Attr{Name: "diagonal", Value: int64(50)})
		}
		index := normals(graph.I64, 8, 1, 3, 200)
		for i, d := 0, index.Exact(); i < len(d.I); i++ {
			if d.I[i] %= 50; i == len(d.I)-1 {
				index = d.Tensor()
			}
		}
		same("gather", append(x(50, 70), index), axis(0))
		same("gather", append(x(3, 50, 2), index), axis(1))
		same("gather_elements", append(x(50, 200), index), axis(0))
	}
}

func permutations(n int) (all [][]int) {
	var extend func(p []int, used int)
	extend = func(p []int, used int) {
		if len(p) == n {
			all = append(all, slices.Clone(p))
			return
		}
		for i := range n {
			if used>>i&1 == 0 {
				extend(append(p, i), used|1<<i)
			}
		}
	}
	extend(nil, 0)
	return all
}

// TestLarge holds further kernels against their references on operands that threads share.
func TestLarge(t *testing.T) {
	axis := func(a int) graph.Attr { return graph.Attr{Name: "axis", Value: int64(a)} }
	near := func(tol float64, op string, attrs graph.Attrs, in ...*value.Tensor) {
		t.Helper()
		n := bindNode(t, op, attrs, in...)
		got, want := n.compute(t), n.reference(t)
		for i := range want {
			if err := value.AllClose(got[i], want[i], tol, tol); err != nil {
				t.Fatalf("%s: result %d: %v", op, i, err)
			}
		}
	}
	for _, dt := range []graph.DType{graph.F32, graph.F64, graph.I64, graph.I32} {
		x := normals(dt, 1, 1, 30, 700)
		index := normals(graph.I32, 8, 1, 40)
		for i, d := 0, index.Exact(); i < len(d.I); i++ {
			if d.I[i] %= 30; i == len(d.I)-1 {
				index = d.Tensor()
			}
		}
		near(1e-5, "index_add", graph.Attrs{axis(0)}, x, index, normals(dt, 3, 1, 40, 700))
		along := index.Exact()
		along.Shape = []int{4, 10}
		near(1e-5, "scatter_add", graph.Attrs{axis(0)}, x, along.Tensor(), normals(dt, 3, 1, 4, 10))
		near(1e-4, "cumsum", graph.Attrs{axis(1)}, x)
		near(0, "topk", graph.Attrs{axis(1), {Name: "k", Value: int64(5)}}, x)
		near(0, "topk", graph.Attrs{axis(0), {Name: "k", Value: int64(29)}, {Name: "largest", Value: false}}, x)
		near(0, "sort", graph.Attrs{axis(1), {Name: "descending", Value: true}}, x)
		near(0, "argmax", graph.Attrs{axis(1)}, x)
		near(0, "argmin", graph.Attrs{axis(0)}, x)
		near(0, "where", nil, normals(graph.Bool, 1, 1, 30, 1), x, normals(dt, 7, 1, 700))
		near(0, "maximum", nil, x, normals(dt, 7, 1, 700))
		near(0, "less", nil, x, normals(dt, 7, 1, 30, 1))
		for _, to := range []graph.DType{graph.Bool, graph.I8, graph.I32, graph.U32, graph.I64, graph.U64, graph.F32, graph.F64} {
			if to != dt {
				near(0, "cast", graph.Attrs{{Name: "to", Value: to}}, normals(dt, 1, 1e9, 30, 70))
			}
		}
	}
	key := value.NewExact(graph.U64, []int{2})
	key.U[0], key.U[1] = 81985529216486895, 4294967303
	for _, dt := range []graph.DType{graph.F32, graph.F64} {
		shape := graph.Attr{Name: "shape", Value: graph.Ints(100, 333)}
		attrs := graph.Attrs{shape, {Name: "dtype", Value: dt}, {Name: "stream", Value: int64(3)}}
		near(0, "random_uniform", attrs, key.Tensor())
		near(1e-6, "random_normal", attrs, key.Tensor())
		near(0, "iota", graph.Attrs{shape, {Name: "dtype", Value: dt}, axis(0)})
	}
}

// TestIndexRange refuses indices beyond the axis.
func TestIndexRange(t *testing.T) {
	index, err := value.FromSlice([]int64{1, 5}, 2)
	if err != nil {
		t.Fatal(err)
	}
	x := normals(graph.F32, 1, 1, 5, 3)
	axis := graph.Attrs{{Name: "axis", Value: int64(0)}}
	for _, n := range []node{
		bindNode(t, "gather", axis, x, index),
		bindNode(t, "index_add", axis, x, index, normals(graph.F32, 2, 1, 2, 3)),
	} {
		if err := n.run(n.call); err == nil || err.Error() != "index 5 is out of range for axis 0 of size 5" {
			t.Errorf("%s: %v", n.Op().Name, err)
		}
	}
}

// BenchmarkRows is to be read beside copy, which moves the same bytes.
func BenchmarkRows(b *testing.B) {
	parallel.SetThreads(1)
	defer parallel.SetThreads(0)
	run := func(name, op string, attrs graph.Attrs, in ...*value.Tensor) {
		n := bindNode(&testing.T{}, op, attrs, in...)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in[0].Bytes()) + len(n.call.Out[0].Bytes())))
			for b.Loop() {
				if err := n.run(n.call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	axis := graph.Attrs{{Name: "axis", Value: int64(1)}}
	for _, c := range [][2]int{{4096, 1000}, {4096, 768}, {64, 10}, {65536, 10}} {
		x := normals(graph.F32, 1, 1, c[0], c[1])
		name := fmt.Sprintf("%dx%d/", c[0], c[1])
		y := x.Clone()
		b.Run(name+"copy", func(b *testing.B) {
			b.SetBytes(2 * int64(len(x.Bytes())))
			for b.Loop() {
				copy(y.Bytes(), x.Bytes())
			}
		})
		w := normals(graph.F32, 1, 1, c[1])
		run(name+"softmax", "softmax", axis, x)
		run(name+"log_softmax", "log_softmax", axis, x)
		run(name+"layer_norm", "layer_norm", nil, x, w, w)
		run(name+"sum_rows", "reduce_sum", graph.Attrs{{Name: "axes", Value: ints(1)}}, x)
		run(name+"sum_cols", "reduce_sum", graph.Attrs{{Name: "axes", Value: ints(0)}}, x)
		run(name+"max_rows", "reduce_max", graph.Attrs{{Name: "axes", Value: ints(1)}}, x)
		run(name+"transpose", "transpose", graph.Attrs{{Name: "perm", Value: ints(1, 0)}}, x)
		run(name+"argmax", "argmax", axis, x)
	}
	key := value.NewExact(graph.U64, []int{2}).Tensor()
	attrs := graph.Attrs{{Name: "shape", Value: graph.Ints(1 << 20)}, {Name: "dtype", Value: graph.F32}, {Name: "stream", Value: int64(3)}}
	run("1M/random_uniform", "random_uniform", attrs, key)
	run("1M/random_normal", "random_normal", attrs, key)
}
