package zoo

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
)

// Model is an entry of the zoo.
type Model struct {
	Name string
	// Doc is one sentence on the model and its source.
	Doc string
	// Input is the shape of one example, without the batch, that the model is built for unless the option Input gives
	// another.
	Input []int
	// Classes is the number of classes, unless the option Classes gives another.
	Classes int
	// Net returns the layers for examples of a shape and a number of classes, new ones each time. The error says which
	// shapes the model takes.
	Net func(input []int, classes int) (nn.Layer, error)
}

var models = []*Model{
	{
		Name: "softmax", Doc: "Softmax regression: one linear layer; 784-10 for images of 28 x 28.",
		Input: []int{1, 28, 28}, Classes: 10, Net: SoftmaxRegression,
	},
	{
		Name: "mlp", Doc: "A multi-layer perceptron with one hidden layer of 128 ReLUs; 784-128-10 for images of 28 x 28.",
		Input: []int{1, 28, 28}, Classes: 10, Net: MLP,
	},
	{
		Name: "lenet5", Doc: "LeNet-5 (LeCun et al. 1998) with ReLUs and max pooling.",
		Input: []int{1, 28, 28}, Classes: 10, Net: LeNet5,
	},
}

// Models returns all models, from the smallest on.
func Models() []*Model { return slices.Clone(models) }

// Names returns the names of all models, from the smallest on.
func Names() []string {
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	return names
}

// Lookup returns the model of a name.
func Lookup(name string) (m *Model, ok bool) {
	i := slices.IndexFunc(models, func(m *Model) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return models[i], true
}

// SoftmaxRegression returns the layers of softmax regression on examples of any shape. Variables: fc.weight and fc.bias.
func SoftmaxRegression(input []int, classes int) (nn.Layer, error) {
	return nn.Sequential(nn.Flatten(), nn.Named("fc", nn.Linear(elements(input), classes))), nil
}

// MLP returns the layers of a perceptron with one hidden layer of 128 ReLUs, on examples of any shape. Variables:
// fc1.weight, fc1.bias, fc2.weight and fc2.bias.
func MLP(input []int, classes int) (nn.Layer, error) {
	return nn.Sequential(nn.Flatten(), nn.Named("fc1", nn.Linear(elements(input), 128)), nn.ReLU(), nn.Named("fc2", nn.Linear(128, classes))), nil
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// LeNet5 returns the layers of LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998) as it is taught today, with ReLUs, max
// pooling and full connections, on images [C,H,W] of at least 12 x 12. Variables: weight and bias of conv1, conv2, fc1,
// fc2 and fc3.
func LeNet5(input []int, classes int) (nn.Layer, error) {
	const least = 12 // leaves one position behind the second pooling
	if len(input) != 3 || input[1] < least || input[2] < least {
		return nil, fmt.Errorf("want images [C,H,W] of at least %d x %d, have examples of shape %s", least, least, shapeText(input))
	}
	pooled := func(size int) int { return (size/2 - 4) / 2 }
	return nn.Sequential(
		nn.Named("conv1", nn.Conv2d(input[0], 6, 5, nn.Padding(2))), nn.ReLU(), nn.MaxPool2d(2),
		nn.Named("conv2", nn.Conv2d(6, 16, 5)), nn.ReLU(), nn.MaxPool2d(2),
		nn.Flatten(),
		nn.Named("fc1", nn.Linear(16*pooled(input[1])*pooled(input[2]), 120)), nn.ReLU(),
		nn.Named("fc2", nn.Linear(120, 84)), nn.ReLU(),
		nn.Named("fc3", nn.Linear(84, classes))), nil
}

func shapeText(shape []int) string { return strings.ReplaceAll(fmt.Sprint(shape), " ", ",") }

// Option changes how a model is built.
type Option func(o *options)

type options struct {
	optimizer *optim.Optimizer
	dtype     graph.DType
	input     []int
	classes   int
}

// Optimizer sets the optimizer of the function train; Adam with a learning rate of 0.001 unless given.
func Optimizer(opt *optim.Optimizer) Option { return func(o *options) { o.optimizer = opt } }

// DType sets the dtype of images and weights; f32 unless given.
func DType(dt graph.DType) Option { return func(o *options) { o.dtype = dt } }

// Input sets the shape of one example, without the batch, such as 3, 32, 32 for [C,H,W]; the model's Input unless
// given. Sizes are at least 1, and there is at least one. Each model says in Build's faults which shapes it takes.
func Input(shape ...int) Option { return func(o *options) { o.input = slices.Clone(shape) } }

// Classes sets the number of classes, at least 2; the model's Classes unless given.
func Classes(n int) Option { return func(o *options) { o.classes = n } }

// What Input and Classes take at most, so that products of sizes stay far from overflow.
const (
	maxSize    = 1 << 30
	maxClasses = 1 << 20
)

// Build declares the model's module. Faults, such as those of an optimizer's options or of a shape that the model
// cannot take, are on the module: its Err returns them, and so does compile.Compile.
func (m *Model) Build(opts ...Option) *graph.Module {
	o := options{dtype: graph.F32, input: m.Input, classes: m.Classes}
	for _, set := range opts {
		set(&o)
	}
	if o.optimizer == nil {
		o.optimizer = optim.Adam(1e-3)
	}
	mod := graph.NewModule(m.Name)
	net, err := m.net(o.input, o.classes)
	if err != nil {
		_, file, line, _ := runtime.Caller(1)
		mod.Report(graph.Pos{File: file, Line: line}, m.Name, "%v", err)
		return mod
	}
	image := func(f *graph.Func) graph.Value {
		dims := []any{"N"}
		for _, n := range o.input {
			dims = append(dims, n)
		}
		return f.Input("image", o.dtype, dims...)
	}
	label := func(f *graph.Func) graph.Value { return f.Input("label", graph.I64, "N") }

	predict := mod.Func(artifact.PredictFunc)
	predict.Return("logits", net.Apply(image(predict)))

	train := mod.Func(artifact.TrainFunc)
	outputs := net.Apply(image(train), nn.Training)
	loss := nn.CrossEntropy(outputs, label(train))
	train.Return("loss", loss)
	train.Return("logits", outputs) // by which the trainer counts the accuracy in training
	o.optimizer.Minimize(loss)

	eval := mod.Func(artifact.EvalFunc)
	logits, truth := net.Apply(image(eval)), label(eval)
	eval.Return("loss", nn.CrossEntropy(logits, truth))
	eval.Return("correct", ops.Sum(ops.Equal(ops.ArgMax(logits, 1, false), truth)))
	eval.Return("logits", logits)

	info := artifact.Info{
		Doc: m.Doc, Classes: classNames(o.classes), Loss: artifact.TrainFunc + "/loss",
		Roles: map[string]string{"image": artifact.InputRole, "label": artifact.TargetRole},
	}
	if len(o.input) == 3 && (o.input[0] == 1 || o.input[0] == 3) {
		mode := artifact.Gray
		if o.input[0] == 3 {
			mode = artifact.RGB
		}
		info.Preprocess = map[string]artifact.Preprocess{"image": {Mode: mode, Scale: 1. / 255}}
	}
	info.Set(mod)
	return mod
}

// net returns the layers, or says why there are none.
func (m *Model) net(input []int, classes int) (nn.Layer, error) {
	size := int64(1)
	for _, n := range input {
		if n < 1 || n > maxSize {
			return nil, fmt.Errorf("want sizes from 1 to %d, have examples of shape %s", maxSize, shapeText(input))
		}
		if size *= int64(n); size > maxSize {
			return nil, fmt.Errorf("want examples of at most %d elements, have shape %s", maxSize, shapeText(input))
		}
	}
	switch {
	case len(input) == 0:
		return nil, errors.New("want examples of at least one axis, have single numbers")
	case classes < 2 || classes > maxClasses:
		return nil, fmt.Errorf("want from 2 to %d classes, have %d", maxClasses, classes)
	}
	return m.Net(input, classes)
}

// classNames returns the numbers of the classes, until a dataset gives them names.
func classNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}
