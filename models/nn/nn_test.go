package nn_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	session "github.com/graphrun/graphrun/runtime"
)

func names(m *graph.Module) []string {
	var out []string
	for _, v := range m.Variables() {
		out = append(out, fmt.Sprintf("%s %s", v.Name(), v.Type()))
	}
	return out
}

// TestNames holds the variables' names, shapes and order against those of PyTorch's state_dict.
func TestNames(t *testing.T) {
	m := graph.NewModule("m")
	net := nn.Sequential(
		nn.Conv2d(1, 6, [2]int{3, 5}, nn.Groups(1)), nn.BatchNorm2d(6), nn.ReLU(),
		nn.Named("body", nn.Sequential(nn.Linear(4, 2), nn.PReLU(1))),
		nn.LayerNorm([]int{2}), nn.ConvTranspose2d(6, 4, 2, nn.NoBias(), nn.Groups(2)))
	predict, train := m.Func("predict"), m.Func("train")
	predict.Return("y", net.Apply(predict.Input("x", graph.F64, "N", 1, 7, 8)))
	train.Return("y", net.Apply(train.Input("x", graph.F64, "N", 1, 7, 8), nn.Training))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0.weight f64[6,1,3,5]", "0.bias f64[6]",
		"1.running_mean f64[6]", "1.running_var f64[6]", "1.num_batches_tracked i64[]", "1.weight f64[6]", "1.bias f64[6]",
		"body.0.weight f64[2,4]", "body.0.bias f64[2]", "body.1.weight f64[1]",
		"4.weight f64[2]", "4.bias f64[2]", "5.weight f64[6,2,2,2]",
	}
	if d := cmp.Diff(want, names(m)); d != "" {
		t.Error(d)
	}
	if n := len(train.Updates()); n != 3 {
		t.Errorf("training updates %d variables, want the 3 running statistics", n)
	}
	if n := len(predict.Updates()); n != 0 {
		t.Errorf("predicting updates %d variables", n)
	}
}

// TestSharing applies one layer twice, in one function and in two modules: a module has one set of its variables.
func TestSharing(t *testing.T) {
	l := nn.Linear(3, 3)
	for i := range 2 {
		m := graph.NewModule("m")
		f := m.Func("f")
		f.Return("y", nn.Sequential(l, nn.ReLU(), l).Apply(f.Input("x", graph.F32, 3)))
		if err := m.Err(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"0.weight f32[3,3]", "0.bias f32[3]"}, names(m)); d != "" {
			t.Errorf("module %d: %s", i, d)
		}
	}
	m := graph.NewModule("m")
	f := m.Func("f")
	x := nn.Linear(3, 3).Apply(f.Input("x", graph.F32, 3))
	f.Return("y", nn.Linear(3, 3).Apply(x)) // another layer of the same name
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "@weight is already a variable") {
		t.Errorf("two layers share a name: %v", err)
	}
}

// TestTakenName gives two layers of a block the same names, and applies it in two functions: the one fault is that, and not the five other
// variables, nor what would follow if the second layer had the weights of the first.
func TestTakenName(t *testing.T) {
	body := nn.Sequential(nn.Conv2d(4, 8, 3, nn.Padding(1)), nn.BatchNorm2d(8))
	short := nn.Sequential(nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8))
	block := nn.Func(func(x nn.Value, mode ...nn.Mode) nn.Value {
		return ops.Add(body.Apply(x, mode...), short.Apply(x, mode...))
	})
	m := graph.NewModule("m")
	for _, name := range []string{"f", "g"} {
		f := m.Func(name)
		f.Return("y", block.Apply(f.Input("x", graph.F32, "N", 4, 8, 8)))
	}
	err := m.Err()
	if want := "conv2d: @0.weight is already a variable"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nn.Named") {
		t.Fatalf("want %q, have %v", want, err)
	}
	if n := strings.Count(err.Error(), "\n"); n != 0 {
		t.Errorf("want one fault, have\n%v", err)
	}
}

// line returns the caller's position.
func line(offset int) string {
	_, file, n, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file[strings.LastIndexByte(file, '/')+1:], n+offset)
}

// TestFaults declares layers with bad arguments and inputs: each is reported once, at the constructor's line, and
// nothing panics.
func TestFaults(t *testing.T) {
	x := func(f *graph.Func) graph.Value { return f.Input("x", graph.F32, "N", 3, 8, 8) }
	cases := []struct {
		layer nn.Layer
		at    string
		want  string
	}{
		{nn.Linear(-1, 2), line(0), "linear: want input features of at least 1, have -1"},
		{nn.Linear(7, 2), line(0), "linear: want input features of 7 on axis 3, have f32[N,3,8,8]"},
		{nn.Linear(8, 2, nn.Stride(2)), line(0), "linear: it does not take the option Stride: want one of NoBias, WeightInit, BiasInit"},
		{nn.Linear(8, 2, nn.Option{}), line(0), "linear: an option is empty"},
		{nn.Dropout(1.5), line(0), "dropout: want a probability between 0 and 1, have 1.5"},
		{nn.Dropout(math.NaN()), line(0), "dropout: want a probability between 0 and 1, have NaN"},
		{nn.Dropout3d(0.5), line(0), "dropout3d: want 5 axes, have f32[N,3,8,8]"},
		{nn.Conv2d(3, 4, 0), line(0), "conv2d: want a kernel of at least 1 along each axis, have [0 0]"},
		{nn.Conv2d(3, 4, 3, nn.Groups(2)), line(0), "conv2d: 2 groups do not divide 3 input and 4 output channels"},
		{nn.Conv2d(3, 4, 3, nn.Padding(1, 2, 3)), line(0), "conv2d: padding: want 1, 2 or 4 numbers, have [1 2 3]"},
		{nn.Conv2d(3, 4, 3, nn.Stride(0)), line(0), "conv2d: stride: want at least 1, have [0]"},
		{nn.Conv2d(3, 4, 3, nn.Stride(2), nn.PaddingSame()), line(0), "conv2d: PaddingSame wants stride 1, have [2]"},
		{nn.Conv2d(3, 4, 3, nn.PaddingMode("mirror")), line(0), `conv2d: want a padding mode zeros, reflect, replicate or circular, have "mirror"`},
		{nn.Conv2d(5, 4, 3), line(0), "conv2d: want channels of 5 on axis 1, have f32[N,3,8,8]"},
		{nn.Conv1d(3, 4, 3), line(0), "conv1d: want 3 axes, have f32[N,3,8,8]"},
		{nn.Conv2d(3, 4, [2]int{1, 9}), line(0), "conv2d: the kernel reaches over 9 of the 8 places of axis 3, have f32[N,3,8,8]"},
		{nn.MaxPool2d(3, nn.Dilation(5), nn.Padding(1)), line(0), "max_pool2d: the kernel reaches over 11 of the 10 places of axis 2, padding included, have f32[N,3,8,8]"},
		{nn.MaxPool2d(2, nn.Padding(2)), line(0), "max_pool2d: want a padding of at most half the kernel, [2 2], have [2]"},
		{nn.AvgPool2d(2, nn.Divisor(0)), line(0), "avg_pool2d: want divisor of at least 1, have 0"},
		{nn.BatchNorm2d(4), line(0), "batch_norm2d: want channels of 4 on axis 1, have f32[N,3,8,8]"},
		{nn.BatchNorm2d(3, nn.Momentum(2)), line(0), "batch_norm2d: want a momentum between 0 and 1, have 2"},
		{nn.GroupNorm(2, 3), line(0), "group_norm: 3 channels do not divide into 2 groups"},
		{nn.LayerNorm(nil), line(0), "layer_norm: want the sizes of the axes to normalize over, have none"},
		{nn.RMSNorm([]int{8, 0}), line(0), "rms_norm: want size of at least 1, have 0"},
		{nn.RMSNorm([]int{3, 8}), line(0), "rms_norm: want size of 3 on axis 2, have f32[N,3,8,8]"},
		{nn.RMSNorm([]int{8}, nn.NoBias()), line(0), "rms_norm: it does not take the option NoBias: want one of Eps, Affine"},
		{nn.Softmax(4), line(0), "softmax: "},
		{nn.Softplus(0, 20), line(0), "softplus: beta is 0"},
		{nn.Embedding(graph.F32, 5, 2), line(0), "embedding: want indices of i32 or i64, have f32[N,3,8,8]"},
		{nn.MaxoutChannels(2), line(0), "maxout_channels: the channels of f32[N,3,8,8] do not divide into groups of 2"},
		{nn.LSTM(8, 4), line(0), "lstm: want float[T,N,8], have f32[N,3,8,8]"},
		{nn.GRU(8, 4, nn.Layers(0)), line(0), "gru: want layers of at least 1, have 0"},
		{nn.RNN(8, 4, nn.Nonlinearity("gelu")), line(0), `rnn: want a nonlinearity tanh or relu, have "gelu"`},
		{nn.Sequential(nn.Flatten(), nn.Func(func(x graph.Value, _ ...nn.Mode) graph.Value { return ops.Reshape(x, "N", 24, 8) }), nn.RNN(8, 4)), line(0), "rnn: the number of steps must be known when the model is declared, and at least 1: have f32[N,24,8]"},
		{nn.Sequential(nn.ReLU(), nil), line(0), "sequential: layer 1 is nil"},
		{nn.Named("a", nil), line(0), `named: the layer "a" is nil`},
	}
	for _, c := range cases {
		m := graph.NewModule("m")
		f := m.Func("f")
		y := c.layer.Apply(x(f), nn.Training)
		y = ops.Add(ops.Mul(y, 2.0), 1.0) // what depends on a fault is silent
		f.Return("y", y)
		err := m.Err()
		if err == nil {
			t.Errorf("%s: no fault, want %q", c.at, c.want)
			continue
		}
		got := err.Error()
		if !strings.HasPrefix(got, c.at+": "+c.want) || strings.Count(got, "\n") != 0 {
			t.Errorf("got  %s\nwant %s: %s", got, c.at, c.want)
		}
		c.layer.Apply(graph.Value{}) // no value, nothing to report on, no panic
	}
}

// TestManyInputs gives layers of several inputs and results bad ones: the results are there, and silent.
func TestManyInputs(t *testing.T) {
	cases := map[string]func(x graph.Value) []graph.Value{
		"lstm: want a state of 2 values, have 1": func(x graph.Value) []graph.Value {
			y, last := nn.LSTM(4, 3).Run(x, []graph.Value{x})
			return append(last, y)
		},
		"lstm: want a state of float[1,N,3], have f32[4]": func(x graph.Value) []graph.Value {
			h := x.Func().Input("h", graph.F32, 4)
			y, last := nn.LSTM(4, 3).Run(x, []graph.Value{h, h})
			return append(last, y)
		},
		"gru_cell: want input features of 5 on axis 2, have f32[2,3,4]": func(x graph.Value) []graph.Value {
			return nn.GRUCell(5, 3).Apply(x)
		},
		"multihead_attention: want key features of 5 on axis 2, have f32[2,3,4]": func(x graph.Value) []graph.Value {
			y, w := nn.MultiheadAttention(4, 2, nn.KeySize(5)).Attend(x, x, x)
			return []graph.Value{y, w}
		},
		"multihead_attention: 4 features do not divide into 3 heads": func(x graph.Value) []graph.Value {
			y, w := nn.MultiheadAttention(4, 3).Attend(x, x, x)
			return []graph.Value{y, w}
		},
		"bilinear: want second input features of 5 on axis 2, have f32[2,3,4]": func(x graph.Value) []graph.Value {
			return []graph.Value{nn.Bilinear(4, 5, 2).Apply(x, x)}
		},
		"bilinear: input 1 is missing": func(x graph.Value) []graph.Value {
			return []graph.Value{nn.Bilinear(4, 5, 2).Apply(x, graph.Value{})}
		},
	}
	for want, build := range cases {
		m := graph.NewModule("m")
		f := m.Func("f")
		for i, y := range build(f.Input("x", graph.F32, 2, 3, 4)) {
			f.Return(fmt.Sprint(i), ops.Neg(y))
		}
		err := m.Err()
		if err == nil || !strings.HasPrefix(err.Error(), "nn_test.go:") || !strings.Contains(err.Error(), ": "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRepeatedFault applies a faulty layer in two functions: one constructor, one message.
func TestRepeatedFault(t *testing.T) {
	m := graph.NewModule("m")
	l := nn.Dropout(-1)
	for _, name := range []string{"a", "b"} {
		f := m.Func(name)
		f.Return("y", l.Apply(f.Input("x", graph.F32, 2)))
	}
	if err := m.Err(); err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("want one message, have %v", err)
	}
}

// TestPositions finds the layer's line and path on its nodes, and the loss's line on its own.
func TestPositions(t *testing.T) {
	l, at := nn.Linear(3, 2), line(0)
	m := graph.NewModule("m")
	f := m.Func("f")
	y := nn.Sequential(nn.ReLU(), nn.Named("fc", l)).Apply(f.Input("x", graph.F32, 4, 3))
	if n := y.Node(); n.Pos().String() != at || n.Scope() != "fc" {
		t.Errorf("the layer's node stands at %s, scope %q; want %s, fc", n.Pos(), n.Scope(), at)
	}
	loss, at := nn.MSE(y, f.Input("t", graph.F32, 4, 2)), line(0)
	if n := loss.Node(); n.Pos().String() != at {
		t.Errorf("the loss's node stands at %s, want %s", n.Pos(), at)
	}
}

// TestLossFaults gives losses bad options and shapes.
func TestLossFaults(t *testing.T) {
	build := map[string]func(x, c, p graph.Value) graph.Value{
		"mse: it does not take the option Margin":          func(x, _, p graph.Value) graph.Value { return nn.MSE(x, p, nn.Margin(1)) },
		"mse: it does not take the reduction nn.BatchMean": func(x, _, p graph.Value) graph.Value { return nn.MSE(x, p, nn.BatchMean) },
		"mse: an option is nil":                            func(x, _, p graph.Value) graph.Value { return nn.MSE(x, p, nil) },
		"mse: input 1 is missing":                          func(x, _, _ graph.Value) graph.Value { return nn.MSE(x, graph.Value{}) },
		"cross_entropy: want a label smoothing":            func(x, c, _ graph.Value) graph.Value { return nn.CrossEntropy(x, c, nn.LabelSmoothing(2)) },
		"softmax_cross_entropy: the target must have":      func(x, c, _ graph.Value) graph.Value { return nn.CrossEntropy(ops.Transpose(x, 1, 0), c) },
		"cross_entropy: probabilities must have":           func(x, _, p graph.Value) graph.Value { return nn.CrossEntropy(x, ops.Transpose(p, 1, 0)) },
		"nll: want float[N,C,...] and classes":             func(x, _, p graph.Value) graph.Value { return nn.NLL(x, p) },
		"huber: want delta above 0":                        func(x, _, p graph.Value) graph.Value { return nn.Huber(x, p, nn.Delta(0)) },
		"multi_label_margin: want float[N,C] or float[C]":  func(x, c, _ graph.Value) graph.Value { return nn.MultiLabelMargin(x, c) },
		"multi_label_margin: it does not take the option":  func(x, c, _ graph.Value) graph.Value { return nn.MultiLabelMargin(x, c, nn.Margin(1)) },
		"multi_margin: want a power of 1 or 2":             func(x, c, _ graph.Value) graph.Value { return nn.MultiMargin(x, c, nn.Power(3)) },
		"mse: the shapes differ: input is f32[4,1], target is f32[4]; ops.Squeeze(input, -1) drops the last axis": func(_, c, p graph.Value) graph.Value {
			return nn.MSE(ops.Slice(p, 1, 0, 1, 1), ops.Cast(c, graph.F32))
		},
		"l1: the shapes differ: input is f32[4], target is f32[4,1]; ops.Squeeze(target, -1) drops the last axis": func(_, c, p graph.Value) graph.Value {
			return nn.L1(ops.Cast(c, graph.F32), ops.Slice(p, 1, 0, 1, 1))
		},
		"bce: the shapes differ: input is f32[4,3], target is f32[4,1]; ops.Expand gives the target the shape of the input": func(_, _, p graph.Value) graph.Value {
			return nn.BCE(p, ops.Slice(p, 1, 0, 1, 1))
		},
		"margin_ranking: the shapes differ: x1 is f32[4,1], target is f32[4]": func(_, c, p graph.Value) graph.Value {
			x := ops.Slice(p, 1, 0, 1, 1)
			return nn.MarginRanking(x, x, ops.Cast(c, graph.F32))
		},
		"triplet_margin: the shapes differ: anchor is f32[4,3], negative is f32[1,3]": func(x, _, p graph.Value) graph.Value {
			return nn.TripletMargin(x, p, ops.Slice(p, 0, 0, 1, 1))
		},
	}
	for want, construct := range build {
		m := graph.NewModule("m")
		f := m.Func("f")
		f.Return("y", construct(f.Input("x", graph.F32, 4, 3), f.Input("c", graph.I64, 4), f.Input("p", graph.F32, 4, 3)))
		err := m.Err()
		if err == nil || !strings.Contains(err.Error(), ": "+want) || !strings.HasPrefix(err.Error(), "nn_test.go:") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestClassesOutOfRange gives losses of three classes, and an embedding of three words, what is none of them: -1 is not the last one. It is
// where it is the target to ignore.
func TestClassesOutOfRange(t *testing.T) {
	x := tensor([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	for _, c := range []struct {
		name  string
		build func(x, c graph.Value) graph.Value
		class int64
		want  string // what the message says; none if the class is taken
	}{
		{"cross_entropy", func(x, c graph.Value) graph.Value { return nn.CrossEntropy(x, c) }, -1, "index -1 is out of range for axis 1 of size 3"},
		{"cross_entropy", func(x, c graph.Value) graph.Value { return nn.CrossEntropy(x, c) }, 3, "index 3 is out of range"},
		{"cross_entropy", func(x, c graph.Value) graph.Value { return nn.CrossEntropy(x, c, nn.IgnoreIndex(-1)) }, -1, ""},
		{"cross_entropy", func(x, c graph.Value) graph.Value { return nn.CrossEntropy(x, c, nn.LabelSmoothing(0.1)) }, -2, "index -2 is out of range"},
		{"nll", func(x, c graph.Value) graph.Value { return nn.NLL(x, c) }, -1, "index -1 is out of range"},
		{"nll", func(x, c graph.Value) graph.Value { return nn.NLL(x, c) }, -100, ""},
		{"multi_margin", func(x, c graph.Value) graph.Value { return nn.MultiMargin(x, c) }, -3, "index -3 is out of range"},
		{"embedding", func(_, c graph.Value) graph.Value { return nn.Embedding(graph.F64, 3, 2).Apply(c) }, -1, "index -1 is out of range for axis 0 of size 3"},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		f.Return("y", c.build(f.Input("x", graph.F64, "N", 3), f.Input("c", graph.I64, "N")))
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		sess, err := session.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sess.Run(context.Background(), "f", map[string]value.Value{"x": x, "c": tensor([]int64{2, c.class}, 2)})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s with class %d: %v", c.name, c.class, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "nn_test.go:") {
			t.Errorf("%s with class %d: got %v, want %q", c.name, c.class, err, c.want)
		}
	}
}

// TestOneValuePerChannel trains normalization on sizes that leave one value per channel, which are known when the model is run only, with and
// without running statistics. A batch
// that is large enough is taken before and after, and statistics stay as they were.
func TestOneValuePerChannel(t *testing.T) {
	for _, c := range []struct {
		layer       nn.Layer
		dims        []any
		one, enough []int
	}{
		{nn.BatchNorm1d(2), []any{"N", 2}, []int{1, 2}, []int{2, 2}},
		{nn.BatchNorm1d(2, nn.Momentum(0)), []any{"N", 2, "L"}, []int{1, 2, 1}, []int{1, 2, 2}},
		{nn.BatchNorm2d(2, nn.CumulativeMomentum()), []any{"N", 2, "H", "W"}, []int{1, 2, 1, 1}, []int{1, 2, 1, 2}},
		{nn.BatchNorm3d(2, nn.Momentum(1), nn.Affine(false)), []any{"N", 2, 1, "H", "W"}, []int{1, 2, 1, 1, 1}, []int{1, 2, 1, 3, 1}},
		{nn.InstanceNorm1d(2, nn.RunningStats(true)), []any{"N", 2, "L"}, []int{4, 2, 1}, []int{1, 2, 2}},
		{nn.InstanceNorm2d(2, nn.RunningStats(true), nn.CumulativeMomentum()), []any{"N", 2, "L", "L"}, []int{4, 2, 1, 1}, []int{1, 2, 2, 2}},
		{nn.InstanceNorm1d(2), []any{"N", 2, "L"}, []int{4, 2, 1}, []int{1, 2, 2}},
		{nn.InstanceNorm2d(2, nn.Affine(true)), []any{"N", 2, "L", 1}, []int{4, 2, 1, 1}, []int{1, 2, 2, 1}},
		{nn.BatchNorm1d(2, nn.RunningStats(false)), []any{"N", 2}, []int{1, 2}, []int{2, 2}},
		{nn.InstanceNorm3d(2, nn.RunningStats(true)), []any{3, 2, "L", 1, 1}, []int{3, 2, 1, 1, 1}, []int{3, 2, 2, 1, 1}},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		f.Return("y", nn.Named("norm", c.layer).Apply(f.Input("x", graph.F32, c.dims...), nn.Training))
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		sess, err := session.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		for i, size := range [][]int{c.enough, c.one, c.enough} {
			x, _ := value.New(graph.F32, size...)
			before := sess.Variables()
			_, err := sess.Run(context.Background(), "f", map[string]value.Value{"x": x})
			if i != 1 {
				if err != nil {
					t.Errorf("%v: %v", size, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "needs more than one value per channel") || !strings.Contains(err.Error(), "nn_test.go:") {
				t.Errorf("%v: got %v", size, err)
			}
			for name, v := range sess.Variables() {
				if err := value.AllClose(v, before[name], 0, 0); err != nil {
					t.Errorf("@%s: %v", name, err)
				}
			}
		}
	}
}

// TestForgottenTraining minimizes a loss of layers that were applied without a mode and would do otherwise while training.
func TestForgottenTraining(t *testing.T) {
	net := func() nn.Layer {
		return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
	}
	for _, c := range []struct {
		name  string
		apply func(x graph.Value) (graph.Value, string)
		want  []string
	}{
		{"without a mode", func(x graph.Value) (graph.Value, string) { return net().Apply(x), line(0) }, []string{"batch_norm1d", "dropout"}},
		{"for training", func(x graph.Value) (graph.Value, string) { return net().Apply(x, nn.Training), line(0) }, nil},
		{"frozen on purpose", func(x graph.Value) (graph.Value, string) { return net().Apply(x, nn.Eval), line(0) }, nil},
		{"without layers that tell", func(x graph.Value) (graph.Value, string) {
			return nn.Sequential(nn.Linear(3, 1), nn.Dropout(0), nn.LayerNorm([]int{1})).Apply(x), line(0)
		}, nil},
		{"beside the loss", func(x graph.Value) (graph.Value, string) {
			l := net()
			x.Func().Return("eval", l.Apply(x))
			return l.Apply(x, nn.Training), line(0)
		}, nil},
		{"in a function that forgets the mode", func(x graph.Value) (y graph.Value, at string) {
			forgets := nn.Func(func(x graph.Value, _ ...nn.Mode) graph.Value {
				y, at = nn.InstanceNorm1d(3, nn.RunningStats(true)).Apply(x), line(0)
				return y
			})
			return ops.Mean(forgets.Apply(ops.Unsqueeze(x, 2), nn.Training), 2), at
		}, []string{"instance_norm1d"}},
	} {
		m := graph.NewModule("m")
		f := m.Func("train")
		y, at := c.apply(f.Input("x", graph.F32, 5, 3))
		w := m.Variable("scale", graph.F32, nil, initializer.Ones().For(graph.F32))
		loss := ops.Mean(ops.Square(ops.Mul(y, w.Read(f))))
		f.Return("loss", loss)
		optim.SGD(0.1).Minimize(loss)
		got := ""
		if err := m.Err(); err != nil {
			got = err.Error()
		}
		want := ""
		for _, kind := range c.want {
			want += at + ": " + kind + ": it is applied in evaluation mode, but trained: pass nn.Training, or nn.Eval if you mean it\n"
		}
		if strings.TrimSuffix(want, "\n") != got {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, want)
		}
	}
}

// TestSamples applies layers of a batch to one sample, which lacks the axis N: it is a batch of one.
func TestSamples(t *testing.T) {
	recurrent := func(l nn.Recurrent) func(x graph.Value) []graph.Value {
		return func(x graph.Value) []graph.Value {
			y, last := l.Run(x, nil)
			return append(last, y)
		}
	}
	attention := nn.MultiheadAttention(4, 2)
	layer := func(l nn.Layer) func(x graph.Value) []graph.Value {
		return func(x graph.Value) []graph.Value { return []graph.Value{l.Apply(x, nn.Training)} }
	}
	for name, c := range map[string]struct {
		sizes []int
		axis  int // N
		apply func(x graph.Value) []graph.Value
	}{
		"Conv1d":            {[]int{2, 6}, 0, layer(nn.Conv1d(2, 3, 2, nn.PaddingMode("reflect"), nn.Padding(1)))},
		"Conv2d":            {[]int{2, 6, 5}, 0, layer(nn.Conv2d(2, 3, 2))},
		"Conv3d":            {[]int{2, 3, 3, 3}, 0, layer(nn.Conv3d(2, 3, 2))},
		"ConvTranspose2d":   {[]int{2, 6, 5}, 0, layer(nn.ConvTranspose2d(2, 3, 2))},
		"MaxPool1d":         {[]int{2, 6}, 0, layer(nn.MaxPool1d(2))},
		"AvgPool2d":         {[]int{2, 6, 4}, 0, layer(nn.AvgPool2d(2))},
		"AdaptiveAvgPool2d": {[]int{2, 6, 4}, 0, layer(nn.AdaptiveAvgPool2d(3, 0))},
		"InstanceNorm2d":    {[]int{2, 6, 4}, 0, layer(nn.InstanceNorm2d(2, nn.RunningStats(true)))},
		"Dropout2d":         {[]int{2, 6, 4}, 0, layer(nn.Dropout2d(1))},
		"RNN":               {[]int{3, 2}, 1, recurrent(nn.RNN(2, 3, nn.Bidirectional()))},
		"LSTM":              {[]int{3, 2}, 0, recurrent(nn.LSTM(2, 3, nn.BatchFirst(), nn.Layers(2)))},
		"GRU":               {[]int{3, 2}, 1, recurrent(nn.GRU(2, 3))},
		"MultiheadAttention": {[]int{3, 4}, 1, func(x graph.Value) []graph.Value {
			y, w := attention.Attend(x, x, x)
			return []graph.Value{y, w}
		}},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		dims := make([]any, len(c.sizes))
		n := 1
		for i, d := range c.sizes {
			dims[i] = d
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = float32(math.Sin(float64(i) * 1.3))
		}
		x := f.Input("x", graph.F32, dims...)
		sample, batch := c.apply(x), c.apply(ops.Unsqueeze(x, c.axis))
		for i := range sample {
			f.Return(fmt.Sprint("sample", i), sample[i])
			f.Return(fmt.Sprint("batch", i), batch[i])
		}
		_, out := run(t, m, map[string]value.Value{"x": tensor(data, c.sizes...)})
		for i := range sample {
			got, want := out[fmt.Sprint("sample", i)].(*value.Tensor), out[fmt.Sprint("batch", i)].(*value.Tensor)
			if got.Rank() != want.Rank()-1 || !slices.Equal(got.Float64s(), want.Float64s()) {
				t.Errorf("%s: result %d of a sample is %s, of a batch of one %s", name, i, got, want)
			}
		}
	}
}

// run evaluates f of the module.
func run(t *testing.T, m *graph.Module, feeds map[string]value.Value, opts ...session.Option) (*session.Session, map[string]value.Value) {
	t.Helper()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := session.NewSession(prog, opts...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sess.Run(context.Background(), "f", feeds)
	if err != nil {
		t.Fatal(err)
	}
	return sess, out
}

// TestDropout drops the right share, scales the rest, and drops others in the next call.
func TestDropout(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N")
	l := nn.Dropout(0.25)
	f.Return("train", l.Apply(x, nn.Training))
	f.Return("eval", l.Apply(x))
	ones := make([]float32, 10000)
	for i := range ones {
		ones[i] = 1
	}
	in, _ := value.FromSlice(ones, len(ones))
	feeds := map[string]value.Value{"x": in}
	sess, out := run(t, m, feeds, session.Seed(3))
	if !out["eval"].(*value.Tensor).Equal(in) {
		t.Error("dropout changes its input outside training")
	}
	first := out["train"].(*value.Tensor)
	zeros := 0
	for _, y := range first.Float64s() {
		switch {
		case y == 0:
			zeros++
		case math.Abs(y-1/0.75) > 1e-6:
			t.Fatalf("a survivor is %v, want 1/(1-p)", y)
		}
	}
	if zeros < 2350 || zeros > 2650 {
		t.Errorf("%d of 10000 are dropped, want about 2500", zeros)
	}
	again, err := sess.Run(context.Background(), "f", feeds)
	if err != nil {
		t.Fatal(err)
	}
	if again["train"].(*value.Tensor).Equal(first) {
		t.Error("two calls drop the same elements")
	}
}

// TestSymbolicStatistics holds BatchNorm with a symbolic batch against the same with a known one.
func TestSymbolicStatistics(t *testing.T) {
	data := make([]float64, 5*3*2)
	for i := range data {
		data[i] = math.Sin(float64(i) * 1.7)
	}
	in, _ := value.FromSlice(data, 5, 3, 2)
	var want map[string]*value.Tensor
	for _, batch := range []any{5, "N"} {
		m := graph.NewModule("m")
		f := m.Func("f")
		f.Return("y", nn.BatchNorm1d(3).Apply(f.Input("x", graph.F64, batch, 3, 2), nn.Training))
		sess, _ := run(t, m, map[string]value.Value{"x": in})
		if want == nil {
			want = sess.Variables()
			continue
		}
		for name, v := range want {
			if err := value.AllClose(sess.Variable(name), v, 1e-14, 0); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestInitializers looks at the first weights: PyTorch's range for Linear, and what options ask for.
func TestInitializers(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 100)
	net := nn.Sequential(nn.Linear(100, 50), nn.Linear(50, 40, nn.WeightInit(initializer.KaimingNormal(initializer.FanIn, math.Sqrt2)), nn.BiasInit(initializer.Constant(0.5))))
	f.Return("y", net.Apply(x))
	in, _ := value.New(graph.F32, 100)
	sess, _ := run(t, m, map[string]value.Value{"x": in}, session.Seed(7))
	spread := func(name string) (low, high, std float64) {
		xs := sess.Variable(name).Float64s()
		low, high = xs[0], xs[0]
		for _, x := range xs {
			low, high, std = min(low, x), max(high, x), std+x*x
		}
		return low, high, math.Sqrt(std / float64(len(xs)))
	}
	low, high, _ := spread("0.weight")
	if low < -0.1 || high > 0.1 || low > -0.09 || high < 0.09 {
		t.Errorf("Linear(100, ...) starts in [%v, %v], want to fill [-0.1, 0.1]", low, high)
	}
	if low, high, _ := spread("0.bias"); low < -0.1 || high > 0.1 || high-low < 0.1 {
		t.Errorf("its bias starts in [%v, %v], want to fill [-0.1, 0.1]", low, high)
	}
	if _, _, std := spread("1.weight"); math.Abs(std-0.2) > 0.02 {
		t.Errorf("KaimingNormal has std %v, want sqrt(2/50)", std)
	}
	if low, high, _ := spread("1.bias"); low != 0.5 || high != 0.5 {
		t.Errorf("the constant bias is in [%v, %v]", low, high)
	}
	again, _ := run(t, m, map[string]value.Value{"x": in}, session.Seed(7))
	if !again.Variable("0.weight").Equal(sess.Variable("0.weight")) {
		t.Error("one seed gives two initial weights")
	}
	other, _ := run(t, m, map[string]value.Value{"x": in}, session.Seed(8))
	if other.Variable("0.weight").Equal(sess.Variable("0.weight")) {
		t.Error("two seeds give one initial weight")
	}
}

// TestName gives names by the option, which keeps what recurrent layers, cells and attention can do.
func TestName(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 5, "N", 8)
	y, last := nn.LSTM(8, 4, nn.Name("encoder")).Run(x, nil)
	z, _ := nn.LSTM(4, 8, nn.Name("decoder"), nn.NoBias()).Run(y, nil)
	a, _ := nn.MultiheadAttention(8, 2, nn.Name("attention"), nn.NoBias()).Attend(z, x, x)
	h := nn.GRUCell(4, 4, nn.Name("cell")).Apply(ops.Squeeze(last[0], 0))
	f.Return("a", nn.Sequential(nn.ReLU(), nn.Linear(8, 2, nn.Name("fc")), nn.Linear(2, 2)).Apply(a))
	f.Return("h", h[0])
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range m.Variables() {
		names = append(names, v.Name())
	}
	want := []string{
		"encoder.weight_ih_l0", "encoder.weight_hh_l0", "encoder.bias_ih_l0", "encoder.bias_hh_l0",
		"decoder.weight_ih_l0", "decoder.weight_hh_l0",
		"attention.in_proj_weight", "attention.out_proj.weight",
		"cell.weight_ih", "cell.weight_hh", "cell.bias_ih", "cell.bias_hh",
		"fc.weight", "fc.bias", "2.weight", "2.bias",
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("have %q\nwant %q", names, want)
	}

	m = graph.NewModule("m")
	f = m.Func("f")
	x = f.Input("x", graph.F32, 5, "N", 8)
	y, _ = nn.LSTM(8, 8).Run(x, nil)
	y, _ = nn.LSTM(8, 8).Run(y, nil)
	f.Return("y", y)
	if err := m.Err(); err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "nn.Name") {
		t.Errorf("want one fault that says how to name a layer, have\n%v", err)
	}
}
