package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/value"
)

func init() { commands = append(commands, trainCommand) }

// samplePicture is the file beside a trained model with a picture to try it on.
const samplePicture = "sample.png"

// sampleIndex is the test image that becomes the sample: a seven among the built-in digits.
const sampleIndex = 7

type trainOptions struct {
	model     string
	data      dataOptions
	epochs    int
	batch     int
	optimizer string
	lr        float64
	seed      uint64
	out       string
	json      bool
	exec      execOptions
}

func trainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train [MODEL]",
		Short: "Train a model, save it, and try the saved model on a picture",
		Long: `train declares a model, compiles it, trains it and saves it. Then it loads what it saved, and classifies a
picture that the model has not seen.

The models are (default ` + defaultModel + `):

` + modelList() + `

The directory of the saved model (--out, by default the model's name) gets model.graph, the graph as text;
model.safetensors, the variables; and ` + samplePicture + `, the picture. Ctrl-C stops the training and saves what is trained
so far.`,
		Example: `  graphrun train lenet5
  graphrun train mlp --epochs 5 --optimizer sgd --lr 0.1
  graphrun train lenet5 --data mnist/ --batch 128 --out trained/
  graphrun train softmax --limit 1000 --epochs 1 --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = defaultModel
			if len(args) > 0 {
				o.model = args[0]
			}
			if o.out == "" {
				o.out = o.model
			}
			return runTrain(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	o.data.flags(cmd, builtinDigits)
	f.IntVar(&o.epochs, "epochs", 2, "how often to go through the training set")
	f.IntVar(&o.batch, "batch", 64, "examples per step")
	f.StringVar(&o.optimizer, "optimizer", defaultOptimizer, "one of "+strings.Join(optimizerNames(), ", "))
	f.Float64Var(&o.lr, "lr", defaultLR, "learning rate")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the first weights and of the order of the examples, as that of a session")
	f.StringVar(&o.out, "out", "", "`directory` to save the model in (default the model's name)")
	f.BoolVar(&o.json, "json", false, "print one JSON object per line")
	o.exec.flags(cmd)
	return cmd
}

func runTrain(ctx context.Context, o trainOptions, stdout, stderr io.Writer) error {
	switch {
	case o.epochs < 1:
		return usagef("train: --epochs %d: want at least 1", o.epochs)
	case o.batch < 1:
		return usagef("train: --batch %d: want at least 1", o.batch)
	case !(o.lr > 0):
		return usagef("train: --lr %v: want a number above 0", o.lr)
	}
	m, err := buildModel(o.model, o.optimizer, o.lr)
	if err != nil {
		return err
	}
	compileOpts, err := o.exec.apply()
	if err != nil {
		return err
	}
	ds, err := loadData(o.data.name, o.data)
	if err != nil {
		return err
	}
	trainSet, testSet := ds.Train, ds.Test
	if err := ds.fits(o.model, m.LookupFunc(trainFunc), imageInput, labelInput); err != nil {
		return err
	}
	setClasses(m, ds.Classes)
	prog, err := compile.Compile(m, compileOpts...)
	if err != nil {
		return err
	}
	sess, err := runtime.NewSession(prog, o.exec.session(runtime.Seed(o.seed))...)
	if err != nil {
		return err
	}
	if o.exec.check {
		feeds, err := firstExamples(trainSet, o.batch)
		if err != nil {
			return err
		}
		if err := check(ctx, stderr, m, compile.Inputs{Func: trainFunc, Feeds: feeds, Variables: sess.Variables()}, compileOpts); err != nil {
			return err
		}
	}
	// Better to fail now than after the training.
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}

	bar := newProgress(stderr)
	report := trainReport{out: stdout, json: o.json, epochs: o.epochs}
	report.start(o, m, trainSet.Len(), testSet.Len())
	result, fitErr := train.Fit(ctx, sess, trainSet, testSet, train.Config{
		Epochs: o.epochs, Batch: o.batch, Seed: o.seed,
		OnStep:  bar.step,
		OnEpoch: report.epoch,
	})
	bar.clear()
	if fitErr != nil && !errors.Is(fitErr, context.Canceled) {
		return fitErr
	}
	if result.Steps == 0 {
		return fitErr
	}
	if err := save(o, m, sess, testSet, result); err != nil {
		return err
	}
	report.saved(o.out, result)
	if fitErr != nil {
		return fitErr
	}
	return trySaved(ctx, o, compileOpts, sess, testSet, &report)
}

// save writes the model and the sample picture.
func save(o trainOptions, m *graph.Module, sess *runtime.Session, testSet data.Dataset, result train.Result) error {
	m.SetMeta("train.data", filepath.Base(o.data.name)) // a stored model does not tell where it was made
	m.SetMeta("train.steps", strconv.Itoa(result.Steps))
	if n := len(result.Epochs); n > 0 {
		last := result.Epochs[n-1]
		m.SetMeta("train.epochs", strconv.Itoa(n))
		m.SetMeta("train.test_accuracy", fmt.Sprintf("%d/%d", last.TestCorrect, last.TestSamples))
	}
	if err := artifact.Save(o.out, m, sess.Variables()); err != nil {
		return err
	}
	img, _, err := samplePictureOf(testSet)
	if err != nil {
		return err
	}
	text, err := encodePNG(img)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(o.out, samplePicture), func(w io.Writer) error { _, err := w.Write(text); return err })
}

// samplePictureOf returns the test picture that becomes the sample, and its class.
func samplePictureOf(testSet data.Dataset) (img image.Image, label int, err error) {
	x, y, err := testSet.Item(sampleIndex % testSet.Len())
	if err != nil {
		return nil, 0, err
	}
	if img, err = data.Picture(x); err != nil {
		return nil, 0, err
	}
	class, err := value.Item[int64](y)
	return img, int(class), err
}

// trySaved loads what was saved and runs it on the sample picture: a demonstration, and the check that the saved
// model is the trained one.
func trySaved(ctx context.Context, o trainOptions, opts []compile.Option, trained *runtime.Session, testSet data.Dataset, report *trainReport) error {
	saved, err := loadSaved(o.out)
	if err != nil {
		return err
	}
	prog, err := compile.Compile(saved.module, opts...)
	if err != nil {
		return err
	}
	sess, err := runtime.NewSession(prog, runtime.Weights(saved.weights))
	if err != nil {
		return err
	}
	img, label, err := samplePictureOf(testSet)
	if err != nil {
		return err
	}
	path := filepath.Join(o.out, samplePicture)
	feeds, _, err := readInputs(prog, predictFunc, []string{imageInput + "=" + path}, false)
	if err != nil {
		return err
	}
	out, err := sess.Run(ctx, predictFunc, feeds)
	if err != nil {
		return err
	}
	want, err := trained.Run(ctx, predictFunc, feeds)
	if err != nil {
		return err
	}
	for name := range want {
		if !value.Equal(out[name], want[name]) {
			return fmt.Errorf("BUG: the saved model gives another %s than the trained one: %v and %v", name, out[name], want[name])
		}
	}
	if rows := classify(out, saved.classes); len(rows) > 0 {
		report.sample(path, asciiArt(img), className(saved.classes, label), rows[0])
	}
	return nil
}

// trainReport prints what train does, as lines of text or of JSON.
type trainReport struct {
	out    io.Writer
	json   bool
	epochs int
}

func (r *trainReport) line(event string, fields any, text string) {
	if !r.json {
		fmt.Fprint(r.out, text)
		return
	}
	head, _ := json.Marshal(map[string]string{"event": event})
	body, err := json.Marshal(fields)
	if err != nil {
		body = []byte("{}")
	}
	// Two objects, joined, so that the event comes first.
	joined := strings.TrimSuffix(string(head), "}") + "," + strings.TrimPrefix(string(body), "{")
	fmt.Fprintln(r.out, strings.Replace(joined, ",}", "}", 1))
}

func (r *trainReport) start(o trainOptions, m *graph.Module, trainLen, testLen int) {
	params := 0
	for _, v := range m.Variables() {
		if v.Trainable() {
			n, _ := v.Type().NumElements().Int()
			params += int(n)
		}
	}
	r.line("start", struct {
		Model      string  `json:"model"`
		Parameters int     `json:"parameters"`
		Data       string  `json:"data"`
		Train      int     `json:"train_samples"`
		Test       int     `json:"test_samples"`
		Batch      int     `json:"batch"`
		Optimizer  string  `json:"optimizer"`
		LR         float64 `json:"lr"`
		Seed       uint64  `json:"seed"`
	}{o.model, params, o.data.name, trainLen, testLen, o.batch, o.optimizer, o.lr, o.seed},
		fmt.Sprintf("%s: %d parameters; %s: %d training and %d test images; batch %d, %s, learning rate %g, seed %d\n",
			o.model, params, o.data.name, trainLen, testLen, o.batch, o.optimizer, o.lr, o.seed))
}

func (r *trainReport) epoch(e train.Epoch) {
	r.line("epoch", e, fmt.Sprintf("epoch %d/%d: train loss %.4f, test loss %.4f, test accuracy %s, %.0f samples/s\n",
		e.Epoch, r.epochs, e.TrainLoss, e.TestLoss, accuracyText(e.TestCorrect, e.TestSamples), e.SamplesPerSecond))
}

func (r *trainReport) saved(dir string, res train.Result) {
	r.line("saved", struct {
		Dir    string `json:"dir"`
		Epochs int    `json:"epochs"`
		Steps  int    `json:"steps"`
	}{dir, len(res.Epochs), res.Steps},
		fmt.Sprintf("saved %s after %d steps\n", dir, res.Steps))
}

func (r *trainReport) sample(path, art, label string, c classification) {
	r.line("sample", struct {
		Image string `json:"image"`
		Label string `json:"label"`
		classification
	}{path, label, c},
		fmt.Sprintf("\nthe saved graph looks at %s, a %s that it has not seen:\n\n%s\n%s", path, label, art, c.text()))
}

func accuracyText(correct, samples int) string {
	return fmt.Sprintf("%.2f%% (%d/%d)", 100*float64(correct)/float64(samples), correct, samples)
}
