package portable

import (
	"fmt"
	"math"
	"testing"
)

func TestArg(t *testing.T) {
	nan := math.NaN()
	x := []float64{1, 3, 3, 2, nan, 5, nan, 7, -1, -1, 0, 0}
	y := make([]int64, 3)
	ArgMax(y, x, 3, 4, 1)
	if fmt.Sprint(y) != "[1 0 2]" {
		t.Error("ArgMax", y)
	}
	ArgMin(y, x, 3, 4, 1)
	if fmt.Sprint(y) != "[0 0 0]" {
		t.Error("ArgMin", y)
	}
	y = make([]int64, 4)
	ArgMax(y, x, 1, 3, 4)
	if fmt.Sprint(y) != "[1 1 1 1]" {
		// Columns: (1,nan,-1), (3,5,-1), (3,nan,0), (2,7,0).
		t.Error("ArgMax of columns", y)
	}
}
