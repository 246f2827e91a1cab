// Command service is what a service that embeds a model amounts to: it holds a trained LeNet-5, links the core packages only,
// says which digit is in a picture, and then serves 32 goroutines at once on the same session, whose answers must be, bit for bit,
// those that it gives one after the other.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
)

// The model, as train saves it.
var (
	//go:embed model/model.graph
	text []byte
	//go:embed model/model.safetensors
	weights []byte
)

// sample is a picture of 28x28 bytes, from 0 for black to 255 for white.
//
//go:embed sample.gray
var sample []byte

const (
	side       = 28
	goroutines = 32
	calls      = 64 // of each
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m, err := load()
	if err != nil {
		return err
	}
	logits, err := m.predict(ctx, sample)
	if err != nil {
		return err
	}
	fmt.Println("class", m.classes[argmax(logits)])
	if err := m.serve(ctx); err != nil {
		return err
	}
	fmt.Println("served", goroutines*calls, "requests of", goroutines, "goroutines")
	return nil
}

type model struct {
	session *runtime.Session
	classes []string
}

func load() (*model, error) {
	a, err := artifact.Read(bytes.NewReader(text), bytes.NewReader(weights))
	if err != nil {
		return nil, err
	}
	prog, err := compile.Compile(a.Module)
	if err != nil {
		return nil, err
	}
	s, err := runtime.NewSession(prog, runtime.Weights(a.Weights))
	if err != nil {
		return nil, err
	}
	return &model{s, strings.Split(a.Module.Meta("classes"), "\n")}, nil
}

// predict returns the logits of pictures, as many as there are bytes for.
func (m *model) predict(ctx context.Context, pictures []byte) (*value.Tensor, error) {
	pixels := make([]float32, len(pictures))
	for i, v := range pictures {
		pixels[i] = float32(v) / 255
	}
	x, err := value.FromSlice(pixels, len(pictures)/(side*side), 1, side, side)
	if err != nil {
		return nil, err
	}
	out, err := m.session.Run(ctx, "predict", map[string]value.Value{"image": x})
	if err != nil {
		return nil, err
	}
	return out["logits"].(*value.Tensor), nil
}

func argmax(logits *value.Tensor) int {
	best, all := 0, logits.Float64s()
	for i, v := range all {
		if v > all[best] {
			best = i
		}
	}
	return best
}

// request returns up to 4 pictures, other ones for each number: the sample, moved and darkened.
func request(number int) []byte {
	var pictures []byte
	for range 1 + number%4 {
		moved := append(bytes.Clone(sample[number%97:]), sample[:number%97]...)
		for i := range moved {
			moved[i] -= moved[i] / 8 * byte(number%5)
		}
		pictures = append(pictures, moved...)
		number += 31
	}
	return pictures
}

// serve answers the requests one after the other and then all goroutines at once.
func (m *model) serve(ctx context.Context) error {
	want := make([]*value.Tensor, calls)
	for i := range want {
		var err error
		if want[i], err = m.predict(ctx, request(i)); err != nil {
			return err
		}
	}
	errs := make([]error, goroutines)
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			for k := range calls {
				i := (k + g) % calls // each begins elsewhere
				have, err := m.predict(ctx, request(i))
				if err == nil && !bytes.Equal(have.Bytes(), want[i].Bytes()) {
					err = fmt.Errorf("goroutine %d: request %d: have %v, alone it is %v", g, i, have, want[i])
				}
				if err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
