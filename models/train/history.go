package train

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Epoch is what one pass over the training set did. All of it but Seconds is the same for every run with the same
// configuration, interrupted or not, and for any number of threads and workers.
type Epoch struct {
	Epoch     int     `json:"epoch"` // from 1
	Steps     int     `json:"steps"` // updates so far, all epochs together
	Samples   int     `json:"samples"`
	LR        float64 `json:"lr"`         // of the last step; 0 for a model without a variable "lr"
	TrainLoss float64 `json:"train_loss"` // the mean over the samples of the epoch, each as it was before its update
	// TrainCorrect counts the samples of the epoch whose class was predicted correctly, each as the model was before its update and
	// with dropout on, as Keras counts them. It is nil unless the training function returns "logits".
	TrainCorrect *int `json:"train_correct,omitempty"`
	// Seconds is what training took, evaluation and checkpoints not counted.
	Seconds float64 `json:"seconds"`
	// How the model does after the epoch: on the validation set if there is one, else on the test set, if there is one and
	// the model has an evaluation function. They carry no confusion matrix.
	Validation *Metrics `json:"validation,omitempty"`
	Test       *Metrics `json:"test,omitempty"`
}

// Metrics returns what the model was evaluated to after the epoch, and on which set, "validation" or "test"; nil and "" if
// it was not.
func (e Epoch) Metrics() (m *Metrics, set string) {
	switch {
	case e.Validation != nil:
		return e.Validation, "validation"
	case e.Test != nil:
		return e.Test, "test"
	}
	return nil, ""
}

// TrainAccuracy returns the fraction of correct predictions in training, NaN where they are not counted.
func (e Epoch) TrainAccuracy() float64 {
	if e.TrainCorrect == nil || e.Samples == 0 {
		return math.NaN()
	}
	return float64(*e.TrainCorrect) / float64(e.Samples)
}

// SamplesPerSecond returns the speed of training.
func (e Epoch) SamplesPerSecond() float64 { return float64(e.Samples) / max(e.Seconds, 1e-9) }

// History is the epochs of a training, in order.
type History []Epoch

// Monitor says which number tells whether an epoch is better than those before.
type Monitor string

// The monitors. Where a model is not evaluated, both stand for the loss of training; where it does not classify, both
// stand for the loss.
const (
	MonitorLoss     Monitor = "loss"     // the smaller, the better
	MonitorAccuracy Monitor = "accuracy" // the larger, the better
)

// of returns the monitored number of an epoch, the smaller the better.
func (mon Monitor) of(e Epoch) float64 {
	m, _ := e.Metrics()
	switch {
	case m == nil:
		return e.TrainLoss
	case mon == MonitorAccuracy && m.Classifier:
		return -m.Accuracy()
	}
	return m.Loss
}

// Best returns the index of the best epoch, of equal ones the first; -1 if there is none.
func (h History) Best(mon Monitor) int {
	best := -1
	for i, e := range h {
		if best < 0 || mon.of(e) < mon.of(h[best]) {
			best = i
		}
	}
	return best
}

// waited returns how many epochs have passed since the last that was better by more than delta than the best before.
func (h History) waited(mon Monitor, delta float64) int {
	best, since := math.Inf(1), 0
	for _, e := range h {
		since++
		if x := mon.of(e); x < best-delta {
			best, since = x, 0
		}
	}
	return since
}

// WriteJSON writes the history as a JSON array of epochs, which ReadHistory reads back exactly.
func (h History) WriteJSON(w io.Writer) error {
	if h == nil {
		h = History{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(h)
}

// ReadHistory reads what WriteJSON has written.
func ReadHistory(r io.Reader) (History, error) {
	if r == nil {
		return History{}, errors.New("train: want a reader, have nil")
	}
	var h History
	if err := json.NewDecoder(r).Decode(&h); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return h, nil
}

// WriteCSV writes the history as a table with a head: epoch, steps, samples, lr, train_loss, train_accuracy where it is known, seconds, and
// for the set that the epochs were evaluated on, such as test, test_loss, test_accuracy and test_top5. Numbers are written so that they read back exactly;
// a cell is empty where there is not a number.
func (h History) WriteCSV(w io.Writer) error {
	head := []string{"epoch", "steps", "samples", "lr", "train_loss"}
	counted := slices.ContainsFunc(h, func(e Epoch) bool { return e.TrainCorrect != nil })
	if counted {
		head = append(head, "train_accuracy")
	}
	head = append(head, "seconds")
	k := 0
	var sets []string
	for _, e := range h {
		if m, set := e.Metrics(); m != nil {
			k = max(k, m.K)
			if !slices.Contains(sets, set) {
				sets = append(sets, set)
			}
		}
	}
	for _, set := range sets {
		head = append(head, set+"_loss", set+"_accuracy")
		if k > 0 {
			head = append(head, fmt.Sprintf("%s_top%d", set, k))
		}
	}
	out := csv.NewWriter(w)
	if err := out.Write(head); err != nil {
		return err
	}
	for _, e := range h {
		row := []string{
			strconv.Itoa(e.Epoch), strconv.Itoa(e.Steps), strconv.Itoa(e.Samples), cell(e.LR), cell(e.TrainLoss),
		}
		if counted {
			row = append(row, cell(e.TrainAccuracy()))
		}
		row = append(row, cell(e.Seconds))
		m, on := e.Metrics()
		for _, set := range sets {
			loss, accuracy, top := math.NaN(), math.NaN(), math.NaN()
			if set == on {
				loss, accuracy, top = m.Loss, m.Accuracy(), m.TopKAccuracy()
			}
			row = append(row, cell(loss), cell(accuracy))
			if k > 0 {
				row = append(row, cell(top))
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func cell(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
