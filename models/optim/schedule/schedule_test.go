package schedule_test

import (
	"math"
	"testing"

	"github.com/graphrun/graphrun/models/optim/schedule"
)

// TestEnds looks at the first, the highest and the last rates, and beyond both ends.
func TestEnds(t *testing.T) {
	cycle := schedule.OneCycle{Max: 1, Steps: 100}
	cases := []struct {
		name string
		f    schedule.Func
		want map[int]float64
	}{
		{"constant", schedule.Constant(0.3), map[int]float64{-1: 0.3, 5: 0.3}},
		{"step", schedule.Step(1, 3, 0.5), map[int]float64{-1: 1, 2: 1, 3: 0.5, 6: 0.25}},
		{"step of 0", schedule.Step(1, 0, 0.5), map[int]float64{2: 0.25}},
		{"multi", schedule.MultiStep(1, []int{2, 4, 4}, 0.1), map[int]float64{1: 1, 2: 0.1, 4: 0.001}},
		{"exponential", schedule.Exponential(2, 0.5), map[int]float64{0: 2, 2: 0.5}},
		{"cosine", schedule.Cosine(1, 10, 0.2), map[int]float64{0: 1, 5: 0.6, 10: 0.2, 20: 1}},
		{"linear", schedule.Linear(1, 0.5, 1, 4), map[int]float64{-3: 0.5, 0: 0.5, 2: 0.75, 4: 1, 9: 1}},
		{"linear of no steps", schedule.Linear(1, 0.5, 0.7, 0), map[int]float64{-3: 0.7, -1: 0.7, 0: 0.7, 1: 0.7}},
		{"linear of fewer", schedule.Linear(1, 0.5, 0.7, -2), map[int]float64{-3: 0.7, -1: 0.7, 0: 0.7}},
		{"one cycle", cycle.Rate(), map[int]float64{0: 1.0 / 25, 29: 1, 99: 1.0 / 25e4, 200: 1.0 / 25e4}},
		{"one cycle without a rise", schedule.OneCycle{Max: 1, Steps: 10, Start: 0.1}.Rate(), map[int]float64{-1: 1, 0: 1, 9: 1.0 / 25e4}},
		{"one cycle without a fall", schedule.OneCycle{Max: 1, Steps: 10, Start: 1}.Rate(), map[int]float64{0: 1.0 / 25, 9: 1}},
		{"one cycle of a step", schedule.OneCycle{Max: 1, Steps: 1}.Rate(), map[int]float64{0: 1.0 / 25e4}},
		// torch.optim.lr_scheduler.OneCycleLR of PyTorch 2.15, with max_lr 1 and total_steps 20
		{"one cycle of lines", schedule.OneCycle{Max: 1, Steps: 20, Linear: true}.Rate(), map[int]float64{
			0: 0.04, 3: 0.616, 5: 1, 8: 0.7857151428571428, 12: 0.5000020000000001, 19: 4.000000000004e-06,
		}},
		{"momentum of lines", schedule.OneCycle{Max: 1, Steps: 20, Linear: true}.Momentum(), map[int]float64{0: 0.95, 3: 0.89, 5: 0.85, 8: 0.8714285714285714, 19: 0.95}},
		{"one cycle of three phases", schedule.OneCycle{Max: 1, Steps: 20, ThreePhases: true}.Rate(), map[int]float64{
			0: 0.04, 3: 0.6683281572999747, 5: 1, 8: 0.37167184270002523, 10: 0.04, 12: 0.03532135677349332, 15: 0.01652938374301673, 19: 4e-06, 30: 4e-06,
		}},
		{"momentum of three phases", schedule.OneCycle{Max: 1, Steps: 20, ThreePhases: true}.Momentum(), map[int]float64{
			0: 0.95, 3: 0.8845491502812526, 5: 0.85, 8: 0.9154508497187474, 10: 0.95, 15: 0.95,
		}},
		{"one cycle of three lines", schedule.OneCycle{Max: 1, Steps: 20, ThreePhases: true, Linear: true, Start: 0.4}.Rate(), map[int]float64{
			3: 0.45142857142857135, 5: 0.7257142857142858, 8: 0.8628571428571429, 10: 0.5885714285714286, 12: 0.3142857142857143, 15: 0.032000799999999996,
		}},
		{"momentum", cycle.Momentum(), map[int]float64{0: 0.95, 29: 0.85, 99: 0.95}},
	}
	for _, c := range cases {
		for step, want := range c.want {
			if got := c.f(step); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("%s: step %d has %v, want %v", c.name, step, got, want)
			}
		}
	}
}
