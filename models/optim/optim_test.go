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
		"adam: the loss is a float of rank 0, have f32[2]":          func(f *graph.Func) { optim.Adam(1).Minimize(variable(f.Module(), "w", 2).Read(f)) },
		"adam: the loss does not depend on any trainable variable":  func(f *graph.Func) { optim.Adam(1).Minimize(f.Scalar(graph.F32, 1.0)) },
		"adam: want a learning rate that is finite and at least 0":  func(f *graph.Func) { optim.Adam(-1).Minimize(scalar(f)) },
		"adam: want beta1 of at least 0 and below 1, have 1":        func(f *graph.Func) { optim.Adam(1, optim.Betas(1, 0.5)).Minimize(scalar(f)) },
		"adam: it does not take the option Momentum: want one of":   func(f *graph.Func) { optim.Adam(1, optim.Momentum(0.9)).Minimize(scalar(f)) },
		"sgd: Nesterov wants a momentum and no dampening":           func(f *graph.Func) { optim.SGD(1, optim.Nesterov()).Minimize(scalar(f)) },
		"sgd: an option is empty":                                   func(f *graph.Func) { optim.SGD(1, optim.Option{}).Minimize(scalar(f)) },
		"adamw: want a weight decay that is finite and at least 0,": func(f *graph.Func) { optim.AdamW(1, optim.WeightDecay(-1)).Minimize(scalar(f)) },
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
	type options = []optim.Option
	for name, opt := range map[string]*optim.Optimizer{
		"sgd":                 optim.SGD(0.1),
		"sgd, dampened":       optim.SGD(0.1, optim.Momentum(0.9), optim.Dampening(0.1)),
		"nesterov":            optim.SGD(0.1, optim.Momentum(0.9), optim.Nesterov(), optim.WeightDecay(0.1)),
		"sgd, scheduled":      optim.SGD(0.1, optim.Momentum(0.9), optim.ScheduleMomentum(), optim.Maximize()),
		"adam":                optim.Adam(0.1),
		"adam, all":           optim.Adam(0.1, options{optim.AMSGrad(), optim.ScheduleMomentum(), optim.WeightDecay(0.1), optim.Name("one")}...),
		"adamw":               optim.AdamW(0.1),
		"rmsprop":             optim.RMSprop(0.1),
		"rmsprop, all":        optim.RMSprop(0.1, optim.Centered(), optim.Momentum(0.9), optim.ScheduleMomentum()),
		"adagrad":             optim.Adagrad(0.1),
		"adagrad, with decay": optim.Adagrad(0.1, optim.LRDecay(0.1)),
		"adadelta":            optim.Adadelta(1),
		"adamax":              optim.Adamax(0.1),
		"nadam":               optim.NAdam(0.1),
		"radam":               optim.RAdam(0.1),
	} {
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
