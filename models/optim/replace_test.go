package optim_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// network has running statistics, random draws, a value that nothing needs, and a step of opt unless that is nil.
func network(opt *optim.Optimizer) *graph.Module {
	m := graph.NewModule("m")
	net := nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
	predict, train := m.Func("predict"), m.Func("train")
	predict.Return("y", net.Apply(predict.Input("x", graph.F32, "N", 3)))
	y := net.Apply(train.Input("x", graph.F32, "N", 3), nn.Training)
	loss := nn.MSE(y, train.Input("y", graph.F32, "N", 1))
	ops.Sum(y).Named("idle")
	train.Return("loss", loss)
	if opt != nil {
		opt.Minimize(loss)
	}
	return m
}

// replaceable returns optimizers of every kind, new ones each time.
func replaceable() map[string]*optim.Optimizer {
	all := map[string]*optim.Optimizer{
		"none":                nil,
		"sgd, dampened":       optim.SGD(0.1, optim.Momentum(0.9), optim.Dampening(0.1)),
		"nesterov":            optim.SGD(0.1, optim.Momentum(0.9), optim.Nesterov(), optim.WeightDecay(0.1), optim.ClipNorm(1)),
		"sgd, scheduled":      optim.SGD(0.1, optim.Momentum(0.9), optim.ScheduleMomentum(), optim.Maximize(), optim.ClipValue(1)),
		"adam, all":           optim.Adam(0.1, optim.AMSGrad(), optim.ScheduleMomentum(), optim.WeightDecay(0.1), optim.Name("one")),
		"rmsprop, all":        optim.RMSprop(0.1, optim.Centered(), optim.Momentum(0.9), optim.ScheduleMomentum()),
		"adagrad, with decay": optim.Adagrad(0.1, optim.LRDecay(0.1)),
		"lion, all":           optim.Lion(0.1, optim.WeightDecay(0.1), optim.Maximize(), optim.ScheduleMomentum(), optim.Name("one")),
	}
	for _, name := range optim.Names() {
		opt, err := optim.New(name, 0.1)
		if err != nil {
			panic(err)
		}
		if all[name] == nil {
			all[name] = opt
		}
	}
	return all
}

// TestReplace replaces every optimizer, in modules that were declared and in ones read from text of both format
// versions. What comes must be the module that is declared with the new optimizer from the start.
func TestReplace(t *testing.T) {
	parse := func(text string) *graph.Module {
		m, err := graph.Parse("m.graph", []byte(text), graph.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for from, first := range replaceable() {
		declared := network(first)
		text := declared.String()
		old := strings.Replace(strings.ReplaceAll(text, "optimizer_state=true, ", ""), "graphrun 2", "graphrun 1", 1)
		for to, opt := range replaceable() {
			if opt == nil {
				continue
			}
			want := network(opt).String()
			for source, m := range map[string]*graph.Module{"declared": declared.Clone(), "read": parse(text), "read from version 1": parse(old)} {
				if source != "read" && to != "adam, all" && to != "sgd" {
					continue // to save time
				}
				if err := optim.Replace(m, "train", "loss", opt); err != nil {
					t.Errorf("%s, %s to %s: %v", source, from, to, err)
				} else if have := m.String(); have != want {
					t.Errorf("%s, %s to %s: -want +have\n%s", source, from, to, cmp.Diff(want, have))
				}
				if err := graph.Verify(m); err != nil {
					t.Errorf("%s, %s to %s: %v", source, from, to, err)
				}
			}
		}
	}
}

// TestReplaceBySelf gives a module the optimizer that it has: its state starts anew.
func TestReplaceBySelf(t *testing.T) {
	opt := optim.Adam(0.1)
	m := network(opt)
	want := m.String()
	for range 2 {
		if err := optim.Replace(m, "train", "loss", opt); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, m.String()); d != "" {
			t.Error(d)
		}
	}
}

// TestReplaceTrainsTheSameWeights has a step that trains the last layer alone.
func TestReplaceTrainsTheSameWeights(t *testing.T) {
	m := network(nil)
	loss := m.LookupFunc("train").Results()[0].Value
	optim.Adam(0.1).Minimize(loss, m.LookupVariable("3.weight"))
	if err := optim.Replace(m, "train", "loss", optim.SGD(0.1)); err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, u := range m.LookupFunc("train").Updates() {
		have = append(have, u.Var.Name())
	}
	slices.Sort(have)
	if d := cmp.Diff([]string{"1.num_batches_tracked", "1.running_mean", "1.running_var", "3.weight", "rng"}, have); d != "" {
		t.Error(d)
	}
}

func TestReplaceFaults(t *testing.T) {
	for want, c := range map[string]struct {
		spoil      func(m *graph.Module)
		fn, result string
		opt        *optim.Optimizer
	}{
		`replace the optimizer of @fit: there is no such function: want one of ["predict" "train"]`: {fn: "fit"},
		`there is no result "cost": want one of ["loss"]`:                                           {result: "cost"},
		`want a scalar loss, have f32[N,1]`:                                                         {fn: "predict", result: "y"},
		`the optimizer is missing`:                                                                  {opt: &optim.Optimizer{}},
		`want a learning rate that is finite and at least 0, have -1`:                               {opt: optim.SGD(-1)},
		`@lr is the optimizer's and would go: replace_test.go:`: {spoil: func(m *graph.Module) {
			f := m.Func("rate")
			f.Return("lr", m.LookupVariable("lr").Read(f))
		}},
		`: read: @rate reads @lr`: {spoil: func(m *graph.Module) {
			f := m.Func("rate")
			f.Return("lr", m.LookupVariable("lr").Read(f))
		}},
		`: read: @train reads @adam.step`: {spoil: func(m *graph.Module) {
			f := m.LookupFunc("train")
			f.Return("steps", m.LookupVariable("adam.step").Read(f))
		}},
		`@train: it updates @other, which "loss" does not depend on`: {spoil: func(m *graph.Module) {
			f := m.LookupFunc("train")
			optim.SGD(0.1, optim.Name("second")).Minimize(ops.Square(variable(m, "other").Read(f)))
		}},
		`@lr is taken`: {spoil: func(m *graph.Module) {
			if err := optim.Replace(m, "train", "loss", optim.SGD(1, optim.Name("other"))); err != nil {
				panic(err)
			}
			variable(m, "lr")
		}},
		`@twice is already a function`: {spoil: func(m *graph.Module) { m.Func("twice"); m.Func("twice") }},
	} {
		m := network(optim.Adam(0.1))
		if c.spoil != nil {
			c.spoil(m)
		}
		before := m.String()
		fn, result, opt := c.fn, c.result, c.opt
		if fn == "" {
			fn = "train"
		}
		if result == "" {
			result = "loss"
		}
		if opt == nil {
			opt = optim.SGD(0.1)
		}
		if err := optim.Replace(m, fn, result, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
		if d := cmp.Diff(before, m.String()); d != "" {
			t.Errorf("%s: the module changes: %s", want, d)
		}
	}
	if err := optim.Replace(network(nil), "train", "loss", nil); err == nil {
		t.Error("no optimizer is no error")
	}
}

// clipped runs a step of w -= gradient for a loss whose gradients are 3*k by a and 4*k by b, and returns how far the
// weights moved.
func clipped(t *testing.T, dt graph.DType, k float64, opts ...optim.Option) []float64 {
	t.Helper()
	m := graph.NewModule("m")
	f := m.Func("train")
	zeros := func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(dt, 0.0) }
	a, b := m.Variable("a", dt, nil, zeros).Read(f), m.Variable("b", dt, nil, zeros).Read(f)
	loss := ops.Add(ops.Mul(a, 3*k), ops.Mul(b, 4*k))
	f.Return("loss", loss)
	optim.SGD(1, opts...).Minimize(loss)
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sess.Run(context.Background(), "train", nil); err != nil {
		t.Fatal(err)
	}
	moved := func(name string) float64 { return -sess.Variable(name).Float64s()[0] }
	return []float64{moved("a"), moved("b")}
}

// TestClip holds clipped gradients against what torch.nn.utils says by hand: the norm of (3k, 4k) is 5k.
func TestClip(t *testing.T) {
	for name, c := range map[string]struct {
		dt   graph.DType
		k    float64
		opts []optim.Option
		want []float64
		tol  float64
	}{
		"no clipping":         {graph.F64, 1, nil, []float64{3, 4}, 0},
		"norm below":          {graph.F64, 1, []optim.Option{optim.ClipNorm(6)}, []float64{3, 4}, 0},
		"norm above":          {graph.F64, 1, []optim.Option{optim.ClipNorm(1)}, []float64{3 / (5 + 1e-6), 4 / (5 + 1e-6)}, 1e-15},
		"norm at":             {graph.F64, 1, []optim.Option{optim.ClipNorm(5)}, []float64{3 * (5 / (5 + 1e-6)), 4 * (5 / (5 + 1e-6))}, 1e-15},
		"norm in f32":         {graph.F32, 2, []optim.Option{optim.ClipNorm(0.5)}, []float64{6 * 0.5 / 10, 8 * 0.5 / 10}, 1e-6},
		"squares beyond f32":  {graph.F32, 1e30, []optim.Option{optim.ClipNorm(10)}, []float64{6, 8}, 1e-5},
		"squares beyond f16":  {graph.F16, 1000, []optim.Option{optim.ClipNorm(10)}, []float64{6, 8}, 1e-2},
		"value":               {graph.F64, 1, []optim.Option{optim.ClipValue(3.5)}, []float64{3, 3.5}, 0},
		"negative value":      {graph.F64, -1, []optim.Option{optim.ClipValue(3.5)}, []float64{-3, -3.5}, 0},
		"value, then norm":    {graph.F64, 1, []optim.Option{optim.ClipNorm(1), optim.ClipValue(3)}, []float64{3 / (math.Sqrt(18) + 1e-6), 3 / (math.Sqrt(18) + 1e-6)}, 1e-15},
		"before weight decay": {graph.F64, 1, []optim.Option{optim.ClipValue(1), optim.WeightDecay(0.5)}, []float64{1, 1}, 0},
		"upwards":             {graph.F64, 1, []optim.Option{optim.ClipValue(1), optim.Maximize()}, []float64{-1, -1}, 0},
		"no gradient":         {graph.F64, 0, []optim.Option{optim.ClipNorm(1)}, []float64{0, 0}, 0},
	} {
		have := clipped(t, c.dt, c.k, c.opts...)
		for i := range have {
			if math.Abs(have[i]-c.want[i]) > c.tol {
				t.Errorf("%s: the weights move by %v, want %v", name, have, c.want)
				break
			}
		}
	}
}

// TestClipNormInRange clips gradients whose squares f32 does not hold. The values are those of torch.nn.utils.clip_grad_norm_ in f64.
func TestClipNormInRange(t *testing.T) {
	for k, want := range map[float64][]float64{
		1e-3: {-0.004, -0.003, -0.002},
		1:    {-0.190140181, -0.142605136, -0.0950700907},
		1e20: {-0.190140185, -0.142605139, -0.0950700925},
		1e36: {-0.190140185, -0.142605139, -0.0950700925},
	} {
		m := graph.NewModule("m")
		f := m.Func("train")
		var loss graph.Value
		for i, shape := range [][]int{{30, 7}, {7}, {2, 3, 4}} {
			g := value.NewExact(graph.F32, shape)
			for j := range g.F {
				g.F[j] = float64(j%11-4+i) * k
			}
			w := m.Variable(fmt.Sprint("w", i), graph.F32, shape, func(f *graph.Func, _ graph.Value) graph.Value {
				return f.Const(value.NewExact(graph.F32, shape).Tensor())
			})
			part := ops.Sum(ops.Mul(w.Read(f), f.Const(g.Tensor())))
			if i == 0 {
				loss = part
			} else {
				loss = ops.Add(loss, part)
			}
		}
		f.Return("loss", loss)
		optim.SGD(1, optim.ClipNorm(2.5)).Minimize(loss)
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		sess, err := runtime.NewSession(prog, runtime.Recheck())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sess.Run(context.Background(), "train", nil); err != nil {
			t.Fatal(err)
		}
		for i, y := range want {
			if x := -sess.Variable(fmt.Sprint("w", i)).Float64At(0); math.Abs(x-y) > 1e-6*math.Abs(y) {
				t.Errorf("gradients of %g: element 0 of weight %d moves by %v, want %v", k, i, x, y)
			}
		}
	}
}

// TestClipIsForAll gives the options to every optimizer: what is clipped to very little moves no weight far.
func TestClipIsForAll(t *testing.T) {
	for _, name := range optim.Names() {
		for _, op := range []optim.Option{optim.ClipNorm(1e-30), optim.ClipValue(1e-30)} {
			opt, err := optim.New(name, 0.1, op, optim.WeightDecay(0))
			if err != nil {
				t.Fatal(err)
			}
			m := network(opt)
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatalf("%s with %s: %v", name, op, err)
			}
			if name == "adagrad" || name == "adamax" || name == "adadelta" || name == "rmsprop" || name == "lion" {
				continue // they divide by what is as small, or take its sign alone
			}
			sess, err := runtime.NewSession(prog, runtime.Seed(1))
			if err != nil {
				t.Fatal(err)
			}
			before := sess.Variable("0.weight").Clone()
			x, _ := value.FromSlice([]float32{1, 2, 3, -1, 0, 2}, 2, 3)
			y, _ := value.FromSlice([]float32{1, 2}, 2, 1)
			if _, err := sess.Run(context.Background(), "train", map[string]value.Value{"x": x, "y": y}); err != nil {
				t.Fatal(err)
			}
			for i, w := range sess.Variable("0.weight").Float64s() {
				if d := math.Abs(w - before.Float64s()[i]); !(d < 1e-6) {
					t.Errorf("%s with %s moves a weight by %v; if its steps do not shrink with the gradient, say so above", name, op, d)
				}
			}
		}
	}
	for _, op := range []optim.Option{optim.ClipNorm(0), optim.ClipNorm(math.Inf(1)), optim.ClipValue(-1), optim.ClipValue(math.NaN())} {
		m := network(optim.SGD(0.1, op))
		if err := m.Err(); err == nil || !strings.Contains(err.Error(), "want a limit that is finite and above 0") {
			t.Errorf("%s: have %v", op, err)
		}
	}
}
