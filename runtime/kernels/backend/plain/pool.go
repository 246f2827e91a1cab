package plain

import "github.com/graphrun/graphrun/runtime/kernels/backend"

// Pool is the engine of pooling.
type Pool[T backend.Float] struct{}

// Max has no branches on the values but for NaN.
func (*Pool[T]) Max(y []T, index []int64, x []T, n, w int) {
	for i := 0; i < len(y); i += n {
		at := i / n * 2 * w
		r0, r1 := x[at:at+2*n], x[at+w:][:2*n]
		for j := range n {
			a, b := (*[2]T)(r0[2*j:]), (*[2]T)(r1[2*j:])
			p, q := above(a[1], a[0]), above(b[1], b[0])
			best := [2]T{a[p&1], b[q&1]}
			k := above(best[1], best[0])
			if sum := a[0] + a[1] + b[0] + b[1]; sum != sum {
				p, q, k = firstMax(a, b)
				best = [2]T{a[p&1], b[q&1]}
			}
			y[i+j] = best[k&1]
			if index != nil {
				index[i+j] = int64(at + 2*j + p + k*(w+q-p))
			}
		}
	}
}

// above is 1 if x > y; it compiles to no branch.
func above[T backend.Float](x, y T) int {
	k := 0
	if x > y {
		k = 1
	}
	return k
}

// firstMax returns the column of the maximum of each row and the row of the greater one, where NaN is above everything.
func firstMax[T backend.Float](a, b *[2]T) (p, q, k int) {
	over := func(x, y T) bool { return x > y || x != x && y == y }
	if over(a[1], a[0]) {
		p = 1
	}
	if over(b[1], b[0]) {
		q = 1
	}
	if over(b[q], a[p]) {
		k = 1
	}
	return p, q, k
}

func (*Pool[T]) Mean(y, x []T, n, w int) {
	for i := 0; i < len(y); i += n {
		at := i / n * 2 * w
		r0, r1 := x[at:at+2*n], x[at+w:][:2*n]
		for j := range n {
			a, b := (*[2]T)(r0[2*j:]), (*[2]T)(r1[2*j:])
			y[i+j] = (a[0] + a[1] + b[0] + b[1]) * 0.25
		}
	}
}
