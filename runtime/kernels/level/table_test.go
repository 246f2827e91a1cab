package level

import (
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
)

// entries are the tests of the entries of a table by their paths: each holds that of the level in use against plain Go or a formula.
var entries = map[string]func(t *testing.T){
	"Products.F32":        testSizes(gemmF32),
	"Products.F64":        testSizes(gemmF64),
	"F32.Conv":            testConv[float32],
	"F64.Conv":            testConv[float64],
	"F32.Pool":            testQuads[float32],
	"F64.Pool":            testQuads[float64],
	"F32.Rows.Top":        testRows("Top"),
	"F32.Rows.Exp":        testRows("Exp"),
	"F32.Rows.SumExp":     testRows("SumExp"),
	"F32.Rows.Scale":      testRows("Scale"),
	"F32.Rows.Shift":      testRows("Shift"),
	"F32.Rows.SumWide":    testRows("SumWide"),
	"F32.Rows.Squares":    testRows("Squares"),
	"F32.Rows.Dot":        testRows("Dot"),
	"F32.Rows.Norm":       testRows("Norm"),
	"F32.Rows.Affine":     testRows("Affine"),
	"F32.Rows.NormGrad":   testRows("NormGrad"),
	"F32.Rows.Reduce":     testReductions("Row", func() *reducers[float32] { return &Table().F32.Rows.Reduce }),
	"F32.Rows.ReduceCols": testReductions("Col", func() *reducers[float32] { return &Table().F32.Rows.ReduceCols }),
	"F64.Rows.Top":        testRowsF64("Top"),
	"F64.Rows.Exp":        testRowsF64("Exp"),
	"F64.Rows.SumExp":     testRowsF64("SumExp"),
	"F64.Rows.Scale":      testRowsF64("Scale"),
	"F64.Rows.Shift":      testRowsF64("Shift"),
	"F64.Rows.SumWide":    testRowsF64("SumWide"),
	"F64.Rows.Squares":    testRowsF64("Squares"),
	"F64.Rows.Dot":        testRowsF64("Dot"),
	"F64.Rows.Norm":       testRowsF64("Norm"),
	"F64.Rows.Affine":     testRowsF64("Affine"),
	"F64.Rows.NormGrad":   testRowsF64("NormGrad"),
	"F64.Rows.Reduce":     testRowsF64("RowSum", "RowProd", "RowMax", "RowMin"),
	"F64.Rows.ReduceCols": testRowsF64("ColSum", "ColProd", "ColMax", "ColMin"),
	"Planes.W8":           func(t *testing.T) { testTranspose(t, Table().Planes.W8) },
	"Planes.W16":          func(t *testing.T) { testTranspose(t, Table().Planes.W16) },
	"Planes.W32":          func(t *testing.T) { testTranspose(t, Table().Planes.W32) },
	"Planes.W64":          func(t *testing.T) { testTranspose(t, Table().Planes.W64) },
	"Peak": func(t *testing.T) {
		if peak := Table().Peak(); !(peak > 0.01 && peak < 1e4) {
			t.Errorf("%v GFLOP/s", peak)
		}
	},
}

// reducers are the reductions of rows or of columns.
type reducers[T any] = [backend.ReduceOps]func(x []T, ld, rows, n int, y []T)

// cases returns the cases of an array of primitives on two tables.
type cases = func(t *testing.T, got, want *backend.Elements) []vecCase

// elementsIn returns the primitives on a type by the name of the field.
func elementsIn(t *backend.Table, field string) *backend.Elements {
	return reflect.ValueOf(&t.Vecs).Elem().FieldByName(field).Addr().Interface().(*backend.Elements)
}

func init() {
	addVecs("F32", randomFloat[float32], map[string]cases{"Unary": unaryCases, "Binary": binaryCases, "Ternary": ternaryCases, "Select": selectCases})
	addVecs("F64", randomFloat[float64], map[string]cases{"Unary": unaryCases, "Binary": binaryCases, "Ternary": ternaryCases, "Select": selectCases})
	addVecs("I32", randomInt[int32], map[string]cases{"Unary": unaryCases, "Binary": binaryCases, "Select": selectCases})
	addVecs("I64", randomInt[int64], map[string]cases{"Unary": unaryCases, "Binary": binaryCases, "Select": selectCases})
	addVecs("Bool", randomTruth, map[string]cases{"Select": selectCases, "Logic": logicCases})
	addStorage("F16", func(x uint16) float32 { return value.Float16(x).Float32() }, func(x float32) uint16 { return uint16(value.Float16FromFloat32(x)) },
		func(v *backend.Vecs) *backend.Storage { return &v.F16 })
	addStorage("BF16", func(x uint16) float32 { return value.BFloat16(x).Float32() }, func(x float32) uint16 { return uint16(value.BFloat16FromFloat32(x)) },
		func(v *backend.Vecs) *backend.Storage { return &v.BF16 })
	entries["Vecs.F32.Fold"] = func(t *testing.T) { testFolds[float32](t, &Table().Vecs.F32) }
	entries["Vecs.F64.Fold"] = func(t *testing.T) { testFolds[float64](t, &Table().Vecs.F64) }
}

// addStorage adds the tests of the conversions of a float for storage: of all its numbers, and of float32 on them, between them and next
// to what is between.
func addStorage(field string, decode func(uint16) float32, encode func(float32) uint16, of func(*backend.Vecs) *backend.Storage) {
	entries["Vecs."+field+".ToF32"] = func(t *testing.T) {
		x, y := make([]uint16, 1<<16), make([]float32, 1<<16)
		for i := range x {
			x[i] = uint16(i)
		}
		of(&Table().Vecs).ToF32.Do(len(x), ptr(y), ptr(x), nil, nil)
		for i, v := range y {
			if want := decode(x[i]); math.Float32bits(v) != math.Float32bits(want) {
				t.Fatalf("%#x is %v, want %v", x[i], v, want)
			}
		}
	}
	entries["Vecs."+field+".FromF32"] = func(t *testing.T) {
		var x []float32
		for i := range 1 << 16 {
			b := math.Float32bits(decode(uint16(i)))
			for _, more := range []uint32{0, 1, 0x7ff, 0x800, 0x801, 0xfff, 0x1000, 0x1001, 0x1fff, 0x7fff, 0x8000, 0x8001, 0xffff} {
				x = append(x, math.Float32frombits(b+more))
			}
		}
		r := rand.New(rand.NewPCG(7, 8))
		for range 1 << 18 {
			x = append(x, math.Float32frombits(r.Uint32()))
		}
		y := make([]uint16, len(x))
		of(&Table().Vecs).FromF32.Do(len(x), ptr(y), ptr(x), nil, nil)
		for i, v := range y {
			if want := encode(x[i]); v != want {
				t.Fatalf("%v (%#x) is %#x, want %#x", x[i], math.Float32bits(x[i]), v, want)
			}
		}
	}
}

// addVecs adds the tests of primitives on one type, with its comparisons and conversions. Arrays that are left out are empty.
func addVecs[T comparable](field string, random func(r *rand.Rand) T, arrays map[string]cases) {
	add := func(name string, run func(t *testing.T, got, want *backend.Elements)) {
		entries["Vecs."+field+"."+name] = func(t *testing.T) { run(t, elementsIn(Table(), field), elementsIn(whole, field)) }
	}
	for _, name := range []string{"Unary", "Binary", "Ternary", "Select", "Logic", "Fold"} {
		add(name, func(t *testing.T, got, want *backend.Elements) {
			if f := arrays[name]; f != nil {
				testVecs[T, T](t, f(t, got, want), random)
			} else if !reflect.ValueOf(got).Elem().FieldByName(name).IsZero() {
				t.Error("there is a primitive that no op has")
			}
		})
	}
	add("Compare", func(t *testing.T, got, want *backend.Elements) {
		testVecs[T, uint8](t, compareCases(t, got, want), random)
	})
	addCast[T, float32](add, field, "F32", random, func(e *backend.Elements) backend.Primitive { return e.To.F32 })
	addCast[T, float64](add, field, "F64", random, func(e *backend.Elements) backend.Primitive { return e.To.F64 })
	addCast[T, int32](add, field, "I32", random, func(e *backend.Elements) backend.Primitive { return e.To.I32 })
	addCast[T, int64](add, field, "I64", random, func(e *backend.Elements) backend.Primitive { return e.To.I64 })
}

func addCast[T, R comparable](add func(string, func(t *testing.T, got, want *backend.Elements)), from, to string, random func(r *rand.Rand) T, of func(*backend.Elements) backend.Primitive) {
	add("To."+to, func(t *testing.T, got, want *backend.Elements) {
		if from == to || from == "Bool" { // there is nothing to convert, or a selection does it
			if of(got).Do != nil {
				t.Error("there is a conversion that nothing uses")
			}
			return
		}
		testVecs[T, R](t, castCase(t, from+" to "+to, of(got), of(want)), random)
	})
}

func randomInt[T int32 | int64](r *rand.Rand) T {
	if r.IntN(4) == 0 {
		return []T{0, 1, -1, T(1) << (8*unsafe.Sizeof(T(0)) - 1), ^(T(1) << (8*unsafe.Sizeof(T(0)) - 1))}[r.IntN(5)]
	}
	return T(r.Uint64())
}

func randomTruth(r *rand.Rand) uint8 { return uint8(r.IntN(2)) }

// pathsOf returns the paths of the entries of a table: functions, engines, primitives and arrays of them.
func pathsOf(t reflect.Type, path string) (paths []string) {
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[backend.Primitive]() {
		return []string{path}
	}
	for f := range t.Fields() {
		name := f.Name
		if path != "" {
			name = path + "." + name
		}
		paths = append(paths, pathsOf(f.Type, name)...)
	}
	return paths
}

// TestEntries runs every entry of every level of this processor. One that has been added to the table needs a test here.
func TestEntries(t *testing.T) {
	paths := pathsOf(reflect.TypeFor[backend.Table](), "")
	slices.Sort(paths)
	for _, path := range paths {
		if entries[path] == nil {
			t.Errorf("there is no test of %s: add it to entries", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		if !slices.Contains(paths, path) {
			t.Errorf("there is a test of %s, which a table does not have", path)
		}
	}
	if t.Failed() {
		return
	}
	eachLevel(t, func(t *testing.T) {
		for _, path := range paths {
			t.Run(path, entries[path])
		}
	})
}

// madeUp is an instruction set that has one multiplier, which counts its calls.
type madeUp struct {
	backend.Multiplier[float32, float32, float32]
	calls atomic.Int64
}

func (m *madeUp) Multiply(g *backend.Matrices[float32, float32, float32], scratch []float32, done backend.Done, i0, i1, j0, j1 int) {
	m.calls.Add(1)
	m.Multiplier.Multiply(g, scratch, done, i0, i1, j0, j1)
}

// TestOneEntry takes up an instruction set that has nothing but a multiplier: it is used, and all else is plain Go.
func TestOneEntry(t *testing.T) {
	defer setLevel(Name())
	mine := &madeUp{Multiplier: whole.Products.F32}
	setTo(backend.Level{Name: "made up", Fill: func(t *backend.Table) { t.Products.F32 = mine }})
	if Name() != "made up" || Table().Products.F32 != backend.Multiplier[float32, float32, float32](mine) {
		t.Fatalf("%s multiplies by %T", Name(), Table().Products.F32)
	}
	testSizes(gemmF32)(t)
	if mine.calls.Load() == 0 {
		t.Error("the multiplier is not used")
	}
	testSizes(gemmF64)(t)
	got, want := *Table(), *whole
	got.Products.F32 = nil
	want.Products.F32 = nil
	if path := differs(reflect.ValueOf(got), reflect.ValueOf(want), ""); path != "" {
		t.Errorf("%s is not that of plain Go", path)
	}
	// A convolution goes on to plain Go.
	k := driver.NewConv2D(driver.Conv2DParams{N: 1, C: 1, H: 2, W: 2, OC: 1, KH: 1, KW: 1}, Table().F32.Conv)
	y := make([]float32, 4)
	k.Run(y, []float32{1, 2, 3, 4}, []float32{2}, nil)
	if !slices.Equal(y, []float32{2, 4, 6, 8}) || math.IsNaN(Table().Peak()) {
		t.Errorf("the convolution gives %v", y)
	}
}

// differs returns the path of an entry that is not the same code in two tables.
func differs(got, want reflect.Value, path string) string {
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			if p := differs(got.Field(i), want.Field(i), path+"."+got.Type().Field(i).Name); p != "" {
				return p
			}
		}
		return ""
	case reflect.Array:
		for i := range got.Len() {
			if p := differs(got.Index(i), want.Index(i), path+"["+string(rune('0'+i))+"]"); p != "" {
				return p
			}
		}
		return ""
	case reflect.Func:
		if got.Pointer() == want.Pointer() {
			return ""
		}
	case reflect.Interface:
		if got.IsNil() == want.IsNil() && (got.IsNil() || got.Elem().Type() == want.Elem().Type()) {
			return ""
		}
	default:
		if got.Equal(want) {
			return ""
		}
	}
	return path
}
