package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// Reduction says what becomes of the losses of the single places. It is itself a LossOption.
type Reduction int

// The reductions. Mean is the default; what it divides by is said at each loss.
const (
	Mean      Reduction = iota
	Sum                 // the sum
	None                // the losses of the places as they are
	BatchMean           // the sum divided by the size of the first axis; for KLDiv, where it is the divergence itself
)

// LossOption changes a loss. Each option names the losses that take it; another one reports it as a fault.
type LossOption interface {
	option() (name string, set func(o *lossOptions))
}

type lossOptions struct {
	reduction   Reduction
	weight      Value
	posWeight   Value
	ignoreIndex int
	smoothing   float64
	beta        float64
	margin      float64
	p           float64
	eps         float64
	swap        bool
	full        bool
	logTarget   bool
	logInput    bool
}

func (r Reduction) option() (string, func(o *lossOptions)) {
	return "Reduction", func(o *lossOptions) { o.reduction = r }
}

// String returns the reduction's name.
func (r Reduction) String() string {
	switch r {
	case Mean:
		return "nn.Mean"
	case Sum:
		return "nn.Sum"
	case None:
		return "nn.None"
	case BatchMean:
		return "nn.BatchMean"
	}
	return fmt.Sprintf("nn.Reduction(%d)", int(r))
}

type lossOption struct {
	name string
	set  func(o *lossOptions)
}

func (o lossOption) option() (string, func(o *lossOptions)) { return o.name, o.set }

// Weight weights the losses: per class, of shape [C], for CrossEntropy, NLL, MultiMargin and MultiLabelSoftMargin; per
// place, broadcast, for BCE and BCEWithLogits.
func Weight(w Value) LossOption {
	return lossOption{"Weight", func(o *lossOptions) { o.weight = w }}
}

// PosWeight weights the loss of positive targets, broadcast over classes. For BCEWithLogits.
func PosWeight(w Value) LossOption {
	return lossOption{"PosWeight", func(o *lossOptions) { o.posWeight = w }}
}

// IgnoreIndex sets the target whose places do not count, -100 unless given. For CrossEntropy and NLL.
func IgnoreIndex(i int) LossOption {
	return lossOption{"IgnoreIndex", func(o *lossOptions) { o.ignoreIndex = i }}
}

// LabelSmoothing spreads a share of the target over all classes (Szegedy et al. 2016). For CrossEntropy.
func LabelSmoothing(share float64) LossOption {
	return lossOption{"LabelSmoothing", func(o *lossOptions) { o.smoothing = share }}
}

// Beta sets where SmoothL1 turns from a square to a line; 1 unless given.
func Beta(beta float64) LossOption {
	return lossOption{"Beta", func(o *lossOptions) { o.beta = beta }}
}

// Delta sets where Huber turns from a square to a line; 1 unless given.
func Delta(delta float64) LossOption {
	return lossOption{"Delta", func(o *lossOptions) { o.beta = delta }}
}

// Margin sets the margin of MultiMargin, HingeEmbedding and TripletMargin, 1 unless given, and of MarginRanking and
// CosineEmbedding, 0 unless given.
func Margin(m float64) LossOption {
	return lossOption{"Margin", func(o *lossOptions) { o.margin = m }}
}

// Power sets the exponent of MultiMargin, 1 unless given, which is 1 or 2, and the norm of TripletMargin, 2 unless given.
func Power(p float64) LossOption { return lossOption{"Power", func(o *lossOptions) { o.p = p }} }

// LossEps sets the small number that keeps a loss finite: 1e-8 for PoissonNLL, and 1e-6 for GaussianNLL and
// TripletMargin unless given.
func LossEps(eps float64) LossOption {
	return lossOption{"LossEps", func(o *lossOptions) { o.eps = eps }}
}

// Swap takes the distance of positive and negative where it is less than that of anchor and negative (Balntas et al.
// 2016). For TripletMargin.
func Swap() LossOption { return lossOption{"Swap", func(o *lossOptions) { o.swap = true }} }

// Full adds the terms that do not depend on the input. For PoissonNLL and GaussianNLL.
func Full() LossOption { return lossOption{"Full", func(o *lossOptions) { o.full = true }} }

// LogTarget says that the target holds logarithms too. For KLDiv.
func LogTarget() LossOption {
	return lossOption{"LogTarget", func(o *lossOptions) { o.logTarget = true }}
}

// PlainInput says that the input is the expected count, not its logarithm. For PoissonNLL.
func PlainInput() LossOption {
	return lossOption{"PlainInput", func(o *lossOptions) { o.logInput = false }}
}

// loss builds a loss at the caller's place: it checks options and inputs, then has build declare it, on inputs in f32 where they are floats
// for storage such as f16.
func loss(kind string, in []*Value, o lossOptions, opts []LossOption, takes []string, build func(l *lossBuilder) Value) (y Value) {
	given := make([]Value, len(in))
	for i, x := range in {
		given[i] = *x
	}
	f := graph.Innermost(given...)
	if f == nil {
		return Value{}
	}
	l := &lossBuilder{kind: kind, f: f, inputs: inputs{given, in}, lossOptions: o}
	f.Module().At(graph.Caller(), "", func() { y = l.declare(opts, takes, build) })
	return y
}

// declare checks options and inputs, and has build declare the loss unless they are bad.
func (l *lossBuilder) declare(opts []LossOption, takes []string, build func(l *lossBuilder) Value) Value {
	ok := true
	takes = append([]string{"Reduction"}, takes...)
	for _, op := range opts {
		if op == nil {
			l.refuse("an option is nil")
			ok = false
			continue
		}
		name, set := op.option()
		if !slices.Contains(takes, name) {
			l.refuse("it does not take the option %s: want one of %s", name, strings.Join(takes, ", "))
			ok = false
			continue
		}
		set(&l.lossOptions)
	}
	if r := l.reduction; r < Mean || r > BatchMean || r == BatchMean && l.kind != "kl_div" {
		l.refuse("it does not take the reduction %v", r)
		ok = false
	}
	for i, x := range l.given {
		if !x.Valid() {
			l.refuse("input %d is missing (a zero graph.Value)", i)
			ok = false
		} else if !x.OK() {
			ok = false
		}
	}
	if !ok {
		return graph.Poison(l.f)
	}
	narrow := ops.Widen(append(l.used, &l.weight, &l.posWeight)...)
	return narrow(build(l))
}

type lossBuilder struct {
	kind string
	f    *graph.Func
	inputs
	lossOptions
}

func (l *lossBuilder) refuse(format string, args ...any) Value {
	l.f.Module().Report(graph.Pos{}, l.kind, format, l.asGiven(args)...)
	return graph.Poison(l.f)
}

// reduce reduces the losses of the places; their mean divides by their number.
func (l *lossBuilder) reduce(y Value) Value {
	switch l.reduction {
	case None:
		return y
	case Sum:
		return ops.ReduceSum(y, nil, false)
	case BatchMean:
		if y.Rank() == 0 {
			return y
		}
		n := ops.Cast(ops.DimSize(y, 0), y.DType())
		return ops.Div(ops.ReduceSum(y, nil, false), n)
	}
	return ops.ReduceMean(y, nil, false)
}

// weighted reduces the losses of the places; their mean divides by the sum of their weights.
func (l *lossBuilder) weighted(y, weights Value) Value {
	if l.reduction == Mean {
		return ops.Div(ops.ReduceSum(y, nil, false), ops.ReduceSum(weights, nil, false))
	}
	return l.reduce(y)
}

// elementwise is a loss of each place of two inputs of one shape.
func elementwise(kind string, x, target *Value, o lossOptions, opts []LossOption, takes []string, f func(l *lossBuilder) Value) Value {
	return loss(kind, []*Value{x, target}, o, opts, takes, func(l *lossBuilder) Value {
		if !l.wantSame("input", *x, "target", *target) {
			return graph.Poison(l.f)
		}
		return l.reduce(f(l))
	})
}

// wantSame reports two inputs of different shapes and says how to make them equal. A number goes with any shape; nothing else is
// broadcast, since [N,1] with [N] would be a loss of [N,N].
func (l *lossBuilder) wantSame(nameA string, a Value, nameB string, b Value) bool {
	if graph.EqualShapes(a.Shape(), b.Shape()) || a.Rank() == 0 || b.Rank() == 0 {
		return true
	}
	advice := fmt.Sprintf("ops.Expand gives the %s the shape of the %s, if that is meant", nameB, nameA)
	switch {
	case withoutLast(a, b):
		advice = fmt.Sprintf("ops.Squeeze(%s, -1) drops the last axis", nameA)
	case withoutLast(b, a):
		advice = fmt.Sprintf("ops.Squeeze(%s, -1) drops the last axis", nameB)
	}
	l.refuse("the shapes differ: %s is %s, %s is %s; %s", nameA, a.Type(), nameB, b.Type(), advice)
	return false
}

// withoutLast reports whether a has the shape of b and one more axis, of size 1.
func withoutLast(a, b Value) bool {
	n := b.Rank()
	if a.Rank() != n+1 || !graph.EqualShapes(a.Shape()[:n], b.Shape()) {
		return false
	}
	size, known := a.Shape()[n].Int()
	return known && size == 1
}

// CrossEntropy is the cross-entropy of softmax(logits) (torch.nn.CrossEntropyLoss). Logits are float[N, C, ...] or
// float[C]; the target holds classes, i32 or i64 [N, ...], or probabilities, of the logits' shape. Mean divides by the
// sum of the weights of the classes that count, or for probabilities by the number of places. Options: a Reduction,
// Weight, IgnoreIndex, LabelSmoothing.
func CrossEntropy(logits, target Value, opts ...LossOption) Value {
	return loss("cross_entropy", []*Value{&logits, &target}, lossOptions{ignoreIndex: -100}, opts, []string{"Weight", "IgnoreIndex", "LabelSmoothing"}, func(l *lossBuilder) Value {
		if !(l.smoothing >= 0 && l.smoothing <= 1) {
			return l.refuse("want a label smoothing between 0 and 1, have %v", l.smoothing)
		}
		if !target.DType().IsFloat() {
			return l.weighted(ops.SoftmaxCrossEntropy(logits, target, l.weight, l.ignoreIndex, l.smoothing))
		}
		if logits.Rank() == 0 || !graph.EqualShapes(logits.Shape(), target.Shape()) {
			return l.refuse("probabilities must have the shape of the logits: logits are %s, target is %s", logits.Type(), target.Type())
		}
		axis := min(1, logits.Rank()-1)
		t := target
		if l.smoothing != 0 {
			spread := ops.Div(l.f.Scalar(logits.DType(), l.smoothing), ops.Cast(ops.DimSize(logits, axis), logits.DType()))
			t = ops.Add(ops.Mul(t, 1-l.smoothing), spread)
		}
		y := ops.Mul(ops.LogSoftmax(logits, axis), t)
		if l.weight.Valid() {
			y = ops.Mul(y, alongAxis(l.weight, axis, logits.Rank()))
		}
		return l.reduce(ops.Neg(ops.ReduceSum(y, []int{axis}, false)))
	})
}

// NLL is -w[t]*x[t] of log-probabilities x, float[N, C, ...] or float[C], and classes t, i32 or i64 [N, ...]
// (torch.nn.NLLLoss). Mean divides by the sum of the weights of the classes that count. Options: a Reduction, Weight,
// IgnoreIndex.
func NLL(x, target Value, opts ...LossOption) Value {
	return loss("nll", []*Value{&x, &target}, lossOptions{ignoreIndex: -100}, opts, []string{"Weight", "IgnoreIndex"}, func(l *lossBuilder) Value {
		axis, ok := l.classes(x, target)
		if !ok {
			return graph.Poison(l.f)
		}
		valid := ops.NotEqual(target, l.ignoreIndex)
		class := ops.Where(valid, target, 0)
		y := ops.Neg(ops.Squeeze(ops.GatherElements(x, axis, ops.Unsqueeze(class, axis), ops.FromStart), axis))
		w := ops.Cast(valid, x.DType())
		if l.weight.Valid() {
			of := ops.Gather(ops.Cast(l.weight, x.DType()), 0, class)
			y, w = ops.Mul(y, of), ops.Where(valid, of, 0.0)
		}
		return l.weighted(ops.Where(valid, y, 0.0), w)
	})
}

// classes checks a target of classes and returns the class axis.
func (l *lossBuilder) classes(x, target Value) (axis int, ok bool) {
	axis = min(1, x.Rank()-1)
	if axis < 0 || !x.DType().IsFloat() || target.DType() != graph.I64 && target.DType() != graph.I32 ||
		!graph.EqualShapes(slices.Delete(slices.Clone(x.Shape()), axis, axis+1), target.Shape()) {
		l.refuse("want float[N,C,...] and classes of i64[N,...], have %s and %s", x.Type(), target.Type())
		return 0, false
	}
	return axis, true
}

// MSE is (x-t)² (torch.nn.MSELoss). Both have one shape, or the target is a number; mean divides by the number of places. Options: a Reduction.
func MSE(x, target Value, opts ...LossOption) Value {
	return elementwise("mse", &x, &target, lossOptions{}, opts, nil, func(*lossBuilder) Value { return ops.Square(ops.Sub(x, target)) })
}

// L1 is |x-t|, with gradient 0 at 0 (torch.nn.L1Loss). Both have one shape, or the target is a number; mean divides by the number of places. Options: a
// Reduction.
func L1(x, target Value, opts ...LossOption) Value {
	return elementwise("l1", &x, &target, lossOptions{}, opts, nil, func(*lossBuilder) Value { return ops.Abs(ops.Sub(x, target)) })
}

// SmoothL1 is d²/2/beta where d = |x-t| is below beta and d-beta/2 elsewhere (Girshick 2015; torch.nn.SmoothL1Loss). Mean
// divides by the number of places. Options: a Reduction, Beta, which is not negative.
func SmoothL1(x, target Value, opts ...LossOption) Value {
	return elementwise("smooth_l1", &x, &target, lossOptions{beta: 1}, opts, []string{"Beta"}, func(l *lossBuilder) Value {
		if !(l.beta >= 0) {
			return l.refuse("want beta of at least 0, have %v", l.beta)
		}
		d := ops.Abs(ops.Sub(x, target))
		if l.beta == 0 {
			return d
		}
		return ops.Div(squareThenLine(d, l.beta), l.beta)
	})
}

// squareThenLine is d²/2 up to a bound and bound*(d - bound/2) beyond it, for d of at least 0. Written with the smaller of the two, it
// squares nothing large: at infinity its slope is the bound.
func squareThenLine(d Value, bound float64) Value {
	low := ops.Minimum(d, bound)
	return ops.Mul(low, ops.Sub(d, ops.Mul(low, 0.5)))
}

// Huber is d²/2 where d = |x-t| is at most delta and delta*(d-delta/2) elsewhere (Huber 1964; torch.nn.HuberLoss). Mean
// divides by the number of places. Options: a Reduction, Delta, which is above 0.
func Huber(x, target Value, opts ...LossOption) Value {
	return elementwise("huber", &x, &target, lossOptions{beta: 1}, opts, []string{"Delta"}, func(l *lossBuilder) Value {
		if !(l.beta > 0) {
			return l.refuse("want delta above 0, have %v", l.beta)
		}
		return squareThenLine(ops.Abs(ops.Sub(x, target)), l.beta)
	})
}

// KLDiv is t*(log t - x) of log-probabilities x and probabilities t, where 0*log 0 is 0 (torch.nn.KLDivLoss). Mean
// divides by the number of places, BatchMean by the batch's size, which makes it the divergence. Options: a Reduction,
// LogTarget.
func KLDiv(x, target Value, opts ...LossOption) Value {
	return elementwise("kl_div", &x, &target, lossOptions{}, opts, []string{"LogTarget"}, func(l *lossBuilder) Value {
		if l.logTarget {
			return ops.Mul(ops.Exp(target), ops.Sub(target, x))
		}
		logT := ops.Log(ops.Where(ops.Equal(target, 0.0), 1.0, target))
		return ops.Sub(ops.Mul(target, logT), ops.Mul(target, x))
	})
}

// BCE is -(t*log(x) + (1-t)*log(1-x)) of probabilities x, each logarithm at least -100 (torch.nn.BCELoss); from logits
// BCEWithLogits is exact where this is not. Mean divides by the number of places. Options: a Reduction, Weight.
func BCE(x, target Value, opts ...LossOption) Value {
	return elementwise("bce", &x, &target, lossOptions{}, opts, []string{"Weight"}, func(l *lossBuilder) Value {
		return l.times(ops.BinaryCrossEntropy(x, target))
	})
}

// times multiplies by the weight if there is one.
func (l *lossBuilder) times(y Value) Value {
	if l.weight.Valid() {
		return ops.Mul(y, l.weight)
	}
	return y
}

// BCEWithLogits is the binary cross-entropy of sigmoid(x) and targets from 0 to 1, finite for huge x
// (torch.nn.BCEWithLogitsLoss). Mean divides by the number of places. Options: a Reduction, Weight, PosWeight.
func BCEWithLogits(x, target Value, opts ...LossOption) Value {
	return elementwise("bce_with_logits", &x, &target, lossOptions{}, opts, []string{"Weight", "PosWeight"}, func(l *lossBuilder) Value {
		positive := ops.LogSigmoid(x)
		if l.posWeight.Valid() {
			positive = ops.Mul(positive, ops.Add(ops.Mul(ops.Sub(l.posWeight, 1.0), target), 1.0))
		}
		return l.times(ops.Sub(ops.Mul(ops.Sub(1.0, target), x), positive))
	})
}

// PoissonNLL is e^x - t*x, the negative log-likelihood of counts t whose expectation has the logarithm x; with PlainInput
// it is x - t*log(x+eps) (torch.nn.PoissonNLLLoss). Full adds Stirling's t*log(t) - t + log(2*pi*t)/2 where t is above 1.
// Mean divides by the number of places. Options: a Reduction, PlainInput, Full, LossEps.
func PoissonNLL(x, target Value, opts ...LossOption) Value {
	return elementwise("poisson_nll", &x, &target, lossOptions{eps: 1e-8, logInput: true}, opts, []string{"PlainInput", "Full", "LossEps"}, func(l *lossBuilder) Value {
		var y Value
		if l.logInput {
			y = ops.Sub(ops.Exp(x), ops.Mul(target, x))
		} else {
			y = ops.Sub(x, ops.Mul(target, ops.Log(ops.Add(x, l.eps))))
		}
		if l.full {
			large := ops.Greater(target, 1.0)
			t := ops.Where(large, target, 1.0)
			logT := ops.Log(t)
			stirling := ops.Add(ops.Sub(ops.Mul(t, logT), t), ops.Mul(ops.Add(logT, math.Log(2*math.Pi)), 0.5))
			y = ops.Add(y, ops.Where(large, stirling, 0.0))
		}
		return y
	})
}

// GaussianNLL is (log(v) + (x-t)²/v)/2, the negative log-likelihood of t under a normal distribution of mean x and
// variance v (torch.nn.GaussianNLLLoss). v has the shape of x, or lacks its last axis, or has size 1 there; it counts as
// at least eps, without influence on its gradient. Full adds log(2*pi)/2. Mean divides by the number of places. Options:
// a Reduction, Full, LossEps.
func GaussianNLL(x, target, variance Value, opts ...LossOption) Value {
	return loss("gaussian_nll", []*Value{&x, &target, &variance}, lossOptions{eps: 1e-6}, opts, []string{"Full", "LossEps"}, func(l *lossBuilder) Value {
		if !l.wantSame("input", x, "target", target) {
			return graph.Poison(l.f)
		}
		v := variance
		if v.Rank() == x.Rank()-1 && graph.EqualShapes(v.Shape(), x.Shape()[:x.Rank()-1]) {
			v = ops.Unsqueeze(v, -1)
		}
		v = ops.Add(v, ops.StopGradient(ops.Sub(ops.Maximum(v, l.eps), v)))
		y := ops.Mul(ops.Add(ops.Log(v), ops.Div(ops.Square(ops.Sub(x, target)), v)), 0.5)
		if l.full {
			y = ops.Add(y, 0.5*math.Log(2*math.Pi))
		}
		return l.reduce(y)
	})
}

// hinge is max(x, 0) with gradient 0 at 0, as torch.clamp_min has it.
func hinge(x Value) Value { return ops.Clamp(x, 0.0, nil) }

// HingeEmbedding is x where the target is 1 and max(0, margin-x) where it is -1 (torch.nn.HingeEmbeddingLoss). Mean
// divides by the number of places. Options: a Reduction, Margin.
func HingeEmbedding(x, target Value, opts ...LossOption) Value {
	return elementwise("hinge_embedding", &x, &target, lossOptions{margin: 1}, opts, []string{"Margin"}, func(l *lossBuilder) Value {
		far := ops.Where(ops.NotEqual(target, 1), hinge(ops.Sub(l.margin, x)), 0.0)
		return ops.Add(far, ops.Where(ops.NotEqual(target, -1), x, 0.0))
	})
}

// MarginRanking is max(0, margin - t*(x1-x2)) for targets 1, x1 should rank higher, and -1 (torch.nn.MarginRankingLoss).
// Mean divides by the number of places. Options: a Reduction, Margin.
func MarginRanking(x1, x2, target Value, opts ...LossOption) Value {
	return loss("margin_ranking", []*Value{&x1, &x2, &target}, lossOptions{}, opts, []string{"Margin"}, func(l *lossBuilder) Value {
		if !l.wantSame("x1", x1, "x2", x2) || !l.wantSame("x1", x1, "target", target) {
			return graph.Poison(l.f)
		}
		return l.reduce(hinge(ops.Sub(l.margin, ops.Mul(target, ops.Sub(x1, x2)))))
	})
}

// CosineEmbedding is 1-cos(x1, x2) where the target is 1 and max(0, cos-margin) where it is -1, for x1 and x2 of
// float[N, D] or float[D] and a target of [N] or [] (torch.nn.CosineEmbeddingLoss). Mean divides by the number of pairs.
// Options: a Reduction, Margin.
func CosineEmbedding(x1, x2, target Value, opts ...LossOption) Value {
	return loss("cosine_embedding", []*Value{&x1, &x2, &target}, lossOptions{}, opts, []string{"Margin"}, func(l *lossBuilder) Value {
		if r := x1.Rank(); r < 1 || r > 2 || r != x2.Rank() || target.Rank() != r-1 {
			return l.refuse("want two of float[N,D] and a target of [N], or float[D] and [], have %s, %s and %s", x1.Type(), x2.Type(), target.Type())
		}
		if !l.wantSame("x1", x1, "x2", x2) {
			return graph.Poison(l.f)
		}
		dot := func(a, b Value) Value { return ops.ReduceSum(ops.Mul(a, b), []int{-1}, false) }
		eps := float64(float32(1e-12)) // PyTorch has it in f32, which zero vectors show
		cos := ops.Div(dot(x1, x2), ops.Sqrt(ops.Mul(ops.Add(dot(x1, x1), eps), ops.Add(dot(x2, x2), eps))))
		near := ops.Where(ops.Equal(target, 1), ops.Sub(1.0, cos), 0.0)
		far := ops.Where(ops.Equal(target, -1), hinge(ops.Sub(cos, l.margin)), 0.0)
		return l.reduce(ops.Add(near, far))
	})
}

// TripletMargin is max(0, d(a,p) - d(a,n) + margin) with d the norm of the difference, plus eps, along the last axis
// (torch.nn.TripletMarginLoss). Mean divides by the number of triplets. Options: a Reduction, Margin, Power, LossEps, Swap.
func TripletMargin(anchor, positive, negative Value, opts ...LossOption) Value {
	return loss("triplet_margin", []*Value{&anchor, &positive, &negative}, lossOptions{margin: 1, p: 2, eps: 1e-6}, opts, []string{"Margin", "Power", "LossEps", "Swap"}, func(l *lossBuilder) Value {
		if !l.wantSame("anchor", anchor, "positive", positive) || !l.wantSame("anchor", anchor, "negative", negative) {
			return graph.Poison(l.f)
		}
		distance := func(a, b Value) Value { return ops.Norm(ops.Add(ops.Sub(a, b), l.eps), l.p, []int{-1}, false) }
		near, far := distance(anchor, positive), distance(anchor, negative)
		if l.swap {
			far = ops.Minimum(far, distance(positive, negative))
		}
		return l.reduce(hinge(ops.Add(ops.Sub(near, far), l.margin)))
	})
}

// MultiMargin is the sum over the wrong classes j of w[t]*max(0, margin - x[t] + x[j])^p, divided by the number of
// classes: the loss of the multi-class support vector machine (torch.nn.MultiMarginLoss). x is float[N, C] or float[C],
// the target i32 or i64 [N] or []. Mean divides by the number of samples. Options: a Reduction, Margin, Power, Weight.
func MultiMargin(x, target Value, opts ...LossOption) Value {
	return loss("multi_margin", []*Value{&x, &target}, lossOptions{margin: 1, p: 1}, opts, []string{"Margin", "Power", "Weight"}, func(l *lossBuilder) Value {
		axis, ok := l.classes(x, target)
		if !ok {
			return graph.Poison(l.f)
		}
		if l.p != 1 && l.p != 2 {
			return l.refuse("want a power of 1 or 2, have %v", l.p)
		}
		index := ops.Unsqueeze(target, axis)
		z := ops.ReLU(ops.Add(ops.Sub(x, ops.GatherElements(x, axis, index, ops.FromStart)), l.margin))
		if l.p == 2 {
			z = ops.Square(z)
		}
		if l.weight.Valid() {
			z = ops.Mul(z, ops.Unsqueeze(ops.Gather(l.weight, 0, target), axis))
		}
		own := ops.Equal(index, classIndex(l.f, x, axis))
		return l.reduce(ops.ReduceMean(ops.Where(own, 0.0, z), []int{axis}, false))
	})
}

// classIndex returns the numbers of the classes along an axis, i64, with size 1 along the others.
func classIndex(f *graph.Func, x Value, axis int) Value {
	shape := make([]any, x.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[axis] = x.Shape()[axis]
	return ops.Iota(f, graph.I64, axis, shape...)
}

// MultiLabelMargin is the sum over the classes j of the target and the classes i that are not in it of max(0, 1 - (x[j] - x[i])),
// divided by the number of classes (torch.nn.MultiLabelMarginLoss). x is float[N, C] or float[C]; the target, i32 or i64 of the same
// shape, holds the classes of each sample from the left up to the first negative number. Mean divides by the number of samples. Options: a
// Reduction.
func MultiLabelMargin(x, target Value, opts ...LossOption) Value {
	return loss("multi_label_margin", []*Value{&x, &target}, lossOptions{}, opts, nil, func(l *lossBuilder) Value {
		rank, dt := x.Rank(), target.DType()
		if rank < 1 || rank > 2 || !x.DType().IsFloat() || dt != graph.I64 && dt != graph.I32 || !graph.EqualShapes(x.Shape(), target.Shape()) {
			return l.refuse("want float[N,C] or float[C] and classes of i64 in the same shape, have %s and %s", x.Type(), target.Type())
		}
		listed := ops.Equal(ops.CumProd(ops.Cast(ops.GreaterEqual(target, 0), dt), -1), 1)
		class := ops.Where(listed, target, 0)
		own := ops.Greater(ops.ScatterAdd(ops.ZerosLike(target), -1, class, ops.Cast(listed, dt)), 0)
		right := ops.Unsqueeze(ops.GatherElements(x, -1, class), -1) // by their places in the target, against all classes
		z := ops.ReLU(ops.Add(ops.Sub(ops.Unsqueeze(x, -2), right), 1.0))
		counts := ops.And(ops.Unsqueeze(listed, -1), ops.Not(ops.Unsqueeze(own, -2)))
		sums := ops.ReduceSum(ops.Where(counts, z, 0.0), []int{-1, -2}, false)
		return l.reduce(ops.Div(sums, ops.Cast(ops.DimSize(x, -1), x.DType())))
	})
}

// SoftMargin is log(1+e^(-t*x)) for targets 1 and -1 (torch.nn.SoftMarginLoss). Mean divides by the number of places.
// Options: a Reduction.
func SoftMargin(x, target Value, opts ...LossOption) Value {
	return elementwise("soft_margin", &x, &target, lossOptions{}, opts, nil, func(*lossBuilder) Value {
		return ops.Neg(ops.LogSigmoid(ops.Mul(target, x)))
	})
}

// MultiLabelSoftMargin is the mean over classes, the last axis, of the binary cross-entropy of sigmoid(x) and targets
// 0 and 1 (torch.nn.MultiLabelSoftMarginLoss). Mean divides by the number of samples. Options: a Reduction, Weight.
func MultiLabelSoftMargin(x, target Value, opts ...LossOption) Value {
	return loss("multi_label_soft_margin", []*Value{&x, &target}, lossOptions{}, opts, []string{"Weight"}, func(l *lossBuilder) Value {
		if x.Rank() == 0 {
			return l.refuse("want an axis of classes, have %s", x.Type())
		}
		if !l.wantSame("input", x, "target", target) {
			return graph.Poison(l.f)
		}
		y := ops.Add(ops.Mul(target, ops.LogSigmoid(x)), ops.Mul(ops.Sub(1.0, target), ops.LogSigmoid(ops.Neg(x))))
		return l.reduce(ops.Neg(ops.ReduceMean(l.times(y), []int{-1}, false)))
	})
}
