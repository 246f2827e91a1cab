package level

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
)

// rowCase is a function over rows by its name, on float32, which is held against plain Go in float64.
type rowCase struct {
	name string
	// exact demands equal bits, on inputs with special values.
	exact bool
}

type rowArgs[T backend.Float] struct {
	y, x, z     []T
	ld, rows, n int
	p, q, r     []T // per row
	w, b        []T // per column
	out         []T
	sum         []float64
}

// rowRuns returns the functions of Rows by name.
func rowRuns[T backend.Float](r *backend.Rows[T]) map[string]func(a rowArgs[T]) {
	runs := map[string]func(a rowArgs[T]){
		"Top":      func(a rowArgs[T]) { r.Top(a.x, a.ld, a.rows, a.n, a.out) },
		"Exp":      func(a rowArgs[T]) { r.Exp(a.y, a.x, a.ld, a.rows, a.n, a.p, a.out) },
		"SumExp":   func(a rowArgs[T]) { r.SumExp(a.x, a.ld, a.rows, a.n, a.p, a.sum) },
		"Scale":    func(a rowArgs[T]) { r.Scale(a.y, a.ld, a.rows, a.n, a.p) },
		"Shift":    func(a rowArgs[T]) { r.Shift(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) },
		"SumWide":  func(a rowArgs[T]) { r.SumWide(a.x, a.ld, a.rows, a.n, a.sum) },
		"Squares":  func(a rowArgs[T]) { r.Squares(a.x, a.ld, a.rows, a.n, a.p, a.out) },
		"Dot":      func(a rowArgs[T]) { r.Dot(a.x, a.z, a.ld, a.rows, a.n, a.out) },
		"Norm":     func(a rowArgs[T]) { r.Norm(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q) },
		"Affine":   func(a rowArgs[T]) { r.Affine(a.y, a.x, a.ld, a.rows, a.n, a.p, a.q, a.w, a.b) },
		"NormGrad": func(a rowArgs[T]) { r.NormGrad(a.y, a.x, a.z, a.ld, a.rows, a.n, a.p, a.q, a.r) },
	}
	for op, name := range reductions {
		runs["Row"+name] = func(a rowArgs[T]) { r.Reduce[op](a.x, a.ld, a.rows, a.n, a.out) }
		runs["Col"+name] = func(a rowArgs[T]) { r.ReduceCols[op](a.x, a.ld, a.rows, a.n, a.y) }
	}
	return runs
}

// reductions are those of rows and columns.
var reductions = map[backend.ReduceOp]string{backend.Sum: "Sum", backend.Prod: "Prod", backend.MaxOf: "Max", backend.MinOf: "Min"}

// testRows holds a function over rows against plain Go in float64: awkward lengths, odd places, rows that are apart, guards
// between the rows and behind them, and, for extrema, NaN, zeros of both signs and infinities in every place.
func testRows(name string) func(t *testing.T) {
	return func(t *testing.T) {
		c := rowCase{name, strings.HasSuffix(name, "Max") || strings.HasSuffix(name, "Min")}
		for n := 0; n <= 140; n++ {
			if (c.exact || name == "RowProd" || c.columns()) && n == 0 {
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
	}
}

// testReductions is testRows for a set of reductions, which it wants to be the same as in plain Go.
func testReductions[F any](prefix string, table func() *[backend.ReduceOps]F) func(t *testing.T) {
	return func(t *testing.T) {
		for op, f := range table() {
			name, ok := reductions[backend.ReduceOp(op)]
			if exists := !reflect.ValueOf(f).IsNil(); ok != exists {
				t.Errorf("reduction %d exists: %v, want %v", op, exists, ok)
			} else if ok {
				t.Run(name, testRows(prefix+name))
			}
		}
	}
}

// testRowsF64 holds a function over rows of float64 against plain Go on the same rows.
func testRowsF64(names ...string) func(t *testing.T) {
	return func(t *testing.T) {
		for _, name := range names {
			for n := 1; n <= 70; n++ {
				const rows = 3
				r := newRand(uint64(n))
				var results [2][]float64
				args := rowArgs[float64]{ld: n + 1, rows: rows, n: n}
				for _, x := range []*[]float64{&args.y, &args.x, &args.z, &args.p, &args.q, &args.r, &args.w, &args.b} {
					*x = kerneltest.Normals[float64](r, rows*(n+1))
				}
				for i, table := range []*backend.Table{Table(), whole} {
					a := args
					a.y, a.out, a.sum = slices.Clone(args.y), make([]float64, rows), make([]float64, rows)
					rowRuns(&table.F64.Rows)[name](a)
					results[i] = slices.Concat(a.y, a.out, a.sum)
				}
				tolerance := kerneltest.Filled(len(results[0]), 1e-12*float64(n))
				for i, v := range results[1] {
					tolerance[i] *= max(1, math.Abs(v))
				}
				kerneltest.Near(t, fmt.Sprintf("%s of %d", name, n), results[0], results[1], tolerance)
			}
		}
	}
}

func (c rowCase) columns() bool { return strings.HasPrefix(c.name, "Col") }

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
	if c.columns() {
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
	rowRuns(&Table().F32.Rows)[c.name](rowArgs[float32]{g("y"), g("x"), g("z"), ld, rows, n, g("p"), g("q"), g("r"), g("w"), g("b"), g("out"), sums[0][:rows]})
	mags := map[string]float64{}
	for _, k := range []string{"x", "y", "z"} {
		m := 1.0
		for _, e := range wide[k] {
			m = max(m, math.Abs(e))
		}
		mags[k] = m
	}
	rowRuns(&whole.F64.Rows)[c.name](rowArgs[float64]{wide["y"], wide["x"], wide["z"], ld, rows, n, wide["p"], wide["q"], wide["r"], wide["w"], wide["b"], wide["out"], sums[1][:rows]})
	for i, got := range sums[0] {
		if want := sums[1][i]; !(math.Abs(got-want) <= 0x1p-24*4*max(1, math.Abs(want))) {
			return fmt.Errorf("sum %d is %v, want %v", i, got, want)
		}
	}
	for _, k := range []string{"y", "out"} {
		v := back[k]
		for i, got := range v {
			j := i - 1
			inside := j >= 0 && j < length[k] && (k == "out" || c.columns() || j%ld < n)
			if !inside {
				if math.Float32bits(got) != math.Float32bits(before[k][i]) {
					return fmt.Errorf("%s: element %d, outside of the rows, has become %v", k, j, got)
				}
				continue
			}
			want := wide[k][j]
			if c.exact || c.name == "Top" {
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
			Table().F32.Rows.Exp(y, x, n, 1, n, []float32{0}, sum)
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
			Table().F32.Rows.Exp(y, x, 13, 1, 13, []float32{0}, sum)
			for i := range 13 {
				if w := float32(math.Exp(s)); y[i] != w && (w == w || y[i] == y[i]) {
					t.Errorf("exp(%v) is %v", s, y[i])
				}
			}
		}
	})
}

// testTranspose holds a transposition against the plain one.
func testTranspose[T uint8 | uint16 | uint32 | uint64](t *testing.T, f backend.Transpose[T]) {
	for rows := 1; rows <= 35; rows++ {
		for cols := 1; cols <= 35; cols += 1 + rows%3 {
			if err := checkTranspose(rows, cols, f); err != nil {
				t.Fatalf("%d x %d: %v", rows, cols, err)
			}
		}
	}
}

func checkTranspose[T uint8 | uint16 | uint32 | uint64](rows, cols int, f backend.Transpose[T]) error {
	ldx, ldy := rows+rows%4, cols+cols%3
	x := make([]T, (cols-1)*ldx+rows)
	for i := range x {
		x[i] = T(i + 1)
	}
	got, want := make([]T, rows*ldy+9), make([]T, rows*ldy+9)
	f(got[:(rows-1)*ldy+cols], ldy, x, ldx, rows, cols)
	plain.Transpose(want, ldy, x, ldx, rows, cols)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%v, want %v", got, want)
	}
	return nil
}
