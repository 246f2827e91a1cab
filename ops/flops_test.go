package ops_test

import (
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// TestFLOPs holds what ops count against numbers counted by hand, symbolic sizes included.
func TestFLOPs(t *testing.T) {
	const head = "graphrun 1\nmodule @m\n\nfunc @g(%a: f32[N]) {\n  %0 = exp %a : f32[N]\n  return y: %0\n}\n\n" +
		"func @f(%x: f32[N,6,8], %w: f32[8,3], %i: f32[N,4,10,12], %k: f32[6,2,3,5], %d: f32[N,6,4,8], %v: f32[N]) {\n  "
	const convAttrs = "{dilations=[1,1], groups=2, pads=[0,0,0,0], strides=[2,1]"
	for _, c := range []struct{ node, want string }{
		{"matmul %x, %w {transpose_a=false, transpose_b=false} : f32[N,6,3]", "288*N"}, // 2*6*3*8
		{"matmul %x, %x {transpose_a=true, transpose_b=false} : f32[N,8,8]", "768*N"},  // 2*8*8*6
		{"conv %i, %k " + convAttrs + "} : f32[N,6,4,8]", "11520*N"},                   // 2 * 4*8*6 * 2*3*5
		{"conv_input_grad %d, %k " + convAttrs + ", size=[10,12]} : f32[N,4,10,12]", "11520*N"},
		{"conv_weight_grad %i, %d " + convAttrs + ", size=[3,5]} : f32[6,2,3,5]", "11520*N"},
		{"max_pool %i {ceil_mode=false, dilations=[1,1], kernel=[2,3], pads=[0,0,0,0], strides=[2,3]} : f32[N,4,5,4], i64[N,4,5,4]", "480*N"}, // 80*6
		{"adaptive_avg_pool %i {size=[2,3]} : f32[N,4,2,3]", "480*N"},
		{"reduce_sum %x {axes=[1], keepdims=false} : f32[N,8]", "48*N"},
		{"argmax %x {axis=1, keepdims=false} : i64[N,8]", "48*N"},
		{"softmax %x {axis=2} : f32[N,6,8]", "240*N"},
		{"cumsum %v {axis=0, exclusive=false, reverse=false} : f32[N]", "N"},
		{"relu %x : f32[N,6,8]", "48*N"},
		{"mul %x, %x : f32[N,6,8]", "48*N"},
		{"reduce_l1 %x {axes=[1], keepdims=false} : f32[N,8]", "96*N"}, // its body: abs, then reduce_sum
		{"reshape %x {shape=[N,48]} : f32[N,48]", "0"},
		{"transpose %x {perm=[0,2,1]} : f32[N,8,6]", "0"},
		{"cast %x {to=f64} : f64[N,6,8]", "0"},
		{"stop_gradient %x : f32[N,6,8]", "0"},
		{"call %v {func=@g, results=1} : f32[N]", "N"},
		{"fused %x region(%0: f32[N,6,8]) {\n    %1 = exp %0 : f32[N,6,8]\n    %2 = reduce_sum %1 {axes=[2], keepdims=false} : f32[N,6]\n" +
			"    return 0: %2\n  } {results=1} : f32[N,6]", "96*N"},
	} {
		results := "%0"
		if c.node[:4] == "max_" {
			results = "%0, %1"
		}
		m, err := graph.Parse("m.graph", []byte(head+results+" = "+c.node+"\n  return y: %0\n}\n"), graph.ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.node, err)
			continue
		}
		f := m.LookupFunc("f")
		if got := f.Nodes()[0].FLOPs().String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.node, got, c.want)
		}
		if got := f.FLOPs().String(); got != c.want {
			t.Errorf("the function of %s: %s, want %s", c.node, got, c.want)
		}
	}
}

// TestFLOPsOfSamples counts every op on its own samples: a count needs no more than a node that has been accepted.
func TestFLOPsOfSamples(t *testing.T) {
	for _, op := range graph.Ops() {
		samples, err := ops.SamplesOf(op)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range samples {
			m := graph.NewModule("sample")
			f := m.Func("f")
			var in []graph.Value
			for j, feed := range s.In {
				in = append(in, f.InputOf(string(rune('a'+j)), feed.Type))
			}
			if s.Build != nil {
				s.Build(f, in)
			} else {
				f.Emit(op, in, s.Attrs)
			}
			if err := m.Err(); err != nil {
				continue // what the sample is about is that it is refused
			}
			if n, ok := f.FLOPs().Int(); !ok || n < 0 {
				t.Errorf("%s: sample %d counts %v", op.Name, i, f.FLOPs())
			}
		}
	}
}
