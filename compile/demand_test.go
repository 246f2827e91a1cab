package compile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
)

// demanding are functions of x: f32[N] that take some sizes only, which of 1 to 6, and how each shows: rewrites remove the nodes that ask for it.
var demanding = []struct {
	name, text string
	takes      string
	op         string // that refuses, "" where it depends on the size
}{
	{"reshape of a reshape", `
func @f(%x: f32[N]) {
  %a = reshape %x {shape=[floordiv(N, 2),2]}
  %b = reshape %a {shape=[N]}
  return y: %b
}`, "246", "reshape"},
	{"nothing uses it", `
func @f(%x: f32[N]) {
  %a = reshape %x {shape=[floordiv(N, 3),3]}
  return y: %x
}`, "36", "reshape"},
	{"its size alone is used", `
func @f(%x: f32[N]) {
  %a = slice %x {limits=[4], starts=[0], steps=[1]}
  %n = dim_size %a {axis=0}
  return y: %n
}`, "456", "slice"},
	{"a call whose result is not used", `
func @odd(%x: f32[K]) {
  %a = reshape %x {shape=[floordiv(K, 2),2]}
  return y: %a
}
func @twice(%x: f32[K]) {
  %a = call %x {func=@odd, results=1} : f32[floordiv(K, 2),2]
  %b = call %x {func=@odd, results=1} : f32[floordiv(K, 2),2]
  return a: %a, b: %b
}
func @f(%x: f32[N]) {
  %p = slice %x {limits=[N], starts=[1], steps=[1]}
  %a, %b = call %p {func=@twice, results=2} : f32[floordiv(N-1, 2),2], f32[floordiv(N-1, 2),2]
  return y: %x
}`, "35", ""},
	{"a call with a size of which the callee takes none", `
func @same(%x: f32[K]) {
  return y: %x
}
func @f(%x: f32[N]) {
  %p = slice %x {limits=[N], starts=[1], steps=[1]}
  %a = call %p {func=@same, results=1}
  return y: %x
}`, "23456", "call"},
	{"in a region of a node that is not used", `
func @f(%x: f32[N]) {
  %y = custom_grad %x region(%0: f32[N]) {
    %1 = reshape %0 {shape=[floordiv(N, 2),2]}
    %2 = reduce_sum %1 {axes=[0,1], keepdims=false}
    return 0: %2
  } region(%0: f32[N], %1: f32[], %2: f32[]) {
    return 0: %0
  } {inputs=1, results=1}
  return y: %x
}`, "246", "reshape"},
	{"a convolution that is not used", `
func @f(%x: f32[N]) {
  %r = reshape %x {shape=[1,1,N]}
  %k = constant {value=f32[1,1,4] [1,2,3,4]}
  %d = conv %r, %k {dilations=[1], groups=1, pads=[0,0], strides=[1]}
  return y: %x
}`, "456", "conv"},
	{"a size that may be negative", `
func @f(%x: f32[N]) {
  %a = iota {axis=0, dtype=i64, shape=[N-3]}
  return y: %x
}`, "3456", "iota"},
	{"a quotient by a size that may be zero", `
func @f(%x: f32[N]) {
  %a = iota {axis=0, dtype=i64, shape=[min(4, max(0, floordiv(8, N-2)))]}
  return y: %x
}`, "13456", "iota"},
	{"equal nodes, only one of which stays", `
func @f(%x: f32[N]) {
  %a = topk %x {axis=0, k=3, largest=true}
  %b, %c = topk %x {axis=0, k=3, largest=true}
  return y: %b
}`, "3456", "topk"},
	{"a gradient", `
func @f(%x: f32[N]) {
  %a = reshape %x {shape=[floordiv(N, 2),2]}
  %b = reshape %a {shape=[N]}
  %l = reduce_sum %b {axes=[0], keepdims=false}
  %g = grad %l, %x
  return y: %g
}`, "246", "reshape"},
	{"data decides a size too", `
func @f(%x: f32[N]) {
  %a = reshape %x {shape=[floordiv(N, 2),2]}
  %b = reshape %a {shape=[N]}
  %z = nonzero %b {id=0}
  return y: %z
}`, "246", "reshape"},
}

// TestDemandsStay runs functions that do not take every size, compiled and optimized at every limit on rewrites: they refuse what they refuse as
// they were declared, at the node that does, and take the rest.
func TestDemandsStay(t *testing.T) {
	for _, c := range demanding {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(c.text, "%a = topk", "%a, %a2 = topk", 1)
			m, err := graph.Parse("m.graph", []byte("graphrun 2\nmodule @m\n"+text), graph.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			declared, err := compile.Optimize(m, compile.Through("autodiff"))
			if err != nil {
				t.Fatal(err)
			}
			var log []compile.Rewrite
			if _, err := compile.Optimize(m, compile.Rewrites(&log)); err != nil {
				t.Fatal(err)
			}
			if len(log) == 0 {
				t.Error("there is nothing to rewrite")
			}
			for n := 1; n <= 6; n++ {
				x, err := value.FromSlice([]float32{1, 2, 3, 4, 5, 6}[:n], n)
				if err != nil {
					t.Fatal(err)
				}
				takes := strings.Contains(c.takes, fmt.Sprint(n))
				check := func(what string, err error) {
					t.Helper()
					switch {
					case takes && err != nil:
						t.Errorf("%s refuses N=%d: %v", what, n, err)
					case !takes && err == nil:
						t.Errorf("%s takes N=%d", what, n)
					case !takes && (!strings.Contains(err.Error(), "m.graph:") || !strings.Contains(err.Error(), c.op+":") || strings.Contains(err.Error(), "BUG")):
						t.Errorf("%s refuses N=%d and does not name the %s: %v", what, n, c.op, err)
					}
				}
				_, err = (&graph.Interpreter{}).Run(declared.LookupFunc("f"), []value.Value{x})
				check("the declared graph", err)
				for limit := range len(log) + 1 {
					o, err := compile.Optimize(m, compile.PassLimit(limit))
					if err != nil {
						t.Fatal(err)
					}
					_, err = (&graph.Interpreter{}).Run(o.Clone().LookupFunc("f"), []value.Value{x})
					check(fmt.Sprintf("the graph optimized by %d rewrites", limit), err)
					for _, p := range []*graph.Module{m, o} {
						s := session(t, p, compile.PassLimit(limit))
						_, err = s.Run(context.Background(), "f", map[string]value.Value{"x": x})
						check(fmt.Sprintf("the program of %d rewrites", limit), err)
					}
				}
			}
		})
	}
}

func session(t *testing.T, m *graph.Module, opts ...compile.Option) *runtime.Session {
	t.Helper()
	p, err := compile.Compile(m, opts...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCallThatIsAlwaysRefused wants a call whose operands its callee refuses at every size told as a fault of the model, not of the compiler.
func TestCallThatIsAlwaysRefused(t *testing.T) {
	m, err := graph.Parse("m.graph", []byte(`graphrun 2
module @m
func @half(%x: f32[K]) {
  %a = reshape %x {shape=[floordiv(K, 2),2]}
  return y: %a
}
func @f(%x: f32[N,3]) {
  %r = constant {value=f32[3] [1,2,3]}
  %a = call %r {func=@half, results=1} : f32[1,2]
  return y: %a
}`), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = compile.Compile(m)
	if err == nil || strings.Contains(err.Error(), "BUG") || !strings.Contains(err.Error(), "m.graph:4") {
		t.Errorf("want the reshape refused: %v", err)
	}
}
