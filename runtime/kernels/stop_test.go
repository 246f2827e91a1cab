package kernels_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// goOn are ops whose kernels begin with a copy of an operand, or write one number.
var goOn = map[string]bool{"count": true, "dim_size": true, "index_add": true, "pad_mode_grad": true, "scatter_add": true, "stop_gradient": true}

// TestStopped runs the kernels of all ops on their samples for somebody who has lost interest: nothing is computed any more.
func TestStopped(t *testing.T) {
	stop, closed := &parallel.Stop{}, make(chan struct{})
	close(closed)
	stop.On(closed)
	stopped := 0
	for _, op := range graph.Ops() {
		samples, err := ops.SamplesOf(op)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			if s.Build != nil || len(kernels.Rows(op.Name)) == 0 || goOn[op.Name] {
				continue
			}
			f := graph.NewModule("m").Func("f")
			in, tensors := make([]graph.Value, len(s.In)), make([]*value.Tensor, len(s.In))
			for i, x := range s.In {
				in[i] = f.InputOf(fmt.Sprint("x", i), x.Type)
				shape, _ := x.Type.ConstShape()
				if tensors[i], err = value.New(x.Type.DType, shape...); err != nil {
					t.Fatal(err)
				}
			}
			n := f.Emit(op, in, s.Attrs)[0].Node()
			k := kernels.Select(n)
			if k == nil || k.Bind == nil {
				continue
			}
			spec := &kernels.Spec{Attrs: n.Attrs(), Node: n, Stop: stop}
			call := &kernels.Call{Spec: spec, In: tensors}
			for _, x := range s.In {
				spec.InTypes = append(spec.InTypes, x.Type)
			}
			const mark = 0x01 // which is a bool too
			for _, typ := range n.Types() {
				tt := typ.(graph.TensorType)
				spec.OutTypes = append(spec.OutTypes, tt)
				shape, _ := tt.ConstShape()
				out, err := value.New(tt.DType, shape...)
				if err != nil {
					t.Fatal(err)
				}
				for i := range out.Bytes() {
					out.Bytes()[i] = mark
				}
				call.Out = append(call.Out, out)
			}
			run, err := k.Prepare(spec)
			if err != nil {
				t.Errorf("%s: %v", op.Name, err)
				continue
			}
			if run(call) != nil {
				continue // the reference ends with an error
			}
			if strings.HasPrefix(op.Name, "reduce_") && (tensors[0].Len() == 0 || call.Out[0].Len() == tensors[0].Len()) {
				continue // there is nothing to reduce
			}
			stopped++
			for i, out := range call.Out {
				if slices.ContainsFunc(out.Bytes(), func(b byte) bool { return b != mark }) {
					t.Errorf("%s of %v computes result %d though it is stopped", op.Name, spec.InTypes, i)
				}
			}
		}
	}
	if stopped < 100 {
		t.Errorf("%d kernels were stopped: want those of all ops", stopped)
	}
}
