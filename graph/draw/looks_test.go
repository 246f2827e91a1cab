package draw

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/internal/picture"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
)

// TestLooksDiffer asks for fills that are told apart in a legend: their distance in RGB, and that of their strokes where fills are near.
func TestLooksDiffer(t *testing.T) {
	rgb := func(hex string) (out [3]float64) {
		for i := range out {
			n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = float64(n)
		}
		return out
	}
	distance := func(a, b string) float64 {
		x, y := rgb(a), rgb(b)
		return math.Hypot(math.Hypot(x[0]-y[0], x[1]-y[1]), x[2]-y[2])
	}
	legend := func(k picture.Kind) bool {
		return picture.Names[k] != "" && k != picture.Input && k != picture.Result && k != picture.Other
	}
	for a := range picture.Kind(len(picture.Names)) {
		for b := range a {
			if !legend(a) || !legend(b) {
				continue
			}
			if fill, stroke := distance(looks[a].fill, looks[b].fill), distance(looks[a].stroke, looks[b].stroke); fill+stroke/2 < 45 {
				t.Errorf("%s and %s look alike: fills %s and %s, strokes %s and %s", picture.Names[a], picture.Names[b],
					looks[a].fill, looks[b].fill, looks[a].stroke, looks[b].stroke)
			}
		}
	}
}

// TestRandomState draws a step with dropout and batch norm: what counts the draws is not called running statistics.
func TestRandomState(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("train")
	net := nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
	loss := nn.CrossEntropy(net.Apply(f.Input("x", graph.F32, "N", 4), nn.Training), f.Input("t", graph.I64, "N"))
	f.Return("loss", loss)
	optim.SGD(0.1).Minimize(loss)
	var b bytes.Buffer
	if err := Write(&b, SVG, f, Options{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), ">running statistics<"); n != 1 {
		t.Errorf("%d boxes of running statistics, want that of the batch norm", n)
	}
	if !strings.Contains(b.String(), ">random state<") {
		t.Error("the random state is not drawn")
	}
}
