package train

import (
	"fmt"
	"math"

	"github.com/graphrun/graphrun/graph/value"
)

// Metrics is how a model does on a dataset. Loss is there for every model; the rest counts predictions, of a model that
// classifies.
type Metrics struct {
	Samples int     `json:"samples"`
	Loss    float64 `json:"loss"` // the mean over the samples

	// Classifier says that predictions were counted.
	Classifier bool `json:"classifier,omitempty"`
	Correct    int  `json:"correct,omitempty"`
	// TopK counts the samples whose label is among the K classes with the largest logits; K is 0 where it is not counted.
	K    int `json:"k,omitempty"`
	TopK int `json:"top_k,omitempty"`
	// Confusion counts by label and prediction. It is nil where there are no logits, and above 1024 classes.
	Confusion Confusion `json:"confusion,omitempty"`
}

// Accuracy returns the share of correct predictions, NaN for a model that does not classify.
func (m Metrics) Accuracy() float64 { return m.share(m.Correct, m.Classifier) }

// TopKAccuracy returns the share of the samples whose label is among the K likeliest classes, NaN where that was not
// counted.
func (m Metrics) TopKAccuracy() float64 { return m.share(m.TopK, m.K > 0) }

func (m Metrics) share(n int, known bool) float64 {
	if !known || m.Samples == 0 {
		return math.NaN()
	}
	return float64(n) / float64(m.Samples)
}

// Confusion is a confusion matrix: row t, column p counts the samples of class t that were taken for class p.
type Confusion [][]int

// Precision returns the share of the samples taken for a class that are of it, NaN if there are none.
func (c Confusion) Precision(class int) float64 {
	all := 0
	for _, row := range c {
		all += row[class]
	}
	return float64(c[class][class]) / float64(all)
}

// Recall returns the share of the samples of a class that were taken for it, NaN if there are none.
func (c Confusion) Recall(class int) float64 {
	all := 0
	for _, n := range c[class] {
		all += n
	}
	return float64(c[class][class]) / float64(all)
}

// maxConfusion is the number of classes above which no confusion matrix is made: it would be larger than many models.
const maxConfusion = 1024

// Count adds the predictions for a batch: logits are f[N,C], of any float dtype, labels are integers [N]. The prediction
// is the class with the largest logit, of equal ones the first, as ops.ArgMax has it; NaN counts as larger than any
// number. A label outside of 0 to C-1 counts as predicted wrongly. K is set before the first call, if top-k
// shall be counted. Samples grows by N, Loss is left as it is.
func (m *Metrics) Count(logits, labels *value.Tensor) error {
	if !classifies(logits, labels) {
		return fmt.Errorf("metrics: want logits f[N,C] and integer labels [N], have %v%v and %v%v",
			logits.DType(), logits.Shape(), labels.DType(), labels.Shape())
	}
	n, classes := logits.Shape()[0], logits.Shape()[1]
	if n != labels.Len() {
		return fmt.Errorf("metrics: %d rows of logits, %d labels", n, labels.Len())
	}
	m.Classifier = true
	if m.Confusion == nil && classes <= maxConfusion {
		m.Confusion = make(Confusion, classes)
		for i := range m.Confusion {
			m.Confusion[i] = make([]int, classes)
		}
	}
	if len(m.Confusion) > 0 && len(m.Confusion) != classes {
		return fmt.Errorf("metrics: a batch of %d classes after one of %d", classes, len(m.Confusion))
	}
	truth, err := value.Data[int64](labels)
	if err != nil {
		truth = integers(labels)
	}
	if rows, err := value.Data[float32](logits); err == nil {
		count(m, rows, classes, truth)
		return nil
	}
	count(m, logits.Float64s(), classes, truth)
	return nil
}

// classifies reports whether logits and labels are those of a classifier: f[N,C] and integers [N].
func classifies(logits, labels *value.Tensor) bool {
	return logits != nil && labels != nil && logits.Rank() == 2 && logits.DType().IsFloat() && logits.Shape()[1] > 0 &&
		labels.Rank() == 1 && labels.DType().IsInteger()
}

func integers(t *value.Tensor) []int64 {
	out := make([]int64, t.Len())
	for i, x := range t.Float64s() { // exact for every number of a class
		out[i] = int64(x)
	}
	return out
}

func count[F float32 | float64](m *Metrics, logits []F, classes int, labels []int64) {
	for i, label := range labels {
		row := logits[i*classes : (i+1)*classes]
		m.Samples++
		if label < 0 || label >= int64(classes) {
			continue
		}
		best := 0
		for c := range row {
			if above(row[c], row[best]) {
				best = c
			}
		}
		if best == int(label) {
			m.Correct++
		}
		if len(m.Confusion) > 0 {
			m.Confusion[label][best]++
		}
		if m.K > 0 {
			rank := 0
			for c := range row {
				if above(row[c], row[label]) || c < int(label) && !above(row[label], row[c]) {
					rank++
				}
			}
			if rank < m.K {
				m.TopK++
			}
		}
	}
}

// above reports whether logit a is larger than b, NaN being the largest.
func above[F float32 | float64](a, b F) bool { return a > b || a != a && b == b }
