package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// TestCasts wants from the kernel of every pair of dtypes what value.Convert gives, which is held against exact arithmetic in its own
// package: from all places in the middle of two f32 and beside them, ends of ranges, and random bits.
func TestCasts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []uint64{0, 1, 1<<64 - 1, 1 << 63, 1<<63 - 1, 1 << 31, 1<<31 - 1, 1<<53 + 1, 1<<62 + 1<<38 + 1}
	floats := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1 << 63, -1 << 63, 1 << 64, 0.5, -0.5, 255.9, -129, math.MaxFloat64, 0x1.ffffffp127}
	for bit := 24; bit < 64; bit++ {
		middle := uint64(1)<<bit + 1<<(bit-24)
		for _, x := range []uint64{middle, middle + 1, middle - 1} {
			words = append(words, x, -x, x+1<<(bit-23))
			floats = append(floats, float64(x), -float64(x))
		}
	}
	for range 1000 {
		words = append(words, rng.Uint64(), rng.Uint64()>>rng.IntN(64))
		floats = append(floats, math.Float64frombits(rng.Uint64()), rng.NormFloat64()*math.Ldexp(1, rng.IntN(80)))
	}
	pairs := 0
	for _, from := range value.DTypes() {
		for _, to := range value.DTypes() {
			if from == to || from == value.String || to == value.String {
				continue
			}
			m := graph.NewModule("m")
			f := m.Func("f")
			e := &value.Exact{DType: from, F: floats}
			switch from.Domain() {
			case value.Uints:
				e.U, e.F = words, nil
			case value.Ints:
				e.F = nil
				for _, w := range words {
					e.I = append(e.I, int64(w))
				}
			case value.Bools:
				e.B, e.F = []bool{true, false}, nil
			}
			e = e.Clone()
			e.Shape = []int{e.Len()}
			e.Round()
			n := ops.Cast(f.Input("x", from, e.Len()), to).Node()
			if kernels.Select(n) == nil {
				continue
			}
			pairs++
			p := prepare(t, n, []*value.Tensor{e.Tensor()})
			p.do(t)
			want, err := value.Convert(e, to)
			if err != nil {
				t.Fatal(err)
			}
			if w := want.Tensor(); !sameNumbers(p.call.Out[0], w) {
				for i := range e.Len() {
					if g, w := p.call.Out[0].Float64At(i), w.Float64At(i); g != w {
						t.Errorf("%s to %s: element %d, %v, gives %v, want %v", from, to, i, e.Tensor().Float64At(i), g, w)
						break
					}
				}
				t.Errorf("%s to %s: other elements", from, to)
			}
		}
	}
	if pairs < 100 {
		t.Errorf("%d pairs of dtypes have a kernel", pairs)
	}
}

// sameNumbers reports whether tensors of a dtype have the same bits, but for those of NaN.
func sameNumbers(a, b *value.Tensor) bool {
	x, y := a.Exact(), b.Exact()
	for i := range x.F {
		if x.F[i] != x.F[i] && y.F[i] != y.F[i] {
			x.F[i], y.F[i] = 0, 0
		}
	}
	return x.Tensor().Equal(y.Tensor())
}
