package plain

import (
	"math"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// Kernels over the rows of matrices of n columns whose rows are ld elements apart. What there is one of per row is in slices that are
// as long as the matrix has rows. A row's results do not depend on the other rows.

func needRows(kernel string, ld, rows, n int, lens ...int) {
	if rows > 0 && n > 0 {
		for _, l := range lens {
			backend.Need(kernel, "a matrix", l, (rows-1)*ld+n)
		}
	}
}

// span returns n elements from at on; there need be nothing at at for none.
//
//go:noinline
func span[T any](x []T, at, n int) []T {
	if n == 0 {
		return nil
	}
	return x[at:][:n]
}

// RowTop stores the maximum of each row, -Inf for no elements; NaN counts as nothing or wins.
func RowTop[T backend.Float](x []T, ld, rows, n int, top []T) {
	needRows("RowTop", ld, rows, n, len(x))
	for r := range rows {
		if n == 0 {
			top[r] = T(math.Inf(-1))
		} else {
			top[r] = maxOf(x[r*ld:][:n])
		}
	}
}

// RowExp stores e^(x-top) in y, which may be x, and the sum of each row.
func RowExp[T backend.Float](y, x []T, ld, rows, n int, top, sum []T) {
	needRows("RowExp", ld, rows, n, len(x), len(y))
	exp := expFunc[T]()
	for r := range rows {
		in, out, m := span(x, r*ld, n), span(y, r*ld, n), top[r]
		for i, v := range in {
			out[i] = T(exp(float64(v - m)))
		}
		sum[r] = total(out)
	}
}

// sumExp returns the sum of exp(x-m), in float64, in order.
func sumExp[T backend.Float](x []T, m T) (sum float64) {
	exp := expFunc[T]()
	var buf [64]float64
	for len(x) > 0 {
		strip := buf[:min(len(buf), len(x))]
		for i, v := range x[:len(strip)] {
			strip[i] = float64(v - m)
		}
		for _, v := range strip {
			sum += exp(v)
		}
		x = x[len(strip):]
	}
	return sum
}

// RowSumExp stores the sum of e^(x-top) of each row, added up in double precision.
func RowSumExp[T backend.Float](x []T, ld, rows, n int, top []T, sum []float64) {
	needRows("RowSumExp", ld, rows, n, len(x))
	for r := range rows {
		sum[r] = sumExp(span(x, r*ld, n), top[r])
	}
}

// RowScale multiplies each row by its scale.
func RowScale[T backend.Float](y []T, ld, rows, n int, scale []T) {
	needRows("RowScale", ld, rows, n, len(y))
	for r := range rows {
		out, s := span(y, r*ld, n), scale[r]
		for i := range out {
			out[i] *= s
		}
	}
}

// RowShift stores x-top-shift in y, which may be x.
func RowShift[T backend.Float](y, x []T, ld, rows, n int, top, shift []T) {
	needRows("RowShift", ld, rows, n, len(x), len(y))
	for r := range rows {
		in, out, m, s := span(x, r*ld, n), span(y, r*ld, n), top[r], shift[r]
		for i, v := range in {
			out[i] = v - m - s
		}
	}
}

func total[T backend.Number](x []T) T {
	if len(x) == 0 {
		return 0
	}
	return pairwise(x)
}

// RowSum stores the sum of each row.
func RowSum[T backend.Number](x []T, ld, rows, n int, sum []T) {
	needRows("RowSum", ld, rows, n, len(x))
	for r := range rows {
		sum[r] = total(span(x, r*ld, n))
	}
}

// RowSumWide stores the sum of each row, added up in double precision.
func RowSumWide[T backend.Float](x []T, ld, rows, n int, sum []float64) {
	needRows("RowSumWide", ld, rows, n, len(x))
	for r := range rows {
		t := 0.0
		for _, v := range span(x, r*ld, n) {
			t += float64(v)
		}
		sum[r] = t
	}
}

// RowSquares stores the sum of (x-mean)^2 of each row.
func RowSquares[T backend.Float](x []T, ld, rows, n int, mean, sum []T) {
	needRows("RowSquares", ld, rows, n, len(x))
	for r := range rows {
		m, t := mean[r], 0.0
		for _, v := range span(x, r*ld, n) {
			d := float64(v - m)
			t += d * d
		}
		sum[r] = T(t)
	}
}

// RowDot stores the sum of x*y of each row.
func RowDot[T backend.Float](x, y []T, ld, rows, n int, sum []T) {
	needRows("RowDot", ld, rows, n, len(x), len(y))
	for r := range rows {
		a, t := span(x, r*ld, n), 0.0
		for i, v := range span(y, r*ld, n) {
			t += float64(a[i]) * float64(v)
		}
		sum[r] = T(t)
	}
}

// RowNorm stores (x-mean)*scale in y, which may be x.
func RowNorm[T backend.Float](y, x []T, ld, rows, n int, mean, scale []T) {
	needRows("RowNorm", ld, rows, n, len(x), len(y))
	for r := range rows {
		in, out, m, s := span(x, r*ld, n), span(y, r*ld, n), mean[r], scale[r]
		for i, v := range in {
			out[i] = (v - m) * s
		}
	}
}

// RowAffine stores (x-mean)*scale*weight + bias in y, which may be x; weight and bias have one element per column.
func RowAffine[T backend.Float](y, x []T, ld, rows, n int, mean, scale, weight, bias []T) {
	needRows("RowAffine", ld, rows, n, len(x), len(y))
	for r := range rows {
		in, out, m, s := span(x, r*ld, n), span(y, r*ld, n), mean[r], scale[r]
		for i, v := range in {
			out[i] = (v-m)*s*weight[i] + bias[i]
		}
	}
}

// RowNormGrad stores (dy - mean - y*along)*scale in dx, which may be dy or y.
func RowNormGrad[T backend.Float](dx, dy, y []T, ld, rows, n int, mean, along, scale []T) {
	needRows("RowNormGrad", ld, rows, n, len(dx), len(dy), len(y))
	for r := range rows {
		g, v, out := span(dy, r*ld, n), span(y, r*ld, n), span(dx, r*ld, n)
		for i := range out {
			out[i] = (g[i] - mean[r] - v[i]*along[r]) * scale[r]
		}
	}
}

// RowMin stores the minimum of each row of at least one element: NaN wins, -0 is below +0.
func RowMin[T backend.Number](x []T, ld, rows, n int, least []T) {
	needRows("RowMin", ld, rows, n, len(x))
	for r := range rows {
		row := x[r*ld:][:n]
		m := row[0]
		for _, v := range row {
			m = min(m, v)
		}
		least[r] = m
	}
}

// RowMax stores the maximum of each row of at least one element: NaN wins, +0 is above -0.
func RowMax[T backend.Number](x []T, ld, rows, n int, greatest []T) {
	needRows("RowMax", ld, rows, n, len(x))
	for r := range rows {
		greatest[r] = maxOf(x[r*ld:][:n])
	}
}

// RowProd stores the product of each row of at least one element.
func RowProd[T backend.Number](x []T, ld, rows, n int, y []T) {
	needRows("RowProd", ld, rows, n, len(x))
	for r := range rows {
		p := T(1)
		for _, v := range x[r*ld:][:n] {
			p *= v
		}
		y[r] = p
	}
}

// ColProd stores the product of each column of at least one row.
func ColProd[T backend.Number](x []T, ld, rows, n int, y []T) {
	columns("ColProd", x, ld, rows, n, y, func(y, x []T) {
		for i, v := range x {
			y[i] *= v
		}
	})
}

// ColSum stores the sum of each column of at least one row, in the order of the rows.
func ColSum[T backend.Number](x []T, ld, rows, n int, y []T) {
	columns("ColSum", x, ld, rows, n, y, func(y, x []T) {
		for i, v := range x {
			y[i] += v
		}
	})
}

// ColMin stores the minimum of each column of at least one row: NaN wins, -0 is below +0.
func ColMin[T backend.Number](x []T, ld, rows, n int, y []T) {
	columns("ColMin", x, ld, rows, n, y, func(y, x []T) {
		for i, v := range x {
			y[i] = min(y[i], v)
		}
	})
}

// ColMax stores the maximum of each column of at least one row: NaN wins, +0 is above -0.
func ColMax[T backend.Number](x []T, ld, rows, n int, y []T) {
	columns("ColMax", x, ld, rows, n, y, func(y, x []T) {
		for i, v := range x {
			y[i] = max(y[i], v)
		}
	})
}

func columns[T backend.Number](kernel string, x []T, ld, rows, n int, y []T, combine func(y, x []T)) {
	needRows(kernel, ld, rows, n, len(x))
	backend.Need(kernel, "the result", len(y), n)
	y = y[:n]
	copy(y, x)
	for r := 1; r < rows; r++ {
		combine(y, span(x, r*ld, n))
	}
}

// maxOf returns the maximum of at least one element, NaN if there is one.
func maxOf[T backend.Number](x []T) T {
	m0, m1, m2, m3 := x[0], x[0], x[0], x[0]
	for len(x) >= 4 {
		m0 = max(m0, x[0])
		m1 = max(m1, x[1])
		m2 = max(m2, x[2])
		m3 = max(m3, x[3])
		x = x[4:]
	}
	for _, v := range x {
		m0 = max(m0, v)
	}
	return max(max(m0, m1), max(m2, m3))
}

// pairwise adds up at least one element: in halves down to 128 elements and there in eight interleaved sums.
func pairwise[T backend.Number](x []T) T {
	if len(x) > 128 {
		h := len(x) / 2 &^ 7
		return pairwise(x[:h]) + pairwise(x[h:])
	}
	var s0, s1, s2, s3, s4, s5, s6, s7 T
	for len(x) >= 8 {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
		s4 += x[4]
		s5 += x[5]
		s6 += x[6]
		s7 += x[7]
		x = x[8:]
	}
	s := ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
	for _, v := range x {
		s += v
	}
	return s
}
