package initializer

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

var _ = graph.MarkLibrary()

// Func builds the nodes that compute a tensor of dtype dt and sizes dims in f. Random ones draw from key, a u64[2]
// random key. Sizes that a formula cannot use, such as a bias for one that needs two axes, are reported on f's module.
type Func func(f *graph.Func, key graph.Value, dt graph.DType, dims []int) graph.Value

// For fixes dtype and sizes and returns what graph.Module.Variable takes. Nodes and faults stand at the variable's
// declaration.
func (init Func) For(dt graph.DType, dims ...int) func(f *graph.Func, key graph.Value) graph.Value {
	return func(f *graph.Func, key graph.Value) (first graph.Value) {
		f.Module().At(f.Pos(), "", func() { first = init(f, key, dt, dims) })
		return first
	}
}

// Constant fills with one number (torch.nn.init.constant_), which a float dtype rounds and an integer dtype cuts off.
func Constant(x float64) Func {
	return func(f *graph.Func, _ graph.Value, dt graph.DType, dims []int) graph.Value {
		if dt.IsInteger() {
			return ops.Full(f, dt, int64(x), sizes(dims)...)
		}
		return ops.Full(f, dt, x, sizes(dims)...)
	}
}

// Zeros fills with 0 (torch.nn.init.zeros_).
func Zeros() Func { return Constant(0) }

// Ones fills with 1 (torch.nn.init.ones_).
func Ones() Func { return Constant(1) }

// Uniform draws from [low, high) (torch.nn.init.uniform_). Want low <= high, both finite.
func Uniform(low, high float64) Func {
	return func(f *graph.Func, key graph.Value, dt graph.DType, dims []int) graph.Value {
		if !(low <= high) || math.IsInf(high-low, 0) {
			return refuse(f, "uniform", "want finite bounds low <= high, have %v and %v", low, high)
		}
		return ops.RandomUniform(f, dt, low, high, sizes(dims)...)
	}
}

// Normal draws from the normal distribution of a mean and a standard deviation (torch.nn.init.normal_). Want
// std >= 0, both finite.
func Normal(mean, std float64) Func {
	return func(f *graph.Func, key graph.Value, dt graph.DType, dims []int) graph.Value {
		if !(std >= 0) || math.IsInf(std, 0) || math.IsNaN(mean-mean) {
			return refuse(f, "normal", "want a finite mean and a finite std >= 0, have %v and %v", mean, std)
		}
		return ops.RandomNormal(f, dt, mean, std, sizes(dims)...)
	}
}

// FromTensor takes the values of a tensor, which must have the variable's dtype and sizes and must not be modified
// afterwards.
func FromTensor(t *value.Tensor) Func {
	return func(f *graph.Func, _ graph.Value, _ graph.DType, _ []int) graph.Value {
		if t == nil {
			return refuse(f, "from_tensor", "want a tensor, have nil")
		}
		return f.Const(t)
	}
}

// XavierUniform draws from U(-a, a) with a = gain*sqrt(6/(fan_in+fan_out)), which keeps the variance of activations
// and gradients alike (Glorot and Bengio 2010; torch.nn.init.xavier_uniform_). It needs two axes.
func XavierUniform(gain float64) Func {
	return fanned("xavier_uniform", func(in, out float64) Func {
		a := gain * math.Sqrt(6/(in+out))
		return Uniform(-a, a)
	})
}

// XavierNormal draws from N(0, std²) with std = gain*sqrt(2/(fan_in+fan_out)) (torch.nn.init.xavier_normal_). It
// needs two axes.
func XavierNormal(gain float64) Func {
	return fanned("xavier_normal", func(in, out float64) Func {
		return Normal(0, gain*math.Sqrt(2/(in+out)))
	})
}

// Mode says which fan a Kaiming formula keeps the variance over.
type Mode int

// The modes of torch.nn.init.
const (
	FanIn  Mode = iota // activations keep their variance in the forward pass
	FanOut             // gradients keep theirs in the backward pass
)

func (m Mode) fan(in, out float64) float64 {
	if m == FanOut {
		return out
	}
	return in
}

// KaimingUniform draws from U(-b, b) with b = gain*sqrt(3/fan) (He et al. 2015; torch.nn.init.kaiming_uniform_). It
// needs two axes.
func KaimingUniform(mode Mode, gain float64) Func {
	return fanned("kaiming_uniform", func(in, out float64) Func {
		b := gain * math.Sqrt(3/mode.fan(in, out))
		return Uniform(-b, b)
	})
}

// KaimingNormal draws from N(0, std²) with std = gain/sqrt(fan) (torch.nn.init.kaiming_normal_). It needs two axes.
func KaimingNormal(mode Mode, gain float64) Func {
	return fanned("kaiming_normal", func(in, out float64) Func {
		return Normal(0, gain/math.Sqrt(mode.fan(in, out)))
	})
}

// Gain returns the factor that torch.nn.init.calculate_gain gives for a nonlinearity: "linear", "sigmoid", "tanh",
// "relu", "selu", or "leaky_relu" with its negative slope; 1 for any other name.
func Gain(nonlinearity string, slope float64) float64 {
	switch nonlinearity {
	case "tanh":
		return 5.0 / 3
	case "relu":
		return math.Sqrt2
	case "leaky_relu":
		return math.Sqrt(2 / (1 + slope*slope))
	case "selu":
		return 0.75
	}
	return 1
}

// Default draws as PyTorch's Linear and Conv layers do, kaiming_uniform_ with slope sqrt(5):
// U(-1/sqrt(fanIn), 1/sqrt(fanIn)) for the weight and the bias alike. Where fanIn is 0 it gives zeros.
func Default(fanIn int) Func {
	if fanIn <= 0 {
		return Zeros()
	}
	b := 1 / math.Sqrt(float64(fanIn))
	return Uniform(-b, b)
}

// fanned completes a formula with the fans of the sizes: fan_in = dims[1]*receptive field, fan_out =
// dims[0]*receptive field, as torch.nn.init._calculate_fan_in_and_fan_out has them.
func fanned(name string, formula func(in, out float64) Func) Func {
	return func(f *graph.Func, key graph.Value, dt graph.DType, dims []int) graph.Value {
		if len(dims) < 2 {
			return refuse(f, name, "fans need two axes or more, have sizes %v", dims)
		}
		in, out := float64(dims[1]), float64(dims[0])
		for _, d := range dims[2:] {
			in *= float64(d)
			out *= float64(d)
		}
		if in == 0 || out == 0 {
			return Zeros()(f, key, dt, dims)
		}
		return formula(in, out)(f, key, dt, dims)
	}
}

func refuse(f *graph.Func, name, format string, args ...any) graph.Value {
	f.Module().Report(graph.Pos{}, name, format, args...)
	return graph.Poison(f)
}

func sizes(dims []int) []any {
	out := make([]any, len(dims))
	for i, d := range dims {
		out[i] = d
	}
	return out
}
