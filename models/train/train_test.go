package train_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/value"
)

// points returns n points around three centres in the plane, labelled by the centre.
func points(t *testing.T, n int, seed uint64) data.Dataset {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	centres := [3][2]float32{{0, 2}, {2, -1}, {-2, -1}}
	xs, ys := make([]float32, 0, 2*n), make([]int64, n)
	for i := range n {
		ys[i] = int64(rng.IntN(3))
		for _, c := range centres[ys[i]] {
			xs = append(xs, c+float32(rng.NormFloat64())*0.8)
		}
	}
	x, err := value.FromSlice(xs, n, 2)
	if err != nil {
		t.Fatal(err)
	}
	y, err := value.FromSlice(ys, n)
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.NewTensorDataset(x, y)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// session starts a softmax regression on points, trained by gradient descent with the learning rate.
func session(t *testing.T, lr float64) *runtime.Session {
	t.Helper()
	m := graph.NewModule("points")
	zeros := func(dims ...any) func(*graph.Func, graph.Value) graph.Value {
		return func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 0.0, dims...) }
	}
	w := m.Variable("weight", graph.F32, []int{2, 3}, zeros(2, 3))
	b := m.Variable("bias", graph.F32, []int{3}, zeros(3))
	declare := func(name string) (f *graph.Func, logits, label, loss graph.Value) {
		f = m.Func(name)
		logits = ops.Add(ops.MatMul(f.Input("image", graph.F32, "N", 2), w.Read(f)), b.Read(f))
		label = f.Input("label", graph.I64, "N")
		hit := ops.Cast(ops.Equal(ops.Unsqueeze(label, 1), ops.Iota(f, graph.I64, 1, 1, 3)), graph.F32)
		loss = ops.Neg(ops.Mean(ops.Sum(ops.Mul(ops.LogSoftmax(logits, 1), hit), 1)))
		return f, logits, label, loss
	}
	f, _, _, loss := declare("train")
	f.Return("loss", loss)
	vars := []*graph.Variable{w, b}
	for i, g := range graph.Grad(loss, w.Read(f), b.Read(f)) {
		f.Update(vars[i], ops.Sub(vars[i].Read(f), ops.Mul(g, lr)))
	}
	f, logits, label, loss := declare("eval")
	f.Return("loss", loss)
	f.Return("correct", ops.Sum(ops.Cast(ops.Equal(ops.ArgMax(logits, 1, false), label), graph.I64)))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	return sess
}

func TestFit(t *testing.T) {
	ctx := t.Context()
	trainSet, testSet := points(t, 100, 1), points(t, 60, 2)
	var steps []train.Step
	var epochs []train.Epoch
	sess := session(t, 0.5)
	res, err := train.Fit(ctx, sess, trainSet, testSet, train.Config{
		Epochs: 3, Batch: 32, Seed: 5,
		OnStep:  func(s train.Step) { steps = append(steps, s) },
		OnEpoch: func(e train.Epoch) { epochs = append(epochs, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps != 12 || len(steps) != 12 { // 32+32+32+4 examples, three times
		t.Errorf("%d steps, %d reported, want 12", res.Steps, len(steps))
	}
	if last := steps[3]; last.Epoch != 1 || last.Step != 4 || last.Steps != 4 || last.Samples != 4 {
		t.Errorf("the last step of the first epoch is %+v", last)
	}
	if d := cmp.Diff(res.Epochs, epochs); d != "" {
		t.Errorf("the epochs reported are not those returned:\n%s", d)
	}
	first, last := res.Epochs[0], res.Epochs[2]
	if !(last.TrainLoss < first.TrainLoss) || last.TestAccuracy < 0.85 || last.TestSamples != 60 || !(last.SamplesPerSecond > 0) {
		t.Errorf("it did not learn: %+v, then %+v", first, last)
	}
	if want := float64(last.TestCorrect) / 60; last.TestAccuracy != want {
		t.Errorf("accuracy %v, want %v", last.TestAccuracy, want)
	}

	// The same seed takes the same steps; another one does not.
	for seed, same := range map[uint64]bool{5: true, 6: false} {
		other := session(t, 0.5)
		if _, err := train.Fit(ctx, other, trainSet, testSet, train.Config{Epochs: 3, Batch: 32, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		if got := other.Variable("weight").Equal(sess.Variable("weight")); got != same {
			t.Errorf("seed %d: same weights is %v, want %v", seed, got, same)
		}
	}
}

func TestEvaluateAtAnyBatchSize(t *testing.T) {
	trainSet, testSet := points(t, 64, 1), points(t, 61, 2)
	sess := session(t, 0.1)
	res, err := train.Fit(t.Context(), sess, trainSet, testSet, train.Config{Epochs: 1, Batch: 16, TestBatch: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := res.Epochs[0]
	for _, batch := range []int{1, 2, 7, 60, 61, 1000} {
		s, err := train.Evaluate(t.Context(), sess, testSet, batch)
		if err != nil {
			t.Fatal(err)
		}
		if s.Correct != want.TestCorrect || s.Samples != 61 || s.Accuracy() != want.TestAccuracy {
			t.Errorf("batch %d: %d of %d correct, want %d of 61", batch, s.Correct, s.Samples, want.TestCorrect)
		}
		if math.Abs(s.Loss-want.TestLoss) > 1e-6 {
			t.Errorf("batch %d: loss %v, want about %v", batch, s.Loss, want.TestLoss)
		}
	}
}

func TestCancel(t *testing.T) {
	set := points(t, 40, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sess := session(t, 0.1)
	res, err := train.Fit(ctx, sess, set, set, train.Config{Epochs: 5, Batch: 10, OnStep: func(s train.Step) {
		if s.Epoch == 2 && s.Step == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if len(res.Epochs) != 1 || res.Steps != 7 {
		t.Errorf("%d epochs and %d steps, want 1 and 7", len(res.Epochs), res.Steps)
	}
	// What was done is kept: seven steps of another session lead to the same place.
	again := session(t, 0.1)
	ctx2, cancel2 := context.WithCancel(t.Context())
	defer cancel2()
	n := 0
	_, _ = train.Fit(ctx2, again, set, set, train.Config{Epochs: 5, Batch: 10, OnStep: func(train.Step) {
		if n++; n == 7 {
			cancel2()
		}
	}})
	if !again.Variable("weight").Equal(sess.Variable("weight")) {
		t.Error("the variables are not those after seven steps")
	}
	if _, err := train.Evaluate(ctx, sess, set, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("Evaluate: error %v, want context.Canceled", err)
	}
}

func TestDiverged(t *testing.T) {
	set := points(t, 40, 1)
	res, err := train.Fit(t.Context(), session(t, 1e38), set, set, train.Config{Epochs: 5, Batch: 10})
	if !errors.Is(err, train.ErrDiverged) || res.Steps == 0 || res.Steps > 4 {
		t.Errorf("after %d steps: error %v, want ErrDiverged", res.Steps, err)
	}
}

func TestFaults(t *testing.T) {
	set := points(t, 8, 1)
	sess := session(t, 0.1)
	for _, c := range []struct {
		cfg  train.Config
		want string
	}{
		{train.Config{Epochs: 0, Batch: 1}, "0 epochs: want at least 1"},
		{train.Config{Epochs: 1, Batch: 0}, "batch size is 0"},
		{train.Config{Epochs: 1, Batch: 1, Model: train.Names{Train: "fit"}}, `no function "fit"`},
		{train.Config{Epochs: 1, Batch: 1, Model: train.Names{Input: "x"}}, `no input "x"`},
		{train.Config{Epochs: 1, Batch: 1, Model: train.Names{Eval: "train"}}, `no result "correct"`},
	} {
		if _, err := train.Fit(t.Context(), sess, set, set, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.cfg, err, c.want)
		}
	}
	if _, err := train.Evaluate(t.Context(), sess, set, -1); err == nil {
		t.Error("Evaluate: want an error for batch size -1")
	}
}
