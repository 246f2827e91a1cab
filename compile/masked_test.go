package compile_test

import (
	"context"
	"math"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
)

// TestMaskedGradient differentiates selections whose other branch has no finite derivative: what is not selected has no influence. The
// values are the derivatives of the branch that is selected; PyTorch 2.15 and JAX give NaN for each of these.
func TestMaskedGradient(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		body string // computes %y of %x, with the constants %zero, %one and %two
		axes string // to sum y over
		x    []float64
		want []float64
	}{
		"log": {`
			%c = greater %x, %two
			%a = log %x
			%b = mul %x, %two
			%y = where %c, %a, %b`, "0", []float64{0, -1, 4}, []float64{2, 2, 0.25}},
		"sqrt": {`
			%c = greater %x, %zero
			%a = sqrt %x
			%y = where %c, %a, %x`, "0", []float64{-1, 0, 4}, []float64{1, 1, 0.25}},
		"exp": {`
			%c = less %x, %zero
			%a = exp %x
			%b = add %x, %one
			%y = where %c, %a, %b`, "0", []float64{1000, nan, 0}, []float64{1, 1, 1}},
		"quotient": {`
			%c = not_equal %x, %zero
			%q = div %one, %x
			%y = where %c, %q, %one`, "0", []float64{0, 2, inf}, []float64{0, -0.25, 0}},
		"missing targets": {`
			%n = isnan %x
			%d = sub %x, %one
			%q = square %d
			%y = where %n, %zero, %q`, "0", []float64{nan, 3}, []float64{0, 4}},
		"a mask in a mask": {`
			%c = greater %x, %zero
			%d = less %x, %two
			%l = log %x
			%r = sqrt %l
			%a = where %d, %x, %r
			%y = where %c, %a, %zero`, "0", []float64{-1, 0, 1, math.E * math.E * math.E * math.E}, []float64{0, 0, 1, 0.25 * math.Exp(-4)}},
		"a mask of a sum": {`
			%l = log %x
			%s = reduce_sum %l {axes=[0]}
			%c = greater %zero, %one
			%y = where %c, %s, %zero`, "", []float64{0, -1}, []float64{0, 0}},
	} {
		m, err := graph.Parse(name, []byte(`graphrun 2
module @m
func @f(%x: f64[N]) {
	%zero = constant {value=f64[] [0]}
	%one = constant {value=f64[] [1]}
	%two = constant {value=f64[] [2]}
`+c.body+`
	%total = reduce_sum %y {axes=[`+c.axes+`]}
	%dx = grad %total, %x
	return dx: %dx
}
`), graph.ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := compile.Compile(m)
		if err != nil {
			t.Fatal(name, err)
		}
		s, err := runtime.NewSession(p)
		if err != nil {
			t.Fatal(name, err)
		}
		x, err := value.FromSlice(c.x, len(c.x))
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x})
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := value.Data[float64](out["dx"].(*value.Tensor))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if !(math.Abs(got[i]-c.want[i]) <= 1e-12) {
				t.Errorf("%s: dx = %v, want %v", name, got, c.want)
				break
			}
		}
	}
}
