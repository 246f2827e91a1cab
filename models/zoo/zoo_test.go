package zoo_test

import (
	"context"
	"testing"

	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/models/zoo"
)

// TestModels compiles every model and has it learn its first batches.
func TestModels(t *testing.T) {
	if len(zoo.Names()) != len(zoo.Models()) {
		t.Fatal("names and models differ")
	}
	for _, m := range zoo.Models() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if found, ok := zoo.Lookup(m.Name); !ok || found != m || m.Doc == "" {
				t.Fatalf("Lookup gives %v, %v", found, ok)
			}
			trainSet, testSet := sets(t)
			trainer, err := train.New(m.Build(zoo.Optimizer(optim.Adam(2e-3))), train.Config{Train: trainSet, Test: testSet, Epochs: 3, Batch: 16, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			res, err := trainer.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			first, last := res.History[0], res.History[len(res.History)-1]
			if last.TrainLoss >= first.TrainLoss || last.Test.Accuracy() < 0.3 {
				t.Errorf("the loss goes from %.3f to %.3f, the accuracy to %.2f", first.TrainLoss, last.TrainLoss, last.Test.Accuracy())
			}
		})
	}
}

// sets draws a few digits.
func sets(t *testing.T) (trainSet, testSet data.Dataset) {
	t.Helper()
	draw := func(n int, seed uint64) data.Dataset {
		set, err := digits.Generate(digits.Options{N: n, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	return draw(160, 1), draw(80, 2)
}
