package ops_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

// functions are the functions of package ops that declare nodes: TestRobust calls each with all that a user could get
// wrong, and TestRobustCoversAll holds the list against the source.
var functions = map[string]any{
	"Abs": ops.Abs, "Acos": ops.Acos, "Acosh": ops.Acosh, "AdaptiveAvgPool": ops.AdaptiveAvgPool, "Add": ops.Add,
	"And": ops.And, "Arange": ops.Arange, "ArgMax": ops.ArgMax, "ArgMin": ops.ArgMin, "Asin": ops.Asin,
	"Asinh": ops.Asinh, "At": ops.At, "Atan": ops.Atan, "Atan2": ops.Atan2, "Atanh": ops.Atanh, "AvgPool": ops.AvgPool,
	"BinaryCrossEntropy": ops.BinaryCrossEntropy, "CELU": ops.CELU, "Cast": ops.Cast, "Ceil": ops.Ceil,
	"Chunk": ops.Chunk, "Clamp": ops.Clamp, "Concat": ops.Concat, "Conv": ops.Conv, "ConvTranspose": ops.ConvTranspose,
	"Cos": ops.Cos, "Cosh": ops.Cosh, "Count": ops.Count, "CumProd": ops.CumProd, "CumSum": ops.CumSum, "CustomGrad": ops.CustomGrad,
	"Diagonal": ops.Diagonal, "DimSize": ops.DimSize, "Div": ops.Div, "Dot": ops.Dot, "Dropout": ops.Dropout,
	"ELU": ops.ELU, "Einsum": ops.Einsum, "Embedding": ops.Embedding, "Equal": ops.Equal, "Erf": ops.Erf,
	"Erfc": ops.Erfc, "Exp": ops.Exp, "Expand": ops.Expand, "Expm1": ops.Expm1, "Flatten": ops.Flatten, "Flip": ops.Flip,
	"Floor": ops.Floor, "FloorDiv": ops.FloorDiv, "Fmod": ops.Fmod, "Full": ops.Full, "FullLike": ops.FullLike,
	"GELU": ops.GELU, "Gather": ops.Gather, "GatherElements": ops.GatherElements, "Greater": ops.Greater,
	"GreaterEqual": ops.GreaterEqual, "Hardshrink": ops.Hardshrink, "Hardsigmoid": ops.Hardsigmoid,
	"Hardswish": ops.Hardswish, "Hardtanh": ops.Hardtanh, "Heaviside": ops.Heaviside, "IndexAdd": ops.IndexAdd,
	"Iota": ops.Iota, "IsFinite": ops.IsFinite, "IsInf": ops.IsInf, "IsNaN": ops.IsNaN, "Key": ops.Key,
	"LayerNorm": ops.LayerNorm, "LeakyReLU": ops.LeakyReLU, "Less": ops.Less, "LessEqual": ops.LessEqual,
	"LinearRecurrence": ops.LinearRecurrence, "Log": ops.Log, "Log1p": ops.Log1p, "LogAddExp": ops.LogAddExp,
	"LogCumSumExp": ops.LogCumSumExp, "LogSigmoid": ops.LogSigmoid,
	"LogSoftmax": ops.LogSoftmax, "LogSumExp": ops.LogSumExp, "MatMul": ops.MatMul, "MaxPool": ops.MaxPool,
	"MaxUnpool": ops.MaxUnpool, "Maximum": ops.Maximum, "Mean": ops.Mean, "Minimum": ops.Minimum, "Mish": ops.Mish,
	"Mul": ops.Mul, "Neg": ops.Neg, "NonZero": ops.NonZero, "Norm": ops.Norm, "Not": ops.Not, "NotEqual": ops.NotEqual,
	"OneHot": ops.OneHot, "OnesLike": ops.OnesLike, "Or": ops.Or, "Outer": ops.Outer, "PReLU": ops.PReLU, "Pad": ops.Pad,
	"PadWith": ops.PadWith, "Pow": ops.Pow, "Prod": ops.Prod, "RandomBernoulli": ops.RandomBernoulli,
	"RandomNormal": ops.RandomNormal, "RandomUniform": ops.RandomUniform, "ReLU": ops.ReLU, "ReLU6": ops.ReLU6,
	"Reciprocal": ops.Reciprocal, "ReduceAll": ops.ReduceAll, "ReduceAny": ops.ReduceAny, "ReduceMax": ops.ReduceMax,
	"ReduceMean": ops.ReduceMean, "ReduceMin": ops.ReduceMin, "ReduceProd": ops.ReduceProd, "ReduceSum": ops.ReduceSum,
	"Remainder": ops.Remainder, "Reshape": ops.Reshape, "Round": ops.Round, "Rsqrt": ops.Rsqrt, "SELU": ops.SELU,
	"ScatterAdd": ops.ScatterAdd, "Shift": ops.Shift, "SiLU": ops.SiLU, "Sigmoid": ops.Sigmoid, "Sign": ops.Sign,
	"Sin": ops.Sin, "Sinh": ops.Sinh, "Slice": ops.Slice, "Softmax": ops.Softmax,
	"SoftmaxCrossEntropy": ops.SoftmaxCrossEntropy, "Softplus": ops.Softplus, "Softshrink": ops.Softshrink,
	"Softsign": ops.Softsign, "Sort": ops.Sort, "Split": ops.Split, "Sqrt": ops.Sqrt, "Square": ops.Square,
	"Squeeze": ops.Squeeze, "Stack": ops.Stack, "Standardize": ops.Standardize, "Std": ops.Std,
	"StopGradient": ops.StopGradient, "Sub": ops.Sub, "Sum": ops.Sum, "SumTo": ops.SumTo, "SwapAxes": ops.SwapAxes,
	"T": ops.T, "Tan": ops.Tan, "Tanh": ops.Tanh, "Tanhshrink": ops.Tanhshrink, "Threshold": ops.Threshold,
	"TopK": ops.TopK, "Transpose": ops.Transpose, "Tril": ops.Tril, "Triu": ops.Triu, "Trunc": ops.Trunc,
	"TruncDiv": ops.TruncDiv, "Unsqueeze": ops.Unsqueeze, "Var": ops.Var, "Where": ops.Where, "Xor": ops.Xor,
	"ZerosLike": ops.ZerosLike,
}

// TestRobustCoversAll reads the package and wants every exported function that returns Values in the table.
func TestRobustCoversAll(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			for _, r := range f.Type.Results.List {
				typ := r.Type
				if list, ok := typ.(*ast.ArrayType); ok {
					typ = list.Elt
				}
				if id, ok := typ.(*ast.Ident); ok && id.Name == "Value" {
					declared[f.Name.Name] = true
				}
			}
		}
	}
	for name := range declared {
		if functions[name] == nil {
			t.Errorf("add %s to the table of TestRobust", name)
		}
	}
	for name := range functions {
		if !declared[name] {
			t.Errorf("%s is in the table and not in the package", name)
		}
	}
}

// scene is a module with values to choose operands from.
type scene struct {
	m, other *graph.Module
	f        *graph.Func
	used     []string // how the arguments came about, for messages
	known    bool     // whether an operand belongs to the module, so that faults have a place to be reported
	typed    bool     // whether the function has parameters that are Values: what else is passed is no operand
	mild     bool     // whether little is wrong
	shape    string   // of all operands, if set
	values   map[string]graph.Value
}

const hugeDim = 1 << 40

// mild are the operands of scenes in which little is wrong.
var mild = []string{"f32[3]", "f32[2,3]", "f32[3,3]", "f32[2,3,4]", "f32[2,3,8,8]", "f32[3,3,3,3]", "i64[3]", "i64[2,3]", "bool[2,3]", "f32[N,3]"}

// inputs are the operands that scenes offer, by type; sym stands for dims that are symbols.
var inputs = []string{
	"f32[]", "f32[3]", "f32[1]", "f32[2,3]", "f32[3,3]", "f32[2,3,4]", "f32[2,3,8,8]", "f32[4,3,3,3]", "f32[1,2,3,4,5]",
	"f64[]", "f64[2,3]", "f16[2,3]", "bf16[3]", "i64[]", "i64[3]", "i64[2,3]", "i32[2,3,4]", "i8[2,3]", "u8[3]", "u64[2]",
	"bool[]", "bool[2,3]", "string[]", "string[2,3]", "f32[0]", "f32[2,0,3]", "i64[0]", "f8e4m3fn[2,3]", "i4[3]",
	"f32[N]", "f32[N,3]", "f32[N,M]", "f32[N,C,H,W]", "i64[N]", "f32[2*N+1,M,3]", "bool[N]",
	"f32[1099511627776]", "f32[1099511627776,1099511627776]", "i64[9223372036854775807]",
	"f32[4611686018427387904,2,2]", "f32[1099511627776,3,1099511627776,1099511627776]",
	"seq<f32[N]>", "optional<f32[2]>", "map<i64,f32[2]>", "token",
}

func newScene() *scene {
	s := &scene{m: graph.NewModule("m"), other: graph.NewModule("other"), values: map[string]graph.Value{}}
	s.f = s.m.Func("f")
	return s
}

func (s *scene) input(f *graph.Func, typ string) graph.Value {
	t, err := graph.ParseType(typ)
	if err != nil {
		panic(err)
	}
	return f.InputOf(fmt.Sprintf("x%d", len(f.Params())), t)
}

// value chooses an operand; usual ones far more often than others.
func (s *scene) value(r *rand.Rand) graph.Value {
	kind := r.IntN(40)
	if s.mild {
		kind = 7
	}
	note := func(how string, v graph.Value) graph.Value { s.used = append(s.used, how); return v }
	switch kind {
	case 0:
		return note("zero Value", graph.Value{})
	case 1:
		s.known = true
		x := s.f.Input("bad name", graph.F32)
		return note("poison", x)
	case 2:
		s.known = true
		x := s.input(s.f, "f32[2,3]")
		return note("refused node", ops.Reshape(x, 7))
	case 3:
		s.known = true
		return note("other module", s.input(s.other.Func(fmt.Sprintf("g%d", len(s.other.Funcs()))), "f32[2,3]"))
	case 4:
		s.known = true
		return note("other function", s.input(s.m.Func(fmt.Sprintf("g%d", len(s.m.Funcs()))), "f32[2,3]"))
	case 5:
		s.known = true
		return note("unknown size", ops.NonZero(s.input(s.f, "f32[N]")))
	case 6:
		s.known = true
		return note("constant", ops.Full(s.f, graph.F32, 0.5, 2, 3))
	}
	typ := inputs[r.IntN(len(inputs))]
	switch {
	case s.shape != "":
		typ = pick(r, "f32", "i64") + s.shape
	case s.mild:
		typ = mild[r.IntN(len(mild))]
	case r.IntN(2) == 0:
		typ = inputs[r.IntN(9)] // ordinary floats
	}
	s.known = true
	if v, ok := s.values[typ]; ok && r.IntN(2) == 0 {
		return note("again "+typ, v)
	}
	v := s.input(s.f, typ)
	s.values[typ] = v
	return note(typ, v)
}

// outside chooses a value that is no operand.
func (s *scene) outside(r *rand.Rand) graph.Value {
	defer func(known bool) { s.known = known }(s.known)
	return s.value(r)
}

func pick[T any](r *rand.Rand, xs ...T) T { return xs[r.IntN(len(xs))] }

func (s *scene) int(r *rand.Rand) int {
	if s.mild || r.IntN(3) > 0 {
		return r.IntN(5) - 1
	}
	return pick(r, -2, -3, -7, 4, 5, 8, 100, 1<<20, hugeDim, math.MaxInt, math.MinInt, math.MaxInt-1, -hugeDim, 1<<62)
}

func (s *scene) ints(r *rand.Rand) []int {
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return []int{}
	case 2:
		return make([]int, 70)
	}
	xs := make([]int, r.IntN(4))
	for i := range xs {
		xs[i] = s.int(r)
	}
	return xs
}

// any chooses what stands for a dim, a number or an operand.
func (s *scene) any(r *rand.Rand) any {
	kind := r.IntN(5)
	if s.mild && kind > 2 {
		return pick[any](r, 2, 3, 1.5, "N", nil, true)
	}
	switch kind {
	case 0:
		if s.typed {
			return s.outside(r)
		}
		return s.value(r)
	case 1, 2:
		return s.int(r)
	}
	return pick[any](r, nil, true, 1.5, float32(2), math.NaN(), math.Inf(-1), "N", "M+1", "2*N", "floordiv(N,2)", "no dim)", "", "overflow",
		"floordiv(N,0)", "unknown(u,N)", int64(3), int32(3), uint64(1)<<63, int8(3), struct{}{}, []int{1}, []any{1}, graph.F32, (*int)(nil), (*graph.Func)(nil),
		dim.Sym("N"), dim.Const(-1), dim.Mul(dim.Const(math.MaxInt64), dim.Const(2)), dim.Sub(dim.Sym("N"), dim.Sym("M")), dim.Unknown("u", dim.Const(4)))
}

// argument makes an argument of a type.
func (s *scene) argument(r *rand.Rand, t reflect.Type) reflect.Value {
	var x any
	switch reflect.Zero(t).Interface().(type) {
	case graph.Value:
		x = s.value(r)
	case int:
		x = s.int(r)
	case []int:
		x = s.ints(r)
	case bool:
		x = r.IntN(2) == 0
	case float64:
		x = pick(r, 0, 0.5, 1, 2, -1, math.NaN(), math.Inf(1), -1e308, 5e-324)
	case string:
		x = pick(r, "", "none", "tanh", "ij,jk->ik", "ij->ji", "i,i->", "...i->...", "iii->", "->", "ij,", "é->", "ij-ji", "a->b", "i->ii", "...,...->...", ",,,->", strings.Repeat("a", 300))
	case ops.PadMode:
		x = pick(r, ops.PadEdge, ops.PadReflect, ops.PadWrap, ops.PadMode(""), ops.PadMode("x"))
	case ops.IndexOption:
		x = ops.FromStart
	case ops.CumOption:
		x = pick(r, ops.Exclusive, ops.Reversed, 0, 9)
	case graph.DType:
		x = pick(r, graph.F32, graph.F64, graph.I64, graph.Bool, graph.String, graph.U8, value.I4, value.F8E4M3FN, 0, 200)
	case *graph.Func:
		s.known = true
		x = s.f
	case []graph.Dim:
		x = pick(r, nil, graph.Ints(2, 3), graph.Ints(3), graph.Ints(-1), graph.Ints(hugeDim, hugeDim), []graph.Dim{dim.Sym("N")}, graph.Ints(1, 1, 2, 3), []graph.Dim{{}})
	case ops.ConvParams:
		x = ops.ConvParams{Strides: s.ints(r), Pads: s.ints(r), Dilations: s.ints(r), Groups: s.int(r)}
		if r.IntN(2) == 0 {
			x = ops.ConvParams{}
		}
	case ops.PoolParams:
		x = ops.PoolParams{Kernel: s.ints(r), Strides: s.ints(r), Pads: s.ints(r), Dilations: s.ints(r), CeilMode: r.IntN(2) == 0, ExcludePad: r.IntN(2) == 0, Divisor: s.int(r)}
		if r.IntN(2) == 0 {
			x = ops.PoolParams{Kernel: []int{2}}
		}
	case func(*graph.Func, []graph.Value) []graph.Value:
		outside := s.outside(r)
		x = pick(r,
			func(_ *graph.Func, x []graph.Value) []graph.Value { return x },
			func(*graph.Func, []graph.Value) []graph.Value { return nil },
			func(*graph.Func, []graph.Value) []graph.Value { return []graph.Value{{}, outside} },
			func(_ *graph.Func, x []graph.Value) []graph.Value { return []graph.Value{ops.Mul(x[0], outside)} },
			nil)
	case func(*graph.Func, []graph.Value, []graph.Value, []graph.Value) []graph.Value:
		outside := s.outside(r)
		x = pick(r,
			func(_ *graph.Func, x, _, _ []graph.Value) []graph.Value { return x },
			func(_ *graph.Func, _, _, _ []graph.Value) []graph.Value { return nil },
			func(_ *graph.Func, x, _, _ []graph.Value) []graph.Value { return make([]graph.Value, len(x)) },
			func(_ *graph.Func, x, _, _ []graph.Value) []graph.Value { return append(x, outside) },
			nil)
	default:
		if t.Kind() != reflect.Interface {
			panic("TestRobust makes no arguments of type " + t.String())
		}
		x = s.any(r)
	}
	if _, noted := x.(graph.Value); !noted {
		s.used = append(s.used, fmt.Sprintf("%T(%.200s)", x, fmt.Sprint(x)))
	}
	if x == nil {
		return reflect.Zero(t)
	}
	return reflect.ValueOf(x)
}

// call calls a function with arguments and returns its results; a panic is an error.
func call(fn reflect.Value, args []reflect.Value) (outs []graph.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, v := range fn.Call(args) {
		switch v := v.Interface().(type) {
		case graph.Value:
			outs = append(outs, v)
		case []graph.Value:
			outs = append(outs, v...)
		}
	}
	return outs, nil
}

// TestRobust calls every function with what is not meant for it: nothing panics, what is refused is reported with the
// place of the call, and what is accepted compiles and runs, if only to refuse the numbers. SOAK=7 in the environment makes
// many more calls, from another seed.
func TestRobust(t *testing.T) {
	rounds := 200
	seed := uint64(1)
	if v, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		rounds, seed = 6000, uint64(v)
	}
	if testing.Short() {
		rounds = 50
	}
	for name, fn := range functions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := reflect.ValueOf(fn)
			r := rand.New(rand.NewPCG(seed, uint64(len(name))))
			accepted := 0
			for range rounds {
				s := newScene()
				if s.mild = r.IntN(2) == 0; s.mild {
					s.shape = pick(r, "", "", "[3]", "[2,3]", "[3,3,3,3]")
				}
				for i := range fn.Type().NumIn() {
					s.typed = s.typed || fn.Type().In(i) == reflect.TypeFor[graph.Value]()
				}
				var args []reflect.Value
				for i := range fn.Type().NumIn() {
					typ := fn.Type().In(i)
					if fn.Type().IsVariadic() && i == fn.Type().NumIn()-1 {
						for range r.IntN(pick(r, 1, 3, 5)) {
							args = append(args, s.argument(r, typ.Elem()))
						}
						continue
					}
					args = append(args, s.argument(r, typ))
				}
				outs, err := call(fn, args)
				if err != nil {
					t.Fatalf("%s(%s): %v", name, strings.Join(s.used, ", "), err)
				}
				if err := s.check(r, outs); err != nil {
					t.Fatalf("%s(%s): %v", name, strings.Join(s.used, ", "), err)
				}
				if s.m.Err() == nil && len(s.f.Nodes()) > 0 {
					accepted++
				}
			}
			if accepted == 0 && rounds > 1000 {
				t.Error("every call is refused: the arguments try nothing")
			}
		})
	}
}

// check says what is wrong with the results and the faults that a call has left.
func (s *scene) check(r *rand.Rand, outs []graph.Value) error {
	var ds graph.Diagnostics
	errors.As(errors.Join(s.m.Err(), s.other.Err()), &ds)
	if err := s.other.Err(); err != nil {
		var more graph.Diagnostics
		if errors.As(err, &more) && s.m.Err() != nil {
			ds = append(ds[:len(ds):len(ds)], more...)
		}
	}
	for _, d := range ds {
		if filepath.Base(d.Pos.File) != "robust_test.go" {
			return fmt.Errorf("the fault points at %s:%d: %w", d.Pos.File, d.Pos.Line, d)
		}
		if strings.Contains(d.Msg, "BUG") || strings.Contains(d.Msg, "%!") || strings.Contains(d.Msg, "panic") {
			return fmt.Errorf("the message is no user's: %w", d)
		}
	}
	refused := false
	for _, v := range outs {
		refused = refused || !v.OK()
	}
	if refused && len(ds) == 0 && s.known {
		return errors.New("it is refused without a word")
	}
	if refused || len(ds) > 0 {
		return nil
	}
	// Accepted: a module with these results compiles, gradients included, but for sizes beyond int64.
	for i, v := range outs {
		v.Func().Return(fmt.Sprintf("r%d", i), v)
	}
	if err := graph.Verify(s.m); err != nil {
		for _, fair := range []string{"is in no parameter's type", "comes from no node before", "want a result or an update"} {
			if strings.Contains(err.Error(), fair) { // what only the whole function shows
				return nil
			}
		}
		return fmt.Errorf("it is accepted and not valid: %w\n%s", err, s.m)
	}
	for i, v := range outs {
		if t, ok := v.TensorType(); ok && t.DType.IsFloat() && v.Func() == s.f {
			y := ops.Sum(v)
			var xs []graph.Value
			for _, p := range s.f.Params() {
				if p.DType().IsFloat() {
					xs = append(xs, p)
				}
			}
			for k, dx := range graph.Grad(y, xs...) {
				s.f.Return(fmt.Sprintf("d%d_%d", i, k), dx)
			}
		}
	}
	prog, err := compile.Compile(s.m)
	if err == nil {
		err = runOnce(prog, r)
	}
	if err != nil && (strings.Contains(err.Error(), "BUG") || strings.Contains(err.Error(), "panic")) {
		return fmt.Errorf("it is accepted and does not compile or run: %w\n%s", err, s.m)
	}
	return nil
}

// sizes are those of the symbols in a run; another symbol has size 2.
var sizes = map[string]int64{"N": 2, "M": 3, "C": 4, "H": 8, "W": 9}

// runOnce runs f on random feeds with small numbers, many of which are no valid index, and returns the error.
func runOnce(prog *program.Program, r *rand.Rand) (err error) {
	s, err := runtime.NewSession(prog)
	if err != nil {
		return err
	}
	env := map[string]graph.Dim{}
	for k, n := range sizes {
		env[k] = dim.Const(n)
	}
	feeds := map[string]value.Value{}
	for _, in := range prog.Funcs["f"].Inputs {
		typ, err := graph.SubstType(in.Type, env)
		if err != nil {
			return err
		}
		t, ok := typ.(graph.TensorType)
		if !ok {
			return nil // nothing computes with other types yet
		}
		shape, _ := t.ConstShape()
		n, constant := t.NumElements().Int()
		if !constant || n > 1e4 {
			return nil
		}
		e := value.NewExact(t.DType, shape)
		for i := range int(n) {
			k := r.IntN(6) - 1
			switch t.DType.Domain() {
			case value.Floats:
				e.F[i] = float64(k) / 2
			case value.Ints:
				e.I[i] = int64(k)
			case value.Uints:
				e.U[i] = uint64(k)
			case value.Bools:
				e.B[i] = k > 0
			case value.Strings:
				e.S[i] = fmt.Sprint(k)
			}
		}
		feeds[in.Name] = e.Tensor()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = s.Run(ctx, "f", feeds)
	return err
}
