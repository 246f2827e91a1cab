package value

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// AllClose returns nil if got has the dtype and shape of want and every element is close to its
// counterpart: |got-want| <= atol + rtol*|want| for floats, where NaN is close to NaN and an infinity only
// to itself; integers, bools and strings must be equal.
//
// The error names the worst element (the first of them, by how far it exceeds its bound), its two values,
// the number of elements that are off, and the largest absolute and relative error of all.
func AllClose(got, want *Tensor, rtol, atol float64) error {
	if got == nil || want == nil {
		if got == want {
			return nil
		}
		return errors.New("a tensor is nil")
	}
	if got.dt != want.dt || !slices.Equal(got.shape, want.shape) {
		return errfmt.Errorf("got a tensor %s, want %s", typeString(got.dt, got.shape), typeString(want.dt, want.shape))
	}
	if !got.dt.IsFloat() {
		return allEqual(got, want)
	}
	g, w := got.Exact().F, want.Exact().F
	worst, off := -1, 0
	worstExcess, maxAbs, maxRel := 0.0, 0.0, 0.0
	for i, x := range g {
		y := w[i]
		if x == y || x != x && y != y {
			continue
		}
		diff, excess, rel := math.Abs(x-y), math.Inf(1), math.Inf(1)
		if diff != diff {
			diff = math.Inf(1) // one is a NaN
		}
		if !math.IsInf(diff, 0) {
			excess, rel = diff-(atol+rtol*math.Abs(y)), diff/math.Abs(y)
		}
		maxAbs, maxRel = max(maxAbs, diff), max(maxRel, rel)
		if excess <= 0 {
			continue
		}
		off++
		if worst < 0 || excess > worstExcess {
			worst, worstExcess = i, excess
		}
	}
	if worst < 0 {
		return nil
	}
	return errfmt.Errorf("%s: %d of %d elements differ by more than %g + %g*|want|; the worst is %s: got %s, want %s; largest absolute error %.3g, relative %.3g",
		typeString(got.dt, got.shape), off, got.n, atol, rtol, indexString(got.shape, worst),
		got.appendElem(nil, worst), want.appendElem(nil, worst), maxAbs, maxRel)
}

func allEqual(got, want *Tensor) error {
	first, off := -1, 0
	for i := range got.n {
		same := false
		if got.dt == String {
			same = got.strs[i] == want.strs[i]
		} else {
			same = got.code(i) == want.code(i)
		}
		if !same {
			if first < 0 {
				first = i
			}
			off++
		}
	}
	if off == 0 {
		return nil
	}
	return errfmt.Errorf("%s: %d of %d elements differ; the first is %s: got %s, want %s",
		typeString(got.dt, got.shape), off, got.n, indexString(got.shape, first),
		got.appendElem(nil, first), want.appendElem(nil, first))
}

// indexString spells the row-major position i as an index, such as "[1,2]".
func indexString(shape []int, i int) string {
	index := make([]string, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = fmt.Sprint(i % shape[axis])
		i /= shape[axis]
	}
	return "[" + strings.Join(index, ",") + "]"
}
