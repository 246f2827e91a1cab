package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
)

var fold = &Pass{
	Name: "fold",
	Doc: "Evaluates nodes whose operands are constants by their ops' references, those of much work by their kernels. " +
		"A node whose result is much larger than its operands, such as an expand, stays: a constant costs memory for the life of the program.",
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { foldFunc(c, f); return nil })
	},
	After: []string{"autodiff"},
}

// smallConstant is how many elements a folded result may have even if its operands have fewer.
const smallConstant = 64

// largeConstant is how many elements it takes time to evaluate.
const largeConstant = 1 << 12

// muchWork is how many operations take a reference a tenth of a second or more.
const muchWork = 1 << 24

// foldBudget is the work of a compilation in evaluating constants, in operations, and the elements that it has made.
type foldBudget struct{ work, elements float64 }

// mostFolded is how many operations take a minute or more: a model of a few lines can ask for any number.
const mostFolded = 1 << 36

// take counts a node, and reports whether it is not too much.
func (d *foldBudget) take(n *graph.Node, elements int) bool {
	places := float64(elements) // that a reference walks over, in tensors without elements too
	for _, t := range append(n.OperandTypes(), n.Types()...) {
		tt, _ := t.(graph.TensorType)
		shape, _ := tt.ConstShape()
		if value.CheckWalk(tt.DType, shape...) != nil {
			return false
		}
		walk := 1.0
		for _, k := range shape {
			walk *= float64(max(k, 1))
		}
		places += walk
	}
	if k, ok := n.FLOPs().Int(); ok {
		places = max(places, float64(k))
	}
	most := float64(value.Memory() / 64) // an eighth of the memory, at 8 bytes
	if d.work+places > mostFolded || d.elements+float64(elements) > most {
		return false
	}
	d.work += places
	d.elements += float64(elements)
	return true
}

func foldFunc(c *Context, f *graph.Func) {
	var live map[*graph.Node]bool // found when it is asked for
	wanted := func(n *graph.Node) bool {
		if live == nil {
			live = needed(f, func(graph.Value) {})
		}
		return live[n]
	}
	rewriteFunc(f, func(n *graph.Node) []graph.Value {
		outs := foldNode(n, wanted, &c.folded, c.target.Evaluate)
		if outs == nil || !c.Allow(n.Op().Name, n) {
			return nil
		}
		consts := make([]graph.Value, len(outs))
		f.Module().AtNode(n, func() {
			for i, t := range outs {
				consts[i] = f.Const(t)
			}
		})
		return consts
	})
}

// foldNode returns the results of a node that can be evaluated now, nil for others. A node that its
// reference refuses, such as an integer division by zero, stays and fails when it runs. So does one with large results that is not
// wanted: it would take time, and dce removes it.
func foldNode(n *graph.Node, wanted func(n *graph.Node) bool, done *foldBudget, evaluate evaluation) []*value.Tensor {
	op := n.Op()
	if op.Props.Random || op.Props.Structural || len(n.Regions()) > 0 {
		return nil
	}
	if op.Name == "dim_size" {
		return foldDimSize(n)
	}
	if len(n.Operands()) == 0 {
		return nil
	}
	if slices.ContainsFunc(n.Operands(), func(v graph.Value) bool { return !v.Is("constant") }) {
		return nil
	}
	budget := 0
	in := make([]value.Value, len(n.Operands()))
	for i, v := range n.Operands() {
		t, _ := v.Constant()
		in[i] = t
		budget += t.Len()
	}
	size := 0
	for _, t := range n.Types() {
		tt, ok := t.(graph.TensorType)
		if !ok {
			return nil
		}
		k, ok := tt.NumElements().Int()
		if !ok {
			return nil
		}
		if k > int64(max(budget, smallConstant)-size) {
			return nil
		}
		size += int(k)
	}
	if size > largeConstant && !wanted(n) || !done.take(n, size) {
		return nil
	}
	if evaluate == nil {
		evaluate = byReference
	}
	vals, err := evaluate(n, in)
	if err != nil {
		return nil
	}
	outs := make([]*value.Tensor, len(vals))
	for i, v := range vals {
		outs[i] = v.(*value.Tensor)
	}
	return outs
}

// evaluation computes a node of constant sizes.
type evaluation = func(n *graph.Node, in []value.Value) ([]value.Value, error)

func byReference(n *graph.Node, in []value.Value) ([]value.Value, error) {
	return graph.EvalNode(n, in, nil)
}

// byKernel is byReference, or the node's kernel where that takes a noticeable time.
func byKernel(n *graph.Node, in []value.Value) ([]value.Value, error) {
	k, count := kernels.Select(n), n.Op().FLOPs.Count
	if k == nil || k.Alias || count == nil {
		return byReference(n, in)
	}
	tensors, types := make([]*value.Tensor, len(in)+n.NumResults()), make([]graph.TensorType, len(in)+n.NumResults())
	for i, v := range in {
		tensors[i], types[i] = v.(*value.Tensor), graph.TypeOf(v).(graph.TensorType)
	}
	outs := make([]value.Value, n.NumResults())
	for i, t := range n.Types() {
		types[len(in)+i] = t.(graph.TensorType)
	}
	if work, _ := count(types[:len(in)], types[len(in):], n.Attrs()).Int(); work < muchWork {
		return byReference(n, in)
	}
	for i, t := range types[len(in):] {
		shape, _ := t.ConstShape()
		out, err := value.New(t.DType, shape...)
		if err != nil {
			return nil, err
		}
		tensors[len(in)+i], outs[i] = out, out
	}
	spec := &kernels.Spec{Attrs: n.Attrs(), Node: n, InTypes: types[:len(in)], OutTypes: types[len(in):], Room: &kernels.Room{Bytes: float64(value.Memory())}}
	run, err := k.Prepare(spec)
	if err != nil {
		return nil, err
	}
	return outs, run(&kernels.Call{Spec: spec, In: tensors[:len(in)], Out: tensors[len(in):]})
}

// foldDimSize knows the size of an axis without knowing the tensor.
func foldDimSize(n *graph.Node) []*value.Tensor {
	shape := n.Operands()[0].Shape()
	axis := n.Attrs().Int("axis")
	if axis < 0 {
		axis += len(shape)
	}
	size, ok := shape[axis].Int()
	if !ok {
		return nil
	}
	return []*value.Tensor{value.Scalar(size)}
}
