package optest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// weigh registers an op x*w of two vectors of f64, the kernel of which reads w backwards where it is packed.
func weigh(t *testing.T, name string, pack func(s *kernels.Spec, operand int) *kernels.Layout, ignore bool) *graph.Op {
	t.Helper()
	op := graph.MustRegister(&graph.Op{
		Name:    name,
		Doc:     "The products of x and w.",
		Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "a vector"}, {Name: "w", Types: graph.Floats, Doc: "another one"}},
		Results: []string{"out"},
		Infer: func(c *graph.InferCtx) []graph.Type {
			x, w := c.Tensor(0), c.Tensor(1)
			if c.SameDType(); x.Rank() != 1 || w.Rank() != 1 {
				c.Failf("want vectors, have %s and %s", x, w)
			}
			c.MustEqual(x.Shape[0], w.Shape[0], "sizes differ: x is %s, w is %s", x, w)
			return []graph.Type{x}
		},
		Ref: func(c *graph.RefCtx) {
			for i, x := range c.In[0].F {
				c.Out[0].F[i] = x * c.In[1].F[i]
			}
		},
		Grad: func(g *graph.GradCtx) []graph.Value {
			return []graph.Value{ops.Mul(g.Dy(0), g.In[1]), ops.Mul(g.Dy(0), g.In[0])}
		},
		Sample: "f64[5], f64[5]",
	})
	floats := func(t *value.Tensor) []float64 {
		list, _ := value.Data[float64](t)
		return list
	}
	err := kernels.Register(&kernels.Kernel{
		Op: name, DTypes: graph.DTypes(graph.F64), Pack: pack,
		Bind: func(s *kernels.Spec) (kernels.Func, error) {
			packed := s.Packed != nil && s.Packed[1] != nil && !ignore
			return func(c *kernels.Call) error {
				w := floats(c.In[1])
				if packed {
					w = s.Packed[1].Data.([]float64)
				}
				y := floats(c.Out[0])
				for i, x := range floats(c.In[0]) {
					k := i
					if packed {
						k = len(w) - 1 - i
					}
					y[i] = x * w[k]
				}
				return nil
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestPack checks kernels that want an operand packed: a right one, and ones with a fault that shows with packed operands only.
func TestPack(t *testing.T) {
	type backwards struct{}
	layout := func(reverse func(s *kernels.Spec) bool) func(s *kernels.Spec, operand int) *kernels.Layout {
		return func(s *kernels.Spec, operand int) *kernels.Layout {
			if operand != 1 {
				return nil
			}
			return &kernels.Layout{Key: backwards{}, Pack: func(t *value.Tensor) any {
				list, _ := value.Data[float64](t)
				if list = slices.Clone(list); reverse(s) {
					slices.Reverse(list)
				}
				return list
			}}
		}
	}
	always := func(*kernels.Spec) bool { return true }
	never := func(*kernels.Spec) bool { return false }
	known := func(s *kernels.Spec) bool { _, ok := s.InTypes[0].Shape[0].Int(); return ok }
	for name, c := range map[string]struct {
		pack   func(s *kernels.Spec, operand int) *kernels.Layout
		ignore bool
		want   string
	}{
		"right":  {pack: layout(always)},
		"order":  {pack: layout(never), want: "operands [1] packed"},
		"key":    {pack: layout(known), want: "operands [1] packed"}, // it depends on sizes, and the key does not
		"unread": {pack: layout(always), ignore: true, want: "operands [1] packed"},
	} {
		err := optest.Check(weigh(t, "example_weigh_"+name, c.pack, c.ignore))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: have %v, want %q", name, err, c.want)
		}
	}
}
