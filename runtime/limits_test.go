package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

// parsed is the compiled module of functions in text.
func parsed(t *testing.T, text string) *runtime.Session {
	t.Helper()
	m, err := graph.Parse("m.graph", []byte("graphrun 2\nmodule @m\n"+text), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return session(t, compiled(t, m))
}

// TestScratchIsCounted reduces values that exist nowhere, of sizes up to more than numbers hold, over all sets of axes: what does not fit is
// refused before it is allocated, under the memory that there is and under little.
func TestScratchIsCounted(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(256 << 20))
	refused := 0
	for _, size := range []string{"N*1000000", "N*1000000000", "N*1000000000000", "N*100000000000000000"} {
		for _, axes := range []string{"0,1,2", "0", "1", "2", "0,2", "1,2"} {
			for _, op := range []string{"reduce_sum", "reduce_mean", "reduce_max"} {
				s := parsed(t, fmt.Sprintf(`func @f(%%x: f32[N]) {
  %%a = constant {value=f32[] [1]}
  %%b = expand %%a {shape=[%s,%[1]s,%[1]s]}
  %%c = exp %%b
  %%d = %s %%c {axes=[%s]}
  return y: %%d
}`, size, op, axes))
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				_, err := s.Run(ctx, "f", map[string]value.Value{"x": vec(t, 1)})
				cancel()
				switch {
				case err == nil:
					t.Errorf("%s of axes %s of %s^3 elements is computed", op, axes, size)
				case strings.Contains(err.Error(), "BUG") || !strings.Contains(err.Error(), "m.graph:"):
					t.Errorf("%s of axes %s of %s^3 elements: %v", op, axes, size, err)
				case strings.Contains(err.Error(), "out of memory") || strings.Contains(err.Error(), "too large"):
					refused++
				default:
					t.Errorf("%s of axes %s of %s^3 elements: %v: want it refused", op, axes, size, err)
				}
			}
		}
	}
	t.Logf("%d are refused", refused)
}

// TestLongInstructionsEnd cancels calls of one instruction that takes longer than a test may: a map with a reduction, a reference, a region, and
// a function whose sizes data decides.
func TestLongInstructionsEnd(t *testing.T) {
	for name, text := range map[string]string{
		"fused": `func @f(%x: f32[N]) {
  %s = reduce_sum %x {axes=[0]}
  %b = expand %s {shape=[1000000,1000000]}
  %c = sin %b
  %d = reduce_sum %c {axes=[0,1]}
  return y: %d
}`,
		"reference": `func @f(%x: f32[N]) {
  %s = reduce_sum %x {axes=[0]}
  %h = cast %s {to=f16}
  %a = expand %h {shape=[2000,2000]}
  %y = matmul %a, %a
  return y: %y
}`,
		"data decides": `func @f(%x: f32[N]) {
  %i = nonzero %x {id=0}
  %h = cast %i {to=f16}
  %e = reduce_sum %h {axes=[0,1]}
  %a = expand %e {shape=[2000,2000]}
  %y = matmul %a, %a
  return y: %y, i: %i
}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := parsed(t, text)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
			defer cancel()
			if _, err := s.Run(ctx, "f", map[string]value.Value{"x": vec(t, 1)}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("have %v", err)
			}
		})
	}
}

// TestEmptyOfHugeAxes computes on tensors without elements whose other axis no memory holds.
func TestEmptyOfHugeAxes(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 0)
	f.Return("y", ops.CumSum(x, 0))
	s := session(t, compiled(t, m))
	feed, err := value.New(value.F32, 1<<40, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Run(context.Background(), "f", map[string]value.Value{"x": feed})
	if err == nil || !strings.Contains(err.Error(), "too large, though it is empty") {
		t.Errorf("have %v", err)
	}
}

// TestVariablesAreCounted wants variables refused that do not fit into memory together, given or not, and calls that do not fit beside them.
func TestVariablesAreCounted(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(256 << 20))
	build := func(variables int) *program.Program {
		m := graph.NewModule("m")
		f := m.Func("f")
		for i := range variables {
			m.Variable(fmt.Sprintf("w%d", i), graph.F32, []int{10 << 20}, func(f *graph.Func, _ graph.Value) graph.Value {
				return ops.Full(f, graph.F32, 0, 10<<20)
			})
		}
		f.Return("y", ops.Expand(f.Input("x", graph.F32, 1), "N", 10<<20))
		f.Return("n", f.Input("n", graph.F32, "N"))
		return compiled(t, m)
	}
	weight, err := value.New(value.F32, 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	const want = "new session: out of memory: the variables take 280.0 MiB, there are 256.0 MiB"
	weights := map[string]*value.Tensor{}
	for i := range 7 {
		weights[fmt.Sprintf("w%d", i)] = weight
	}
	for _, opts := range [][]runtime.Option{nil, {runtime.Weights(weights)}} {
		if _, err := runtime.NewSession(build(7), opts...); err == nil || err.Error() != want {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	delete(weights, "w6")
	delete(weights, "w5")
	s, err := runtime.NewSession(build(5), runtime.Weights(weights)) // 56 MiB are left
	if err != nil {
		t.Fatal(err)
	}
	for n, fits := range map[int]bool{1: true, 2: false} {
		x, _ := value.New(value.F32, n)
		_, err := s.Run(context.Background(), "f", map[string]value.Value{"x": vec(t, 1), "n": x})
		if fits != (err == nil) || !fits && !strings.Contains(err.Error(), "expand: out of memory: the result is f32[2,10485760]") {
			t.Errorf("%d times 40 MiB beside 200 MiB of 256: have %v", n, err)
		}
	}
}
