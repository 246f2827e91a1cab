package models_test

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
)

// optimizer returns the optimizer that the attributes describe, with PyTorch's defaults, for a momentum that a schedule sets or not.
func (c *attrs) optimizer(name string, scheduled bool) *optim.Optimizer {
	var opts []optim.Option
	if c.has("weight_decay") {
		opts = append(opts, optim.WeightDecay(c.num("weight_decay", 0)))
	}
	if c.has("eps") {
		opts = append(opts, optim.Eps(c.num("eps", 0)))
	}
	if betas := c.floats("betas"); len(betas) == 2 {
		opts = append(opts, optim.Betas(betas[0], betas[1]))
	}
	for attr, option := range map[string]func(float64) optim.Option{
		"momentum": optim.Momentum, "dampening": optim.Dampening, "alpha": optim.Alpha, "rho": optim.Rho, "lr_decay": optim.LRDecay,
		"initial_accumulator_value": optim.InitialAccumulator, "momentum_decay": optim.MomentumDecay,
	} {
		if c.has(attr) {
			opts = append(opts, option(c.num(attr, 0)))
		}
	}
	for attr, option := range map[string]func() optim.Option{
		"nesterov": optim.Nesterov, "amsgrad": optim.AMSGrad, "centered": optim.Centered, "maximize": optim.Maximize,
	} {
		if c.flag(attr, false) {
			opts = append(opts, option())
		}
	}
	if scheduled {
		opts = append(opts, optim.ScheduleMomentum())
	}
	decoupled := c.flag("decoupled_weight_decay", name == "AdamW")
	if decoupled && (name == "NAdam" || name == "RAdam") {
		opts = append(opts, optim.Decoupled())
	}
	switch name {
	case "SGD", "SGDMomentum", "Nesterov", "SGDScheduled":
		return optim.SGD(c.num("lr", 0), opts...)
	case "Adam", "AMSGrad", "AdamScheduled", "AdamW":
		if decoupled {
			return optim.AdamW(c.num("lr", 1e-3), opts...)
		}
		return optim.Adam(c.num("lr", 1e-3), opts...)
	case "RMSprop":
		return optim.RMSprop(c.num("lr", 1e-2), opts...)
	case "Adagrad":
		return optim.Adagrad(c.num("lr", 1e-2), opts...)
	case "Adadelta":
		return optim.Adadelta(c.num("lr", 1), opts...)
	case "Adamax":
		return optim.Adamax(c.num("lr", 2e-3), opts...)
	case "NAdam":
		return optim.NAdam(c.num("lr", 2e-3), opts...)
	case "RAdam":
		return optim.RAdam(c.num("lr", 1e-3), opts...)
	}
	return nil
}

// prefixes are the names below which optimizers keep their state.
var prefixes = map[string]string{
	"SGD": "sgd", "SGDMomentum": "sgd", "Nesterov": "sgd", "SGDScheduled": "sgd", "Adam": "adam", "AMSGrad": "adam", "AdamScheduled": "adam",
	"AdamW": "adamw", "RMSprop": "rmsprop", "Adagrad": "adagrad", "Adadelta": "adadelta", "Adamax": "adamax", "NAdam": "nadam", "RAdam": "radam",
}

func init() {
	table := map[string]builder{}
	for name := range prefixes {
		table[name] = trajectory
	}
	register(table)
}

// trajectory runs an optimizer on the objective 1/2 (p-c)'A(p-c) + sum(s sin(w p)) and compares every step.
func trajectory(b *build) values {
	in, want := b.roles["inputs"], b.roles["outputs"]
	dt := want["params"].DType()
	start, err := value.Convert(in["p0"].Exact(), dt)
	if err != nil {
		b.t.Fatal(err)
	}
	shape := in["p0"].Shape()
	p := b.m.Variable("p", dt, shape, initializer.FromTensor(start.Tensor()).For(dt, shape...))
	wide := ops.Cast(p.Read(b.f), graph.F64)
	// some cases hold an entry still: its gradient is set to 0, whatever the objective's is
	var still int
	if n, _ := fmt.Sscanf(b.Notes, "entry %d always has gradient 0", &still); n == 1 {
		fixed := ops.Equal(ops.Arange(b.f, graph.I64, shape[0]), still)
		wide = ops.Where(fixed, ops.StopGradient(wide), wide)
	}
	d := ops.Sub(wide, b.x("c"))
	loss := ops.Add(ops.Mul(ops.Dot(d, ops.MatMul(b.x("A"), d)), 0.5), ops.Sum(ops.Mul(b.x("s"), ops.Sin(ops.Mul(b.x("w"), wide)))))
	b.f.Return("loss", loss)
	b.f.Return("grad", graph.Grad(loss, p.Read(b.f))[0])
	rate, momentum := b.scheduler(b.num("lr", 0))
	opt := b.optimizer(b.Op, momentum != nil)
	opt.Minimize(loss)
	sess := b.session()
	for i := range b.int("steps", 0) {
		b.schedule(sess, i, rate, momentum)
		got := b.run(sess, "f", b.tensors())
		b.compare(fmt.Sprintf("losses_before[%d]", i), got["loss"], b.row(want["losses_before"], i))
		b.compare(fmt.Sprintf("grads[%d]", i), got["grad"], b.row(want["grads"], i))
		b.compare(fmt.Sprintf("params[%d]", i), sess.Variable("p"), b.row(want["params"], i))
		b.compare(fmt.Sprintf("lrs[%d]", i), sess.Variable("lr"), b.row(want["lrs"], i))
	}
	for name, t := range b.roles["state"] {
		prefix := prefixes[b.Op]
		if prefix == "adam" && b.flag("decoupled_weight_decay", false) {
			prefix = "adamw"
		}
		v := sess.Variable("p." + prefix + "." + name)
		if v == nil {
			v = sess.Variable(prefix + "." + name)
		}
		if v == nil && name == "step" { // one counter serves all weights
			b.read[t] = true
			continue
		}
		b.compare("state "+name, v, t)
	}
	return nil
}

var _ = register(map[string]builder{
	"MLP":       training(mlp),
	"TinyLeNet": training(tinyLeNet),
	"BNNet":     training(bnNet),
})

// act returns the activation that an architecture names.
func (c *golden) act() func() nn.Layer {
	for name, act := range map[string]func() nn.Layer{"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "gelu": nn.GELU} {
		if strings.HasSuffix(c.str("architecture"), name) {
			return act
		}
	}
	return nn.Tanh
}

func mlp(b *build) nn.Layer {
	var sizes []int
	for _, part := range strings.Split(strings.Split(b.str("architecture"), ",")[0], "-") {
		var n int
		fmt.Sscan(part, &n)
		sizes = append(sizes, n)
	}
	var layers []nn.Layer
	for i := range len(sizes) - 1 {
		if i > 0 {
			layers = append(layers, b.act()())
		}
		layers = append(layers, nn.Named(fmt.Sprint("fc", i+1), nn.Linear(sizes[i], sizes[i+1])))
	}
	return nn.Sequential(layers...)
}

func tinyLeNet(b *build) nn.Layer {
	pool := func() nn.Layer {
		if strings.Contains(b.str("architecture"), "avgpool") {
			return nn.AvgPool2d(2)
		}
		return nn.MaxPool2d(2)
	}
	return nn.Sequential(
		nn.Named("conv1", nn.Conv2d(1, 4, 3)), b.act()(), pool(),
		nn.Named("conv2", nn.Conv2d(4, 8, 2)), b.act()(), pool(), nn.Flatten(),
		nn.Named("fc1", nn.Linear(32, 16)), b.act()(), nn.Named("fc2", nn.Linear(16, 5)))
}

func bnNet(b *build) nn.Layer {
	b.str("architecture") // the README of the values says what it is
	return nn.Sequential(
		nn.Named("conv1", nn.Conv2d(1, 4, 3, nn.NoBias(), nn.Stride(2), nn.Padding(1))), nn.Named("bn1", nn.BatchNorm2d(4)), nn.ReLU(),
		nn.Named("conv2", nn.Conv2d(4, 6, 3, nn.NoBias(), nn.Groups(2), nn.Padding(1))), nn.Named("bn2", nn.BatchNorm2d(6)), nn.ReLU(),
		nn.GlobalAvgPool(), nn.Named("fc", nn.Linear(6, 5)))
}

// training makes a builder that trains a net for the case's steps and compares losses, first gradients, final weights
// and what the trained net gives.
func training(net func(b *build) nn.Layer) builder {
	return func(b *build) values {
		l := net(b)
		x, target := b.roles["inputs"]["x"], b.roles["inputs"]["target"]
		batch, steps, n := b.int("batch", 0), b.int("steps", 0), x.Shape()[0]
		sized := func(f *graph.Func, name string, t *value.Tensor) graph.Value {
			dims := append([]any{"N"}, anys(t.Shape()[1:])...)
			return f.Input(name, t.DType(), dims...)
		}
		logits := l.Apply(sized(b.f, "x", x), nn.Training)
		y := sized(b.f, "target", target)
		var loss graph.Value
		if b.str("loss") == "MSELoss" {
			loss = nn.MSE(logits, y)
		} else {
			loss = nn.CrossEntropy(logits, y)
		}
		if l2 := b.num("l2", 0); l2 != 0 {
			for _, v := range b.m.Variables() {
				if strings.HasSuffix(v.Name(), ".weight") {
					loss = ops.Add(loss, ops.Mul(ops.Sum(ops.Square(v.Read(b.f))), 0.5*l2))
				}
			}
		}
		b.f.Return("loss", ops.Cast(loss, graph.F64))
		names := sortedKeys(b.roles["first_grads"])
		for _, name := range names {
			v := b.m.LookupVariable(name)
			if v == nil {
				b.t.Fatalf("the net has no %s", name)
			}
			b.f.Return("grad_"+name, graph.Grad(loss, v.Read(b.f))[0])
		}
		rule := b.object("optimizer")
		rate, momentum := b.scheduler(rule.num("lr", 0))
		opt := rule.optimizer(rule.str("name"), momentum != nil)
		if opt == nil {
			b.t.Fatalf("there is no optimizer %q", rule.str("name"))
		}
		opt.Minimize(loss)
		eval := b.m.Func("eval")
		eval.Return("y", l.Apply(sized(eval, "x", x)))
		for name, t := range b.roles["params"] {
			b.vars[name] = t
		}
		sess := b.session()
		want := b.roles["outputs"]
		for i := range steps {
			index := make([]int, batch)
			for j := range index {
				index[j] = (i*batch + j) % n
			}
			b.schedule(sess, i, rate, momentum)
			got := b.run(sess, "f", map[string]*value.Tensor{"x": b.rows(x, index), "target": b.rows(target, index)})
			b.compare(fmt.Sprintf("losses[%d]", i), got["loss"], b.row(want["losses"], i))
			if i == 0 {
				for _, name := range names {
					b.compare("first gradient of "+name, got["grad_"+name], b.roles["first_grads"][name])
				}
			}
		}
		for _, name := range sortedKeys(b.roles["after"]) {
			b.compare("final "+name, sess.Variable(name), b.roles["after"][name])
		}
		got := b.run(sess, "eval", map[string]*value.Tensor{"x": x})
		b.compare("eval_output", got["y"], want["eval_output"])
		return nil
	}
}
