package plain

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// TestWhole wants everything in the table: all functions and engines, and of the primitives those that ops say they are.
func TestWhole(t *testing.T) {
	table := New()
	v := reflect.ValueOf(table).Elem()
	for f := range v.Type().Fields() {
		if f.Name != "Vecs" {
			wantAll(t, v.FieldByIndex(f.Index), f.Name)
		}
	}
	for _, c := range []struct {
		name  string
		e     *backend.Elements
		kinds backend.Kinds
	}{
		{"F32", &table.Vecs.F32, backend.Floats},
		{"F64", &table.Vecs.F64, backend.Floats},
		{"I32", &table.Vecs.I32, backend.Integers},
		{"I64", &table.Vecs.I64, backend.Integers},
		{"Bool", &table.Vecs.Bool, 0},
	} {
		want := func(name string, want bool, list ...backend.Primitive) {
			t.Helper()
			for i, p := range list {
				if (p.Do != nil) != want || (p.Cost > 0) != want {
					t.Errorf("%s: %s, form %d: there: %v, of a cost of %v, want it there: %v", c.name, name, i, p.Do != nil, p.Cost, want)
				}
			}
		}
		for op, p := range c.e.Unary {
			op := backend.UnaryOp(op)
			want(op.String(), op.Kinds()&c.kinds != 0, p)
		}
		for op, p := range c.e.Binary {
			op := backend.BinaryOp(op)
			want(op.String(), op.Kinds()&c.kinds != 0, p[:]...)
		}
		for op, p := range c.e.Ternary {
			want(fmt.Sprint("ternary ", op), c.kinds == backend.Floats, p[:]...)
		}
		for op, p := range c.e.Compare {
			want(backend.CompareOp(op).String(), true, p[:]...)
		}
		want("select", true, c.e.Select[:]...)
		want("logic", c.kinds == 0, c.e.Logic[:]...)
		for op, p := range c.e.Fold {
			op := backend.ReduceOp(op)
			want(fmt.Sprint("fold ", op), c.kinds == backend.Floats && op != backend.Mean && op != backend.Prod, p)
		}
		want("to f32", c.kinds != 0 && c.name != "F32", c.e.To.F32)
		want("to f64", c.kinds != 0 && c.name != "F64", c.e.To.F64)
		want("to i32", c.kinds != 0 && c.name != "I32", c.e.To.I32)
		want("to i64", c.kinds != 0 && c.name != "I64", c.e.To.I64)
	}
}

// wantAll reports the functions and engines that are missing; there is no mean of rows.
func wantAll(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for f := range v.Type().Fields() {
			wantAll(t, v.FieldByIndex(f.Index), path+"."+f.Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			if (backend.ReduceOp(i) == backend.Mean) != v.Index(i).IsNil() {
				t.Errorf("%s[%d]: missing: %v", path, i, v.Index(i).IsNil())
			}
		}
	default:
		if v.IsNil() {
			t.Errorf("%s is missing", path)
		}
	}
}
