package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/program"
)

// counter declares a variable that "step" increments by its input and "get" reads.
func counter() *graph.Module {
	m := graph.NewModule("counter")
	v := m.Variable("n", graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.Full(f, graph.F32, 10.0, 2)
	})
	step := m.Func("step")
	next := ops.Add(v.Read(step), step.Input("by", graph.F32, 2))
	step.Update(v, next)
	step.Return("before", v.Read(step))
	step.Return("after", next)
	get := m.Func("get")
	get.Return("n", v.Read(get))
	return m
}

func compiled(t testing.TB, m *graph.Module) *program.Program {
	t.Helper()
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func session(t testing.TB, p *program.Program, opts ...runtime.Option) *runtime.Session {
	t.Helper()
	s, err := runtime.NewSession(p, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vec(t testing.TB, x ...float32) *value.Tensor {
	t.Helper()
	v, err := value.FromSlice(x, len(x))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func floats(v value.Value) string { return fmt.Sprint(v.(*value.Tensor).Float64s()) }

// TestUpdatesCommitTogether looks at what reads see, what results own, and what is kept.
func TestUpdatesCommitTogether(t *testing.T) {
	s := session(t, compiled(t, counter()))
	ctx := context.Background()
	out, err := s.Run(ctx, "step", map[string]value.Value{"by": vec(t, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if floats(out["before"]) != "[10 10]" || floats(out["after"]) != "[11 12]" {
		t.Errorf("before %v, after %v", out["before"], out["after"])
	}
	// results are the caller's own: writing to them changes nothing
	for _, name := range []string{"before", "after"} {
		data, _ := value.Data[float32](out[name].(*value.Tensor))
		data[0] = -1
	}
	got, err := s.Run(ctx, "get", nil)
	if err != nil || floats(got["n"]) != "[11 12]" {
		t.Errorf("the session holds %v (%v)", got["n"], err)
	}
	data, _ := value.Data[float32](got["n"].(*value.Tensor))
	data[0] = -1
	if floats(s.Variable("n")) != "[11 12]" {
		t.Errorf("a fetched variable is the session's own: %v", s.Variable("n"))
	}
}

// TestCancellation leaves the state as before the call.
func TestCancellation(t *testing.T) {
	s := session(t, compiled(t, counter()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, "step", map[string]value.Value{"by": vec(t, 1, 2)}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
	if floats(s.Variable("n")) != "[10 10]" {
		t.Errorf("a cancelled run has changed the state to %v", s.Variable("n"))
	}
}

// TestFeedErrors wants one clear line for each fault of a call.
func TestFeedErrors(t *testing.T) {
	p := compiled(t, counter())
	s := session(t, p)
	for _, c := range []struct {
		fn    string
		feeds map[string]value.Value
		want  string
	}{
		{"walk", nil, `run: there is no function "walk": want one of get, step`},
		{"step", nil, "run step: no feed for by (f32[2])"},
		{"step", map[string]value.Value{"by": vec(t, 1)}, `run step: input "by": want f32[2], have f32[1]: axis 0: 2 is not 1`},
		{"step", map[string]value.Value{"by": vec(t, 1, 2), "no": vec(t, 1)}, `run step: there is no input "no"`},
	} {
		if _, err := s.Run(context.Background(), c.fn, c.feeds); err == nil || err.Error() != c.want {
			t.Errorf("%s gives\n %v, want\n %s", c.fn, err, c.want)
		}
	}
	if err := s.SetVariable("m", vec(t, 1)); err == nil || !strings.Contains(err.Error(), "@m is not a variable") {
		t.Errorf("an unknown variable gives %v", err)
	}
	if err := s.SetVariable("n", vec(t, 1)); err == nil || !strings.Contains(err.Error(), "want f32[2], have f32[1]") {
		t.Errorf("a wrong shape gives %v", err)
	}
	if _, err := runtime.NewSession(p, runtime.Weights(map[string]*value.Tensor{"n": vec(t, 1)})); err == nil {
		t.Error("a weight of a wrong shape is accepted")
	}
}

// TestConstraintsAtBind decides with the sizes known what was open when the model was declared, and names the
// operation at fault with the user's line.
func TestConstraintsAtBind(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x, y := f.Input("x", graph.F32, "N", "K"), f.Input("y", graph.F32, "M", 2)
	f.Return("z", ops.MatMul(x, y)) // line 140
	s := session(t, compiled(t, m))
	feed := func(n, k, j int) map[string]value.Value {
		a, _ := value.New(graph.F32, n, k)
		b, _ := value.New(graph.F32, j, 2)
		return map[string]value.Value{"x": a, "y": b}
	}
	if _, err := s.Run(context.Background(), "f", feed(4, 3, 3)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Run(context.Background(), "f", feed(4, 3, 5))
	want := "run f: session_test.go:140: matmul: inner dimensions differ: a is f32[4,3], b is f32[5,2]"
	if err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
}

// TestDropoutDraws draws anew at every call and the same again from the same seed.
func TestDropoutDraws(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Dropout(f.Input("x", graph.F32, 64), 0.5))
	p := compiled(t, m)
	x := make([]float32, 64)
	for i := range x {
		x[i] = 1
	}
	draw := func(seed uint64) []string {
		s := session(t, p, runtime.Seed(seed))
		var out []string
		for range 3 {
			r, err := s.Run(context.Background(), "f", map[string]value.Value{"x": vec(t, x...)})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, floats(r["y"]))
		}
		return out
	}
	a, again, b := draw(1), draw(1), draw(2)
	for i := range a {
		if a[i] != again[i] {
			t.Errorf("draw %d of seed 1 differs from run to run", i)
		}
		if a[i] == b[i] || a[i] == a[(i+1)%3] {
			t.Errorf("draw %d is not new", i)
		}
	}
}

// net declares an MLP with weights and a training step by hand.
func net() *graph.Module {
	m := graph.NewModule("net")
	weight := func(name string, in, out int) *graph.Variable {
		return m.Variable(name, graph.F32, []int{in, out}, func(f *graph.Func, _ graph.Value) graph.Value {
			return ops.RandomUniform(f, graph.F32, -0.5, 0.5, in, out)
		})
	}
	w1, w2 := weight("w1", 20, 33), weight("w2", 33, 7)
	forward := func(f *graph.Func, x graph.Value) graph.Value {
		return ops.LogSoftmax(ops.MatMul(ops.Tanh(ops.MatMul(x, w1.Read(f))), w2.Read(f)), 1)
	}
	p := m.Func("predict")
	p.Return("y", forward(p, p.Input("x", graph.F32, "N", 20)))
	f := m.Func("train")
	loss := ops.Neg(ops.Mean(ops.Mul(forward(f, f.Input("x", graph.F32, "N", 20)), f.Input("t", graph.F32, "N", 7))))
	f.Return("loss", loss)
	for i, g := range graph.Grad(loss, w1.Read(f), w2.Read(f)) {
		w := []*graph.Variable{w1, w2}[i]
		f.Update(w, ops.Sub(w.Read(f), ops.Mul(g, 0.1)))
	}
	return m
}

func batch(t testing.TB, n, width int, phase float32) *value.Tensor {
	t.Helper()
	v, err := value.New(graph.F32, n, width)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := value.Data[float32](v)
	for i := range data {
		data[i] = float32((i*7919)%1000)/1000 - phase
	}
	return v
}

// TestThreadsAndBatches wants the same bits from any number of threads, and of each sample in any batch.
func TestThreadsAndBatches(t *testing.T) {
	p := compiled(t, net())
	x, target := batch(t, 200, 20, 0.5), batch(t, 200, 7, 0)
	defer parallel.SetThreads(0)
	var want string
	for _, threads := range []int{1, 2, 3, 8} {
		parallel.SetThreads(threads)
		s := session(t, p, runtime.Seed(3))
		for range 3 {
			if _, err := s.Run(context.Background(), "train", map[string]value.Value{"x": x, "t": target}); err != nil {
				t.Fatal(err)
			}
		}
		got := fmt.Sprint(s.Variable("w1").Bytes(), s.Variable("w2").Bytes())
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%d threads give other weights than one", threads)
		}
	}
	s := session(t, p)
	whole, err := s.Run(context.Background(), "predict", map[string]value.Value{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := value.Data[float32](whole["y"].(*value.Tensor))
	xs, _ := value.Data[float32](x)
	for _, n := range []int{1, 3, 64} {
		part, _ := value.FromSlice(xs[:n*20], n, 20)
		out, err := s.Run(context.Background(), "predict", map[string]value.Value{"x": part})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := value.FromSlice(all[:n*7], n, 7)
		if !out["y"].(*value.Tensor).Equal(first) {
			t.Errorf("a batch of %d gives other bits than a batch of 200", n)
		}
	}
}

// TestConcurrentSessions runs sessions of one program, and one session from many goroutines.
func TestConcurrentSessions(t *testing.T) {
	p := compiled(t, net())
	shared := session(t, p)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			own, err := runtime.NewSession(p, runtime.Weights(shared.Variables()))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 3 {
				n := 1 + (g+i)%5
				feeds := map[string]value.Value{"x": batch(t, n, 20, 0.5), "t": batch(t, n, 7, 0)}
				if _, err := own.Run(context.Background(), "train", feeds); err != nil {
					t.Error(err)
				}
				if _, err := shared.Run(context.Background(), "predict", map[string]value.Value{"x": feeds["x"]}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestOtherTypes carries a sequence and an optional through a function.
func TestOtherTypes(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	elem, _ := graph.Tensor(graph.F32, "N")
	f.Return("s", f.InputOf("s", graph.SequenceType{Elem: elem}))
	f.Return("o", f.InputOf("o", graph.OptionalType{Elem: elem}))
	s := session(t, compiled(t, m))
	seq, err := value.NewSequence(vec(t, 1, 2), vec(t, 3, 4))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), "f", map[string]value.Value{"s": seq, "o": value.None()})
	if err != nil {
		t.Fatal(err)
	}
	if !value.Equal(out["s"], seq) || !value.Equal(out["o"], value.None()) {
		t.Errorf("have %v and %v", out["s"], out["o"])
	}
	if _, err := s.Run(context.Background(), "f", map[string]value.Value{"s": vec(t, 1), "o": value.None()}); err == nil {
		t.Error("a tensor is accepted for a sequence")
	}
}

// TestSizesFromData computes with a size that is known only when the program runs, in several goroutines.
func TestSizesFromData(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N")
	at := ops.Reshape(ops.NonZero(x), -1)
	picked := ops.Gather(x, 0, at)
	f.Return("picked", ops.Mul(picked, ops.OnesLike(picked)))
	f.Return("sum", ops.Sum(picked))
	s := session(t, compiled(t, m))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			x := make([]float32, 9)
			want := make([]float64, 0, 9)
			for i := range n {
				x[(i*2)%9] = float32(i + 1)
			}
			for _, v := range x {
				if v != 0 {
					want = append(want, float64(v))
				}
			}
			out, err := s.Run(context.Background(), "f", map[string]value.Value{"x": vec(t, x...)})
			if err != nil {
				t.Error(err)
				return
			}
			if got := floats(out["picked"]); got != fmt.Sprint(want) {
				t.Errorf("picked %s, want %v", got, want)
			}
		})
	}
	wg.Wait()
}

// TestRunChecked refuses the updates of a call whose results it has seen, with a plan and without one.
func TestRunChecked(t *testing.T) {
	m := counter()
	v := m.LookupVariable("n")
	dyn := m.Func("dynamic")
	by := dyn.Input("by", graph.F32, 2)
	next := ops.Add(v.Read(dyn), ops.Sum(ops.Gather(by, 0, ops.Reshape(ops.NonZero(by), -1))))
	dyn.Update(v, next)
	dyn.Return("after", next)
	p := compiled(t, m)
	if !p.Funcs["dynamic"].Dynamic {
		t.Fatal("the function is not dynamic")
	}
	refused := errors.New("refused")
	for _, fn := range []string{"step", "dynamic"} {
		s := session(t, p)
		after := vec(t, 0, 0)
		for _, want := range []error{refused, nil} {
			err := s.RunChecked(t.Context(), fn, map[string]value.Value{"by": vec(t, 1, 2)}, map[string]value.Value{"after": after}, func() error {
				if floats(after) == "[10 10]" || floats(after) == "[0 0]" {
					t.Errorf("%s: the results that are looked at are %s", fn, floats(after))
				}
				return want
			})
			if !errors.Is(err, want) {
				t.Errorf("%s: error %v, want %v", fn, err, want)
			}
			kept := floats(s.Variable("n")) == "[10 10]"
			if kept != (want != nil) {
				t.Errorf("%s, accepted with %v: the variable is %v", fn, want, s.Variable("n"))
			}
		}
	}
}
