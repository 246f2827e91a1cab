package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/models/plot"
	"github.com/graphrun/graphrun/models/train"
)

// The pictures of a training, without their extensions.
const (
	curvesPicture    = "curves"
	confusionPicture = "confusion"
)

// maxConfusionPicture bounds the classes of a confusion matrix that is drawn: of more, nobody can tell the cells apart.
const maxConfusionPicture = 100

// drawTraining writes the pictures of a training to a directory: the curves, and the confusion matrix if it is known.
func drawTraining(dir, model string, h train.History, best int, confusion train.Confusion, classes []string) error {
	draw := func(name string, picture func(w io.Writer, f plot.Format) error) error {
		for _, f := range []plot.Format{plot.SVG, plot.PNG} {
			path := filepath.Join(dir, name+"."+string(f))
			atomicfile.Clean(path)
			if err := atomicfile.Write(path, func(w io.Writer) error { return picture(w, f) }); err != nil {
				return err
			}
		}
		return nil
	}
	if len(h) > 0 {
		panels := curves(h)
		err := draw(curvesPicture, func(w io.Writer, f plot.Format) error {
			return plot.Curves(w, f, panels, plot.CurvesOptions{Title: model, Best: float64(best + 1)})
		})
		if err != nil {
			return err
		}
	}
	if n := len(confusion); n == 0 || n > maxConfusionPicture {
		return nil
	}
	if len(classes) != len(confusion) {
		classes = nil
	}
	return draw(confusionPicture, func(w io.Writer, f plot.Format) error {
		return plot.Confusion(w, f, confusion, visible(classes), plot.ConfusionOptions{Title: model + ": test set"})
	})
}

// curves are the panels of a history: the losses, and the shares that are right where they were counted.
func curves(h train.History) []plot.Panel {
	training := plot.Series{Name: "training"}
	loss, accuracy, top, learned := plot.Series{}, plot.Series{}, plot.Series{}, plot.Series{}
	k := 0
	add := func(s *plot.Series, name string, epoch int, y float64) {
		s.Name, s.X, s.Y = name, append(s.X, float64(epoch)), append(s.Y, y)
	}
	for _, e := range h {
		add(&training, "training", e.Epoch, e.TrainLoss)
		if e.TrainCorrect != nil {
			add(&learned, "training", e.Epoch, e.TrainAccuracy())
		}
		m, set := e.Metrics()
		if m == nil {
			continue
		}
		add(&loss, set, e.Epoch, m.Loss)
		if m.Classifier {
			add(&accuracy, set, e.Epoch, m.Accuracy())
		}
		if m.K > 0 {
			k = m.K
			add(&top, fmt.Sprintf("%s, top %d", set, k), e.Epoch, m.TopKAccuracy())
		}
	}
	losses := plot.Panel{Title: "loss", Log: true, Series: []plot.Series{training}}
	if loss.X != nil {
		losses.Series = append(losses.Series, loss)
	}
	panels := []plot.Panel{losses}
	right := plot.Panel{Title: "accuracy", Percent: true}
	for _, s := range []plot.Series{learned, top, accuracy} { // the last one's value is written out
		if s.X != nil {
			right.Series = append(right.Series, s)
		}
	}
	if len(right.Series) > 0 {
		panels = append(panels, right)
	}
	return panels
}
