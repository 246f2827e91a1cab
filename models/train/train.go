// Package train trains a model on a dataset: epochs, evaluation, checkpoints from which it resumes
// exactly, early stopping and learning rate schedules.
//
// What a step does is part of the graph: gradients and the optimizer's update are nodes. The trainer feeds batches,
// checks the loss, and records the history.
//
//	config := train.Config{
//		Train: rings(400), Test: rings(100), Epochs: 20, Batch: 32, Seed: 1, Dir: dir,
//		Schedule: func(lr float64, steps int) schedule.Func { return schedule.Cosine(lr, steps, 0) },
//	}
//	trainer, err := train.New(m, config)
//	result, err := trainer.Run(ctx)
//	fmt.Println(len(result.History), "epochs and", result.Step, "steps:", err)
//
// prints, if ctx is canceled in the tenth epoch,
//
//	9 epochs and 5 steps: train: epoch 10, step 6: run train: context canceled
//
// and with Resume it continues:
//
//	trainer, err = train.New(m, config)
//	result, err = trainer.Run(context.Background())
//	fmt.Printf("%d epochs, test accuracy %.0f %%\n", len(result.History), 100*result.Test.Accuracy())
//	fmt.Println("confusion:", result.Test.Confusion)
//
// prints
//
//	20 epochs, test accuracy 100 %
//	confusion: [[50 0] [0 50]]
//
// The weights are then those of trainer.Session().Variables(), which artifact.Save writes.
//
// # What a model must have
//
// A function "train" of an input and a target, which returns the mean loss of a batch as "loss" and updates the variables. If the module
// does not say otherwise (artifact.Info), its first input takes the examples
// and its second the targets; a model that learns without targets has one input.
//
// A function "eval" of the same inputs evaluates each epoch: it returns the mean "loss". If it returns
// "logits" of f[N,C] too, and targets are numbers of classes, the trainer counts accuracy, top-k and the confusion
// matrix; without logits it takes the number of right predictions from "correct", if that is returned. A model without "eval"
// trains all the same, but only its training loss
// is recorded.
//
// # Resuming
//
// With Dir, the state of the training is written after every epoch, every half minute or whatever CheckpointEvery says, and
// when the context is done. A file is replaced whole: a process that is killed, at any moment, leaves the last checkpoint or
// the one before. The same call with Resume continues from there, even in
// the middle of an epoch, and ends with the same weights, to the bit, the same history and the same metrics as an uninterrupted run,
// whatever the number of threads and workers. All state is in one place: the order of examples is a function of seed and epoch, the optimizer's
// moments and the counters of random ops are variables.
//
// # When the loss is not finite
//
// Training ends before such a step changes any variable. The step is then computed once more under observation, and the
// error names the first node that made a NaN, or an infinity, with its operands' ranges and the line that declared it.
package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/optim/schedule"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

// Config says what to train on and how. Only Train must be set.
type Config struct {
	// Train is what the model learns from, in another order each epoch.
	Train data.Dataset
	// Validation, if set, is what each epoch is evaluated on, by which the best one is chosen; Test is then evaluated once,
	// at the end. Without Validation each epoch is evaluated on Test.
	Validation, Test data.Dataset

	Epochs int    // passes over Train; 1 unless set
	Batch  int    // examples per step, also in evaluation; 64 unless set. The last step of an epoch takes what is left
	Seed   uint64 // of the first weights, of random ops and of the order of the examples
	// DropLast omits the last step of an epoch if fewer examples than Batch are left for it: batch normalization, for one, cannot train on
	// a single example. Each epoch leaves out different examples; evaluation leaves out none.
	DropLast bool

	// Weights are the values that variables start from, by name; those not given are initialized.
	Weights map[string]*value.Tensor
	// Schedule, if set, returns the learning rate by the step, from 0, given the rate that training starts with and the number of all
	// steps. The trainer sets the variable "lr" to it before each step. An example:
	// func(lr float64, steps int) schedule.Func { return schedule.Cosine(lr, steps, 0) }.
	Schedule func(lr float64, steps int) schedule.Func
	// TopK, if above 0, counts the samples whose label is among that many of the likeliest classes.
	TopK int

	// Monitor says by what the best epoch is chosen: MonitorLoss unless set.
	Monitor Monitor
	// Patience, if above 0, ends training after that many epochs without one that was better by more than MinDelta.
	Patience int
	MinDelta float64
	// KeepBest ends training with the variables of the best epoch instead of the last; Test is then evaluated with those.
	KeepBest bool

	// Dir, if set, is the directory that gets the checkpoints and the history. A training that starts there
	// without Resume moves the checkpoint of an unfinished one to KeptDir.
	Dir string
	// Resume continues from the checkpoint in Dir, if there is one. It is an error if that is of another model, of other data, or of a
	// training with another batch size, seed, schedule, top-k or monitor. More epochs than before extend a finished training;
	// with the same number, it stays as it is.
	Resume bool
	// Locked says that the caller holds the lock of Dir (LockDir), in order to save a model there too; otherwise Run locks it while it
	// runs, so that two trainings do not write the same checkpoint.
	Locked bool
	// CheckpointEvery is the time between checkpoints within an epoch, 30 s unless set; CheckpointSteps, if above 0, writes one
	// after so many steps too. Every epoch ends with one.
	CheckpointEvery time.Duration
	CheckpointSteps int
	// Settings are stored with each checkpoint, for the caller: see Checkpoint.
	Settings map[string]string

	// Workers is the number of goroutines that make batches ready, besides the one that trains. It changes no result.
	Workers int

	// OnStep is called after every step, OnEpoch after every epoch, when its checkpoint has been written; OnNote is told
	// what a person should know. All are called by the goroutine that runs the training.
	OnStep  func(Step)
	OnEpoch func(Epoch)
	OnNote  func(text string)

	// Compile and Session are options of the compiler and of the session.
	Compile []compile.Option
	Session []runtime.Option
}

// Step is what one update did.
type Step struct {
	Epoch, Epochs int // this epoch, from 1, and how many there are
	Step, Steps   int // this step of the epoch, from 1, and how many there are
	Samples       int // examples of this step
	Loss          float64
	// SamplesPerSecond is the speed of the epoch so far.
	SamplesPerSecond float64
}

// Result is what a training did, in all runs together.
type Result struct {
	// History are the epochs that were trained and evaluated in full.
	History History
	// Best is the index in History of the best epoch, -1 if there is none. Kept is the index of the epoch whose variables the
	// session has at the end: the last, or the best with KeepBest; -1 if training was interrupted.
	Best, Kept int
	// StoppedEarly says that epochs were left out because of Patience.
	StoppedEarly bool
	// Test is how the model does on the test set at the end, with the confusion matrix; nil without a test set or an evaluation
	// function, and if training was interrupted.
	Test *Metrics
	// Steps counts the updates; Step those of an epoch that was not finished, of the StepsPerEpoch that it has.
	Steps, Step, StepsPerEpoch int
}

// ErrDiverged is the error of a training whose loss or whose weights are no finite numbers any more.
var ErrDiverged = errors.New("the training has diverged")

// Trainer is a training that is under way.
type Trainer struct {
	cfg     Config
	module  *graph.Module
	sess    *runtime.Session
	train   *function
	eval    *function // nil if the model has none
	loader  *data.Loader
	rate    schedule.Func // nil without a schedule
	resumed bool
	st      state

	saved time.Time // when the last checkpoint was written
	safe  snapshot
	best  map[string]*value.Tensor // with KeepBest: the variables after the best epoch, nil if only a file has them
	last  *Metrics                 // how the session does after the last epoch, on the test set; nil if not known
	bad   bool                     // training has diverged
}

// snapshot is what a step can be repeated from.
type snapshot struct {
	variables   map[string]*value.Tensor
	epoch, step int
}

// New compiles a module and makes a session ready to be trained: from its initializers and Config.Weights, or from a checkpoint. It
// reports all faults of the module, and writes nothing.
func New(m *graph.Module, cfg Config) (*Trainer, error) {
	t, err := newTrainer(m, cfg)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return t, nil
}

func newTrainer(m *graph.Module, cfg Config) (*Trainer, error) {
	cfg.complete()
	if err := cfg.check(m); err != nil {
		return nil, err
	}
	t := &Trainer{cfg: cfg, module: m}
	opts := t.options()
	opts.Shuffle, opts.Seed, opts.DropLast = true, cfg.Seed, cfg.DropLast
	loader, err := data.NewLoader(cfg.Train, opts)
	if err != nil {
		return nil, fmt.Errorf("training set: %w", err)
	}
	prog, err := compile.Compile(m, cfg.Compile...)
	if err != nil {
		return nil, err
	}
	t.loader = loader
	if err := t.findFunctions(prog); err != nil {
		return nil, err
	}
	start := []runtime.Option{runtime.Seed(cfg.Seed), runtime.Weights(cfg.Weights)}
	if t.sess, err = runtime.NewSession(prog, append(start, cfg.Session...)...); err != nil {
		return nil, err
	}
	t.st = state{
		Version: stateVersion, Epochs: cfg.Epochs, Batch: cfg.Batch, DropLast: cfg.DropLast, Seed: cfg.Seed,
		TopK: cfg.TopK, Monitor: cfg.Monitor, Settings: cfg.Settings,
	}
	if err := t.setSchedule(nil); err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		return t, nil
	}
	if err := t.identifySets(); err != nil {
		return nil, err
	}
	if !cfg.Resume {
		return t, nil
	}
	switch c, err := ReadCheckpoint(cfg.Dir); {
	case errors.Is(err, ErrNoCheckpoint):
		return t, nil
	case err != nil:
		return nil, err
	default:
		t.resumed = true
		return t, t.resume(c)
	}
}

// complete sets what is not given to what is usual.
func (cfg *Config) complete() {
	for _, f := range []struct {
		field *int
		usual int
	}{{&cfg.Epochs, 1}, {&cfg.Batch, 64}} {
		if *f.field == 0 {
			*f.field = f.usual
		}
	}
	if cfg.Monitor == "" {
		cfg.Monitor = MonitorLoss
	}
	if cfg.CheckpointEvery == 0 {
		cfg.CheckpointEvery = 30 * time.Second
	}
}

// check looks for settings that make no sense, or not with the module.
func (cfg *Config) check(m *graph.Module) error {
	switch {
	case m == nil:
		return errors.New("want a module, have nil")
	case cfg.Epochs < 1:
		return fmt.Errorf("%d epochs: want at least 1", cfg.Epochs)
	case cfg.Train == nil:
		return errors.New("want a training set, have nil")
	case cfg.Monitor != MonitorLoss && cfg.Monitor != MonitorAccuracy:
		return fmt.Errorf("monitor %q: want %s or %s", cfg.Monitor, MonitorLoss, MonitorAccuracy)
	case cfg.TopK < 0:
		return fmt.Errorf("top-k %d: want 0 or more", cfg.TopK)
	case cfg.Patience < 0 || !(cfg.MinDelta >= 0):
		return fmt.Errorf("patience %d and minimal improvement %v: want 0 or more", cfg.Patience, cfg.MinDelta)
	case cfg.Resume && cfg.Dir == "":
		return errors.New("resume: want a directory with checkpoints (Config.Dir)")
	case (cfg.Patience > 0 || cfg.KeepBest) && cfg.Validation != nil && m.LookupFunc(artifact.EvalFunc) == nil:
		return fmt.Errorf("the model has no function %q to evaluate the validation set by", artifact.EvalFunc)
	}
	return nil
}

// findFunctions finds the functions that train and evaluate, and sees that they take the examples.
func (t *Trainer) findFunctions(prog *program.Program) error {
	info, err := artifact.InfoOf(t.module)
	if err != nil {
		return err
	}
	name, loss := info.LossResult()
	if name == "" {
		name, loss = artifact.TrainFunc, lossResult // which is missing
	}
	if t.train, err = lookup(prog, info, name, loss); err != nil {
		return err
	}
	if len(t.train.f.Updates) == 0 {
		return fmt.Errorf("function %q updates no variable: it has no optimizer", name)
	}
	if prog.Funcs[artifact.EvalFunc] == nil {
		return nil
	}
	if t.eval, err = lookup(prog, info, artifact.EvalFunc, lossResult); err != nil {
		return err
	}
	for _, d := range []struct {
		what string
		set  data.Dataset
	}{{"validation", t.cfg.Validation}, {"test", t.cfg.Test}} {
		if d.set == nil {
			continue
		}
		if err := t.eval.takes(d.set); err != nil {
			return fmt.Errorf("%s set: %w", d.what, err) // now, and not after the first epoch
		}
	}
	return nil
}

// identifySets notes which examples the training is of, for checkpoints.
func (t *Trainer) identifySets() (err error) {
	for _, d := range []struct {
		what string
		set  data.Dataset
		id   *identity
	}{{"training", t.cfg.Train, &t.st.Train}, {"validation", t.cfg.Validation, &t.st.Held}, {"test", t.cfg.Test, &t.st.Test}} {
		if *d.id, err = identify(d.set); err != nil {
			return fmt.Errorf("%s set: %w", d.what, err)
		}
	}
	return nil
}

// The names that the trainer knows.
const (
	lossResult    = "loss"
	logitsResult  = "logits"
	correctResult = "correct"
	rateVariable  = "lr"
)

// setSchedule makes the schedule from the rate that training starts with: the present one if it is not known.
func (t *Trainer) setSchedule(start *rates) error {
	if t.cfg.Schedule == nil {
		return nil
	}
	v := t.sess.Variable(rateVariable)
	if v == nil || v.DType() != value.F64 || v.Rank() != 0 {
		return fmt.Errorf("a schedule sets the variable @%s, an f64 of rank 0, which the model does not have: give it an optimizer of package optim", rateVariable)
	}
	lr, n := number(v), t.cfg.Epochs*t.loader.Len()
	if start != nil {
		lr = start.LR
	}
	if t.rate = t.cfg.Schedule(lr, n); t.rate == nil {
		return errors.New("the schedule is nil")
	}
	t.st.Schedule = &rates{LR: lr, Steps: n}
	for i, step := range []int{0, n / 2, n - 1} {
		rate, err := t.rateAt(step)
		if err != nil {
			return err
		}
		t.st.Schedule.Rates[i] = rate
	}
	return nil
}

// rateAt returns the learning rate of a step, counted from the first of all.
func (t *Trainer) rateAt(step int) (float64, error) {
	rate := t.rate(step)
	if math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0, fmt.Errorf("the schedule has the learning rate %v at step %d: want a finite number", rate, step)
	}
	return rate, nil
}

// Inputs returns the names of the inputs of the training function that take examples and their targets, "" if it takes no targets.
func (t *Trainer) Inputs() (input, target string) { return t.train.input, t.train.target }

// options are those that training and evaluation cut datasets into batches with.
func (t *Trainer) options() data.LoaderOptions {
	return data.LoaderOptions{BatchSize: t.cfg.Batch, Reuse: true, Workers: t.cfg.Workers}
}

// Rate returns the learning rate that the training started from, which a schedule multiplies; 0 for a model without the variable "lr".
func (t *Trainer) Rate() float64 {
	if t.st.Schedule != nil {
		return t.st.Schedule.LR
	}
	if v := t.sess.Variable(rateVariable); v != nil && v.Len() == 1 && v.DType().IsFloat() {
		return number(v)
	}
	return 0
}

// Session returns the session that is trained. While Run does not run, its variable "lr" is what Rate returns, not the rate of the last step, so
// that a saved model starts from there when it is trained again.
func (t *Trainer) Session() *runtime.Session { return t.sess }

// Resumed reports whether the training goes on from a checkpoint.
func (t *Trainer) Resumed() bool { return t.resumed }

// Finished reports whether all epochs have been trained, or so many without improvement that Patience is over. Run then only
// evaluates the test set.
func (t *Trainer) Finished() bool { return len(t.st.History) >= t.cfg.Epochs || t.stopped() }

func (t *Trainer) stopped() bool {
	return t.cfg.Patience > 0 && t.st.History.waited(t.cfg.Monitor, t.cfg.MinDelta) >= t.cfg.Patience
}

// Progress returns how far the training has come.
func (t *Trainer) Progress() *Result {
	return &Result{
		History: slices.Clone(t.st.History), Best: t.st.History.Best(t.cfg.Monitor), Kept: -1,
		Steps: t.st.Steps, Step: t.st.Step, StepsPerEpoch: t.loader.Len(),
	}
}

func (t *Trainer) note(format string, args ...any) {
	if t.cfg.OnNote != nil {
		t.cfg.OnNote(fmt.Sprintf(format, args...))
	}
}

// Memory returns the bytes that steps of a batch size need: the arena of the larger one of training and evaluation, and the variables
// twice, once as they are and once as the last checkpoint has them. What the datasets hold is not counted. Functions
// whose sizes data decides have no plan and are an error.
func (t *Trainer) Memory(batch int) (bytes int64, err error) {
	for _, fn := range []*function{t.train, t.eval} {
		if fn == nil {
			continue
		}
		p := fn.f.Plan
		if p == nil {
			return 0, fmt.Errorf("train: the memory that function %q needs is not known before it runs", fn.f.Name)
		}
		bytes = max(bytes, p.Size(int64(batch)))
	}
	for _, v := range t.sess.Program().Variables {
		n, err := value.SizeBytes(v.Type.DType, sizes(v.Type)...)
		if err != nil {
			return 0, fmt.Errorf("train: @%s: %w", v.Name, err)
		}
		bytes += 2 * int64(n)
	}
	return bytes, nil
}

func sizes(t graph.TensorType) []int { s, _ := t.ConstShape(); return s }

// function is a function of the model as the trainer calls it.
type function struct {
	f             *program.Func
	input, target string // "" for a function that takes no target
	loss          string
	feeds         map[string]value.Value
	out           map[int]map[string]value.Value // what takes results, by batch size
	now           *value.Tensor                  // what takes the loss of the present call
	accept        func() error
}

// lookup finds the inputs of a function, by what the model says of them or else by their order, and its loss.
func lookup(prog *program.Program, info artifact.Info, name, loss string) (*function, error) {
	f := prog.Funcs[name]
	if f == nil {
		return nil, fmt.Errorf("the model has no function %q, only %s", name, strings.Join(slices.Sorted(maps.Keys(prog.Funcs)), ", "))
	}
	fn := &function{f: f, loss: loss, feeds: map[string]value.Value{}, out: map[int]map[string]value.Value{}}
	var open []string
	for _, in := range f.Inputs {
		role := info.Roles[in.Name]
		switch {
		case role == artifact.InputRole && fn.input == "":
			fn.input = in.Name
		case role == artifact.TargetRole && fn.target == "":
			fn.target = in.Name
		default:
			open = append(open, in.Name)
		}
	}
	for _, role := range []*string{&fn.input, &fn.target} {
		if *role == "" && len(open) > 0 {
			*role, open = open[0], open[1:]
		}
	}
	switch {
	case len(open) > 0:
		return nil, fmt.Errorf("function %q of the model has the input %q besides an input and a target: a dataset has no value for it", name, open[0])
	case fn.input == "":
		return nil, fmt.Errorf("function %q of the model has no input", name)
	}
	i := slices.IndexFunc(f.Outputs, func(p program.Port) bool { return p.Name == loss })
	if i < 0 {
		return nil, fmt.Errorf("function %q of the model has no result %q", name, loss)
	}
	if tt, ok := f.Outputs[i].Type.(graph.TensorType); !ok || tt.Rank() != 0 || !tt.DType.IsFloat() {
		return nil, fmt.Errorf("function %q of the model: result %q: want a scalar loss, have %s", name, loss, f.Outputs[i].Type)
	}
	return fn, nil
}

// takes holds the first example of a dataset against the inputs.
func (fn *function) takes(d data.Dataset) error {
	loader, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 1})
	if err != nil {
		return err
	}
	for b, err := range loader.Epoch(0) {
		if err == nil {
			_, err = fn.results(b, nil)
		}
		return err
	}
	return nil
}

func (fn *function) has(result string) bool {
	return slices.ContainsFunc(fn.f.Outputs, func(p program.Port) bool { return p.Name == result })
}

// feed names the tensors of a batch.
func (fn *function) feed(b data.Batch) map[string]value.Value {
	fn.feeds[fn.input] = b.X
	if fn.target != "" {
		fn.feeds[fn.target] = b.Y
	}
	return fn.feeds
}

// call runs the function on a batch and returns the named results, in tensors that the next batch of the same size takes too. A loss
// that is not finite is errNotFinite, and then no variable has changed.
func (fn *function) call(ctx context.Context, sess *runtime.Session, b data.Batch, names []string) (map[string]value.Value, error) {
	out := fn.out[b.Len()]
	if out == nil {
		var err error
		if out, err = fn.results(b, names); err != nil {
			return nil, err
		}
		fn.out[b.Len()] = out
	}
	if fn.accept == nil {
		fn.accept = func() error {
			if x := number(fn.now); math.IsNaN(x) || math.IsInf(x, 0) {
				return errNotFinite
			}
			return nil
		}
	}
	fn.now = out[fn.loss].(*value.Tensor)
	return out, sess.RunChecked(ctx, fn.f.Name, fn.feed(b), out, fn.accept)
}

var errNotFinite = errors.New("the loss is not finite")

// results makes tensors that take the named results for a batch.
func (fn *function) results(b data.Batch, names []string) (map[string]value.Value, error) {
	env := map[string]graph.Dim{}
	for _, in := range fn.f.Inputs {
		x := b.X
		if in.Name == fn.target {
			x = b.Y
		}
		if err := graph.Unify(in.Type, graph.TypeOf(x), env); err != nil {
			return nil, fmt.Errorf("input %q of function %q is %s, the dataset gives %s", in.Name, fn.f.Name, in.Type, graph.TypeOf(x))
		}
	}
	out := map[string]value.Value{}
	for _, o := range fn.f.Outputs {
		if !slices.Contains(names, o.Name) {
			continue
		}
		typ, err := graph.SubstType(o.Type, env)
		if err != nil {
			return nil, fmt.Errorf("result %q of function %q: %w", o.Name, fn.f.Name, err)
		}
		tt, ok := typ.(graph.TensorType)
		shape, known := tt.ConstShape()
		if !ok || !known {
			return nil, fmt.Errorf("result %q of function %q is %s: its size is not known before it is computed", o.Name, fn.f.Name, typ)
		}
		if out[o.Name], err = value.New(tt.DType, shape...); err != nil {
			return nil, fmt.Errorf("result %q of function %q: %w", o.Name, fn.f.Name, err)
		}
	}
	return out, nil
}

// number returns the one element of a tensor of numbers.
func number(t *value.Tensor) float64 {
	if x, err := value.Data[float32](t); err == nil {
		return float64(x[0])
	}
	return t.Float64s()[0]
}
