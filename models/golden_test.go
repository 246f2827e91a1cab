// Package models_test holds the models' packages against PyTorch.
package models_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/sbinet/npyio"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestGolden runs the cases that PyTorch computed, from the folder named by GRAPHRUN_GOLDEN: inputs, parameters and
// attributes go through the public API, and every result, gradient and state must be within the case's tolerance. A
// case whose operation has no builder is skipped and counted.
func TestGolden(t *testing.T) { eachGolden(t, (*golden).check) }

// TestGoldenFrozen runs the cases of TestGolden with their parameters frozen: the same tolerances hold.
func TestGoldenFrozen(t *testing.T) { eachGolden(t, (*golden).checkFrozen) }

func eachGolden(t *testing.T, check func(c *golden, t *testing.T, run builder)) {
	t.Helper()
	dir := os.Getenv("GRAPHRUN_GOLDEN")
	if dir == "" {
		t.Skip("GRAPHRUN_GOLDEN is not set: PyTorch's reference values are not compared")
	}
	families, err := filepath.Glob(filepath.Join(dir, "*", "cases.json"))
	if err != nil || len(families) == 0 {
		t.Fatalf("no cases in %s (%v)", dir, err)
	}
	tally := map[string]int{}
	byFamily := map[string][3]int{}
	missing := map[string]int{}
	for _, file := range families {
		cases, err := loadFamily(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			counts := byFamily[c.family]
			skipped := false
			ok := t.Run(c.family+"/"+c.Name, func(t *testing.T) {
				defer func() { skipped = t.Skipped() }()
				run := builders[c.Op]
				if run == nil {
					t.Skipf("nothing builds %s", c.Op)
				}
				check(c, t, run)
			})
			switch {
			case !ok:
				tally["failed"]++
				counts[1]++
			case skipped:
				missing[c.Op]++
				tally["skipped"]++
				counts[2]++
			default:
				tally["passed"]++
				counts[0]++
			}
			byFamily[c.family] = counts
		}
	}
	var report strings.Builder
	fmt.Fprintf(&report, "golden: %d passed, %d failed, %d skipped\n", tally["passed"], tally["failed"], tally["skipped"])
	for _, name := range sortedKeys(byFamily) {
		n := byFamily[name]
		fmt.Fprintf(&report, "golden:   %-14s %3d passed, %d failed, %d skipped\n", name, n[0], n[1], n[2])
	}
	if len(missing) > 0 {
		fmt.Fprintf(&report, "golden: skipped operations: %s\n", strings.Join(sortedKeys(missing), ", "))
	}
	fmt.Print(report.String())
	t.Log("\n" + report.String())
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// golden is one case.
type golden struct {
	Name  string         `json:"name"`
	Op    string         `json:"op"`
	DType string         `json:"dtype"`
	Attrs map[string]any `json:"attrs"` // which are read through attrs
	Notes string         `json:"notes"`
	RTol  float64        `json:"rtol"`
	ATol  float64        `json:"atol"`

	*attrs
	family string
	roles  map[string]map[string]*value.Tensor
}

// roleNames are the fields of a case that map names to arrays.
var roleNames = []string{
	"inputs", "params", "const", "buffers", "outputs", "cotangents", "grads", "after", "directions", "gradgrads", "state", "first_grads", "printed", "demo",
}

func loadFamily(dir string) ([]*golden, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Family string            `json:"family"`
		Cases  []json.RawMessage `json:"cases"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	z, err := zip.OpenReader(filepath.Join(dir, "arrays.npz"))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	cases := make([]*golden, len(file.Cases))
	for i, raw := range file.Cases {
		c := &golden{family: file.Family, roles: map[string]map[string]*value.Tensor{}}
		if err := json.Unmarshal(raw, c); err != nil {
			return nil, err
		}
		c.attrs = newAttrs(c.Attrs)
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		for _, role := range roleNames {
			var keys map[string]string
			if fields[role] == nil || json.Unmarshal(fields[role], &keys) != nil {
				continue
			}
			c.roles[role] = map[string]*value.Tensor{}
			for name, key := range keys {
				if c.roles[role][name], err = readArray(z, key); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", c.Name, key, err)
				}
			}
		}
		cases[i] = c
	}
	return cases, nil
}

var npyTypes = map[string]graph.DType{
	"<f8": graph.F64, "<f4": graph.F32, "<f2": graph.F16, "<i8": graph.I64, "<i4": graph.I32, "<i2": graph.I16, "|i1": graph.I8, "|u1": graph.U8,
}

func readArray(z *zip.ReadCloser, key string) (*value.Tensor, error) {
	f, err := z.Open(key + ".npy")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	r, err := npyio.NewReader(bytes.NewReader(all))
	if err != nil {
		return nil, err
	}
	d := r.Header.Descr
	dt, ok := npyTypes[d.Type]
	if !ok || d.Fortran {
		return nil, fmt.Errorf("unexpected array type %q", d.Type)
	}
	size, err := value.SizeBytes(dt, d.Shape...)
	if err != nil {
		return nil, err
	}
	return value.FromBytes(dt, all[len(all)-size:], d.Shape...)
}

// attrs are the attributes of a case, or those of an object among them. They remember what was asked of them: one that no
// builder read, or read as something else than it is, is a failure of the case.
type attrs struct {
	values map[string]any
	read   map[string]bool
	parts  map[string]*attrs // objects, with a memory of their own
	wrong  []string
}

func newAttrs(values map[string]any) *attrs {
	return &attrs{values: values, read: map[string]bool{}, parts: map[string]*attrs{}}
}

// any returns an attribute as JSON has it; nil for null and for none.
func (a *attrs) any(name string) any {
	a.read[name] = true
	return a.values[name]
}

// null reports whether an attribute is given as null.
func (a *attrs) null(name string) bool {
	x, given := a.values[name]
	return given && x == nil && a.any(name) == nil
}

func (a *attrs) has(name string) bool { return a.any(name) != nil }

// as returns an attribute of a kind, and whether it is there.
func as[T any](a *attrs, name string) (T, bool) {
	x, ok := a.any(name).(T)
	if !ok && a.values[name] != nil {
		a.wrong = append(a.wrong, fmt.Sprintf("the attribute %s: want %T, have %v", name, x, a.values[name]))
	}
	return x, ok
}

func (a *attrs) num(name string, def float64) float64 {
	if x, ok := as[float64](a, name); ok {
		return x
	}
	return def
}

func (a *attrs) int(name string, def int) int {
	x := a.num(name, float64(def))
	if x != float64(int(x)) {
		a.wrong = append(a.wrong, fmt.Sprintf("the attribute %s: want an integer, have %v", name, x))
	}
	return int(x)
}

func (a *attrs) flag(name string, def bool) bool {
	if x, ok := as[bool](a, name); ok {
		return x
	}
	return def
}

func (a *attrs) str(name string) string { s, _ := as[string](a, name); return s }

// ints returns an attribute that is a number or a list of numbers, where null reads as 0; nil if there is none.
func (a *attrs) ints(name string) []int {
	if x, ok := a.any(name).(float64); ok {
		return []int{int(x)}
	}
	list, ok := as[[]any](a, name)
	if !ok {
		return nil
	}
	out := make([]int, len(list))
	for i, v := range list {
		f, _ := v.(float64)
		out[i] = int(f)
	}
	return out
}

// floats returns an attribute that is a list of numbers.
func (a *attrs) floats(name string) []float64 {
	list, _ := as[[]any](a, name)
	out := make([]float64, len(list))
	for i, v := range list {
		out[i], _ = v.(float64)
	}
	return out
}

// object returns the attributes of an attribute, nil if there is none.
func (a *attrs) object(name string) *attrs {
	if a.parts[name] == nil {
		if values, ok := as[map[string]any](a, name); ok {
			a.parts[name] = newAttrs(values)
		}
	}
	return a.parts[name]
}

// faults returns what no builder read, and what was read wrongly.
func (a *attrs) faults() []string {
	list := slices.Clone(a.wrong)
	for _, name := range sortedKeys(a.values) {
		if !a.read[name] {
			list = append(list, fmt.Sprintf("nobody read the attribute %s (%v)", name, a.values[name]))
		}
	}
	for _, name := range sortedKeys(a.parts) {
		for _, fault := range a.parts[name].faults() {
			list = append(list, name+": "+fault)
		}
	}
	return list
}

// build is a case under construction: a module with one function "f" whose inputs are fed with the case's arrays.
type build struct {
	*golden
	t     *testing.T
	m     *graph.Module
	f     *graph.Func
	in    map[string]graph.Value
	feeds map[string]value.Value
	vars  map[string]*value.Tensor // variables set before the run
	want  map[string]*value.Tensor // results by name
	state map[string]*value.Tensor // variables after the run

	frozen bool                   // parameters and buffers are variables, which are frozen, and constants are constants
	read   map[*value.Tensor]bool // results that something was compared with
}

// wantAllRead reports attributes and results of the case that nothing depended on.
func (b *build) wantAllRead() {
	for _, fault := range b.faults() {
		b.t.Error(fault)
	}
	for _, role := range []string{"outputs", "grads", "after", "gradgrads", "state", "first_grads", "printed", "demo"} {
		for _, name := range sortedKeys(b.roles[role]) {
			if !b.read[b.roles[role][name]] {
				b.t.Errorf("nothing was compared with %s of the %s", name, role)
			}
		}
	}
}

// values is what a builder returns: the outputs by name.
type values map[string]graph.Value

// builder declares an operation on the case's arrays. One that checks everything itself returns nil.
type builder func(b *build) values

// input declares a parameter of f that is fed with an array.
func (b *build) input(name string, t *value.Tensor) graph.Value {
	b.t.Helper()
	if t == nil {
		b.t.Fatalf("the case has no array for %s", name)
	}
	if v, ok := b.in[name]; ok {
		return v
	}
	dims := make([]any, t.Rank())
	for i, d := range t.Shape() {
		dims[i] = d
	}
	v := b.f.Input(strings.ReplaceAll(name, "/", "_"), t.DType(), dims...)
	b.in[name] = v
	b.feeds[name] = t
	return v
}

// variable declares a variable that has an array's value.
func (b *build) variable(name string, t *value.Tensor) graph.Value {
	v := b.m.Variable(strings.ReplaceAll(name, "/", "_"), t.DType(), t.Shape(), initializer.FromTensor(t).For(t.DType(), t.Shape()...))
	b.vars[v.Name()] = t
	b.in[name] = v.Read(b.f)
	return b.in[name]
}

// x returns an input, parameter or constant of the case by name, as a parameter of f.
func (b *build) x(name string) graph.Value {
	b.t.Helper()
	if v, ok := b.in[name]; ok {
		return v
	}
	for _, role := range []string{"inputs", "params", "const", "buffers"} {
		if t := b.roles[role][name]; t != nil {
			switch {
			case b.frozen && role == "const":
				b.in[name] = b.f.Const(t)
				return b.in[name]
			case b.frozen && role != "inputs":
				return b.variable(name, t)
			}
			return b.input(name, t)
		}
	}
	b.t.Fatalf("the case has no array %q", name)
	return graph.Value{}
}

// given reports whether the case has an array of the name.
func (b *build) given(role, name string) bool { return b.roles[role][name] != nil }

// check builds a case, runs it and compares.
func (c *golden) check(t *testing.T, run builder) { c.checkAs(t, run, false) }

// checkFrozen is check with frozen parameters, of a case that has any.
func (c *golden) checkFrozen(t *testing.T, run builder) {
	if len(c.roles["params"])+len(c.roles["const"])+len(c.roles["buffers"]) == 0 {
		t.SkipNow()
	}
	c.checkAs(t, run, true)
}

func (c *golden) checkAs(t *testing.T, run builder, frozen bool) {
	t.Helper()
	m := graph.NewModule("golden")
	b := &build{
		golden: c, t: t, m: m, f: m.Func("f"), in: map[string]graph.Value{}, feeds: map[string]value.Value{},
		vars: map[string]*value.Tensor{}, want: map[string]*value.Tensor{}, state: map[string]*value.Tensor{},
		frozen: frozen, read: map[*value.Tensor]bool{},
	}
	defer func() {
		if !t.Failed() && !t.Skipped() {
			b.wantAllRead()
		}
	}()
	outs := run(b)
	if outs == nil {
		return
	}
	// layers declare variables; they take the case's parameters and buffers
	for _, role := range []string{"params", "buffers"} {
		for name, array := range c.roles[role] {
			if m.LookupVariable(name) != nil {
				b.vars[name] = array
			}
		}
	}
	for name, array := range c.roles["after"] {
		if m.LookupVariable(name) != nil {
			b.state[name] = array
		}
	}
	for _, name := range sortedKeys(c.roles["outputs"]) {
		if _, ok := outs[name]; !ok && name != "s" {
			t.Errorf("the builder has no output %q", name)
		}
	}
	for _, name := range sortedKeys(outs) {
		b.ret("out_"+name, outs[name], c.roles["outputs"][name])
	}
	if len(c.roles["cotangents"]) > 0 {
		b.gradients(outs)
	}
	b.runAndCompare()
}

// ret makes v a result of f that must equal an array; nil for one that is not compared.
func (b *build) ret(name string, v graph.Value, want *value.Tensor) {
	b.f.Return(name, v)
	if want != nil {
		b.want[name] = want
		b.read[want] = true
	}
}

// objective returns the sum over outputs of sum(output*cotangent), where cotangents are inputs.
func (b *build) objective(outs values) graph.Value {
	var s graph.Value
	for _, name := range sortedKeys(b.roles["cotangents"]) {
		term := ops.Mul(outs[name], b.input("cotangent_"+name, b.roles["cotangents"][name]))
		term = ops.ReduceSum(term, nil, false)
		if s.Valid() {
			term = ops.Add(s, term)
		}
		s = term
	}
	return s
}

// wrt returns the value that a gradient's name stands for: an input or a variable of the module.
func (b *build) wrt(name string) graph.Value {
	b.t.Helper()
	if v, ok := b.in[name]; ok {
		return v
	}
	if v := b.m.LookupVariable(name); v != nil {
		return v.Read(b.f)
	}
	b.t.Fatalf("nothing is called %q", name)
	return graph.Value{}
}

// gradients adds the gradients of the objective, and of the second order where the case has directions.
func (b *build) gradients(outs values) {
	s := b.objective(outs)
	names := sortedKeys(b.roles["grads"])
	if len(names) == 0 {
		return
	}
	xs := make([]graph.Value, len(names))
	for i, name := range names {
		xs[i] = b.wrt(name)
	}
	grads := graph.Grad(s, xs...)
	for i, name := range names {
		b.ret("grad_"+name, grads[i], b.roles["grads"][name])
	}
	if len(b.roles["directions"]) == 0 {
		return
	}
	var d graph.Value
	for i, name := range names {
		term := ops.ReduceSum(ops.Mul(grads[i], b.input("direction_"+name, b.roles["directions"][name])), nil, false)
		if d.Valid() {
			term = ops.Add(d, term)
		}
		d = term
	}
	b.ret("s", d, b.roles["outputs"]["s"])
	names = sortedKeys(b.roles["gradgrads"])
	xs = xs[:0]
	for _, name := range names {
		if name == "cotangent" {
			xs = append(xs, b.in["cotangent_"+sortedKeys(b.roles["cotangents"])[0]])
			continue
		}
		xs = append(xs, b.wrt(name))
	}
	for i, g := range graph.Grad(d, xs...) {
		b.ret("gradgrad_"+names[i], g, b.roles["gradgrads"][names[i]])
	}
}

// session compiles the module and starts a session with the case's weights.
func (b *build) session() *runtime.Session {
	b.t.Helper()
	var opts []compile.Option
	if b.frozen {
		opts = append(opts, compile.Freeze(b.vars))
	}
	prog, err := compile.Compile(b.m, opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	weights := map[string]*value.Tensor{}
	for _, v := range prog.Variables {
		if t := b.vars[v.Name]; t != nil {
			weights[v.Name] = t
		}
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1), runtime.Weights(weights))
	if err != nil {
		b.t.Fatal(err)
	}
	return sess
}

func (b *build) runAndCompare() {
	b.t.Helper()
	sess := b.session()
	feeds := map[string]value.Value{}
	for name, v := range b.feeds {
		feeds[strings.ReplaceAll(name, "/", "_")] = v
	}
	got, err := sess.Run(context.Background(), "f", feeds)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range sortedKeys(b.want) {
		b.compare(name, got[name], b.want[name])
	}
	for _, name := range sortedKeys(b.state) {
		b.compare("@"+name, sess.Variable(name), b.state[name])
	}
}

// compare demands that got is within the case's tolerance of want. Arrays hold bools as u8, and Python numbers, which may
// have been f32, as f64.
func (b *build) compare(name string, got value.Value, want *value.Tensor) {
	b.t.Helper()
	b.read[want] = true
	if err := near(got, want, b.RTol, b.ATol); err != nil {
		b.t.Errorf("%s: %v", name, err)
	}
}

func near(got value.Value, want *value.Tensor, rtol, atol float64) error {
	t, ok := got.(*value.Tensor)
	if !ok || t == nil {
		return errors.New("there is no tensor")
	}
	if t.DType() == graph.Bool && want.DType() == graph.U8 || t.DType() == graph.F32 && want.DType() == graph.F64 && t.Rank() == 0 {
		e, err := value.Convert(t.Exact(), want.DType())
		if err != nil {
			return err
		}
		t = e.Tensor()
	}
	return value.AllClose(t, want, rtol, atol)
}

// run is Session.Run of a function with plain tensors.
func (b *build) run(sess *runtime.Session, fn string, feeds map[string]*value.Tensor) map[string]value.Value {
	b.t.Helper()
	in := map[string]value.Value{}
	for k, v := range feeds {
		in[k] = v
	}
	out, err := sess.Run(context.Background(), fn, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// rows returns the rows of t that the indices name.
func (b *build) rows(t *value.Tensor, index []int) *value.Tensor {
	b.t.Helper()
	shape := slices.Clone(t.Shape())
	size := len(t.Bytes()) / shape[0]
	shape[0] = len(index)
	out, err := value.New(t.DType(), shape...)
	if err != nil {
		b.t.Fatal(err)
	}
	for i, k := range index {
		copy(out.Bytes()[i*size:(i+1)*size], t.Bytes()[k*size:(k+1)*size])
	}
	return out
}

// row returns row i of t without its first axis.
func (b *build) row(t *value.Tensor, i int) *value.Tensor {
	b.t.Helper()
	b.read[t] = true
	r, err := b.rows(t, []int{i}).Reshape(t.Shape()[1:]...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}
