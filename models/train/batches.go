package train

import (
	"iter"

	"github.com/graphrun/graphrun/models/data"
)

// batches returns the batches of an epoch from one on.
func (t *Trainer) batches(epoch, from int) iter.Seq2[data.Batch, error] {
	return func(yield func(data.Batch, error) bool) {
		i := 0
		for b, err := range t.loader.Epoch(epoch) {
			if i++; (i > from || err != nil) && !yield(b, err) {
				return
			}
		}
	}
}
