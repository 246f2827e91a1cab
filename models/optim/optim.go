package optim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/internal/own"
	"github.com/graphrun/graphrun/ops"
)

var _ = graph.MarkLibrary()

// Value is the handle of a node's result; see graph.Value.
type Value = graph.Value

// Optimizer is a rule by which weights follow their gradients. It may be used in several functions and modules; within
// a module they share its state.
type Optimizer struct {
	kind   string
	pos    graph.Pos
	faults []string
	rule   func(s *step)

	lr            float64
	momentum      float64 // of Adam's family: beta1
	beta2         float64
	dampening     float64
	nesterov      bool
	weightDecay   float64
	shrinks       bool // weight decay shrinks the weight instead of changing the gradient
	eps           float64
	alpha         float64
	rho           float64
	centered      bool
	amsgrad       bool
	lrDecay       float64
	accumulator   float64
	momentumDecay float64
	maximize      bool
	momentumVar   bool
	clipNorm      float64 // 0 for none
	clipValue     float64
	name          string

	own *own.Set
}

// Option changes an optimizer. Each option names the optimizers that take it; another one reports it as a fault.
type Option struct {
	name string
	set  func(o *Optimizer)
}

// String returns the option's name.
func (o Option) String() string { return "optim." + o.name }

// Momentum sets the share of the former direction in the next one. For SGD and RMSprop; 0 unless given.
func Momentum(mu float64) Option { return Option{"Momentum", func(o *Optimizer) { o.momentum = mu }} }

// Dampening lessens the gradient's share in the momentum. For SGD; 0 unless given.
func Dampening(d float64) Option {
	return Option{"Dampening", func(o *Optimizer) { o.dampening = d }}
}

// Nesterov looks ahead along the momentum (Sutskever et al. 2013). For SGD with momentum and without dampening.
func Nesterov() Option { return Option{"Nesterov", func(o *Optimizer) { o.nesterov = true }} }

// WeightDecay adds decay*weight to the gradient; AdamW and Lion shrink the weight itself instead, by lr*decay. It is 0
// unless given, 0.01 for AdamW. For all optimizers.
func WeightDecay(decay float64) Option {
	return Option{"WeightDecay", func(o *Optimizer) { o.weightDecay = decay }}
}

// Decoupled makes weight decay shrink the weight itself, as AdamW's does. For NAdam and RAdam.
func Decoupled() Option { return Option{"Decoupled", func(o *Optimizer) { o.shrinks = true }} }

// Betas sets how slowly the averages of the gradient and of its square follow; 0.9 and 0.999 unless given. For Adam, AdamW,
// Adamax, NAdam and RAdam, and for Lion, whose two averages are of the gradient; 0.9 and 0.99 unless given.
func Betas(beta1, beta2 float64) Option {
	return Option{"Betas", func(o *Optimizer) { o.momentum, o.beta2 = beta1, beta2 }}
}

// Eps sets what is added to a divisor. For all optimizers but SGD and Lion; 1e-8 unless given, 1e-10 for Adagrad, 1e-6 for Adadelta.
func Eps(eps float64) Option { return Option{"Eps", func(o *Optimizer) { o.eps = eps }} }

// AMSGrad divides by the largest average of squares so far (Reddi et al. 2018). For Adam and AdamW.
func AMSGrad() Option { return Option{"AMSGrad", func(o *Optimizer) { o.amsgrad = true }} }

// Alpha sets how slowly the average of squares follows; 0.99 unless given. For RMSprop.
func Alpha(alpha float64) Option { return Option{"Alpha", func(o *Optimizer) { o.alpha = alpha }} }

// Centered divides by the standard deviation of the gradient instead of its root mean square. For RMSprop.
func Centered() Option { return Option{"Centered", func(o *Optimizer) { o.centered = true }} }

// Rho sets how slowly the averages of squares follow; 0.9 unless given. For Adadelta.
func Rho(rho float64) Option { return Option{"Rho", func(o *Optimizer) { o.rho = rho }} }

// LRDecay divides the learning rate of step t by 1+(t-1)*decay. For Adagrad; 0 unless given.
func LRDecay(decay float64) Option {
	return Option{"LRDecay", func(o *Optimizer) { o.lrDecay = decay }}
}

// InitialAccumulator sets the first value of the sum of squares. For Adagrad; 0 unless given.
func InitialAccumulator(x float64) Option {
	return Option{"InitialAccumulator", func(o *Optimizer) { o.accumulator = x }}
}

// MomentumDecay sets how fast the momentum rises to beta1; 0.004 unless given. For NAdam.
func MomentumDecay(decay float64) Option {
	return Option{"MomentumDecay", func(o *Optimizer) { o.momentumDecay = decay }}
}

// Maximize follows the gradient upwards. For all optimizers.
func Maximize() Option { return Option{"Maximize", func(o *Optimizer) { o.maximize = true }} }

// ScheduleMomentum makes the momentum, of Adam's family beta1, an f64 variable "momentum" that a schedule may set between
// steps. For SGD and RMSprop with momentum, and Adam's family.
func ScheduleMomentum() Option {
	return Option{"ScheduleMomentum", func(o *Optimizer) { o.momentumVar = true }}
}

// Name sets the name below which the optimizer's state is found, which tells two optimizers of one module apart: its
// learning rate is then "name.lr". For all optimizers.
func Name(name string) Option { return Option{"Name", func(o *Optimizer) { o.name = name }} }

// ClipNorm scales the gradients of all weights together so that the norm of all their elements is at most max: by
// max/(norm+1e-6) where that is below 1 (torch.nn.utils.clip_grad_norm_). It comes before WeightDecay, and after
// ClipValue if both are given. For all optimizers; max is finite and above 0.
func ClipNorm(max float64) Option {
	return Option{"ClipNorm", func(o *Optimizer) { o.clipNorm = o.wantAbove0("ClipNorm", max) }}
}

// ClipValue limits each element of the gradients to [-max, max] (torch.nn.utils.clip_grad_value_). It comes before
// WeightDecay. For all optimizers; max is finite and above 0.
func ClipValue(max float64) Option {
	return Option{"ClipValue", func(o *Optimizer) { o.clipValue = o.wantAbove0("ClipValue", max) }}
}

// newOptimizer must be called by the exported constructor, whose caller it notes.
func newOptimizer(kind string, lr float64, rule func(s *step), defaults Optimizer, opts []Option, takes ...string) *Optimizer {
	o := &defaults
	o.kind, o.lr, o.rule, o.pos, o.own = kind, lr, rule, graph.Caller(), &own.Set{}
	takes = append(takes, "WeightDecay", "ClipNorm", "ClipValue", "Name")
	for _, op := range opts {
		switch {
		case op.set == nil:
			o.faultf("an option is empty")
		case !slices.Contains(takes, op.name):
			o.faultf("it does not take the option %s: want one of %s", op.name, strings.Join(takes, ", "))
		default:
			op.set(o)
		}
	}
	o.wantFrom0("a learning rate", lr)
	o.wantFrom0("a weight decay", o.weightDecay)
	o.wantFrom0("eps", o.eps)
	o.wantFrom0("a decay of the learning rate", o.lrDecay)
	o.wantFrom0("an initial accumulator", o.accumulator)
	o.wantFrom0("a decay of the momentum", o.momentumDecay)
	if slices.Contains(takes, "Momentum") {
		o.wantFrom0("a momentum", o.momentum)
	} else {
		o.wantBelow1("beta1", o.momentum)
	}
	o.wantBelow1("beta2", o.beta2)
	o.wantFrom0("alpha", o.alpha)
	if !(o.rho >= 0 && o.rho <= 1) {
		o.faultf("want rho between 0 and 1, have %v", o.rho)
	}
	if o.nesterov && (o.momentum <= 0 || o.dampening != 0) {
		o.faultf("Nesterov needs a momentum and no dampening, have %v and %v", o.momentum, o.dampening)
	}
	if math.IsNaN(o.dampening) || math.IsInf(o.dampening, 0) {
		o.faultf("want a finite dampening, have %v", o.dampening)
	}
	return o
}

func (o *Optimizer) faultf(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *Optimizer) wantFrom0(what string, x float64) {
	if !(x >= 0) || math.IsInf(x, 0) {
		o.faultf("want %s that is finite and at least 0, have %v", what, x)
	}
}

func (o *Optimizer) wantAbove0(what string, x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		o.faultf("%s: want a limit that is finite and above 0, have %v", what, x)
	}
	return x
}

func (o *Optimizer) wantBelow1(what string, x float64) {
	if !(x >= 0 && x < 1) {
		o.faultf("want %s of at least 0 and below 1, have %v", what, x)
	}
}

// Minimize adds one step of the optimizer to the function of the loss, which is a float of rank 0: the gradients of the
// loss, and the updates of the weights and of the optimizer's state. Weights are the trainable variables on which the
// loss depends, in the module's order, or those that are given. Faults are recorded on the module; one is that the loss depends on a layer
// of package nn which was applied without nn.Training and would do otherwise with it, unless nn.Eval was asked for.
func (o *Optimizer) Minimize(loss Value, vars ...*graph.Variable) {
	f := loss.Func()
	if f == nil {
		return // what made the zero Value has been reported, or is when it is returned
	}
	m := f.Module()
	if len(o.faults) > 0 {
		if o.own.First(m, "") {
			for _, fault := range o.faults {
				m.Report(o.pos, o.kind, "%s", fault)
			}
		}
		return
	}
	if !loss.OK() {
		return
	}
	if t, ok := loss.TensorType(); !ok || t.Rank() != 0 || !t.DType.IsFloat() {
		m.Report(graph.Pos{}, o.kind, "want a scalar loss, have %s", loss.Type())
		return
	}
	if f.IsRegion() {
		m.Report(graph.Pos{}, o.kind, "the loss belongs to a region, which cannot update variables")
		return
	}
	for _, e := range own.TakeEvals(loss) {
		m.Report(e.Pos, e.Kind, "it is applied in evaluation mode, but trained: pass nn.Training, or nn.Eval if you mean it")
	}
	if len(vars) == 0 {
		vars = weights(loss)
		if len(vars) == 0 {
			m.Report(graph.Pos{}, o.kind, "the loss does not depend on any trainable variable")
			return
		}
	}
	reads := make([]Value, len(vars))
	for i, v := range vars {
		if v == nil || m.LookupVariable(v.Name()) != v {
			m.Report(graph.Pos{}, o.kind, "weight %d is not a variable of the loss's module", i)
			return
		}
		if !v.Type().DType.IsFloat() {
			m.Report(graph.Pos{}, o.kind, "@%s: want a float variable, have %s", v.Name(), v.Type())
			return
		}
		reads[i] = v.Read(f)
	}
	if name := o.shared("lr"); !o.owned(m, "lr") && m.LookupVariable(name) != nil {
		m.Report(graph.Pos{}, o.kind, "@%s is taken, perhaps by another optimizer of the module: give this one a name of its own (optim.Name)", name)
		return
	}
	m.At(graph.Pos{}, o.prefix(), func() {
		all := &common{Optimizer: o, f: f, m: m}
		grads := slices.Clone(graph.Grad(loss, reads...))
		for i := range grads {
			ops.Widen(&reads[i])
			ops.Widen(&grads[i])
		}
		all.clip(grads)
		for i, g := range grads {
			if o.maximize {
				g = ops.Neg(g)
			}
			s := &step{common: all, v: vars[i], p: reads[i], g: g}
			s.decay()
			o.rule(s)
		}
		all.commit()
	})
}

// weights returns the trainable variables that the loss depends on, in the module's order.
func weights(loss Value) []*graph.Variable {
	vars := loss.Func().Module().Dependencies(loss)
	return slices.DeleteFunc(vars, func(v *graph.Variable) bool { return !v.Trainable() })
}

// prefix is the name below which the optimizer's state is found.
func (o *Optimizer) prefix() string {
	if o.name != "" {
		return o.name
	}
	return o.kind
}

// shared names a variable that a schedule sets.
func (o *Optimizer) shared(local string) string {
	if o.name != "" {
		return o.name + "." + local
	}
	return local
}

// owned reports whether the optimizer has declared the variable before.
func (o *Optimizer) owned(m *graph.Module, key string) bool { return o.own.Has(m, key) }

func (o *Optimizer) variable(m *graph.Module, name string, dt graph.DType, dims []int, init initializer.Func) *graph.Variable {
	return o.own.Variable(m, name, func() string { return name }, func(name string) *graph.Variable {
		return m.Variable(name, dt, dims, init.For(dt, dims...), graph.OptimizerState())
	})
}

// common is one Minimize: what all weights share.
type common struct {
	*Optimizer
	f      *graph.Func
	m      *graph.Module
	values map[string]Value
	next   []graph.Update
}

// clip limits gradients as ClipValue and ClipNorm say.
func (c *common) clip(grads []Value) {
	if c.clipValue > 0 {
		for i, g := range grads {
			grads[i] = ops.Clamp(g, -c.clipValue, c.clipValue)
		}
	}
	if c.clipNorm > 0 {
		var sum Value
		for i, g := range grads {
			s := ops.Square(ops.Cast(ops.Norm(g, 2, nil, false), graph.F64)) // the squares of f32 would leave its range
			if i > 0 {
				s = ops.Add(sum, s)
			}
			sum = s
		}
		scale := ops.Minimum(ops.Div(c.f64(c.clipNorm), ops.Add(ops.Sqrt(sum), 1e-6)), 1.0)
		for i, g := range grads {
			grads[i] = ops.Mul(g, ops.Cast(scale, g.DType()))
		}
	}
}

// once returns the value that make builds, the same for all weights.
func (c *common) once(key string, build func() Value) Value {
	if v, ok := c.values[key]; ok {
		return v
	}
	if c.values == nil {
		c.values = map[string]Value{}
	}
	v := build()
	c.values[key] = v
	return v
}

// scalar returns a variable of rank 0 that all weights share; next, if not nil, is how a step changes it, and the value
// returned is the changed one.
func (c *common) scalar(name string, dt graph.DType, first float64, next func(Value) Value) Value {
	return c.once(name, func() Value {
		v := c.variable(c.m, name, dt, nil, initializer.Constant(first))
		if v == nil {
			return graph.Poison(c.f)
		}
		x := v.Read(c.f)
		if next != nil {
			x = next(x)
			c.next = append(c.next, graph.Update{Var: v, Value: x})
		}
		return x
	})
}

// rate returns the learning rate, f64.
func (c *common) rate() Value { return c.scalar(c.shared("lr"), graph.F64, c.lr, nil) }

// steps returns the number of this step, from 1, as f64.
func (c *common) steps() Value {
	return c.once("steps", func() Value {
		n := c.scalar(c.prefix()+".step", graph.I64, 0, func(n Value) Value { return ops.Add(n, 1) })
		return ops.Cast(n, graph.F64)
	})
}

// mu returns the momentum: a number, or the value of the variable that a schedule sets.
func (c *common) mu() any {
	if !c.momentumVar {
		return c.momentum
	}
	return c.scalar(c.shared("momentum"), graph.F64, c.momentum, nil)
}

// hasMomentum reports whether there is any momentum to keep.
func (c *common) hasMomentum() bool { return c.momentum != 0 || c.momentumVar }

// correction returns 1-beta^t as f64.
func (c *common) correction(name string, beta any) Value {
	return c.once(name, func() Value { return ops.Sub(1.0, ops.Pow(c.f64(beta), c.steps())) })
}

// f64 makes a Go number a Value.
func (c *common) f64(x any) Value {
	if v, ok := x.(Value); ok {
		return v
	}
	return c.f.Scalar(graph.F64, x)
}

// commit declares the updates of what the weights share.
func (c *common) commit() {
	for _, u := range c.next {
		c.f.Update(u.Var, u.Value)
	}
}

// step is the update of one weight: p is its value, g the direction to descend along, both in f32 where the weight is of a float for storage,
// such as f16. So are the state and all arithmetic; the weight's next value is rounded once.
type step struct {
	*common
	v    *graph.Variable
	p, g Value
}

// in casts a scalar to the dtype of p; a Go number stays and takes it anyway.
func (s *step) in(x any) any {
	if v, ok := x.(Value); ok {
		return ops.Cast(v, s.p.DType())
	}
	return x
}

// state returns the weight's state of a name, which starts as first everywhere.
func (s *step) state(name string, first float64) Value {
	v := s.stateVar(name, first)
	if v == nil {
		return graph.Poison(s.f)
	}
	return v.Read(s.f)
}

func (s *step) stateVar(name string, first float64) *graph.Variable {
	return s.variable(s.m, s.v.Name()+"."+s.prefix()+"."+name, s.p.DType(), s.v.Shape(), initializer.Constant(first))
}

// set declares the next value of the weight's state and returns it.
func (s *step) set(name string, first float64, next Value) Value {
	if v := s.stateVar(name, first); v != nil {
		s.f.Update(v, next)
	}
	return next
}

// decay applies the weight decay.
func (s *step) decay() {
	switch {
	case s.weightDecay == 0:
	case s.shrinks:
		shrink := s.once("shrink", func() Value { return ops.Sub(1.0, ops.Mul(s.rate(), s.weightDecay)) })
		s.p = ops.Mul(s.p, s.in(shrink))
	default:
		s.g = ops.Add(s.g, ops.Mul(s.p, s.weightDecay))
	}
}

// average moves the state of a name towards x: decay*state + (1-decay)*x.
func (s *step) average(name string, decay any, x Value) Value {
	return s.set(name, 0, s.moved(name, decay, x))
}

// averageSquare moves the state of a name towards x²: decay*state + (1-decay)*x*x, multiplied from the left as torch.addcmul does, whose
// product is in range for longer than x*x.
func (s *step) averageSquare(name string, decay float64, x Value) Value {
	return s.set(name, 0, ops.Add(ops.Mul(s.state(name, 0), decay), ops.Mul(ops.Mul(x, 1-decay), x)))
}

// moved is what average makes of the state of a name, which stays as it is.
func (s *step) moved(name string, decay any, x Value) Value {
	var rest any
	switch d := decay.(type) {
	case float64:
		rest = 1 - d
	default:
		rest = s.in(ops.Sub(1.0, decay))
	}
	return ops.Add(ops.Mul(s.state(name, 0), s.in(decay)), ops.Mul(x, rest))
}

// descend declares the weight's next value: p - rate*direction.
func (s *step) descend(rate Value, direction Value) {
	s.f.Update(s.v, ops.Cast(ops.Sub(s.p, ops.Mul(direction, s.in(rate))), s.v.Type().DType))
}
