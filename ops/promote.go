package ops

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// The categories of PyTorch's promotion, in rising order.
const (
	boolCategory = iota + 1
	intCategory
	floatCategory
)

func category(d graph.DType) int {
	switch d.Domain() {
	case value.Bools:
		return boolCategory
	case value.Ints, value.Uints:
		return intCategory
	case value.Floats:
		return floatCategory
	}
	return 0
}

// Promote returns the dtype to which two dtypes are cast before arithmetic, as torch.promote_types
// gives it. Pairs that PyTorch does not define, such as string with any other, are errors. Unsigned
// integers wider than 8 bits promote with signed ones to the next signed width that holds both.
func Promote(a, b graph.DType) (graph.DType, error) {
	if a == b {
		return a, nil
	}
	ca, cb := category(a), category(b)
	if ca == 0 || cb == 0 {
		return value.Invalid, errfmt.Errorf("there is no common dtype of %v and %v", a, b)
	}
	if ca != cb {
		if ca > cb {
			return a, nil
		}
		return b, nil
	}
	if ca == floatCategory {
		if a.Bits() != b.Bits() {
			if a.Bits() > b.Bits() {
				return a, nil
			}
			return b, nil
		}
		if a.Bits() == 16 { // f16 with bf16
			return value.F32, nil
		}
		return value.Invalid, errfmt.Errorf("there is no common dtype of %v and %v: cast one of them", a, b)
	}
	sa, sb := a.Domain() == value.Ints, b.Domain() == value.Ints
	if sa == sb {
		if a.Bits() > b.Bits() {
			return a, nil
		}
		return b, nil
	}
	if sb {
		a, b = b, a
	}
	// a is signed, b unsigned: the narrowest signed dtype that holds both
	for _, d := range []graph.DType{value.I2, value.I4, value.I8, value.I16, value.I32, value.I64} {
		if d.Bits() >= a.Bits() && d.Bits() > b.Bits() {
			return d, nil
		}
	}
	return value.Invalid, errfmt.Errorf("there is no common dtype of %v and %v: cast one of them", a, b)
}

// resultType is torch.result_type: tensors with axes decide over tensors of rank 0, and those over Go
// numbers, unless the weaker one is of a higher category.
func resultType(args []Operand) (graph.DType, error) {
	var levels [3]graph.DType // with axes, rank 0, Go numbers
	for _, a := range args {
		var d graph.DType
		level := 2
		switch x := a.(type) {
		case Value:
			if !x.OK() {
				continue
			}
			t, isTensor := x.TensorType()
			if !isTensor {
				return value.Invalid, errfmt.Errorf("want a tensor, have %s", x.Type())
			}
			d = t.DType
			level = 0
			if t.Rank() == 0 {
				level = 1
			}
		case bool:
			d = value.Bool
		case int, int32, int64, uint64:
			d = value.I64
		case float32, float64:
			d = value.F32
		case string:
			d = value.String
		default:
			return value.Invalid, errfmt.Errorf("an operand is a graph.Value or a Go number, have %T", a)
		}
		if levels[level] == value.Invalid {
			levels[level] = d
			continue
		}
		p, err := Promote(levels[level], d)
		if err != nil {
			return value.Invalid, err
		}
		levels[level] = p
	}
	result := value.Invalid
	for _, d := range levels {
		switch {
		case d == value.Invalid:
		case result == value.Invalid:
			result = d
		case category(d) == 0 || category(result) == 0:
			if d != result {
				return value.Invalid, errfmt.Errorf("there is no common dtype of %v and %v", result, d)
			}
		case category(d) > category(result):
			result = d
		}
	}
	return result, nil
}
