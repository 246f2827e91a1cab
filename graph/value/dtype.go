package value

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// DType is the element type of a tensor. The zero DType is Invalid.
type DType uint8

// The element types. Names in text are the lower-case constant names: "f32", "i64", "bool" ...
const (
	Invalid    DType = iota
	Bool             // one byte, 0 or 1
	I2               // signed 2-bit integer, four to a byte, low bits first
	U2               // unsigned 2-bit integer, four to a byte, low bits first
	I4               // signed 4-bit integer, two to a byte, low nibble first
	U4               // unsigned 4-bit integer, two to a byte, low nibble first
	I8               // signed 8-bit integer
	U8               // unsigned 8-bit integer
	I16              // signed 16-bit integer
	U16              // unsigned 16-bit integer
	I32              // signed 32-bit integer
	U32              // unsigned 32-bit integer
	I64              // signed 64-bit integer
	U64              // unsigned 64-bit integer
	F4E2M1           // 4-bit float of the OCP microscaling formats, two to a byte, low nibble first
	F8E4M3FN         // 8-bit float, 4 exponent bits, no infinities
	F8E4M3FNUZ       // as F8E4M3FN, bias 8, no negative zero
	F8E5M2           // 8-bit float, 5 exponent bits, IEEE-like
	F8E5M2FNUZ       // as F8E5M2, bias 16, no infinities, no negative zero
	F8E8M0           // 8-bit power-of-two scale of the OCP microscaling formats
	F16              // IEEE 754 binary16
	BF16             // bfloat16: the upper half of an F32
	F32              // IEEE 754 binary32
	F64              // IEEE 754 binary64
	String           // UTF-8 text

	numDTypes
)

// Domain is the exact set of values in which the reference meaning of an op on a dtype is computed.
type Domain uint8

// The domains.
const (
	NoDomain Domain = iota
	Bools           // bool
	Ints            // int64, wrapping
	Uints           // uint64, wrapping
	Floats          // float64
	Strings         // string
)

type dtypeInfo struct {
	name   string
	bits   int
	domain Domain
}

var dtypes = [numDTypes]dtypeInfo{
	Invalid:    {"invalid", 0, NoDomain},
	Bool:       {"bool", 8, Bools},
	I2:         {"i2", 2, Ints},
	U2:         {"u2", 2, Uints},
	I4:         {"i4", 4, Ints},
	U4:         {"u4", 4, Uints},
	I8:         {"i8", 8, Ints},
	U8:         {"u8", 8, Uints},
	I16:        {"i16", 16, Ints},
	U16:        {"u16", 16, Uints},
	I32:        {"i32", 32, Ints},
	U32:        {"u32", 32, Uints},
	I64:        {"i64", 64, Ints},
	U64:        {"u64", 64, Uints},
	F4E2M1:     {"f4e2m1", 4, Floats},
	F8E4M3FN:   {"f8e4m3fn", 8, Floats},
	F8E4M3FNUZ: {"f8e4m3fnuz", 8, Floats},
	F8E5M2:     {"f8e5m2", 8, Floats},
	F8E5M2FNUZ: {"f8e5m2fnuz", 8, Floats},
	F8E8M0:     {"f8e8m0", 8, Floats},
	F16:        {"f16", 16, Floats},
	BF16:       {"bf16", 16, Floats},
	F32:        {"f32", 32, Floats},
	F64:        {"f64", 64, Floats},
	String:     {"string", 0, Strings},
}

// DTypes returns every valid dtype, in declaration order.
func DTypes() []DType {
	all := make([]DType, 0, numDTypes-1)
	for d := Invalid + 1; d < numDTypes; d++ {
		all = append(all, d)
	}
	return all
}

// Valid reports whether d is one of the declared dtypes.
func (d DType) Valid() bool { return d > Invalid && d < numDTypes }

// String returns the name used in the text form, such as "f32". Inlined, it takes 1.5 kB of a service.
//
//go:noinline
func (d DType) String() string {
	if d < numDTypes {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Bits returns the storage size of one element in bits; 0 for String and for invalid dtypes.
// Not inlined: 2.2 kB of the service.
//
//go:noinline
func (d DType) Bits() int {
	if d < numDTypes {
		return dtypes[d].bits
	}
	return 0
}

// Domain returns the exact domain in which reference ops compute on d.
// Not inlined: 11.0 kB of the service.
//
//go:noinline
func (d DType) Domain() Domain {
	if d < numDTypes {
		return dtypes[d].domain
	}
	return NoDomain
}

// IsFloat reports whether d is a floating-point dtype of any width.
func (d DType) IsFloat() bool { return d.Domain() == Floats }

// IsInteger reports whether d is a signed or unsigned integer; bool is not one.
func (d DType) IsInteger() bool { return d.Domain() == Ints || d.Domain() == Uints }

// IsNumeric reports whether d is an integer or a floating-point dtype.
func (d DType) IsNumeric() bool { return d.IsFloat() || d.IsInteger() }

// ParseDType returns the dtype of a name as String prints it.
func ParseDType(name string) (DType, error) {
	for d := Invalid + 1; d < numDTypes; d++ {
		if dtypes[d].name == name {
			return d, nil
		}
	}
	return Invalid, errfmt.Errorf("unknown dtype %q: want one of bool, i2 ... i64, u2 ... u64, f4e2m1, f8e4m3fn, f8e5m2, f16, bf16, f32, f64, string", name)
}
