package ops

import (
	"sync"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

// SamplesOf reads the samples on which tests try an op (see graph.Samples): those of its declaration, or for an op of this package those below.
// It is an error that an op has none, unless the compiler and the executor handle it themselves.
func SamplesOf(op *graph.Op) ([]graph.Sample, error) {
	own := *op
	if own.Sample == "" {
		once.Do(func() { texts = samples() })
		own.Sample = texts[op.Name]
	}
	if own.Sample == "" && !op.Props.Structural {
		return nil, errfmt.Errorf("op %q: Sample is missing", op.Name)
	}
	return graph.Samples(&own)
}

var (
	once  sync.Once         // nothing is made at start-up
	texts map[string]string // what samples returns
)

// samples returns the samples of this package's ops by their names, a line each. They stand apart from the declarations, where others
// write them, so that a program that tries no op does not link them: 20 kB of a service.
func samples() map[string]string {
	return map[string]string{
		"abs":                    unarySamples("", true),
		"acos":                   unarySamples("-0.9..0.9", false),
		"acosh":                  unarySamples("1.3..3.7", false),
		"adaptive_avg_pool":      adaptiveAvgPoolSamples,
		"adaptive_avg_pool_grad": adaptiveAvgPoolSamples,
		"add":                    addSamples,
		"and":                    andSamples,
		"argmax":                 argmaxSamples,
		"argmin":                 argmaxSamples,
		"asin":                   unarySamples("-0.9..0.9", false),
		"asinh":                  unarySamples("", false),
		"atan":                   unarySamples("", false),
		"atan2": `
			f64[2,3] 0.5..3 spread, [2,3] 0.5..3 spread
			f64[2,3,5] 0.5..3 spread, [3,1] 0.5..3 spread
			f64[4,1] 0.5..3 spread, [2,1,3] 0.5..3 spread
			f64[] 0.5..3 spread, [3] 0.5..3 spread
			f32|f16[2,3] 1..3, [3] 1..3
			f64[4] [1, -1, 0.5, -2], [4] [-2, -0.5, 1, 2]
			f32[5] [0, -0, 0, inf, nan], [5] [-1, -1, 0, -inf, 1] nograd "the cut and the origin"`,
		"atanh": unarySamples("-0.9..0.9", false),
		"avg_pool": `
			f64[2,3,7] {kernel=[3], strides=[2], pads=[0, 0], ceil_mode=false}
			f64[1,2,8] {kernel=[3], strides=[2], pads=[1, 1], ceil_mode=true}
			f64[2,3,5,4] {kernel=[3, 2], strides=[2, 1], pads=[0, 0, 0, 0], ceil_mode=false}
			f64[1,2,6,5] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true}
			f64[1,2,4,3,6] {kernel=[2, 2, 2], strides=[2, 1, 2], pads=[0, 0, 0, 0, 0, 0], ceil_mode=false}
			f64[1,2,8] {kernel=[3], strides=[2], pads=[1, 1], ceil_mode=true, count_include_pad=false}
			f64[1,2,6,5] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, count_include_pad=false}
			f64[1,2,6,5] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, divisor=3}
			f32|f16[1,2,6,5] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true}`,
		"avg_pool_grad": `
			f64[2,3,3] {kernel=[3], strides=[2], pads=[0, 0], ceil_mode=false, size=[7]}
			f64[1,2,5] {kernel=[3], strides=[2], pads=[1, 1], ceil_mode=true, size=[8]}
			f64[2,3,2,3] {kernel=[3, 2], strides=[2, 1], pads=[0, 0, 0, 0], ceil_mode=false, size=[5, 4]}
			f64[1,2,4,3] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, size=[6, 5]}
			f64[1,2,2,2,3] {kernel=[2, 2, 2], strides=[2, 1, 2], pads=[0, 0, 0, 0, 0, 0], ceil_mode=false, size=[4, 3, 6]}
			f64[1,2,5] {kernel=[3], strides=[2], pads=[1, 1], ceil_mode=true, count_include_pad=false, size=[8]}
			f64[1,2,4,3] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, count_include_pad=false, size=[6, 5]}
			f64[1,2,4,3] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, divisor=3, size=[6, 5]}
			f32|f16[1,2,4,3] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, size=[6, 5]}`,
		"binary_cross_entropy": `
			f64[2,3] 0.1..0.9, [2,3] 0.1..0.9
			f64[2,3] 0.1..0.9, [3] 0.1..0.9
			f32[2,5] 0.1..0.9, [2,5] 0.1..0.9
			f32[4] [0, 0, 1, 1], [4] [0, 1, 0, 1] nograd "the clamped logarithm has a kink"`,
		"cast": `
			f64[2,3] {to=f64}
			f64[4] [0.5, 0.25, -1.5, 3] {to=f32}
			f32[7] [1.5, -1.5, 1e30, -0.5, nan, inf, 300] {to=i32}
			f32[7] [1.5, 65519, 65520, 1e-8, nan, -inf, 300] {to=f16}
			f64[5] [1.00390625, 1.01171875, 3e38, 1e-41, -0] {to=bf16}
			f64[4] [300, -300, 2.6, 0.07] {to=f8e4m3fn}
			f32[4] [1e6, -inf, inf, 3] {to=f8e5m2}
			f32[4] [1e6, -inf, inf, 3] {to=f8e5m2, saturate=false}
			f32[4] [1e6, -inf, nan, 3] {to=f8e4m3fn, saturate=false}
			f16[2,3] {to=f32}
			i64[4] [300, -1, 9007199254740993, -129] {to=i8}
			i64[2] [9007199254740993, -9223372036854775808] {to=u64}
			u64[2] [18446744073709551615, 1] {to=f32}
			i8[2,3] {to=bool}
			bool[2,3] {to=f32}
			f32[3] [0, nan, 0.1] {to=bool}
			f32[3] [0.1, nan, -0] {to=string}
			string[3] ["1.5", "-inf", "1e3"] {to=f32}`,
		"ceil": unarySamples("", false),
		"celu": activationSamples(`-2.5..2.5`, ``, `{alpha=1.5}`),
		"clamp": `
			f64[2,5] spread, [] [-1], [] [1]
			f64[2,3] [-0.5, 0.75, 2.5, 0.2, -1.5, 0.1], [3] [0, -1, 2], [2,1] [1, 1.5]
			f32[17] [nan, inf, -inf, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 3e38, -100, 100], [] [-1], [] [0.5] nograd "kinks"
			i64[3] [9007199254740993, -5, 7], [] [-4], [] [9007199254740992]
			u8[2,3] 0..255, [] [3], [3] [9, 100, 200]`,
		"concat": `
			f64[2,3], [4,3] {axis=0}
			f64[2,3], [2,4], [2,1] {axis=1}
			f64[2,3,4], [2,3,0], [2,3,5] {axis=-1}
			f64[3] {axis=0}
			i64|u8|bool|string|f16[2,3], [2,4] {axis=1}`,
		"conv": `
			f64[2,3,7], [4,3,2] {strides=[1], pads=[0, 0], dilations=[1], groups=1}
			f64[1,4,9], [6,2,3] {strides=[2], pads=[1, 2], dilations=[2], groups=2}
			f64[2,3,5,6], [4,3,2,3] {strides=[1, 1], pads=[0, 0, 0, 1], dilations=[1, 1], groups=1}
			f64[1,2,7,5], [4,1,3,2] {strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 2], groups=2}
			f64[1,2,3,4,5], [3,2,2,1,3] {strides=[1, 2, 1], pads=[0, 0, 0, 0, 0, 0], dilations=[1, 1, 1], groups=1}
			f32[2,3,11,10], [5,3,3,3] {strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], groups=1}
			f16[2,3,6], [4,3,2] {strides=[1], pads=[0, 0], dilations=[1], groups=1}`,
		"conv_input_grad": `
			f64[2,4,6], [4,3,2] {strides=[1], pads=[0, 0], dilations=[1], groups=1, size=[7]}
			f64[1,6,4], [6,2,3] {strides=[2], pads=[1, 2], dilations=[2], groups=2, size=[9]}
			f64[2,4,4,5], [4,3,2,3] {strides=[1, 1], pads=[0, 0, 0, 1], dilations=[1, 1], groups=1, size=[5, 6]}
			f64[1,4,3,4], [4,1,3,2] {strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 2], groups=2, size=[7, 5]}
			f64[1,3,2,2,3], [3,2,2,1,3] {strides=[1, 2, 1], pads=[0, 0, 0, 0, 0, 0], dilations=[1, 1, 1], groups=1, size=[3, 4, 5]}
			f32[2,5,11,10], [5,3,3,3] {strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], groups=1, size=[11, 10]}
			f16[2,4,5], [4,3,2] {strides=[1], pads=[0, 0], dilations=[1], groups=1, size=[6]}`,
		"conv_weight_grad": `
			f64[2,3,7], [2,4,6] {strides=[1], pads=[0, 0], dilations=[1], groups=1, size=[2]}
			f64[1,4,9], [1,6,4] {strides=[2], pads=[1, 2], dilations=[2], groups=2, size=[3]}
			f64[2,3,5,6], [2,4,4,5] {strides=[1, 1], pads=[0, 0, 0, 1], dilations=[1, 1], groups=1, size=[2, 3]}
			f64[1,2,7,5], [1,4,3,4] {strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 2], groups=2, size=[3, 2]}
			f64[1,2,3,4,5], [1,3,2,2,3] {strides=[1, 2, 1], pads=[0, 0, 0, 0, 0, 0], dilations=[1, 1, 1], groups=1, size=[2, 1, 3]}
			f32[2,3,11,10], [2,5,11,10] {strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], groups=1, size=[3, 3]}
			f16[2,3,6], [2,4,5] {strides=[1], pads=[0, 0], dilations=[1], groups=1, size=[2]}`,
		"cos":  unarySamples("", false),
		"cosh": unarySamples("", false),
		"count": `
			f64[2,3] {axes=[1]}
			bool[2,0,5] {axes=[0, 2]}
			f32[2,3,4] {axes=[2, 0], least=8, reason="want 8"}
			f32[2] {axes=[]}`,
		"cumprod": `
			f64[2,3,4] {axis=-1, exclusive=false, reverse=false}
			f64[3,2] {axis=0, exclusive=true, reverse=false}
			f64[5] {axis=-1, exclusive=false, reverse=true}
			f64[4,3] {axis=0, exclusive=false, reverse=true}
			f32[2,3,4] {axis=-1, exclusive=true, reverse=false}
			i8[3,5] {axis=0, exclusive=false, reverse=false}
			u8[3,2] {axis=-1, exclusive=false, reverse=true}
			f64[2,0] {axis=0, exclusive=true, reverse=true}
			f16[4] {axis=-1, exclusive=false, reverse=false}
			f64[2,4] [1.5, 0, -2, 3, 0, 0.5, 0, 2] {axis=1}
			f64[4] [1.5, 0, -2, 3] {axis=0, exclusive=true, reverse=true}`,
		"cumsum": `
			f64[2,3,4] {axis=-1, exclusive=false, reverse=false}
			f64[3,2] {axis=0, exclusive=true, reverse=false}
			f64[5] {axis=-1, exclusive=false, reverse=true}
			f64[4,3] {axis=0, exclusive=false, reverse=true}
			f32[2,3,4] {axis=-1, exclusive=true, reverse=false}
			i8[3,5] {axis=0, exclusive=false, reverse=false}
			u8[3,2] {axis=-1, exclusive=false, reverse=true}
			f64[2,0] {axis=0, exclusive=true, reverse=true}
			f16[4] {axis=-1, exclusive=false, reverse=false}`,
		"custom_grad": `
			f64[2,3], [3], [] nograd "the captured operand has a derivative but, by definition, no gradient"
			f64[2,3]`,
		"dim_size": `
			f64[2,3] {axis=1}
			bool[2,0,5] {axis=-2}`,
		"div": `
			f64[2,3] 0.5..3 spread, [2,3] 0.5..3 spread
			f64[2,3,5] 0.5..3 spread, [3,1] 0.5..3 spread
			f64[4,1] 0.5..3 spread, [2,1,3] 0.5..3 spread
			f64[] 0.5..3 spread, [3] 0.5..3 spread
			i8|u8|i64|f16[2,3] 1..3, [3] 1..3
			i8[4] [-7, 7, -128, -9], [4] [2, -2, -1, -4]`,
		"dropout": `
			f64[2,3,5], u64[2] [12345678901234567, 3] {p=0.5, shared=[], stream=5}
			f64[2,3,4], u64[2] [12345678901234567, 3] {p=0.3, shared=[-1, 1], stream=5}
			f64[2,3], u64[2] [12345678901234567, 3] {p=0, shared=[], stream=5}
			f64[2,3], u64[2] [12345678901234567, 3] {p=1, shared=[], stream=5}
			f32[7,5], u64[2] [12345678901234567, 3] {p=0.25, shared=[], stream=5}
			f16[5], u64[2] [12345678901234567, 3] {p=0.5, shared=[], stream=5}`,
		"elu":   activationSamples(`-2.5..2.5`, ``, `{alpha=0.7}`),
		"equal": equalSamples,
		"erf":   unarySamples("", false),
		"erfc":  unarySamples("", false),
		"exp":   unarySamples("", false),
		"expand": `
			f64|i64|u8|bool|string|f16[3,1] {shape=[2, 3, 4]}
			f64|i64[] {shape=[2, 3]}
			f64|i64[1,2,1] {shape=[3, 2, 5]}
			f64[1,3] {shape=[0, 3]}
			f64[2,3] {shape=[2, 3]}`,
		"expm1": unarySamples("", false),
		"floor": unarySamples("", false),
		"floor_div": `
			f64[2,3] 0.5..3 spread, [2,3] 0.5..3 spread
			f64[2,3,5] 0.5..3 spread, [3,1] 0.5..3 spread
			f64[4,1] 0.5..3 spread, [2,1,3] 0.5..3 spread
			f64[] 0.5..3 spread, [3] 0.5..3 spread
			i64|u8|f32[2,3] 1..3, [3] 1..3
			i8[4] [-7, 7, -128, -8], [4] [2, -2, 3, -4]
			f32[5] [-7, 7, -0.5, 1, 0], [5] [2, -2, 3, 0, -4]`,
		"fmod": fmodSamples,
		"fused": `
			f32[2,3], [3]`,
		"gather": `
			f64[5,3], i64[4] [4, 0, -2, 0] {axis=0}
			f64[2,5,3], i32[4,1] [1, 1, -5, 3] {axis=1}
			f64[2,5], i64[] [3] {axis=-1}
			f64[4], i64[0] [] {axis=0}
			i64[4,3], i64[2] [3, 1] {axis=0}
			u8[4,3], i32[2] [3, 1] {axis=0}
			bool[3,4], i64[2] [3, 1] {axis=1}
			string[3,4], i64[2] [3, 1] {axis=1}
			f16[3,4], i64[2] [3, 1] {axis=1}`,
		"gather_elements": `
			f64[5,3], i64[2,3] [4, 0, -2, 4, 1, 1] {axis=0}
			f64[3,5], i32[2,4] [1, 1, -5, 3, 0, 4, 4, 2] {axis=1}
			f64[2,3], i64[2,0] [] {axis=-1}
			i64[4,2], i64[1,2] [3, 1] {axis=0}
			u8[4,2], i64[1,2] [3, 1] {axis=0}
			bool[4,2], i64[1,2] [3, 1] {axis=0}
			string[4,2], i64[1,2] [3, 1] {axis=0}
			f16[4,2], i32[1,2] [3, 1] {axis=0}`,
		"gelu":          activationSamples(`-2.5..2.5`, ``, `{approximate="tanh"}`),
		"greater":       greaterSamples,
		"greater_equal": greaterSamples,
		"hardshrink":    activationSamples(`-2.5..2.5`, ``, `{lambda=1}`),
		"hardsigmoid":   activationSamples(`-5..5`, ``, `{alpha=0.3, beta=0.4}`),
		"hardswish":     activationSamples(`-5..5`, ``, ``),
		"hardtanh":      activationSamples(`-2.5..2.5`, ``, `{min=-0.5, max=2}`),
		"heaviside":     activationSamples(`-2.5..2.5`, ``, `{value=0.5}`),
		"index_add": `
			f64[5,3], i64[4] [4, 0, -2, 0], f64[4,3] {axis=0}
			f64[2,5,3], i32[4,1] [1, 1, -5, 3], f64[2,4,1,3] {axis=1}
			f64[2,5], i64[] [3], f64[2] {axis=-1}
			f64[4], i64[0] [], f64[0] {axis=0}
			i64[4,3], i64[2] [3, 3], i64[2,3] {axis=0}
			u8[4,3], i32[2] [3, 1], u8[2,3] {axis=0}
			f16[3,4], i64[2] [3, 1], f16[3,2] {axis=1}`,
		"iota": `
			{shape=[5]}
			{shape=[2, 3, 4], axis=1, dtype=f64}
			{shape=[2, 3], axis=-1, dtype=u8}
			{shape=[0], dtype=f16}`,
		"isinf": isinfSamples,
		"isnan": isinfSamples,
		"layer_norm": `
			f64[3,5], [5], [5]
			f64[2,3,4], [3,4], [3,4] {axes=2, eps=0.01}
			f64[2,3], [3]
			f64[2,5]
			f32[4,33], [33], [33]`,
		"leaky_relu":  activationSamples(`-2.5..2.5`, ``, `{slope=0.2}`),
		"less":        greaterSamples,
		"less_equal":  greaterSamples,
		"log":         unarySamples("0.3..3.7", false),
		"log1p":       unarySamples("-0.7..2.7", false),
		"log_sigmoid": activationSamples(`-2.5..2.5`, ``, ``),
		"log_softmax": logSoftmaxSamples,
		"logaddexp": `
			f64[2,3] spread, [2,3] spread
			f64[2,3,5] spread, [3,1] spread
			f64[4,1] spread, [2,1,3] spread
			f64[] spread, [3] spread
			f32|f16[2,3] 1..3, [3] 1..3
			f32[8] [1000, -1000, inf, -inf, -inf, inf, nan, -inf], [8] [1000, -1001, 1, -inf, 2, -inf, inf, nan] nograd "infinities"`,
		"logcumsumexp": `
			f64[2,3,4] {axis=-1}
			f64[3,2] {axis=0}
			f64[5] 700..720 {axis=0}
			f64[2,0] {axis=0}
			f32[2,3,4] {axis=1}
			f16[4] {axis=-1}
			f32[2,5] [-inf, -inf, 1000, -inf, 1001, -1000, inf, 0, nan, 1] {axis=1} nograd "infinities"`,
		"logsumexp": `
			f64[2,3,5] {axes=[1], keepdims=false}
			f64[2,3,4] {axes=[0, 2], keepdims=true}
			f64[3,2] {axes=[-1], keepdims=false}
			f64[2,3] {axes=[0, 1], keepdims=false}
			f64[3] {axes=[], keepdims=false}
			f64[] {axes=[], keepdims=false}
			f64[2,0,3] {axes=[1], keepdims=false}
			f32|f16[2,3,5] {axes=[2, 0], keepdims=false}
			f64[5,3] [10000, 10000, -10000, -100000, -100000, -100000, -inf, 0, 1, -inf, -inf, -inf, inf, 0, 1] {axes=[1]} nograd "infinities"`,
		"matmul": `
			f64[2,3], [3,4] {transpose_a=false, transpose_b=false}
			f64[3,2], [3,4] {transpose_a=true, transpose_b=false}
			f64[2,3], [4,3] {transpose_a=false, transpose_b=true}
			f64[3,2], [4,3] {transpose_a=true, transpose_b=true}
			f64[5,2,3], [3,4] {transpose_a=false, transpose_b=false}
			f64[5,3,2], [4,3] {transpose_a=true, transpose_b=true}
			f64[2,3], [5,3,4] {transpose_a=false, transpose_b=false}
			f64[5,1,2,3], [4,6,3] {transpose_a=false, transpose_b=true}
			f64[2,0], [0,3] {transpose_a=false, transpose_b=false}
			f32[7,17], [17,5] {transpose_a=false, transpose_b=false}
			f32[17,7], [5,17] {transpose_a=true, transpose_b=true}
			f16[2,3], [3,4] {transpose_a=false, transpose_b=false}
			i8[2,3] -100..100, [3,4] -100..100
			u8[2,3] 0..255, [3,4] 0..255
			i64[1,2] [9007199254740993, 1], [2,1] [3, -2]`,
		"max_pool": `
			f64[1,3,9] spread {kernel=[3], strides=[1], pads=[1, 2], ceil_mode=false, dilations=[2]}
			f32[1,1,7] [1, 1, nan, -inf, -inf, -0, 0] {kernel=[2], strides=[1], pads=[0, 0], ceil_mode=false, dilations=[1]} nograd "ties and NaN"
			f64[2,3,7] spread {kernel=[3], strides=[2], pads=[0, 0], ceil_mode=false, dilations=[1]}
			f64[1,2,8] spread {kernel=[3], strides=[2], pads=[1, 1], ceil_mode=true, dilations=[1]}
			f64[2,3,5,4] spread {kernel=[3, 2], strides=[2, 1], pads=[0, 0, 0, 0], ceil_mode=false, dilations=[1, 1]}
			f64[1,2,6,5] spread {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, dilations=[1, 1]}
			f64[1,2,4,3,6] spread {kernel=[2, 2, 2], strides=[2, 1, 2], pads=[0, 0, 0, 0, 0, 0], ceil_mode=false, dilations=[1, 1, 1]}
			f32|i64|u8|f16[1,2,6,5] {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=true, dilations=[1, 1]}`,
		"max_pool_grad": `
			f64[2,1,3], i64[2,1,3] [4, 0, 2, 1, 1, 1] {size=[5]}
			f64[1,2,3,4], i64[1,2,3,4] 0..29 {size=[6, 5]}
			f32[1,2,1,3,4], i64[1,2,1,3,4] 0..59 {size=[2, 6, 5]}
			i8[1,2,3,4], i64[1,2,3,4] 0..29 {size=[6, 5]}
			f32[1,2,3,1], i64[1,2,3,1] -30..29 {size=[6, 5]}`,
		"maximum": maximumSamples,
		"minimum": maximumSamples,
		"mish":    activationSamples(`-2.5..2.5`, ``, ``),
		"mul":     addSamples,
		"neg":     unarySamples("", true),
		"nonzero": `
			f64[2,3] [0, 1.5, -0, nan, 0, 2] {id=0}
			bool[4] {id=7}
			i8[2,3,5] -1..1 {id=1}`,
		"not": `
			bool[2,3]
			bool[]`,
		"not_equal": equalSamples,
		"or":        andSamples,
		"pad": `
			f64[2,3], [] {low=[1, 0], high=[2, 4]}
			f64[4,5], [] {low=[-1, 2], high=[3, -3]}
			f64[3], [] {low=[-5], high=[9]}
			f64[], [] {low=[], high=[]}
			i64|u8|bool|string[2,3], [] {low=[1, 0], high=[0, 1]}
			f16[0,3], [] {low=[1, 0], high=[1, -3]}`,
		"pad_mode": `
			f64[3,4] {mode="reflect", low=[1, 2], high=[0, 3]}
			f64[5,2] {mode="reflect", low=[-1, 5], high=[-1, 4]}
			f64[3,4] {mode="edge", low=[1, 2], high=[0, 3]}
			f64[5,2] {mode="edge", low=[-1, 5], high=[-1, 4]}
			f64[3,4] {mode="wrap", low=[1, 2], high=[0, 3]}
			f64[5,2] {mode="wrap", low=[-1, 5], high=[-1, 4]}
			i64|u8|bool|string|f16[2,3] {mode="reflect", low=[1, 2], high=[1, 0]}`,
		"pad_mode_grad": `
			f64[4,9] {mode="reflect", low=[1, 2], high=[0, 3], shape=[3, 4]}
			f64[3,11] {mode="reflect", low=[-1, 5], high=[-1, 4], shape=[5, 2]}
			f64[4,9] {mode="edge", low=[1, 2], high=[0, 3], shape=[3, 4]}
			f64[3,11] {mode="edge", low=[-1, 5], high=[-1, 4], shape=[5, 2]}
			f64[4,9] {mode="wrap", low=[1, 2], high=[0, 3], shape=[3, 4]}
			f64[3,11] {mode="wrap", low=[-1, 5], high=[-1, 4], shape=[5, 2]}
			i64|u8|f16[4,5] {mode="reflect", low=[1, 2], high=[1, 0], shape=[2, 3]}`,
		"pow": `
			f64[2,3] 0.3..2.7 spread, [2,3] 0.3..2.7 spread
			f64[2,3,5] 0.3..2.7 spread, [3,1] 0.3..2.7 spread
			f64[4,1] 0.3..2.7 spread, [2,1,3] 0.3..2.7 spread
			f64[] 0.3..2.7 spread, [3] 0.3..2.7 spread
			f32|u8|f16[2,3] 1..3, [3] 1..3
			i64[2,3] -3..3, [3] [0, 3, -1]
			f64[7] [0, 0, 2, -2, -2, 0, -0.5], [7] [0, 2, 0, 2, 3, 1, 0.5] nograd "bases of 0 and below have no derivative by the exponent"`,
		"prelu": `
			f64[2,3] spread, [3]
			f64[2,3,5] spread, [3,1]
			f64[4] spread, []
			f32[17] [nan, inf, -inf, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 3e38, -100, 100], [] nograd "kinks and infinities"`,
		"random_normal": `
			u64[2] [81985529216486895, 4294967303] {shape=[2, 3, 5], dtype=f32, stream=0, mean=-1.5, std=2}
			u64[2] [81985529216486895, 4294967303] {shape=[7], dtype=f64, stream=7, mean=-1.5, std=2}
			u64[2] [81985529216486895, 4294967303] {shape=[], dtype=f16, stream=14, mean=-1.5, std=2}
			u64[2] [81985529216486895, 4294967303] {shape=[0, 2], dtype=bf16, stream=21, mean=-1.5, std=2}`,
		"random_uniform": `
			u64[2] [81985529216486895, 4294967303] {shape=[2, 3, 5], dtype=f32, stream=0, low=-1.5, high=2}
			u64[2] [81985529216486895, 4294967303] {shape=[7], dtype=f64, stream=7, low=-1.5, high=2}
			u64[2] [81985529216486895, 4294967303] {shape=[], dtype=f16, stream=14, low=-1.5, high=2}
			u64[2] [81985529216486895, 4294967303] {shape=[0, 2], dtype=bf16, stream=21, low=-1.5, high=2}`,
		"reciprocal": unarySamples("0.4..3", false),
		"recurrence": `
			f64[2,3,4], [2,3,4] {axis=-1, reverse=false, lag=false}
			f64[3,2], [3,2] {axis=0, reverse=false, lag=true}
			f64[5], [5] {axis=-1, reverse=true, lag=false}
			f64[4], [4] {axis=0, reverse=true, lag=false}
			f32[3,2], [3,2] {axis=-1, reverse=false, lag=true}
			f64[2,0], [2,0] {axis=0, reverse=false, lag=false}
			f64[1,2], [1,2] {axis=-1, reverse=true, lag=false}`,
		"reduce_all": reduceAllSamples,
		"reduce_any": reduceAllSamples,
		"reduce_l1":  reduceL1Samples,
		"reduce_l2":  reduceL1Samples,
		"reduce_max": reduceMaxSamples,
		"reduce_mean": `
			f64[2,3,5] {axes=[1], keepdims=false}
			f64[2,3,4] {axes=[0, 2], keepdims=true}
			f64[3,2] {axes=[-1], keepdims=false}
			f64[2,3] {axes=[0, 1], keepdims=false}
			f64[3] {axes=[], keepdims=false}
			f64[] {axes=[], keepdims=false}
			f64[2,0,3] {axes=[1], keepdims=false}
			f32|f16[2,3,5] {axes=[2, 0], keepdims=false}`,
		"reduce_min": reduceMaxSamples,
		"reduce_prod": `
			f64[2,3,5] {axes=[1], keepdims=false}
			f64[2,3,4] {axes=[0, 2], keepdims=true}
			f64[3,2] {axes=[-1], keepdims=false}
			f64[2,3] {axes=[0, 1], keepdims=false}
			f64[3] {axes=[], keepdims=false}
			f64[] {axes=[], keepdims=false}
			f64[2,0,3] {axes=[1], keepdims=false}
			f32|i8|u8|i64|f16[2,3,5] {axes=[2, 0], keepdims=false}
			f64[2,3] [1.5, 0, -2, 0.5, 3, 2] {axes=[1]}
			f64[2,3] [0, 0, 2, 1.5, 0, 0] {axes=[1]}`,
		"reduce_sum": `
			f64[2,3,5] {axes=[1], keepdims=false}
			f64[2,3,4] {axes=[0, 2], keepdims=true}
			f64[3,2] {axes=[-1], keepdims=false}
			f64[2,3] {axes=[0, 1], keepdims=false}
			f64[3] {axes=[], keepdims=false}
			f64[] {axes=[], keepdims=false}
			f64[2,0,3] {axes=[1], keepdims=false}
			f32|i8|u8|i64|f16[2,3,5] {axes=[2, 0], keepdims=false}`,
		"relu":      unarySamples("", true),
		"remainder": fmodSamples,
		"reshape": `
			f64|i64|u8|bool|string|f16[2,3,4] {shape=[4, 6]}
			f64|i64[] {shape=[1, 1]}
			f64|i64[1] {shape=[]}
			f64|i64[2,0,3] {shape=[0, 5]}`,
		"round": unarySamples("", false),
		"rsqrt": unarySamples("0.3..3.7", false),
		"scatter_add": `
			f64[5,3], i64[2,3] [4, 0, -2, 4, 1, 1], f64[2,3] {axis=0}
			f64[3,5], i32[2,4] [1, 1, -5, 3, 0, 4, 4, 2], f64[2,4] {axis=1}
			f64[2,3], i64[2,0] [], f64[2,0] {axis=-1}
			i64[4,2], i64[2,1] [3, 3], i64[2,1] {axis=0}
			u8[4,2], i64[1,2] [3, 1], u8[1,2] {axis=0}
			f16[4,2], i32[1,2] [3, 1], f16[1,2] {axis=0}`,
		"selu": activationSamples(`-2.5..2.5`, ``, `{alpha=0.7, gamma=2}`),
		"shift": `
			f64[2,3,5] {axis=1, by=1}
			f64[4,3] {axis=-2, by=-2}
			i64[4,3] {axis=0, by=7}
			bool[3] {axis=0, by=-1}
			f32[2,0] {axis=1, by=1}`,
		"sigmoid": unarySamples("", false),
		"sign":    unarySamples("", true),
		"silu":    activationSamples(`-2.5..2.5`, ``, ``),
		"sin":     unarySamples("", false),
		"sinh":    unarySamples("", false),
		"slice": `
			f64|i64|u8|bool|string|f16[3,4,5] {starts=[0, 1, 0], limits=[3, 3, 5], steps=[1, 1, 2]}
			f64|i64|u8|bool[4,5] {starts=[3, 4], limits=[-1, 1], steps=[-1, -2]}
			f64|i64[3,2] {starts=[2, 0], limits=[2, 2], steps=[1, 1]}
			f64[7] {starts=[1], limits=[7], steps=[3]}
			f64[] {starts=[], limits=[], steps=[]}`,
		"slice_grad": `
			f64|i64|u8|bool[3,2,3] {starts=[0, 1, 0], limits=[3, 3, 5], steps=[1, 1, 2], shape=[3, 4, 5]}
			f64|i64[4,2] {starts=[3, 4], limits=[-1, 1], steps=[-1, -2], shape=[4, 5]}
			f64[0,2] {starts=[2, 0], limits=[2, 2], steps=[1, 1], shape=[3, 2]}`,
		"softmax": logSoftmaxSamples,
		"softmax_cross_entropy": `
			f64[2,4], i64[2] [3, 1]
			f64[3,4], i64[3] [3, -100, 0], f64[4] 0.5..2 {label_smoothing=0.3}
			f64[2,3,4], i32[2,4] [0, 2, 1, 2, 1, 2, 0, 0], f64[3] 0.5..2 {ignore_index=1}
			f64[2,5,1,3], i64[2,1,3] 0..4 {label_smoothing=0.1}
			f64[4], i64[] [2]
			f32[3,10], i64[3] 0..9
			f32[2,3] [10000, -10000, 0, 1e4, 1e4, -1e4], i64[2] [1, 2] nograd "the difference quotient of huge logits is inexact"`,
		"softplus":   activationSamples(`-2.5..2.5`, ``, `{beta=2.5, threshold=3.3}`),
		"softshrink": activationSamples(`-2.5..2.5`, ``, `{lambda=1}`),
		"softsign":   activationSamples(`-2.5..2.5`, ``, ``),
		"sort": `
			f64[3,5] spread {axis=-1, descending=false}
			f64[4,3] spread {axis=0, descending=true}
			f32[8] [1, nan, -0, 0, inf, nan, 1, -inf] {axis=0, descending=false}
			f32[8] [1, nan, -0, 0, inf, nan, 1, -inf] {axis=0, descending=true}
			i64[4] [9007199254740992, 9007199254740993, 9007199254740993, -1] {axis=0, descending=false}
			u8[2,3] spread {axis=1, descending=true}
			bool[5] [true, false, true, false, false] {axis=0, descending=true}
			string[4] ["b", "", "ab", "b"] {axis=0, descending=false}
			f16[3,4] spread {axis=0, descending=false}`,
		"split": `
			f64|i64|u8|bool|string|f16[2,7,3] {axis=1, sizes=[4, 0, 2, 1]}
			f64|i64[5,2] {axis=-2, sizes=[5]}
			f64[2,6] {axis=-1, sizes=[1, 5]}`,
		"sqrt":   unarySamples("0.3..3.7", false),
		"square": unarySamples("", true),
		"standardize": `
			f64[3,5] {axes=[1]}
			f64[2,3,5] {axes=[0, -1], eps=0.1}
			f64[2,3,4] {axes=[0, 1, 2]}
			f32[4,7] {axes=[-1]}`,
		"standardize_grad": `
			f64[3,5], [3,5], [3,1] 0.5..2 {axes=[1]}
			f64[2,3,5], [2,3,5], [1,3,1] 0.5..2 {axes=[0, -1]}
			f64[2,3,4], [2,3,4], [1,1,1] 0.5..2 {axes=[0, 1, 2]}
			f64[5,3], [5,3], [1,3] 0.5..2 {axes=[0]}`,
		"std": stdSamples,
		"stop_gradient": `
			f64[2,3] nograd "the gradient is zero by definition, the derivative is not"
			i8[3]`,
		"sub":  addSamples,
		"tan":  unarySamples("-1.2..1.2", false),
		"tanh": unarySamples("", false),
		"threshold": `
			f64[2,5] -2.5..2.5 spread {threshold=1, value=20}
			f32[3,5] -2.5..2.5 spread {threshold=1, value=20}
			f16[7] -2.5..2.5 spread {threshold=1, value=20}
			f32[17] [nan, inf, -inf, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 3e38, -100, 100]{threshold=1, value=20} nograd "kinks and infinities"`,
		"topk": `
			f64[3,5] spread {axis=-1, k=2, largest=true}
			f64[4,3,2] spread {axis=0, k=3, largest=false}
			f64[3] spread {axis=0, k=0, largest=true}
			f32[8] [1, nan, -0, 0, inf, nan, 1, -inf] {axis=0, k=6, largest=true} nograd "ties and NaN"
			f32[6] [1, nan, -0, 0, -1, 1] {axis=0, k=5, largest=false}
			i64[4] [9007199254740992, 9007199254740993, 9007199254740993, -1] {axis=0, k=3, largest=true}
			u64[3] [1, 18446744073709551615, 0] {axis=0, k=2, largest=true}
			i8[2,3] spread {axis=1, k=2, largest=false}
			f16[3,4] spread {axis=0, k=2, largest=true}`,
		"transpose": `
			f64|i64|u8|bool|string|f16[2,3,4] {perm=[2, 0, 1]}
			f64|i64[2,3] {perm=[1, 0]}
			f64[] {perm=[]}
			f64[2,3,4,5] {perm=[0, 2, 1, 3]}`,
		"tril":  trilSamples,
		"triu":  trilSamples,
		"trunc": unarySamples("", false),
		"var":   stdSamples,
		"where": `
			bool[2,3], f64[2,3], f64[2,3]
			bool[2,1] [true, false], f64[3], f64[4,1,1]
			bool[3] [true, false, true], f64[2,3], f64[]
			bool[] [true], i64[2,3], i64[3]
			bool[3], u8[2,3], u8[3]
			bool[3], bool[2,3], bool[3]
			bool[2] [true, false], string[2] ["a", "b"], string[2] ["c", "d"]
			bool[4] [true, false, true, false], f32[4] [nan, nan, -0, inf], f32[4] [1, -0, nan, 2] nograd "NaN"`,
		"xor": andSamples,
	}
}

// edges are the operands on which every function of floats is tried.
const edges = " [nan, inf, -inf, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 3e38, -100, 100]"

// unarySamples are those of a function of one number: within a range, -2..2 if it is "", on the edges, and of integers.
func unarySamples(within string, integers bool) string {
	s := "f64[2,3] " + within + " spread\n" +
		"f32[3,5] " + within + ` nograd "a kink may be near"` + "\n" +
		"f16[5] " + within + ` nograd "a kink may be near"` + "\n" +
		"f32[] " + within + " spread\n" +
		"f32[17]" + edges + ` nograd "kinks, poles and infinities"` + "\n"
	if integers {
		s += `
			i8[5] [-128, 127, 0, -1, 3]
			i64[2] [-9223372036854775808, 9007199254740993]
			u8[2,3] 0..255`
	}
	return s
}

// activationSamples are those of an activation: within a range, with the attributes that have no default, and with others once more.
func activationSamples(within, needed, other string) string {
	within += " spread "
	s := "f64[2,5] " + within + needed + "\n" +
		"f32[3,5] " + within + needed + "\n" +
		"f16[7] " + within + needed + "\n" +
		"f32[17]" + edges + " " + needed + ` nograd "kinks and infinities"` + "\n"
	if other != "" {
		s += "f64[3,4] " + within + other
	}
	return s
}

// Of several ops.
const (
	adaptiveAvgPoolSamples = `
		f64[2,3,7] {size=[4]}
		f64[1,2,5,8] {size=[3, 4]}
		f64[1,2,3,2] {size=[5, 2]}
		f32[1,2,3,4,5] {size=[1, 2, 3]}
		f16[1,2,7] {size=[3]}`
	addSamples = `
		f64[2,3] spread, [2,3] spread
		f64[2,3,5] spread, [3,1] spread
		f64[4,1] spread, [2,1,3] spread
		f64[] spread, [3] spread
		i8|u8|i64|f16[2,3] 1..3, [3] 1..3`
	andSamples = `
		bool[4] [true, true, false, false], [4] [true, false, true, false]
		bool[2,1,3], [5,1]
		bool[], [3]`
	argmaxSamples = `
		f64[2,3,5] {axis=1, keepdims=false}
		f32[2,3,5] {axis=-1, keepdims=true}
		f32[4,3] [1, nan, nan, 2, 2, 1, -0, 0, -0, -inf, inf, inf] {axis=1, keepdims=false}
		i64[2,3] [9007199254740992, 9007199254740993, 1, -1, -1, -1] {axis=1, keepdims=false}
		u64[2] [1, 18446744073709551615] {axis=0, keepdims=false}
		i8[3,2] {axis=0, keepdims=true}
		f16[0,2] {axis=1, keepdims=false}`
	equalSamples = `
		f64[2,3], [3]
		f32[4,1], [2,1,3]
		f32[6] [nan, 1, 0, inf, 2, nan], [6] [1, nan, -0, inf, 3, nan]
		f16[2,3], []
		i8[2,3] -2..2, [3] -2..2
		i64[2] [9007199254740993, -1], [2] [9007199254740992, -1]
		u64[2] [18446744073709551615, 1], [2] [18446744073709551614, 1]
		bool[2,3], [3]
		string[2] ["a", "b"], [] ["a"]`
	fmodSamples = `
		f64[2,3] 2.2..2.8 spread, [2,3] -2.05..-1.7 spread
		f64[2,3] -2.8..-2.2 spread, [3] 1.7..2.05 spread
		i64[2,3] -9..9, [3] [-4, 3, 5]
		i8[4] [-128, -7, 7, -128], [4] [-1, 2, -2, 3]
		u8[2,3] 0..255, [] 7..7
		f32[5] [-7.5, 7.5, inf, 1, -0], [5] [2, -2, 3, 0, 4] nograd "infinities and a zero divisor"`
	greaterSamples = `
		f64[2,3], [3]
		f32[4,1], [2,1,3]
		f32[6] [nan, 1, 0, inf, 2, nan], [6] [1, nan, -0, inf, 3, nan]
		f16[2,3], []
		i8[2,3] -2..2, [3] -2..2
		i64[2] [9007199254740993, -1], [2] [9007199254740992, -1]
		u64[2] [18446744073709551615, 1], [2] [18446744073709551614, 1]`
	isinfSamples = `
		f32[17] [nan, inf, -inf, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 3e38, -100, 100]
		f64[2,3] [nan, inf, -inf, 1, 0, -1e308]
		f16[3] [nan, 65504, -inf]`
	logSoftmaxSamples = `
		f64[2,3,5] {axis=1}
		f64[3,4] {axis=-1}
		f64[3,1] {axis=1}
		f64[2,0] {axis=1}
		f32[3,5] {axis=0}
		f16[2,3] {axis=1}
		f64[2,3] [0, -inf, 1, -inf, -inf, 2] {axis=1} nograd "infinities"
		f64[2,3] [1000, 1001, -1000, -1e5, -1e5, -100001] {axis=1} nograd "the difference quotient of huge logits is inexact"
		f32[3,2] [-inf, -inf, nan, 0, inf, 0] {axis=1} nograd "NaN"`
	maximumSamples = `
		f64[2,3] [1.5, -2, 0.25, 3, -1, 0], [3] [2, -1.5, 0.125]
		f64[2,1] [0.5, -0.5], [3] [1.25, -1.25, 0.125]
		f64[] [0.5], [3] [1.25, -1.25, 0.125]
		i8[2,3] -9..9, [3] -9..9
		u64[2] [18446744073709551615, 1], [2] [18446744073709551614, 2]
		i64[2] [9223372036854775807, -9223372036854775808], [2] [9223372036854775806, -9223372036854775807]
		f32[6] [nan, 1, -0, 0, inf, nan], [6] [1, nan, 0, -0, nan, -inf] nograd "ties and NaN"
		f16[2,3], [3] nograd "ties may occur"`
	reduceAllSamples = `
		bool[2,3,5] {axes=[2, 0], keepdims=false}`
	reduceL1Samples = `
		f64[2,3,5] spread {axes=[1], keepdims=false}
		f64[2,3,4] spread {axes=[0, 2], keepdims=true}
		f64[3,2] spread {axes=[-1], keepdims=false}
		f64[2,3] spread {axes=[0, 1], keepdims=false}
		f64[3] spread {axes=[], keepdims=false}
		f64[] spread {axes=[], keepdims=false}
		f64[2,0,3] spread {axes=[1], keepdims=false}
		f32|f16[2,3,5] spread {axes=[2, 0], keepdims=false}`
	reduceMaxSamples = `
		f64[2,3,5] spread {axes=[1], keepdims=false}
		f64[2,3,4] spread {axes=[0, 2], keepdims=true}
		f64[3,2] spread {axes=[-1], keepdims=false}
		f64[2,3] spread {axes=[0, 1], keepdims=false}
		f64[3] spread {axes=[], keepdims=false}
		f64[] spread {axes=[], keepdims=false}
		f64[2,0,3] spread {axes=[1], keepdims=false}
		f32|f16[2,3,5] spread {axes=[2, 0], keepdims=false}
		i8|u8|i64[2,3,5] {axes=[2, 0], keepdims=false}
		f64[2,3] [1, 1, 1, -2, 3, 3] {axes=[1]} nograd "ties"
		f32[3,2] [1, nan, -0, 0, -inf, inf] {axes=[1]} nograd "NaN and ties"
		i8[2,0] {axes=[1]}
		u64[2] [18446744073709551615, 1] {axes=[0]}`
	stdSamples = `
		f64|f32[2,3,4] {axes=[1], correction=0, keepdims=false}
		f64|f32[2,3,4] {axes=[0, 2], correction=1, keepdims=true}
		f64|f32[2,3,4] {axes=[-1], correction=0, keepdims=false}
		f64|f32[2,3,4] {axes=[0, 1, 2], correction=1, keepdims=true}`
	trilSamples = `
		f64[3,4]
		f64[2,4,3] {diagonal=1}
		f32[4,3] {diagonal=-1}
		i64[3,4] {diagonal=7}
		u8[3,4] {diagonal=-2}
		bool[3,4]`
)
