// Package zoo holds models that are ready to train: each is declared with package nn, as one would do it oneself.
//
//	model, ok := zoo.Lookup("lenet5")
//	m := model.Build(zoo.Optimizer(optim.Adam(1e-3)))
//
// A module of the zoo has three functions over the same weights. With image of f32[N,1,28,28] and label of i64[N]:
//
//	predict(image)       returns logits, f32[N,10]
//	train(image, label)  returns loss, f32[], and updates the weights
//	eval(image, label)   returns loss, f32[], correct, the i64[] number of right predictions, and logits
package zoo

import (
	"slices"
	"strconv"

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
	// Input is the shape of one example, without the batch.
	Input []int
	// Classes is the number of classes.
	Classes int
	// Net returns the layers; it returns new ones each time.
	Net func() nn.Layer
}

var models = []*Model{
	{
		Name: "softmax", Doc: "Softmax regression: one linear layer, 784-10.",
		Input: []int{1, 28, 28}, Classes: 10, Net: SoftmaxRegression,
	},
	{
		Name: "mlp", Doc: "A multi-layer perceptron with one hidden layer of ReLUs, 784-128-10.",
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

// SoftmaxRegression returns the layers of softmax regression on images of 28x28 and 10 classes. Variables: fc.weight and
// fc.bias.
func SoftmaxRegression() nn.Layer {
	return nn.Sequential(nn.Flatten(), nn.Named("fc", nn.Linear(784, 10)))
}

// MLP returns the layers of a perceptron with one hidden layer of 128 ReLUs. Variables: fc1.weight, fc1.bias, fc2.weight
// and fc2.bias.
func MLP() nn.Layer {
	return nn.Sequential(nn.Flatten(), nn.Named("fc1", nn.Linear(784, 128)), nn.ReLU(), nn.Named("fc2", nn.Linear(128, 10)))
}

// LeNet5 returns the layers of LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998) as it is taught today, with ReLUs, max
// pooling and full connections. Variables: weight and bias of conv1, conv2, fc1, fc2 and fc3.
func LeNet5() nn.Layer {
	return nn.Sequential(
		nn.Named("conv1", nn.Conv2d(1, 6, 5, nn.Padding(2))), nn.ReLU(), nn.MaxPool2d(2),
		nn.Named("conv2", nn.Conv2d(6, 16, 5)), nn.ReLU(), nn.MaxPool2d(2),
		nn.Flatten(),
		nn.Named("fc1", nn.Linear(400, 120)), nn.ReLU(),
		nn.Named("fc2", nn.Linear(120, 84)), nn.ReLU(),
		nn.Named("fc3", nn.Linear(84, 10)))
}

// Option changes how a model is built.
type Option func(o *options)

type options struct {
	optimizer *optim.Optimizer
	dtype     graph.DType
}

// Optimizer sets the optimizer of the function train; Adam with a learning rate of 0.001 unless given.
func Optimizer(opt *optim.Optimizer) Option { return func(o *options) { o.optimizer = opt } }

// DType sets the dtype of images and weights; f32 unless given.
func DType(dt graph.DType) Option { return func(o *options) { o.dtype = dt } }

// Build declares the model's module. Faults, such as those of an optimizer's options, are on the module and come back
// from compile.Compile.
func (m *Model) Build(opts ...Option) *graph.Module {
	o := options{dtype: graph.F32}
	for _, set := range opts {
		set(&o)
	}
	if o.optimizer == nil {
		o.optimizer = optim.Adam(1e-3)
	}
	mod := graph.NewModule(m.Name)
	net := m.Net()
	image := func(f *graph.Func) graph.Value {
		dims := []any{"N"}
		for _, n := range m.Input {
			dims = append(dims, n)
		}
		return f.Input("image", o.dtype, dims...)
	}
	label := func(f *graph.Func) graph.Value { return f.Input("label", graph.I64, "N") }

	predict := mod.Func(artifact.PredictFunc)
	predict.Return("logits", net.Apply(image(predict)))

	train := mod.Func(artifact.TrainFunc)
	loss := nn.CrossEntropy(net.Apply(image(train), nn.Training), label(train))
	train.Return("loss", loss)
	o.optimizer.Minimize(loss)

	eval := mod.Func(artifact.EvalFunc)
	logits, truth := net.Apply(image(eval)), label(eval)
	eval.Return("loss", nn.CrossEntropy(logits, truth))
	eval.Return("correct", ops.Sum(ops.Equal(ops.ArgMax(logits, 1, false), truth)))
	eval.Return("logits", logits)

	artifact.Info{
		Doc: m.Doc, Classes: classNames(m.Classes), Loss: artifact.TrainFunc + "/loss",
		Roles:      map[string]string{"image": artifact.InputRole, "label": artifact.TargetRole},
		Preprocess: map[string]artifact.Preprocess{"image": {Mode: artifact.Gray, Scale: 1. / 255}},
	}.Set(mod)
	return mod
}

// classNames returns the numbers of the classes, until a dataset gives them names.
func classNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}
