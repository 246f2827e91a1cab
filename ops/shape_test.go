package ops_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

type values = []graph.Value

// normal returns floats of a shape.
func normal(rng *rand.Rand, shape ...int) *value.Tensor {
	e := value.NewExact(graph.F64, shape)
	for i := range e.F {
		e.F[i] = rng.NormFloat64()
	}
	return e.Tensor()
}

// evaluateWithGradients declares a function of inputs of the given types, and returns its result and its gradients on in.
func evaluateWithGradients(t *testing.T, types []graph.Type, in []value.Value, build func(x values) graph.Value) []value.Value {
	t.Helper()
	m := graph.NewModule("test")
	f := m.Func("f")
	x := make(values, len(types))
	for i, typ := range types {
		x[i] = f.InputOf(fmt.Sprint("x", i), typ)
	}
	y := build(x)
	f.Return("y", y)
	for i, dx := range graph.Grad(ops.ReduceSum(ops.Mul(y, y), nil, false), x...) {
		f.Return(fmt.Sprint("dx", i), dx)
	}
	m, err := compile.Optimize(m, compile.Through("autodiff"))
	if err != nil {
		t.Fatal(err)
	}
	outs, err := (&graph.Interpreter{}).Run(m.LookupFunc("f"), in)
	if err != nil {
		t.Fatal(err)
	}
	return outs
}

// TestSymbolicShapes declares the same function with symbols and with the sizes for which these stand: results and gradients
// must be the same.
func TestSymbolicShapes(t *testing.T) {
	sizes := map[string]int{"N": 3, "H": 7, "W": 6, "C": 4}
	size := func(x values, axis int) graph.Dim { return x[0].Shape()[axis] }
	conv := ops.ConvParams{Strides: []int{2}, Pads: []int{1}, Groups: 2}
	pool := ops.PoolParams{Kernel: []int{3}, Strides: []int{2}, Pads: []int{1}, CeilMode: true}
	for _, c := range []struct {
		name   string
		shapes []string
		build  func(x values) graph.Value
	}{
		{"reshape", []string{"N,H,W"}, func(x values) graph.Value { return ops.Reshape(x[0], size(x, 0), -1) }},
		{"flatten", []string{"N,H,W"}, func(x values) graph.Value { return ops.Flatten(x[0], 0, 1) }},
		{"expand", []string{"N,1"}, func(x values) graph.Value { return ops.Expand(x[0], 2, -1, size(x, 0)) }},
		{"slice", []string{"N,H"}, func(x values) graph.Value { return ops.Slice(x[0], 1, 2, -1, nil) }},
		{"slice step", []string{"N,H"}, func(x values) graph.Value { return ops.Slice(x[0], 1, 1, nil, 3) }},
		{"slice back", []string{"N,H"}, func(x values) graph.Value { return ops.Slice(x[0], 1, -2, nil, -2) }},
		{"slice beyond", []string{"N,H"}, func(x values) graph.Value { return ops.Slice(x[0], 0, -9, 99, 1) }},
		{"slice to a dim", []string{"N,H"}, func(x values) graph.Value { return ops.Slice(x[0], 1, size(x, 0), size(x, 1), nil) }},
		{"at", []string{"N,H"}, func(x values) graph.Value { return ops.At(x[0], 1, -1) }},
		{"flip", []string{"N,H"}, func(x values) graph.Value { return ops.Flip(x[0], 0, 1) }},
		{"pad", []string{"N,H"}, func(x values) graph.Value { return ops.Pad(x[0], []int{1, -2}, []int{0, 1}, 0.5) }},
		{"pad reflect", []string{"N,H"}, func(x values) graph.Value { return ops.PadWith(ops.PadReflect, x[0], []int{1, 3}, []int{2, 0}) }},
		{"concat", []string{"N,H", "N,W"}, func(x values) graph.Value { return ops.Concat(1, x...) }},
		{"stack", []string{"N,H", "N,H"}, func(x values) graph.Value { return ops.Stack(1, x...) }},
		{"split", []string{"N,H"}, func(x values) graph.Value { return ops.Split(x[0], 1, 2, -1, 1)[1] }},
		{"chunk", []string{"N,4*H"}, func(x values) graph.Value { return ops.Chunk(x[0], 4, 1)[2] }},
		{"matmul", []string{"N,H,W", "W,4"}, func(x values) graph.Value { return ops.MatMul(x[0], x[1]) }},
		{"matmul vector", []string{"N,H,W", "W"}, func(x values) graph.Value { return ops.MatMul(x[0], x[1]) }},
		{"row matmul", []string{"H", "N,H,W"}, func(x values) graph.Value { return ops.MatMul(x[0], x[1]) }},
		{"einsum", []string{"N,H,W,4", "N,W,4,C"}, func(x values) graph.Value { return ops.Einsum("nhwk,nwkc->ncwh", x...) }},
		{"conv", []string{"N,C,H,W", "6,2,3,2"}, func(x values) graph.Value { return ops.Conv(x[0], x[1], conv) }},
		{"conv transpose", []string{"N,C,H,W", "C,3,3,2"}, func(x values) graph.Value { return ops.ConvTranspose(x[0], x[1], conv, 1) }},
		{"conv transpose, much output padding", []string{"N,2,H", "2,3,2"}, func(x values) graph.Value {
			return ops.ConvTranspose(x[0], x[1], ops.ConvParams{Dilations: []int{3}, Pads: []int{1}}, 2)
		}},
		{"max pool", []string{"N,C,H,W"}, func(x values) graph.Value {
			y, _ := ops.MaxPool(x[0], pool)
			return y
		}},
		{"avg pool", []string{"N,C,H,W"}, func(x values) graph.Value { return ops.AvgPool(x[0], pool) }},
		{"adaptive", []string{"N,C,H,W"}, func(x values) graph.Value { return ops.AdaptiveAvgPool(x[0], 3, nil) }},
		{"topk", []string{"N,H"}, func(x values) graph.Value {
			y, _ := ops.TopK(x[0], 2, 0, true)
			return y
		}},
		{"gather", []string{"N,H"}, func(x values) graph.Value {
			return ops.Gather(x[0], 1, ops.Iota(x[0].Func(), graph.I64, 0, size(x, 0), 2))
		}},
		{"one hot", []string{"N,H"}, func(x values) graph.Value {
			return ops.MatMul(ops.OneHot(ops.Arange(x[0].Func(), graph.I32, size(x, 0)), size(x, 0), graph.F64), x[0])
		}},
		{"diagonal", []string{"N,H,H"}, func(x values) graph.Value { return ops.Diagonal(x[0], 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var symbolic, constant []graph.Type
			var in []value.Value
			for _, s := range c.shapes {
				typ, err := graph.ParseType("f64[" + s + "]")
				if err != nil {
					t.Fatal(err)
				}
				env := map[string]graph.Dim{}
				for name, n := range sizes {
					env[name] = graph.Ints(n)[0]
				}
				bound, err := graph.SubstType(typ, env)
				if err != nil {
					t.Fatal(err)
				}
				shape, _ := bound.(graph.TensorType).ConstShape()
				symbolic, constant, in = append(symbolic, typ), append(constant, bound), append(in, normal(rng, shape...))
			}
			got, want := evaluateWithGradients(t, symbolic, in, c.build), evaluateWithGradients(t, constant, in, c.build)
			for i := range want {
				if !value.Equal(got[i], want[i]) {
					t.Errorf("result %d is %v with symbols, %v with sizes", i, got[i], want[i])
				}
			}
		})
	}
}

// TestMovement has what the functions give on known sizes.
func TestMovement(t *testing.T) {
	for _, c := range []struct {
		want  string
		build func(f *graph.Func, x graph.Value) graph.Value // x is i64[3,4] of 0, 1 ... 11
	}{
		{"[[0 1 2 3 4 5] [6 7 8 9 10 11]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Reshape(x, 2, -1) }},
		{"[0 1 2 3 4 5 6 7 8 9 10 11]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Flatten(x, 0, -1) }},
		{"[[0 4 8] [1 5 9] [2 6 10] [3 7 11]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.T(x) }},
		{"[[0 4 8] [1 5 9] [2 6 10] [3 7 11]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Transpose(x) }},
		{"[[2 1] [6 5]]", func(_ *graph.Func, x graph.Value) graph.Value {
			return ops.Slice(ops.Slice(x, 0, nil, -1, nil), 1, 2, 0, -1)
		}},
		{"i64[3,0] []", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Slice(x, 1, 3, 1, nil) }},
		{"[[11 10 9 8] [7 6 5 4] [3 2 1 0]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Flip(x, 0, -1) }},
		{"[1 5 9]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.At(x, -1, 1) }},
		{"[8 9 10 11]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.At(x, 0, -1) }},
		{"[[2 3] [6 7] [10 11]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Chunk(x, 3, 1)[1] }},
		{"[[8 9 10 11]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Chunk(x, 2, 0)[1] }},
		{"[0 5 10]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Diagonal(x, 0) }},
		{"[4 9]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Diagonal(x, -1) }},
		{"[2 7]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Diagonal(x, 2) }},
		{"i64[] 15", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Einsum("ii", ops.Slice(x, 1, 0, 3, 1)) }},
		{"[6 22 38]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Einsum("ij->i", x) }},
		{"[[14 38 62] [38 126 214] [62 214 366]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.Einsum("ij,kj", x, x) }},
		{"[144 225 324 441]", func(_ *graph.Func, x graph.Value) graph.Value {
			return ops.Einsum("i...,j...,k->...", x, x, ops.Full(x.Func(), graph.I64, 1, 1))
		}},
		{"[[0 1 0] [0 0 0]]", func(f *graph.Func, _ graph.Value) graph.Value {
			return ops.OneHot(ops.Sub(1, ops.Mul(ops.Arange(f, graph.I64, 2), 2)), 3, graph.I64)
		}},
		{"[[9 9 9 9] [9 9 9 9] [9 9 9 9]]", func(_ *graph.Func, x graph.Value) graph.Value { return ops.FullLike(x, 9) }},
		{"[[0 0 0] [0 1 2] [0 2 4]]", func(f *graph.Func, _ graph.Value) graph.Value {
			return ops.Outer(ops.Arange(f, graph.I64, 3), ops.Arange(f, graph.I64, 3))
		}},
		{"i64[] 5", func(f *graph.Func, _ graph.Value) graph.Value {
			return ops.Dot(ops.Arange(f, graph.I64, 3), ops.Arange(f, graph.I64, 3))
		}},
	} {
		m := graph.NewModule("test")
		f := m.Func("f")
		f.Return("y", c.build(f, ops.Reshape(ops.Arange(f, graph.I64, 12), 3, 4)))
		if err := m.Err(); err != nil {
			t.Error(err)
			continue
		}
		outs, err := (&graph.Interpreter{}).Run(f, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := outs[0].(*value.Tensor).String(); !strings.HasSuffix(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestShapeFaults has the messages for what is refused when it is declared.
func TestShapeFaults(t *testing.T) {
	f32 := func(f *graph.Func, name string, dims ...any) graph.Value { return f.Input(name, graph.F32, dims...) }
	for _, c := range []struct {
		want  string
		build func(f *graph.Func, x graph.Value) // x is f32[N,4]
	}{
		{
			"reshape: the number of elements changes: x is f32[N,4] with 4*N, the result would be f32[3] with 3",
			func(_ *graph.Func, x graph.Value) { ops.Reshape(x, 3) },
		},
		{
			"reshape: axis 1 cannot be inferred: the other sizes hold no elements",
			func(_ *graph.Func, x graph.Value) { ops.Reshape(x, 0, -1) },
		},
		{"reshape: only one size may be -1, have [-1 -1]", func(_ *graph.Func, x graph.Value) { ops.Reshape(x, -1, -1) }},
		{"transpose: want each axis from 0 to 1 once, have [0 0]: x is f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.Transpose(x, 0, 0) }},
		{"squeeze: axis 1 has size 4, not 1: x is f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.Squeeze(x, -1) }},
		{
			"expand: x does not broadcast to the result: x is f32[N,4], the result would be f32[N,8]",
			func(_ *graph.Func, x graph.Value) { ops.Expand(x, -1, 8) },
		},
		{"slice: axis 2 is out of range: x is f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.Slice(x, 2, nil, nil, nil) }},
		{"slice: index 4 is out of range for axis 1 of size 4", func(_ *graph.Func, x graph.Value) { ops.At(x, 1, 4) }},
		{
			"pad: axis 1 has not as many elements as low -3 and high -2 take away: x is f32[N,4]",
			func(_ *graph.Func, x graph.Value) { ops.Pad(x, []int{0, -3}, []int{0, -2}, 0.0) },
		},
		{
			"concat: sizes of axis 0 differ: operand 0 is f32[N,4], operand 1 is f32[N+1,4]",
			func(f *graph.Func, x graph.Value) { ops.Concat(1, x, f32(f, "y", "N+1", 4)) },
		},
		{"split: sizes [1 2] do not make up axis 1: x is f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.Split(x, 1, 1, 2) }},
		{"matmul: inner dimensions differ: a is f32[N,4], b is f32[5,6]", func(f *graph.Func, x graph.Value) { ops.MatMul(x, f32(f, "w", 5, 6)) }},
		{
			"matmul: inner dimensions differ: a is f32[2,N,4], b is f32[5,6]",
			func(f *graph.Func, x graph.Value) { ops.MatMul(f32(f, "a", 2, "N", 4), f32(f, "w", 5, 6)) },
		},
		{
			"matmul: the leading axes do not broadcast: a is f32[2,N,4], b is f32[3,4,6]",
			func(f *graph.Func, x graph.Value) { ops.MatMul(f32(f, "a", 2, "N", 4), f32(f, "w", 3, 4, 6)) },
		},
		{`einsum: "ij,jk": it takes 2 operands, have 1`, func(_ *graph.Func, x graph.Value) { ops.Einsum("ij,jk", x) }},
		{
			`einsum: "ij,jk": j is 5 in operand 1, which is f32[5,6], and 4 before`,
			func(f *graph.Func, x graph.Value) { ops.Einsum("ij,jk", x, f32(f, "w", 5, 6)) },
		},
		{`einsum: "ij->k": k of the result is in no operand`, func(_ *graph.Func, x graph.Value) { ops.Einsum("ij->k", x) }},
		{"gather: indices: want i32|i64, have f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.Gather(x, 0, x) }},
		{"topk: k is 5, axis 1 has size 4: x is f32[N,4]", func(_ *graph.Func, x graph.Value) { ops.TopK(x, 5, -1, true) }},
		{
			"conv: want one rank from 3 to 5: batch, channels and up to 3 spatial axes: x is f32[N,4], w is f32[N,4]",
			func(_ *graph.Func, x graph.Value) { ops.Conv(x, x, ops.ConvParams{}) },
		},
		{
			"conv: channels differ: x has 3 in 1 groups, w takes 4: x is f32[N,3,8,8], w is f32[6,4,5,5]",
			func(f *graph.Func, _ graph.Value) {
				ops.Conv(f32(f, "image", "N", 3, 8, 8), f32(f, "w", 6, 4, 5, 5), ops.ConvParams{})
			},
		},
		{
			"conv: the kernel does not fit into spatial axis 1: size 3 with pads [0 0 0 0], kernel 5 with dilation 1: x is f32[N,4,8,3], w is f32[6,4,5,5]",
			func(f *graph.Func, _ graph.Value) {
				ops.Conv(f32(f, "image", "N", 4, 8, 3), f32(f, "w", 6, 4, 5, 5), ops.ConvParams{})
			},
		},
		{
			"conv: 4 groups do not divide the 6 channels of x: x is f32[N,6,8], w is f32[4,1,3]",
			func(f *graph.Func, _ graph.Value) {
				ops.Conv(f32(f, "image", "N", 6, 8), f32(f, "w", 4, 1, 3), ops.ConvParams{Groups: 4})
			},
		},
		{
			"conv: want 2 strides for 2 spatial axes, have [1 1 1]",
			func(f *graph.Func, _ graph.Value) {
				ops.Conv(f32(f, "image", "N", 4, 8, 8), f32(f, "w", 6, 4, 5, 5), ops.ConvParams{Strides: []int{1, 1, 1}})
			},
		},
		{
			"conv_transpose: output padding 2 is not less than stride 2 or dilation 1: x is f32[N,4,8], w is f32[4,6,3]",
			func(f *graph.Func, _ graph.Value) {
				ops.ConvTranspose(f32(f, "image", "N", 4, 8), f32(f, "w", 4, 6, 3), ops.ConvParams{Strides: []int{2}}, 2)
			},
		},
		{
			"max_pool: pads [2 2] of spatial axis 0 exceed the window: kernel [2]: x is f32[N,4,8]",
			func(f *graph.Func, _ graph.Value) {
				ops.MaxPool(f32(f, "image", "N", 4, 8), ops.PoolParams{Kernel: []int{2}, Pads: []int{2}})
			},
		},
		{
			"max_pool: a window of spatial axis 0 has nothing but padding: kernel [2], dilation 3, pads [1 1]: x is f32[N,4,2]",
			func(f *graph.Func, _ graph.Value) {
				ops.MaxPool(f32(f, "image", "N", 4, 2), ops.PoolParams{Kernel: []int{2}, Pads: []int{1}, Dilations: []int{3}})
			},
		},
		{
			"avg_pool: the window does not fit into spatial axis 0 of size 2 with pads [0 0]: kernel [3]: x is f32[N,4,2]",
			func(f *graph.Func, _ graph.Value) {
				ops.AvgPool(f32(f, "image", "N", 4, 2), ops.PoolParams{Kernel: []int{3}})
			},
		},
	} {
		m := graph.NewModule("test")
		f := m.Func("f")
		c.build(f, f32(f, "x", "N", 4))
		err := m.Err()
		if err == nil {
			t.Errorf("accepted, want %s", c.want)
			continue
		}
		_, got, _ := strings.Cut(err.Error(), ": ")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestIndexFaults has the messages for indices that are refused when they are known.
func TestIndexFaults(t *testing.T) {
	data, err := value.FromSlice([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	at, err := value.FromSlice([]int64{0, 3, 1}, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"gather", "gather_elements", "scatter_add"} {
		in := []value.Value{data, at}
		if op == "scatter_add" {
			in = append(in, at)
		}
		_, err := graph.Evaluate(graph.LookupOp(op), in, graph.Attrs{{Name: "axis", Value: int64(1)}})
		want := op + ": index 3 is out of range for axis 1 of size 3"
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
}

// TestMissingOperands passes the zero Value, and the value of a refused node, to every function: nothing panics, and the
// refused one is not reported again.
func TestMissingOperands(t *testing.T) {
	ones := []int{1}
	all := func(x graph.Value) {
		ops.Reshape(x, 1)
		ops.Flatten(x, 0, -1)
		ops.Squeeze(x, 0)
		ops.Unsqueeze(x, 0)
		ops.Transpose(x, 1, 0)
		ops.SwapAxes(x, 0, 1)
		ops.T(x)
		ops.Expand(x, 2)
		ops.ZerosLike(x)
		ops.OnesLike(x)
		ops.FullLike(x, 2)
		ops.Tril(x, 0)
		ops.Triu(x, 0)
		ops.Slice(x, 0, nil, nil, nil)
		ops.At(x, 0, 0)
		ops.Flip(x, 0)
		ops.Pad(x, ones, ones, 0)
		ops.PadWith(ops.PadEdge, x, ones, ones)
		ops.Concat(0, x, x)
		ops.Stack(0, x, x)
		_ = ops.Split(x, 0, 1, 2)[1]
		_ = ops.Chunk(x, 2, 0)[1]
		ops.Gather(x, 0, x)
		ops.Embedding(x, x)
		ops.IndexAdd(x, 0, x, x)
		ops.GatherElements(x, 0, x)
		ops.ScatterAdd(x, 0, x, x)
		ops.OneHot(x, 3, graph.F32)
		ops.Diagonal(x, 0)
		ops.TopK(x, 1, 0, true)
		ops.Sort(x, 0, false)
		ops.MatMul(x, x)
		ops.Dot(x, x)
		ops.Outer(x, x)
		ops.Einsum("ij,jk", x, x)
		ops.Conv(x, x, ops.ConvParams{})
		ops.ConvTranspose(x, x, ops.ConvParams{})
		ops.MaxPool(x, ops.PoolParams{Kernel: ones})
		ops.MaxUnpool(x, x, 1)
		ops.AvgPool(x, ops.PoolParams{Kernel: ones})
		ops.AdaptiveAvgPool(x, 1)
	}
	all(graph.Value{})
	ops.Concat(0)
	ops.Stack(0)
	ops.Einsum("i")
	m := graph.NewModule("test")
	f := m.Func("f")
	refused := ops.Transpose(f.Input("x", graph.F32, 2, 3), 0, 0)
	all(refused)
	if ds, _ := m.Err().(graph.Diagnostics); len(ds) != 1 {
		t.Errorf("want the one fault of the transpose, have:\n%v", m.Err())
	}
}
