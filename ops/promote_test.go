package ops

import (
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// TestPromote holds Promote against torch.promote_types.
func TestPromote(t *testing.T) {
	const table = `
	       bool u8   i8   i16  i32  i64  f16  bf16 f32  f64
	bool   bool u8   i8   i16  i32  i64  f16  bf16 f32  f64
	u8     u8   u8   i16  i16  i32  i64  f16  bf16 f32  f64
	i8     i8   i16  i8   i16  i32  i64  f16  bf16 f32  f64
	i16    i16  i16  i16  i16  i32  i64  f16  bf16 f32  f64
	i32    i32  i32  i32  i32  i32  i64  f16  bf16 f32  f64
	i64    i64  i64  i64  i64  i64  i64  f16  bf16 f32  f64
	f16    f16  f16  f16  f16  f16  f16  f16  f32  f32  f64
	bf16   bf16 bf16 bf16 bf16 bf16 bf16 f32  bf16 f32  f64
	f32    f32  f32  f32  f32  f32  f32  f32  f32  f32  f64
	f64    f64  f64  f64  f64  f64  f64  f64  f64  f64  f64`
	rows := strings.Split(strings.TrimSpace(table), "\n")
	columns := strings.Fields(rows[0])
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		for i, want := range cells[1:] {
			a, _ := value.ParseDType(cells[0])
			b, _ := value.ParseDType(columns[i])
			if got, err := Promote(a, b); err != nil || got.String() != want {
				t.Errorf("Promote(%v, %v) = %v, %v, want %s", a, b, got, err, want)
			}
		}
	}
	for _, pair := range [][2]graph.DType{{value.String, value.F32}, {value.U64, value.I64}, {value.F8E4M3FN, value.F8E5M2}} {
		if got, err := Promote(pair[0], pair[1]); err == nil {
			t.Errorf("Promote(%v, %v) = %v, want an error", pair[0], pair[1], got)
		}
	}
	if got, err := Promote(value.U32, value.I8); err != nil || got != value.I64 {
		t.Errorf("Promote(u32, i8) = %v, %v, want i64", got, err)
	}
}

// TestResultType holds arithmetic of tensors with axes, tensors of rank 0 and Go numbers against torch.result_type.
func TestResultType(t *testing.T) {
	f := graph.NewModule("m").Func("f")
	tensor := func(dt graph.DType) Value { return f.Input("t"+dt.String(), dt, 3) }
	scalar := func(dt graph.DType) Value { return f.Input("s"+dt.String(), dt) }
	i8, u8, f16, boolean := tensor(value.I8), tensor(value.U8), tensor(value.F16), tensor(value.Bool)
	f32 := tensor(value.F32)
	for _, c := range []struct {
		args []Operand
		want graph.DType
	}{
		{[]Operand{f16, 2.5}, value.F16},
		{[]Operand{f16, scalar(value.F64)}, value.F16},
		{[]Operand{f16, f32}, value.F32},
		{[]Operand{i8, 2.5}, value.F32},
		{[]Operand{i8, 300}, value.I8},
		{[]Operand{i8, scalar(value.I64)}, value.I8},
		{[]Operand{i8, []int{1}}, value.Invalid},
		{[]Operand{boolean, 1}, value.I64},
		{[]Operand{boolean, true}, value.Bool},
		{[]Operand{u8, i8}, value.I16},
		{[]Operand{i8, scalar(value.F16)}, value.F16},
		{[]Operand{scalar(value.F32), 2.5}, value.F32},
		{[]Operand{f32, "x"}, value.Invalid},
	} {
		got, err := resultType(c.args)
		if got != c.want || (err != nil) != (c.want == value.Invalid) {
			t.Errorf("resultType(%v) = %v, %v, want %v", c.args, got, err, c.want)
		}
	}
}
