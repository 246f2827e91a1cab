package ops_test

import (
	"math"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/philox"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// run evaluates f with the variable rng holding {seed, call}.
func run(t *testing.T, f *graph.Func, seed, call uint64, in ...value.Value) []*value.Tensor {
	t.Helper()
	if err := f.Module().Err(); err != nil {
		t.Fatal(err)
	}
	key, err := value.FromSlice([]uint64{seed, call}, 2)
	if err != nil {
		t.Fatal(err)
	}
	ip := graph.Interpreter{Read: func(string) (*value.Tensor, error) { return key, nil }}
	outs, err := ip.Run(f, in)
	if err != nil {
		t.Fatal(err)
	}
	tensors := make([]*value.Tensor, len(outs))
	for i, o := range outs {
		tensors[i] = o.(*value.Tensor)
	}
	return tensors
}

func moments(xs []float64) (mean, variance float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		variance += (x - mean) * (x - mean) / float64(len(xs))
	}
	return mean, variance
}

func TestRandomIsAFunctionOfKeyStreamAndPosition(t *testing.T) {
	f := graph.NewModule("m").Func("f")
	f.Return("u", ops.RandomUniform(f, graph.F32, 0, 1, 7))
	f.Return("v", ops.RandomUniform(f, graph.F64, 0, 1, 3))
	const seed, call = 0x0123456789abcdef, 0x100000007
	outs := run(t, f, seed, call)
	for i, got := range outs[0].Float64s() {
		w := philox.Philox([2]uint32{0x89abcdef, 0x01234567}, [4]uint32{uint32(i / 4), 0, 7, 1})
		if want := float64(w[i%4]>>8) / (1 << 24); got != want {
			t.Errorf("element %d is %v, want %v", i, got, want)
		}
	}
	for i, got := range outs[1].Float64s() {
		w := philox.Philox([2]uint32{0x89abcdef, 0x01234567}, [4]uint32{uint32(i / 2), 1, 7, 1})
		if want := float64((uint64(w[2*(i%2)])<<32|uint64(w[2*(i%2)+1]))>>11) / (1 << 53); got != want {
			t.Errorf("f64: element %d is %v, want %v", i, got, want)
		}
	}
	key, err := value.Data[uint64](outs[2])
	if err != nil || len(outs) != 3 || key[0] != seed || key[1] != call+1 {
		t.Errorf("the next key is %v, %v, want the call counted up once", key, err)
	}
}

func TestRandomDistributions(t *testing.T) {
	const n = 1 << 14
	f := graph.NewModule("m").Func("f")
	f.Return("uniform", ops.RandomUniform(f, graph.F32, -1, 3, n))
	f.Return("normal", ops.RandomNormal(f, graph.F64, 2, 0.5, n))
	f.Return("bernoulli", ops.Cast(ops.RandomBernoulli(f, 0.25, n), graph.F32))
	outs := run(t, f, 1, 2)
	for i, want := range [][2]float64{{1, 16. / 12}, {2, 0.25}, {0.25, 0.1875}} {
		mean, variance := moments(outs[i].Float64s())
		if math.Abs(mean-want[0]) > 0.04 || math.Abs(variance-want[1]) > 0.04 {
			t.Errorf("result %d: mean %.3f, variance %.3f, want %v", i, mean, variance, want)
		}
	}
}

func TestDropout(t *testing.T) {
	const n = 1 << 12
	f := graph.NewModule("m").Func("f")
	x := f.Input("x", graph.F32, n)
	y := f.Input("y", graph.F32, 6, 5, 4)
	f.Return("a", ops.Dropout(x, 0.25))
	f.Return("b", ops.Dropout(x, 0.25))
	f.Return("c", ops.Dropout(y, 0.5, 2, -2))
	ones := value.NewExact(graph.F32, []int{n})
	for i := range ones.F {
		ones.F[i] = 1
	}
	block := value.NewExact(graph.F32, []int{6, 5, 4})
	copy(block.F, ones.F)
	outs := run(t, f, 3, 0, ones.Tensor(), block.Tensor())
	a, b := outs[0].Float64s(), outs[1].Float64s()
	zero, differ := 0, 0
	for i := range a {
		switch {
		case a[i] == 0:
			zero++
		case math.Abs(a[i]-1/0.75) > 1e-6:
			t.Fatalf("a survivor is %v, want 4/3", a[i])
		}
		if a[i] != b[i] {
			differ++
		}
	}
	if zero < n/5 || zero > n*3/10 {
		t.Errorf("%d of %d elements are zeroed with p 0.25", zero, n)
	}
	if differ < n/4 {
		t.Errorf("two dropouts of one function differ at %d of %d elements only", differ, n)
	}
	c := outs[2].Float64s()
	for i := range c {
		if c[i] != c[i/20*20] {
			t.Errorf("element %d does not share the draw of its axes", i)
		}
	}
}

func TestKeyInAnInitializer(t *testing.T) {
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, key graph.Value) graph.Value {
		if ops.Key(f) != key {
			t.Error("the key of an initializer is not its parameter")
		}
		return ops.RandomNormal(f, graph.F32, 0, 1, 3)
	})
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	if m.LookupVariable("rng") != nil {
		t.Error("an initializer declares the variable rng")
	}
	if got := w.Init().Results()[0].Value.OpName(); got != "random_normal" {
		t.Errorf("the initializer returns a %s", got)
	}
}

// TestUniformBelowHigh draws so much in narrow dtypes, and so near to high in f32, that rounding would reach high. In [0, 1) all numbers are
// multiples of the unit below 1, each as probable.
func TestUniformBelowHigh(t *testing.T) {
	key, _ := value.FromSlice([]uint64{5, 0}, 2)
	for _, c := range []struct {
		dt        graph.DType
		low, high float64
	}{
		{graph.F16, 0, 1},
		{graph.BF16, 0, 1},
		{value.F8E4M3FN, 0, 1},
		{graph.F16, -1, 1},
		{graph.BF16, -3, 0},
		{graph.F16, 0.1, 0.3},
		{graph.BF16, 1, 1.01},
		{graph.F32, 1, 2},
		{graph.F32, 1e6, 1e6 + 1},
	} {
		attrs := graph.Attrs{
			{Name: "dtype", Value: c.dt},
			{Name: "shape", Value: graph.Ints(1 << 17)},
			{Name: "stream", Value: int64(0)},
			{Name: "low", Value: c.low},
			{Name: "high", Value: c.high},
		}
		outs, err := graph.Evaluate(graph.LookupOp("random_uniform"), []value.Value{key}, attrs)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[float64]int{}
		for _, x := range outs[0].(*value.Tensor).Float64s() {
			counts[x]++
			if x < value.RoundFloat(c.dt, c.low) || x >= c.high {
				t.Fatalf("%s in [%v, %v): %v", c.dt, c.low, c.high, x)
			}
		}
		if c.low != 0 {
			continue
		}
		unit := 1 - value.FloatBelow(c.dt, 1)
		if want := int(1 / unit); len(counts) != want {
			t.Errorf("%s: there are %d numbers, want %d", c.dt, len(counts), want)
		}
		mean := float64(1<<17) * unit
		for x, n := range counts {
			if x != math.Floor(x/unit)*unit || math.Abs(float64(n)-mean) > 7*math.Sqrt(mean) {
				t.Errorf("%s: %v comes %d times, want about %v", c.dt, x, n, mean)
			}
		}
	}
}
