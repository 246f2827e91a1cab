package runtime_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// examples returns some of the examples that lie along an axis.
func examples(t *testing.T, x *value.Tensor, axis, from, n int) *value.Tensor {
	t.Helper()
	shape := slices.Clone(x.Shape())
	size := len(x.Bytes()) / x.Len() // of what is behind the axis
	for _, d := range shape[axis+1:] {
		size *= d
	}
	var b []byte
	for row := x.Bytes(); len(row) > 0; row = row[shape[axis]*size:] {
		b = append(b, row[from*size:(from+n)*size]...)
	}
	shape[axis] = n
	part, err := value.FromBytes(x.DType(), b, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// reductions are what ends the expressions of TestReductionsOfBatches; those of one axis take the last.
var reductions = []func(x graph.Value, axes []int) graph.Value{
	func(x graph.Value, axes []int) graph.Value { return ops.ReduceSum(x, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.ReduceMean(x, axes, true) },
	func(x graph.Value, axes []int) graph.Value { return ops.ReduceMax(x, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.ReduceProd(x, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.LogSumExp(x, axes, true) },
	func(x graph.Value, axes []int) graph.Value { return ops.Var(x, axes, 1, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.Std(x, axes, 0, true) },
	func(x graph.Value, axes []int) graph.Value { return ops.Norm(x, 1, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.Norm(x, 2, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.Norm(x, 3, axes, false) },
	func(x graph.Value, axes []int) graph.Value { return ops.Softmax(x, axes[len(axes)-1]) },
	func(x graph.Value, axes []int) graph.Value { return ops.LogSoftmax(x, axes[len(axes)-1]) },
	func(x graph.Value, axes []int) graph.Value { return ops.CumSum(x, axes[len(axes)-1]) },
	func(x graph.Value, axes []int) graph.Value { y, _, _ := ops.Standardize(x, axes, 1e-5); return y },
}

// TestReductionsOfBatches reduces axes other than that of the examples, fused with what they reduce and alone: an example has the same bits
// in any batch, wherever its axis, and for any number of threads.
func TestReductionsOfBatches(t *testing.T) {
	const most = 67
	defer parallel.SetThreads(0)
	seeds := uint64(300)
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 9))
		shape, elements := []any{}, 1
		var axes []int
		rank := 2 + rng.IntN(3)
		batch := max(0, rng.IntN(2*rank)-rank) // the first axis as often as all others
		for i := range rank {
			if i == batch {
				shape = append(shape, "N")
				continue
			}
			n := []int{1, 2, 3, 5, 16, 21, 130, 300, 5000}[rng.IntN(9)]
			if elements *= n; elements > 6000 {
				elements, n = elements/n*2, 2
			}
			if shape = append(shape, n); rng.IntN(2) == 0 {
				axes = append(axes, i)
			}
		}
		if len(axes) == 0 {
			axes = []int{(batch + 1 + rng.IntN(rank-1)) % rank}
		}
		m := graph.NewModule("m")
		f := m.Func("f")
		dt := []graph.DType{graph.F32, graph.F32, graph.F64}[rng.IntN(3)]
		x := f.Input("x", dt, shape...)
		for i := range rng.IntN(4) {
			of := slices.Clone(shape)
			for d := range of {
				if rng.IntN(2) == 0 {
					of[d] = 1
				}
			}
			if batch > 0 && of[0] == 1 && rng.IntN(2) == 0 {
				of = of[1:]
			}
			z := f.Input(string(rune('a'+i)), dt, of...)
			switch rng.IntN(3) {
			case 0:
				x = ops.Add(x, z)
			case 1:
				x = ops.Mul(x, z)
			default:
				x = ops.Mul(x, ops.Tanh(z))
			}
		}
		y := reductions[rng.IntN(len(reductions))](x, axes)
		f.Return("y", y)
		along := slices.IndexFunc(y.Shape(), func(d graph.Dim) bool { return !d.IsConst() })
		s := session(t, compiled(t, m))
		feeds, whole, places := map[string]value.Value{}, map[string]*value.Tensor{}, map[string]int{}
		for _, p := range f.Params() {
			at, err := graph.SubstShape(p.Shape(), map[string]graph.Dim{"N": graph.Ints(most)[0]})
			if err != nil {
				t.Fatal(err)
			}
			sizes, _ := graph.TensorType{DType: dt, Shape: at}.ConstShape()
			e := value.NewExact(dt, sizes)
			for i := range e.F {
				e.F[i] = rng.NormFloat64()
			}
			name := p.Node().ResultName(0)
			if k := slices.IndexFunc(p.Shape(), func(d graph.Dim) bool { return !d.IsConst() }); k >= 0 {
				whole[name], places[name] = e.Tensor(), k
			} else {
				feeds[name] = e.Tensor()
			}
		}
		run := func(from, n int) *value.Tensor {
			for name, w := range whole {
				feeds[name] = examples(t, w, places[name], from, n)
			}
			got, err := s.Run(context.Background(), "f", feeds)
			if err != nil {
				t.Fatal(err)
			}
			return got["y"].(*value.Tensor)
		}
		want := run(0, most)
		for k, n := range []int{1, 2, 3, 8, 17, 1} {
			parallel.SetThreads([]int{1, 2, 3, 8}[k%4])
			if got := run(3*k, n); !bytes.Equal(got.Bytes(), examples(t, want, along, 3*k, n).Bytes()) {
				t.Fatalf("seed %d: an example has other bits in a batch of %d than in one of %d:\n%s", seed, n, most, m)
			}
		}
		for _, threads := range []int{1, 2, 3, 8} {
			parallel.SetThreads(threads)
			if !bytes.Equal(run(0, most).Bytes(), want.Bytes()) {
				t.Fatalf("seed %d: other bits with %d threads:\n%s", seed, threads, m)
			}
		}
	}
}
