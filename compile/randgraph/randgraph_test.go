package randgraph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/randgraph"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// kinds are the options that seeds and fuzzed bytes go through in turn.
var kinds = []randgraph.Options{{}, {Grad: true}, {Special: true}, {F64: true, Grad: true}, {Half: true}, {Half: true, Grad: true}}

// TestRandomGraphs runs random graphs compiled, at limits on rewrites, and by the references of the ops as they were declared, and
// wants the same from all.
func TestRandomGraphs(t *testing.T) {
	seeds := 240
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		o := kinds[seed%len(kinds)]
		g := randgraph.Seeded(uint64(seed), o)
		if err := agree(g, 6); err != nil {
			t.Errorf("seed %d, %+v: %v\n%s", seed, o, err, g.Module)
		}
	}
}

// FuzzRandomGraphs is the same for graphs that a fuzzer decides.
func FuzzRandomGraphs(f *testing.F) {
	for i := range 16 {
		f.Add([]byte{byte(i), byte(i * 37), byte(i * 91), 200})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 1<<10 {
			return
		}
		o := kinds[int(data[0])%len(kinds)]
		g := randgraph.FromBytes(data[1:], o)
		if err := agree(g, 4); err != nil {
			t.Fatalf("%+v: %v\n%s", o, err, g.Module)
		}
	})
}

// agree holds what the compiled graph gives, and what the optimized one gives at some limits on rewrites, against what the declared one
// gives by references.
func agree(g *randgraph.Graph, limits int) error {
	if err := g.Module.Err(); err != nil {
		return fmt.Errorf("the generator declares what is refused: %w", err)
	}
	text := g.Module.String()
	again, err := graph.Parse("again.graph", []byte(text), graph.ParseOptions{})
	if err != nil {
		return fmt.Errorf("its text does not parse: %w", err)
	}
	if got := again.String(); got != text {
		return fmt.Errorf("print, parse, print changes it to\n%s", got)
	}
	vars, err := variables(g.Module)
	if err != nil {
		return err
	}
	var log []compile.Rewrite
	if _, err := compile.Optimize(g.Module, compile.Rewrites(&log)); err != nil {
		return err
	}
	var programs []*runtime.Session
	for _, limit := range []int{0, len(log) / 2, len(log)} {
		p, err := compile.Compile(g.Module, compile.PassLimit(limit))
		if err != nil {
			return fmt.Errorf("limit %d: %w", limit, err)
		}
		s, err := runtime.NewSession(p, runtime.Weights(vars))
		if err != nil {
			return err
		}
		programs = append(programs, s)
	}
	rng := rand.New(rand.NewPCG(uint64(len(log)), 3))
	for _, n := range []int{3, 1, 8} {
		feeds, err := g.Feeds(n)
		if errors.Is(err, randgraph.ErrNegative) {
			continue
		}
		if err != nil {
			return err
		}
		expected, err := compile.Expect(g.Module, compile.Inputs{Func: g.Func, Feeds: feeds, Variables: vars})
		if err != nil {
			if err := refused(g, n, feeds, err, log, programs); err != nil {
				return err
			}
			continue
		}
		for k := range limits {
			limit := rng.IntN(len(log) + 1)
			if k == 0 {
				limit = len(log)
			}
			m, err := compile.Optimize(g.Module, compile.PassLimit(limit))
			if err != nil {
				return fmt.Errorf("limit %d: %w", limit, err)
			}
			if err := graph.Verify(m); err != nil {
				return fmt.Errorf("limit %d, from scratch: %w", limit, err)
			}
			results, next, err := interpret(m, g.Func, feeds, vars)
			if err == nil {
				err = expected.Compare(results, func(name string) *value.Tensor { return next[name] })
			}
			if err != nil {
				return fmt.Errorf("N=%d, limit %d of %d: %w", n, limit, len(log), err)
			}
			if limits > 1 && n != 3 { // one size for the limits
				break
			}
		}
		for i, s := range programs {
			if err := setAll(s, vars); err != nil {
				return err
			}
			results, err := s.Run(context.Background(), g.Func, feeds)
			if err == nil {
				err = expected.Compare(results, s.Variable)
			}
			if err != nil {
				return fmt.Errorf("N=%d, program %d: %w", n, i, err)
			}
			if err := onThreads(s, g.Func, feeds, vars, results); err != nil {
				return fmt.Errorf("N=%d, program %d: %w", n, i, err)
			}
		}
	}
	return nil
}

// onThreads wants the same bits on any number of threads.
func onThreads(s *runtime.Session, fn string, feeds map[string]value.Value, vars map[string]*value.Tensor, want map[string]value.Value) error {
	defer parallel.SetThreads(0)
	for _, threads := range []int{1, 2, 3, 8} {
		parallel.SetThreads(threads)
		if err := setAll(s, vars); err != nil {
			return err
		}
		got, err := s.Run(context.Background(), fn, feeds)
		if err != nil {
			return err
		}
		for name, v := range want {
			if a, b := v.(*value.Tensor), got[name].(*value.Tensor); !bytes.Equal(a.Bytes(), b.Bytes()) {
				return fmt.Errorf("on %d threads %s is %v, and was %v", threads, name, b, a)
			}
		}
	}
	return nil
}

func setAll(s *runtime.Session, vars map[string]*value.Tensor) error {
	for name, v := range vars {
		if err := s.SetVariable(name, v); err != nil {
			return err
		}
	}
	return nil
}

// TestEverythingIsDrawn wants every op that has samples, every dtype that these are of, and every kind of size among the graphs of some
// seeds.
func TestEverythingIsDrawn(t *testing.T) {
	missing := map[string]bool{}
	for _, op := range graph.Ops() {
		if !op.Props.Structural && !op.Props.Fused && !op.Props.Random && op.Build == nil {
			missing[op.Name] = true
		}
	}
	for _, dt := range value.DTypes() {
		if dt != value.String {
			missing[dt.String()] = true
		}
	}
	for _, size := range []string{"0", "1", "N", "M", "M*N", "2*N", "M+N", "floordiv(N, 2)", "floordiv(N+1, 2)"} {
		missing["["+size+"]"] = true
	}
	for seed := uint64(0); seed < 3000 && len(missing) > 0; seed++ {
		g := randgraph.Seeded(seed, kinds[seed%2*4%uint64(len(kinds))])
		for _, n := range g.Module.LookupFunc(g.Func).Nodes() {
			delete(missing, n.Op().Name)
			for _, v := range n.Operands() {
				delete(missing, v.DType().String())
				for _, d := range v.Shape() {
					delete(missing, "["+d.String()+"]")
				}
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s is in no graph", what)
	}
}

// refused wants sizes that the declared graph refuses refused by what the compiler has made of it. What is refused for its values, such as an index out
// of range, may be dead code.
func refused(g *randgraph.Graph, n int, feeds map[string]value.Value, err error, log []compile.Rewrite, programs []*runtime.Session) error {
	if strings.Contains(err.Error(), "BUG") {
		return fmt.Errorf("N=%d: %w", n, err)
	}
	declared, failed := compile.Optimize(g.Module, compile.PassLimit(0))
	if failed != nil {
		return failed
	}
	if declared.LookupFunc(g.Func).CheckSizes(randgraph.Sizes(n)) == nil {
		return nil
	}
	for i, s := range programs {
		if _, got := s.Run(context.Background(), g.Func, feeds); got == nil || strings.Contains(got.Error(), "BUG") {
			return fmt.Errorf("N=%d: program %d of %d rewrites gives %v, and the declared graph refuses: %w", n, i, len(log), got, err)
		}
	}
	return nil
}

// variables returns the first values of variables by the references.
func variables(m *graph.Module) (map[string]*value.Tensor, error) {
	key, err := value.FromSlice([]uint64{7, 0}, 2)
	if err != nil {
		return nil, err
	}
	vars := map[string]*value.Tensor{}
	for _, v := range m.Variables() {
		outs, err := (&graph.Interpreter{}).Run(v.Init(), []value.Value{key})
		if err != nil {
			return nil, err
		}
		vars[v.Name()] = outs[0].(*value.Tensor)
	}
	return vars, nil
}

// interpret evaluates a function by the references and returns its results and the next values of variables.
func interpret(m *graph.Module, fn string, feeds map[string]value.Value, vars map[string]*value.Tensor) (
	results map[string]value.Value, next map[string]*value.Tensor, err error,
) {
	f := m.LookupFunc(fn)
	var in []value.Value
	for _, p := range f.Params() {
		in = append(in, feeds[p.Node().ResultName(0)])
	}
	ip := &graph.Interpreter{Read: func(name string) (*value.Tensor, error) { return vars[name], nil }}
	outs, err := ip.Run(f, in)
	if err != nil {
		return nil, nil, err
	}
	results, next = map[string]value.Value{}, map[string]*value.Tensor{}
	for i, r := range f.Results() {
		results[r.Name] = outs[i]
	}
	for i, u := range f.Updates() {
		next[u.Var.Name()] = outs[len(f.Results())+i].(*value.Tensor)
	}
	return results, next, nil
}

// TestRandomGradients holds gradients of smooth graphs against differences of the loss along random directions.
func TestRandomGradients(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 30
	}
	checked := 0
	for seed := range seeds {
		g := randgraph.Seeded(uint64(seed), randgraph.Options{F64: true, Grad: true})
		n, err := differences(g)
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, g.Module)
		}
		checked += n
	}
	if checked < seeds {
		t.Errorf("%d gradients have been checked in %d graphs: too few to show anything", checked, seeds)
	}
}

// differences compares each gradient, along a random direction, with central differences of the fourth order; it returns how many it
// could compare. Where differences of two widths disagree, there is a kink or a pole between, and nothing to compare with.
func differences(g *randgraph.Graph) (checked int, err error) {
	if err := g.Module.Err(); err != nil {
		return 0, err
	}
	m, err := compile.Optimize(g.Module)
	if err != nil {
		return 0, err
	}
	vars, err := variables(g.Module)
	if err != nil {
		return 0, err
	}
	feeds, err := g.Feeds(3)
	if err != nil {
		return 0, err
	}
	outs, _, err := interpret(m, g.Func, feeds, vars)
	if err != nil {
		return 0, err
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for _, name := range g.Wrt {
		x, isFeed := feeds[name].(*value.Tensor)
		if !isFeed {
			x = vars[name]
		}
		d := outs["d."+name].(*value.Tensor).Float64s()
		direction, got := make([]float64, len(d)), 0.0
		for i := range direction {
			direction[i] = 2*rng.Float64() - 1
			got += direction[i] * d[i]
		}
		loss := func(by float64) (float64, error) {
			e := x.Exact()
			for i := range e.F {
				e.F[i] += by * direction[i]
			}
			defer func() {
				if isFeed {
					feeds[name] = x
				} else {
					vars[name] = x
				}
			}()
			if isFeed {
				feeds[name] = e.Tensor()
			} else {
				vars[name] = e.Tensor()
			}
			outs, _, err := interpret(m, g.Func, feeds, vars)
			if err != nil {
				return 0, err
			}
			return outs["loss"].(*value.Tensor).Float64s()[0], nil
		}
		slope := func(h float64) (float64, error) {
			var f [4]float64
			for i, by := range []float64{-2 * h, -h, h, 2 * h} {
				var err error
				if f[i], err = loss(by); err != nil {
					return 0, err
				}
			}
			return (f[0] - 8*f[1] + 8*f[2] - f[3]) / (12 * h), nil
		}
		wide, err := slope(2e-4)
		if err != nil {
			return checked, err
		}
		narrow, err := slope(1e-4)
		if err != nil {
			return checked, err
		}
		const tol = 1e-7
		if math.Abs(wide-narrow) > tol/10*(1+math.Abs(narrow)) {
			continue
		}
		checked++
		if !(math.Abs(got-narrow) <= tol*(1+math.Abs(narrow))) {
			return checked, fmt.Errorf("the gradient with respect to %s is %.10g along a direction, differences give %.10g", name, got, narrow)
		}
	}
	return checked, nil
}

// TestFaultsShow turns the operands of one node round, in graphs that are right, and wants the comparison to notice: tolerances that follow
// from what the nodes may be off by are of no use if they let everything pass.
func TestFaultsShow(t *testing.T) {
	planted, seen := 0, 0
	for seed := range uint64(120) {
		g := randgraph.Seeded(seed, kinds[seed%2])
		vars, err := variables(g.Module)
		if err != nil {
			t.Fatal(err)
		}
		feeds, err := g.Feeds(3)
		if err != nil {
			t.Fatal(err)
		}
		expected, err := compile.Expect(g.Module, compile.Inputs{Func: g.Func, Feeds: feeds, Variables: vars})
		if err != nil {
			continue // the sizes are refused
		}
		m, err := compile.Optimize(g.Module, compile.Portable())
		if err != nil {
			t.Fatal(err)
		}
		n := turnRound(m.LookupFunc(g.Func))
		if n == nil {
			continue
		}
		planted++
		results, next, err := interpret(m, g.Func, feeds, vars)
		if err != nil || expected.Compare(results, func(name string) *value.Tensor { return next[name] }) != nil {
			seen++
		}
	}
	t.Logf("%d of %d faults show", seen, planted)
	if planted < 20 || seen*10 < planted*8 {
		t.Errorf("of %d planted faults %d show: want at least 20, and 8 of 10 to show", planted, seen)
	}
}

// turnRound makes the last difference or quotient of two operands of one type in a function that of the operands turned round.
func turnRound(f *graph.Func) *graph.Node {
	nodes := f.Nodes()
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !n.Result(0).Is("sub") && !n.Result(0).Is("div") {
			continue
		}
		if a, b := n.Operands()[0], n.Operands()[1]; a != b && n.Result(0).DType().IsFloat() && graph.EqualTypes(a.Type(), b.Type()) {
			n.SetOperand(0, b)
			n.SetOperand(1, a)
			return n
		}
	}
	return nil
}
