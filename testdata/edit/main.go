// Command edit trains a classifier whose graph is a text: it knows no layers and no optimizers.
//
//	edit model.graph
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/graph/value"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: edit model.graph")
	}
	if err := train(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func train(path string) error {
	text, err := os.Open(path)
	if err != nil {
		return err
	}
	defer text.Close()
	a, err := artifact.Read(text, nil)
	if err != nil {
		return err
	}
	prog, err := compile.Compile(a.Module)
	if err != nil {
		return err
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		return err
	}
	examples, _, err := digits.Load()
	if err != nil {
		return err
	}
	loader, err := data.NewLoader(examples, data.LoaderOptions{BatchSize: 32, Shuffle: true, Seed: 1})
	if err != nil {
		return err
	}
	const steps = 60
	step := 0
	for b, err := range loader.Epoch(0) {
		if err != nil {
			return err
		}
		out, err := sess.Run(context.Background(), "train", map[string]value.Value{"image": b.X, "label": b.Y})
		if err != nil {
			return err
		}
		step++
		if step == 1 || step == steps {
			fmt.Printf("step %d: loss %.4f\n", step, out["loss"].(*value.Tensor).Float64s()[0])
		}
		if step == steps {
			break
		}
	}
	w := sess.Variable("fc2.weight")
	fmt.Printf("fc2.weight %s%v\n", w.DType(), w.Shape())
	return nil
}
