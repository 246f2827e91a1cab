package value

import (
	"math"
	"testing"
)

func TestAllClose(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	f := func(xs ...float64) *Tensor { return must[*Tensor](t)(FromSlice(xs, len(xs))) }
	for _, test := range []struct {
		got, want  *Tensor
		rtol, atol float64
		err        string
	}{
		{f(1, 2), f(1, 2), 0, 0, ""},
		{f(1, 2.001), f(1, 2), 1e-3, 0, ""},
		{f(1, 2.003), f(1, 2), 1e-3, 0, "1 of 2 elements differ by more than 0 + 0.001*|want|; the worst is [1]: got 2.003, want 2; largest absolute error 0.003, relative 0.0015"},
		{f(1e-9), f(0), 1e-3, 1e-8, ""},
		{f(1e-7), f(0), 1e-3, 1e-8, "relative +Inf"},
		{f(nan, inf, -inf), f(nan, inf, -inf), 0, 0, ""},
		{f(nan), f(1), 1, 1, "got nan, want 1; largest absolute error +Inf"},
		{f(1), f(nan), 1, 1, "got 1, want nan"},
		{f(inf), f(1), 1, 1, "got inf, want 1"},
		{f(inf), f(-inf), inf, inf, "got inf, want -inf"},
		{f(1), f(inf), 1, 1, "got 1, want inf"},
		{f(0), f(math.Copysign(0, -1)), 0, 0, ""},
		{f(math.MaxFloat64), f(-math.MaxFloat64), 0, 1, "+Inf"},
		{f(1, 5, 9, 5), f(1, 1, 9, 1), 0, 0.5, "2 of 4 elements differ by more than 0.5 + 0*|want|; the worst is [1]"},
		{f(1, nan, nan), f(1, 2, 3), 0, 0, "the worst is [1]"},
		{f(1), Scalar(1.0), 0, 0, "got a tensor f64[1], want f64[]"},
		{Scalar(float32(1)), Scalar(1.0), 0, 0, "got a tensor f32[], want f64[]"},
		{Scalar(int64(1<<62 + 1)), Scalar(int64(1 << 62)), 1, 1, "1 of 1 elements differ; the first is []: got 4611686018427387905, want 4611686018427387904"},
		{must[*Tensor](t)(FromSlice([]bool{true, false, true, true}, 2, 2)), must[*Tensor](t)(New(Bool, 2, 2)), 1, 1, "3 of 4 elements differ; the first is [0,0]: got true, want false"},
		{must[*Tensor](t)(FromSlice([]string{"a", "b"}, 1, 2)), must[*Tensor](t)(FromSlice([]string{"a", "c"}, 1, 2)), 1, 1, `the first is [0,1]: got "b", want "c"`},
		{Scalar("a"), Scalar("a"), 0, 0, ""},
		{must[*Tensor](t)(New(F32, 0)), must[*Tensor](t)(New(F32, 0)), 0, 0, ""},
		{nil, nil, 0, 0, ""},
		{nil, f(1), 0, 0, "nil"},
	} {
		err := AllClose(test.got, test.want, test.rtol, test.atol)
		if test.err == "" {
			if err != nil {
				t.Errorf("%v and %v: %v", test.got, test.want, err)
			}
			continue
		}
		wantErr(t, err, test.err)
	}
}
