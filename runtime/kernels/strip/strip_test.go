package strip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

func zeros(t *testing.T, dt value.DType, shape ...int) *value.Tensor {
	t.Helper()
	x, err := value.New(dt, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func random(t *testing.T, r *rand.Rand, shape ...int) *value.Tensor {
	t.Helper()
	x := zeros(t, value.F32, shape...)
	data, err := value.Data[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return x
}

// noAxis is free.
func noAxis(int) bool { return false }

// TestStripsCoverTheSpace checks that every element is in one strip, and that no strip is longer than a register.
func TestStripsCoverTheSpace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		shape := make([]int, 1+r.IntN(4))
		size := 1
		for i := range shape {
			shape[i] = 1 + r.IntN([]int{3, 40, 300}[r.IntN(3)])
			if size*shape[i] > 1<<19 {
				shape[i] = 1
			}
			size *= shape[i]
		}
		b := New(shape)
		narrow := append([]int(nil), shape...)
		narrow[r.IntN(len(narrow))] = 1
		v := b.Binary(backend.Add, b.Operand(value.F32, shape), b.Operand(value.F32, narrow))
		for range r.IntN(20) {
			v = b.Binary(backend.Mul, v, b.Operand(value.F32, shape))
		}
		b.Result(v)
		k := b.Bind()
		seen := make([]bool, size)
		w := k.workers[0]
		for p := range k.count {
			k.seek(w, p)
			n := k.rows(w) * k.cut.inner
			if n < 1 || n > k.cut.len() || n > maxStrip {
				t.Fatalf("%v: strip %d has %d elements", shape, p, n)
			}
			first := w.offset[k.operands] / k.sizes[k.operands]
			for i := first; i < first+n; i++ {
				if seen[i] {
					t.Fatalf("%v: element %d is in two strips", shape, i)
				}
				seen[i] = true
			}
		}
		for i, ok := range seen {
			if !ok {
				t.Fatalf("%v: element %d is in no strip", shape, i)
			}
		}
	}
}

// TestInPlace writes the difference and the sum of two operands over them, either way round: whichever is written first
// takes an operand that the other one needs.
func TestInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{1, 63, 300, 5000, 300_001} {
		b := New([]int{n})
		x, y := b.Operand(value.F32, []int{n}), b.Operand(value.F32, []int{n})
		b.Result(b.Binary(backend.Sub, x, y))
		b.Result(b.Binary(backend.Add, x, y))
		k := b.Bind()
		for _, exchanged := range []bool{false, true} {
			p, q := random(t, r, n), random(t, r, n)
			ps, qs := p.Float64s(), q.Float64s()
			out := []*value.Tensor{p, q}
			if exchanged {
				out = []*value.Tensor{q, p}
			}
			k.Run([]*value.Tensor{p, q}, out)
			less, more := out[0].Float64s(), out[1].Float64s()
			for i := range n {
				if want := float64(float32(ps[i] - qs[i])); less[i] != want {
					t.Fatalf("n %d, exchanged %v: difference %d is %v, want %v", n, exchanged, i, less[i], want)
				}
				if want := float64(float32(ps[i] + qs[i])); more[i] != want {
					t.Fatalf("n %d, exchanged %v: sum %d is %v, want %v", n, exchanged, i, more[i], want)
				}
			}
		}
	}
}

// TestSameBits reduces on several numbers of threads, with the first result in place of an operand and elsewhere.
func TestSameBits(t *testing.T) {
	defer parallel.SetThreads(0)
	r := rand.New(rand.NewPCG(3, 3))
	shape := []int{37, 129, 65}
	for _, op := range []backend.ReduceOp{backend.Sum, backend.Mean, backend.MaxOf, backend.MinOf} {
		for set := 1; set < 8; set++ {
			var axes []int
			var kept []int
			for a, d := range shape {
				if set>>a&1 == 1 {
					axes = append(axes, a)
				} else {
					kept = append(kept, d)
				}
			}
			b := New(shape)
			v := b.Binary(backend.Mul, b.Unary(backend.Exp, b.Operand(value.F32, shape)), b.Operand(value.F32, shape[1:]))
			b.Result(v)
			b.Reduce(op, v, axes, noAxis)
			k := b.Bind()
			x, y := random(t, r, shape...), random(t, r, shape[1:]...)
			var want [2][]byte
			for _, threads := range []int{1, 2, 3, 8} {
				for _, inPlace := range []bool{false, true} {
					parallel.SetThreads(threads)
					in := []*value.Tensor{x.Clone(), y}
					out := []*value.Tensor{zeros(t, value.F32, shape...), zeros(t, value.F32, kept...)}
					if inPlace {
						out[0] = in[0]
					}
					k.Run(in, out)
					for i, o := range out {
						if want[i] == nil {
							want[i] = o.Bytes()
						}
						if !bytes.Equal(o.Bytes(), want[i]) {
							t.Fatalf("reduction %d over %v: result %d differs on %d threads, in place %v", op, axes, i, threads, inPlace)
						}
					}
				}
			}
		}
	}
}

// TestEpilogueParts applies an epilogue part by part, in any order, and compares with the kernel of the same expression.
func TestEpilogueParts(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, shape := range [][]int{{1, 1}, {7, 5}, {40, 130}, {3, 5000}, {900, 33}} {
		rows, columns := shape[0], shape[1]
		build := func() *Builder {
			b := New(shape)
			product := b.Operand(value.F32, shape)
			bias, scale, mask := b.Operand(value.F32, []int{columns}), b.Operand(value.F32, []int{rows, 1}), b.Operand(value.F32, shape)
			v := b.Binary(backend.Mul, b.Unary(backend.Tanh, b.Binary(backend.Add, product, bias)), scale)
			b.Result(b.Select(b.Compare(backend.Less, mask, product), v, mask))
			return b
		}
		product := random(t, r, shape...)
		others := []*value.Tensor{random(t, r, columns), random(t, r, rows, 1), random(t, r, shape...)}
		want := zeros(t, value.F32, shape...)
		build().Bind().Run(append([]*value.Tensor{product}, others...), []*value.Tensor{want})

		e := build().BindEpilogue(1)
		for range 5 {
			got := product.Clone()
			height, width := 1+r.IntN(rows), 1+r.IntN(columns)
			var parts [][2]int
			for i := 0; i < rows; i += height {
				for j := 0; j < columns; j += width {
					parts = append(parts, [2]int{i, j})
				}
			}
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			e.Begin(got, others)
			for _, p := range parts {
				e.Apply(0, p[0], min(p[0]+height, rows), p[1], min(p[1]+width, columns))
			}
			e.End()
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%v in parts of %d x %d differs from the kernel", shape, height, width)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	shape := make([]int, driver.MaxRank+2)
	every := make([]int, len(shape))
	for i := range shape {
		shape[i], every[i] = 2, 1+i%2 // no two neighbours are alike
	}
	b := New(shape)
	b.Result(b.Binary(backend.Add, b.Operand(value.F32, shape), b.Operand(value.F32, every)))
	if b.Bind() != nil {
		t.Errorf("a kernel of %d dims", len(shape))
	}
	b = New([]int{4, 4})
	b.Result(b.Binary(backend.Add, b.Operand(value.F32, []int{4, 4}), b.Operand(value.F32, []int{4, 1})))
	if b.BindEpilogue(1) == nil {
		t.Error("no epilogue with an operand that is broadcast along all columns")
	}
	b = New([]int{4, 4, 4})
	b.Result(b.Binary(backend.Add, b.Operand(value.F32, []int{4, 4, 4}), b.Operand(value.F32, []int{4, 4, 1})))
	if b.BindEpilogue(1) != nil {
		t.Error("an epilogue with an operand that is broadcast along some columns only")
	}
}

func TestRunsDoNotAllocate(t *testing.T) {
	defer parallel.SetThreads(0)
	r := rand.New(rand.NewPCG(5, 5))
	for _, threads := range []int{1, 3} {
		for _, n := range []int{3, 1000} {
			t.Run(fmt.Sprintf("%dx%d, %d threads", n, n, threads), func(t *testing.T) {
				parallel.SetThreads(threads)
				b := New([]int{n, n})
				v := b.Binary(backend.Add, b.Operand(value.F32, []int{n, n}), b.Operand(value.F32, []int{n}))
				b.Result(v)
				b.Reduce(backend.Sum, v, []int{0}, noAxis)
				k := b.Bind()
				in := []*value.Tensor{random(t, r, n, n), random(t, r, n)}
				out := []*value.Tensor{zeros(t, value.F32, n, n), zeros(t, value.F32, n)}
				if a := testing.AllocsPerRun(10, func() { k.Run(in, out) }); a != 0 {
					t.Errorf("%v allocations", a)
				}
			})
		}
	}
}
