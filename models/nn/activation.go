package nn

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// ReLU is max(x, 0), with gradient 0 at 0 (torch.nn.ReLU).
func ReLU() Layer { return pure(newLayer("relu"), ops.ReLU) }

// ReLU6 is x limited to [0, 6] (torch.nn.ReLU6).
func ReLU6() Layer { return pure(newLayer("relu6"), ops.ReLU6) }

// Sigmoid is 1/(1+e^-x) (torch.nn.Sigmoid).
func Sigmoid() Layer { return pure(newLayer("sigmoid"), ops.Sigmoid) }

// LogSigmoid is log(1/(1+e^-x)), finite for every finite x (torch.nn.LogSigmoid).
func LogSigmoid() Layer { return pure(newLayer("log_sigmoid"), ops.LogSigmoid) }

// Tanh is the hyperbolic tangent (torch.nn.Tanh).
func Tanh() Layer { return pure(newLayer("tanh"), ops.Tanh) }

// SiLU is x*sigmoid(x), also called swish (torch.nn.SiLU).
func SiLU() Layer { return pure(newLayer("silu"), ops.SiLU) }

// Mish is x*tanh(softplus(x)) (Misra 2019; torch.nn.Mish).
func Mish() Layer { return pure(newLayer("mish"), ops.Mish) }

// Softsign is x/(1+|x|) (torch.nn.Softsign).
func Softsign() Layer { return pure(newLayer("softsign"), ops.Softsign) }

// SELU is the self-normalizing exponential unit (Klambauer et al. 2017; torch.nn.SELU).
func SELU() Layer { return pure(newLayer("selu"), ops.SELU) }

// Hardsigmoid is x/6 + 1/2 limited to [0, 1] (torch.nn.Hardsigmoid).
func Hardsigmoid() Layer { return pure(newLayer("hardsigmoid"), ops.Hardsigmoid) }

// Hardswish is x*hardsigmoid(x) (torch.nn.Hardswish).
func Hardswish() Layer { return pure(newLayer("hardswish"), ops.Hardswish) }

// Tanhshrink is x - tanh(x) (torch.nn.Tanhshrink).
func Tanhshrink() Layer { return pure(newLayer("tanhshrink"), ops.Tanhshrink) }

// GELU is x*Phi(x) with the normal distribution's Phi, by the error function (torch.nn.GELU).
func GELU() Layer {
	return pure(newLayer("gelu"), func(x Value) Value { return ops.GELU(x, "none") })
}

// GELUTanh is GELU with Phi approximated by a tanh (torch.nn.GELU(approximate="tanh")).
func GELUTanh() Layer {
	return pure(newLayer("gelu_tanh"), func(x Value) Value { return ops.GELU(x, "tanh") })
}

// LeakyReLU is x where it is positive and slope*x elsewhere (torch.nn.LeakyReLU, where slope is 0.01 unless given).
func LeakyReLU(slope float64) Layer {
	return pure(newLayer("leaky_relu").wantFinite("slope", slope), func(x Value) Value { return ops.LeakyReLU(x, slope) })
}

// ELU is x where it is positive and alpha*(e^x-1) elsewhere (torch.nn.ELU, where alpha is 1 unless given).
func ELU(alpha float64) Layer {
	return pure(newLayer("elu").wantFinite("alpha", alpha), func(x Value) Value { return ops.ELU(x, alpha) })
}

// CELU is max(0, x) + min(0, alpha*(e^(x/alpha)-1)) (torch.nn.CELU, where alpha is 1 unless given). alpha is not 0.
func CELU(alpha float64) Layer {
	l := newLayer("celu").wantFinite("alpha", alpha)
	if alpha == 0 {
		l.faultf("alpha is 0: x would be divided by it")
	}
	return pure(l, func(x Value) Value { return ops.CELU(x, alpha) })
}

// Softplus is log(1+e^(beta*x))/beta, and x where beta*x is above the threshold (torch.nn.Softplus, where beta is 1 and
// the threshold 20 unless given). beta is not 0.
func Softplus(beta, threshold float64) Layer {
	l := newLayer("softplus").wantFinite("beta", beta).wantFinite("threshold", threshold)
	if beta == 0 {
		l.faultf("beta is 0: the logarithm would be divided by it")
	}
	return pure(l, func(x Value) Value { return ops.Softplus(x, beta, threshold) })
}

// Hardtanh is x limited to [low, high], with gradient 0 at the bounds (torch.nn.Hardtanh, where they are -1 and 1 unless
// given).
func Hardtanh(low, high float64) Layer {
	l := newLayer("hardtanh")
	if !(low < high) {
		l.faultf("want low < high, have %v and %v", low, high)
	}
	return pure(l, func(x Value) Value { return ops.Hardtanh(x, low, high) })
}

// Hardshrink is 0 where |x| is at most lambda and x elsewhere (torch.nn.Hardshrink, where lambda is 0.5 unless given).
func Hardshrink(lambda float64) Layer {
	return pure(newLayer("hardshrink").wantFinite("lambda", lambda), func(x Value) Value { return ops.Hardshrink(x, lambda) })
}

// Softshrink moves x towards 0 by lambda, at most to 0 (torch.nn.Softshrink, where lambda is 0.5 unless given).
func Softshrink(lambda float64) Layer {
	return pure(newLayer("softshrink").wantFinite("lambda", lambda), func(x Value) Value { return ops.Softshrink(x, lambda) })
}

// Threshold is x where it is above the threshold and val elsewhere (torch.nn.Threshold).
func Threshold(threshold, val float64) Layer {
	return pure(newLayer("threshold"), func(x Value) Value { return ops.Threshold(x, threshold, val) })
}

// Heaviside is the perceptron's step: 1 where x is at least 0 and 0 elsewhere. It has no gradient.
func Heaviside() Layer {
	return pure(newLayer("heaviside"), func(x Value) Value { return ops.Heaviside(x, 1) })
}

// Softmax turns x into probabilities along an axis; a negative axis counts from the end (torch.nn.Softmax).
func Softmax(axis int) Layer {
	return pure(newLayer("softmax"), func(x Value) Value { return ops.Softmax(x, axis) })
}

// LogSoftmax is the logarithm of Softmax, finite where that underflows (torch.nn.LogSoftmax).
func LogSoftmax(axis int) Layer {
	return pure(newLayer("log_softmax"), func(x Value) Value { return ops.LogSoftmax(x, axis) })
}

// PReLU is x where it is positive and a learnt slope times x elsewhere (He et al. 2015; torch.nn.PReLU). Variable:
// weight [n], where n is 1 or the number of channels, axis 1 of x; it starts at 0.25. Options: WeightInit.
func PReLU(n int, opts ...Option) Layer {
	l := newLayer("prelu")
	l.wantPositive("parameters", n)
	o := l.collect(opts, "WeightInit")
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) {
			return graph.Poison(c.f)
		}
		if n > 1 && (c.x.Rank() < 2 || !c.wantDim(c.x, 1, n, "channels")) {
			if c.x.Rank() < 2 {
				return c.refuse("%d slopes need an axis of channels, have %s", n, c.x.Type())
			}
			return graph.Poison(c.f)
		}
		return ops.PReLU(c.x, c.param("weight", []int{n}, orDefault(o.weightInit, initializer.Constant(0.25))))
	}
	return l
}

// wantFinite records a fault unless x is a finite number.
func (l *layer) wantFinite(what string, x float64) *layer {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		l.faultf("want a finite %s, have %v", what, x)
	}
	return l
}
