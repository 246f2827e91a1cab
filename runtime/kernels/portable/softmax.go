package portable

import "math"

func rowGrain(n int) int { return max(1, elemGrain/(4*max(n, 1))) }

func needRows(kernel string, want int, lens ...int) {
	for _, l := range lens {
		need(kernel, "a slice", l, want)
	}
}

// sumExp returns the sum of exp(x-m), in float64, in order.
func sumExp[T Float](x []T, m T) (sum float64) {
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

// Softmax computes y = exp(x-max) / sum(exp(x-max)) for each of rows rows of n
// elements. y may be x. A row without a finite maximum is NaN.
func Softmax[T Float](y, x []T, rows, n int) {
	needRows("Softmax", rows*n, len(y), len(x))
	if n == 0 {
		return
	}
	if serial(rows * n * 4) {
		softmaxRows(y, x, 0, rows, n)
		return
	}
	parallelFor(rows, rowGrain(n), func(lo, hi int) { softmaxRows(y, x, lo, hi, n) })
}

func softmaxRows[T Float](y, x []T, lo, hi, n int) {
	exp := expFunc[T]()
	for i := lo; i < hi; i++ {
		r, d := x[i*n:(i+1)*n], y[i*n:(i+1)*n]
		m := maxOf(r)
		for j, v := range r {
			d[j] = v - m
		}
		each(d, d, exp)
		s := reduceRow(Sum, d)
		for j := range d {
			d[j] /= s
		}
	}
}

// LogSoftmax computes y = x - max - log(sum(exp(x-max))) for each of rows rows
// of n elements, the sum in float64. y may be x.
func LogSoftmax[T Float](y, x []T, rows, n int) {
	needRows("LogSoftmax", rows*n, len(y), len(x))
	if n == 0 {
		return
	}
	if serial(rows * n * 4) {
		logSoftmaxRows(y, x, 0, rows, n)
		return
	}
	parallelFor(rows, rowGrain(n), func(lo, hi int) { logSoftmaxRows(y, x, lo, hi, n) })
}

func logSoftmaxRows[T Float](y, x []T, lo, hi, n int) {
	for i := lo; i < hi; i++ {
		r, d := x[i*n:(i+1)*n], y[i*n:(i+1)*n]
		m := maxOf(r)
		s := math.Log(sumExp(r, m))
		for j, v := range r {
			d[j] = T(float64(v-m) - s)
		}
	}
}

// SoftmaxGrad computes the gradient dx = y * (dy - sum(dy*y)) of Softmax's x from
// its result y and the gradient dy, row by row, the sum in float64. dx may be y
// or dy.
func SoftmaxGrad[T Float](dx, y, dy []T, rows, n int) {
	needRows("SoftmaxGrad", rows*n, len(dx), len(y), len(dy))
	if serial(rows * n * 4) {
		softmaxGradRows(dx, y, dy, 0, rows, n)
		return
	}
	parallelFor(rows, rowGrain(n), func(lo, hi int) { softmaxGradRows(dx, y, dy, lo, hi, n) })
}

func softmaxGradRows[T Float](dx, y, dy []T, lo, hi, n int) {
	for i := lo; i < hi; i++ {
		p, g, d := y[i*n:(i+1)*n], dy[i*n:(i+1)*n], dx[i*n:(i+1)*n]
		s := 0.0
		for j, v := range p {
			s += float64(v) * float64(g[j])
		}
		for j, v := range p {
			d[j] = T(float64(v) * (float64(g[j]) - s))
		}
	}
}

// LogSoftmaxGrad computes the gradient dx = dy - exp(y) * sum(dy) of
// LogSoftmax's x from its result y and the gradient dy, row by row, the sum in
// float64. dx may be y or dy.
func LogSoftmaxGrad[T Float](dx, y, dy []T, rows, n int) {
	needRows("LogSoftmaxGrad", rows*n, len(dx), len(y), len(dy))
	if serial(rows * n * 4) {
		logSoftmaxGradRows(dx, y, dy, 0, rows, n)
		return
	}
	parallelFor(rows, rowGrain(n), func(lo, hi int) { logSoftmaxGradRows(dx, y, dy, lo, hi, n) })
}

func logSoftmaxGradRows[T Float](dx, y, dy []T, lo, hi, n int) {
	exp := expFunc[T]()
	for i := lo; i < hi; i++ {
		p, g, d := y[i*n:(i+1)*n], dy[i*n:(i+1)*n], dx[i*n:(i+1)*n]
		s := 0.0
		for _, v := range g {
			s += float64(v)
		}
		for j, v := range p {
			d[j] = T(float64(g[j]) - exp(float64(v))*s)
		}
	}
}
