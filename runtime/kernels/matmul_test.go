package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	_ "github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// negated is an epilogue: what it is given twice, or never, has the wrong sign.
type negated struct {
	y []float32
	n int
}

func (*negated) Workers(int) {}

func (e *negated) Apply(_, r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		for i := r*e.n + c0; i < r*e.n+c1; i++ {
			e.y[i] = -e.y[i]
		}
	}
}

func randomTensor(t *testing.T, r *rand.Rand, shape ...int) *value.Tensor {
	x, err := value.New(graph.F32, shape...)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := 0, elems[float32](x); i < len(d); i++ {
		d[i] = float32(r.NormFloat64())
	}
	return x
}

// TestMatmul runs the bound kernel, with and without an epilogue, over batches that broadcast and threads: same bits, and those of each
// product alone; no allocation.
func TestMatmul(t *testing.T) {
	defer parallel.SetThreads(0)
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ batchA, batchB, batch []int }{
		{nil, nil, nil},
		{[]int{3}, nil, []int{3}},
		{nil, []int{3}, []int{3}},
		{[]int{2, 1}, []int{4}, []int{2, 4}},
		{[]int{2, 1}, []int{1}, []int{2, 1}},
		{[]int{5, 2, 3}, []int{5, 2, 3}, []int{5, 2, 3}},
		{[]int{1}, []int{0}, []int{0}},
	} {
		for _, size := range [][3]int{{1, 1, 1}, {7, 5, 9}, {1, 130, 70}, {130, 1, 70}, {60, 90, 100}, {3, 4, 0}} {
			m, n, k := size[0], size[1], size[2]
			for x := range 4 {
				matrixA, matrixB := []int{m, k}, []int{k, n}
				if x&1 != 0 {
					matrixA = []int{k, m}
				}
				if x&2 != 0 {
					matrixB = []int{n, k}
				}
				what := fmt.Sprintf("%v and %v, %v, form %d", c.batchA, c.batchB, size, x)
				a := randomTensor(t, r, append(append([]int(nil), c.batchA...), matrixA...)...)
				b := randomTensor(t, r, append(append([]int(nil), c.batchB...), matrixB...)...)
				y := randomTensor(t, r, append(append([]int(nil), c.batch...), m, n)...)
				spec := &Spec{
					Attrs:    graph.Attrs{{Name: "transpose_a", Value: x&1 != 0}, {Name: "transpose_b", Value: x&2 != 0}},
					InTypes:  []graph.TensorType{graph.TypeOf(a).(graph.TensorType), graph.TypeOf(b).(graph.TensorType)},
					OutTypes: []graph.TensorType{graph.TypeOf(y).(graph.TensorType)},
				}
				want, err := graph.Evaluate(graph.LookupOp("matmul"), []value.Value{a, b}, spec.Attrs)
				if err != nil {
					t.Fatal(err)
				}
				ref := want[0].(*value.Tensor)
				e := &negated{elems[float32](y), n}
				plain, err := bindMatmul(spec, nil)
				if err != nil {
					t.Fatal(err)
				}
				fused, err := bindMatmul(spec, e)
				if err != nil {
					t.Fatal(err)
				}
				call := &Call{Spec: spec, In: []*value.Tensor{a, b}, Out: []*value.Tensor{y}}
				var first []float32
				for _, threads := range []int{1, 2, 8} {
					parallel.SetThreads(threads)
					for _, run := range []Func{plain, fused} {
						if err := run(call); err != nil {
							t.Fatal(err)
						}
					}
					for i, v := range elems[float32](y) {
						// -y of the fused one, the last to run
						if d := float64(-v - elems[float32](ref)[i]); d*d > 1e-8*float64(k+1) {
							t.Fatalf("%s: element %d is %v, want %v", what, i, -v, elems[float32](ref)[i])
						}
						if first != nil && first[i] != v {
							t.Fatalf("%s: %d threads give %v, one gives %v", what, threads, v, first[i])
						}
					}
					first = append(first[:0], elems[float32](y)...)
					if threads <= 2 && x == 0 {
						if n := testing.AllocsPerRun(5, func() { _ = fused(call) }); n > 0 {
							t.Errorf("%s: %v allocations on %d threads", what, n, threads)
						}
					}
				}
			}
		}
	}
}
