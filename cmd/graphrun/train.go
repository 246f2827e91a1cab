package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
)

func init() { commands = append(commands, trainCommand) }

// samplePicture is the file beside a trained model with a picture to try it on.
const samplePicture = "sample.png"

// sampleIndex is the test image that becomes the sample: a seven among the built-in digits.
const sampleIndex = 7

type trainOptions struct {
	model       string
	data        dataOptions
	epochs      int
	batch       int
	dropLast    bool
	optimizer   string  // "" for the usual or the stored one
	lr          float64 // 0 for the usual or the stored one
	schedule    string
	standardize bool
	seed        uint64
	validation  float64
	monitor     string
	patience    int
	minDelta    float64
	save        string // "" for the usual
	topK        int
	clipNorm    float64
	clipValue   float64
	out         string
	resume      bool
	force       bool
	lock        *train.Lock // of out
	every       string
	budget      string
	workers     int
	json        bool
	exec        execOptions
}

func trainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train [MODEL | DIR | FILE.graph]",
		Short: "Train a model, save it, and try the saved model on a picture",
		Long: `train compiles a model, trains it and saves it. It then loads the saved model and tries it on an example that the model
has not seen.

The model is one of the built-in ones (default ` + defaultModel + `):

` + modelList() + `

or a saved model, which continues from its weights, or a model's text, which starts from its initializers. A saved model
keeps its optimizer unless --optimizer names another. If a directory has the name of a built-in model, write it with a
slash: lenet5/.

The directory --out receives model.graph, the graph as text; model.safetensors, the variables; ` + samplePicture + `, a test
picture; history.csv and history.json, a record of the epochs; the learning curves and the confusion matrix of the test set as
pictures; and checkpoint/, from which --resume continues.

If --out holds a model already, that is kept in its folder previous/, or overwritten with --force. A directory takes one training at a
time. Without --data,
a saved model is trained on the data that it was trained on before.

Ctrl-C stops training and saves the current state. --resume continues from the last checkpoint, even in the middle of an
epoch, and ends with the same weights, bit for bit, as an uninterrupted run. It takes all settings from the checkpoint; only
--epochs may be raised.

Each epoch is evaluated on the test set. With --validation, it is evaluated on a held-out fraction of the training set instead,
and the test set is used once, at the end.

--schedule changes the learning rate from step to step:
` + scheduleHelp(),
		Example: `  graphrun train lenet5
  graphrun train lenet5 --resume --epochs 5
  graphrun train trained/ --resume
  graphrun train mlp --epochs 20 --optimizer sgd --lr 0.1 --schedule cosine:warmup=1
  graphrun train lenet5 --data mnist/ --validation 0.1 --patience 3 --out trained/
  graphrun train trained/ --data other/ --lr 1e-4 --out tuned/
  graphrun train model.graph --mem-budget 512MB --json`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.model = args[0]
			}
			return runTrain(cmd, &o)
		},
		ValidArgsFunction: modelArgs,
	}
	f := cmd.Flags()
	o.data.flags(cmd, builtinDigits)
	f.IntVar(&o.epochs, "epochs", 2, "passes over the training set")
	f.IntVar(&o.batch, "batch", 64, "examples per step")
	f.BoolVar(&o.dropLast, "drop-last", false, "omit the last step of an epoch if fewer examples than --batch are left for it")
	f.StringVar(&o.optimizer, "optimizer", "", "one of "+strings.Join(optimizerNames(), ", ")+" (default "+defaultOptimizer+", or that of a saved model)")
	f.Float64Var(&o.lr, "lr", 0, "learning rate (default "+strconv.FormatFloat(defaultLR, 'g', -1, 64)+", or that of a saved model)")
	f.Float64Var(&o.clipNorm, "clip-norm", 0, "scale the gradients so that their total `norm` is at most this (default no limit)")
	f.Float64Var(&o.clipValue, "clip-value", 0, "limit each element of the gradients to plus or minus this `number` (default no limit)")
	f.BoolVar(&o.standardize, "standardize", false, "give each column of a table, or channel of pictures, mean 0 and standard deviation 1; the model stores both")
	f.StringVar(&o.schedule, "schedule", "constant", "learning rate schedule: one of "+strings.Join(scheduleNames(), ", ")+", with parameters as in cosine:to=0.01,warmup=1")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the initial weights, of dropout and of the order of the examples")
	f.Float64Var(&o.validation, "validation", 0, "`fraction` of the training set to hold out for evaluating epochs, such as 0.1")
	f.StringVar(&o.monitor, "monitor", "loss", "what must improve for --patience and --save best: loss or accuracy")
	f.IntVar(&o.patience, "patience", 0, "stop after this many epochs without improvement (default never)")
	f.Float64Var(&o.minDelta, "min-delta", 0, "smallest change that counts as an improvement")
	f.StringVar(&o.save, "save", "", "weights to save: last or best (default last, with --patience best)")
	f.IntVar(&o.topK, "top-k", 0, "also count how often the right class is among the `K` most likely")
	f.StringVar(&o.out, "out", "", "`directory` to save in (default the model's name; DIR-tuned for a saved model)")
	f.BoolVar(&o.resume, "resume", false, "continue from the last checkpoint in --out, or else in DIR, with its settings")
	f.BoolVar(&o.force, "force", false, "overwrite the model in --out without keeping it")
	f.StringVar(&o.every, "checkpoint-every", "30s", "write a checkpoint after this `time` (such as 90s) or number of steps, besides those after each epoch")
	f.StringVar(&o.budget, "mem-budget", "", "refuse to start a training that needs more `memory` than this, such as 512MB")
	f.IntVar(&o.workers, "workers", 0, "goroutines that prepare batches in advance; useful when examples must be decoded")
	f.BoolVar(&o.json, "json", false, "print one JSON object on standard output at the end, and progress lines on standard error")
	o.exec.flags(cmd)
	return cmd
}

// Flags that say where and how fast training runs, and not what comes out: a checkpoint does not keep them.
var unsettled = []string{"out", "resume", "force", "checkpoint-every", "mem-budget", "workers", "json", "threads", "check", "nan-guard", "help"}

// Flags that a resumed training may change.
var changeable = []string{"epochs", "patience", "min-delta", "save"}

// What settings call the argument, and what the optimizer is called.
const (
	modelSetting = "MODEL"
	howSetting   = "HOW"
)

// settings are what a checkpoint keeps of the command line.
func (o *trainOptions) settings(flags *pflag.FlagSet) map[string]string {
	s := map[string]string{modelSetting: o.model}
	flags.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(unsettled, f.Name) {
			s[f.Name] = f.Value.String()
		}
	})
	return s
}

// restore takes the settings of a checkpoint for the flags that are not given, and refuses those that contradict it.
func (o *trainOptions) restore(flags *pflag.FlagSet, c *train.Checkpoint) (err error) {
	refuse := func(what, given, was string) {
		if err == nil {
			err = usagef("%s: the checkpoint in %s comes from a training with %s: omit the %s, or start over without --resume", given, o.out, was, what)
		}
	}
	if model := c.Settings[modelSetting]; o.model == "" || sameModel(o.model, model) {
		o.model = model
	} else {
		refuse("model", o.model, model)
	}
	flags.VisitAll(func(f *pflag.Flag) {
		was, known := c.Settings[f.Name]
		switch {
		case !known || slices.Contains(unsettled, f.Name):
		case !f.Changed:
			err = errors.Join(err, f.Value.Set(was))
		case f.Value.String() != was && !slices.Contains(changeable, f.Name):
			if was = "--" + f.Name + " " + was; was == "--"+f.Name+" "+f.DefValue && (f.DefValue == "" || f.DefValue == "0") {
				was = "the default --" + f.Name // such a default is no value of the flag
			}
			refuse("flag", "--"+f.Name+" "+f.Value.String(), was)
		}
	})
	return err
}

// validate looks for values that make no sense.
func (o *trainOptions) validate(flags *pflag.FlagSet) error {
	switch {
	case o.epochs < 1:
		return usagef("--epochs %d: want at least 1", o.epochs)
	case o.batch < 1:
		return usagef("--batch %d: want at least 1", o.batch)
	case flags.Changed("lr") && !(o.lr > 0 && o.lr <= math.MaxFloat64):
		return usagef("--lr %v: want a number above 0", o.lr)
	case flags.Changed("clip-norm") && !(o.clipNorm > 0 && o.clipNorm <= math.MaxFloat64):
		return usagef("--clip-norm %v: want a number above 0", o.clipNorm)
	case flags.Changed("clip-value") && !(o.clipValue > 0 && o.clipValue <= math.MaxFloat64):
		return usagef("--clip-value %v: want a number above 0", o.clipValue)
	case !(o.validation >= 0 && o.validation < 1):
		return usagef("--validation %v: want a fraction of the training set, such as 0.1", o.validation)
	case o.monitor != string(train.MonitorLoss) && o.monitor != string(train.MonitorAccuracy):
		return usagef("--monitor %s: want loss or accuracy", o.monitor)
	case o.patience < 0:
		return usagef("--patience %d: want a number of epochs", o.patience)
	case !(o.minDelta >= 0):
		return usagef("--min-delta %v: want 0 or more", o.minDelta)
	case !slices.Contains([]string{"", "last", "best"}, o.save):
		return usagef("--save %s: want last or best", o.save)
	case o.topK < 0:
		return usagef("--top-k %d: want a number of classes", o.topK)
	case o.workers < 0:
		return usagef("--workers %d: want 0 or more", o.workers)
	}
	return nil
}

// checkpoints reads how often a checkpoint is written: a time or a number of steps.
func checkpoints(text string) (every time.Duration, steps int, err error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return 0, n, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, 0, nil
	}
	return 0, 0, usagef("--checkpoint-every %s: want a time such as 30s, or a number of steps", text)
}

// outDir is where a model is saved unless the command line says.
func outDir(model string) string {
	if !isPath(model) && slices.Contains(modelNames(), model) {
		return model
	}
	name := filepath.Base(filepath.Clean(model))
	if ext := filepath.Ext(name); ext == ".graph" {
		return strings.TrimSuffix(name, ext)
	}
	return filepath.Clean(model) + "-tuned"
}

func runTrain(cmd *cobra.Command, o *trainOptions) error {
	ctx, flags, stderr := cmd.Context(), cmd.Flags(), cmd.ErrOrStderr()
	report := &trainReport{out: cmd.OutOrStdout()}
	if o.json {
		report.out = stderr
	}
	note := func(text string) { fmt.Fprintf(stderr, "graphrun: note: %s\n", text) }

	defer func() { o.lock.Unlock() }()
	from, err := o.checkpoint(flags, note)
	if err != nil {
		return err
	}
	cfg, budget, err := o.configure(flags)
	if err != nil {
		return err
	}
	m, ds, err := o.modelAndData(stderr, flags, from, &cfg)
	if err != nil {
		return err
	}
	report.how = cfg.Settings[howSetting]
	bar := newProgress(stderr)
	cfg.OnNote, cfg.OnStep = note, bar.step
	cfg.OnEpoch = func(e train.Epoch) {
		bar.epoch(e)
		report.epoch(e, o.epochs)
	}
	t, err := train.New(m, cfg)
	if err != nil {
		return err
	}
	if err := o.tryFirst(ctx, stderr, t, m, cfg, budget); err != nil {
		return err
	}

	report.start(o, m, ds, cfg, t)
	finished := t.Finished()
	saving.Add(1) // a training that is interrupted saves what it has
	defer saving.Add(-1)
	res, runErr := t.Run(ctx)
	bar.clear()
	interrupted := errors.Is(runErr, context.Canceled)
	if runErr != nil && !interrupted || res.Steps == 0 {
		return runErr
	}
	if interrupted {
		report.interrupted(o, res)
	}
	input, _ := t.Inputs()
	s := &saver{o: o, t: t, m: m, ds: ds, res: res, input: input, opts: cfg.Compile, note: note}
	if err := s.save(); err != nil {
		return err
	}
	report.saved(s, finished)
	if runErr == nil {
		if s.sample, err = s.try(ctx); err != nil {
			return err
		}
		if s.sample != nil && !finished {
			report.line("%s", s.sample.text)
		}
	}
	if o.json {
		if err := s.json(cmd.OutOrStdout(), interrupted); err != nil {
			return err
		}
	}
	return runErr
}

// checkpoint returns the checkpoint that the training goes on from, nil if it begins, and takes the settings that are not given from it.
func (o *trainOptions) checkpoint(flags *pflag.FlagSet, note func(string)) (*train.Checkpoint, error) {
	given := o.out != ""
	if !given {
		o.out = outDir(orElse(o.model, defaultModel))
	}
	if err := o.lockOut(); err != nil || !o.resume {
		return nil, err
	}
	from, err := train.ReadCheckpoint(o.out)
	if dir := o.model; errors.Is(err, train.ErrNoCheckpoint) && !given && dir != "" && !o.isKnown() && isDir(dir) {
		// The training to continue is not one of the saved model, but the one that saved it.
		none := o.out
		o.lock.Unlock()
		o.lock, o.out, o.model = nil, filepath.Clean(dir), ""
		if err := o.lockOut(); err != nil {
			return nil, err
		}
		if from, err = train.ReadCheckpoint(o.out); errors.Is(err, train.ErrNoCheckpoint) {
			return nil, fmt.Errorf("--resume: there is no checkpoint in %s or in %s: omit --resume to train the saved model further", dir, none)
		}
	}
	switch {
	case errors.Is(err, train.ErrNoCheckpoint) && o.model == "":
		return nil, fmt.Errorf("--resume: there is no checkpoint in %s: --out names the directory to look in", o.out)
	case errors.Is(err, train.ErrNoCheckpoint):
		note(fmt.Sprintf("there is no checkpoint in %s: the training starts from the beginning", o.out))
		return nil, nil
	case err != nil:
		return nil, err
	}
	return from, o.restore(flags, from)
}

// lockOut keeps other trainings out of the directory --out, if it is there already.
func (o *trainOptions) lockOut() (err error) {
	if o.lock == nil && isDir(o.out) {
		if o.lock, err = train.LockDir(o.out); err != nil {
			return fmt.Errorf("--out %w", err)
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// previousModel is the directory within --out that takes the model of a training that another one replaces.
const previousModel = "previous"

// keepPrevious keeps the model that stands in --out, unless this training made it or --force gives it up, and reports whether there was one.
func (o *trainOptions) keepPrevious() (bool, error) {
	if o.resume || o.force || !isDir(o.out) || !artifact.Exists(o.out) {
		return false, nil
	}
	a, err := artifact.LoadDir(o.out)
	if err != nil {
		return false, fmt.Errorf("--out %s: the model that it holds cannot be kept (--force overwrites it): %w", o.out, err)
	}
	return true, artifact.Save(filepath.Join(o.out, previousModel), a.Module, a.Weights)
}

// configure checks the flags and returns what they say of the training, and the memory that it may take, 0 for any.
func (o *trainOptions) configure(flags *pflag.FlagSet) (cfg train.Config, budget int64, err error) {
	o.model = orElse(o.model, defaultModel)
	if err := o.validate(flags); err != nil {
		return cfg, 0, err
	}
	if cfg, err = o.config(); err != nil {
		return cfg, 0, err
	}
	if o.budget != "" {
		if budget, err = parseBytes(o.budget); err != nil {
			return cfg, 0, usagef("--mem-budget %s: %v", o.budget, err)
		}
	}
	if cfg.Compile, err = o.exec.apply(); err != nil {
		return cfg, 0, err
	}
	cfg.Session = o.exec.session()
	return cfg, budget, nil
}

// modelAndData returns the module to train, that of the checkpoint if there is one, and the examples. Those and the weights to begin
// with go into cfg, and how the optimizer was chosen goes into its settings.
func (o *trainOptions) modelAndData(stderr io.Writer, flags *pflag.FlagSet, from *train.Checkpoint, cfg *train.Config) (m *graph.Module, ds *datasets, err error) {
	if from != nil {
		m = from.Module
	} else if m, cfg.Weights, err = o.load(stderr); err != nil {
		return nil, nil, err
	}
	if ds, err = o.loadData(&m, from != nil); err != nil {
		return nil, nil, err
	}
	cfg.Train, cfg.Validation, cfg.Test = ds.Train, ds.Validation, ds.Test
	if o.validation > 0 && ds.Validation != nil {
		return nil, nil, usagef("--validation %v: --data %s has a folder for that: omit the flag", o.validation, ds.Name)
	}
	if o.validation > 0 {
		if cfg.Train, cfg.Validation, err = data.Split(ds.Train, o.validation, o.seed); err != nil {
			return nil, nil, fmt.Errorf("--validation: %w", err)
		}
	}
	cfg.Settings = o.settings(flags)
	if from != nil {
		cfg.Settings[howSetting] = from.Settings[howSetting]
	} else if cfg.Weights, cfg.Settings[howSetting], err = o.optimize(m, cfg.Weights); err != nil {
		return nil, nil, err
	}
	return m, ds, nil
}

// tryFirst finds out before the first step what would fail after the last one: whether the training fits the memory, what --check
// finds, and whether there can be a directory for what is saved.
func (o *trainOptions) tryFirst(ctx context.Context, stderr io.Writer, t *train.Trainer, m *graph.Module, cfg train.Config, budget int64) error {
	info, err := artifact.InfoOf(m)
	if err != nil {
		return err
	}
	if budget > 0 {
		if err := fitsMemory(t, o.batch, budget); err != nil {
			return err
		}
		debug.SetMemoryLimit(budget)
	}
	if o.exec.check {
		input, target := t.Inputs()
		feeds, err := examples(cfg.Train, o.batch, input, target)
		if err != nil {
			return err
		}
		fn, _ := info.LossResult()
		in := compile.Inputs{Func: fn, Feeds: feeds, Variables: t.Session().Variables()}
		if err := check(ctx, stderr, m, in, cfg.Compile); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return o.lockOut()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// config is what the flags say to the trainer.
func (o *trainOptions) config() (train.Config, error) {
	cfg := train.Config{
		Epochs: o.epochs, Batch: o.batch, DropLast: o.dropLast, Seed: o.seed, TopK: o.topK, Workers: o.workers,
		Monitor: train.Monitor(o.monitor), Patience: o.patience, MinDelta: o.minDelta,
		KeepBest: o.save == "best" || o.save == "" && o.patience > 0,
		Dir:      o.out, Resume: o.resume, Locked: true,
	}
	var err error
	if cfg.CheckpointEvery, cfg.CheckpointSteps, err = checkpoints(o.every); err != nil {
		return cfg, err
	}
	cfg.Schedule, err = parseSchedule(o.schedule, o.epochs)
	return cfg, err
}

// load returns the model that is trained, with the values that its variables start from.
func (o *trainOptions) load(stderr io.Writer) (*graph.Module, map[string]*value.Tensor, error) {
	optimizer, lr := orElse(o.optimizer, defaultOptimizer), o.lr
	if lr == 0 {
		lr = defaultLR
	}
	if !isPath(o.model) {
		if _, err := os.Stat(o.model); err != nil || slices.Contains(modelNames(), o.model) {
			m, err := buildModel(o.model, optimizer, lr)
			return m, nil, err
		}
	}
	saved, err := openPath(o.model)
	if err != nil {
		return nil, nil, err
	}
	if isDir(o.model) {
		saved.tell(stderr)
	} else {
		saved.weights = nil // a text is trained from its initializers, though weights lie beside it
	}
	return saved.module, saved.weights, nil
}

// loadData reads the data. A known model is declared for it, unless the training goes on; for another model, the data is made to fit.
func (o *trainOptions) loadData(m **graph.Module, resumed bool) (*datasets, error) {
	known := !resumed && o.isKnown()
	describe := func() (info artifact.Info, f *graph.Func, input, target string, err error) {
		if info, err = artifact.InfoOf(*m); err != nil {
			return info, nil, "", "", err
		}
		fn, _ := info.LossResult()
		if f = (*m).LookupFunc(fn); f != nil {
			input, target = dataInputs(info, f)
		}
		return info, f, input, target, nil
	}
	if info, f, input, _, err := describe(); err != nil {
		return nil, err
	} else if !known && f != nil {
		o.data.forModel(f, input, info.Classes)
		if !resumed {
			if err := o.data.trainedOn(info, o.model); err != nil {
				return nil, err
			}
		}
	}
	ds, err := loadData(o.data.name, o.data)
	if err != nil {
		return nil, err
	}
	if ds.Train.Len() == 0 {
		return nil, usagef("--test-split 1 leaves nothing to train on: want a fraction, such as 0.2")
	}
	if known {
		if *m, err = o.declareFor(ds); err != nil {
			return nil, err
		}
	}
	if len(ds.Classes) > 0 {
		artifact.SetClasses(*m, ds.Classes)
	}
	info, f, input, target, err := describe()
	if err != nil || f == nil {
		return ds, err
	}
	if err := ds.fits(o.model, f, input, target); err != nil {
		return nil, err
	}
	if resumed {
		return ds, ds.preprocess(info, input)
	}
	return ds, ds.prepare(*m, input, known, o.standardize)
}

// isKnown reports whether the model is one of the zoo.
func (o *trainOptions) isKnown() bool { return isBuiltIn(o.model) }

// isBuiltIn reports whether a model is one of the zoo, by its name.
func isBuiltIn(model string) bool { return !isPath(model) && slices.Contains(modelNames(), model) }

// sameModel reports whether two arguments name one model. A directory may be written with a slash or without, unless it has the name of a
// model of the zoo.
func sameModel(a, b string) bool {
	return a == b || !isBuiltIn(a) && !isBuiltIn(b) && filepath.Clean(a) == filepath.Clean(b)
}

// declareFor declares the known model for examples of the data's shape and classes.
func (o *trainOptions) declareFor(ds *datasets) (*graph.Module, error) {
	shape, classes, err := ds.example()
	if err != nil {
		return nil, err
	}
	if classes == 0 {
		return nil, fmt.Errorf("--data %s: %s is a classifier, but the targets are numbers: want classes, which are integers in a file .npz, or a model of your own, FILE.graph", ds.Name, o.model)
	}
	opts := []zoo.Option{zoo.Input(shape...), zoo.Classes(classes)}
	lr := o.lr
	if lr == 0 {
		lr = defaultLR
	}
	m, err := buildModel(o.model, orElse(o.optimizer, defaultOptimizer), lr, opts...)
	var faults graph.Diagnostics
	if errors.As(err, &faults) {
		return nil, fmt.Errorf("--data %s: %s: %s", ds.Name, o.model, faults[0].Msg)
	}
	return m, err
}

// parseBytes reads a size such as 512MB or 1.5GiB.
func parseBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "KMGTiBbkmgt ")
	unit := strings.ToLower(strings.TrimSpace(text[len(number):]))
	scale, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[unit]
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(x > 0) || x*scale > 1<<62 {
		return 0, errors.New("want a size such as 512MB or 2GiB")
	}
	return int64(x * scale), nil
}

// fitsMemory holds what a step needs against a budget.
func fitsMemory(t *train.Trainer, batch int, budget int64) error {
	need, err := t.Memory(batch)
	if err != nil || need <= budget {
		return err
	}
	low, high := 0, batch // the largest batch that fits lies in between
	for high-low > 1 {
		mid := (low + high) / 2
		if need, err := t.Memory(mid); err != nil {
			return err
		} else if need <= budget {
			low = mid
		} else {
			high = mid
		}
	}
	have, want := value.ByteText(float64(budget)), value.ByteText(float64(need))
	if low == 0 {
		least, err := t.Memory(1)
		if err != nil {
			return err
		}
		return fmt.Errorf("--mem-budget: a step of %d examples needs %s, the budget is %s: even one example needs %s", batch, want, have, value.ByteText(float64(least)))
	}
	return fmt.Errorf("--mem-budget: a step of %d examples needs %s, the budget is %s: the largest batch that fits is --batch %d", batch, want, have, low)
}

// saver writes what comes out of a training.
type saver struct {
	o      *trainOptions
	t      *train.Trainer
	m      *graph.Module
	ds     *datasets
	res    *train.Result
	input  string
	opts   []compile.Option
	sample *trySample
	note   func(text string)
}

// save writes the model and what shows how it came about.
func (s *saver) save() error {
	for key, val := range s.o.data.source() {
		s.m.SetMeta("train."+key, val)
	}
	if lr := s.t.Rate(); lr > 0 {
		s.m.SetMeta("train.lr", strconv.FormatFloat(lr, 'g', -1, 64))
	}
	s.m.SetMeta("train.steps", strconv.Itoa(s.res.Steps))
	s.m.SetMeta("train.seed", strconv.FormatUint(s.o.seed, 10))
	if n := len(s.res.History); n > 0 {
		s.m.SetMeta("train.epochs", strconv.Itoa(n))
		if s.res.Kept >= 0 {
			s.m.SetMeta("train.epoch", strconv.Itoa(s.res.Kept+1))
		}
		if t := s.res.Test; t != nil && t.Classifier {
			s.m.SetMeta("train.test_accuracy", fmt.Sprintf("%d/%d", t.Correct, t.Samples))
		}
	}
	kept, err := s.o.keepPrevious()
	if err != nil {
		return err
	}
	if err := artifact.Save(s.o.out, s.m, s.t.Session().Variables()); err != nil {
		return err
	}
	if kept {
		s.note(fmt.Sprintf("%s held a model, which is kept in %s", s.o.out, filepath.Join(s.o.out, previousModel)))
	}
	var confusion train.Confusion
	if s.res.Test != nil {
		confusion = s.res.Test.Confusion
	}
	if err := drawTraining(s.o.out, filepath.Base(s.o.out), s.res.History, s.res.Best, confusion, s.ds.Classes); err != nil {
		return err
	}
	img, _, ok := s.ds.picture(sampleIndex)
	if !ok {
		return nil
	}
	text, err := encodePNG(img)
	if err != nil {
		return err
	}
	path := filepath.Join(s.o.out, samplePicture)
	atomicfile.Clean(path)
	return atomicfile.Write(path, func(w io.Writer) error { _, err := w.Write(text); return err })
}

// which says which weights have been saved where that is a question.
func (s *saver) which() string {
	if s.res.Kept >= 0 && s.res.Kept < len(s.res.History)-1 {
		return fmt.Sprintf(": the weights of epoch %d, which was the best", s.res.Kept+1)
	}
	return ""
}

// trySample is what the saved model says about the sample.
type trySample struct {
	Image string `json:"image"`
	Label string `json:"label"`
	classification
	text string
}

// try loads what was saved and runs it on the sample picture: a demonstration, and the check that the saved model is the trained one.
func (s *saver) try(ctx context.Context) (*trySample, error) {
	img, label, ok := s.ds.picture(sampleIndex)
	if !ok || s.m.LookupFunc(predictFunc) == nil {
		return nil, nil
	}
	saved, err := loadSaved(s.o.out)
	if err != nil {
		return nil, err
	}
	prog, err := compile.Compile(saved.module, s.opts...)
	if err != nil {
		return nil, err
	}
	sess, err := runtime.NewSession(prog, runtime.Weights(saved.weights))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.o.out, samplePicture)
	feeds, _, err := readInputs(prog, predictFunc, []string{s.input + "=" + path}, false)
	if err != nil {
		return nil, err
	}
	out, err := sess.Run(ctx, predictFunc, feeds)
	if err != nil {
		return nil, err
	}
	want, err := s.t.Session().Run(ctx, predictFunc, feeds)
	if err != nil {
		return nil, err
	}
	for name := range want {
		if !value.Equal(out[name], want[name]) {
			return nil, fmt.Errorf("BUG: the saved model and the trained one differ in %s: %v and %v", name, out[name], want[name])
		}
	}
	rows := classify(out, saved.info.Classes)
	if len(rows) == 0 {
		return nil, nil
	}
	name := className(saved.info.Classes, label)
	return &trySample{
		Image: path, Label: name, classification: rows[0],
		text: fmt.Sprintf("\nthe saved graph classifies %s, a %s that it has not seen:\n\n%s\n%s", path, artifact.Visible(name), asciiArt(img), rows[0].text()),
	}, nil
}

// trainJSON is what train says to programs. Numbers that a model does not have are left out.
type trainJSON struct {
	Model            string          `json:"model"`
	Dir              string          `json:"dir"`
	Data             string          `json:"data"`
	Parameters       int             `json:"parameters"`
	Seed             uint64          `json:"seed"`
	Batch            int             `json:"batch"`
	Epochs           int             `json:"epochs"`
	Steps            int             `json:"steps"`
	SamplesPerSecond float64         `json:"samples_per_second"`
	TrainLoss        []float64       `json:"train_loss"`
	TrainAccuracy    []float64       `json:"train_accuracy,omitempty"`
	LR               []float64       `json:"lr"`
	ValidationLoss   []float64       `json:"validation_loss,omitempty"`
	ValidationAcc    []float64       `json:"validation_accuracy,omitempty"`
	TestLoss         *float64        `json:"test_loss,omitempty"`
	TestAccuracy     *float64        `json:"test_accuracy,omitempty"`
	TestCorrect      *int            `json:"test_correct,omitempty"`
	TestSamples      int             `json:"test_samples,omitempty"`
	TopK             int             `json:"top_k,omitempty"`
	TopKAccuracy     *float64        `json:"test_top_k_accuracy,omitempty"`
	Classes          []string        `json:"classes,omitempty"`
	Confusion        train.Confusion `json:"confusion,omitempty"`
	BestEpoch        int             `json:"best_epoch,omitempty"`
	SavedEpoch       int             `json:"saved_epoch,omitempty"`
	StoppedEarly     bool            `json:"stopped_early"`
	Interrupted      bool            `json:"interrupted"`
	Sample           *trySample      `json:"sample,omitempty"`
}

func (s *saver) json(w io.Writer, interrupted bool) error {
	h := s.res.History
	doc := trainJSON{
		Model: s.o.model, Dir: s.o.out, Data: s.o.data.name, Parameters: parameters(s.m), Seed: s.o.seed, Batch: s.o.batch,
		Epochs: len(h), Steps: s.res.Steps, TrainLoss: []float64{}, LR: []float64{}, Classes: s.ds.Classes,
		BestEpoch: s.res.Best + 1, SavedEpoch: s.res.Kept + 1, StoppedEarly: s.res.StoppedEarly, Interrupted: interrupted, Sample: s.sample,
	}
	samples, seconds := 0, 0.0
	for _, e := range h {
		samples, seconds = samples+e.Samples, seconds+e.Seconds
		doc.TrainLoss, doc.LR = append(doc.TrainLoss, e.TrainLoss), append(doc.LR, e.LR)
		if e.TrainCorrect != nil {
			doc.TrainAccuracy = append(doc.TrainAccuracy, e.TrainAccuracy())
		}
		if v := e.Validation; v != nil {
			doc.ValidationLoss = append(doc.ValidationLoss, v.Loss)
			if v.Classifier {
				doc.ValidationAcc = append(doc.ValidationAcc, v.Accuracy())
			}
		}
	}
	doc.SamplesPerSecond = float64(samples) / max(seconds, 1e-9)
	test := s.res.Test
	if test == nil && len(h) > 0 {
		test = h[len(h)-1].Test
	}
	if test != nil {
		doc.TestLoss, doc.TestSamples, doc.Confusion = &test.Loss, test.Samples, test.Confusion
		if accuracy := test.Accuracy(); test.Classifier {
			doc.TestAccuracy, doc.TestCorrect = &accuracy, &test.Correct
		}
		if share := test.TopKAccuracy(); test.K > 0 {
			doc.TopK, doc.TopKAccuracy = test.K, &share
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// parameters counts the elements of the weights.
func parameters(m *graph.Module) int {
	total := 0
	for _, v := range m.Variables() {
		if v.Trainable() {
			n, _ := v.Type().NumElements().Int()
			total += int(n)
		}
	}
	return total
}

// trainReport prints what train does, as lines for people.
type trainReport struct {
	out io.Writer
	how string // by which optimizer
}

func (r *trainReport) line(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func (r *trainReport) start(o *trainOptions, m *graph.Module, ds *datasets, cfg train.Config, t *train.Trainer) {
	what := "examples"
	if x, _, err := cfg.Train.Item(0); err == nil && x.Rank() == 3 {
		what = "images"
	}
	sets := fmt.Sprintf("%d training", cfg.Train.Len())
	if cfg.Validation != nil {
		sets += fmt.Sprintf(", %d validation", cfg.Validation.Len())
	}
	if cfg.Test != nil {
		sets += fmt.Sprintf(" and %d test", cfg.Test.Len())
	}
	how := r.how
	if lr := t.Rate(); lr > 0 {
		how += fmt.Sprintf(", learning rate %g", lr)
	}
	if o.schedule != "constant" {
		how += ", " + o.schedule
	}
	r.line("%s: %d parameters; %s: %s %s; batch %d, %s, seed %d\n", o.model, parameters(m), ds.Name, sets, what, o.batch, how, o.seed)
	if t.Resumed() && !t.Finished() {
		at := t.Progress()
		r.line("resuming in epoch %d, after step %d of %d\n", len(at.History)+1, at.Step, at.StepsPerEpoch)
	}
}

func (r *trainReport) epoch(e train.Epoch, epochs int) {
	text := fmt.Sprintf("epoch %d/%d: train loss %.4f", e.Epoch, epochs, e.TrainLoss)
	if m, set := e.Metrics(); m != nil {
		text += fmt.Sprintf(", %s loss %.4f", set, m.Loss)
		if m.Classifier {
			text += fmt.Sprintf(", %s accuracy %s", set, accuracyText(m.Correct, m.Samples))
		}
		if m.K > 0 {
			text += fmt.Sprintf(", top-%d %.2f%%", m.K, 100*m.TopKAccuracy())
		}
	}
	r.line("%s, %.0f samples/s\n", text, e.SamplesPerSecond())
}

func (r *trainReport) saved(s *saver, finished bool) {
	if finished {
		r.line("%s is trained: %d epochs are done, and there is nothing left to do\n", s.o.out, len(s.res.History))
	} else {
		r.line("saved %s after %d steps%s\n", s.o.out, s.res.Steps, s.which())
	}
}

func (r *trainReport) interrupted(o *trainOptions, res *train.Result) {
	if res.Kept >= 0 {
		r.line("stopped while the test set was evaluated; to resume: graphrun train --resume --out %s\n", o.out)
		return
	}
	r.line("stopped in epoch %d after step %d of %d; to resume: graphrun train --resume --out %s\n",
		len(res.History)+1, res.Step, res.StepsPerEpoch, o.out)
}

func accuracyText(correct, samples int) string {
	return fmt.Sprintf("%.2f%% (%d/%d)", 100*float64(correct)/float64(samples), correct, samples)
}
