package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// Statistics of squares of f32 over the last axes. Their bodies compute in f64, where squares neither overflow nor vanish; here they are
// added up in f32, and once more in f64 where the sum shows that this is not good enough.

func init() {
	register(
		&Kernel{Op: "reduce_l2", DTypes: graph.DTypes(graph.F32), Match: suffix, Bind: func(s *Spec) (Func, error) {
			return bindSquares(s, false, func(mean float64, n int) float64 { return math.Sqrt(mean * float64(n)) })
		}},
		&Kernel{Op: "var", DTypes: graph.DTypes(graph.F32), Match: suffix, Bind: func(s *Spec) (Func, error) {
			return bindSquares(s, true, corrected(s))
		}},
		&Kernel{Op: "std", DTypes: graph.DTypes(graph.F32), Match: suffix, Bind: func(s *Spec) (Func, error) {
			variance := corrected(s)
			return bindSquares(s, true, func(mean float64, n int) float64 { return math.Sqrt(variance(mean, n)) })
		}},
	)
}

// corrected returns what makes the variance of a mean of n squares.
func corrected(s *Spec) func(mean float64, n int) float64 {
	correction := s.Int("correction")
	return func(mean float64, n int) float64 { return mean * float64(n) / float64(max(0, n-correction)) }
}

// suffixShape returns a shape as rows of those last axes that the attribute axes names.
func suffixShape(s *Spec) (rows, n int) {
	shape := sizesOf(s.InTypes[0])
	rows, n = 1, 1
	for i, reduced := range isReduced(len(shape), s.Attrs) {
		if reduced {
			n *= shape[i]
		} else {
			rows *= shape[i]
		}
	}
	return rows, n
}

// bindSquares gives for each row what finish makes of the mean of the squares, of distances from the row's mean if it is to be centered.
// Rows are added up in pieces, whose order depends on n only.
func bindSquares(s *Spec, centered bool, finish func(mean float64, n int) float64) (Func, error) {
	rows, n := suffixShape(s)
	if rows == 0 {
		return nothing, nil
	}
	if n == 0 {
		return byReference(s) // statistics of nothing
	}
	f := &level.Table().F32.Rows
	pieces := backend.CeilDiv(n, rowBlock)
	sums, means, squares := make([]float64, rows*pieces), make([]float32, rows), make([]float32, rows*pieces)
	each := func(do func(x []float32, at, ld, rows, n, row int)) Func {
		return inRanges(rows*pieces, min(n, rowBlock)/4, func(c *Call, _, lo, hi int) {
			x := elems[float32](c.In[0])
			if pieces == 1 {
				do(x[lo*n:], lo, n, hi-lo, n, lo)
				return
			}
			for i := lo; i < hi; i++ {
				row, at := i/pieces, i%pieces*rowBlock
				do(x[row*n+at:], i, 0, 1, min(rowBlock, n-at), row)
			}
		})
	}
	var mean Func
	if centered {
		mean = inTurn(
			each(func(x []float32, at, ld, rows, n, _ int) { f.SumWide(x, ld, rows, n, sums[at:]) }),
			inRanges(rows, pieces, func(_ *Call, _, lo, hi int) {
				for r := lo; r < hi; r++ {
					means[r] = float32(total(sums[r*pieces:][:pieces]) / float64(n))
				}
			}),
		)
	}
	return inTurn(
		mean,
		each(func(x []float32, at, ld, rows, n, row int) { f.Squares(x, ld, rows, n, means[row:], squares[at:]) }),
		inRanges(rows, pieces, func(c *Call, _, lo, hi int) {
			x, y := elems[float32](c.In[0]), elems[float32](c.Out[0])
			for r := lo; r < hi; r++ {
				mean, square := float64(means[r]), total(squares[r*pieces:][:pieces])/float64(n)
				// Next to none are lost: squares are in range, and the rounding of the mean is small against its distance from elements.
				if !(square > 0x1p-100 && square <= math.MaxFloat32 && square > mean*mean*0x1p-25) {
					square = meanSquare(x[r*n:][:n], centered)
				}
				y[r] = float32(finish(square, n))
			}
		}),
	), nil
}

// total returns the sum in f64.
func total[T backend.Float](x []T) (t float64) {
	for _, v := range x {
		t += float64(v)
	}
	return t
}

// meanSquare returns the mean of the squares of x, or of distances from the mean.
func meanSquare(x []float32, centered bool) float64 {
	mean, sum := 0.0, 0.0
	if centered {
		mean = total(x) / float64(len(x))
	}
	for _, v := range x {
		d := float64(v) - mean
		sum += d * d
	}
	return sum / float64(len(x))
}
