package ops_test

import (
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// TestPicturesLeaveOutWhatTypesShow finds attributes that the types of the results have in all samples of an op, as the shape of reshape
// and the dtype of cast: a picture shows the types.
func TestPicturesLeaveOutWhatTypesShow(t *testing.T) {
	for _, op := range graph.Ops() {
		samples, err := ops.SamplesOf(op)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range op.Attrs {
			if a.Show > graph.ShowNever && a.Kind != graph.IntsAttr {
				t.Errorf("%s: the attribute %s is shown as one number per axis and is of kind %v", op.Name, a.Name, a.Kind)
			}
			if a.Show == graph.ShowNever || len(samples) == 0 || a.Kind != graph.DimsAttr && a.Kind != graph.DTypeAttr {
				continue
			}
			shown := 0
			for _, s := range samples {
				f := graph.NewModule("m").Func("f")
				in := make([]graph.Value, len(s.In))
				for i, x := range s.In {
					in[i] = f.InputOf("x"+string(rune('0'+i)), x.Type)
				}
				n := f.Emit(op, in, s.Attrs)[0].Node()
				if slices.ContainsFunc(n.Types(), func(t graph.Type) bool { return hasAttr(t, n.Attrs().Get(a.Name)) }) {
					shown++
				}
			}
			if shown == len(samples) {
				t.Errorf("%s: the attribute %s stands in the types of the results: want Show: graph.ShowNever", op.Name, a.Name)
			}
		}
	}
}

// hasAttr reports whether a type shows the value of an attribute: as its dtype or its last dims.
func hasAttr(typ graph.Type, v any) bool {
	t, ok := typ.(graph.TensorType)
	if !ok {
		return false
	}
	if dims, ok := v.([]graph.Dim); ok {
		rest := t.Rank() - len(dims)
		return rest >= 0 && graph.EqualShapes(t.Shape[rest:], dims)
	}
	return v == t.DType
}

// TestCastText prints saturate only where a cast does not.
func TestCastText(t *testing.T) {
	const text = `graphrun 2
module @m

func @f(%x: f8e5m2[4], %y: f8e5m2[4]) {
  %0 = cast %x {to=f32} : f32[4]
  %1 = cast %0 {saturate=false, to=f8e5m2} : f8e5m2[4]
  %2 = cast %0 {to=f8e5m2} : f8e5m2[4]
  return a: %1, b: %2
}
`
	m, err := graph.Parse("m.graph", []byte(text), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.String(); got != text {
		t.Errorf("is printed as\n%s\nwant\n%s", got, text)
	}
}
