package nn

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// Attention is a layer in which queries look for keys and take their values.
type Attention interface {
	// Attend returns the result for each query, float[L, N, embed], and the weights with which it took each value,
	// float[N, L, S], averaged over the heads unless PerHead is given. query is float[L, N, embed], key float[S, N, key size],
	// value float[S, N, value size]; with BatchFirst the first two axes change places. For one sample all three lack the axis N, and
	// so do the results. A query that may look at no key gets NaN, as in PyTorch; see NoWeights.
	Attend(query, key, value Value, opts ...AttentionOption) (y, weights Value)
}

// AttentionOption changes one use of an Attention.
type AttentionOption func(o *attentionOptions)

type attentionOptions struct {
	mask, padding Value
	perHead       bool
	noWeights     bool
}

// AttentionMask forbids pairs of queries and keys, [L, S] or [N*heads, L, S]: where a bool mask is true, or by what a float
// mask adds to the scores.
func AttentionMask(mask Value) AttentionOption {
	return func(o *attentionOptions) { o.mask = mask }
}

// KeyPaddingMask forbids keys, [N, S]: where a bool mask is true, or by what a float mask adds to the scores.
func KeyPaddingMask(mask Value) AttentionOption {
	return func(o *attentionOptions) { o.padding = mask }
}

// PerHead gives the weights of each head, float[N, heads, L, S].
func PerHead() AttentionOption { return func(o *attentionOptions) { o.perHead = true } }

// NoWeights gives no weights, the zero Value in their place (need_weights=False). A query that may look at no key then takes nothing:
// its values count as zeros.
func NoWeights() AttentionOption { return func(o *attentionOptions) { o.noWeights = true } }

type attention struct {
	*layer
	embed, heads int
	o            *options
}

// MultiheadAttention is softmax(q k'/sqrt(embed/heads)) v in several heads, each on its own projection of queries, keys and
// values, whose results are joined and projected once more (Vaswani et al. 2017; torch.nn.MultiheadAttention).
//
// Variables: in_proj_weight [3*embed, embed], or, where KeySize or ValueSize differ from embed, q_proj_weight,
// k_proj_weight and v_proj_weight [embed, size], from XavierUniform; out_proj.weight [embed, embed]; and, unless NoBias is
// given, in_proj_bias [3*embed] and out_proj.bias [embed], zeros at first. Options: NoBias, KeySize, ValueSize, BatchFirst.
func MultiheadAttention(embed, heads int, opts ...Option) Attention {
	l := newLayer("multihead_attention")
	o := l.collect(opts, "NoBias", "KeySize", "ValueSize", "BatchFirst")
	l.wantPositive("features", embed)
	l.wantPositive("heads", heads)
	if heads > 0 && embed%heads != 0 {
		l.faultf("%d features do not divide into %d heads", embed, heads)
	}
	for _, s := range []struct {
		name string
		n    *int
	}{{"KeySize", &o.keySize}, {"ValueSize", &o.valueSize}} {
		if !o.given[s.name] {
			*s.n = embed
		}
		l.wantPositive(s.name, *s.n)
	}
	return &attention{layer: l, embed: embed, heads: heads, o: o}
}

func (a *attention) Attend(query, key, value Value, opts ...AttentionOption) (y, weights Value) {
	var o attentionOptions
	for _, set := range opts {
		if set != nil {
			set(&o)
		}
	}
	out := a.applyTo([]Value{query, key, value}, nil, 2, func(c *apply) []Value {
		if isSample(query, 3) && isSample(key, 3) && isSample(value, 3) {
			return a.sample(c, o)
		}
		return a.attend(c, o)
	})
	if o.noWeights {
		return out[0], Value{}
	}
	return out[0], out[1]
}

// sample is attend for one sample: a batch of one.
func (a *attention) sample(c *apply, o attentionOptions) []Value {
	axis := 1
	if a.o.batchFirst {
		axis = 0
	}
	for i, x := range c.in {
		c.in[i] = ops.Unsqueeze(x, axis)
	}
	c.x = c.in[0]
	if o.padding.Valid() {
		o.padding = ops.Unsqueeze(o.padding, 0)
	}
	out := a.attend(c, o)
	if len(out) == 0 {
		return nil
	}
	return []Value{ops.Squeeze(out[0], axis), ops.Squeeze(out[1], 0)}
}

func (a *attention) attend(c *apply, o attentionOptions) []Value {
	sizes := []int{a.embed, a.o.keySize, a.o.valueSize}
	for i, what := range []string{"query features", "key features", "value features"} {
		if x := c.in[i]; !c.wantFloat(x) {
			return nil
		} else if x.Rank() != 3 {
			c.refuse("want three axes, have %s", x.Type())
			return nil
		} else if !c.wantDim(x, 2, sizes[i], what) {
			return nil
		}
	}
	weight := make([]Value, 3)
	if sizes[1] == a.embed && sizes[2] == a.embed {
		weight = ops.Split(c.param("in_proj_weight", []int{3 * a.embed, a.embed}, initializer.XavierUniform(1)), 0, a.embed, a.embed, a.embed)
	} else {
		for i, name := range []string{"q_proj_weight", "k_proj_weight", "v_proj_weight"} {
			weight[i] = c.param(name, []int{a.embed, sizes[i]}, initializer.XavierUniform(1))
		}
	}
	bias := make([]Value, 3)
	if !a.o.noBias {
		bias = ops.Split(c.param("in_proj_bias", []int{3 * a.embed}, initializer.Zeros()), 0, a.embed, a.embed, a.embed)
	}
	head := a.embed / a.heads
	perm, back := []int{1, 2, 0, 3}, []int{2, 0, 1, 3} // [L,N,heads,head] to [N,heads,L,head] and back
	if a.o.batchFirst {
		perm, back = []int{0, 2, 1, 3}, []int{0, 2, 1, 3}
	}
	parts := make([]Value, 3)
	for i, x := range c.in {
		p := project(x, weight[i], bias[i])
		parts[i] = ops.Transpose(ops.Reshape(p, x.Shape()[0], x.Shape()[1], a.heads, head), perm...)
	}
	scores := ops.MatMul(ops.Div(parts[0], math.Sqrt(float64(head))), ops.T(parts[1]))
	if o.mask.Valid() {
		mask := o.mask
		if mask.Rank() == 3 {
			mask = ops.Reshape(mask, -1, a.heads, mask.Shape()[1], mask.Shape()[2])
		}
		scores = masked(scores, mask)
	}
	if o.padding.Valid() {
		scores = masked(scores, ops.Unsqueeze(o.padding, 1, 2))
	}
	var none Value
	if o.noWeights && (o.mask.Valid() || o.padding.Valid()) {
		none = ops.Equal(ops.ReduceMax(scores, []int{-1}, true), math.Inf(-1))
		scores = ops.Where(none, 0.0, scores)
	}
	weights := ops.Softmax(scores, -1)
	if none.Valid() {
		weights = ops.Where(none, 0.0, weights)
	}
	y := ops.Transpose(ops.MatMul(weights, parts[2]), back...)
	y = ops.Reshape(y, c.x.Shape()[0], c.x.Shape()[1], a.embed)
	w := c.param("out_proj.weight", []int{a.embed, a.embed}, initializer.Default(a.embed))
	var b Value
	if !a.o.noBias {
		b = c.param("out_proj.bias", []int{a.embed}, initializer.Zeros())
	}
	y = project(y, w, b)
	if !o.perHead {
		weights = ops.ReduceMean(weights, []int{1}, false)
	}
	return []Value{y, weights}
}

// masked adds a float mask to scores, or -inf where a bool mask is true.
func masked(scores, mask Value) Value {
	if mask.DType() == graph.Bool {
		mask = ops.Where(mask, math.Inf(-1), scores.Func().Scalar(scores.DType(), 0))
	}
	return ops.Add(scores, mask)
}
