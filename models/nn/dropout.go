package nn

import "github.com/graphrun/graphrun/ops"

// Dropout zeroes each element with probability p while training and scales the others by 1/(1-p) (Srivastava et al.
// 2014; torch.nn.Dropout); otherwise it passes everything. Each call of the function drops others.
func Dropout(p float64) Layer { return dropout(newLayer("dropout"), p, 0) }

// Dropout1d drops whole channels of float[N, C, L] (torch.nn.Dropout1d), where one sample may lack the axis N; see Dropout.
func Dropout1d(p float64) Layer { return dropout(newLayer("dropout1d"), p, 3) }

// Dropout2d drops whole channels of float[N, C, H, W] (torch.nn.Dropout2d); see Dropout.
func Dropout2d(p float64) Layer { return dropout(newLayer("dropout2d"), p, 4) }

// Dropout3d drops whole channels of float[N, C, D, H, W] (torch.nn.Dropout3d); see Dropout.
func Dropout3d(p float64) Layer { return dropout(newLayer("dropout3d"), p, 5) }

// dropout makes a layer that drops elements, or, if rank is not 0, channels of a tensor of the rank.
func dropout(l *layer, p float64, rank int) Layer {
	if !(p >= 0 && p <= 1) {
		l.faultf("want a probability between 0 and 1, have %v", p)
	}
	l.build = sampled(rank, func(c *apply) Value {
		if rank != 0 && c.x.Rank() != rank {
			return c.refuse("want %d axes, have %s", rank, c.x.Type())
		}
		if p == 0 {
			return c.x
		}
		if !c.training {
			return c.evaluated(c.x)
		}
		var shared []int
		for axis := 2; axis < rank; axis++ {
			shared = append(shared, axis)
		}
		return ops.Dropout(c.x, p, shared...)
	})
	return l
}
