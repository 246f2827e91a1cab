package train_test

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/optim/schedule"
	"github.com/graphrun/graphrun/models/train"
)

// Two rings, one around the other, are told apart by a small network. The training is interrupted and goes on from its checkpoint.
func Example() {
	m := graph.NewModule("rings")
	net := nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
	for _, name := range []string{"train", "eval"} {
		f := m.Func(name)
		logits := net.Apply(f.Input("point", graph.F32, "N", 2))
		loss := nn.CrossEntropy(logits, f.Input("ring", graph.I64, "N"))
		f.Return("loss", loss)
		f.Return("logits", logits)
		if name == "train" {
			optim.Adam(0.02).Minimize(loss)
		}
	}

	dir, err := os.MkdirTemp("", "rings")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	config := train.Config{
		Train: rings(400), Test: rings(100), Epochs: 20, Batch: 32, Seed: 1, Dir: dir,
		Schedule: func(lr float64, steps int) schedule.Func { return schedule.Cosine(lr, steps, 0) },
		OnStep: func(s train.Step) {
			if s.Epoch == 10 && s.Step == 5 {
				cancel() // as Ctrl-C does in the command
			}
		},
	}
	trainer, err := train.New(m, config)
	if err != nil {
		fmt.Println(err) // every fault of the model, with file and line
		return
	}
	result, err := trainer.Run(ctx)
	fmt.Println(len(result.History), "epochs and", result.Step, "steps:", err)

	config.Resume, config.OnStep = true, nil
	trainer, err = train.New(m, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err = trainer.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d epochs, test accuracy %.0f %%\n", len(result.History), 100*result.Test.Accuracy())
	fmt.Println("confusion:", result.Test.Confusion)
	// Output:
	// 9 epochs and 5 steps: train: epoch 10, step 6: run train: context canceled
	// 20 epochs, test accuracy 100 %
	// confusion: [[50 0] [0 50]]
}

// rings returns n points, every second on the outer ring.
func rings(n int) data.Dataset {
	xs, ys := make([]float32, 2*n), make([]int64, n)
	for i := range n {
		ys[i] = int64(i % 2)
		angle, radius := 2.399963*float64(i), float64(1+ys[i])
		xs[2*i], xs[2*i+1] = float32(radius*math.Cos(angle)), float32(radius*math.Sin(angle))
	}
	x, _ := value.FromSlice(xs, n, 2)
	y, _ := value.FromSlice(ys, n)
	set, _ := data.NewTensorDataset(x, y)
	return set
}
