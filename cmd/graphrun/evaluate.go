package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/models/plot"
	"github.com/graphrun/graphrun/models/train"
)

// evaluation is how a model does on a data set.
type evaluation struct {
	Accuracy  *float64        `json:"test_accuracy,omitempty"` // a fraction
	Correct   *int            `json:"test_correct,omitempty"`
	Samples   int             `json:"test_samples"`
	Loss      jsonNumber      `json:"test_loss"`
	Speed     jsonNumber      `json:"samples_per_second"`
	K         int             `json:"top_k,omitempty"`
	TopK      *float64        `json:"test_top_k_accuracy,omitempty"`
	Classes   []classScore    `json:"classes,omitempty"`
	Confusion train.Confusion `json:"confusion,omitempty"` // row: the class, column: what it was taken for
}

// classScore is how a model does on one class.
type classScore struct {
	Name      string     `json:"name"`
	Samples   int        `json:"samples"`
	Recall    jsonNumber `json:"recall"`
	Precision jsonNumber `json:"precision"`
	F1        jsonNumber `json:"f1"`
	// TakenFor is the wrong class that its examples are most often taken for, of Errors of them.
	TakenFor string `json:"taken_for,omitempty"`
	Errors   int    `json:"taken_for_samples,omitempty"`
}

func runEval(ctx context.Context, o *runOptions, m *model, compileOpts []compile.Option, stdout, stderr io.Writer) error {
	f := m.module.LookupFunc(evalFunc)
	if f == nil {
		return fmt.Errorf("--data: the model has no function %s to evaluate it by, only %s", evalFunc, value.Few(funcNames(m.module)))
	}
	in, target := m.info.InRole(f, artifact.InputRole), m.info.InRole(f, artifact.TargetRole)
	input, label := dataInputs(m.info, f)
	if input == "" || len(f.Params()) > 2 || len(in) > 1 || len(target) > 1 {
		return fmt.Errorf("--data: %s takes %d inputs and %d targets: want one input and at most one target; --feeds can give all",
			evalFunc, len(in), len(target))
	}
	o.data.forModel(f, input, m.info.Classes)
	if err := o.data.readAs(m.info); err != nil {
		return err
	}
	ds, err := loadData(o.data.name, o.data)
	if err != nil {
		return err
	}
	if err := ds.fits(o.model, f, input, label); err != nil {
		return err
	}
	if err := ds.preprocess(m.info, input); err != nil {
		return err
	}
	sess, err := m.session(evalFunc, o, compileOpts, stderr)
	if err != nil {
		return err
	}
	if o.exec.check {
		feeds, err := examples(ds.Test, o.batch, input, label)
		if err != nil {
			return err
		}
		if err := check(ctx, stderr, m.module, compile.Inputs{Func: evalFunc, Feeds: feeds, Variables: sess.Variables()}, compileOpts); err != nil {
			return err
		}
	}
	start := time.Now()
	score, err := train.EvaluateTopK(ctx, sess, ds.Test, o.batch, o.topK)
	if err != nil {
		return err
	}
	speed := float64(score.Samples) / max(time.Since(start).Seconds(), 1e-9)
	classes := m.info.Classes
	if len(classes) < len(score.Confusion) && len(ds.Classes) == len(score.Confusion) {
		classes = ds.Classes
	}
	if o.confusion != "" {
		if score.Confusion == nil {
			return errors.New("--confusion: there are no classes to count: want a model that returns logits, f[N,C], with C up to 1024")
		}
		err := atomicfile.Write(o.confusion, func(w io.Writer) error {
			return plot.Confusion(w, pictureFormat(o.confusion), score.Confusion, visible(classes), plot.ConfusionOptions{Title: m.module.Name() + " on " + filepath.Base(ds.Name)})
		})
		if err != nil {
			return fmt.Errorf("--confusion: %w", err)
		}
	}
	e := evaluated(score, classes)
	e.Speed = number(speed)
	if o.json {
		return printJSON(stdout, e)
	}
	return e.print(stdout)
}

// pictureFormat is the format of a picture by the name of its file.
func pictureFormat(file string) plot.Format {
	return plot.Format(strings.ToLower(strings.TrimPrefix(filepath.Ext(file), ".")))
}

func evaluated(m train.Metrics, classes []string) evaluation {
	e := evaluation{Samples: m.Samples, Loss: number(m.Loss), Confusion: m.Confusion}
	if !m.Classifier {
		return e
	}
	accuracy := m.Accuracy()
	e.Accuracy, e.Correct = &accuracy, &m.Correct
	if m.K > 0 {
		top := m.TopKAccuracy()
		e.K, e.TopK = m.K, &top
	}
	for i, row := range m.Confusion {
		s := classScore{Name: className(classes, i), Recall: number(m.Confusion.Recall(i)), Precision: number(m.Confusion.Precision(i))}
		answers := 0
		for j, n := range row {
			s.Samples += n
			answers += m.Confusion[j][i]
			if j != i && n > s.Errors {
				s.TakenFor, s.Errors = className(classes, j), n
			}
		}
		s.F1 = number(2 * float64(row[i]) / float64(s.Samples+answers))
		e.Classes = append(e.Classes, s)
	}
	return e
}

// manyClasses is how many classes are listed at most; of more, those are that do worst.
const manyClasses = 30

func (e *evaluation) print(out io.Writer) error {
	if e.Accuracy == nil {
		_, err := fmt.Fprintf(out, "test loss %.4f on %d examples, %.0f samples/s\n", float64(e.Loss), e.Samples, float64(e.Speed))
		return err
	}
	fmt.Fprintf(out, "test accuracy %s, test loss %.4f, ", accuracyText(*e.Correct, e.Samples), float64(e.Loss))
	if e.TopK != nil {
		fmt.Fprintf(out, "top-%d accuracy %.2f%%, ", e.K, 100**e.TopK)
	}
	if _, err := fmt.Fprintf(out, "%.0f samples/s\n", float64(e.Speed)); err != nil || len(e.Classes) == 0 {
		return err
	}
	rows, title := e.Classes, "CLASS"
	if len(rows) > manyClasses {
		worth := func(s classScore) float64 {
			if math.IsNaN(float64(s.Recall)) {
				return 2 // no examples
			}
			return float64(s.Recall)
		}
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b classScore) int {
			switch x, y := worth(a), worth(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		title = fmt.Sprintf("WORST %d OF %d CLASSES", manyClasses, len(rows))
		rows = rows[:manyClasses]
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\tEXAMPLES\tRECALL\tPRECISION\tF1\tMOST OFTEN TAKEN FOR\n", title)
	for _, s := range rows {
		wrong := "-"
		if s.Errors > 0 {
			wrong = fmt.Sprintf("%s (%d)", artifact.Visible(s.TakenFor), s.Errors)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", artifact.Visible(s.Name), s.Samples, percent(s.Recall), percent(s.Precision), percent(s.F1), wrong)
	}
	return w.Flush()
}

// percent is a fraction as text; - where there is none.
func percent(x jsonNumber) string {
	if math.IsNaN(float64(x)) {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(x))
}
