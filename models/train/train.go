// Package train trains a classifier over a dataset and measures it on another.
//
// The trainer knows a model by its functions only. The training function takes a batch of inputs and of
// labels, returns the batch's mean "loss" and updates the variables. The evaluation function takes the same and
// returns the mean "loss" and the number of "correct" predictions. Everything else, the optimizer included, is
// part of the graph.
//
//	prog, err := compile.Compile(m)
//	sess, err := runtime.NewSession(prog, runtime.Seed(1))
//	result, err := train.Fit(ctx, sess, trainSet, testSet, train.Config{Epochs: 2, Batch: 64, Seed: 1})
package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
)

// Config says how Fit trains.
type Config struct {
	// Epochs is how often the training set is gone through, at least 1.
	Epochs int
	// Batch is the number of examples of a step, at least 1; the last step of an epoch takes what is left.
	Batch int
	// Seed sets the orders of the examples, another one each epoch. It is independent of the session's seed.
	Seed uint64
	// TestBatch is the number of examples evaluated at once; 0 stands for Batch.
	TestBatch int
	// Model names the functions and their inputs where they are not called as usual.
	Model Names

	// OnStep, if set, is called after every step.
	OnStep func(Step)
	// OnEpoch, if set, is called after every epoch has been evaluated.
	OnEpoch func(Epoch)
}

// Names names what the trainer uses of a model. An empty name stands for the usual one.
type Names struct {
	Train string // the function that trains: "train"
	Eval  string // the function that evaluates: "eval"
	Input string // the input that takes the examples: "image"
	Label string // the input that takes their labels: "label"
}

func (n Names) withDefaults() Names {
	for _, f := range []struct {
		name  *string
		usual string
	}{{&n.Train, "train"}, {&n.Eval, "eval"}, {&n.Input, "image"}, {&n.Label, "label"}} {
		if *f.name == "" {
			*f.name = f.usual
		}
	}
	return n
}

// The results that the functions return.
const (
	lossResult    = "loss"
	correctResult = "correct"
)

// Step is what one update did.
type Step struct {
	Epoch, Epochs int // this epoch, from 1, and how many there are
	Step, Steps   int // this step of the epoch, from 1, and how many there are
	Samples       int // examples of this step
	Loss          float64
	// SamplesPerSecond is the speed of the epoch so far.
	SamplesPerSecond float64
}

// Epoch is what one pass over the training set did.
type Epoch struct {
	Epoch            int     `json:"epoch"` // from 1
	TrainLoss        float64 `json:"train_loss"`
	TestLoss         float64 `json:"test_loss"`
	TestAccuracy     float64 `json:"test_accuracy"`
	TestCorrect      int     `json:"test_correct"`
	TestSamples      int     `json:"test_samples"`
	SamplesPerSecond float64 `json:"samples_per_second"` // of training, evaluation not counted
}

// Result is what Fit did.
type Result struct {
	// Epochs are the epochs that were trained and evaluated in full.
	Epochs []Epoch
	// Steps counts the updates made, those of an epoch that was not finished included.
	Steps int
}

// ErrDiverged is the error of a loss that is no finite number.
var ErrDiverged = errors.New("the loss is no finite number any more")

// Fit trains the session's variables for cfg.Epochs epochs over the training set, each in an order of its own,
// and evaluates them on the test set after each epoch.
//
// If ctx is done, the session keeps the updates made so far, and Fit returns what it has done with the error of
// ctx. A loss that is infinite or NaN ends the training with ErrDiverged, since no later step can repair the
// variables.
func Fit(ctx context.Context, sess *runtime.Session, trainSet, testSet data.Dataset, cfg Config) (Result, error) {
	var res Result
	if cfg.Epochs < 1 {
		return res, fmt.Errorf("train: %d epochs: want at least 1", cfg.Epochs)
	}
	names := cfg.Model.withDefaults()
	if err := check(sess, names.Train, names, lossResult); err != nil {
		return res, fmt.Errorf("train: %w", err)
	}
	if err := check(sess, names.Eval, names, lossResult, correctResult); err != nil {
		return res, fmt.Errorf("train: %w", err)
	}
	if cfg.TestBatch == 0 {
		cfg.TestBatch = cfg.Batch
	}
	loader, err := data.NewLoader(trainSet, data.LoaderOptions{BatchSize: cfg.Batch, Shuffle: true, Seed: cfg.Seed, Reuse: true})
	if err != nil {
		return res, fmt.Errorf("train: training set: %w", err)
	}
	for epoch := range cfg.Epochs {
		e := Epoch{Epoch: epoch + 1}
		if err := fitEpoch(ctx, sess, loader, epoch, cfg, names, &res, &e); err != nil {
			return res, err
		}
		score, err := evaluate(ctx, sess, testSet, cfg.TestBatch, names)
		if err != nil {
			return res, err
		}
		e.TestLoss, e.TestAccuracy = score.Loss, score.Accuracy()
		e.TestCorrect, e.TestSamples = score.Correct, score.Samples
		res.Epochs = append(res.Epochs, e)
		if cfg.OnEpoch != nil {
			cfg.OnEpoch(e)
		}
	}
	return res, nil
}

func fitEpoch(ctx context.Context, sess *runtime.Session, loader *data.Loader, epoch int, cfg Config, names Names, res *Result, e *Epoch) error {
	start := time.Now()
	samples, sum, step := 0, 0.0, 0
	feeds := map[string]value.Value{}
	out, err := results(sess, names.Train, lossResult)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	for batch, err := range loader.Epoch(epoch) {
		if err != nil {
			return fmt.Errorf("train: training set: %w", err)
		}
		feeds[names.Input], feeds[names.Label] = batch.X, batch.Y
		if err := sess.RunInto(ctx, names.Train, feeds, out); err != nil {
			return fmt.Errorf("train: epoch %d, step %d: %w", epoch+1, step+1, err)
		}
		loss, err := number(out, lossResult)
		if err != nil {
			return fmt.Errorf("train: %s: %w", names.Train, err)
		}
		step++
		res.Steps++
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("train: epoch %d, step %d: the loss is %v: %w; try a smaller learning rate", epoch+1, step, loss, ErrDiverged)
		}
		samples += batch.Len()
		sum += loss * float64(batch.Len())
		e.SamplesPerSecond = float64(samples) / max(time.Since(start).Seconds(), 1e-9)
		if cfg.OnStep != nil {
			cfg.OnStep(Step{
				Epoch: epoch + 1, Epochs: cfg.Epochs, Step: step, Steps: loader.Len(),
				Samples: batch.Len(), Loss: loss, SamplesPerSecond: e.SamplesPerSecond,
			})
		}
	}
	e.TrainLoss = sum / float64(samples)
	return nil
}

// Score is how a model does on a dataset.
type Score struct {
	Loss    float64 // the mean over the examples
	Correct int
	Samples int
}

// Accuracy returns the share of correct predictions.
func (s Score) Accuracy() float64 { return float64(s.Correct) / float64(s.Samples) }

// Evaluate measures the session's variables on a dataset, batch examples at a time. The prediction for an
// example does not depend on the others of its batch, so Correct is the same for every batch size; Loss, a sum
// of means, is the same up to rounding. If ctx is done, it returns the score of the batches done with the error
// of ctx.
func Evaluate(ctx context.Context, sess *runtime.Session, d data.Dataset, batch int) (Score, error) {
	return EvaluateModel(ctx, sess, d, batch, Names{})
}

// EvaluateModel is Evaluate for a model whose functions and inputs are not called as usual.
func EvaluateModel(ctx context.Context, sess *runtime.Session, d data.Dataset, batch int, names Names) (Score, error) {
	names = names.withDefaults()
	if err := check(sess, names.Eval, names, lossResult, correctResult); err != nil {
		return Score{}, fmt.Errorf("evaluate: %w", err)
	}
	return evaluate(ctx, sess, d, batch, names)
}

func evaluate(ctx context.Context, sess *runtime.Session, d data.Dataset, batch int, names Names) (s Score, err error) {
	loader, err := data.NewLoader(d, data.LoaderOptions{BatchSize: batch, Reuse: true})
	if err != nil {
		return s, fmt.Errorf("evaluate: %w", err)
	}
	sum := 0.0
	feeds := map[string]value.Value{}
	out, err := results(sess, names.Eval, lossResult, correctResult)
	if err != nil {
		return s, fmt.Errorf("evaluate: %w", err)
	}
	for b, err := range loader.Epoch(0) {
		if err != nil {
			return s, fmt.Errorf("evaluate: %w", err)
		}
		feeds[names.Input], feeds[names.Label] = b.X, b.Y
		if err := sess.RunInto(ctx, names.Eval, feeds, out); err != nil {
			return s, fmt.Errorf("evaluate: %w", err)
		}
		loss, err := number(out, lossResult)
		if err != nil {
			return s, fmt.Errorf("evaluate: %s: %w", names.Eval, err)
		}
		correct, err := number(out, correctResult)
		if err != nil {
			return s, fmt.Errorf("evaluate: %s: %w", names.Eval, err)
		}
		sum += loss * float64(b.Len())
		s.Correct += int(correct)
		s.Samples += b.Len()
		s.Loss = sum / float64(s.Samples)
	}
	return s, nil
}

// check makes sure, before any work is done, that the program has the function with the inputs and results that
// the trainer uses.
func check(sess *runtime.Session, fn string, names Names, results ...string) error {
	f := sess.Program().Funcs[fn]
	if f == nil {
		return fmt.Errorf("the model has no function %q", fn)
	}
	for _, in := range []string{names.Input, names.Label} {
		if !hasPort(f.Inputs, in) {
			return fmt.Errorf("function %q of the model has no input %q", fn, in)
		}
	}
	for _, out := range results {
		if !hasPort(f.Outputs, out) {
			return fmt.Errorf("function %q of the model has no result %q", fn, out)
		}
	}
	return nil
}

func hasPort(ports []program.Port, name string) bool {
	for _, p := range ports {
		if p.Name == name {
			return true
		}
	}
	return false
}

// results makes the tensors that take the named results of a function, numbers all, so that a step need not allocate.
func results(sess *runtime.Session, fn string, names ...string) (map[string]value.Value, error) {
	out := map[string]value.Value{}
	for _, o := range sess.Program().Funcs[fn].Outputs {
		if !slices.Contains(names, o.Name) {
			continue
		}
		t, ok := o.Type.(graph.TensorType)
		shape, known := t.ConstShape()
		if !ok || !known {
			return nil, fmt.Errorf("%s: result %q: want one number, have %s", fn, o.Name, o.Type)
		}
		v, err := value.New(t.DType, shape...)
		if err != nil {
			return nil, fmt.Errorf("%s: result %q: %w", fn, o.Name, err)
		}
		out[o.Name] = v
	}
	return out, nil
}

// number returns a result that is a tensor of one number.
func number(out map[string]value.Value, name string) (float64, error) {
	t, ok := out[name].(*value.Tensor)
	if !ok || t.Len() != 1 || !t.DType().IsNumeric() {
		return 0, fmt.Errorf("result %q: want one number, have %v", name, out[name])
	}
	return t.Float64s()[0], nil
}
