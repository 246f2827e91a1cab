package schedule

import (
	"math"
	"slices"
)

// Func returns the rate of a step, from 0.
type Func func(step int) float64

// Constant is one rate for all steps.
func Constant(lr float64) Func { return func(int) float64 { return lr } }

// Step multiplies the rate by gamma every size steps (StepLR). A size below 1 counts as 1.
func Step(lr float64, size int, gamma float64) Func {
	size = max(size, 1)
	return func(step int) float64 { return lr * math.Pow(gamma, float64(max(step, 0)/size)) }
}

// MultiStep multiplies the rate by gamma at each milestone (MultiStepLR); one that stands twice counts twice.
func MultiStep(lr float64, milestones []int, gamma float64) Func {
	at := slices.Clone(milestones)
	return func(step int) float64 {
		passed := 0
		for _, m := range at {
			if step >= m {
				passed++
			}
		}
		return lr * math.Pow(gamma, float64(passed))
	}
}

// Exponential multiplies the rate by gamma at each step (ExponentialLR).
func Exponential(lr, gamma float64) Func {
	return func(step int) float64 { return lr * math.Pow(gamma, float64(max(step, 0))) }
}

// Cosine lets the rate fall from lr to least along half a cosine of the given steps, and rise and fall further with twice
// that period (Loshchilov and Hutter 2017; CosineAnnealingLR). Steps below 1 count as 1.
func Cosine(lr float64, steps int, least float64) Func {
	steps = max(steps, 1)
	return func(step int) float64 {
		return least + (lr-least)*(1+math.Cos(math.Pi*float64(max(step, 0))/float64(steps)))/2
	}
}

// Linear lets the rate go from lr*first to lr*last in the given steps and stay there (LinearLR).
func Linear(lr, first, last float64, steps int) Func {
	return func(step int) float64 {
		if step = max(step, 0); step >= steps {
			return lr * last
		}
		return lr * (first + (last-first)*float64(step)/float64(steps))
	}
}

// OneCycle is a rise of the rate from Max/Div to Max and a fall to Max/Div/FinalDiv, each along half a cosine, while the
// momentum does the opposite between MaxMomentum and BaseMomentum (Smith and Topin 2018; OneCycleLR). A number that is 0
// stands for PyTorch's default.
type OneCycle struct {
	Max          float64 // the highest rate
	Steps        int     // of the whole cycle
	Start        float64 // the share of the rise, 0.3
	Div          float64 // 25
	FinalDiv     float64 // 1e4
	BaseMomentum float64 // 0.85
	MaxMomentum  float64 // 0.95

	Linear      bool // follow lines instead of cosines (anneal_strategy='linear')
	ThreePhases bool // fall to Max/Div in as many steps as the rise took, and on to Max/Div/FinalDiv in the rest (three_phase)
}

func (c OneCycle) withDefaults() OneCycle {
	for _, f := range []struct {
		field *float64
		def   float64
	}{{&c.Start, 0.3}, {&c.Div, 25}, {&c.FinalDiv, 1e4}, {&c.BaseMomentum, 0.85}, {&c.MaxMomentum, 0.95}} {
		if *f.field == 0 {
			*f.field = f.def
		}
	}
	return c
}

// Rate returns the learning rate.
func (c OneCycle) Rate() Func {
	c = c.withDefaults()
	low := c.Max / c.Div
	return c.through(low, c.Max, low/c.FinalDiv)
}

// Momentum returns the momentum, which an optimizer takes as a variable with optim.ScheduleMomentum.
func (c OneCycle) Momentum() Func {
	c = c.withDefaults()
	return c.through(c.MaxMomentum, c.BaseMomentum, c.MaxMomentum)
}

// through goes from first to middle in the rise and on to last; of three phases the second goes back to first.
func (c OneCycle) through(first, middle, last float64) Func {
	rise := c.Start*float64(c.Steps) - 1
	type point struct{ step, value float64 }
	points := []point{{0, first}, {rise, middle}, {float64(c.Steps - 1), last}}
	if c.ThreePhases {
		points = slices.Insert(points, 2, point{2 * rise, first})
	}
	return func(step int) float64 {
		s := float64(max(step, 0))
		for i, to := range points[1:] {
			if from := points[i]; s < to.step {
				return c.between(from.value, to.value, (s-from.step)/(to.step-from.step))
			} else if s == to.step {
				return to.value
			}
		}
		return last
	}
}

// between is the value at a share of the way from one to another.
func (c OneCycle) between(from, to, share float64) float64 {
	if c.Linear {
		return from + (to-from)*share
	}
	return to + (from-to)*(1+math.Cos(math.Pi*share))/2
}
