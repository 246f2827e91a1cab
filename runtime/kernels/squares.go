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
	for _, op := range []string{"reduce_l2", "var", "std"} {
		register(&Kernel{Op: op, DTypes: graph.DTypes(graph.F32), Match: suffix, Bind: bindSquares})
	}
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

// squares are rows of n elements, whose squares are added up in pieces that depend on n only: those of the elements or, centered, of
// distances from the mean.
type squares struct {
	n, pieces    int
	divisor      float64
	centered     bool
	root         bool
	means, parts []float32 // by row; by piece
	sums         []float64 // by piece
	f            *backend.Rows[float32]
}

func bindSquares(s *Spec) (Func, error) {
	rows, n := suffixShape(s)
	if rows == 0 {
		return nothing, nil
	}
	if n == 0 {
		return byReference(s) // statistics of nothing
	}
	op := s.Node.Op().Name
	q := &squares{n: n, pieces: backend.CeilDiv(n, rowBlock), centered: op != "reduce_l2", root: op != "var", f: &level.Table().F32.Rows, divisor: 1}
	q.means, q.parts, q.sums = make([]float32, rows), make([]float32, rows*q.pieces), make([]float64, rows*q.pieces)
	first := addSquares
	if q.centered {
		first, q.divisor = addElements, float64(max(0, n-s.Int("correction")))
	}
	var steps []Func
	for step := first; step <= finish; step++ {
		items, work := rows*q.pieces, min(n, rowBlock)/4
		if step == average || step == finish {
			items, work = rows, q.pieces
		}
		steps = append(steps, inRanges(items, work, func(c *Call, _, lo, hi int) {
			switch step {
			case average:
				q.average(lo, hi)
			case finish:
				q.finish(c, lo, hi)
			default:
				q.reduce(c, lo, hi, step == addSquares)
			}
		}))
	}
	return inTurn(steps...), nil
}

// The steps, the first two of which are those of centered squares.
const (
	addElements = iota
	average
	addSquares
	finish
)

// reduce adds up pieces, or their squares.
func (q *squares) reduce(c *Call, lo, hi int, square bool) {
	x := elems[float32](c.In[0])
	for rows := 1; lo < hi; lo += rows {
		row, at := lo/q.pieces, lo%q.pieces*rowBlock
		if q.pieces == 1 {
			rows = hi - lo
		}
		part, n := x[row*q.n+at:], min(rowBlock, q.n-at)
		if square {
			q.f.Squares(part, q.n, rows, n, q.means[row:], q.parts[lo:])
		} else {
			q.f.SumWide(part, q.n, rows, n, q.sums[lo:])
		}
	}
}

// average takes the means of rows.
func (q *squares) average(lo, hi int) {
	for r := lo; r < hi; r++ {
		q.means[r] = float32(total(q.sums[r*q.pieces:][:q.pieces]) / float64(q.n))
	}
}

// finish stores the results of rows.
func (q *squares) finish(c *Call, lo, hi int) {
	x, y := elems[float32](c.In[0]), elems[float32](c.Out[0])
	for r := lo; r < hi; r++ {
		mean, sum, n := float64(q.means[r]), total(q.parts[r*q.pieces:][:q.pieces]), float64(q.n)
		// Next to nothing is lost: squares are in range, and the rounding of the mean is small against distances from it.
		if !(sum > n*0x1p-100 && sum <= math.MaxFloat32 && sum > n*mean*mean*0x1p-25) {
			sum = squaresOf(x[r*q.n:][:q.n], q.centered)
		}
		if sum /= q.divisor; q.root {
			sum = math.Sqrt(sum)
		}
		y[r] = float32(sum)
	}
}

// total returns the sum in f64.
func total[T backend.Float](x []T) (t float64) {
	for _, v := range x {
		t += float64(v)
	}
	return t
}

// squaresOf returns the sum of the squares of x, or of distances from the mean.
func squaresOf(x []float32, centered bool) float64 {
	mean, sum := 0.0, 0.0
	if centered {
		mean = total(x) / float64(len(x))
	}
	for _, v := range x {
		d := float64(v) - mean
		sum += d * d
	}
	return sum
}
