package models_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/optim/schedule"
	"github.com/graphrun/graphrun/runtime"
)

// schedules returns the rates, and the momenta if the schedule has any, that the attributes describe.
func (c *golden) schedules(name string, lr float64) (rate, momentum schedule.Func) {
	switch name {
	case "StepLR":
		return schedule.Step(lr, c.int("step_size", 1), c.num("gamma", 0.1)), nil
	case "MultiStepLR":
		return schedule.MultiStep(lr, c.ints("milestones"), c.num("gamma", 0.1)), nil
	case "ExponentialLR":
		return schedule.Exponential(lr, c.num("gamma", 1)), nil
	case "CosineAnnealingLR":
		return schedule.Cosine(lr, c.int("T_max", 1), c.num("eta_min", 0)), nil
	case "LinearLR":
		return schedule.Linear(lr, c.num("start_factor", 1.0/3), c.num("end_factor", 1), c.int("total_iters", 5)), nil
	case "OneCycleLR":
		o := schedule.OneCycle{
			Max: c.num("max_lr", 0), Steps: c.int("total_steps", 0), Start: c.num("pct_start", 0), Div: c.num("div_factor", 0),
			FinalDiv: c.num("final_div_factor", 0), BaseMomentum: c.num("base_momentum", 0), MaxMomentum: c.num("max_momentum", 0),
		}
		if !c.flag("cycle_momentum", true) {
			return o.Rate(), schedule.Constant(c.num("momentum", 0))
		}
		return o.Rate(), o.Momentum()
	}
	return nil, nil
}

func init() {
	table := map[string]builder{}
	for _, name := range []string{"StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR", "LinearLR", "OneCycleLR"} {
		table[name] = func(b *build) values {
			rate, momentum := b.schedules(name, b.num("lr", 0))
			for i := range b.int("steps", 0) {
				b.compare(fmt.Sprintf("lrs[%d]", i), value.Scalar(rate(i)), b.row(b.roles["outputs"]["lrs"], i))
				if want := b.roles["outputs"]["momenta"]; want != nil {
					b.compare(fmt.Sprintf("momenta[%d]", i), value.Scalar(momentum(i)), b.row(want, i))
				}
			}
			return nil
		}
	}
	register(table)
}

// scheduler returns the case's schedule as attributes of its own, nil if it has none.
func (c *golden) scheduler() *golden {
	if s, ok := c.Attrs["scheduler"].(map[string]any); ok {
		return &golden{Attrs: s}
	}
	return nil
}

// scheduled returns the options that an optimizer needs for the case's schedule.
func (c *golden) scheduled(string) []optim.Option {
	if _, momentum := c.scheduler().schedules(c.scheduler().str("name"), 0); momentum != nil {
		return []optim.Option{optim.ScheduleMomentum()}
	}
	return nil
}

// schedule sets the learning rate and the momentum of a step, if the case has a schedule.
func (b *build) schedule(sess *runtime.Session, step int) {
	s := b.scheduler()
	if s == nil {
		return
	}
	rate, momentum := s.schedules(s.str("name"), b.num("lr", 0))
	if rate == nil {
		b.t.Skipf("there is no schedule %q", s.str("name"))
	}
	set := func(t *testing.T, name string, x float64) {
		if err := sess.SetVariable(name, value.Scalar(x)); err != nil {
			t.Fatal(err)
		}
	}
	set(b.t, "lr", rate(step))
	if momentum != nil {
		set(b.t, "momentum", momentum(step))
	}
}
