package ops

import "github.com/graphrun/graphrun/graph"

// classTarget returns, for logits x[N,C,...] or x[C] and a target, the class axis, the places whose target is not
// ignored, a target that is a class everywhere, and where that class stands along the class axis.
func classTarget(x, target Value, ignore int) (axis int, valid, class, hot Value) {
	axis = min(1, x.Rank()-1)
	valid = NotEqual(target, ignore)
	class = Where(valid, target, 0)
	shape := graph.Ints(make([]int, x.Rank())...)
	for i := range shape {
		shape[i] = graph.Ints(1)[0]
	}
	shape[axis] = x.Shape()[axis]
	return axis, valid, class, Equal(Unsqueeze(class, axis), iotaDims(x.Func(), target.DType(), axis, shape))
}

// classWeights shapes weights[C] so that they broadcast along the class axis of a tensor.
func classWeights(w Value, axis, rank int) Value {
	shape := graph.Ints(make([]int, rank)...)
	for i := range shape {
		shape[i] = graph.Ints(1)[0]
	}
	shape[axis] = w.Shape()[0]
	return reshapeDims(w, shape)
}

var _ = graph.MustRegister(&graph.Op{
	Name: "softmax_cross_entropy",
	Doc: "The cross-entropy of softmax(logits) against class indices, per place (torch.nn.CrossEntropyLoss without " +
		"reduction): -w[t]*log_softmax(logits)[t], and with label smoothing s (1-s) times that plus s/C times the sum of " +
		"-w[c]*log_softmax(logits)[c]. It is computed from log_softmax, finite for huge logits. The second result is w[t], by whose sum a mean is " +
		"divided. Both are 0 where the target is ignore_index; any other target outside 0 to C-1 fails when it is run.",
	ONNX: "SoftmaxCrossEntropyLoss 12 13",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{
		{Name: "logits", Types: graph.Floats, Doc: "the logits, [N,C,...] or [C]"},
		{Name: "target", Types: graph.Indices, Doc: "the classes, [N,...] or []"},
		{Name: "weight", Types: graph.Floats, Variadic: true, Doc: "at most one: the weight of each class, [C], of the logits' dtype; 1 without it"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "ignore_index", Kind: graph.IntAttr, Default: int64(-100), Doc: "the target whose places do not count"},
		{Name: "label_smoothing", Kind: graph.FloatAttr, Default: 0.0, Doc: "the share of the target that is spread over all classes"},
	},
	Results: []string{"loss", "weight"},
	Body: func(b *graph.BodyCtx) []Value {
		xt, tt := b.Tensor(0), b.Tensor(1)
		if xt.Rank() == 0 {
			return refuse(b, "softmax_cross_entropy", "the logits need an axis of classes, have %s", xt)
		}
		want := append([]graph.Dim(nil), xt.Shape...)
		axis := min(1, xt.Rank()-1)
		want = append(want[:axis], want[axis+1:]...)
		if !graph.EqualShapes(want, tt.Shape) {
			return refuse(b, "softmax_cross_entropy", "the target must have the shape of the logits without their classes: logits are %s, target is %s", xt, tt)
		}
		smoothing := b.Float("label_smoothing")
		if !(smoothing >= 0 && smoothing <= 1) {
			return refuse(b, "softmax_cross_entropy", "want a label smoothing between 0 and 1, have %v", smoothing)
		}
		if len(b.In) > 3 {
			return refuse(b, "softmax_cross_entropy", "want one weight at most, have %d", len(b.In)-2)
		}
		x, target := b.In[0], b.In[1]
		_, valid, class, _ := classTarget(x, target, b.Int("ignore_index"))
		lp := LogSoftmax(x, axis)
		picked := Neg(Squeeze(GatherElements(lp, axis, Unsqueeze(class, axis), FromStart), axis))
		weight := Cast(valid, xt.DType)
		terms := Neg(lp)
		if len(b.In) == 3 {
			wt := b.Tensor(2)
			if !graph.EqualTypes(wt, graph.TensorType{DType: xt.DType, Shape: xt.Shape[axis : axis+1]}) {
				return refuse(b, "softmax_cross_entropy", "want a weight per class, of the logits' dtype: logits are %s, weight is %s", xt, wt)
			}
			of := Gather(b.In[2], 0, class)
			weight = Where(valid, of, 0.0)
			picked = Mul(picked, of)
			terms = Mul(terms, classWeights(b.In[2], axis, xt.Rank()))
		}
		loss := picked
		if smoothing != 0 {
			spread := Mul(ReduceMean(terms, []int{axis}, false), smoothing)
			loss = Add(Mul(picked, 1-smoothing), spread)
		}
		return []Value{Where(valid, loss, 0.0), weight}
	},
	Grad: func(g *graph.GradCtx) []Value {
		x, target := g.In[0], g.In[1]
		smoothing, c := g.Float("label_smoothing"), count(x, []int{min(1, x.Rank()-1)})
		axis, valid, _, hot := classTarget(x, target, g.Int("ignore_index"))
		// the share of each class in the target: q
		q := Mul(Cast(hot, x.DType()), 1-smoothing)
		switch n := c.(type) {
		case float64:
			q = Add(q, smoothing/n)
		default:
			q = Add(q, Div(smoothing, n))
		}
		grads := make([]Value, len(g.In))
		weighted := q
		if len(g.In) == 3 {
			weighted = Mul(q, classWeights(g.In[2], axis, x.Rank()))
		}
		if g.HasDy(0) {
			dy := Unsqueeze(Where(valid, g.Dy(0), 0.0), axis)
			p := Softmax(x, axis)
			if len(g.In) == 3 { // else q sums to 1
				p = Mul(p, ReduceSum(weighted, []int{axis}, true))
			}
			grads[0] = Mul(Sub(p, weighted), dy)
			if len(g.In) == 3 {
				dw := Mul(Mul(Neg(LogSoftmax(x, axis)), q), dy)
				grads[2] = reshapeDims(SumTo(dw, classWeights(g.In[2], axis, x.Rank()).Shape()), g.In[2].Shape())
			}
		}
		if g.HasDy(1) && len(g.In) == 3 {
			dw := Where(hot, Unsqueeze(Where(valid, g.Dy(1), 0.0), axis), 0.0)
			dw = reshapeDims(SumTo(dw, classWeights(g.In[2], axis, x.Rank()).Shape()), g.In[2].Shape())
			if grads[2].Valid() {
				dw = Add(grads[2], dw)
			}
			grads[2] = dw
		}
		return grads
	},
	Tol: composed,
})

// SoftmaxCrossEntropy returns the cross-entropy of softmax(logits) against classes, one loss per place, and the weight of
// each place's class, by whose sum a mean is divided. Logits are [N,C,...], or [C] for one sample; target is [N,...] of i32
// or i64. Places whose target is ignoreIndex have loss and weight 0. Class weights, [C], may be the zero Value for 1.
// Smoothing spreads a share of the target over all classes.
func SoftmaxCrossEntropy(logits, target, weight Value, ignoreIndex int, smoothing float64) (loss, weights Value) {
	in := []Value{toFloat(logits), target}
	if weight.Valid() {
		in = append(in, Cast(weight, in[0].DType()))
	}
	outs := emit("softmax_cross_entropy", in, attr("ignore_index", ignoreIndex), attr("label_smoothing", smoothing))
	if len(outs) < 2 {
		return outs[0], outs[0]
	}
	return outs[0], outs[1]
}

// bceEps bounds the divisor of the gradient of the binary cross-entropy: 1e-12, in PyTorch a float32 for every dtype.
const bceEps = 9.999999960041972e-13

var _ = graph.MustRegister(&graph.Op{
	Name: "binary_cross_entropy",
	Doc: "-(t*log(p) + (1-t)*log(1-p)), element-wise with broadcasting, each logarithm at least -100 (torch.nn.BCELoss without reduction). The " +
		"gradient by p is (p-t)/max(p*(1-p), 1e-12). For logits there is a formula that loses nothing: see nn.BCEWithLogits.",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{
		{Name: "p", Types: graph.Floats, Doc: "the probabilities, from 0 to 1"},
		{Name: "t", Types: graph.Floats, Doc: "the targets, from 0 to 1, of p's dtype"},
	},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		p, t := b.In[0], b.In[1]
		log := func(x Value) Value { return Maximum(Log(x), -100.0) }
		return []Value{Neg(Add(Mul(t, log(p)), Mul(Sub(1.0, t), log(Sub(1.0, p)))))}
	},
	Grad: func(g *graph.GradCtx) []Value {
		p, t, dy := g.In[0], g.In[1], g.Dy(0)
		rest := Sub(1.0, p)
		log := func(x Value) Value { return Maximum(Log(x), -100.0) }
		return []Value{
			SumTo(Div(Mul(dy, Sub(p, t)), Maximum(Mul(p, rest), bceEps)), p.Shape()),
			SumTo(Mul(dy, Sub(log(rest), log(p))), t.Shape()),
		}
	},
	Props: graph.Props{Elementwise: true},
	Tol:   composed,
})

// BinaryCrossEntropy returns -(t*log(p) + (1-t)*log(1-p)) element-wise, each logarithm at least -100.
func BinaryCrossEntropy(p, t Value) Value { return floatBinary("binary_cross_entropy", p, t) }
