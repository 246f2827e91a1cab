package kernels

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

func attr(name string, v any) graph.Attr { return graph.Attr{Name: name, Value: v} }

func ints(name string, list []int) graph.Attr {
	v := make([]int64, len(list))
	for i, n := range list {
		v[i] = int64(n)
	}
	return attr(name, v)
}

// windows are the attributes of a convolution or, with more of them, of pooling.
func windows(stride int, pads []int, more ...graph.Attr) graph.Attrs {
	return append(graph.Attrs{ints("strides", []int{stride, stride}), ints("pads", pads)}, more...)
}

// boundTo returns the call of an op on operands with its results, and what the reference makes of them.
func boundTo(t *testing.T, op string, attrs graph.Attrs, in ...*value.Tensor) (k *Kernel, c *Call, want []*value.Tensor) {
	t.Helper()
	s := &Spec{Attrs: attrs}
	var types []graph.Type
	var operands []value.Value
	for _, x := range in {
		operands, types = append(operands, x), append(types, graph.TypeOf(x))
		s.InTypes = append(s.InTypes, graph.TypeOf(x).(graph.TensorType))
	}
	results, err := graph.Evaluate(graph.LookupOp(op), operands, attrs)
	if err != nil {
		t.Fatal(err)
	}
	c = &Call{Spec: s, In: in}
	for _, r := range results {
		want = append(want, r.(*value.Tensor))
		c.Out = append(c.Out, r.(*value.Tensor).Clone())
		s.OutTypes = append(s.OutTypes, graph.TypeOf(r).(graph.TensorType))
	}
	if k = Lookup(op, types, attrs); k == nil {
		t.Fatalf("%s has no kernel", op)
	}
	return k, c, want
}

// TestWindows runs the bound kernels of convolution and pooling on one and on two threads: what the references say, and
// no allocation.
func TestWindows(t *testing.T) {
	defer parallel.SetThreads(0)
	r := rand.New(rand.NewPCG(4, 2))
	size, ceil, square := attr("size", graph.Ints(17, 19)), attr("ceil_mode", false), ints("kernel", []int{2, 2})
	dense, holes, whole := ints("dilations", []int{1, 1}), ints("dilations", []int{2, 2}), attr("groups", int64(1))
	inside, cells := attr("count_include_pad", false), attr("divisor", int64(0))
	pads, none := []int{1, 2, 0, 1}, []int{0, 0, 0, 0}
	tensor := func(shape ...int) *value.Tensor { return randomTensor(t, r, shape...) }
	places, err := value.New(graph.I64, 2, 3, 8, 9)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := 0, elems[int64](places); i < len(d); i++ {
		d[i] = int64(r.IntN(2*17*19) - 17*19)
	}
	for _, k := range []struct {
		op    string
		attrs graph.Attrs
		in    []*value.Tensor
	}{
		{"conv", windows(1, pads, dense, whole), []*value.Tensor{tensor(3, 4, 17, 19), tensor(20, 4, 3, 5)}},
		{"conv", windows(2, pads, dense, attr("groups", int64(2))), []*value.Tensor{tensor(3, 4, 17, 19), tensor(6, 2, 3, 5)}},
		{"conv_input_grad", windows(1, none, holes, whole, size), []*value.Tensor{tensor(2, 5, 13, 15), tensor(5, 3, 3, 3)}},
		{"conv_weight_grad", windows(1, none, dense, whole, attr("size", graph.Ints(5, 5))), []*value.Tensor{tensor(5, 3, 14, 14), tensor(5, 7, 10, 10)}},
		{"max_pool", windows(2, none, dense, square, ceil), []*value.Tensor{tensor(2, 3, 17, 19)}},
		{"max_pool", windows(2, []int{1, 0, 1, 1}, dense, ints("kernel", []int{3, 2}), ceil), []*value.Tensor{tensor(2, 3, 17, 19)}},
		{"max_pool_grad", graph.Attrs{size}, []*value.Tensor{tensor(2, 3, 8, 9), places}},
		{"avg_pool", windows(2, none, square, ceil, inside, cells), []*value.Tensor{tensor(2, 3, 17, 19)}},
		{"avg_pool", windows(1, []int{1, 0, 1, 1}, ints("kernel", []int{3, 2}), ceil, inside, cells), []*value.Tensor{tensor(2, 3, 17, 19)}},
		{"avg_pool_grad", windows(2, none, square, ceil, inside, cells, size), []*value.Tensor{tensor(2, 3, 8, 9)}},
	} {
		row, c, want := boundTo(t, k.op, k.attrs, k.in...)
		run, err := row.Bind(c.Spec)
		if err != nil || run == nil {
			t.Fatalf("%s: %v", k.op, err)
		}
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			if err := run(c); err != nil {
				t.Fatalf("%s: %v", k.op, err)
			}
			for i, w := range want {
				got, ref := c.Out[i].Float64s(), w.Float64s()
				for at := range ref {
					if math.Abs(got[at]-ref[at]) > 1e-4 {
						t.Fatalf("%s, %d threads: element %d is %v, want %v", k.op, threads, at, got[at], ref[at])
					}
				}
			}
			if n := testing.AllocsPerRun(20, func() { _ = run(c) }); n != 0 {
				t.Errorf("%s, %d threads: %v allocations a run", k.op, threads, n)
			}
		}
	}
}

func TestConvProducer(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	_, c, want := boundTo(t, "conv", windows(1, []int{1, 2, 0, 1}, ints("dilations", []int{1, 1}), attr("groups", int64(1))),
		randomTensor(t, r, 3, 4, 17, 19), randomTensor(t, r, 20, 4, 3, 5))
	shape := c.Out[0].Shape()
	run, err := bindConv(c.Spec, &negated{elems[float32](c.Out[0]), shape[2] * shape[3]})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(c); err != nil {
		t.Fatal(err)
	}
	for at, w := range want[0].Float64s() {
		if got := c.Out[0].Float64s()[at]; math.Abs(got+w) > 1e-4 {
			t.Fatalf("element %d is %v, want %v", at, got, -w)
		}
	}
}

func TestMaxPoolGradOutOfRange(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	at, err := value.New(graph.I64, 1, 1, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	row, c, _ := boundTo(t, "max_pool_grad", graph.Attrs{attr("size", graph.Ints(3, 4))}, randomTensor(t, r, 1, 1, 2, 2), at)
	run, err := row.Bind(c.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for index, ok := range map[int64]bool{11: true, -12: true, 12: false, -13: false} {
		elems[int64](at)[2] = index
		if err := run(c); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "out of range for a plane of 12 cells") {
			t.Errorf("index %d: %v", index, err)
		}
	}
}

// TestConvOfHoles leaves a convolution whose padded image would be far larger than its operands to the reference.
func TestConvOfHoles(t *testing.T) {
	const far = 1 << 20
	r := rand.New(rand.NewPCG(4, 2))
	row, c, want := boundTo(t, "conv", windows(1, []int{far, far, 0, 0}, ints("dilations", []int{far, far}), attr("groups", int64(1))),
		randomTensor(t, r, 1, 1, 2, 2), randomTensor(t, r, 1, 1, 2, 2))
	f := graph.NewModule("m").Func("f")
	c.Spec.Node = f.Emit(graph.LookupOp("conv"), []graph.Value{f.Const(c.In[0]), f.Const(c.In[1])}, c.Attrs)[0].Node()
	run, err := row.Bind(c.Spec)
	if err != nil || !c.Spec.ByReference() {
		t.Fatalf("a plan is made: %v, %v", c.Spec.ByReference(), err)
	}
	if err := run(c); err != nil || !c.Out[0].Equal(want[0]) {
		t.Errorf("%v, want %v, %v", c.Out[0], want[0], err)
	}
}

// TestPackedWeights wants the same bits from weights that have been packed beforehand, and one layout for all batches.
func TestPackedWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 2))
	for _, c := range []struct {
		n, c, h, w, o, kh, kw, groups, stride, pad, dilation int
	}{
		{1, 3, 8, 8, 32, 3, 3, 1, 1, 1, 1},
		{5, 3, 8, 8, 32, 3, 3, 1, 1, 1, 1},
		{1, 64, 7, 7, 70, 1, 1, 1, 1, 0, 1},
		{2, 12, 9, 11, 24, 3, 5, 4, 2, 2, 1},
		{1, 8, 5, 5, 8, 3, 3, 8, 1, 1, 1},
		{3, 4, 1, 16, 6, 1, 3, 1, 1, 0, 2},
		{1, 512, 2, 2, 40, 3, 3, 1, 1, 1, 1},
		{1, 2, 4, 4, 3, 4, 4, 1, 1, 3, 1},
	} {
		x, w := randomTensor(t, r, c.n, c.c, c.h, c.w), randomTensor(t, r, c.o, c.c/c.groups, c.kh, c.kw)
		attrs := windows(c.stride, []int{c.pad, c.pad, c.pad, c.pad}, ints("dilations", []int{c.dilation, c.dilation}), attr("groups", int64(c.groups)))
		if c.stride > 1 {
			attrs[0] = ints("strides", []int{c.stride, c.stride})
		}
		row, call, _ := boundTo(t, "conv", attrs, x, w)
		plain, err := row.Bind(call.Spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := plain(call); err != nil {
			t.Fatal(err)
		}
		want := call.Out[0].Clone()
		layout := row.Pack(call.Spec, 1)
		if layout == nil || row.Pack(call.Spec, 0) != nil {
			t.Fatalf("%+v: the weights are not packed, or the image is", c)
		}
		other := &Spec{Attrs: call.Spec.Attrs, InTypes: append([]graph.TensorType(nil), call.Spec.InTypes...), OutTypes: call.Spec.OutTypes}
		batch, err := dim.Parse("N")
		if err != nil {
			t.Fatal(err)
		}
		other.InTypes[0].Shape = append([]graph.Dim{batch}, other.InTypes[0].Shape[1:]...)
		if l := row.Pack(other, 1); l == nil || l.Key != layout.Key {
			t.Errorf("%+v: the layout depends on the batch", c)
		}
		packs := &Packs{}
		p := packs.Of("w", layout)
		p.Refresh(w, 0, nil)
		call.Spec.Packed = []*Packed{nil, p}
		packed, err := row.Bind(call.Spec)
		if err != nil {
			t.Fatal(err)
		}
		clear(call.Out[0].Bytes())
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			if err := packed(call); err != nil {
				t.Fatal(err)
			}
			if !call.Out[0].Equal(want) {
				t.Errorf("%+v, %d threads: packed weights give other bits", c, threads)
			}
		}
		if n := testing.AllocsPerRun(3, func() { _ = packed(call) }); n != 0 {
			t.Errorf("%+v: %v allocations a call", c, n)
		}
	}
}
