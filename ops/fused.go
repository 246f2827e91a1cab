package ops

import (
	"github.com/graphrun/graphrun/graph"
)

// The fused op is what the compiler's pass fuse puts in the place of several nodes. Its meaning is its region's.
var _ = graph.MustRegister(&graph.Op{
	Name: "fused",
	Doc: "Several nodes computed by one kernel: the results of its region applied to the operands. The compiler's pass fuse makes it; " +
		"what the region may hold is in package compile.",
	Args:       []graph.Arg{{Name: "args", Types: graph.AnyDType, Variadic: true, Doc: "the region's parameters"}},
	Attrs:      []graph.AttrSpec{{Name: "results", Kind: graph.IntAttr, Show: graph.ShowNever, Doc: "the number of the region's results"}},
	NumResults: func(a graph.Attrs, _ int) int { return min(max(a.Int("results"), 0), 1<<16) },
	NumRegions: 1,
	Infer: func(c *graph.InferCtx) []graph.Type {
		r := c.Regions[0]
		if n := len(r.Results()); n != c.Int("results") {
			c.Failf("the region has %d results, not %d", n, c.Int("results"))
		}
		types, err := graph.InferRegion(r, c.In)
		if err != nil {
			c.Failf("%v", err)
		}
		return types
	},
	Ref: func(c *graph.RefCtx) {
		copy(c.Out, c.Region(0, c.In))
	},
	Props:  graph.Props{Fused: true},
	NoGrad: "it is made after differentiation",
	Build: []func(f *graph.Func, in []Value) []Value{func(f *graph.Func, in []Value) []Value {
		types := []graph.Type{in[0].Type(), in[1].Type()}
		return fused(f.Region("fused", types, func(_ *graph.Func, p []Value) []Value {
			y := ReLU(Add(p[0], p[1]))
			return []Value{y, ReduceSum(y, []int{0}, false)}
		}), in)
	}},
})

// fused emits a node that computes the results of a region on args, the region's parameters in order.
func fused(region *graph.Func, args []Value) []Value {
	f := graph.Innermost(args...)
	if f == nil {
		return make([]Value, len(region.Results()))
	}
	return f.Emit(graph.LookupOp("fused"), args, graph.Attrs{attr("results", len(region.Results()))}, region)
}
