package schedule_test

import (
	"fmt"

	"github.com/graphrun/graphrun/models/optim/schedule"
)

// A schedule is a function of the step: resuming at step 500 needs nothing but the number.
func Example() {
	rates := []struct {
		name string
		rate schedule.Func
	}{
		{"cosine", schedule.Cosine(0.1, 1000, 0)},
		{"step", schedule.Step(0.1, 400, 0.5)},
		{"linear", schedule.Linear(0.1, 0.5, 1, 100)},
	}
	for _, r := range rates {
		fmt.Printf("%-6s", r.name)
		for _, step := range []int{0, 50, 500, 1000} {
			fmt.Printf(" %.4f", r.rate(step))
		}
		fmt.Println()
	}
	// Output:
	// cosine 0.1000 0.0994 0.0500 0.0000
	// step   0.1000 0.1000 0.0500 0.0250
	// linear 0.0500 0.0750 0.1000 0.1000
}
