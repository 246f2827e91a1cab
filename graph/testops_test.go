package graph

import "github.com/graphrun/graphrun/graph/value"

// Operations for the tests of this package, which cannot import package ops.
var (
	testAdd = MustRegister(&Op{
		Name: "test_add", Doc: "Adds.", Results: []string{"out"}, NoGrad: "a test",
		Args: []Arg{{Name: "x", Types: AnyDType}, {Name: "y", Types: AnyDType}},
		Infer: func(c *InferCtx) []Type {
			c.SameDType()
			for i, d := range c.Tensor(0).Shape {
				c.MustEqual(d, c.Tensor(1).Shape[i], "sizes differ: x is %s, y is %s", c.In[0], c.In[1])
			}
			return c.In[:1]
		},
		Ref: func(*RefCtx) {}, Sample: "f32[]",
	})
	testPair = MustRegister(&Op{
		Name: "test_pair", Doc: "Two results.", Results: []string{"first", "second"}, NoGrad: "a test",
		Args:  []Arg{{Name: "x", Types: AnyType}},
		Infer: func(c *InferCtx) []Type { return []Type{c.In[0], TensorType{DType: I64}} },
		Ref:   func(*RefCtx) {}, Sample: "f32[]",
	})
	testAttrs = MustRegister(&Op{
		Name: "test_attrs", Doc: "An attribute of every kind.", Results: []string{"out"}, NoGrad: "a test",
		Attrs: []AttrSpec{
			{Name: "int", Kind: IntAttr, Default: int64(-7), Doc: "d"},
			{Name: "float", Kind: FloatAttr, Default: 0.1, Doc: "d"},
			{Name: "bool", Kind: BoolAttr, Default: true, Doc: "d"},
			{Name: "string", Kind: StringAttr, Default: "a\"}\n", Doc: "d"},
			{Name: "ints", Kind: IntsAttr, Default: []int64{1, -2}, Doc: "d"},
			{Name: "floats", Kind: FloatsAttr, Default: []float64{}, Doc: "d"},
			{Name: "dtype", Kind: DTypeAttr, Default: BF16, Doc: "d"},
			{Name: "dims", Kind: DimsAttr, Default: Ints(2, 3), Doc: "d"},
			{Name: "tensor", Kind: TensorAttr, Default: value.Scalar(float32(1.5)), Doc: "d"},
			{Name: "type", Kind: TypeAttr, Default: Type(TokenType{}), Doc: "d"},
			{Name: "symbol", Kind: SymbolAttr, Default: Symbol("w.0"), Doc: "d"},
		},
		Infer: func(c *InferCtx) []Type { return []Type{c.Type("type")} },
		Ref:   func(*RefCtx) {}, Sample: "f32[]",
	})
	testRandom = MustRegister(&Op{
		Name: "test_random", Doc: "Draws.", Results: []string{"out"}, NoGrad: "a test",
		Args: []Arg{{Name: "key", Types: DTypes(U64)}},
		Attrs: []AttrSpec{
			{Name: "shape", Kind: DimsAttr, Doc: "d"},
			{Name: "stream", Kind: IntAttr, Doc: "d"},
		},
		Infer: func(c *InferCtx) []Type { return []Type{TensorType{DType: F32, Shape: c.Dims("shape")}} },
		Ref:   func(*RefCtx) {}, Sample: "f32[]",
	})
	testApply = MustRegister(&Op{
		Name: "test_apply", Doc: "Calls its region.", NoGrad: "a test", NumRegions: 1,
		NumResults: func(_ Attrs, operands int) int { return operands },
		Args:       []Arg{{Name: "xs", Types: AnyType, Variadic: true}},
		Infer:      func(c *InferCtx) []Type { return c.In },
		Ref:        func(*RefCtx) {}, Sample: "f32[]",
	})
	testBranches = MustRegister(&Op{
		Name: "test_branches", Doc: "Carries as many regions as its attribute says.", NoGrad: "a test", Results: []string{"out"},
		Args:    []Arg{{Name: "x", Types: AnyType}},
		Attrs:   []AttrSpec{{Name: "branches", Kind: IntAttr, Doc: "d"}},
		Regions: func(a Attrs, _ int) int { return a.Int("branches") },
		Infer:   func(c *InferCtx) []Type { return c.In },
		Ref:     func(*RefCtx) {}, Sample: "f32[]",
	})
)
