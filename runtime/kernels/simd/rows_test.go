package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// rowCase is a kernel over rows: f32 is under test, f64 is what it is held against.
type rowCase struct {
	name string
	f32  func(a rowArgs[float32])
	f64  func(a rowArgs[float64])
	// exact demands equal bits, on inputs with special values.
	exact bool
}

type rowArgs[T portable.Float] struct {
	y, x, z     []T
	ld, rows, n int
	p, q, r     []T // per row
	w, b        []T // per column
	out         []T
	sum         []float64
}

var rowCases = []rowCase{
	{"RowTop", func(a rowArgs[float32]) { RowTop(a.x, a.ld, a.rows, a.n, a.out) }, func(a rowArgs[float64]) { portable.RowTop(a.x, a.ld, a.rows, a.n, a.out) }, false},
	{"RowExp", func(a rowArgs[float32]) { RowExp(a.y, a.x, a.ld, a.rows, a.n, a.p, a.out) }, func(a rowArgs[float64]) { portable.RowExp(a.y, a.x, a.ld, a.rows, a.n, a.p, a.out) }, false},
	{"RowSumExp", func(a rowArgs[float32]) { RowSumExp(a.x, a.ld, a.rows, a.n, a.p, a.sum) }, func(a rowArgs[float64]) { portable.RowSumExp(a.x, a.ld, a.rows, a.n, a.p, a.sum) }, false},
	{"RowScale", func(a rowArgs[float32]) { RowScale(a.y, a.ld, a.rows, a.n, a.p) }, func(a rowArgs[float64]) { portable.RowScale(a.y, a.ld, a.rows, a.n, a.p) }, false},
	{"RowShift", func(a rowArgs[float32]) { RowShift(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) }, func(a rowArgs[float64]) { portable.RowShift(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) }, false},
	{"RowSum", func(a rowArgs[float32]) { RowSum(a.x, a.ld, a.rows, a.n, a.out) }, func(a rowArgs[float64]) { portable.RowSum(a.x, a.ld, a.rows, a.n, a.out) }, false},
	{"RowSumWide", func(a rowArgs[float32]) { RowSumWide(a.x, a.ld, a.rows, a.n, a.sum) }, func(a rowArgs[float64]) { portable.RowSumWide(a.x, a.ld, a.rows, a.n, a.sum) }, false},
	{"RowSquares", func(a rowArgs[float32]) { RowSquares(a.x, a.ld, a.rows, a.n, a.p, a.out) }, func(a rowArgs[float64]) { portable.RowSquares(a.x, a.ld, a.rows, a.n, a.p, a.out) }, false},
	{"RowDot", func(a rowArgs[float32]) { RowDot(a.x, a.z, a.ld, a.rows, a.n, a.out) }, func(a rowArgs[float64]) { portable.RowDot(a.x, a.z, a.ld, a.rows, a.n, a.out) }, false},
	{"RowNorm", func(a rowArgs[float32]) { RowNorm(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) }, func(a rowArgs[float64]) { portable.RowNorm(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) }, false},
	{"RowAffine", func(a rowArgs[float32]) { RowAffine(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q, a.w, a.b) }, func(a rowArgs[float64]) { portable.RowAffine(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q, a.w, a.b) }, false},
	{"RowNormGrad", func(a rowArgs[float32]) { RowNormGrad(a.y, a.x, a.z, a.ld, a.rows, a.n, a.p, a.q, a.r) }, func(a rowArgs[float64]) { portable.RowNormGrad(a.y, a.x, a.z, a.ld, a.rows, a.n, a.p, a.q, a.r) }, false},
	{"RowMin", func(a rowArgs[float32]) { RowMin(a.x, a.ld, a.rows, a.n, a.out) }, func(a rowArgs[float64]) { portable.RowMin(a.x, a.ld, a.rows, a.n, a.out) }, true},
	{"RowMax", func(a rowArgs[float32]) { RowMax(a.x, a.ld, a.rows, a.n, a.out) }, func(a rowArgs[float64]) { portable.RowMax(a.x, a.ld, a.rows, a.n, a.out) }, true},
	{"ColSum", func(a rowArgs[float32]) { ColSum(a.x, a.ld, a.rows, a.n, a.y) }, func(a rowArgs[float64]) { portable.ColSum(a.x, a.ld, a.rows, a.n, a.y) }, false},
	{"ColMin", func(a rowArgs[float32]) { ColMin(a.x, a.ld, a.rows, a.n, a.y) }, func(a rowArgs[float64]) { portable.ColMin(a.x, a.ld, a.rows, a.n, a.y) }, true},
	{"ColMax", func(a rowArgs[float32]) { ColMax(a.x, a.ld, a.rows, a.n, a.y) }, func(a rowArgs[float64]) { portable.ColMax(a.x, a.ld, a.rows, a.n, a.y) }, true},
}

// TestRows holds the kernels over rows against plain Go in float64: awkward lengths, odd places, rows that are apart, guards
// between the rows and behind them, and, for extrema, NaN, zeros of both signs and infinities in every place.
func TestRows(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		for _, c := range rowCases {
			t.Run(c.name, func(t *testing.T) {
				for n := 0; n <= 140; n++ {
					if (c.exact || c.name[:3] == "Col") && n == 0 {
						continue
					}
					for _, rows := range []int{1, 2, 3, 7} {
						if err := c.check(n, n+(n+rows)%3, rows); err != nil {
							t.Fatalf("%d rows of %d: %v", rows, n, err)
						}
					}
				}
				if err := c.check(5003, 5003, 2); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func (c rowCase) check(n, ld, rows int) error {
	rng := newRand(uint64(n*31 + rows))
	size := 0
	if n > 0 {
		size = (rows-1)*ld + n
	}
	specials := []float32{float32(math.NaN()), 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), -float32(math.NaN())}
	fresh := func(size, seed int) []float32 { // one more element in front makes the place odd; behind follow guards
		x := make([]float32, 1+size+16)
		for i := range x {
			x[i] = guard
		}
		for i := range size {
			x[1+i] = float32(rng.NormFloat64())
			if c.exact {
				switch k := rng.IntN(12); {
				case seed%2 == 0 && k < 2: // zeros only
					x[1+i] = specials[1+k]
				case seed%2 == 1 && k < len(specials):
					x[1+i] = specials[k]
				case seed%4 == 0:
					x[1+i] = -abs32(x[1+i])
				case seed%4 == 2:
					x[1+i] = abs32(x[1+i])
				}
			}
		}
		return x
	}
	s := n + rows
	back := map[string][]float32{
		"y": fresh(size, s), "x": fresh(size, s), "z": fresh(size, s), "p": fresh(rows, 3), "q": fresh(rows, 3), "r": fresh(rows, 3),
		"w": fresh(n, 3), "b": fresh(n, 3), "out": fresh(rows, 3),
	}
	length := map[string]int{"y": size, "x": size, "z": size, "p": rows, "q": rows, "r": rows, "w": n, "b": n, "out": rows}
	if c.name[:3] == "Col" {
		back["y"], length["y"] = fresh(n, s), n
	}
	before := map[string][]float32{}
	wide := map[string][]float64{}
	for k, v := range back {
		before[k] = slices.Clone(v)
		for _, e := range v[1:][:length[k]] {
			wide[k] = append(wide[k], float64(e))
		}
	}
	sums := [2][]float64{make([]float64, rows+1), make([]float64, rows+1)}
	g := func(k string) []float32 { return back[k][1:][:length[k]] }
	c.f32(rowArgs[float32]{g("y"), g("x"), g("z"), ld, rows, n, g("p"), g("q"), g("r"), g("w"), g("b"), g("out"), sums[0][:rows]})
	mags := map[string]float64{}
	for _, k := range []string{"x", "y", "z"} {
		m := 1.0
		for _, e := range wide[k] {
			m = max(m, math.Abs(e))
		}
		mags[k] = m
	}
	c.f64(rowArgs[float64]{wide["y"], wide["x"], wide["z"], ld, rows, n, wide["p"], wide["q"], wide["r"], wide["w"], wide["b"], wide["out"], sums[1][:rows]})
	for i, got := range sums[0] {
		if want := sums[1][i]; !(math.Abs(got-want) <= 0x1p-24*4*max(1, math.Abs(want))) {
			return fmt.Errorf("sum %d is %v, want %v", i, got, want)
		}
	}
	for _, k := range []string{"y", "out"} {
		v := back[k]
		for i, got := range v {
			j := i - 1
			inside := j >= 0 && j < length[k] && (k == "out" || c.name[:3] == "Col" || j%ld < n)
			if !inside {
				if math.Float32bits(got) != math.Float32bits(before[k][i]) {
					return fmt.Errorf("%s: element %d, outside of the rows, has become %v", k, j, got)
				}
				continue
			}
			want := wide[k][j]
			if c.exact || c.name == "RowTop" {
				if math.Float32bits(got) != math.Float32bits(float32(want)) && (got == got || want == want) {
					return fmt.Errorf("%s[%d] is %v, want %v", k, j, got, want)
				}
				continue
			}
			bound := 0x1p-24 * max(1, math.Abs(want)) * (8 + float64(n)) // a sum of n terms
			if k == "y" {
				bound = 0x1p-24 * max(1, math.Abs(want)) * (8 + 4*mags["x"]*mags["z"]) // x-top is rounded before the exponential
			}
			if !(math.Abs(float64(got)-want) <= bound) {
				return fmt.Errorf("%s[%d] is %v, want %v within %g", k, j, got, want, bound)
			}
		}
	}
	for _, k := range []string{"x", "z", "p", "q", "r", "w", "b"} {
		for i, v := range back[k] {
			if math.Float32bits(v) != math.Float32bits(before[k][i]) {
				return fmt.Errorf("operand %s has been written to", k)
			}
		}
	}
	return nil
}

func abs32(x float32) float32 { return float32(math.Abs(float64(x))) }

// TestRowExpULP measures the exponential against package math over its whole range, subnormal results included.
func TestRowExpULP(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		worst, at := 0.0, float32(0)
		const n = 1 << 12
		x, y, sum := make([]float32, n), make([]float32, n), make([]float32, 1)
		for x0 := -110.0; x0 < 90; x0 += 0.25 {
			for i := range x {
				x[i] = float32(x0 + 0.25*float64(i)/n)
			}
			RowExp(y, x, n, 1, n, []float32{0}, sum)
			for i, v := range x {
				want := math.Exp(float64(v))
				w := float32(want)
				if math.IsInf(float64(w), 1) {
					if y[i] != w && !(y[i] == math.MaxFloat32) {
						t.Fatalf("exp(%v) is %v", v, y[i])
					}
					continue
				}
				ulp := float64(math.Nextafter32(w, float32(math.Inf(1))) - w)
				if e := math.Abs(float64(y[i])-want) / ulp; e > worst {
					worst, at = e, v
				}
			}
		}
		t.Logf("%.3f ulp at %v", worst, at)
		if worst > 1 {
			t.Errorf("exp is %.3f ulp off at %v", worst, at)
		}
		for _, s := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1000, -1000} {
			for i := range x[:13] {
				x[i] = float32(s)
			}
			RowExp(y, x, 13, 1, 13, []float32{0}, sum)
			for i := range 13 {
				if w := float32(math.Exp(s)); y[i] != w && (w == w || y[i] == y[i]) {
					t.Errorf("exp(%v) is %v", s, y[i])
				}
			}
		}
	})
}

// TestTransposeWords holds the transposition of words against its plain Go twin.
func TestTransposeWords(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		for rows := 1; rows <= 35; rows++ {
			for cols := 1; cols <= 35; cols += 1 + rows%3 {
				if err := checkTranspose(rows, cols, Transpose32); err != nil {
					t.Fatalf("32 bits, %d x %d: %v", rows, cols, err)
				}
				if err := checkTranspose(rows, cols, Transpose64); err != nil {
					t.Fatalf("64 bits, %d x %d: %v", rows, cols, err)
				}
			}
		}
	})
}

func checkTranspose[T uint32 | uint64](rows, cols int, f portable.TransposeFunc[T]) error {
	ldx, ldy := rows+rows%4, cols+cols%3
	x := make([]T, (cols-1)*ldx+rows)
	for i := range x {
		x[i] = T(i + 1)
	}
	got, want := make([]T, rows*ldy+9), make([]T, rows*ldy+9)
	f(got[:(rows-1)*ldy+cols], ldy, x, ldx, rows, cols)
	portable.TransposePlane(want, ldy, x, ldx, rows, cols)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%v, want %v", got, want)
	}
	return nil
}
