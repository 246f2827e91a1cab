package compile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
)

// TestStrangeRegions runs fused nodes that no pass makes and a file may hold: each gives what its region says.
func TestStrangeRegions(t *testing.T) {
	for name, c := range map[string]struct{ node, params, body, types string }{
		"a reduction that is two results":   {"%x", "%0: f32[N,4]", "%1 = reduce_sum %0 {axes=[1], keepdims=true} : f32[N,1]; return 0: %1, 1: %1", "f32[N,1], f32[N,1]"},
		"a reduction that is no result":     {"%x", "%0: f32[N,4]", "%1 = exp %0 : f32[N,4]; %2 = reduce_sum %1 {axes=[1], keepdims=true} : f32[N,1]; return 0: %1", "f32[N,4]"},
		"an operand that nothing reads":     {"%key, %x", "%0: u64[2], %1: f32[N,4]", "%2 = exp %1 : f32[N,4]; return 0: %2", "f32[N,4]"},
		"an operand of more axes":           {"%image, %x", "%0: f32[N,4,6,6], %1: f32[N,4]", "%2 = exp %1 : f32[N,4]; return 0: %2", "f32[N,4]"},
		"a result of a dtype apart":         {"%half, %x", "%0: f16[N,4], %1: f32[N,4]", "%2 = exp %1 : f32[N,4]; return 0: %2, 1: %0", "f32[N,4], f16[N,4]"},
		"results that are operands":         {"%x, %x", "%0: f32[N,4], %1: f32[N,4]", "%2 = exp %1 : f32[N,4]; return 0: %0, 1: %2, 2: %1, 3: %2", "f32[N,4], f32[N,4], f32[N,4], f32[N,4]"},
		"only results that are operands":    {"%x", "%0: f32[N,4]", "return 0: %0", "f32[N,4]"},
		"constants alone":                   {"", "", "%0 = constant {value=f32[] [2]} : f32[]; %1 = exp %0 : f32[]; return 0: %1", "f32[]"},
		"a producer in the middle":          {"%x, %w", "%0: f32[N,4], %1: f32[4,4]", "%2 = exp %0 : f32[N,4]; %3 = matmul %2, %1 {transpose_a=false, transpose_b=false} : f32[N,4]; return 0: %3", "f32[N,4]"},
		"two producers":                     {"%x, %w", "%0: f32[N,4], %1: f32[4,4]", "%2 = matmul %0, %1 {transpose_a=false, transpose_b=false} : f32[N,4]; %3 = matmul %2, %1 {transpose_a=false, transpose_b=false} : f32[N,4]; return 0: %3", "f32[N,4]"},
		"two reductions":                    {"%x", "%0: f32[N,4]", "%1 = reduce_sum %0 {axes=[1], keepdims=true} : f32[N,1]; %2 = reduce_max %0 {axes=[1], keepdims=true} : f32[N,1]; return 0: %1, 1: %2", "f32[N,1], f32[N,1]"},
		"a producer whose result is two":    {"%x, %w", "%0: f32[N,4], %1: f32[4,4]", "%2 = matmul %0, %1 {transpose_a=false, transpose_b=false} : f32[N,4]; return 0: %2, 1: %2", "f32[N,4], f32[N,4]"},
		"a producer that nothing needs":     {"%x, %w", "%0: f32[N,4], %1: f32[4,4]", "%2 = matmul %0, %1 {transpose_a=false, transpose_b=false} : f32[N,4]; %3 = exp %0 : f32[N,4]; return 0: %3", "f32[N,4]"},
		"a producer of one operand twice":   {"%w", "%0: f32[4,4]", "%1 = matmul %0, %0 {transpose_a=false, transpose_b=true} : f32[4,4]; %2 = add %1, %0 : f32[4,4]; return 0: %2", "f32[4,4]"},
		"members of several shapes":         {"%x, %b", "%0: f32[N,4], %1: f32[4]", "%2 = exp %1 : f32[4]; %3 = add %0, %2 : f32[N,4]; return 0: %3, 1: %2", "f32[N,4], f32[4]"},
		"a region in a region":              {"%x", "%0: f32[N,4]", "%1 = fused %0 region(%0: f32[N,4]) {\n %1 = exp %0 : f32[N,4]\n return 0: %1\n } {results=1} : f32[N,4]; return 0: %1", "f32[N,4]"},
		"ops that have no place in a strip": {"%x", "%0: f32[N,4]", "%1 = softmax %0 {axis=1} : f32[N,4]; %2 = transpose %1 {perm=[1,0]} : f32[4,N]; return 0: %2", "f32[4,N]"},
	} {
		t.Run(name, func(t *testing.T) {
			var names, outs []string
			for i := range strings.Count(c.types, ", ") + 1 {
				names = append(names, "%r"+string(rune('0'+i)))
				outs = append(outs, "y"+string(rune('0'+i))+": %r"+string(rune('0'+i)))
			}
			text := "graphrun 2\nmodule @m\n\nfunc @f(%x: f32[N,4], %w: f32[4,4], %b: f32[4], %key: u64[2], %image: f32[N,4,6,6], %half: f16[N,4]) {\n  " +
				strings.Join(names, ", ") + " = fused " + c.node + " region(" + c.params + ") {\n" + strings.ReplaceAll(c.body, "; ", "\n") + "\n} {results=" +
				string(rune('0'+len(names))) + "} : " + c.types + "\n  return " + strings.Join(outs, ", ") + "\n}\n"
			m, err := graph.Parse("strange.graph", []byte(text), graph.ParseOptions{})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			feeds := map[string]value.Value{}
			for _, p := range m.Funcs()[0].Params() {
				shape, _ := graph.SubstShape(p.Shape(), map[string]graph.Dim{"N": graph.Ints(3)[0]})
				sizes, _ := graph.TensorType{DType: p.DType(), Shape: shape}.ConstShape()
				e := value.NewExact(p.DType(), sizes)
				for i := range e.F {
					e.F[i] = float64(i%7) / 4
				}
				feeds[p.Node().ResultName(0)] = e.Tensor()
			}
			s, err := runtime.NewSession(prog, runtime.Recheck())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(context.Background(), "f", feeds); err != nil {
				t.Error(err)
			}
		})
	}
}
