package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/models/optim/schedule"
)

// trainSchedule is what the trainer takes: a learning rate by the step, made from the first rate and the number of all steps.
type trainSchedule = func(lr float64, steps int) schedule.Func

// parameter is a parameter of a schedule with its usual value.
type parameter struct {
	name  string
	usual float64
}

// schedules are what --schedule takes. Times are in epochs.
var schedules = []struct {
	name, doc string
	params    []parameter
	build     func(p map[string]float64, lr float64, steps int, epoch float64) schedule.Func
}{
	{"constant", "the learning rate does not change", nil, func(_ map[string]float64, lr float64, _ int, _ float64) schedule.Func {
		return schedule.Constant(lr)
	}},
	{
		"step", "it is multiplied by gamma every so many epochs (default a third of all)",
		[]parameter{{"every", 0}, {"gamma", 0.1}},
		func(p map[string]float64, lr float64, steps int, epoch float64) schedule.Func {
			size := p["every"] * epoch
			if size == 0 {
				size = float64(steps) / 3
			}
			return schedule.Step(lr, int(math.Ceil(min(size, float64(steps)))), p["gamma"])
		},
	},
	{
		"exponential", "it is multiplied by gamma after each epoch",
		[]parameter{{"gamma", 0.9}},
		func(p map[string]float64, lr float64, _ int, epoch float64) schedule.Func {
			return schedule.Step(lr, int(epoch), p["gamma"])
		},
	},
	{
		"cosine", "it falls along half a cosine, to the fraction `to` of the start",
		[]parameter{{"to", 0}},
		func(p map[string]float64, lr float64, steps int, _ float64) schedule.Func {
			return schedule.Cosine(lr, steps, lr*p["to"])
		},
	},
	{
		"linear", "it falls linearly, to the fraction `to` of the start",
		[]parameter{{"to", 0}},
		func(p map[string]float64, lr float64, steps int, _ float64) schedule.Func {
			return schedule.Linear(lr, 1, p["to"], steps)
		},
	},
	{
		"onecycle", "it rises from --lr/div to --lr in the fraction `start` of the training, then falls to 1/final of its first value",
		[]parameter{{"start", 0.3}, {"div", 25}, {"final", 1e4}},
		func(p map[string]float64, lr float64, steps int, _ float64) schedule.Func {
			return schedule.OneCycle{Max: lr, Steps: steps, Start: p["start"], Div: p["div"], FinalDiv: p["final"]}.Rate()
		},
	},
}

// warmup is a parameter of every schedule but the first, which it makes one.
var warmup = parameter{"warmup", 0}

func scheduleNames() []string {
	names := make([]string, len(schedules))
	for i, s := range schedules {
		names[i] = s.name
	}
	return names
}

// scheduleHelp says what each schedule does.
func scheduleHelp() string {
	var b strings.Builder
	for _, s := range schedules {
		text := s.name
		for i, p := range s.params {
			sep := ","
			if i == 0 {
				sep = ":"
			}
			text += fmt.Sprintf("%s%s=%g", sep, p.name, p.usual)
		}
		fmt.Fprintf(&b, "  %-38s %s\n", text, s.doc)
	}
	return b.String() + "  All also take warmup=EPOCHS, during which the rate rises from 0 to that of the schedule."
}

// parseSchedule reads NAME[:KEY=NUMBER,...]; it returns nil for a rate that stays.
func parseSchedule(text string, epochs int) (trainSchedule, error) {
	name, list, _ := strings.Cut(text, ":")
	at := slices.Index(scheduleNames(), name)
	if at < 0 {
		return nil, usagef("--schedule %s: there is no schedule %q%s", text, name, didYouMean(name, scheduleNames()))
	}
	s := schedules[at]
	params := map[string]float64{}
	var names []string
	for _, p := range append(slices.Clone(s.params), warmup) {
		params[p.name] = p.usual
		names = append(names, p.name)
	}
	if list == "" && s.name == "constant" {
		return nil, nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		if list == "" {
			break
		}
		key, val, _ := strings.Cut(pair, "=")
		x, err := strconv.ParseFloat(val, 64)
		if !slices.Contains(names, key) || err != nil || !(x >= 0) || math.IsInf(x, 0) {
			return nil, usagef("--schedule %s: want NAME=NUMBER, where NAME is one of %s and NUMBER is at least 0, have %q", text, strings.Join(names, ", "), pair)
		}
		params[key] = x
	}
	for _, key := range []string{"start", "div", "final"} { // package schedule takes 0 for the usual value
		if x, ok := params[key]; ok && x == 0 {
			return nil, usagef("--schedule %s: want %s above 0", text, key)
		}
	}
	if params["start"] > 1 {
		return nil, usagef("--schedule %s: want a start of at most 1", text)
	}
	return func(lr float64, steps int) schedule.Func {
		epoch := float64(steps) / float64(epochs)
		rate := s.build(params, lr, steps, epoch)
		rise := params[warmup.name] * epoch
		if rise == 0 {
			return rate
		}
		return func(step int) float64 { return rate(step) * min(1, float64(step+1)/rise) }
	}, nil
}
