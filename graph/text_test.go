package graph

import (
	"crypto"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph/value"
)

// sample is canonical text that uses all of the grammar.
const sample = `graphrun 2
module @lenet5
meta "classes" = "0,1,2"
meta "note\n" = "a \"quoted\" }{ // value"

var @fc.0.weight: f32[3,5] = init(%key: u64[2]) {
  %0 = test_random %key {shape=[3,5], stream=7} : f32[3,5]
  return value: %0
}
var @step: i64[] {trainable=false} = init(%key: u64[2]) {
  %zero = constant {value=i64[] [0]} : i64[]
  return value: %zero
}
var @lr: f64[] {optimizer_state=true, trainable=false} = init(%key: u64[2]) {
  %0 = constant {value=f64[] [0.1]} : f64[]
  return value: %0
}

func @helper(%x: f32[N], %s: seq<f32[N,2*N+1]>) {
  %0 = test_add %x, %x : f32[N]
  return twice: %0, 1: %s
}

func @train(%image: f32[N,1,28,28], %label: i64[N], %v: f32[floordiv(N+1, 2)], %o: optional<map<i64,string[]>>) {
  %0 = read {var=@fc.0.weight} : f32[3,5]
  %h, %1 = test_pair %image : f32[N,1,28,28], i64[]
  %2 = constant {value=f32[2,2] [1, 2.5, nan, -inf]} : f32[2,2]
  %3 = constant {value=string[2] ["]", "\""]} : string[2]
  %4, %5 = test_apply %h, %1 region(%c: f32[N,1,28,28], %0: i64[]) {
    %1 = test_add %c, %c : f32[N,1,28,28]
    %2 = test_apply %1 region(%0: f32[N,1,28,28]) {
      return 0: %0
    } : f32[N,1,28,28]
    return 0: %2, 1: %0
  } : f32[N,1,28,28], i64[]
  %6 = test_attrs {bool=true, dims=[2,4*N+1,floordiv(N+1, 2)], dtype=bf16, float=0.1, floats=[1.5,nan,-0,1e+30], int=-7, ints=[1,-2], string="a\"}\n", symbol=@w.0, tensor=f32[] [1.5], type=token} : token
  test_apply region() {
  }
  %7, %8 = call %v, %9 {func=@helper, results=2} : f32[floordiv(N+1, 2)], seq<f32[floordiv(N+1, 2),2*floordiv(N+1, 2)+1]>
  %10 = test_add %2, %2 : f32[2,2]
  update @fc.0.weight = %0
  update @step = %5
  return loss: %4, n: %5
}

func @last(%k: token) {
  return k: %k
}
`

// canonical is sample with what its layout needs: the operand of the call comes from a parameter.
var canonical = strings.NewReplacer(
	"%o: optional<", "%s: seq<f32[floordiv(N+1, 2),2*floordiv(N+1, 2)+1]>, %o: optional<", "%v, %9 ", "%v, %s ", "%10 =", "%9 =",
).Replace(sample)

func mustParse(t testing.TB, text string) *Module {
	t.Helper()
	m, err := Parse("x.graph", []byte(text), ParseOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

func located(t testing.TB, m *Module) string {
	t.Helper()
	var b strings.Builder
	if err := Print(&b, m, PrintOptions{Locations: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrintInvertsParse(t *testing.T) {
	m := mustParse(t, canonical)
	if d := cmp.Diff(canonical, m.String()); d != "" {
		t.Errorf("-text +printed:\n%s", d)
	}
	text := located(t, m)
	again := mustParse(t, text)
	if d := cmp.Diff(text, located(t, again)); d != "" {
		t.Errorf("with locations, -first +second:\n%s", d)
	}
	if d := cmp.Diff(canonical, again.Clone().String()); d != "" {
		t.Errorf("-text +printed from locations, parsed and cloned:\n%s", d)
	}
	if got := again.NextStream(); got != 8 {
		t.Errorf("the next stream is %d, want one above those of the text: 8", got)
	}
	f := again.LookupFunc("train")
	if r := again.LookupVariable("fc.0.weight").Read(f); r.Node() != f.Nodes()[0] {
		t.Error("a read of a variable that the text reads makes another node")
	}
}

func TestPrintInvertsParseOfDeclaredModule(t *testing.T) {
	m := NewModule("m")
	m.SetMeta("k", "v")
	m.Variable("w", F32, []int{2}, func(f *Func, key Value) Value {
		return f.Emit(testRandom, []Value{key}, Attrs{{"shape", Ints(2)}, {"stream", m.NextStream()}})[0]
	}, NotTrainable())
	f := m.Func("f")
	x := f.Input("x", F32, "N", 2)
	m.At(Pos{File: "some/where/model.go", Line: 12}, "features", func() {
		m.At(Pos{}, "0", func() {
			r := f.Region("body", []Type{x.Type()}, func(r *Func, in []Value) []Value {
				return []Value{r.Emit(testAdd, []Value{in[0], x}, nil)[0]}
			})
			out := f.Emit(testApply, append([]Value{x}, UnifyCaptures(r)...), nil, r)
			f.Return("y", out[0].Named("y"))
		})
	})
	f.nodes[0].regions[0].params[1].pos = Pos{}
	f.Update(m.LookupVariable("w"), m.LookupVariable("w").Read(f))
	if err := Verify(m); err != nil {
		t.Fatal(err)
	}
	text := located(t, m)
	if d := cmp.Diff(text, located(t, mustParse(t, text))); d != "" {
		t.Error(d)
	}
	want := `  %y, %0 = test_apply %x, %x region(%0: f32[N,2], %1: f32[N,2] loc(unknown, "features.0")) {
    %2 = test_add %0, %1 : f32[N,2] loc("model.go":12, "features.0")
    return 0: %2
  } : f32[N,2], f32[N,2] loc("model.go":12, "features.0")
`
	if !strings.Contains(text, want) {
		t.Errorf("want in the text:\n%s\nhave\n%s", want, text)
	}
	if got, want := f.Nodes()[0].String(), "%y, %0 = test_apply %x, %x region(...) : f32[N,2], f32[N,2]"; got != want {
		t.Errorf("Node.String: want %s, have %s", want, got)
	}
	if got := f.String(); !strings.HasPrefix(got, "func @f(%x: f32[N,2]) {\n") || !strings.HasSuffix(got, "\n}\n") {
		t.Errorf("Func.String: %s", got)
	}
}

// Layout, numbers, comments, types and defaults are free.
func TestParseFreeForm(t *testing.T) {
	m := mustParse(t, "// a comment\r\ngraphrun 2 // one\n\nmodule @m\n"+`
func @f( // parameters may stand on lines of their own
    %x: f32[ N , 1+N ],
    %y.1: i64[]
) {

  %a = test_add %x,%x
	  %12,%z=test_pair  %a// no space
  %13 = test_attrs {type=f32[N]}
  return %12, second: %z }
func @g(%x: token) { return %x }
`)
	want := `graphrun 2
module @m

func @f(%x: f32[N,N+1], %y.1: i64[]) {
  %a = test_add %x, %x : f32[N,N+1]
  %0, %z = test_pair %a : f32[N,N+1], i64[]
  %1 = test_attrs {bool=true, dims=[2,3], dtype=bf16, float=0.1, floats=[], int=-7, ints=[1,-2], string="a\"}\n", symbol=@w.0, tensor=f32[] [1.5], type=f32[N]} : f32[N]
  return 0: %0, second: %z
}

func @g(%x: token) {
  return 0: %x
}
`
	if d := cmp.Diff(want, m.String()); d != "" {
		t.Error(d)
	}
}

func TestFloatText(t *testing.T) {
	for _, x := range []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e6, 1234567, 1e7, 1e22, math.MaxFloat64, 5e-324, math.Pi,
		math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7ff8000000000000),
		math.Float64frombits(0xfff8000000000001), math.Float64frombits(0x7ff0000000000001),
	} {
		s := formatFloat(x)
		y, err := parseFloat(s)
		if err != nil || !sameBits(x, y) {
			t.Errorf("%x: %s reads back as %x, %v", math.Float64bits(x), s, math.Float64bits(y), err)
		}
	}
	for _, s := range []string{"", "nan:0x0", "nan:0x7ff0000000000000", "nan:0x17ff8000000000000", "1e999", "1.0.0"} {
		if x, err := parseFloat(s); err == nil {
			t.Errorf("%q reads as %v, want an error", s, x)
		}
	}
}

func constantModule(t *testing.T, x *value.Tensor) *Module {
	m := NewModule("m")
	f := m.Func("f")
	f.Return("c", f.Const(x))
	if err := Verify(m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConstantText(t *testing.T) {
	for _, dt := range value.DTypes() {
		for _, n := range []int{0, 1, 3, maxInline, maxInline + 1, 1000} {
			var x *value.Tensor
			var err error
			if dt == String {
				x, err = value.New(dt, n)
				for i := range x.Strings() {
					x.Strings()[i] = strconv.Itoa(i) + "\"\xff]"
				}
			} else {
				size, _ := value.SizeBytes(dt, n)
				data := make([]byte, size)
				for i := range data {
					if data[i] = byte(i * 41); dt == Bool {
						data[i] &= 1
					}
				}
				x, err = value.FromBytes(dt, data, n)
			}
			if err != nil {
				t.Fatal(err)
			}
			text := constantModule(t, x).String()
			y, _ := mustParse(t, text).Funcs()[0].Results()[0].Value.Constant()
			if !x.Equal(y) {
				t.Errorf("%v[%d] does not survive the text", dt, n)
			}
			if long := strings.Contains(text, "base64"); long != (n > maxInline && dt != String) {
				t.Errorf("%v[%d]: base64 is %v", dt, n, long)
			}
		}
	}
}

func TestExternalConstant(t *testing.T) {
	x, err := value.New(F32, 20, 5)
	if err != nil {
		t.Fatal(err)
	}
	x.Bytes()[8] = 3
	m := constantModule(t, x)
	store := map[string]*value.Tensor{}
	var b strings.Builder
	err = Print(&b, m, PrintOptions{External: func(name string, t *value.Tensor) bool { store[name] = t; return true }})
	if err != nil || len(store) != 1 {
		t.Fatalf("stored %d tensors, error %v", len(store), err)
	}
	text := b.String()
	lookup := func(name, _ string, _ TensorType) (*value.Tensor, error) {
		if store[name] == nil {
			return nil, errors.New("not there")
		}
		return store[name], nil
	}
	back, err := Parse("x.graph", []byte(text), ParseOptions{External: lookup})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m.String(), back.String()); d != "" {
		t.Error(d)
	}
	other := x.Clone()
	other.Bytes()[0] = 1
	flat, _ := x.Reshape(100)
	for name, c := range map[string]struct {
		get  func(name, sum string, t TensorType) (*value.Tensor, error)
		want string
	}{
		"no store": {nil, "stored outside the text"},
		"error":    {func(string, string, TensorType) (*value.Tensor, error) { return nil, errors.New("gone") }, "gone"},
		"nil":      {func(string, string, TensorType) (*value.Tensor, error) { return nil, nil }, "no such tensor"},
		"contents": {func(string, string, TensorType) (*value.Tensor, error) { return other, nil }, "want sha256"},
		"shape":    {func(string, string, TensorType) (*value.Tensor, error) { return flat, nil }, "want f32[20,5], have f32[100]"},
	} {
		_, err := Parse("x.graph", []byte(text), ParseOptions{External: c.get})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.graph:5: constant: ") {
			t.Errorf("%s: want an error with %q, have %v", name, c.want, err)
		}
	}
}

func TestParseType(t *testing.T) {
	for _, s := range []string{
		"f64[2,3]", "f32[]", "bool[N]", "f4e2m1[4*N+1]", "seq<f32[N]>", "optional<seq<token>>", "map<i64,f32[]>",
		"map<string,optional<string[0]>>", "i64[unknown(nz, N)]", "f32[floordiv(H+1, 2),max(3, H)]",
	} {
		typ, err := ParseType(s)
		if err != nil || typ.String() != s {
			t.Errorf("%s: have %v, %v", s, typ, err)
		}
	}
	for s, want := range map[string]string{
		"":                         "want a type",
		"f33[2]":                   "unknown dtype",
		"f32":                      "want '['",
		"f32[2":                    "no ']'",
		"f32[2,]":                  "axis 1",
		"f32[-1]":                  "axis 0",
		"f32[N-1,0-4]":             "axis 1: a dim is not negative",
		"f32[2] x":                 "want the end",
		"f32[2]\n":                 "want the end",
		"map<f32,f32[]>":           "keys",
		"invalid":                  "unknown dtype",
		"f32[overflow]":            "too large",
		"seq<>":                    "want a type",
		"f32[2]\x00":               "want the end",
		"f32[)]":                   "axis 0",
		"f32[9223372036854775808]": "axis 0",
		strings.Repeat("seq<", 200) + "token" + strings.Repeat(">", 200): "nested",
		"f32[" + strings.Repeat("1,", 1000) + "1]":                       "more than 256",
	} {
		if typ, err := ParseType(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, have %v, %v", s, want, typ, err)
		}
	}
}

var errorMark = regexp.MustCompile(`// ERROR (".*")`)

// TestParseFaults reads texts with a fault on each line that is marked, and on no other.
func TestParseFaults(t *testing.T) {
	data, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range strings.Split(string(data), "\n----\n") {
		title, text, _ := strings.Cut(text, "\n")
		t.Run(strings.TrimPrefix(title, "// "), func(t *testing.T) {
			_, err := Parse("x.graph", []byte(text), ParseOptions{})
			var faults Diagnostics
			if err != nil && !errors.As(err, &faults) {
				t.Fatalf("text %d: the error is a %T", i, err)
			}
			have := map[int]string{}
			for _, f := range faults {
				if have[f.Pos.Line] != "" {
					have[f.Pos.Line] += "; "
				}
				have[f.Pos.Line] += f.Error()
			}
			for n, line := range strings.Split(text, "\n") {
				n++
				if mark := errorMark.FindStringSubmatch(line); mark != nil {
					want, err := strconv.Unquote(mark[1])
					if err != nil {
						t.Fatal(err)
					}
					if !strings.Contains(have[n], want) || strings.Contains(have[n], "; ") {
						t.Errorf("line %d: %s\nwant one fault with %q, have %q", n, line, want, have[n])
					}
					delete(have, n)
				}
			}
			for n, msg := range have {
				t.Errorf("line %d: unexpected %s", n, msg)
			}
		})
	}
}

// Texts that end anywhere are faulty or shorter, and Parse says so without a panic.
func TestParseTruncated(t *testing.T) {
	for i := range canonical {
		m, err := Parse("x.graph", []byte(canonical[:i]), ParseOptions{})
		if err == nil {
			mustParse(t, m.String())
		}
	}
}

// Short texts that ask for much get an error and not the memory.
func TestParseHostile(t *testing.T) {
	const head = "graphrun 2\nmodule @m\n"
	deep := func(n int) string {
		return head + "func @f(%x: token) {\n" +
			strings.Repeat("%0 = test_apply %x region(%x: token) {\n", n) + strings.Repeat("return %x\n} : token\n", n) + "return %x\n}\n"
	}
	mustParse(t, deep(99))
	for name, text := range map[string]string{
		"deep regions":  deep(100000),
		"open regions":  head + "func @f(%x: token) {\n" + strings.Repeat("%0 = test_apply %x region(%x: token) {", 100000),
		"braces":        head + "func @f(%x: token) {\n" + strings.Repeat("{", 1<<20),
		"deep types":    head + "func @f(%x: " + strings.Repeat("seq<", 1<<18),
		"big zeros":     head + "func @f() {\n%0 = constant {value=f32[1000000,1000000] []}\nreturn %0\n}\n",
		"big base64":    head + "func @f() {\n%0 = constant {value=f32[1000000,1000000] base64 \"\"}\nreturn %0\n}\n",
		"big string":    head + "func @f() {\n%0 = constant {value=string[1000000000] [\"\"]}\nreturn %0\n}\n",
		"many results":  head + "func @f() {\n%0 = call {func=@g, results=65536}\n" + strings.Repeat("%1 = call {func=@g, results=65536}\n", 1000) + "}\n",
		"many faults":   head + "func @f() {\n" + strings.Repeat("%0 = nothing\n", 100000) + "}\n",
		"stray lines":   head + strings.Repeat("}\n", 100000),
		"stray braces":  head + strings.Repeat("}", 100000),
		"many results2": head + "func @f(%x: token) {\nreturn " + strings.Repeat("%x, ", 100000) + "%x, 0: %x\n}\n",
		"quotes":        head + strings.Repeat("meta \"\n", 100000),
		"quotes2":       head + "func @f() {\n" + strings.Repeat("$\"", 100000),
		"stream":        head + "func @f(%k: u64[2]) {\n%0 = test_random %k {shape=[], stream=9223372036854775807}\nreturn %0\n}\n",
		"zero bytes":    head + "\x00",
		"no name":       head + "func @f(%" + strings.Repeat("x", 1<<20) + ": token) {\nreturn %x\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse("x.graph", []byte(text), ParseOptions{})
			runtime.ReadMemStats(&after)
			var faults Diagnostics
			if !errors.As(err, &faults) {
				t.Fatalf("want faults, have %v", err)
			}
			if len(faults) > maxFaults+1 {
				t.Errorf("%d faults", len(faults))
			}
			if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(20<<20+100*len(text)); got > limit {
				t.Errorf("%d bytes of text take %d bytes, want at most %d\n%.200v", len(text), got, limit, err)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"":                         `x.graph:1: want "graphrun 2", the format's name and version, have the end of the text`,
		"module @m":                `x.graph:1: want "graphrun 2", the format's name and version, have "module"`,
		"graphrun 3\nmodule @m":    "x.graph:1: the text has format version 3, this program reads versions up to 2: a newer graphrun is needed",
		"graphrun 0\nmodule @m":    `x.graph:1: want a format version from 1 to 2, have "0"`,
		"graphrun 2 2\nmodule @m":  `x.graph:1: want the end of the line, have "2"`,
		"\ngraphrun 2\n\nmodul @m": `x.graph:4: want "module", have "modul"`,
	} {
		_, err := Parse("x.graph", []byte(text), ParseOptions{})
		if err == nil || err.Error() != want {
			t.Errorf("%q:\nwant %s\nhave %v", text, want, err)
		}
	}
}

// In a text of version 1, what is an optimizer's state follows from what the functions do.
func TestParseMarksOptimizerState(t *testing.T) {
	declare := func(b *strings.Builder, name, attrs string) {
		fmt.Fprintf(b, "var @%s: f32[]%s = init(%%key: u64[2]) {\n  %%0 = constant {value=f32[] [1]} : f32[]\n  return value: %%0\n}\n", name, attrs)
	}
	// The kinds of variables: moment, its own moment, rate and counter are a step's; frozen is used by a result, called by a result of a
	// callee, mean is a running statistic, ema follows the weight, key makes draws that the loss depends on; idle is nobody's.
	const functions = `
func @helper() {
  %0 = read {var=@called} : f32[]
  return y: %0
}
func @other() {
  %0 = read {var=@counter} : f32[]
  %1 = test_add %0, %0 : f32[]
  update @counter = %1
}
func @train(%x: f32[]) {
  %w = read {var=@w} : f32[]
  %key = read {var=@key} : f32[]
  %frozen = read {var=@frozen} : f32[]
  %c = call {func=@helper, results=1} : f32[]
  %0 = test_add %w, %key : f32[]
  %1 = test_add %0, %frozen : f32[]
  %loss = test_add %1, %c : f32[]
  %moment = read {var=@moment} : f32[]
  %deep = read {var=@deep} : f32[]
  %rate = read {var=@rate} : f32[]
  %2 = test_add %moment, %deep : f32[]
  %3 = test_add %rate, %loss : f32[]
  %4 = test_add %moment, %3 : f32[]
  %mean = read {var=@mean} : f32[]
  %5 = test_add %mean, %x : f32[]
  %ema = read {var=@ema} : f32[]
  %6 = test_add %ema, %4 : f32[]
  %counter = read {var=@counter} : f32[]
  %7 = test_add %deep, %counter : f32[]
  update @w = %4
  update @moment = %2
  update @deep = %7
  update @mean = %5
  update @ema = %6
  update @key = %0
  return loss: %loss
}
`
	text := func(version int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "graphrun %d\nmodule @m\n", version)
		declare(&b, "w", "")
		for _, name := range []string{"moment", "deep", "rate", "counter", "frozen", "called", "mean", "ema", "key", "idle"} {
			declare(&b, name, " {trainable=false}")
		}
		return b.String() + functions
	}
	state := func(m *Module) (names []string) {
		for _, v := range m.Variables() {
			if v.IsOptimizerState() {
				names = append(names, v.Name())
			}
		}
		return names
	}
	want := []string{"moment", "deep", "rate", "counter"}
	old := mustParse(t, text(1))
	if d := cmp.Diff(want, state(old)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, state(mustParse(t, old.String()))); d != "" {
		t.Errorf("printed and parsed: %s", d)
	}
	if d := cmp.Diff(want, state(old.Clone())); d != "" {
		t.Errorf("cloned: %s", d)
	}
	if have := state(mustParse(t, text(2))); have != nil {
		t.Errorf("a text of version 2 says so itself, have %v", have)
	}
}

func TestParseVariableAttributes(t *testing.T) {
	for attrs, want := range map[string]string{
		"{}":                      "want an attribute, have '}'",
		"{trainable=true}":        "",
		"{optimizer_state=false}": "",
		"{optimizer_state=true}":  "",
		"{trainable=false, optimizer_state=true}": "",
		"{optimizer_state=true, trainable=true}":  "@w: the state of an optimizer is not trainable",
		"{trainable=true, trainable=true}":        "@w: trainable is given twice",
		"{frozen=true}":                           `@w: there is no attribute "frozen": want optimizer_state or trainable`,
		"{optimizer_state=1}":                     `want true or false, have "1"`,
		"{trainable=true optimizer_state=true}":   "want '}', have \"optimizer_state\"",
	} {
		text := "graphrun 2\nmodule @m\nvar @w: f32[] " + attrs + " = init(%key: u64[2]) {\n  %0 = constant {value=f32[] [1]} : f32[]\n  return value: %0\n}\n"
		m, err := Parse("x.graph", []byte(text), ParseOptions{})
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q, have %v", attrs, want, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", attrs, err)
		} else if v := m.Variables()[0]; v.Trainable() != (attrs == "{trainable=true}" || attrs == "{optimizer_state=false}") {
			t.Errorf("%s: trainable is %v", attrs, v.Trainable())
		}
	}
	old := "graphrun 1\nmodule @m\nvar @w: f32[] {optimizer_state=true} = init(%key: u64[2]) {\n  %0 = constant {value=f32[] [1]} : f32[]\n  return value: %0\n}\n"
	if _, err := Parse("x.graph", []byte(old), ParseOptions{}); err == nil || !strings.Contains(err.Error(), "optimizer_state comes with format version 2, the text has version 1") {
		t.Errorf("have %v", err)
	}
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, fmt.Errorf("disk full")
	}
	return len(b), nil
}

func TestPrintReportsWriteErrors(t *testing.T) {
	x, err := value.New(F32, 100000)
	if err != nil {
		t.Fatal(err)
	}
	if err := Print(&failingWriter{left: 5000}, constantModule(t, x), PrintOptions{}); err == nil {
		t.Error("a failed write goes unreported")
	}
}

// FuzzParse checks that no text makes Parse panic, and that what it accepts is valid and prints as a text
// that reads back as itself.
func FuzzParse(f *testing.F) {
	f.Add(canonical)
	f.Add(located(f, mustParse(f, canonical)))
	faults, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range strings.Split(string(faults), "\n----\n") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("x.graph", []byte(text), ParseOptions{})
		if err != nil {
			return
		}
		if err := Verify(m); err != nil {
			t.Fatalf("accepted, but not valid: %v", err)
		}
		for _, print := range []func() string{m.String, func() string { return located(t, m) }} {
			first := print()
			if m, err = Parse("y.graph", []byte(first), ParseOptions{}); err != nil {
				t.Fatalf("the printed text is refused: %v\n%s", err, first)
			}
			if d := cmp.Diff(first, print()); d != "" {
				t.Fatalf("-first +second:\n%s", d)
			}
		}
		c := m.Clone()
		if d := cmp.Diff(m.String(), c.String()); d != "" {
			t.Fatalf("-module +clone:\n%s", d)
		}
	})
}

// TestExternalConstantWithoutChecksum is what happens in a program that does not link crypto/sha256: texts hold their constants, and one
// that does not says what to import.
func TestExternalConstantWithoutChecksum(t *testing.T) {
	m := NewModule("m")
	f := m.Func("f")
	big, err := value.New(F32, 100)
	if err != nil {
		t.Fatal(err)
	}
	f.Return("y", f.Const(big))
	store := map[string]*value.Tensor{}
	opt := PrintOptions{External: func(name string, t *value.Tensor) bool { store[name] = t; return true }}
	var outside, inside strings.Builder
	if err := Print(&outside, m, opt); err != nil {
		t.Fatal(err)
	}
	defer func() { checksum = crypto.SHA256 }()
	checksum = crypto.MD4 // which nothing here links
	if err := Print(&inside, m, opt); err != nil || strings.Contains(inside.String(), "external") {
		t.Errorf("%v:\n%s", err, inside.String())
	}
	if back, err := Parse("x.graph", []byte(inside.String()), ParseOptions{}); err != nil || back.String() != m.String() {
		t.Errorf("the text that holds its constant comes back as %v, %v", back, err)
	}
	lookup := func(name, _ string, _ TensorType) (*value.Tensor, error) { return store[name], nil }
	_, err = Parse("x.graph", []byte(outside.String()), ParseOptions{External: lookup})
	if err == nil || !strings.Contains(err.Error(), `its checksum needs crypto/sha256, which this program does not link: import _ "crypto/sha256"`) {
		t.Errorf("a constant outside the text: %v", err)
	}
}
