package level

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// eachTerm visits the products of a convolution by the places of their operands in x, w and y.
func eachTerm(p driver.Conv2DParams, visit func(x, w, y int)) {
	oh, ow := p.OutH(), p.OutW()
	one := func(n int) int { return max(n, 1) }
	cg, og := p.C/one(p.Groups), p.OC/one(p.Groups)
	for n := range p.N {
		for o := range p.OC {
			for i := range oh {
				for j := range ow {
					for c := range cg {
						for kh := range p.KH {
							for kw := range p.KW {
								h, v := i*one(p.StrideH)+kh*one(p.DilH)-p.PadTop, j*one(p.StrideW)+kw*one(p.DilW)-p.PadLeft
								if h >= 0 && h < p.H && v >= 0 && v < p.W {
									visit(((n*p.C+o/og*cg+c)*p.H+h)*p.W+v, ((o*cg+c)*p.KH+kh)*p.KW+kw, ((n*p.OC+o)*oh+i)*ow+j)
								}
							}
						}
					}
				}
			}
		}
	}
}

// convCases are shapes round the blocks of the kernels and what a random choice brings.
func convCases() []driver.Conv2DParams {
	var cases []driver.Conv2DParams
	for w := 1; w <= 40; w++ { // few and many channels, in runs of every length
		cases = append(cases,
			driver.Conv2DParams{N: 1, C: 2, H: 3, W: w, OC: 1 + w%7, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
			driver.Conv2DParams{N: 1, C: 1, H: 2, W: w, OC: 5 + w, KH: 2, KW: 1})
	}
	cases = append(cases,
		driver.Conv2DParams{N: 3, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2},
		driver.Conv2DParams{N: 3, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5},
		driver.Conv2DParams{N: 1, C: 130, H: 6, W: 5, OC: 70, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, // blocks of K and of channels
		driver.Conv2DParams{N: 1, C: 40, H: 37, W: 60, OC: 3, KH: 3, KW: 3, PadTop: 1, PadLeft: 1},                            // bands of rows
		driver.Conv2DParams{N: 2, C: 40, H: 9, W: 9, OC: 40, KH: 1, KW: 1},
		driver.Conv2DParams{N: 2, C: 40, H: 9, W: 9, OC: 33, KH: 1, KW: 1, StrideH: 2, StrideW: 2},
		driver.Conv2DParams{N: 1, C: 3, H: 35, W: 35, OC: 9, KH: 11, KW: 11, StrideH: 4, StrideW: 4, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2},
		driver.Conv2DParams{N: 2, C: 9, H: 12, W: 17, OC: 9, KH: 3, KW: 3, Groups: 9, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
		driver.Conv2DParams{N: 1, C: 2, H: 3, W: 4, OC: 2, KH: 7, KW: 8, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2}, // larger than x
		driver.Conv2DParams{N: 1, C: 1, H: 3, W: 3, OC: 1, KH: 1, KW: 1, PadTop: 3, PadLeft: 2, PadBottom: 1, PadRight: 4}, // windows of padding only
		driver.Conv2DParams{N: 1, C: 1, H: 9, W: 9, OC: 2, KH: 2, KW: 2, StrideH: 5, StrideW: 4},                           // cells that no window sees
		driver.Conv2DParams{N: 2, C: 3, H: 2, W: 2, OC: 2, KH: 3, KW: 3},                                                   // no windows
		driver.Conv2DParams{N: 0, C: 3, H: 5, W: 5, OC: 2, KH: 3, KW: 3},
		driver.Conv2DParams{N: 2, C: 0, H: 5, W: 5, OC: 2, KH: 3, KW: 3},
	)
	r := rand.New(rand.NewPCG(3, 7))
	upTo := func(n int) int { return 1 + r.IntN(n) }
	for range 150 {
		g := 1
		if r.IntN(3) == 0 {
			g = upTo(4)
		}
		p := driver.Conv2DParams{
			N: r.IntN(4), C: g * upTo(5), H: upTo(12), W: upTo(20), OC: g * upTo(12), KH: upTo(5), KW: upTo(5), Groups: g,
			StrideH: upTo(3), StrideW: upTo(3), DilH: upTo(3), DilW: upTo(3),
			PadTop: r.IntN(5), PadLeft: r.IntN(5), PadBottom: r.IntN(5), PadRight: r.IntN(5),
		}
		if r.IntN(2) == 0 {
			p.StrideH, p.StrideW = 1, 1
		}
		cases = append(cases, p)
	}
	if raceEnabled { // which takes ten times as long
		cases = slices.DeleteFunc(cases, func(driver.Conv2DParams) bool { return r.IntN(4) > 0 })
	}
	return cases
}

// guarded returns n elements between guards and a check that these still stand.
func guarded[T backend.Float](n int, fill func() T) ([]T, func() bool) {
	const room = 40
	all := make([]T, room+1+n+room)
	for i := range all {
		all[i] = guard
	}
	x := all[room+1 : room+1+n : room+1+n]
	for i := range x {
		x[i] = fill()
	}
	return x, func() bool {
		for i, v := range all {
			if (i < room+1 || i >= room+1+n) && v != guard {
				return false
			}
		}
		return true
	}
}

func nothing[T backend.Float]() T { return T(math.NaN()) }

// convRuns are the three kernels with their operands: the first is the result.
func convRuns[T backend.Float](p driver.Conv2DParams, by backend.ConvEngines[T]) [3]func(out, a, b []T) {
	forward, input, weight := driver.NewConv2D(p, by), driver.NewConv2DInputGrad(p, by), driver.NewConv2DWeightGrad(p, by)
	return [3]func(out, a, b []T){
		func(y, x, w []T) { forward.Run(y, x, w, nil) },
		func(dx, dy, w []T) { input.Run(dx, dy, w, nil) },
		weight.Run,
	}
}

func testConv[T backend.Float](t *testing.T) {
	defer parallel.SetThreads(0)
	r := newRand(8)
	normal := func() T { return T(r.NormFloat64()) }
	for _, p := range convCases() {
		oh, ow := p.OutH(), p.OutW()
		x, _ := guarded(p.N*p.C*p.H*p.W, normal)
		w, _ := guarded(p.OC*p.C/max(p.Groups, 1)*p.KH*p.KW, normal)
		dy, _ := guarded(p.N*p.OC*oh*ow, normal)
		runs := convRuns(p, engines[T]().Conv)
		for i, k := range []struct {
			name    string
			n       int
			a, b    []T
			perItem bool
		}{
			{"forward", len(dy), x, w, true},
			{"input gradient", len(x), dy, w, true},
			{"weight gradient", len(w), dy, x, false},
		} {
			what := fmt.Sprintf("%s %+v", k.name, p)
			want, sum, terms := make([]float64, k.n), make([]float64, k.n), make([]float64, k.n)
			eachTerm(p, func(xi, wi, yi int) {
				at, v := yi, float64(0)
				switch i {
				case 0:
					v = float64(x[xi]) * float64(w[wi])
				case 1:
					at, v = xi, float64(dy[yi])*float64(w[wi])
				default:
					at, v = wi, float64(dy[yi])*float64(x[xi])
				}
				want[at] += v
				sum[at] += math.Abs(v)
				terms[at]++
			})
			var first []T
			for _, threads := range []int{1, 2, 3, 8} {
				parallel.SetThreads(threads)
				out, intact := guarded(k.n, nothing[T])
				runs[i](out, k.a, k.b)
				if !intact() {
					t.Fatalf("%s: a guard is overwritten", what)
				}
				if first == nil {
					first = out
				}
				sameBits(t, fmt.Sprintf("%s, %d threads", what, threads), out, first)
			}
			for at, v := range first {
				if !(math.Abs(float64(v)-want[at]) <= 2*terms[at]*epsilon[T]()*sum[at]) {
					t.Fatalf("%s: element %d is %v, want %v", what, at, v, want[at])
				}
			}
			if p.N < 2 || !k.perItem || k.n == 0 || len(k.a) == 0 {
				continue
			}
			one := p
			one.N = 1
			alone := make([]T, k.n/p.N)
			convRuns(one, engines[T]().Conv)[i](alone, k.a[len(k.a)-len(k.a)/p.N:], k.b)
			sameBits(t, "alone "+what, alone, first[k.n-k.n/p.N:])
		}
	}
}

// TestConvSpecials puts a NaN or an infinity at each place of x or dy: it reaches the results that it is a term of, and no
// others. The weights are finite, as padding may take part.
func TestConvSpecials(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing runs concurrently")
	}
	atLevels(t, func(t *testing.T) {
		for _, p := range []driver.Conv2DParams{
			{N: 2, C: 2, H: 5, W: 11, OC: 3, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
			{N: 1, C: 3, H: 6, W: 6, OC: 17, KH: 2, KW: 3, StrideH: 2, StrideW: 2, PadLeft: 1},
			{N: 1, C: 2, H: 9, W: 9, OC: 2, KH: 3, KW: 3, Groups: 2, DilH: 2, DilW: 2},
		} {
			x := make([]float32, p.N*p.C*p.H*p.W)
			w := make([]float32, p.OC*p.C/max(p.Groups, 1)*p.KH*p.KW)
			dy := make([]float32, p.N*p.OC*p.OutH()*p.OutW())
			for _, s := range [][]float32{x, w, dy} {
				for i := range s {
					s[i] = 1
				}
			}
			runs := convRuns(p, engines[float32]().Conv)
			for i, k := range []struct {
				out, a, b []float32
				at        func(xi, wi, yi int) (out, a int)
			}{
				{make([]float32, len(dy)), x, w, func(xi, _, yi int) (int, int) { return yi, xi }},
				{make([]float32, len(x)), dy, w, func(xi, _, yi int) (int, int) { return xi, yi }},
				{make([]float32, len(w)), dy, x, func(_, wi, yi int) (int, int) { return wi, yi }},
			} {
				for special := range k.a {
					for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
						met := make([]bool, len(k.out))
						eachTerm(p, func(xi, wi, yi int) {
							if out, a := k.at(xi, wi, yi); a == special {
								met[out] = true
							}
						})
						k.a[special] = v
						runs[i](k.out, k.a, k.b)
						k.a[special] = 1
						for at, got := range k.out {
							// Where a gradient meets padding, an infinity times zero is NaN.
							if finite := got-got == 0; finite == met[at] && !(i == 2 && got != got) {
								t.Fatalf("%d %+v: %v at %d gives %v at %d", i, p, v, special, got, at)
							}
						}
					}
				}
			}
		}
	})
}

// counting is an epilogue that counts how often each element is replaced, by half of what it was.
type counting struct {
	y     []float32
	cols  int
	count []int32
}

func (*counting) Workers(int) {}

func (c *counting) Apply(_, r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		for j := c0; j < c1; j++ {
			c.count[r*c.cols+j]++
			c.y[r*c.cols+j] /= 2
		}
	}
}

func TestConvEpilogue(t *testing.T) {
	defer parallel.SetThreads(0)
	parallel.SetThreads(3)
	atLevels(t, func(t *testing.T) {
		r := newRand(2)
		for _, p := range convCases() {
			n := p.N * p.OC * p.OutH() * p.OutW()
			normal := func() float32 { return float32(r.NormFloat64()) }
			x, _ := guarded(p.N*p.C*p.H*p.W, normal)
			w, _ := guarded(p.OC*p.C/max(p.Groups, 1)*p.KH*p.KW, normal)
			y, plain := make([]float32, n), make([]float32, n)
			k := driver.NewConv2D(p, engines[float32]().Conv)
			k.Run(plain, x, w, nil)
			c := &counting{y, p.OutH() * p.OutW(), make([]int32, n)}
			k.Run(y, x, w, c)
			for i := range y {
				if c.count[i] != 1 || y[i] != plain[i]/2 {
					t.Fatalf("%+v: element %d is replaced %d times, and %v, want half of %v", p, i, c.count[i], y[i], plain[i])
				}
			}
		}
	})
}

func TestConvNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	defer parallel.SetThreads(0)
	atLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			for _, p := range []driver.Conv2DParams{
				{N: 8, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5},
				{N: 4, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2},
				{N: 1, C: 40, H: 20, W: 20, OC: 40, KH: 3, KW: 3, StrideH: 2, StrideW: 2},
			} {
				x, w := make([]float32, p.N*p.C*p.H*p.W), make([]float32, p.OC*p.C*p.KH*p.KW)
				dy := make([]float32, p.N*p.OC*p.OutH()*p.OutW())
				runs := convRuns(p, engines[float32]().Conv)
				for i, f := range []func(){func() { runs[0](dy, x, w) }, func() { runs[1](x, dy, w) }, func() { runs[2](w, dy, x) }} {
					if n := testing.AllocsPerRun(50, f); n != 0 {
						t.Errorf("%d %+v, %d threads: %v allocations a run", i, p, threads, n)
					}
				}
			}
		}
	})
}

func testQuads[T backend.Float](t *testing.T) {
	r := newRand(5)
	specials := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}
	for n := 1; n <= 40; n++ {
		for _, odd := range []int{0, 1} {
			p := driver.Pool2DParams{N: 3, C: 2, H: 6 + odd, W: 2*n + odd, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 3, OutW: n}
			x, _ := guarded(p.N*p.C*p.H*p.W, func() T {
				if r.IntN(3) == 0 {
					return T(specials[r.IntN(len(specials))])
				}
				return T(r.IntN(5) - 2) // many ties
			})
			out := p.N * p.C * p.OutH * p.OutW
			y, intact := guarded(out, nothing[T])
			index := make([]int64, out+8)
			for i := range index {
				index[i] = -7
			}
			driver.NewMaxPool2D(p, engines[T]().Pool).MaxRun(y, index[:out], x)
			if !intact() || index[out] != -7 {
				t.Fatalf("width %d: a guard is overwritten", n)
			}
			z := make([]T, out)
			driver.NewMaxPool2D(p, engines[T]().Pool).MaxRun(z, nil, x)
			sameBits(t, "without index", z, y)
			mean, intact := guarded(out, nothing[T])
			driver.NewAvgPool2D(p, true, engines[T]().Pool).AvgRun(mean, x)
			if !intact() {
				t.Fatalf("width %d: a guard is overwritten", n)
			}
			for o := range y {
				plane := x[o/(3*n)*p.H*p.W:]
				at := o/n%3*2*p.W + o%n*2
				cells := []int{at, at + 1, at + p.W, at + p.W + 1}
				best := cells[0]
				var sum T
				for _, c := range cells {
					if v, b := plane[c], plane[best]; v > b || v != v && b == b {
						best = c
					}
					sum += plane[c]
				}
				if index[o] != int64(best) {
					t.Fatalf("width %d: the maximum %d of %v is at %d, want %d", n, o, plane[at:at+2], index[o], best)
				}
				for _, k := range []struct{ got, want T }{{y[o], plane[best]}, {mean[o], sum / 4}} {
					if k.got == k.got || k.want == k.want { // else both are NaN
						sameBits(t, "quad", []T{k.got}, []T{k.want})
					}
				}
			}
		}
	}
}
