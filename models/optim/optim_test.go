package optim_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

func variable(m *graph.Module, name string, dims ...int) *graph.Variable {
	return m.Variable(name, graph.F32, dims, initializer.Ones().For(graph.F32, dims...))
}

// TestState looks at the names and types of an optimizer's variables.
func TestState(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("train")
	w, unused := variable(m, "w", 2, 3), variable(m, "unused", 5)
	loss := ops.Sum(ops.Square(w.Read(f)))
	f.Return("loss", loss)
	f.Return("other", ops.Sum(unused.Read(f))) // read, but not by the loss
	optim.Adam(1e-3, optim.AMSGrad()).Minimize(loss)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range m.Variables() {
		got = append(got, fmt.Sprintf("%s %s %v", v.Name(), v.Type(), v.Trainable()))
	}
	want := []string{
		"w f32[2,3] true", "unused f32[5] true", "lr f64[] false", "w.adam.exp_avg f32[2,3] false", "w.adam.exp_avg_sq f32[2,3] false",
		"w.adam.max_exp_avg_sq f32[2,3] false", "adam.step i64[] false",
	}
	if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
		t.Error(d)
	}
	var updates []string
	for _, u := range f.Updates() {
		updates = append(updates, u.Var.Name())
	}
	want = []string{"adam.step", "w", "w.adam.exp_avg", "w.adam.exp_avg_sq", "w.adam.max_exp_avg_sq"}
	if d := cmp.Diff(want, sorted(updates)); d != "" {
		t.Error(d)
	}
}

func sorted(xs []string) []string {
	out := append([]string(nil), xs...)
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

// TestShared uses one optimizer in two functions: they share its state. A schedule sets the rate between steps.
func TestShared(t *testing.T) {
	m := graph.NewModule("m")
	w := variable(m, "w", 2)
	opt := optim.SGD(0.5, optim.Momentum(0.9))
	for _, name := range []string{"a", "b"} {
		f := m.Func(name)
		loss := ops.Sum(w.Read(f))
		f.Return("loss", loss)
		opt.Minimize(loss)
	}
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	step := func(name string) {
		t.Helper()
		if _, err := sess.Run(context.Background(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	step("a")
	step("b")
	if err := sess.SetVariable("lr", value.Scalar(0.0)); err != nil {
		t.Fatal(err)
	}
	step("a")
	if got := sess.Variable("w").Float64s()[0]; got != 1-0.5*1-0.5*float64(float32(1.9)) {
		t.Errorf("w is %v after two steps", got)
	}
}

// TestTwoOptimizers needs names, as of a generator and its critic.
func TestTwoOptimizers(t *testing.T) {
	build := func(opts ...optim.Option) *graph.Module {
		m := graph.NewModule("m")
		f, g := m.Func("f"), m.Func("g")
		a, b := variable(m, "a", 2), variable(m, "b", 2)
		lossF, lossG := ops.Sum(ops.Mul(a.Read(f), b.Read(f))), ops.Sum(ops.Mul(a.Read(g), b.Read(g)))
		optim.Adam(1e-3).Minimize(lossF, a)
		optim.Adam(1e-3, opts...).Minimize(lossG, b)
		return m
	}
	if err := build().Err(); err == nil || !strings.Contains(err.Error(), "optim_test.go:") || !strings.Contains(err.Error(), "@lr is taken") {
		t.Errorf("two optimizers without names: %v", err)
	}
	m := build(optim.Name("critic"))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lr", "critic.lr", "critic.step", "adam.step", "a.adam.exp_avg", "b.critic.exp_avg"} {
		if m.LookupVariable(name) == nil {
			t.Errorf("there is no variable %s", name)
		}
	}
	if v := m.LookupVariable("b.adam.exp_avg"); v != nil {
		t.Error("the first optimizer keeps state for a weight that it does not train")
	}
}

// TestFaults minimizes what cannot be minimized, and asks for what an optimizer cannot do.
func TestFaults(t *testing.T) {
	scalar := func(f *graph.Func) graph.Value { return ops.Sum(variable(f.Module(), "w", 2).Read(f)) }
	cases := map[string]func(f *graph.Func){
		"adam: want a scalar loss, have f32[2]":                     func(f *graph.Func) { optim.Adam(1).Minimize(variable(f.Module(), "w", 2).Read(f)) },
		"adam: the loss does not depend on any trainable variable":  func(f *graph.Func) { optim.Adam(1).Minimize(f.Scalar(graph.F32, 1.0)) },
		"adam: want a learning rate that is finite and at least 0":  func(f *graph.Func) { optim.Adam(-1).Minimize(scalar(f)) },
		"adam: want beta1 of at least 0 and below 1, have 1":        func(f *graph.Func) { optim.Adam(1, optim.Betas(1, 0.5)).Minimize(scalar(f)) },
		"adam: it does not take the option Momentum: want one of":   func(f *graph.Func) { optim.Adam(1, optim.Momentum(0.9)).Minimize(scalar(f)) },
		"sgd: Nesterov needs a momentum and no dampening":           func(f *graph.Func) { optim.SGD(1, optim.Nesterov()).Minimize(scalar(f)) },
		"sgd: an option is empty":                                   func(f *graph.Func) { optim.SGD(1, optim.Option{}).Minimize(scalar(f)) },
		"adamw: want a weight decay that is finite and at least 0,": func(f *graph.Func) { optim.AdamW(1, optim.WeightDecay(-1)).Minimize(scalar(f)) },
		"lion: it does not take the option Eps: want one of Betas":  func(f *graph.Func) { optim.Lion(1, optim.Eps(1e-8)).Minimize(scalar(f)) },
		"lion: want beta2 of at least 0 and below 1, have 1":        func(f *graph.Func) { optim.Lion(1, optim.Betas(0.9, 1)).Minimize(scalar(f)) },
		"sgd: weight 0 is not a variable of the loss's module": func(f *graph.Func) {
			optim.SGD(1).Minimize(scalar(f), variable(graph.NewModule("other"), "w", 2))
		},
	}
	for want, minimize := range cases {
		m := graph.NewModule("m")
		minimize(m.Func("f"))
		err := m.Err()
		if err == nil || !strings.HasPrefix(err.Error(), "optim_test.go:") || !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	optim.SGD(1).Minimize(graph.Value{}) // nothing to report on, no panic
}

// TestNames makes every optimizer by its name and lets it descend.
func TestNames(t *testing.T) {
	for _, name := range optim.Names() {
		opt, err := optim.New(name, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		m := graph.NewModule("m")
		f := m.Func("train")
		x := f.Input("x", graph.F64, 4, 3)
		loss := nn.MSE(nn.Linear(3, 1).Apply(x), ops.ReduceSum(x, []int{1}, true))
		f.Return("loss", loss)
		opt.Minimize(loss)
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		sess, err := runtime.NewSession(prog, runtime.Seed(1))
		if err != nil {
			t.Fatal(err)
		}
		in, _ := value.FromSlice([]float64{1, 2, 3, -1, 0, 2, 0.5, 0.25, 1, 3, -2, 1}, 4, 3)
		var first, last float64
		for i := range 20 {
			out, err := sess.Run(context.Background(), "train", map[string]value.Value{"x": in})
			if err != nil {
				t.Fatal(err)
			}
			if last = out["loss"].(*value.Tensor).Float64s()[0]; i == 0 {
				first = last
			}
		}
		if !(last < first) {
			t.Errorf("%s: the loss goes from %v to %v", name, first, last)
		}
	}
	if _, err := optim.New("newton", 0.1); err == nil || !strings.Contains(err.Error(), `no optimizer "newton": want one of adam, sgd`) {
		t.Errorf("an unknown name gives %v", err)
	}
}

// TestStateIsKnownWithoutMarks reads models as if they were stored in the first format version, which does not mark the state of optimizers:
// what the functions do must tell.
func TestStateIsKnownWithoutMarks(t *testing.T) {
	for name, opt := range replaceable() {
		if opt == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := graph.NewModule("m")
			net := nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, nn.CumulativeMomentum()), nn.Dropout(0.5), nn.Linear(4, 1))
			train, predict := m.Func("train"), m.Func("predict")
			predict.Return("y", net.Apply(predict.Input("x", graph.F32, "N", 3)))
			loss := nn.MSE(net.Apply(train.Input("x", graph.F32, "N", 3), nn.Training), train.Input("y", graph.F32, "N", 1))
			train.Return("loss", loss)
			opt.Minimize(loss)
			if err := graph.Verify(m); err != nil {
				t.Fatal(err)
			}
			text := m.String()
			if !strings.Contains(text, "optimizer_state=true, ") {
				t.Fatal("nothing is marked")
			}
			old := strings.Replace(strings.ReplaceAll(text, "optimizer_state=true, ", ""), "graphrun 2", "graphrun 1", 1)
			again, err := graph.Parse("m.graph", []byte(old), graph.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(text, again.String()); d != "" {
				t.Errorf("-declared +read: %s", d)
			}
		})
	}
}

// TestLion holds Lion against the algorithm of the paper (Chen et al. 2023, algorithm 2), which NumPy computed in f64:
//
//	p *= 1 - lr*decay; u = beta1*m + (1-beta1)*g; m = beta2*m + (1-beta2)*g; p -= lr*sign(u)
//
// Weights and state must be those after eight steps, also where the module went through text and another session after three.
func TestLion(t *testing.T) {
	start := []float64{1, -1, 0.25, 0.05}
	for name, c := range map[string]struct {
		opt  func() *optim.Optimizer
		p, m []float64
	}{
		"plain": {
			func() *optim.Optimizer { return optim.Lion(0.05) },
			[]float64{0.5999999999999996, -1.0, -0.04999999999999999, -0.35},
			[]float64{0.09258306033817172, 0.0008766874726228604, 0.002088518668505627, 0.04654293818810992},
		},
		"decay": {
			func() *optim.Optimizer { return optim.Lion(0.05, optim.WeightDecay(0.1), optim.Betas(0.95, 0.98)) },
			[]float64{0.5676234793298053, -0.9606831678279322, -0.15289630335177204, -0.34503491206685943},
			[]float64{0.17795435042528096, -0.0019278698990356055, 0.003675737573353103, 0.08911845195827606},
		},
		"scheduled": {
			func() *optim.Optimizer { return optim.Lion(0.05, optim.ScheduleMomentum()) },
			[]float64{0.5999999999999996, -1.0, -0.04999999999999999, -0.35},
			[]float64{0.09258306033817172, 0.0008766874726228604, 0.002088518668505627, 0.04654293818810992},
		},
		"maximize": {
			func() *optim.Optimizer { return optim.Lion(0.02, optim.Maximize()) },
			[]float64{1.1600000000000001, -1.1600000000000001, 0.41000000000000014, 0.20999999999999996},
			[]float64{-0.09654984110032093, 0.020350222710903677, -0.008377155523307655, -0.10466591816843977},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := graph.NewModule("m")
			f := m.Func("train")
			tensor := func(xs ...float64) *value.Tensor {
				v, err := value.FromSlice(xs, len(xs))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			p := m.Variable("p", graph.F64, []int{4}, initializer.FromTensor(tensor(start...)).For(graph.F64, 4)).Read(f)
			d := ops.Sub(p, f.Const(tensor(0.3, -0.7, 2, 0)))
			loss := ops.Sum(ops.Add(ops.Mul(ops.Mul(ops.Square(d), 0.5), f.Const(tensor(1, 2, 0.5, 3))), ops.Sin(p)))
			f.Return("loss", loss)
			c.opt().Minimize(loss)
			run := func(m *graph.Module, steps int, weights map[string]*value.Tensor) *runtime.Session {
				prog, err := compile.Compile(m)
				if err != nil {
					t.Fatal(err)
				}
				sess, err := runtime.NewSession(prog, runtime.Weights(weights))
				if err != nil {
					t.Fatal(err)
				}
				for range steps {
					if _, err := sess.Run(context.Background(), "train", nil); err != nil {
						t.Fatal(err)
					}
				}
				return sess
			}
			again, err := graph.Parse("m.graph", []byte(m.String()), graph.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for way, sess := range map[string]*runtime.Session{"at once": run(m, 8, nil), "resumed": run(again, 5, run(m, 3, nil).Variables())} {
				for name, want := range map[string][]float64{"p": c.p, "p.lion.exp_avg": c.m} {
					if err := value.AllClose(sess.Variable(name), tensor(want...), 1e-12, 1e-15); err != nil {
						t.Errorf("%s, %s: %v", way, name, err)
					}
				}
			}
		})
	}
}

// TestDecoupled holds NAdam and RAdam with weight decay that shrinks the weights, and upwards, against PyTorch 2.15: torch.optim.NAdam([p],
// lr=0.1, weight_decay=0.5, decoupled_weight_decay=True) and so on, 8 steps along (p**2*[1, 3]).sum() from [1, -2].
func TestDecoupled(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  *optim.Optimizer
		want []float64
	}{
		{"NAdam, decoupled", optim.NAdam(0.1, optim.WeightDecay(0.5), optim.Decoupled()), []float64{0.24374194867885537, -0.865446695656428}},
		{"RAdam, decoupled", optim.RAdam(0.1, optim.WeightDecay(0.5), optim.Decoupled()), []float64{0.07926343226224061, 0.6920045257725478}},
		{"NAdam, upwards", optim.NAdam(0.1, optim.WeightDecay(0.5), optim.Maximize()), []float64{1.695236075667655, -2.6707413352749807}},
		{"RAdam, upwards", optim.RAdam(0.1, optim.WeightDecay(0.5), optim.Maximize()), []float64{1.8893069162548208, -11.532894935660833}},
	} {
		m := graph.NewModule("m")
		f := m.Func("step")
		start, _ := value.FromSlice([]float64{1, -2}, 2)
		scale, _ := value.FromSlice([]float64{1, 3}, 2)
		p := m.Variable("p", graph.F64, []int{2}, initializer.FromTensor(start).For(graph.F64, 2))
		loss := ops.Sum(ops.Mul(ops.Square(p.Read(f)), f.Const(scale)))
		f.Return("loss", loss)
		c.opt.Minimize(loss)
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		sess, err := runtime.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if _, err := sess.Run(context.Background(), "step", nil); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := value.FromSlice(c.want, 2)
		if err := value.AllClose(sess.Variable("p"), want, 1e-10, 0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
