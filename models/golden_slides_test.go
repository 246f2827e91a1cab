package models_test

import (
	"fmt"
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
)

// weight declares a variable that starts as one of the case's parameters, and returns its value.
func (b *build) weight(name string) graph.Value {
	b.t.Helper()
	t := b.roles["params"][name]
	if t == nil {
		b.t.Fatalf("the case has no parameter %q", name)
	}
	v := b.m.LookupVariable(name)
	if v == nil {
		v = b.m.Variable(name, t.DType(), t.Shape(), initializer.FromTensor(t).For(t.DType(), t.Shape()...))
	}
	return v.Read(b.f)
}

var _ = register(map[string]builder{
	"SlideConv":   slideConv,
	"SlidePixels": slideConv,
	"RNNGraph": func(b *build) values {
		if n, have := b.int("batch", 0), b.roles["inputs"]["x"].Shape()[0]; n != have {
			b.t.Errorf("a batch of %d has %d rows", n, have)
		}
		i2h, h2h := ops.MatMul(b.x("W_x"), ops.T(b.x("x"))), ops.MatMul(b.x("W_h"), ops.T(b.x("prev_h")))
		return values{"i2h": i2h, "h2h": h2h, "next_h": ops.Tanh(ops.Add(i2h, h2h))}
	},
	"Perceptron": func(b *build) values {
		z := ops.Add(ops.MatMul(b.x("x"), b.x("w")), b.x("b"))
		return values{"z": z, "y": nn.Heaviside().Apply(z)}
	},
	"PerceptronMulti": func(b *build) values {
		z := linear(b.x("x"), b.x("W"), b.x("b"))
		return values{"z": z, "class": ops.ArgMax(z, 1, false)}
	},
	"ActivationFormulas": func(b *build) values {
		x := b.x("x")
		sigmoid, tanh, relu := ops.Sigmoid(x), ops.Tanh(x), ops.ReLU(x)
		slope := func(y graph.Value) graph.Value { return graph.Grad(ops.Sum(y), x)[0] }
		return values{
			"sigmoid": sigmoid, "dsigmoid": slope(sigmoid), "tanh": tanh, "dtanh": slope(tanh), "relu": relu, "drelu": slope(relu),
			"tanh_by_sigmoid": ops.Sub(ops.Mul(ops.Sigmoid(ops.Mul(x, 2.0)), 2.0), 1.0),
		}
	},
	"Composition": func(b *build) values {
		outs, a := values{}, b.x("x")
		for k := range len(b.roles["outputs"]) {
			a = b.activation()(linear(a, b.x(fmt.Sprint("W", k)), b.x(fmt.Sprint("b", k))))
			outs[fmt.Sprint("a", k)] = a
		}
		return outs
	},
	"ConvolutionFormula": func(b *build) values {
		f, h := b.x("f"), b.x("h")
		m, n := b.int("M", 0), b.int("N", 0)
		// both as convolutions of one channel, with f continued periodically
		plane := func(v graph.Value) graph.Value { return ops.Unsqueeze(v, 0, 1) }
		scaled := func(v graph.Value) graph.Value { return ops.Div(ops.Reshape(v, m, n), float64(m*n)) }
		low, high := []int{0, 0, 0, 0}, []int{0, 0, m - 1, n - 1}
		return values{
			"correlation": scaled(ops.Conv(ops.PadWith(ops.PadWrap, plane(f), low, high), plane(h), ops.ConvParams{})),
			"convolution": scaled(ops.Conv(ops.PadWith(ops.PadWrap, plane(f), high, low), plane(ops.Flip(h, 0, 1)), ops.ConvParams{})),
		}
	},
	"OutputResolution": outputResolution,
	"LossFormulas": func(b *build) values {
		p, t, w := b.x("prediction"), b.x("target"), b.x("W")
		rows := func(v graph.Value) graph.Value { return ops.Sum(v, 1) }
		r := ops.Flip(p, 0)
		outs := values{
			"squared_error": ops.Mul(rows(nn.MSE(p, t, nn.None)), 0.5),
			"log_loss":      ops.Neg(rows(ops.Mul(t, ops.Log(p)))),
			"l2":            ops.Mul(ops.Sum(ops.Square(w)), 0.5*b.num("lambda", 0)),
			"abs_error":     ops.Mean(nn.L1(p, t, nn.None), 1),
			"kl":            rows(nn.KLDiv(ops.Log(p), r, nn.None)),
		}
		for name, x := range map[string]graph.Value{"squared_error": p, "log_loss": p, "l2": w} {
			b.ret("grad_"+name, graph.Grad(ops.Sum(outs[name]), x)[0], b.roles["grads"][name])
		}
		return outs
	},
	"SigmoidNet": func(b *build) values {
		layer := func(a graph.Value, i int) graph.Value {
			return ops.Add(ops.MatMul(a, b.weight(fmt.Sprint("W", i))), b.weight(fmt.Sprint("b", i)))
		}
		if sizes := b.ints("layers"); len(sizes) != 3 {
			b.t.Fatalf("the net has two layers, want sizes %v", sizes)
		}
		z4 := layer(b.x("a1"), 0)
		a4 := ops.Sigmoid(z4)
		z8 := layer(a4, 1)
		a8 := ops.Sigmoid(z8)
		loss := ops.Mul(nn.MSE(a8, b.x("y"), nn.Sum), 0.5)
		delta := graph.Grad(loss, z8, z4)
		b.scalarGradients(loss)
		optim.SGD(b.num("alpha", 0)).Minimize(loss)
		return values{"z4": z4, "a4": a4, "z8": z8, "a8": a8, "loss": loss, "delta8": delta[0], "delta4": delta[1]}
	},
	"LinearSVM": func(b *build) values {
		outs, w, bias := b.svm()
		total := outs["total_loss"]
		b.scalarGradients(total)
		demo := ops.Add(graph.Grad(outs["data_loss"], w)[0], ops.Mul(w, 0.5*b.num("lambda", 0)))
		b.ret("demo_W", demo, b.roles["demo"]["W"])
		demoBias := graph.Grad(outs["data_loss"], bias)[0]
		b.ret("demo_b", demoBias, b.roles["demo"]["b"])
		b.printed()
		if rate := b.num("step_size", 0); rate != 0 { // one step of descent, which the case's own gradients say
			optim.SGD(rate).Minimize(total)
			for name, grad := range b.roles["grads"] {
				next := b.roles["params"][name].Float64s()
				for i, g := range grad.Float64s() {
					next[i] -= rate * g
				}
				t, err := value.FromSlice(next, grad.Shape()...)
				if err != nil {
					b.t.Fatal(err)
				}
				b.state[name] = t
			}
		}
		return outs
	},
	"LinearSVMDescent": func(b *build) values {
		outs, _, _ := b.svm()
		b.f.Return("loss", outs["total_loss"])
		optim.SGD(b.num("step_size", 0)).Minimize(outs["total_loss"])
		sess := b.session()
		want := b.roles["outputs"]
		for i := range b.int("steps", 0) {
			got := b.run(sess, "f", b.tensors())
			b.compare(fmt.Sprintf("losses_before[%d]", i), got["loss"], b.row(want["losses_before"], i))
			b.compare(fmt.Sprintf("W[%d]", i), sess.Variable("W"), b.row(want["W"], i))
			b.compare(fmt.Sprintf("b[%d]", i), sess.Variable("b"), b.row(want["b"], i))
		}
		return nil
	},
})

// tensors returns the feeds as tensors.
func (b *build) tensors() map[string]*value.Tensor {
	out := map[string]*value.Tensor{}
	for k, v := range b.feeds {
		out[k] = v.(*value.Tensor)
	}
	return out
}

func slideConv(b *build) values {
	p := ops.ConvParams{Strides: b.ints("stride"), Pads: b.ints("padding"), Dilations: b.ints("dilation")}
	y := ops.Conv(b.x("x"), b.x("weight"), p)
	if list, ok := as[[]any](b.attrs, "printed"); ok { // the slide's own numbers
		var flat []float64
		for _, row := range list {
			for _, v := range row.([]any) {
				flat = append(flat, v.(float64))
			}
		}
		t, err := value.FromSlice(flat, 1, 1, len(list), len(flat)/len(list))
		if err != nil {
			b.t.Fatal(err)
		}
		b.ret("printed", y, t)
	}
	return values{"y": y}
}

// outputResolution declares a convolution per row and compares the size that its type has.
func outputResolution(b *build) values {
	rows, err := value.Data[int64](b.roles["inputs"]["rows"])
	if err != nil {
		b.t.Fatal(err)
	}
	b.read[b.roles["outputs"]["size"]] = true
	want, err := value.Data[int64](b.roles["outputs"]["size"])
	if err != nil {
		b.t.Fatal(err)
	}
	columns, _ := as[[]any](b.attrs, "columns")
	for i, size := range want {
		at := map[string]int{"D": 1}
		for k, name := range columns {
			at[name.(string)] = int(rows[i*len(columns)+k])
		}
		m := graph.NewModule("size")
		x := m.Func("f").Input("x", graph.F32, 1, 1, at["in"])
		opts := []nn.Option{nn.Stride(at["S"]), nn.Padding(at["P"]), nn.Dilation(at["D"])}
		l := nn.Conv1d(1, 1, at["F"], opts...)
		if len(columns) > 4 {
			l = nn.ConvTranspose1d(1, 1, at["F"], append(opts, nn.OutputPadding(at["output_padding"]))...)
		}
		y := l.Apply(x)
		if err := m.Err(); err != nil {
			b.t.Errorf("row %v: %v", at, err)
			continue
		}
		if n, _ := y.Shape()[2].Int(); n != size {
			b.t.Errorf("row %v: got size %d, want %d", at, n, size)
		}
	}
	return nil
}

// svm declares a linear support vector machine in one of the demo's three formulations.
func (b *build) svm() (outs values, w, bias graph.Value) {
	w, bias = b.weight("W"), b.weight("b")
	scores, target := linear(b.x("x"), w, bias), b.x("y")
	classes := b.roles["params"]["b"].Len()
	margin := b.num("margin", 1)
	var losses graph.Value
	switch b.str("formulation") {
	case "ww": // Weston and Watkins: the wrong classes against the right one
		losses = ops.Mul(nn.MultiMargin(scores, target, nn.None, nn.Margin(margin)), float64(classes))
	case "ova": // one against all
		sign := ops.Sub(ops.Mul(ops.OneHot(target, classes, scores.DType()), 2.0), 1.0)
		losses = ops.Sum(ops.ReLU(ops.Sub(margin, ops.Mul(sign, scores))), 1)
	case "structured": // the worst of the wrong classes against the right one
		right := ops.GatherElements(scores, 1, ops.Unsqueeze(target, 1))
		wrong := ops.Equal(ops.OneHot(target, classes, scores.DType()), 0.0)
		margins := ops.Where(wrong, ops.Add(ops.Sub(scores, right), margin), 0.0)
		losses = ops.ReLU(ops.ReduceMax(margins, []int{1}, false))
	case "softmax":
		losses = nn.CrossEntropy(scores, target, nn.None)
	default:
		b.t.Fatalf("there is no formulation %q", b.str("formulation"))
	}
	data := ops.Mean(losses)
	reg := ops.Mul(ops.Sum(ops.Square(w)), b.num("lambda", 0))
	return values{"scores": scores, "losses": losses, "data_loss": data, "reg_loss": reg, "total_loss": ops.Add(data, reg)}, w, bias
}

// printed compares the case's own results and gradients with what the slide prints: equal after rounding to the digits
// given, or within 0.015 where W itself is rounded.
func (b *build) printed() {
	for name, want := range b.roles["printed"] {
		from := b.roles["outputs"][name]
		b.read[want] = true
		switch name {
		case "grad_W":
			from = b.roles["demo"]["W"]
		case "grad_b":
			from = b.roles["demo"]["b"]
		}
		have, shown := from.Float64s(), want.Float64s()
		for i := range shown {
			x, bound := have[i], 0.015
			if b.has("round_to") {
				scale := math.Pow(10, b.num("round_to", 2))
				x, bound = math.Round(x*scale)/scale, 1e-9
			}
			if math.Abs(x-shown[i]) > bound {
				b.t.Errorf("printed %s[%d]: have %v, the slide has %v", name, i, have[i], shown[i])
			}
		}
	}
}
