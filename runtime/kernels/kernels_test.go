package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	_ "github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// TestAwkwardLengths runs the element-wise kernels over lengths round their blocks, on storage aligned no better than one
// element, with special values among the ordinary ones, and compares with the references. Shapes of other ops
// are the samples of their declarations; see package optest.
func TestAwkwardLengths(t *testing.T) {
	lengths := []int{0, 1, 3, 7, 17, 33, 1000, 40_003}
	for _, op := range graph.Ops() {
		if !op.Props.Elementwise || op.IsComposite() || len(kernels.Rows(op.Name)) == 0 || len(op.Attrs) > 0 {
			continue
		}
		for _, dt := range []graph.DType{graph.F32, graph.F64} {
			t.Run(op.Name+"/"+dt.String(), func(t *testing.T) {
				for _, n := range lengths {
					if err := compare(op, dt, n); err != nil {
						t.Fatalf("length %d: %v", n, err)
					}
				}
			})
		}
	}
}

func compare(op *graph.Op, dt graph.DType, n int) error {
	rng := rand.New(rand.NewPCG(uint64(n), 5))
	in := make([]value.Value, len(op.Args))
	types := make([]graph.Type, len(op.Args))
	tensors := make([]*value.Tensor, len(op.Args))
	for i, a := range op.Args {
		e := value.NewExact(dt, []int{n})
		if !a.Types.Has(dt) {
			e = value.NewExact(graph.Bool, []int{n})
			for k := range e.B {
				e.B[k] = rng.IntN(2) == 0
			}
		}
		specials := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e-40, 88, -104}
		for k := range e.F {
			if e.F[k] = rng.NormFloat64() * 3; rng.IntN(4) == 0 {
				e.F[k] = specials[rng.IntN(len(specials))]
			}
		}
		tensor, err := misaligned(e.Tensor())
		if err != nil {
			return err
		}
		in[i], tensors[i], types[i] = tensor, tensor, graph.TypeOf(tensor)
	}
	k := kernels.Lookup(op.Name, types, nil)
	if k == nil {
		return fmt.Errorf("there is no kernel for %v", types)
	}
	want, err := graph.Evaluate(op, in, nil)
	if err != nil {
		return err
	}
	w := want[0].(*value.Tensor)
	out, err := misaligned(w.Clone())
	if err != nil {
		return err
	}
	spec := &kernels.Spec{}
	for i := range in {
		spec.InTypes = append(spec.InTypes, types[i].(graph.TensorType))
	}
	spec.OutTypes = []graph.TensorType{graph.TypeOf(w).(graph.TensorType)}
	run, err := k.Bind(spec)
	if err != nil {
		return err
	}
	if err := run(&kernels.Call{Spec: spec, In: tensors, Out: []*value.Tensor{out}}); err != nil {
		return err
	}
	f := graph.NewModule("m").Func("f")
	operands := make([]graph.Value, len(types))
	for i, t := range types {
		operands[i] = f.InputOf(fmt.Sprint("x", i), t)
	}
	return graph.CompareNode(f.Emit(op, operands, nil)[0].Node(), in, []value.Value{out}, nil)
}

// misaligned copies a tensor to storage that starts one element behind an aligned place.
func misaligned(t *value.Tensor) (*value.Tensor, error) {
	size := t.DType().Bits() / 8
	room, err := value.New(t.DType(), t.Len()+1)
	if err != nil {
		return nil, err
	}
	bytes := room.Bytes()[size:]
	copy(bytes, t.Bytes())
	return value.FromBytes(t.DType(), bytes, t.Shape()...)
}

// TestOneRow looks for operands that two rows of an op match, of those that tell rows apart by Match.
func TestOneRow(t *testing.T) {
	matching := func(op string, attrs graph.Attrs, dtypes ...graph.DType) (n int) {
		s := &kernels.Signature{Attrs: attrs}
		for _, dt := range dtypes {
			s.In = append(s.In, kernels.Operand{DType: dt})
		}
		for _, k := range kernels.Rows(op) {
			if k.DTypes.Has(dtypes[0]) && (k.Match == nil || k.Match(s)) {
				n++
			}
		}
		return n
	}
	for _, from := range value.DTypes() {
		if n := matching("where", nil, graph.Bool, from, from); n > 1 || n == 0 && from.Bits() >= 8 {
			t.Errorf("%d rows of where match %v", n, from)
		}
		for _, to := range value.DTypes() {
			if n := matching("cast", graph.Attrs{{Name: "to", Value: to}}, from); n > 1 {
				t.Errorf("%d rows of cast match %v to %v", n, from, to)
			}
		}
		for _, op := range []string{"random_uniform", "random_normal"} {
			if n := matching(op, graph.Attrs{{Name: "dtype", Value: from}}, graph.U64); n > 1 {
				t.Errorf("%d rows of %s match %v", n, op, from)
			}
		}
	}
	tried := []string{"where", "cast", "random_uniform", "random_normal", "fused"} // a fused node has one form
	for _, op := range graph.Ops() {
		rows := kernels.Rows(op.Name)
		for i, k := range rows {
			for _, other := range rows[:i] {
				if k.DTypes&other.DTypes != 0 && !slices.Contains(tried, op.Name) {
					t.Errorf("two rows of %s take %v: try here what they match", op.Name, k.DTypes&other.DTypes)
				}
			}
		}
	}
}
