package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestRunInto writes results to tensors of the caller.
func TestRunInto(t *testing.T) {
	s := session(t, compiled(t, counter()))
	ctx := context.Background()
	feeds := map[string]value.Value{"by": vec(t, 1, 2)}
	after := vec(t, -1, -1)
	for i := range 3 {
		if err := s.RunInto(ctx, "step", feeds, map[string]value.Value{"after": after}); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint([]int{11 + i, 12 + 2*i}); floats(after) != want {
			t.Errorf("step %d: after is %v, want %s", i, after, want)
		}
	}
	for _, c := range []struct {
		results map[string]value.Value
		want    string
	}{
		{map[string]value.Value{"afters": after}, `run step: there is no result "afters"`},
		{map[string]value.Value{"after": vec(t, 1)}, `run step: result "after": it is f32[2], the tensor to write to is f32[1]`},
		{map[string]value.Value{"after": value.Scalar(1.5)}, `run step: result "after": it is f32[2], the tensor to write to is f64[]`},
		{map[string]value.Value{"after": nil}, `run step: result "after": want a tensor to write to, have <nil>`},
	} {
		if err := s.RunInto(ctx, "step", feeds, c.results); err == nil || err.Error() != c.want {
			t.Errorf("%v gives\n %v, want\n %s", c.results, err, c.want)
		}
	}
	if floats(s.Variable("n")) != "[13 16]" {
		t.Errorf("a refused call has changed the state to %v", s.Variable("n"))
	}
}

// TestSnapshots holds what a caller was given while updates, which write in place, go on.
func TestSnapshots(t *testing.T) {
	p := compiled(t, net())
	first := session(t, p, runtime.Seed(1))
	given := first.Variables()
	kept := map[string]*value.Tensor{}
	for name, v := range given {
		kept[name] = v.Clone()
	}
	second := session(t, p, runtime.Weights(given))
	feeds := map[string]value.Value{"x": batch(t, 8, 20, 0.5), "t": batch(t, 8, 7, 0)}
	for _, s := range []*runtime.Session{first, second} {
		for range 3 {
			if _, err := s.Run(context.Background(), "train", feeds); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, v := range given {
		if !v.Equal(kept[name]) {
			t.Errorf("@%s has changed under the one who was given it", name)
		}
		if a, b := first.Variable(name), second.Variable(name); !a.Equal(b) || a.Equal(v) {
			t.Errorf("@%s: the sessions have %v and %v", name, a, b)
		}
	}
}

// TestReadsBeforeUpdates swaps and mixes variables: every read sees the value before the call, whatever is written in place.
func TestReadsBeforeUpdates(t *testing.T) {
	m := graph.NewModule("m")
	variable := func(name string, x float64) *graph.Variable {
		return m.Variable(name, graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, x, 2) })
	}
	a, b, c, d := variable("a", 1), variable("b", 2), variable("c", 3), variable("d", 4)
	f := m.Func("f")
	f.Update(a, b.Read(f))
	f.Update(b, a.Read(f))
	f.Update(c, ops.Add(ops.Mul(c.Read(f), 10.0), d.Read(f)))
	f.Update(d, ops.Add(ops.Mul(d.Read(f), 10.0), c.Read(f)))
	f.Return("c", c.Read(f))
	s := session(t, compiled(t, m))
	state := []float64{1, 2, 3, 4}
	for range 4 {
		out, err := s.Run(context.Background(), "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := floats(out["c"]); got != fmt.Sprint([]float64{state[2], state[2]}) {
			t.Errorf("c is %s, want %v", got, state[2])
		}
		state = []float64{state[1], state[0], 10*state[2] + state[3], 10*state[3] + state[2]}
		for i, name := range []string{"a", "b", "c", "d"} {
			if got, want := floats(s.Variable(name)), fmt.Sprint([]float64{state[i], state[i]}); got != want {
				t.Fatalf("@%s is %s, want %s", name, got, want)
			}
		}
	}
}

// TestReadsThroughViews updates a variable in place that another update reads in another shape: with a plan of the compiler, and with
// one made for the sizes of a call.
func TestReadsThroughViews(t *testing.T) {
	for _, symbols := range [][]any{{"N", "N"}, {"N", "M"}} {
		m := graph.NewModule("m")
		a := m.Variable("a", graph.F32, []int{2, 2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 1.0, 2, 2) })
		b := m.Variable("b", graph.F32, []int{4}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 8.0, 4) })
		f := m.Func("f")
		f.Return("y", ops.Add(f.Input("x", graph.F32, symbols...), 1.0))
		f.Update(a, ops.Add(a.Read(f), 1.0))
		f.Update(b, ops.Mul(b.Read(f), ops.Reshape(a.Read(f), 4)))
		s := session(t, compiled(t, m))
		for _, want := range []string{"[8 8 8 8]", "[16 16 16 16]", "[48 48 48 48]"} {
			if _, err := s.Run(context.Background(), "f", map[string]value.Value{"x": numbers(t, "f32[1,1]", 1)}); err != nil {
				t.Fatal(err)
			}
			if got := floats(s.Variable("b")); got != want {
				t.Errorf("%v: @b is %s, want %s", symbols, got, want)
			}
		}
	}
}

// TestReducedUpdate has the next value of a variable be a reduction of what reads it, row by row.
func TestReducedUpdate(t *testing.T) {
	const n = 600
	m := graph.NewModule("m")
	v := m.Variable("v", graph.F64, []int{n}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F64, 1.0, n) })
	f := m.Func("f")
	f.Update(v, ops.ReduceSum(ops.Mul(f.Input("x", graph.F64, n, n), v.Read(f)), []int{1}, false))
	s := session(t, compiled(t, m))
	ones := make([]float64, n*n)
	for i := range ones {
		ones[i] = 1
	}
	x, err := value.FromSlice(ones, n, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x}); err != nil {
		t.Fatal(err)
	}
	for i, y := range s.Variable("v").Float64s() {
		if y != n {
			t.Fatalf("element %d is %v, want %d", i, y, n)
		}
	}
}

// TestNothingCommitted refuses calls of a function that only updates: by an operation that fails and by a context that is done.
func TestNothingCommitted(t *testing.T) {
	m := graph.NewModule("m")
	full := func(x int) func(f *graph.Func, _ graph.Value) graph.Value {
		return func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.I32, float64(x), 2) }
	}
	a, b := m.Variable("a", graph.I32, []int{2}, full(1)), m.Variable("b", graph.I32, []int{2}, full(8))
	f := m.Func("f")
	f.Update(a, ops.Add(a.Read(f), 1))
	f.Update(b, ops.FloorDiv(b.Read(f), f.Input("by", graph.I32, 2)))
	add := m.Func("add")
	add.Update(a, ops.Add(a.Read(add), 1))
	s := session(t, compiled(t, m))
	if _, err := s.Run(context.Background(), "f", map[string]value.Value{"by": numbers(t, "i32[2]", 2, 0)}); err == nil {
		t.Error("a division by zero succeeds")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, "add", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call gives %v", err)
	}
	if a, b := floats(s.Variable("a")), floats(s.Variable("b")); a != "[1 1]" || b != "[8 8]" {
		t.Errorf("refused calls have changed the state to %s and %s", a, b)
	}
}

// TestCancelledBetweenInstructions cancels a training step after each of its instructions: either the step has not happened, or it
// has happened whole.
func TestCancelledBetweenInstructions(t *testing.T) {
	p := compiled(t, net())
	feeds := map[string]value.Value{"x": batch(t, 8, 20, 0.5), "t": batch(t, 8, 7, 0)}
	fresh := session(t, p, runtime.Seed(1)).Variables()
	done := session(t, p, runtime.Weights(fresh))
	if _, err := done.Run(context.Background(), "train", feeds); err != nil {
		t.Fatal(err)
	}
	after := done.Variables()
	cancelled, whole := 0, 0
	for stop := range p.Funcs["train"].Steps() {
		ctx, cancel := context.WithCancel(context.Background())
		seen := 0
		s := session(t, p, runtime.Weights(fresh), runtime.Observe(func(*graph.Node, []value.Value, []value.Value) error {
			if seen == stop {
				cancel()
			}
			seen++
			return nil
		}))
		_, err := s.Run(ctx, "train", feeds)
		want := fresh
		if err == nil {
			want = after
			whole++
		} else {
			cancelled++
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		for name, v := range s.Variables() {
			if !v.Equal(want[name]) {
				t.Errorf("stopped after instruction %d (%v): @%s is torn", stop, err, name)
			}
		}
		cancel()
	}
	if cancelled == 0 || whole == 0 {
		t.Errorf("%d steps were cancelled, %d completed: want some of both", cancelled, whole)
	}
}

// TestObserver shows operands as they were before results took their place.
func TestObserver(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 3)
	f.Return("y", ops.Softmax(ops.ReduceSum(ops.MatMul(ops.Reshape(x, 3, 1), ops.Reshape(x, 1, 3)), []int{0}, false), 0))
	var log strings.Builder
	fault := errors.New("stop here")
	stop := false
	s := session(t, compiled(t, m), runtime.Observe(func(n *graph.Node, in, out []value.Value) error {
		want, err := graph.EvalNode(n, in, nil)
		if err != nil {
			return err
		}
		for i, v := range out {
			if value.AllClose(v.(*value.Tensor), want[i].(*value.Tensor), 1e-5, 1e-6) != nil {
				t.Errorf("%s gives %v of %v, want %v", n.Op().Name, v, in, want[i])
			}
			clear(v.(*value.Tensor).Bytes()) // it is the observer's own
		}
		fmt.Fprintln(&log, n.Op().Name)
		if stop {
			return fault
		}
		return nil
	}))
	out, err := s.Run(context.Background(), "f", map[string]value.Value{"x": vec(t, 1, 2, 3)})
	if err != nil || floats(out["y"]) == "[0 0 0]" {
		t.Errorf("f gives %v, %v", out, err)
	}
	if log.String() != "matmul\nreduce_sum\nsoftmax\n" {
		t.Errorf("the observer saw\n%s", &log)
	}
	stop = true
	if _, err := s.Run(context.Background(), "f", map[string]value.Value{"x": vec(t, 1, 2, 3)}); err == nil || !strings.Contains(err.Error(), "stop here") {
		t.Errorf("an observer's error gives %v", err)
	}
}

// TestManySizes meets more sets of sizes than a session keeps, from several goroutines.
func TestManySizes(t *testing.T) {
	s := session(t, compiled(t, net()))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				n := 1 + (g*37+i*11)%150
				out, err := s.Run(context.Background(), "predict", map[string]value.Value{"x": batch(t, n, 20, 0.5)})
				if err != nil {
					t.Error(err)
					return
				}
				if y := out["y"].(*value.Tensor); y.Shape()[0] != n {
					t.Errorf("a batch of %d gives %v", n, y.Shape())
				}
			}
		})
	}
	wg.Wait()
}

// TestSharedWeights runs 32 sessions of one program, at the same time, over one copy of large weights.
func TestSharedWeights(t *testing.T) {
	const width, sessions = 2048, 32
	m := graph.NewModule("wide")
	w := m.Variable("w", graph.F32, []int{width, width}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.Full(f, graph.F32, 0.5, width, width)
	})
	f := m.Func("predict")
	f.Return("y", ops.ReLU(ops.MatMul(f.Input("x", graph.F32, "N", width), w.Read(f))))
	p := compiled(t, m)
	weights := session(t, p).Variables()
	size := len(weights["w"].Bytes())
	goruntime.GC()
	before := resident(t)
	var ready, done, wg sync.WaitGroup
	ready.Add(sessions)
	done.Add(1)
	for i := range sessions {
		wg.Go(func() {
			s, err := runtime.NewSession(p, runtime.Weights(weights))
			if err != nil {
				t.Error(err)
			} else if _, err := s.Run(context.Background(), "predict", map[string]value.Value{"x": batch(t, 1+i%4, width, 0.5)}); err != nil {
				t.Error(err)
			}
			ready.Done()
			done.Wait()
			goruntime.KeepAlive(s)
		})
	}
	ready.Wait()
	if grown := resident(t) - before; grown > 2*size {
		t.Errorf("%d sessions take %s more than one copy of the weights, which is %s", sessions,
			value.ByteText(float64(grown)), value.ByteText(float64(size)))
	}
	done.Done()
	wg.Wait()
}

// resident returns the memory that the process has in use.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil { // not Linux: what the Go runtime has in use
		var stats goruntime.MemStats
		goruntime.ReadMemStats(&stats)
		return int(stats.HeapInuse)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestResultsAreComputedInPlace gives a call tensors for its results in every way that a caller may: of their own, fewer than there are,
// over a feed, and one for two results.
func TestResultsAreComputedInPlace(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 4)
	e := ops.Exp(x)
	f.Return("sum", ops.ReduceSum(e, []int{1}, true))
	f.Return("flat", ops.Reshape(ops.MatMul(e, f.Input("w", graph.F32, 4, 4)), -1))
	f.Return("same", x)
	s := session(t, compiled(t, m))
	feeds := map[string]value.Value{"x": ramp(t, 3, 4), "w": ramp(t, 4, 4)}
	want, err := s.Run(context.Background(), "f", feeds)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Run(context.Background(), "f", feeds)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		if v.(*value.Tensor).Overlaps(again[name].(*value.Tensor)) || v.(*value.Tensor).Overlaps(feeds["x"].(*value.Tensor)) {
			t.Errorf("result %s is not the caller's own", name)
		}
	}
	try := func(name string, feeds, results map[string]value.Value) {
		t.Helper()
		if err := s.RunInto(context.Background(), "f", feeds, results); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for r, v := range results {
			if !v.(*value.Tensor).Equal(want[r].(*value.Tensor)) {
				t.Errorf("%s: %s is %v, want %v", name, r, v, want[r])
			}
		}
	}
	zeros := func(dims ...int) *value.Tensor {
		z, err := value.New(graph.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	try("all", feeds, map[string]value.Value{"sum": zeros(3, 1), "flat": zeros(12), "same": zeros(3, 4)})
	try("one", feeds, map[string]value.Value{"flat": zeros(12)})
	try("none", feeds, nil)
	own := feeds["x"].(*value.Tensor).Clone()
	flat, err := own.Reshape(12)
	if err != nil {
		t.Fatal(err)
	}
	try("over a feed", map[string]value.Value{"x": own, "w": feeds["w"]}, map[string]value.Value{"flat": flat, "sum": zeros(3, 1)})
}

// TestResultsExchangeFeeds has results written over feeds that are needed until the end of the call: by another result, and by an update.
func TestResultsExchangeFeeds(t *testing.T) {
	m := graph.NewModule("m")
	two := func(name string) (f *graph.Func, x, y graph.Value) {
		f = m.Func(name)
		return f, f.Input("x", graph.F32, 3), f.Input("y", graph.F32, 3)
	}
	f, x, y := two("exchange")
	f.Return("x", y)
	f.Return("y", ops.Reshape(x, -1))
	f, x, y = two("fibonacci")
	f.Return("y", ops.Add(x, y))
	f.Return("x", y)
	f, x, y = two("update")
	w := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 0, 3) })
	v := m.Variable("v", graph.F32, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 0, 3) })
	f.Return("x", ops.Mul(x, y))
	f.Return("y", ops.Sub(x, y))
	f.Update(w, ops.Add(w.Read(f), x))
	f.Update(v, y)
	p, ctx := compiled(t, m), context.Background()
	for _, fn := range []string{"exchange", "fibonacci", "update"} {
		apart, over := session(t, p), session(t, p)
		feeds := map[string]value.Value{"x": vec(t, 1, 2, 3), "y": vec(t, 4, 5, 6)}
		both := map[string]value.Value{"x": vec(t, 1, 2, 3), "y": vec(t, 4, 5, 6)}
		for call := range 3 {
			want, err := apart.Run(ctx, fn, feeds)
			if err != nil {
				t.Fatal(err)
			}
			if err := over.RunInto(ctx, fn, both, both); err != nil {
				t.Fatal(err)
			}
			for name := range want {
				if !value.Equal(both[name], want[name]) {
					t.Errorf("@%s, call %d: %s is %v, want %v", fn, call, name, both[name], want[name])
				}
			}
			for _, name := range []string{"w", "v"} {
				if have, want := over.Variable(name), apart.Variable(name); !value.Equal(have, want) {
					t.Errorf("@%s, call %d: @%s is %v, want %v", fn, call, name, have, want)
				}
			}
			feeds = want
		}
	}
}

func ramp(t *testing.T, dims ...int) *value.Tensor {
	t.Helper()
	r, err := value.New(graph.F32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	e := r.Exact()
	for i := range e.F {
		e.F[i] = float64(i)/8 - 0.5
	}
	return e.Tensor()
}
