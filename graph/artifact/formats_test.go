package artifact_test

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

var update = flag.Bool("update", false, "store the models of the present format version where there are none; what is stored is never changed")

// formats holds a folder for each format version, and in it one for each stored model: the artifact, and beside it expectFile.
var formats = filepath.Join("..", "..", "testdata", "formats")

// expectFile holds tensors by name: feeds of both functions as "in.NAME"; results of predict as "predict.NAME", and of the
// training step that comes then as "train.NAME"; and those of predict after it as "after.NAME".
const expectFile = "expect.safetensors"

// storedModels are declared anew for each format version: one as the zoo has it, and one with what the text form can say.
var storedModels = map[string]func() *graph.Module{
	"softmax": func() *graph.Module {
		m, _ := zoo.Lookup("softmax")
		return m.Build(zoo.Optimizer(optim.SGD(0.1)))
	},
	"parts": partsModule,
}

// elements returns the elements of a tensor in place.
func elements[T value.Elem](t *value.Tensor) []T {
	x, err := value.Data[T](t)
	if err != nil {
		panic(err)
	}
	return x
}

// partsModule has a constant that is stored beside the text, regions, a call, draws, running statistics, and an optimizer with state.
func partsModule() *graph.Module {
	m := graph.NewModule("parts")
	m.SetMeta("note", "quotes \" and\nlines")
	table := zeros(graph.F32, 12, 8)
	for i := range elements[float32](table) {
		elements[float32](table)[i] = float32(math.Sin(float64(i)))
	}
	scale := m.Func("scale")
	scale.Return("y", ops.Mul(scale.Input("x", graph.F32, "N", 8), 0.5))
	norm := nn.Named("norm", nn.BatchNorm1d(8))
	out := nn.Named("out", nn.Linear(8, 3))
	net := func(f *graph.Func, mode ...nn.Mode) graph.Value {
		x := f.Input("x", graph.F32, "N", 12).Named("features")
		h := ops.MatMul(x, f.Const(table))
		h = norm.Apply(f.Call(scale, h)[0], mode...)
		h = ops.CustomGrad( // softplus
			func(_ *graph.Func, x []graph.Value) []graph.Value { return []graph.Value{ops.Log1p(ops.Exp(x[0]))} },
			func(_ *graph.Func, x, _, dy []graph.Value) []graph.Value {
				return []graph.Value{ops.Mul(dy[0], ops.Sigmoid(x[0]))}
			}, h)[0]
		h = nn.Dropout(0.25).Apply(h, mode...)
		return out.Apply(h)
	}
	predict := m.Func("predict")
	predict.Return("logits", net(predict))
	train := m.Func("train")
	loss := nn.CrossEntropy(net(train, nn.Training), train.Input("label", graph.I64, "N"))
	train.Return("loss", loss)
	optim.Adam(0.01, optim.AMSGrad()).Minimize(loss)
	return m
}

// TestFormatsLoad loads every model that was stored since the first format version, runs it, and trains it.
func TestFormatsLoad(t *testing.T) {
	versions, err := os.ReadDir(formats)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		models, err := os.ReadDir(filepath.Join(formats, v.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range models {
			t.Run(v.Name()+"/"+m.Name(), func(t *testing.T) {
				dir := filepath.Join(formats, v.Name(), m.Name())
				text, err := os.ReadFile(filepath.Join(dir, artifact.GraphFile))
				if err != nil || !strings.HasPrefix(string(text), "graphrun "+v.Name()+"\n") {
					t.Fatalf("want a text of version %s, have %.20q, %v", v.Name(), text, err)
				}
				want, err := safetensors.Open(os.DirFS(dir), expectFile)
				if errors.Is(err, fs.ErrNotExist) && *update {
					writeExpectations(t, dir)
					return
				} else if err != nil {
					t.Fatal(err)
				}
				a, err := artifact.LoadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				have := behaviour(t, a, want.Tensors)
				if w, h := slices.Sorted(maps.Keys(want.Tensors)), slices.Sorted(maps.Keys(have)); !slices.Equal(w, h) {
					t.Errorf("want %v, have %v", w, h)
				}
				for name, w := range want.Tensors {
					if h := have[name]; h == nil || !near(h, w) {
						t.Errorf("%s: want %v, have %v", name, w, h)
					}
				}
				if near(have["predict.logits"], have["after.logits"]) {
					t.Error("the step of training changes nothing")
				}
			})
		}
	}
}

// TestFormatIsStored fails when the format's version is a new one and no models of it are stored, so that later versions are held
// against it: run the tests of this package with -update, and commit what they write.
func TestFormatIsStored(t *testing.T) {
	for name, build := range storedModels {
		dir := filepath.Join(formats, strconv.Itoa(graph.FormatVersion), name)
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		if !*update {
			t.Errorf("there is no %s: store one by go test ./graph/artifact -run TestFormat -update", dir)
			continue
		}
		m := build()
		sess := session(t, &artifact.Artifact{Module: m})
		feeds := randomFeeds(sess, 16)
		for range 3 {
			run(t, sess, "train", feeds)
		}
		if err := artifact.Save(dir, m, sess.Variables()); err != nil {
			t.Fatal(err)
		}
		writeExpectations(t, dir)
	}
}

func session(t *testing.T, a *artifact.Artifact) *runtime.Session {
	t.Helper()
	prog, err := compile.Compile(a.Module)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1), runtime.Weights(a.Weights))
	if err != nil {
		t.Fatal(err)
	}
	return sess
}

// run feeds a function what it takes of feeds.
func run(t *testing.T, sess *runtime.Session, fn string, feeds map[string]*value.Tensor) map[string]value.Value {
	t.Helper()
	in := map[string]value.Value{}
	for _, p := range sess.Program().Funcs[fn].Inputs {
		in[p.Name] = feeds["in."+p.Name]
	}
	out, err := sess.Run(context.Background(), fn, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// randomFeeds returns n examples for the training function; labels are 0, 1 and 2.
func randomFeeds(sess *runtime.Session, n int) map[string]*value.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	feeds := map[string]*value.Tensor{}
	for _, p := range sess.Program().Funcs["train"].Inputs {
		tt := p.Type.(graph.TensorType)
		shape := []int{n}
		for _, d := range tt.Shape[1:] {
			k, _ := d.Int()
			shape = append(shape, int(k))
		}
		x := zeros(tt.DType, shape...)
		for i := range x.Len() {
			if tt.DType == graph.I64 {
				elements[int64](x)[i] = int64(rng.IntN(3))
			} else {
				elements[float32](x)[i] = float32(rng.IntN(9)) / 8 // few values, so that the file compresses well
			}
		}
		feeds["in."+p.Name] = x
	}
	return feeds
}

// behaviour returns what expectFile holds of a model, for the feeds in given.
func behaviour(t *testing.T, a *artifact.Artifact, given map[string]*value.Tensor) map[string]*value.Tensor {
	t.Helper()
	sess := session(t, a)
	have := map[string]*value.Tensor{}
	for name, x := range given {
		if strings.HasPrefix(name, "in.") {
			have[name] = x
		}
	}
	for _, s := range []struct{ stage, fn string }{{"predict", "predict"}, {"train", "train"}, {"after", "predict"}} {
		for name, x := range run(t, sess, s.fn, have) {
			have[s.stage+"."+name] = x.(*value.Tensor)
		}
	}
	return have
}

func writeExpectations(t *testing.T, dir string) {
	t.Helper()
	a, err := artifact.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Named
	for name, x := range behaviour(t, a, randomFeeds(session(t, a), 4)) {
		tensors = append(tensors, safetensors.Named{Name: name, Tensor: x})
	}
	f, err := os.Create(filepath.Join(dir, expectFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(safetensors.Write(f, tensors, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// near reports whether tensors are the same up to what summing in another order changes.
func near(a, b *value.Tensor) bool {
	if !graph.EqualTypes(graph.TypeOf(a), graph.TypeOf(b)) {
		return false
	}
	if !a.DType().IsFloat() {
		return a.Equal(b)
	}
	for i, x := range a.Float64s() {
		if y := b.Float64s()[i]; !(math.Abs(x-y) <= 1e-5*max(1, math.Abs(y))) {
			return false
		}
	}
	return true
}
