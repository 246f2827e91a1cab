package draw

import (
	"bytes"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
)

// TestRepeatedSteps draws an LSTM of 400 steps, differentiated too: its steps but the first are a box.
func TestRepeatedSteps(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("train")
	y := nn.LSTM(3, 8, nn.Name("lstm")).Apply(f.Input("x", graph.F32, 400, "N", 3))
	loss := nn.MSE(nn.Linear(8, 1, nn.Name("fc")).Apply(ops.Squeeze(ops.Slice(y, 0, 399, 400, 1), 0)), f.Input("t", graph.F32, "N", 1))
	f.Return("loss", loss)
	optim.SGD(0.1).Minimize(loss)
	for _, stage := range []string{"declared", "autodiff"} {
		g := m
		if stage != "declared" {
			var err error
			if g, err = compile.Optimize(m, compile.Through("stabilize", "autodiff")); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		if err := Write(&b, SVG, g.LookupFunc("train"), Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), ">399 more steps like this<") {
			t.Errorf("%s: there is no box of the other 399 steps", stage)
		}
		if n := strings.Count(b.String(), "<rect"); n > 300 {
			t.Errorf("%s: %d boxes: want a few for the first step and one for all others", stage, n)
		}
	}
}
