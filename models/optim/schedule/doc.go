// Package schedule holds learning rates as functions of the step. A training loop sets the optimizer's variable "lr" before
// each step to value.Scalar(rate(step)), by Session.SetVariable; the trainer does so by itself.
//
//	rates := []struct {
//		name string
//		rate schedule.Func
//	}{
//		{"cosine", schedule.Cosine(0.1, 1000, 0)},
//		{"step", schedule.Step(0.1, 400, 0.5)},
//		{"linear", schedule.Linear(0.1, 0.5, 1, 100)},
//	}
//	for _, r := range rates {
//		fmt.Printf("%-6s", r.name)
//		for _, step := range []int{0, 50, 500, 1000} {
//			fmt.Printf(" %.4f", r.rate(step))
//		}
//		fmt.Println()
//	}
//
// prints
//
//	cosine 0.1000 0.0994 0.0500 0.0000
//	step   0.1000 0.1000 0.0500 0.0250
//	linear 0.0500 0.0750 0.1000 0.1000
//
// The formulas are those of torch.optim.lr_scheduler where the scheduler is stepped after the optimizer. A step before
// the first counts as the first. A schedule has no state: training that is resumed asks for the rate of its next step.
// Rates that follow a measured loss, as ReduceLROnPlateau, are no functions of the step; set the variable yourself.
package schedule
