package plain

import "github.com/graphrun/graphrun/runtime/kernels/backend"

// conv is the engine in plain Go.
type conv[T backend.Float] struct{}

func (*conv[T]) Lanes() int { return 1 }

func (*conv[T]) MaxK() int { return 512 }

func (*conv[T]) InPlace() bool { return true }

func (*conv[T]) Pack(dst, b []T, ld, n, k, p0, p1 int) {
	for j := range n {
		copy(dst[j*k+p0:j*k+p1], b[j*ld:])
	}
}

func (*conv[T]) Unload(dst []T, ld int, t []T, m, n int) {
	for j := range n {
		copy(dst[j*ld:], t[j*m:(j+1)*m])
	}
}

func (*conv[T]) Sum(t []T, ld, at, n int, a []T, rows []int, run int, cols []int, b []T, k, p0 int, add bool) {
	if !add {
		for j := range n {
			clear(t[j*ld+at:][:len(rows)])
		}
	}
	// With few terms a row is passed over once for a few of them; with many, terms are taken from the image one by one.
	byRows := run >= 16 && len(cols) <= 32
	for j := range n {
		w, y := b[j*k+p0:][:len(cols)], t[j*ld+at:][:len(rows)]
		if !byRows {
			gather(y, a, rows, cols, w)
			continue
		}
		for i := 0; i < len(rows); i += run {
			sumRow(y[i:i+run], a[rows[i]:], cols, w)
		}
	}
}

// sumRow adds the sum over p of w[p] times the elements of x from cols[p] on to y.
func sumRow[T backend.Float](y, x []T, cols []int, w []T) {
	p := 0
	for ; p+5 <= len(cols); p += 5 {
		addRows5(y, x, (*[5]int)(cols[p:]), (*[5]T)(w[p:]))
	}
	if p+3 <= len(cols) {
		addRows3(y, x, (*[3]int)(cols[p:]), (*[3]T)(w[p:]))
		p += 3
	}
	for ; p < len(cols); p++ {
		f := w[p]
		r := x[cols[p]:][:len(y)]
		for i, v := range y {
			y[i] = mulAdd(v, r[i], f)
		}
	}
}

func addRows5[T backend.Float](y, x []T, at *[5]int, w *[5]T) {
	n := len(y)
	x0, x1, x2, x3, x4 := x[at[0]:][:n], x[at[1]:][:n], x[at[2]:][:n], x[at[3]:][:n], x[at[4]:][:n]
	w0, w1, w2, w3, w4 := w[0], w[1], w[2], w[3], w[4]
	for i, v := range y {
		v = mulAdd(v, x0[i], w0)
		v = mulAdd(v, x1[i], w1)
		v = mulAdd(v, x2[i], w2)
		v = mulAdd(v, x3[i], w3)
		v = mulAdd(v, x4[i], w4)
		y[i] = v
	}
}

func addRows3[T backend.Float](y, x []T, at *[3]int, w *[3]T) {
	n := len(y)
	x0, x1, x2 := x[at[0]:][:n], x[at[1]:][:n], x[at[2]:][:n]
	w0, w1, w2 := w[0], w[1], w[2]
	for i, v := range y {
		v = mulAdd(v, x0[i], w0)
		v = mulAdd(v, x1[i], w1)
		v = mulAdd(v, x2[i], w2)
		y[i] = v
	}
}

// gathered is the number of sums that plain Go gathers at a time: as many as the registers hold without spilling.
const gathered = 6

// sixRows are the first six rows; the last one stands for those that do not exist.
func sixRows(rows []int) (r [gathered]int) {
	for i := range r {
		r[i] = rows[min(i, len(rows)-1)]
	}
	return r
}

// gather adds to y[i] the sum over p of a[rows[i]+cols[p]]*b[p].
func gather[T backend.Float](y, a []T, rows, cols []int, b []T) {
	for i := 0; i < len(rows) && len(cols) > 0; i += gathered {
		r := sixRows(rows[i:])
		c := gather6(a, &r, cols, b)
		for q, v := range c[:min(gathered, len(rows)-i)] {
			y[i+q] += v
		}
	}
}

func gather6[T backend.Float](a []T, at *[gathered]int, cols []int, b []T) [gathered]T {
	n := len(a) - max(at[0], at[1], at[2], at[3], at[4], at[5])
	a0, a1, a2, a3, a4, a5 := a[at[0]:][:n], a[at[1]:][:n], a[at[2]:][:n], a[at[3]:][:n], a[at[4]:][:n], a[at[5]:][:n]
	b = b[:len(cols)]
	var c0, c1, c2, c3, c4, c5 T
	for p, at := range cols {
		v := b[p]
		c0 = mulAdd(c0, a0[at], v)
		c1 = mulAdd(c1, a1[at], v)
		c2 = mulAdd(c2, a2[at], v)
		c3 = mulAdd(c3, a3[at], v)
		c4 = mulAdd(c4, a4[at], v)
		c5 = mulAdd(c5, a5[at], v)
	}
	return [gathered]T{c0, c1, c2, c3, c4, c5}
}
