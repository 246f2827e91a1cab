package runtime_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// TestReductionsOfBatches reduces axes behind the first one, fused with what they reduce and alone: a sample has the same bits in any batch.
func TestReductionsOfBatches(t *testing.T) {
	const most = 64
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 9))
		shape, elements := []any{"N"}, 1
		var axes []int
		for i := range 1 + rng.IntN(3) {
			n := []int{1, 2, 3, 5, 16, 21, 130, 300, 5000}[rng.IntN(9)]
			if elements *= n; elements > 20000 {
				elements, n = elements/n*2, 2
			}
			if shape = append(shape, n); rng.IntN(2) == 0 {
				axes = append(axes, 1+i)
			}
		}
		if len(axes) == 0 {
			axes = []int{1 + rng.IntN(len(shape)-1)}
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
			if of[0] == 1 && rng.IntN(2) == 0 {
				of = of[rng.IntN(len(of)):]
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
		reduce := ops.ReduceSum
		if rng.IntN(2) == 0 {
			reduce = ops.ReduceMean
		}
		f.Return("y", reduce(x, axes, rng.IntN(2) == 0))
		s := session(t, compiled(t, m))
		feeds, whole := map[string]value.Value{}, map[string]*value.Tensor{}
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
			w := e.Tensor()
			if name := p.Node().ResultName(0); p.Shape()[0].IsConst() {
				feeds[name] = w
			} else {
				whole[name] = w
			}
		}
		var want []byte
		for _, batch := range []int{most, 1, 2, 3, 17} {
			for name, w := range whole {
				part, err := value.FromBytes(dt, w.Bytes()[:len(w.Bytes())/most*batch], append([]int{batch}, w.Shape()[1:]...)...)
				if err != nil {
					t.Fatal(err)
				}
				feeds[name] = part
			}
			got, err := s.Run(context.Background(), "f", feeds)
			if err != nil {
				t.Fatal(err)
			}
			bits := got["y"].(*value.Tensor).Bytes()
			if batch == most {
				want = bits
			} else if !slices.Equal(bits, want[:len(bits)]) {
				t.Fatalf("seed %d: a sample has other bits in a batch of %d than in one of %d:\n%s", seed, batch, most, m)
			}
		}
	}
}
