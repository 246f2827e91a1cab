package models_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/optim/schedule"
	"github.com/graphrun/graphrun/runtime"
)

// schedules returns the rates, and the momenta if the schedule has any, that the attributes describe.
func (c *attrs) schedules(name string, lr float64) (rate, momentum schedule.Func) {
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
			Linear: c.str("anneal_strategy") == "linear", ThreePhases: c.flag("three_phase", false),
		}
		if !c.flag("cycle_momentum", true) {
			return o.Rate(), nil
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
			if own := b.num("momentum", 0); momentum == nil {
				momentum = schedule.Constant(own)
			}
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

// scheduler returns the rates and momenta of the case's schedule from a rate on; nil if it has none.
func (c *attrs) scheduler(lr float64) (rate, momentum schedule.Func) {
	s := c.object("scheduler")
	if s == nil {
		return nil, nil
	}
	return s.schedules(s.str("name"), lr)
}

// schedule sets the learning rate and the momentum of a step, if the case has a schedule.
func (b *build) schedule(sess *runtime.Session, step int, rate, momentum schedule.Func) {
	b.t.Helper()
	for name, f := range map[string]schedule.Func{"lr": rate, "momentum": momentum} {
		if f == nil {
			continue
		}
		if err := sess.SetVariable(name, value.Scalar(f(step))); err != nil {
			b.t.Fatal(err)
		}
	}
}
