package ops

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/philox"
	"github.com/graphrun/graphrun/graph/value"
)

// Random numbers are a function of a key, a stream and the position of the element, so they do not depend on threads,
// order or passes. Element i of a random node draws word i%4 of Philox4x32-10 with
//
//	key     = {low half, high half} of key[0], the seed
//	counter = {i/4, stream, low half of key[1], high half of key[1]}, where key[1] counts calls
//
// where the stream is an attribute that no two random nodes of a module share. f64 uniforms take two words each:
// element i takes words 2*(i%2), the upper, and 2*(i%2)+1 of counter i/2.

// words returns the four random words of a block of elements.
func words(c *graph.RefCtx, block int) [4]uint32 {
	seed, call := c.In[0].U[0], c.In[0].U[1]
	if block > math.MaxUint32 {
		c.Failf("a random tensor has at most 2^34 elements")
	}
	return philox.Philox([2]uint32{uint32(seed), uint32(seed >> 32)},
		[4]uint32{uint32(block), uint32(c.Int("stream")), uint32(call), uint32(call >> 32)})
}

var keyArg = graph.Arg{Name: "key", Types: graph.DTypes(graph.U64), Doc: "u64[2]: the seed and the number of the call"}

var streamAttr = graph.AttrSpec{Name: "stream", Kind: graph.IntAttr, Show: graph.ShowNever, Doc: "the number that tells the draws of one random " +
	"node of a module from those of the others, below 2^32"}

// drawAttrs declares the attributes of a random tensor, with those of the distribution.
func drawAttrs(distribution ...graph.AttrSpec) []graph.AttrSpec {
	return append(distribution,
		graph.AttrSpec{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the sizes of the result"},
		graph.AttrSpec{Name: "dtype", Kind: graph.DTypeAttr, Show: graph.ShowNever, Default: graph.F32, Doc: "the float dtype of the result"},
		streamAttr)
}

// checkKey refuses a key or a stream that is none.
func checkKey(c *graph.InferCtx, arg int) {
	if key := c.Tensor(arg); !graph.EqualShapes(key.Shape, graph.Ints(2)) {
		c.Failf("key: want u64[2], have %s", key)
	}
	if s := c.Int("stream"); s < 0 || s > math.MaxUint32 {
		c.Failf("stream %d is not in [0, 2^32)", s)
	}
}

func inferDraw(c *graph.InferCtx) []graph.Type {
	checkKey(c, 0)
	if dt := c.DType("dtype"); !dt.IsFloat() {
		c.Failf("want a float dtype, have %s", dt)
	}
	return tensors(graph.TensorType{DType: c.DType("dtype"), Shape: c.Dims("shape")})
}

const drawNoGrad = "the draws do not depend on anything that has a gradient"

var _ = graph.MustRegister(&graph.Op{
	Name: "random_uniform",
	Doc: "Uniform random numbers from low up to but not including high, as a function of key, stream and position " +
		"(torch.rand): low + u*(high-low), " +
		"computed in f64 and rounded to the dtype, where what would reach high is the largest number below it. u is a multiple of the " +
		"dtype's unit below 1: 2^-53 for f64, 2^-24 for f32, 2^-11 for f16, 2^-8 for bf16. " +
		"The generator is Philox4x32-10.",
	ONNX: "RandomUniform 1 22",
	Args: []graph.Arg{keyArg},
	Attrs: drawAttrs(
		graph.AttrSpec{Name: "low", Kind: graph.FloatAttr, Default: 0.0, Doc: "the lower end"},
		graph.AttrSpec{Name: "high", Kind: graph.FloatAttr, Default: 1.0, Doc: "the upper end"}),
	Results: out,
	Infer:   inferDraw,
	NoGrad:  drawNoGrad,
	Ref: func(c *graph.RefCtx) {
		low, width := c.Float("low"), c.Float("high")-c.Float("low")
		y, dt := c.Out[0].F, c.DType("dtype")
		last := value.FloatBelow(dt, c.Float("high"))
		if width <= 0 {
			last = math.Inf(1)
		}
		if dt == graph.F64 {
			for i := range y {
				w := words(c, i/2)
				y[i] = min(low+philox.Uniform01Float64(w[2*(i%2)], w[2*(i%2)+1])*width, last)
			}
			return
		}
		unit := 1 - value.FloatBelow(dt, 1)
		for i := 0; i < len(y); i += 4 {
			for k, w := range words(c, i/4) {
				if i+k < len(y) {
					u := math.Floor(float64(philox.Uniform01Float32(w))/unit) * unit
					y[i+k] = min(low+u*width, last)
				}
			}
		}
	},
	Props: graph.Props{Random: true},
})

// RandomUniform returns uniform random numbers in [low, high) of a float dtype; dims are ints, symbol names or Dims.
// Each call of the function draws new ones; see Key.
func RandomUniform(f *graph.Func, dt graph.DType, low, high float64, dims ...any) Value {
	return randomTensor(f, "random_uniform", dt, dims, attr("low", low), attr("high", high))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "random_normal",
	Doc: "Normal random numbers of a mean and a standard deviation, as a function of key, stream and position " +
		"(torch.randn). Elements 2k and 2k+1 are " +
		"sqrt(-2*log(u))*cos(2*pi*v) and the same with sin, by Box and Muller, in f64, for the words of the two elements: u " +
		"= (word+1/2)/2^32, v = word/2^32. " +
		"The generator is Philox4x32-10.",
	ONNX: "RandomNormal 1 22",
	Args: []graph.Arg{keyArg},
	Attrs: drawAttrs(
		graph.AttrSpec{Name: "mean", Kind: graph.FloatAttr, Default: 0.0, Doc: "the mean"},
		graph.AttrSpec{Name: "std", Kind: graph.FloatAttr, Default: 1.0, Doc: "the standard deviation"}),
	Results: out,
	Infer:   inferDraw,
	NoGrad:  drawNoGrad,
	Ref: func(c *graph.RefCtx) {
		mean, std := c.Float("mean"), c.Float("std")
		y := c.Out[0].F
		for i := 0; i < len(y); i += 4 {
			w := words(c, i/4)
			var z [4]float64
			z[0], z[1] = philox.Normals(w[0], w[1])
			z[2], z[3] = philox.Normals(w[2], w[3])
			for k := 0; k < 4 && i+k < len(y); k++ {
				y[i+k] = mean + std*z[k]
			}
		}
	},
	Props: graph.Props{Random: true},
	Tol:   graph.Tol{ULP: 4},
})

// RandomNormal returns normal random numbers of a float dtype; dims are ints, symbol names or Dims. Each call of the
// function draws new ones; see Key.
func RandomNormal(f *graph.Func, dt graph.DType, mean, std float64, dims ...any) Value {
	return randomTensor(f, "random_normal", dt, dims, attr("mean", mean), attr("std", std))
}

// RandomBernoulli returns bools that are true with probability p; dims are ints, symbol names or Dims.
func RandomBernoulli(f *graph.Func, p float64, dims ...any) Value {
	return Less(RandomUniform(f, graph.F32, 0, 1, dims...), p)
}

func randomTensor(f *graph.Func, name string, dt graph.DType, dims []any, attrs ...graph.Attr) Value {
	shape, ok := shapeAttr(f, name, "shape", dims)
	if !ok {
		return graph.Poison(f)
	}
	return emit1(name, []Value{Key(f)}, append(attrs, shape, attr("dtype", dt), attr("stream", f.Module().NextStream()))...)
}

// rngVariable is the name of the variable that holds the seed and the number of the call.
const rngVariable = "rng"

// Key returns the u64[2] key from which the random nodes of f draw. In a variable's initializer that is the
// initializer's parameter. In a function of the module it is the value of the variable "rng", which is declared with
// the first random node; the function counts its second element up, so that the next call draws anew. A function
// that is called by another cannot update variables, so it takes a key as a parameter instead.
func Key(f *graph.Func) Value {
	root := f.Root()
	if root.IsRegion() {
		return root.Params()[0]
	}
	m := f.Module()
	rng := m.LookupVariable(rngVariable)
	if rng == nil {
		rng = m.Variable(rngVariable, graph.U64, []int{2}, func(_ *graph.Func, key Value) Value { return key }, graph.NotTrainable())
	}
	if t := rng.Type(); t.DType != graph.U64 || !graph.EqualShapes(t.Shape, graph.Ints(2)) {
		m.Report(graph.Pos{}, "random", "@%s is %s: the key of random nodes is a u64[2] variable of that name", rngVariable, t)
		return graph.Poison(f)
	}
	key := rng.Read(f)
	for _, u := range root.Updates() {
		if u.Var == rng {
			return key
		}
	}
	one := value.NewExact(graph.U64, []int{2})
	one.U[1] = 1
	root.Update(rng, Add(key, root.Const(one.Tensor())))
	return key
}

var _ = graph.MustRegister(&graph.Op{
	Name: "dropout",
	Doc: "Zeroes elements with probability p and scales the others by 1/(1-p) (torch.nn.Dropout in training). An element " +
		"survives where " +
		"random_uniform in f32 with the same key and stream is at least p. Along shared axes one draw decides for all " +
		"elements, as for the channels " +
		"of Dropout2d. The gradient has the same mask.",
	ONNX: "Dropout 1 6 7 10 12 13 22",
	Kind: graph.RandomOp,
	Args: []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the tensor"}, keyArg},
	Attrs: []graph.AttrSpec{
		{Name: "p", Kind: graph.FloatAttr, Doc: "the probability that an element is zeroed"},
		{Name: "shared", Kind: graph.IntsAttr, Default: []int64{}, Doc: "axes along which elements share their draw; " +
			"negative ones count from the end"},
		streamAttr,
	},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		x, p := b.In[0], b.Float("p")
		shape := b.Tensor(0).Shape
		shared, err := normAxes(b.Ints("shared"), len(shape))
		switch {
		case err != nil:
			return refuse(b, "dropout", "shared: %v", err)
		case !(p >= 0 && p <= 1):
			return refuse(b, "dropout", "p is %v: want a probability", p)
		case b.Int("stream") < 0 || b.Int("stream") > math.MaxUint32: // also where nothing is drawn
			return refuse(b, "dropout", "stream %d is not in [0, 2^32)", b.Int("stream"))
		case p == 0:
			return []Value{x}
		case p == 1:
			return []Value{ZerosLike(x)}
		}
		mask := append([]graph.Dim(nil), shape...)
		for _, a := range shared {
			mask[a] = dim.Const(1)
		}
		u := emit1("random_uniform", []Value{b.In[1]}, attr("shape", mask), attr("dtype", graph.F32), attr("stream", b.Int("stream")))
		return []Value{Where(GreaterEqual(u, p), Mul(x, 1/(1-p)), 0.0)}
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("dropout", []Value{g.Dy(0), g.In[1]}, g.Attrs...), {}}
	},
	Props:   graph.Props{Random: true},
	InPlace: []int{0},
	Tol:     graph.Tol{ULP: 1},
})

// Dropout zeroes each element of x with probability p and scales the others by 1/(1-p). It is for training: the
// evaluation of a model leaves it out. Axes that are given share their draws: all axes from the third on make it
// Dropout2d or Dropout3d.
func Dropout(x Value, p float64, shared ...int) Value {
	f := x.Func()
	if f == nil {
		return Value{}
	}
	if norm, err := normAxes(shared, x.Rank()); err == nil {
		shared = norm
	}
	return emit1("dropout", []Value{x, Key(f)}, attr("p", p), attr("shared", append([]int{}, shared...)), attr("stream", f.Module().NextStream()))
}
