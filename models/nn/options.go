package nn

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/models/initializer"
)

// Option changes a layer. Each option names the layers that take it; another layer reports it as a fault.
type Option struct {
	name string
	set  func(o *options)
}

type options struct {
	name        string
	noBias      bool
	stride      []int
	padding     []int
	same        bool
	paddingMode string
	dilation    []int
	groups      int
	outPadding  []int

	ceilMode        bool
	noPadCount      bool
	divisor         int
	affine          bool
	runningStats    bool
	eps             float64
	momentum        float64
	cumulative      bool
	weightInit      initializer.Func
	biasInit        initializer.Func
	paddingIdx      int
	hasPaddingIdx   bool
	scaleGradByFreq bool
	layers          int
	bidirectional   bool
	batchFirst      bool
	nonlinearity    string
	keySize         int
	valueSize       int
	given           map[string]bool
}

// collect applies the options and records those that the layer does not take.
func (l *layer) collect(opts []Option, takes ...string) *options {
	o := &options{groups: 1, paddingMode: "zeros", eps: 1e-5, momentum: 0.1, affine: true, runningStats: true, layers: 1, nonlinearity: "tanh", given: map[string]bool{}}
	for _, op := range opts {
		known := op.name == "Name"
		for _, name := range takes {
			known = known || name == op.name
		}
		switch {
		case op.set == nil:
			l.faultf("an option is empty")
		case !known:
			l.faultf("it does not take the option %s: want one of %s", op.name, strings.Join(append(takes, "Name"), ", "))
		default:
			op.set(o)
			o.given[op.name] = true
		}
	}
	l.name = o.name
	return o
}

// Name names the layer's variables below name, as [Named] does, and keeps what else the layer can do, such as Run of a recurrent layer:
// LSTM(8, 16, Name("encoder")) has "encoder.weight_ih_l0". For every layer that takes options, and cells.
func Name(name string) Option {
	return Option{"Name", func(o *options) { o.name = name }}
}

// perAxis spreads an option of one number or one per axis over the axes; none means the default.
func (l *layer) perAxis(what string, given []int, axes, least, def int) []int {
	out := make([]int, axes)
	switch len(given) {
	case 0:
		for i := range out {
			out[i] = def
		}
		return out
	case 1:
		for i := range out {
			out[i] = given[0]
		}
	case axes:
		copy(out, given)
	default:
		l.faultf("%s: want 1 or %d numbers, have %v", what, axes, given)
		return out
	}
	for _, n := range out {
		if n < least {
			l.faultf("%s: want at least %d, have %v", what, least, given)
			break
		}
	}
	return out
}

// pads turns the padding option into ONNX's form: the begins of all axes, then their ends.
func (l *layer) pads(given []int, axes int) []int {
	if axes > 0 && len(given) == 2*axes {
		for _, n := range given {
			if n < 0 {
				l.faultf("padding: want at least 0, have %v", given)
				break
			}
		}
		return append([]int(nil), given...)
	}
	if n := len(given); n > 1 && n != axes {
		l.faultf("padding: want 1, %d or %d numbers, have %v", axes, 2*axes, given)
		return make([]int, 2*axes)
	}
	sym := l.perAxis("padding", given, axes, 0, 0)
	return append(sym, sym...)
}

// NoBias leaves out the bias. For Linear, Bilinear, Maxout, convolutions and their transposes, recurrent layers, MultiheadAttention
// and LayerNorm.
func NoBias() Option { return Option{"NoBias", func(o *options) { o.noBias = true }} }

// Stride sets the step between windows: one number, or one per axis. It is 1 for convolutions unless given, and the
// kernel's size for pooling.
func Stride(s ...int) Option { return Option{"Stride", func(o *options) { o.stride = s }} }

// Padding sets the places added at the edges: one number, one per axis, or all begins followed by all ends, such as
// top, left, bottom, right. For convolutions and pooling; 0 unless given.
func Padding(p ...int) Option { return Option{"Padding", func(o *options) { o.padding = p }} }

// PaddingSame pads a convolution of stride 1 so that sizes stay; the odd place goes to the end (padding='same').
func PaddingSame() Option { return Option{"PaddingSame", func(o *options) { o.same = true }} }

// PaddingMode says what a convolution pads with: "zeros" (the default), "reflect", "replicate" or "circular".
func PaddingMode(mode string) Option {
	return Option{"PaddingMode", func(o *options) { o.paddingMode = mode }}
}

// Dilation sets the distance of the places that a window looks at: one number, or one per axis; 1 unless given. For
// convolutions, their transposes and max pooling.
func Dilation(d ...int) Option { return Option{"Dilation", func(o *options) { o.dilation = d }} }

// Groups splits the channels into groups that do not see each other; 1 unless given. For convolutions and their
// transposes.
func Groups(n int) Option { return Option{"Groups", func(o *options) { o.groups = n }} }

// OutputPadding adds places at the end of a transposed convolution's result, to choose among the sizes that a strided
// convolution maps to one: one number, or one per axis.
func OutputPadding(p ...int) Option {
	return Option{"OutputPadding", func(o *options) { o.outPadding = p }}
}

// CeilMode rounds the number of windows up. For pooling.
func CeilMode() Option { return Option{"CeilMode", func(o *options) { o.ceilMode = true }} }

// ExcludePadding divides by the number of places inside the input instead of by the window's size
// (count_include_pad=False). For average pooling.
func ExcludePadding() Option {
	return Option{"ExcludePadding", func(o *options) { o.noPadCount = true }}
}

// Divisor divides by n instead of by the window's size (divisor_override). For average pooling.
func Divisor(n int) Option { return Option{"Divisor", func(o *options) { o.divisor = n }} }

// Affine says whether there is a learnt scale and shift. All normalizations have them unless told otherwise, except
// InstanceNorm.
func Affine(on bool) Option { return Option{"Affine", func(o *options) { o.affine = on }} }

// Eps sets what is added to the variance before the root is taken, 1e-5 unless given. For normalization. RMSNorm adds it to the
// mean of squares, and the machine epsilon unless it is given.
func Eps(eps float64) Option { return Option{"Eps", func(o *options) { o.eps = eps }} }

// Momentum sets the share of the batch in the running statistics, 0.1 unless given. For BatchNorm and InstanceNorm.
func Momentum(m float64) Option { return Option{"Momentum", func(o *options) { o.momentum = m }} }

// CumulativeMomentum makes the running statistics averages over all batches (momentum=None). For BatchNorm and
// InstanceNorm.
func CumulativeMomentum() Option {
	return Option{"CumulativeMomentum", func(o *options) { o.cumulative = true }}
}

// RunningStats says whether running statistics are kept for use outside training. BatchNorm keeps them unless told
// otherwise, InstanceNorm does not.
func RunningStats(keep bool) Option {
	return Option{"RunningStats", func(o *options) { o.runningStats = keep }}
}

// WeightInit sets how the weight is initialized; without it, as PyTorch does.
func WeightInit(init initializer.Func) Option {
	return Option{"WeightInit", func(o *options) { o.weightInit = init }}
}

// BiasInit sets how the bias is initialized; without it, as PyTorch does.
func BiasInit(init initializer.Func) Option {
	return Option{"BiasInit", func(o *options) { o.biasInit = init }}
}

// PaddingIndex is an index whose vector gets no gradient and starts as zeros. For Embedding.
func PaddingIndex(i int) Option {
	return Option{"PaddingIndex", func(o *options) { o.paddingIdx, o.hasPaddingIdx = i, true }}
}

// ScaleGradByFreq divides a vector's gradient by the number of times its index occurs in the batch. For Embedding.
func ScaleGradByFreq() Option {
	return Option{"ScaleGradByFreq", func(o *options) { o.scaleGradByFreq = true }}
}

// Layers stacks n recurrent layers, each on the outputs of the one before. For RNN, LSTM and GRU.
func Layers(n int) Option { return Option{"Layers", func(o *options) { o.layers = n }} }

// Bidirectional runs a second set of weights from the last step to the first and joins its outputs. For RNN, LSTM and
// GRU.
func Bidirectional() Option {
	return Option{"Bidirectional", func(o *options) { o.bidirectional = true }}
}

// BatchFirst takes and gives sequences as [N, T, ...] instead of [T, N, ...]. For RNN, LSTM, GRU and MultiheadAttention.
func BatchFirst() Option { return Option{"BatchFirst", func(o *options) { o.batchFirst = true }} }

// Nonlinearity is "tanh", the default, or "relu". For RNN and RNNCell.
func Nonlinearity(name string) Option {
	return Option{"Nonlinearity", func(o *options) { o.nonlinearity = name }}
}

// KeySize sets the size of a key, that of a query unless given (kdim). For MultiheadAttention.
func KeySize(n int) Option { return Option{"KeySize", func(o *options) { o.keySize = n }} }

// ValueSize sets the size of a value, that of a query unless given (vdim). For MultiheadAttention.
func ValueSize(n int) Option { return Option{"ValueSize", func(o *options) { o.valueSize = n }} }

// String returns the option's name.
func (o Option) String() string { return fmt.Sprintf("nn.%s", o.name) }

// orDefault returns init, or def if there is none.
func orDefault(init, def initializer.Func) initializer.Func {
	if init != nil {
		return init
	}
	return def
}
