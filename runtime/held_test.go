package runtime

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// holding watches the storage of what calls are given.
type holding struct {
	sessions []*Session
	given    []given
}

type given struct {
	what    string
	storage weak.Pointer[byte]
}

// tensor returns a tensor whose storage is watched: of certain elements, or zeros.
func (h *holding) tensor(t *testing.T, what string, of graph.TensorType, elements string) *value.Tensor {
	t.Helper()
	shape, _ := of.ConstShape()
	x, err := value.New(of.DType, shape...)
	if elements != "" {
		x, err = value.ParseElements(of.DType, shape, elements)
	}
	if err != nil {
		t.Fatal(err)
	}
	if b := x.Bytes(); len(b) > 0 {
		h.given = append(h.given, given{what, weak.Make(&b[0])})
	}
	return x
}

// session starts a session of a module that stays alive.
func (h *holding) session(t *testing.T, m *graph.Module) *Session {
	t.Helper()
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	h.sessions = append(h.sessions, s)
	return s
}

// call calls f with watched feeds, and again into watched results. The op may refuse zeros; a call that fails holds nothing either.
func (h *holding) call(t *testing.T, what string, s *Session, feed func(name string) (of graph.TensorType, elements string)) {
	t.Helper()
	feeds := map[string]value.Value{}
	for _, p := range s.prog.Funcs["f"].Inputs {
		of, elements := feed(p.Name)
		feeds[p.Name] = h.tensor(t, what+": feed "+p.Name, of, elements)
	}
	results, err := s.Run(context.Background(), "f", feeds)
	if err != nil {
		return
	}
	into := map[string]value.Value{}
	for name, v := range results {
		if x, ok := v.(*value.Tensor); ok {
			into[name] = h.tensor(t, what+": result "+name, graph.TypeOf(x).(graph.TensorType), "")
		}
	}
	if err := s.RunInto(context.Background(), "f", feeds, into); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// check wants all storage back.
func (h *holding) check(t *testing.T) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	held := 0
	for _, g := range h.given {
		if g.storage.Value() != nil {
			if held++; held <= 20 {
				t.Errorf("%s: the session holds it after the call", g.what)
			}
		}
	}
	t.Logf("%d of %d tensors are held", held, len(h.given))
	runtime.KeepAlive(h.sessions)
}

// TestNothingOfACallIsHeld calls every op, and models whose nodes are fused, and wants the storage of feeds, of results and of variables that
// were replaced back while the sessions live.
func TestNothingOfACallIsHeld(t *testing.T) {
	h := &holding{}
	for _, op := range graph.Ops() {
		samples, err := ops.SamplesOf(op)
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range samples {
			m := graph.NewModule("m")
			f := m.Func("f")
			in := make([]graph.Value, len(s.In))
			feeds := map[string]graph.Feed{}
			for i, x := range s.In {
				name := fmt.Sprintf("x%d", i)
				in[i] = f.InputOf(name, x.Type)
				feeds[name] = x
			}
			outs := []graph.Value(nil)
			if s.Build != nil {
				outs = s.Build(f, in)
			} else {
				outs = f.Emit(op, in, s.Attrs)
			}
			for i, v := range outs {
				f.Return(fmt.Sprintf("y%d", i), v)
			}
			h.call(t, fmt.Sprintf("%s, sample %d", op.Name, k), h.session(t, m), func(name string) (graph.TensorType, string) {
				return feeds[name].Type, feeds[name].Values
			})
		}
	}
	f32 := func(sizes ...any) graph.TensorType {
		tt, err := graph.Tensor(graph.F32, sizes...)
		if err != nil {
			t.Fatal(err)
		}
		return tt
	}
	for name, declare := range map[string]func(f *graph.Func, x graph.Value) graph.Value{
		"mean":     func(_ *graph.Func, x graph.Value) graph.Value { return ops.ReduceMean(ops.Exp(x), []int{1}, false) },
		"softmax":  func(_ *graph.Func, x graph.Value) graph.Value { return ops.Softmax(ops.Tanh(x), 1) },
		"epilogue": func(_ *graph.Func, x graph.Value) graph.Value { return ops.ReLU(ops.Add(ops.MatMul(x, ops.T(x)), 1.0)) },
		"after": func(_ *graph.Func, x graph.Value) graph.Value {
			return ops.Add(ops.MatMul(x, ops.T(x)), ops.T(ops.MatMul(x, ops.T(x))))
		},
		"view": func(_ *graph.Func, x graph.Value) graph.Value { return ops.Reshape(x, 16, "N") },
		"view of view": func(_ *graph.Func, x graph.Value) graph.Value {
			return ops.Exp(ops.Reshape(ops.Reshape(x, 16, "N"), "N", 2, 8))
		},
		"itself": func(_ *graph.Func, x graph.Value) graph.Value { return x },
		"sorted": func(_ *graph.Func, x graph.Value) graph.Value { y, _ := ops.Sort(x, 0, false); return y },
	} {
		m := graph.NewModule("m")
		w := m.Variable("w", graph.F32, []int{16}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 1.0, 16) })
		f := m.Func("f")
		x := f.Input("x", graph.F32, "N", 16)
		y := ops.Add(x, w.Read(f))
		f.Return("y", declare(f, y))
		f.Return("raw", declare(f, x))
		f.Update(w, ops.ReduceMean(y, []int{0}, false))
		s := h.session(t, m)
		for n := 5; n > 0; n-- {
			h.call(t, fmt.Sprintf("%s, N = %d", name, n), s, func(string) (graph.TensorType, string) { return f32(n, 16), "" })
			if err := s.SetVariable("w", h.tensor(t, name+": variable", f32(16), "")); err != nil {
				t.Fatal(err)
			}
		}
		h.call(t, name+", last", s, func(string) (graph.TensorType, string) { return f32(5, 16), "" })
	}
	h.check(t)
}
