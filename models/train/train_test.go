package train_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/optim/schedule"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

func must[T any](x T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// points returns n points around three centres in the plane, labelled by the centre.
func points(t testing.TB, n int, seed uint64) data.Dataset {
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
	return must(data.NewTensorDataset(must(value.FromSlice(xs, n, 2))(t), must(value.FromSlice(ys, n))(t)))(t)
}

// classifier declares a perceptron with dropout and batch normalization on points, trained by Adam: it has state of all kinds.
func classifier(rate float64) *graph.Module {
	m := graph.NewModule("points")
	net := nn.Sequential(
		nn.Named("fc1", nn.Linear(2, 16)), nn.Named("bn", nn.BatchNorm1d(16)), nn.ReLU(), nn.Dropout(0.2), nn.Named("fc2", nn.Linear(16, 3)))
	inputs := func(f *graph.Func) (x, label graph.Value) {
		return f.Input("x", graph.F32, "N", 2), f.Input("label", graph.I64, "N")
	}
	f := m.Func("train")
	x, label := inputs(f)
	trained := net.Apply(x, nn.Training)
	loss := nn.CrossEntropy(trained, label)
	f.Return("loss", loss)
	f.Return("logits", trained)
	optim.Adam(rate).Minimize(loss)
	f = m.Func("eval")
	x, label = inputs(f)
	logits := net.Apply(x)
	f.Return("loss", nn.CrossEntropy(logits, label))
	f.Return("logits", logits)
	return m
}

// start makes a trainer of the classifier.
func start(t testing.TB, cfg train.Config) *train.Trainer {
	t.Helper()
	if cfg.Train == nil {
		cfg.Train = points(t, 100, 1)
	}
	return must(train.New(classifier(0.01), cfg))(t)
}

// finish runs a training to its end.
func finish(t testing.TB, tr *train.Trainer) *train.Result {
	t.Helper()
	return must(tr.Run(t.Context()))(t)
}

// timeless leaves out what differs between two runs that do the same.
var timeless = cmpopts.IgnoreFields(train.Epoch{}, "Seconds")

// weights are the bytes of all variables.
func weights(s *runtime.Session) map[string]string {
	all := map[string]string{}
	for name, x := range s.Variables() {
		all[name] = string(x.Bytes())
	}
	return all
}

func TestRun(t *testing.T) {
	var steps []train.Step
	var epochs train.History
	tr := start(t, train.Config{
		Test: points(t, 60, 2), Epochs: 3, Batch: 32, Seed: 5, TopK: 2,
		OnStep:  func(s train.Step) { steps = append(steps, s) },
		OnEpoch: func(e train.Epoch) { epochs = append(epochs, e) },
	})
	res := finish(t, tr)
	if res.Steps != 12 || len(steps) != 12 || res.StepsPerEpoch != 4 { // 32+32+32+4 examples, three times
		t.Errorf("%d steps, %d reported, %d an epoch, want 12, 12 and 4", res.Steps, len(steps), res.StepsPerEpoch)
	}
	if last := steps[3]; last.Epoch != 1 || last.Step != 4 || last.Steps != 4 || last.Samples != 4 {
		t.Errorf("the last step of the first epoch is %+v", last)
	}
	sum := 0.0
	for _, s := range steps[:4] {
		sum += s.Loss * float64(s.Samples)
	}
	if got := res.History[0].TrainLoss; got != sum/100 {
		t.Errorf("the loss of the first epoch is %v, its steps give %v", got, sum/100)
	}
	if d := cmp.Diff(res.History, epochs); d != "" {
		t.Errorf("the epochs reported are not those returned:\n%s", d)
	}
	first, last := res.History[0], res.History[2]
	if !(last.TrainLoss < first.TrainLoss) || last.Test.Accuracy() < 0.85 || last.Steps != 12 || last.LR != 0.01 {
		t.Errorf("it did not learn: %+v, then %+v", first, last)
	}
	if res.Test.Samples != 60 || res.Test.Correct != last.Test.Correct || res.Kept != 2 || res.StoppedEarly {
		t.Errorf("at the end: %+v of %+v", res.Test, res)
	}
	diagonal := 0
	for i, row := range res.Test.Confusion {
		diagonal += row[i]
	}
	if diagonal != res.Test.Correct || last.Test.Confusion != nil {
		t.Errorf("%d on the diagonal of %v, want %d; in the history: %v", diagonal, res.Test.Confusion, res.Test.Correct, last.Test.Confusion)
	}

	// The same seed takes the same steps; another one does not.
	for seed, same := range map[uint64]bool{5: true, 6: false} {
		other := start(t, train.Config{Epochs: 3, Batch: 32, Seed: seed, Workers: 2})
		finish(t, other)
		if got := cmp.Equal(weights(other.Session()), weights(tr.Session())); got != same {
			t.Errorf("seed %d gives the same weights: %v, want %v", seed, got, same)
		}
	}
}

// TestEvaluate evaluates at several batch sizes, which change no count.
func TestEvaluate(t *testing.T) {
	test := points(t, 61, 2)
	tr := start(t, train.Config{Test: test, Batch: 16})
	want := finish(t, tr).Test
	for _, batch := range []int{1, 2, 7, 60, 61, 1000} {
		m, err := train.Evaluate(t.Context(), tr.Session(), test, batch)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(*want, m, cmpopts.EquateApprox(0, 1e-6)); d != "" {
			t.Errorf("batch %d: %s", batch, d)
		}
	}
	if _, err := train.Evaluate(t.Context(), tr.Session(), test, -1); err == nil {
		t.Error("want an error for batch size -1")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := train.Evaluate(ctx, tr.Session(), test, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestResume breaks a training after every number of steps and goes on from the checkpoint, with other numbers of threads and workers. All
// must be as if nothing had happened: each bit of each variable, history and metrics.
func TestResume(t *testing.T) {
	cosine := func(lr float64, n int) schedule.Func { return schedule.Cosine(2*lr, n, 1e-4) }
	rest, held := must2(data.Split(points(t, 110, 1), 0.1, 3))(t)
	config := func(dir string, workers int) train.Config {
		return train.Config{
			Train: rest, Validation: held, Test: points(t, 50, 2), Epochs: 3, Batch: 24, Seed: 5, TopK: 2, Schedule: cosine,
			KeepBest: true, Dir: dir, Workers: workers, Settings: map[string]string{"note": "kept"},
		}
	}
	whole := t.TempDir()
	unbroken := start(t, config(whole, 0))
	want := finish(t, unbroken)
	n := want.Steps
	if n != 15 {
		t.Fatalf("%d steps, want 15", n)
	}
	for k := 1; k <= n; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			parallel.SetThreads(1 + k%3)
			defer parallel.SetThreads(0)
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := config(dir, k%3)
			cfg.OnStep = func(s train.Step) {
				if (s.Epoch-1)*s.Steps+s.Step == k {
					cancel()
				}
			}
			res, err := start(t, cfg).Run(ctx)
			if !errors.Is(err, context.Canceled) || res.Steps != k {
				t.Fatalf("%d steps, error %v, want %d steps and context.Canceled", res.Steps, err, k)
			}
			c := must(train.ReadCheckpoint(dir))(t)
			if c.Steps != k || c.Batch != 24 || c.Seed != 5 || c.Epochs != 3 || c.Settings["note"] != "kept" || c.Finished() {
				t.Errorf("the checkpoint is %+v", c)
			}
			cfg = config(dir, (k+1)%3)
			cfg.Resume = true
			tr := start(t, cfg)
			if !tr.Resumed() {
				t.Error("the training does not go on")
			}
			got := finish(t, tr)
			if d := cmp.Diff(want, got, timeless); d != "" {
				t.Errorf("the result differs:\n%s", d)
			}
			if d := cmp.Diff(weights(unbroken.Session()), weights(tr.Session())); d != "" {
				t.Errorf("the weights differ:\n%s", d)
			}
			for _, file := range []string{train.CheckpointLast, train.CheckpointBest} {
				if a, b := tensors(t, whole, file), tensors(t, dir, file); !cmp.Equal(a, b) {
					t.Errorf("%s differs", file)
				}
			}
		})
	}
}

func must2[A, B any](a A, b B, err error) func(t testing.TB) (A, B) {
	return func(t testing.TB) (A, B) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}

// tensors returns the bytes of the tensors in a checkpoint's file.
func tensors(t testing.TB, dir, file string) string {
	t.Helper()
	text := must(os.ReadFile(filepath.Join(dir, train.CheckpointDir, file)))(t)
	head := 8 + int(text[0]) | int(text[1])<<8 | int(text[2])<<16
	return string(text[head:])
}

// TestTrainAccuracy counts what the training function predicts as it goes: here 3 of 4 in each epoch, since nothing is learned.
func TestTrainAccuracy(t *testing.T) {
	m := graph.NewModule("fixed")
	w := m.Variable("w", graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 1, 2) })
	f := m.Func("train")
	logits := ops.Mul(f.Input("x", graph.F32, "N", 2), w.Read(f))
	loss := nn.CrossEntropy(logits, f.Input("label", graph.I64, "N"))
	f.Return("loss", loss)
	f.Return("logits", logits)
	optim.SGD(1e-30).Minimize(loss)
	xs, ys := make([]float32, 2*40), make([]int64, 40)
	for i := range ys {
		xs[2*i+i%2] = 1
		ys[i] = int64(i % 2)
		if i%4 == 3 {
			ys[i] = 0
		}
	}
	d := must(data.NewTensorDataset(must(value.FromSlice(xs, 40, 2))(t), must(value.FromSlice(ys, 40))(t)))(t)
	res := finish(t, must(train.New(m, train.Config{Train: d, Epochs: 2, Batch: 16}))(t))
	for _, e := range res.History {
		if e.TrainAccuracy() != 0.75 {
			t.Errorf("epoch %d: accuracy %v in training, want 0.75", e.Epoch, e.TrainAccuracy())
		}
	}
	var b strings.Builder
	if err := res.History.WriteCSV(&b); err != nil || !strings.Contains(b.String(), "train_loss,train_accuracy,seconds") || strings.Count(b.String(), ",0.75,") != 2 {
		t.Errorf("history %q, %v", b.String(), err)
	}
}

// TestResumeAgain looks at a training that is finished: it stays so, and goes on with more epochs, to what it would have come to at once.
func TestResumeAgain(t *testing.T) {
	dir := t.TempDir()
	cfg := train.Config{Train: points(t, 40, 1), Test: points(t, 20, 2), Epochs: 2, Batch: 16, Dir: dir}
	two := start(t, cfg)
	want := finish(t, two)
	cfg.Resume = true
	again := start(t, cfg)
	if !again.Finished() {
		t.Error("it is not finished")
	}
	if d := cmp.Diff(want, finish(t, again)); d != "" {
		t.Errorf("the result of a finished training differs:\n%s", d)
	}
	cfg.Epochs = 4
	four := start(t, cfg)
	res := finish(t, four)
	cfg.Dir, cfg.Resume = "", false
	once := start(t, cfg)
	if d := cmp.Diff(finish(t, once), res, timeless); d != "" {
		t.Errorf("two and two epochs are not four:\n%s", d)
	}
	if d := cmp.Diff(weights(once.Session()), weights(four.Session())); d != "" {
		t.Errorf("the weights differ:\n%s", d)
	}
	cfg.Dir, cfg.Resume, cfg.Epochs = dir, true, 3
	if _, err := train.New(classifier(0.01), cfg); err == nil || !strings.Contains(err.Error(), "has trained 4 epochs") {
		t.Errorf("fewer epochs: error %v", err)
	}
}

// TestRunGoesOn interrupts a trainer without a directory and calls Run again.
func TestRunGoesOn(t *testing.T) {
	want := start(t, train.Config{Epochs: 2, Batch: 10})
	finish(t, want)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tr := start(t, train.Config{Epochs: 2, Batch: 10, OnStep: func(s train.Step) {
		if s.Epoch == 2 && s.Step == 3 {
			cancel()
		}
	}})
	if res, err := tr.Run(ctx); !errors.Is(err, context.Canceled) || res.Steps != 13 || res.Step != 3 || len(res.History) != 1 {
		t.Errorf("%+v, error %v, want 13 steps", res, err)
	}
	finish(t, tr)
	if d := cmp.Diff(weights(want.Session()), weights(tr.Session())); d != "" {
		t.Errorf("the weights differ:\n%s", d)
	}
}

// TestDropLast trains without the last step of an epoch, of 8 examples, and evaluates on all.
func TestDropLast(t *testing.T) {
	for drop, want := range map[bool]int{false: 3, true: 2} {
		var sizes []int
		res := finish(t, start(t, train.Config{
			Train: points(t, 40, 1), Test: points(t, 25, 2), Epochs: 2, Batch: 16, DropLast: drop,
			OnStep: func(s train.Step) { sizes = append(sizes, s.Samples) },
		}))
		if res.Steps != 2*want || res.StepsPerEpoch != want || res.Test.Samples != 25 || slices.Min(sizes) != map[bool]int{false: 8, true: 16}[drop] {
			t.Errorf("DropLast %v: %d steps of %v, %d evaluated", drop, res.Steps, sizes, res.Test.Samples)
		}
	}
	for drop, want := range map[bool]string{false: "step 3: run train: .*; the last batch has 1 of 16 examples: DropLast omits it$", true: "^<nil>$"} {
		_, err := start(t, train.Config{Train: points(t, 33, 1), Epochs: 1, Batch: 16, DropLast: drop}).Run(t.Context())
		if !regexp.MustCompile(want).MatchString(fmt.Sprint(err)) {
			t.Errorf("DropLast %v: error %v, want %s", drop, err, want)
		}
	}
}

// TestResumeOther resumes with something else than the checkpoint is of.
func TestResumeOther(t *testing.T) {
	dir := t.TempDir()
	cfg := train.Config{Train: points(t, 40, 1), Test: points(t, 20, 2), Epochs: 1, Batch: 16, Dir: dir}
	finish(t, start(t, cfg))
	cfg.Resume = true
	for _, c := range []struct {
		name   string
		rate   float64
		change func(cfg *train.Config)
		want   string
	}{
		{"batch", 0.01, func(c *train.Config) { c.Batch = 8 }, "from a training with batch size 16, this one has 8"},
		{"drop last", 0.01, func(c *train.Config) { c.DropLast = true }, "from a training with DropLast false, this one has true"},
		{"seed", 0.01, func(c *train.Config) { c.Seed = 8 }, "from a training with seed 0, this one has 8"},
		{"size", 0.01, func(c *train.Config) { c.Train = points(t, 41, 1) }, "from a training set of 40 examples, this one has 41"},
		{"examples", 0.01, func(c *train.Config) { c.Train = points(t, 40, 9) }, "from another training set: the examples differ"},
		{"test set", 0.01, func(c *train.Config) { c.Test = nil }, "from a test set of 20 examples, this one has 0"},
		{"validation set", 0.01, func(c *train.Config) { c.Validation = points(t, 5, 1) }, "from a validation set of 0 examples"},
		{"optimizer", 0.02, func(*train.Config) {}, "the model is not the one of the checkpoint"},
		{"schedule", 0.01, func(c *train.Config) {
			c.Schedule = func(float64, int) schedule.Func { return schedule.Constant(1) }
		}, "another schedule"},
		{"directory", 0.01, func(c *train.Config) { c.Dir = "" }, "want a directory"},
	} {
		other := cfg
		c.change(&other)
		if _, err := train.New(classifier(c.rate), other); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	other := cfg
	other.Dir = t.TempDir()
	if tr := start(t, other); tr.Resumed() || tr.Finished() {
		t.Error("there is no checkpoint to go on from")
	}
	if _, err := train.ReadCheckpoint(other.Dir); !errors.Is(err, train.ErrNoCheckpoint) {
		t.Errorf("error %v, want ErrNoCheckpoint", err)
	}
}

// TestDamagedCheckpoints reads files that are not what they seem.
func TestDamagedCheckpoints(t *testing.T) {
	dir := t.TempDir()
	finish(t, start(t, train.Config{Train: points(t, 20, 1), Dir: dir}))
	last := filepath.Join(dir, train.CheckpointDir, train.CheckpointLast)
	module := filepath.Join(dir, train.CheckpointDir, train.CheckpointGraph)
	flipped := must(os.ReadFile(last))(t)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		file, old, with, want string
	}{
		{module, "points", "dots", "it does not belong to the model.graph beside it"},
		{last, `\"version\":1`, `\"version\":2`, "version 2: want 1"},
		{last, `\"epochs\":1`, `\"epochs\":0`, "is inconsistent"},
		{last, `"fc1.bias":`, `"fc1.bios":`, "variable @fc1.bias is missing"},
		{last, `"train":`, `"trxin":`, "no state of a training"},
	} {
		text := must(os.ReadFile(c.file))(t)
		if c.file == last { // as another program writes it, without a checksum
			text = bytes.Replace(text, []byte(`{ "__metadata__":{`), []byte(`{"__metadata__": {`), 1)
		}
		damaged := bytes.Replace(text, []byte(c.old), []byte(c.with), 1)
		if bytes.Equal(text, damaged) {
			t.Fatalf("%s has no %s", c.file, c.old)
		}
		if err := os.WriteFile(c.file, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := train.ReadCheckpoint(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", c.with, c.old, err, c.want)
		}
		if err := os.WriteFile(c.file, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	must(train.ReadCheckpoint(dir))(t)
	if err := os.WriteFile(last, flipped, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := train.ReadCheckpoint(dir); err == nil || !strings.Contains(err.Error(), "last.safetensors: invalid safetensors file: it is damaged") {
		t.Errorf("a flipped bit: %v", err)
	}
}

// TestUnfinishedIsKept trains anew over the checkpoint of an unfinished training, and of a finished one.
func TestUnfinishedIsKept(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, train.KeptDir)
	var notes []string
	cfg := train.Config{Train: points(t, 40, 1), Batch: 8, Dir: dir, OnNote: func(s string) { notes = append(notes, s) }}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := cfg
	broken.OnStep = func(train.Step) { cancel() }
	if _, err := start(t, broken).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err == nil {
		t.Error("something was kept where there was nothing")
	}
	for range 2 { // the second time, what is there is finished
		finish(t, start(t, cfg))
		if len(notes) != 1 || !strings.Contains(notes[0], kept) {
			t.Errorf("notes %q", notes)
		}
		if err := os.Rename(kept, filepath.Join(dir, "saved")); err != nil && len(notes) != 1 {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "saved", train.CheckpointLast)); err != nil {
		t.Error(err)
	}
}

// TestHistoryCatchesUp has what is left if a training is killed between its last checkpoint and the history.
func TestHistoryCatchesUp(t *testing.T) {
	dir := t.TempDir()
	cfg := train.Config{Train: points(t, 20, 1), Dir: dir, Epochs: 2, Resume: true}
	finish(t, start(t, cfg))
	want := map[string]string{}
	for _, name := range []string{train.HistoryCSV, train.HistoryJSON} {
		path := filepath.Join(dir, name)
		want[name] = string(must(os.ReadFile(path))(t))
		if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, start(t, cfg))
	for name, text := range want {
		if d := cmp.Diff(text, string(must(os.ReadFile(filepath.Join(dir, name)))(t))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestCheckpointWithoutLast has what is left of a finished training if the next one is killed while it takes the checkpoint away.
func TestCheckpointWithoutLast(t *testing.T) {
	dir := t.TempDir()
	cfg := train.Config{Train: points(t, 20, 1), Dir: dir, Resume: true}
	finish(t, start(t, cfg))
	if err := os.Remove(filepath.Join(dir, train.CheckpointDir, train.CheckpointLast)); err != nil {
		t.Fatal(err)
	}
	tr := start(t, cfg)
	if tr.Resumed() {
		t.Error("it goes on from what is no checkpoint")
	}
	finish(t, tr)
	if c := must(train.ReadCheckpoint(dir))(t); !c.Finished() {
		t.Errorf("the checkpoint is %+v", c)
	}
}

// TestCheckpointsWithinAnEpoch finds a checkpoint after every second step.
func TestCheckpointsWithinAnEpoch(t *testing.T) {
	dir := t.TempDir()
	var seen []int
	cfg := train.Config{Batch: 10, Epochs: 2, Dir: dir, CheckpointSteps: 2}
	cfg.OnStep = func(s train.Step) {
		seen = append(seen, must(train.ReadCheckpoint(dir))(t).Steps)
	}
	finish(t, start(t, cfg))
	want := []int{0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14, 16, 16, 18, 18}
	if d := cmp.Diff(want, seen); d != "" {
		t.Error(d)
	}
}

// TestEarlyStopping has weights that get worse from the first epoch on, since the rate of learning is negative.
func TestEarlyStopping(t *testing.T) {
	up := func(float64, int) schedule.Func { return schedule.Constant(-0.05) }
	cfg := train.Config{Test: points(t, 50, 2), Epochs: 20, Batch: 32, Schedule: up, Patience: 2, KeepBest: true, Dir: t.TempDir()}
	tr := start(t, cfg)
	res := finish(t, tr)
	if !res.StoppedEarly || len(res.History) != 3 || res.Best != 0 || res.Kept != 0 {
		t.Fatalf("it stopped after %d epochs, the best is %d, kept %d: %v", len(res.History), res.Best, res.Kept, res.StoppedEarly)
	}
	first := *res.Test
	first.Confusion = nil
	if d := cmp.Diff(res.History[0].Test, &first); d != "" {
		t.Errorf("the test set was not evaluated with the best weights:\n%s", d)
	}
	one := cfg
	one.Epochs, one.Dir = 1, ""
	best := start(t, one)
	finish(t, best)
	if d := cmp.Diff(weights(best.Session()), weights(tr.Session())); d != "" {
		t.Errorf("the weights are not those of the best epoch:\n%s", d)
	}
	c := must(train.ReadCheckpoint(cfg.Dir))(t)
	if !c.Finished() || !c.Stopped || len(c.History) != 3 {
		t.Errorf("the checkpoint is not finished: %+v", c)
	}
	// Its resumption has nothing to do, and has the best weights too, from the file.
	cfg.Resume = true
	again := start(t, cfg)
	if !again.Finished() || len(finish(t, again).History) != 3 {
		t.Error("the training goes on")
	}
	if d := cmp.Diff(weights(best.Session()), weights(again.Session())); d != "" {
		t.Errorf("the weights of the resumed training are not those of the best epoch:\n%s", d)
	}
	cfg.Patience, cfg.Epochs = 3, 4
	if res := finish(t, start(t, cfg)); len(res.History) != 4 || res.StoppedEarly {
		t.Errorf("with more patience, %d epochs, want 4", len(res.History))
	}
	// Who wants more than there can be waits from the first epoch on.
	cfg = train.Config{Test: points(t, 50, 2), Epochs: 9, Batch: 32, Patience: 2, MinDelta: 10}
	if res := finish(t, start(t, cfg)); len(res.History) != 3 || res.Best != 2 {
		t.Errorf("with a minimal improvement of 10, %d epochs, the best %d", len(res.History), res.Best)
	}
}

// TestSchedule looks at the rate that each step is made with.
func TestSchedule(t *testing.T) {
	var tr *train.Trainer
	var got []float64
	cfg := train.Config{
		Batch: 50, Epochs: 3,
		Schedule: func(lr float64, n int) schedule.Func { return schedule.Linear(lr/10, 1, 0.1, n) },
		OnStep: func(train.Step) {
			got = append(got, tr.Session().Variable("lr").Float64s()[0])
		},
	}
	tr = start(t, cfg)
	res := finish(t, tr)
	want := []float64{}
	for i := range 6 {
		want = append(want, 1e-3*(1-0.9*float64(i)/6))
	}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); d != "" {
		t.Error(d)
	}
	if lr := res.History[2].LR; lr != got[5] {
		t.Errorf("the last epoch's rate is %v, want %v", lr, got[5])
	}
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F32, nil, func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.F32, 1) })
	f := m.Func("train")
	loss := ops.Mean(ops.Mul(f.Input("x", graph.F32, "N", 2), w.Read(f)))
	f.Input("y", graph.I64, "N")
	f.Return("loss", loss)
	f.Update(w, ops.Mul(w.Read(f), 0.5))
	cfg.Train = points(t, 9, 1)
	if _, err := train.New(m, cfg); err == nil || !strings.Contains(err.Error(), "@lr") {
		t.Errorf("error %v, want one that names @lr", err)
	}
}

// TestRegression trains on float targets, with an evaluation function that returns a loss only, and without one.
func TestRegression(t *testing.T) {
	xs, ys := make([]float32, 64), make([]float32, 64)
	for i := range xs {
		xs[i] = float32(i)/32 - 1
		ys[i] = 3*xs[i] - 1
	}
	set := must(data.NewTensorDataset(must(value.FromSlice(xs, 64, 1))(t), must(value.FromSlice(ys, 64, 1))(t)))(t)
	for _, eval := range []bool{true, false} {
		m := graph.NewModule("line")
		net := nn.Linear(1, 1)
		declare := func(name string) graph.Value {
			f := m.Func(name)
			// The target comes first: its role says what it is.
			y, x := f.Input("value", graph.F32, "N", 1), f.Input("at", graph.F32, "N", 1)
			loss := nn.MSE(net.Apply(x), y)
			f.Return("loss", loss)
			return loss
		}
		m.SetMeta("role.value", "target")
		optim.SGD(0.3).Minimize(declare("train"))
		if eval {
			declare("eval")
		}
		tr := must(train.New(m, train.Config{Train: set, Test: set, Epochs: 10, Batch: 16}))(t)
		res := finish(t, tr)
		if last := res.History[9]; !(last.TrainLoss < 1e-3) {
			t.Errorf("the loss is %v", last.TrainLoss)
		}
		if (res.Test != nil) != eval || eval && (res.Test.Classifier || !math.IsNaN(res.Test.Accuracy()) || res.Test.Loss > 1e-3 || res.Test.Samples != 64) {
			t.Errorf("metrics of a regression: %+v", res.Test)
		}
	}
}

// poison declares a model that divides by the first feature of its input in the place of a loss, and takes a root.
func poison(t *testing.T, loss func(x, w graph.Value) graph.Value) *graph.Module {
	t.Helper()
	m := graph.NewModule("poison")
	w := m.Variable("w", graph.F32, nil, func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.F32, 1) })
	f := m.Func("train")
	l := loss(f.Input("x", graph.F32, "N", 2), w.Read(f))
	f.Return("loss", l)
	optim.SGD(0.01).Minimize(l)
	return m
}

// TestDiverged meets losses and updates that are not finite at one step, and wants the line of the node.
func TestDiverged(t *testing.T) {
	const bad = 37 // the example that the models cannot take
	features := func(x float32) data.Dataset {
		xs := make([]float32, 80)
		for i := range xs {
			xs[i] = 1 + float32(i%7)
		}
		xs[2*bad], xs[2*bad+1] = x, x
		return must(data.NewTensorDataset(must(value.FromSlice(xs, 40, 2))(t), must(value.FromSlice(make([]int64, 40), 40))(t)))(t)
	}
	for _, c := range []struct {
		name string
		x    float32
		loss func(x, w graph.Value) graph.Value
		want []string
	}{
		{"zero by zero", 0, func(x, w graph.Value) graph.Value {
			return ops.Mean(ops.Mul(ops.Div(x, ops.Abs(x)), w))
		}, []string{"the loss is NaN", "div: the result is NaN", "LINE"}},
		{"logarithm of zero", 0, func(x, w graph.Value) graph.Value {
			return ops.Mean(ops.Mul(ops.Log(x), w))
		}, []string{"the loss is -Inf", "log: the result is infinite", "LINE"}},
		{"overflow", 1e30, func(x, w graph.Value) graph.Value {
			return ops.Mean(ops.Mul(ops.Square(x), w))
		}, []string{"the loss is +Inf", "the result is infinite", "LINE"}},
		{"data", float32(math.NaN()), func(x, w graph.Value) graph.Value {
			return ops.Mean(ops.Mul(x, w))
		}, []string{"the loss is NaN", fmt.Sprintf("the input of example %d of the dataset is not finite", bad)}},
		// The root of zero is finite, its gradient is not: the loss is NaN one step later only.
		{"gradient", 0, func(x, w graph.Value) graph.Value {
			return ops.Mean(ops.Sqrt(ops.Mul(x, w)))
		}, []string{"the update makes @w not finite", "LINE"}},
	} {
		line := ""
		m := poison(t, func(x, w graph.Value) graph.Value {
			l := c.loss(x, w)
			line = fmt.Sprint(l.Node().Pos())
			return l
		})
		line, _, _ = strings.Cut(line, "\n")
		dir := t.TempDir()
		failed := 0
		tr := must(train.New(m, train.Config{
			Train: features(c.x), Batch: 4, Epochs: 2, Seed: 1, Dir: dir, CheckpointSteps: 1,
			OnStep: func(s train.Step) { failed = s.Step + 1 },
		}))(t)
		res, err := tr.Run(t.Context())
		if !errors.Is(err, train.ErrDiverged) {
			t.Fatalf("%s: error %v, want ErrDiverged", c.name, err)
		}
		for _, want := range c.want {
			if want == "LINE" {
				want = line
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", c.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %v", c.name, err)
		}
		var d *graph.Diagnostic
		if c.name != "data" && !errors.As(err, &d) {
			t.Errorf("%s: the error has no diagnostic", c.name)
		}
		if len(res.History) != 0 {
			t.Errorf("%s: it went on: %+v", c.name, res)
		}
		cp := must(train.ReadCheckpoint(dir))(t)
		w := cp.Variables["w"].Float64s()[0]
		if math.IsNaN(w) || math.IsInf(w, 0) || cp.Steps > failed {
			t.Errorf("%s: the checkpoint has %v after %d steps", c.name, w, cp.Steps)
		}
		if _, again := tr.Run(t.Context()); !errors.Is(again, train.ErrDiverged) {
			t.Errorf("%s: Run again: %v", c.name, again)
		}
	}
}

// rate is a schedule with one rate at a step and a small one at all others.
func rate(lr float64, at int) func(float64, int) schedule.Func {
	return func(float64, int) schedule.Func {
		return func(step int) float64 {
			if step == at {
				return lr
			}
			return 1e-3
		}
	}
}

func TestFaults(t *testing.T) {
	one := func(change func(m *graph.Module)) *graph.Module {
		m := graph.NewModule("m")
		change(m)
		return m
	}
	ok := train.Config{Train: points(t, 8, 1)}
	flat := must(data.NewTensorDataset(must(value.FromSlice(make([]float32, 8), 8))(t), must(value.FromSlice(make([]int64, 8), 8))(t)))(t)
	for _, c := range []struct {
		m      *graph.Module
		change func(cfg *train.Config)
		want   string
	}{
		{nil, func(*train.Config) {}, "want a module"},
		{classifier(1), func(c *train.Config) { c.Epochs = -1 }, "-1 epochs: want at least 1"},
		{classifier(1), func(c *train.Config) { c.Batch = -1 }, "batch size is -1"},
		{classifier(1), func(c *train.Config) { c.Train = nil }, "want a training set"},
		{classifier(1), func(c *train.Config) { c.Monitor = "f1" }, `monitor "f1": want loss or accuracy`},
		{classifier(1), func(c *train.Config) { c.Patience = -1 }, "patience -1"},
		{classifier(1), func(c *train.Config) { c.TopK = -1 }, "top-k -1: want 0 or more"},
		{classifier(1), func(c *train.Config) { c.Schedule = rate(math.NaN(), 0) }, "the learning rate NaN at step 0: want a finite number"},
		{classifier(1), func(c *train.Config) { c.Validation = must(data.NewSubset(c.Train, nil))(t) }, "validation set: loader: the dataset is empty"},
		{classifier(1), func(c *train.Config) { c.Test = flat }, `test set: input "x" of function "eval" is f32[N,2], the dataset gives f32[1]`},
		{classifier(-1), func(*train.Config) {}, "learning rate"},
		{one(func(m *graph.Module) {
			m.Func("predict").Return("y", m.LookupFunc("predict").Input("x", graph.F32, "N", 2))
		}), func(*train.Config) {}, `no function "train"`},
		{one(func(m *graph.Module) {
			f := m.Func("train")
			f.Return("loss", ops.Mean(f.Input("x", graph.F32, "N", 2)))
		}), func(*train.Config) {}, "updates no variable"},
		{one(func(m *graph.Module) {
			f := m.Func("train")
			f.Return("cost", ops.Mean(f.Input("x", graph.F32, "N", 2)))
		}), func(*train.Config) {}, `no result "loss"`},
		{one(func(m *graph.Module) {
			f := m.Func("train")
			f.Return("loss", ops.Square(f.Input("x", graph.F32, "N", 2)))
		}), func(*train.Config) {}, "want a scalar loss"},
		{one(func(m *graph.Module) {
			f := m.Func("train")
			f.Return("loss", ops.Mean(ops.Add(ops.Add(f.Input("a", graph.F32, "N"), f.Input("b", graph.F32, "N")), f.Input("c", graph.F32, "N"))))
		}), func(*train.Config) {}, `the input "c" besides`},
	} {
		cfg := ok
		c.change(&cfg)
		if _, err := train.New(c.m, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	// What does not fit shows at the first step.
	_, err := start(t, train.Config{Train: flat}).Run(t.Context())
	if want := `input "x" of function "train" is f32[N,2], the dataset gives f32[8]`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	tr := start(t, train.Config{Batch: 20, Schedule: rate(math.Inf(1), 3)})
	res, err := tr.Run(t.Context())
	if want := "the learning rate +Inf at step 3: want a finite number"; err == nil || !strings.Contains(err.Error(), want) || res.Steps != 3 {
		t.Errorf("%d steps, error %v, want 3 and %q", res.Steps, err, want)
	}
}

// TestMemory holds the bytes that steps need against what a session takes.
func TestMemory(t *testing.T) {
	tr := start(t, train.Config{})
	one, two := must(tr.Memory(1))(t), must(tr.Memory(1001))(t)
	if !(one > 0) || !(two > one+1000*4*16) {
		t.Errorf("%d bytes for one example, %d for 1001", one, two)
	}
}

// TestStepsAllocateLittle trains two epochs and ten: what is allocated does not grow with the steps.
func TestStepsAllocateLittle(t *testing.T) {
	set := points(t, 2000, 1)
	allocs := func(epochs int) float64 {
		tr := start(t, train.Config{Train: set, Epochs: epochs, Batch: 10})
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		finish(t, tr)
		goruntime.ReadMemStats(&after)
		return float64(after.Mallocs - before.Mallocs)
	}
	allocs(1)
	few, many := allocs(1), allocs(6)
	if perStep := (many - few) / 1000; perStep > 0.5 {
		t.Errorf("%v allocations a step", perStep)
	}
}

// TestMetrics counts by hand.
func TestMetrics(t *testing.T) {
	nan := float32(math.NaN())
	logits := must(value.FromSlice([]float32{
		3, 2, 1, // label 0: right
		3, 2, 1, // label 1: second
		3, 2, 1, // label 2: third
		1, 1, 1, // label 0: the first of equal ones
		1, 1, 1, // label 1: behind it
		0, nan, 5, // label 1: NaN is the largest
		0, nan, 5, // label 2: second
		9, 8, 7, // label 3: there is no such class
	}, 8, 3))(t)
	labels := must(value.FromSlice([]int64{0, 1, 2, 0, 1, 1, 2, 3}, 8))(t)
	m := train.Metrics{K: 2}
	if err := m.Count(logits, labels); err != nil {
		t.Fatal(err)
	}
	want := train.Metrics{
		Samples: 8, Classifier: true, Correct: 3, K: 2, TopK: 6,
		Confusion: train.Confusion{{2, 0, 0}, {2, 1, 0}, {1, 1, 0}},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	if m.Accuracy() != 3./8 || m.TopKAccuracy() != 6./8 || !math.IsNaN(train.Metrics{Samples: 3}.Accuracy()) {
		t.Errorf("accuracy %v, top-2 %v", m.Accuracy(), m.TopKAccuracy())
	}
	if c := m.Confusion; c.Recall(0) != 1 || c.Precision(0) != 2./5 || c.Recall(1) != 1./3 || c.Precision(1) != 1./2 {
		t.Errorf("recall and precision: %v %v, %v %v", c.Recall(0), c.Precision(0), c.Recall(1), c.Precision(1))
	}
	// Other dtypes count alike.
	half := must(value.New(value.F64, 8, 3))(t)
	wide := must(value.Data[float64](half))(t)
	copy(wide, logits.Float64s())
	small := must(value.FromSlice([]uint8{0, 1, 2, 0, 1, 1, 2, 3}, 8))(t)
	other := train.Metrics{K: 2}
	if err := other.Count(half, small); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, other); d != "" {
		t.Error(d)
	}
	for _, c := range []struct{ logits, labels *value.Tensor }{{labels, labels}, {logits, logits}, {logits, must(value.FromSlice([]int64{1}, 1))(t)}} {
		if err := other.Count(c.logits, c.labels); err == nil {
			t.Errorf("no error for logits %v and labels %v", c.logits, c.labels)
		}
	}
}

// TestHistory writes a history and reads it back.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	res := finish(t, start(t, train.Config{Test: points(t, 50, 2), Epochs: 3, TopK: 2, Dir: dir}))
	f := must(os.Open(filepath.Join(dir, train.HistoryJSON)))(t)
	defer f.Close()
	if d := cmp.Diff(res.History, must(train.ReadHistory(f))(t)); d != "" {
		t.Errorf("the history read back differs:\n%s", d)
	}
	rows := must(csv.NewReader(bytes.NewReader(must(os.ReadFile(filepath.Join(dir, train.HistoryCSV)))(t))).ReadAll())(t)
	if d := cmp.Diff([]string{"epoch", "steps", "samples", "lr", "train_loss", "train_accuracy", "seconds", "test_loss", "test_accuracy", "test_top2"}, rows[0]); d != "" {
		t.Error(d)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows, want a head and 3", len(rows))
	}
	for i, e := range res.History {
		for col, want := range map[int]float64{0: float64(e.Epoch), 4: e.TrainLoss, 5: e.TrainAccuracy(), 7: e.Test.Loss, 8: e.Test.Accuracy(), 9: e.Test.TopKAccuracy()} {
			if x, err := strconv.ParseFloat(rows[i+1][col], 64); err != nil || x != want {
				t.Errorf("row %d: %s is %s, want %v", i, rows[0][col], rows[i+1][col], want)
			}
		}
	}
	var empty bytes.Buffer
	if err := train.History(nil).WriteJSON(&empty); err != nil || !json.Valid(empty.Bytes()) || empty.String() != "[]\n" {
		t.Errorf("an empty history is %q", &empty)
	}
}

// TestBaseRate trains by a schedule that ends near 0: what is saved starts from the rate that training started from, whether it came to its end
// or not, and after it was resumed.
func TestBaseRate(t *testing.T) {
	const rate = 0.01 // of start
	dir := t.TempDir()
	config := func(epochs int) train.Config {
		return train.Config{
			Epochs: epochs, Batch: 10, Dir: dir, Resume: true,
			Schedule: func(lr float64, steps int) schedule.Func { return schedule.Cosine(lr, steps, 0) },
		}
	}
	check := func(tr *train.Trainer, when string) {
		t.Helper()
		if have := tr.Session().Variable("lr").Float64s()[0]; have != rate || tr.Rate() != rate {
			t.Errorf("%s: the rate is %v, started from %v: want %v", when, have, tr.Rate(), rate)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(2)
	cfg.OnStep = func(s train.Step) {
		if s.Epoch == 2 && s.Step == 3 {
			cancel()
		}
	}
	tr := start(t, cfg)
	check(tr, "before")
	if _, err := tr.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(tr, "interrupted")
	tr = start(t, config(2))
	check(tr, "resumed")
	res, err := tr.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check(tr, "finished")
	if last := res.History[1].LR; last >= rate/10 {
		t.Errorf("the last step had the rate %v: want that of the schedule", last)
	}
	tr = start(t, config(2))
	if _, err := tr.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(tr, "finished before")
}

// TestLocked runs two trainings in one directory: the second says who holds it, and does no harm to the first.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	first := start(t, train.Config{Epochs: 1, Dir: dir, OnEpoch: func(train.Epoch) {
		_, err := start(t, train.Config{Epochs: 1, Dir: dir}).Run(t.Context())
		if !errors.Is(err, train.ErrLocked) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())+" on ") {
			t.Errorf("the second training: %v", err)
		}
	}})
	if _, err := first.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, train.Config{Epochs: 1, Dir: dir}).Run(t.Context()); err != nil {
		t.Error(err)
	}
}
