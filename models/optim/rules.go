package optim

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// named are the optimizers that New knows, the usual choices first.
var named = []struct {
	name      string
	construct func(lr float64, opts ...Option) *Optimizer
}{
	{"adam", Adam},
	{"sgd", SGD},
	{"momentum", preset(SGD, Momentum(0.9))},
	{"nesterov", preset(SGD, Momentum(0.9), Nesterov())},
	{"adamw", AdamW},
	{"rmsprop", RMSprop},
	{"adagrad", Adagrad},
	{"adadelta", Adadelta},
	{"adamax", Adamax},
	{"nadam", NAdam},
	{"radam", RAdam},
	{"lion", Lion},
}

// preset is a constructor with options that come before the caller's.
func preset(construct func(float64, ...Option) *Optimizer, first ...Option) func(float64, ...Option) *Optimizer {
	return func(lr float64, opts ...Option) *Optimizer { return construct(lr, slices.Concat(first, opts)...) }
}

// SGD follows the gradient, with Momentum along an average of directions: buf = momentum*buf + (1-dampening)*g, where
// the first buf is g itself; p -= lr*buf (torch.optim.SGD). State: momentum_buffer. Options: Momentum, Dampening,
// Nesterov, WeightDecay, Maximize, ScheduleMomentum, Name.
func SGD(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("sgd", lr, sgd, Optimizer{}, opts, "Momentum", "Dampening", "Nesterov", "Maximize", "ScheduleMomentum")
}

func sgd(s *step) {
	g := s.g
	if s.hasMomentum() {
		const name = "momentum_buffer"
		mu := s.in(s.mu())
		buf := ops.Add(ops.Mul(s.state(name, 0), mu), ops.Mul(g, 1-s.dampening))
		if s.dampening != 0 { // the first step takes the gradient undampened
			buf = ops.Where(ops.Equal(s.steps(), 1.0), g, buf)
		}
		s.set(name, 0, buf)
		if s.nesterov {
			g = ops.Add(g, ops.Mul(buf, mu))
		} else {
			g = buf
		}
	}
	s.descend(s.rate(), g)
}

// Adam divides an average of gradients by the root of an average of their squares, both corrected for their start at 0:
// p -= lr/(1-beta1^t) * m / (sqrt(v)/sqrt(1-beta2^t) + eps) (Kingma and Ba 2015; torch.optim.Adam). State: exp_avg,
// exp_avg_sq, and max_exp_avg_sq with AMSGrad. Options: Betas, Eps, WeightDecay, AMSGrad, Maximize, ScheduleMomentum, Name.
func Adam(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("adam", lr, adam, Optimizer{momentum: 0.9, beta2: 0.999, eps: 1e-8}, opts, "Betas", "Eps", "AMSGrad", "Maximize", "ScheduleMomentum")
}

// AdamW is Adam whose weight decay, 0.01 unless given, shrinks the weight before the step: p *= 1-lr*decay (Loshchilov
// and Hutter 2019; torch.optim.AdamW). Options: as Adam.
func AdamW(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("adamw", lr, adam, Optimizer{momentum: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, shrinks: true}, opts,
		"Betas", "Eps", "AMSGrad", "Maximize", "ScheduleMomentum")
}

func adam(s *step) {
	m := s.average("exp_avg", s.mu(), s.g)
	v := s.averageSquare("exp_avg_sq", s.beta2, s.g)
	if s.amsgrad {
		const name = "max_exp_avg_sq"
		v = s.set(name, 0, ops.Maximum(s.state(name, 0), v))
	}
	root := s.once("root", func() Value { return ops.Sqrt(s.correction("correction2", s.beta2)) })
	rate := s.once("rate", func() Value { return ops.Div(s.rate(), s.correction("correction1", s.mu())) })
	s.descend(rate, ops.Div(m, ops.Add(ops.Div(ops.Sqrt(v), s.in(root)), s.eps)))
}

// RMSprop divides the gradient by the root of an average of its squares, eps added after the root (Hinton 2012;
// torch.optim.RMSprop). State: square_avg, grad_avg if Centered, momentum_buffer with Momentum. Options: Alpha, Eps,
// Momentum, Centered, WeightDecay, Maximize, ScheduleMomentum, Name.
func RMSprop(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("rmsprop", lr, rmsprop, Optimizer{alpha: 0.99, eps: 1e-8}, opts, "Alpha", "Eps", "Momentum", "Centered", "Maximize", "ScheduleMomentum")
}

func rmsprop(s *step) {
	v := s.averageSquare("square_avg", s.alpha, s.g)
	if s.centered {
		v = s.variance(v)
	}
	d := ops.Div(s.g, ops.Add(ops.Sqrt(v), s.eps))
	if s.hasMomentum() {
		const name = "momentum_buffer"
		d = s.set(name, 0, ops.Add(ops.Mul(s.state(name, 0), s.in(s.mu())), d))
	}
	s.descend(s.rate(), d)
}

// variance takes the square of the average gradient from the average of squares. Rounding may make that negative where gradients hardly change,
// and infinite squares have no difference; the root is taken of neither. The average moves as torch.lerp does.
func (s *step) variance(squares Value) Value {
	const name = "grad_avg"
	m := s.state(name, 0)
	m = s.set(name, 0, ops.Add(m, ops.Mul(ops.Sub(s.g, m), 1-s.alpha)))
	return ops.Where(ops.IsInf(squares), squares, ops.Maximum(ops.Sub(squares, ops.Square(m)), 0.0))
}

// Adagrad divides the gradient by the root of the sum of its squares so far (Duchi et al. 2011; torch.optim.Adagrad).
// State: sum. Options: LRDecay, InitialAccumulator, Eps, WeightDecay, Maximize, Name.
func Adagrad(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("adagrad", lr, adagrad, Optimizer{eps: 1e-10}, opts, "LRDecay", "InitialAccumulator", "Eps", "Maximize")
}

func adagrad(s *step) {
	rate := s.rate()
	if s.lrDecay != 0 {
		rate = s.once("rate", func() Value {
			return ops.Div(s.rate(), ops.Add(ops.Mul(ops.Sub(s.steps(), 1.0), s.lrDecay), 1.0))
		})
	}
	sum := s.set("sum", s.accumulator, ops.Add(s.state("sum", s.accumulator), ops.Square(s.g)))
	s.descend(rate, ops.Div(s.g, ops.Add(ops.Sqrt(sum), s.eps)))
}

// Adadelta scales the gradient by the ratio of the root mean squares of past updates and of gradients (Zeiler 2012;
// torch.optim.Adadelta, where lr is 1 unless given). State: square_avg, acc_delta. Options: Rho, Eps, WeightDecay,
// Maximize, Name.
func Adadelta(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("adadelta", lr, adadelta, Optimizer{rho: 0.9, eps: 1e-6}, opts, "Rho", "Eps", "Maximize")
}

func adadelta(s *step) {
	v := s.averageSquare("square_avg", s.rho, s.g)
	past := ops.Sqrt(ops.Add(s.state("acc_delta", 0), s.eps))
	delta := ops.Mul(ops.Div(past, ops.Sqrt(ops.Add(v, s.eps))), s.g)
	s.averageSquare("acc_delta", s.rho, delta)
	s.descend(s.rate(), delta)
}

// Adamax is Adam with the largest gradient of late instead of the average of squares: u = max(beta2*u, |g|+eps);
// p -= lr/(1-beta1^t) * m/u (Kingma and Ba 2015; torch.optim.Adamax). State: exp_avg, exp_inf. Options: Betas, Eps,
// WeightDecay, Maximize, ScheduleMomentum, Name.
func Adamax(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("adamax", lr, adamax, Optimizer{momentum: 0.9, beta2: 0.999, eps: 1e-8}, opts, "Betas", "Eps", "Maximize", "ScheduleMomentum")
}

func adamax(s *step) {
	m := s.average("exp_avg", s.mu(), s.g)
	u := s.set("exp_inf", 0, ops.Maximum(ops.Mul(s.state("exp_inf", 0), s.beta2), ops.Add(ops.Abs(s.g), s.eps)))
	rate := s.once("rate", func() Value { return ops.Div(s.rate(), s.correction("correction1", s.mu())) })
	s.descend(rate, ops.Div(m, u))
}

// NAdam is Adam that looks ahead along its momentum, which rises to beta1 (Dozat 2016; torch.optim.NAdam). State: exp_avg,
// exp_avg_sq, and mu_product, an f32 for all weights. Options: Betas, Eps, MomentumDecay, WeightDecay, Decoupled, Maximize,
// ScheduleMomentum, Name.
func NAdam(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("nadam", lr, nadam, Optimizer{momentum: 0.9, beta2: 0.999, eps: 1e-8, momentumDecay: 4e-3}, opts,
		"Betas", "Eps", "MomentumDecay", "Decoupled", "Maximize", "ScheduleMomentum")
}

func nadam(s *step) {
	mu := func(name string, ahead float64) Value {
		return s.once(name, func() Value {
			power := ops.Pow(s.f64(0.96), ops.Mul(ops.Add(s.steps(), ahead), s.momentumDecay))
			return ops.Mul(s.f64(s.mu()), ops.Sub(1.0, ops.Mul(power, 0.5)))
		})
	}
	now, next := mu("mu", 0), mu("mu_next", 1)
	product := s.scalar(s.prefix()+".mu_product", graph.F32, 1, func(p Value) Value { return ops.Mul(p, ops.Cast(now, graph.F32)) })
	sofar := s.once("mu_product", func() Value { return ops.Cast(product, graph.F64) })
	// share is rate*x/(1-product)
	share := func(x, product Value) Value { return ops.Mul(s.rate(), ops.Div(x, ops.Sub(1.0, product))) }
	rateG := s.once("rate_g", func() Value { return share(ops.Sub(1.0, now), sofar) })
	rateM := s.once("rate_m", func() Value { return share(next, ops.Mul(sofar, next)) })
	m := s.average("exp_avg", s.mu(), s.g)
	v := s.averageSquare("exp_avg_sq", s.beta2, s.g)
	d := ops.Add(ops.Sqrt(ops.Div(v, s.in(s.correction("correction2", s.beta2)))), s.eps)
	s.p = ops.Sub(s.p, ops.Mul(ops.Div(s.g, d), s.in(rateG)))
	s.descend(rateM, ops.Div(m, d))
}

// RAdam is Adam that leaves out the division while too few gradients have been seen to know their variance, and scales
// it by what is known after that (Liu et al. 2020; torch.optim.RAdam). State: exp_avg, exp_avg_sq. Options: Betas, Eps,
// WeightDecay, Decoupled, Maximize, ScheduleMomentum, Name.
func RAdam(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("radam", lr, radam, Optimizer{momentum: 0.9, beta2: 0.999, eps: 1e-8}, opts,
		"Betas", "Eps", "Decoupled", "Maximize", "ScheduleMomentum")
}

func radam(s *step) {
	m := s.average("exp_avg", s.mu(), s.g)
	v := s.averageSquare("exp_avg_sq", s.beta2, s.g)
	correction2 := s.correction("correction2", s.beta2)
	limit := 2/(1-s.beta2) - 1
	length := s.once("length", func() Value {
		t := s.steps()
		return ops.Sub(limit, ops.Div(ops.Mul(ops.Mul(t, 2.0), ops.Pow(s.f64(s.beta2), t)), correction2))
	})
	known := s.once("known", func() Value { return ops.Greater(length, 5.0) })
	factor := s.once("factor", func() Value {
		r := ops.Div(
			ops.Mul(ops.Mul(ops.Sub(length, 4.0), ops.Sub(length, 2.0)), limit),
			ops.Mul(length, (limit-4)*(limit-2)))
		return ops.Sqrt(ops.Mul(r, correction2))
	})
	rate := s.once("rate", func() Value { return ops.Div(s.rate(), s.correction("correction1", s.mu())) })
	adapted := ops.Div(ops.Mul(m, s.in(factor)), ops.Add(ops.Sqrt(v), s.eps))
	s.descend(rate, ops.Where(known, adapted, m))
}

// Lion goes lr along the sign of an average of gradients, so that every element moves as far; the average that it keeps is
// slower than the one whose sign it takes: p *= 1-lr*decay, p -= lr*sign(beta1*m + (1-beta1)*g), m = beta2*m + (1-beta2)*g
// (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"). It wants a learning rate 3 to 10 times lower than AdamW's
// and a weight decay as much higher. State: exp_avg. Options: Betas, WeightDecay, Maximize, ScheduleMomentum, Name.
func Lion(lr float64, opts ...Option) *Optimizer {
	return newOptimizer("lion", lr, lion, Optimizer{momentum: 0.9, beta2: 0.99, shrinks: true}, opts, "Betas", "Maximize", "ScheduleMomentum")
}

func lion(s *step) {
	direction := ops.Sign(s.moved("exp_avg", s.mu(), s.g))
	s.average("exp_avg", s.beta2, s.g)
	s.descend(s.rate(), direction)
}
