package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/optim"
)

// TestTorch takes 25 steps from [1, -0.5, 0.25, 2, -3] with every optimizer under options drawn at random, and wants the weights that PyTorch
// 2.15 comes to. The gradient of weight k in step i is ((7i + 13k + shift) mod 17 - 8)/8 * scale.
func TestTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Optimizer string
		LR, Scale float64
		Shift     int
		Weights   []float64
		Options   struct {
			Momentum, Dampening, Alpha, Rho, Eps  float64
			Nesterov, AMSGrad, Centered, Maximize bool
			Betas                                 []float64
			WeightDecay                           float64 `json:"weight_decay"`
			LRDecay                               float64 `json:"lr_decay"`
			Accumulator                           float64 `json:"initial_accumulator_value"`
			MomentumDecay                         float64 `json:"momentum_decay"`
		}
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		var opts []optim.Option
		number := func(x float64, option func(float64) optim.Option) {
			if x != 0 {
				opts = append(opts, option(x))
			}
		}
		flag := func(x bool, option func() optim.Option) {
			if x {
				opts = append(opts, option())
			}
		}
		o := c.Options
		number(o.Momentum, optim.Momentum)
		number(o.Dampening, optim.Dampening)
		number(o.Alpha, optim.Alpha)
		number(o.Rho, optim.Rho)
		number(o.Eps, optim.Eps)
		number(o.WeightDecay, optim.WeightDecay)
		number(o.LRDecay, optim.LRDecay)
		number(o.Accumulator, optim.InitialAccumulator)
		number(o.MomentumDecay, optim.MomentumDecay)
		flag(o.Nesterov, optim.Nesterov)
		flag(o.AMSGrad, optim.AMSGrad)
		flag(o.Centered, optim.Centered)
		flag(o.Maximize, optim.Maximize)
		if len(o.Betas) == 2 {
			opts = append(opts, optim.Betas(o.Betas[0], o.Betas[1]))
		}
		opt, err := optim.New(c.Optimizer, c.LR, opts...)
		if err != nil {
			t.Fatal(err)
		}
		s := along(t, graph.F32, len(c.Weights), opt)
		if err := s.SetVariable("w", floats(graph.F32, []float64{1, -0.5, 0.25, 2, -3})); err != nil {
			t.Fatal(err)
		}
		var got []float64
		for i := range 25 {
			g := make([]float64, len(c.Weights))
			for k := range g {
				g[k] = float64((7*i+13*k+c.Shift)%17-8) / 8 * c.Scale
			}
			got = step(t, s, floats(graph.F32, g))
		}
		for k, want := range c.Weights {
			if d := math.Abs(got[k] - want); !(d <= 2e-5*max(1, math.Abs(want))) {
				t.Errorf("case %d, %s with %+v: weight %d is %v, want %v", i, c.Optimizer, o, k, got[k], want)
			}
		}
	}
}

// TestLargeGradient takes a gradient whose square f32 does not hold, though the share of it that is averaged does: weights of PyTorch 2.15 after
// it and the steps around it.
func TestLargeGradient(t *testing.T) {
	for name, c := range map[string]struct {
		opt  *optim.Optimizer
		want []float64
	}{
		"adam":    {optim.Adam(0.1), []float64{0.8209459, 1.066194}},
		"amsgrad": {optim.Adam(0.1, optim.AMSGrad(), optim.WeightDecay(0.1), optim.Maximize()), []float64{1.078978, 0.8047659}},
		"adamw":   {optim.AdamW(0.1), []float64{0.8171582, 1.062056}},
		"rmsprop": {optim.RMSprop(0.1, optim.Momentum(0.9)), []float64{-1.71, 2.363126}},
	} {
		s := along(t, graph.F32, 2, c.opt)
		if err := s.SetVariable("w", floats(graph.F32, []float64{1, 1})); err != nil {
			t.Fatal(err)
		}
		var got []float64
		for _, g := range [][]float64{{0, 1e-20}, {1e20, -1}, {1e-30, 1}, {0, 0}} {
			got = step(t, s, floats(graph.F32, g))
		}
		for i, want := range c.want {
			if !(math.Abs(got[i]-want) <= 1e-6) {
				t.Errorf("%s: weight %d is %v, want %v", name, i, got[i], want)
			}
		}
	}
}
