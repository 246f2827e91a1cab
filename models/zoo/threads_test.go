package zoo_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// TestSameBitsForAnyThreads trains and predicts with 1, 2, 3 and 8 threads.
func TestSameBitsForAnyThreads(t *testing.T) {
	defer parallel.SetThreads(0)
	for _, m := range zoo.Models() {
		var want map[string]*value.Tensor
		var logits string
		for _, threads := range []int{1, 2, 3, 8} {
			parallel.SetThreads(threads)
			sess := newSession(t, m.Name)
			for i, batch := range []int{64, 65, 7} {
				if _, err := sess.Run(context.Background(), "train", feeds(t, batch, i)); err != nil {
					t.Fatal(err)
				}
			}
			out, err := sess.Run(context.Background(), "predict", map[string]value.Value{"image": feeds(t, 100, 5)["image"]})
			if err != nil {
				t.Fatal(err)
			}
			got := sess.Variables()
			bits := fmt.Sprint(out["logits"].(*value.Tensor).Bytes())
			if want == nil {
				want, logits = got, bits
			}
			for name, v := range got {
				if !v.Equal(want[name]) {
					t.Errorf("%s: %d threads give another @%s than one", m.Name, threads, name)
				}
			}
			if bits != logits {
				t.Errorf("%s: %d threads give other logits than one", m.Name, threads)
			}
		}
	}
}

// TestSameBitsInAnyBatch predicts images alone and in batches.
func TestSameBitsInAnyBatch(t *testing.T) {
	for _, m := range zoo.Models() {
		sess := newSession(t, m.Name)
		image := feeds(t, 70, 3)["image"].(*value.Tensor)
		predict := func(lo, hi int) []byte {
			part, err := value.FromBytes(image.DType(), image.Bytes()[lo*784*4:hi*784*4], hi-lo, 1, 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			out, err := sess.Run(context.Background(), "predict", map[string]value.Value{"image": part})
			if err != nil {
				t.Fatal(err)
			}
			return out["logits"].(*value.Tensor).Bytes()
		}
		whole := predict(0, 70)
		for _, cut := range [][2]int{{0, 1}, {3, 4}, {5, 8}, {1, 64}, {69, 70}} {
			if string(predict(cut[0], cut[1])) != string(whole[cut[0]*40:cut[1]*40]) {
				t.Errorf("%s: images %d to %d have other logits in a batch of 70", m.Name, cut[0], cut[1])
			}
		}
	}
}
