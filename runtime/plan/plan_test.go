package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

// build makes a function of tensors without nodes: one line per instruction, "out... = in...", with names of slots; a name
// that is first seen as an operand is an input. kind may hold "view x of y" and "reuse x of y".
type build struct {
	f     *program.Func
	slots map[string]int
}

func newBuild() *build { return &build{f: &program.Func{Name: "f"}, slots: map[string]int{}} }

func (b *build) slot(name, typ string, place program.Place, index int) int {
	t, err := graph.ParseType(typ)
	if err != nil {
		panic(err)
	}
	b.slots[name] = len(b.f.Slots)
	b.f.Slots = append(b.f.Slots, program.Slot{Type: t, Place: place, Index: index})
	return b.slots[name]
}

func (b *build) instr(outs, ins string) *program.Instr {
	var ins1 program.Instr
	for _, n := range strings.Fields(ins) {
		ins1.In = append(ins1.In, b.slots[n])
	}
	for _, n := range strings.Fields(outs) {
		ins1.Out = append(ins1.Out, b.slots[n])
	}
	b.f.Instrs = append(b.f.Instrs, ins1)
	b.f.Commit = len(b.f.Instrs)
	return &b.f.Instrs[len(b.f.Instrs)-1]
}

// sample is a function with everything that a plan knows: views, reuses, two results, constants, variables, a commit.
func sample(t testing.TB) (*program.Func, *program.Plan, map[string]int) {
	b := newBuild()
	b.slot("x", "f32[N,3]", program.Input, 0)
	b.slot("w", "f32[5]", program.Read, 0)
	b.slot("a", "f32[N,8]", program.Arena, 0)
	b.slot("b", "f32[N,8]", program.Arena, 0)
	b.slot("c", "i64[N,2]", program.Arena, 0)
	b.slot("v", "f32[8,N]", program.View, b.slots["a"])
	b.slot("d", "f32[N,8]", program.Reuse, b.slots["b"])
	b.slot("g", "f32[5]", program.Arena, 0)
	b.slot("y", "f32[N]", program.Arena, 0)
	b.slot("w2", "f32[5]", program.Next, 0)
	b.instr("a", "x")
	b.instr("b c", "a x")
	b.instr("v", "a").Kernel = &kernels.Kernel{Alias: true}
	b.instr("d", "b v")
	b.instr("g", "d c w")
	b.instr("y", "d")
	commit := len(b.f.Instrs)
	b.instr("w2", "w g")
	b.f.Commit = commit
	b.f.Inputs = []program.Port{{Name: "x", Slot: b.slots["x"]}}
	b.f.Outputs = []program.Port{{Name: "y", Slot: b.slots["y"]}}
	b.f.Updates = []program.Update{{Var: 0, Slot: b.slots["w2"]}}
	p := plan.Make(b.f, "N", nil)
	if p == nil {
		t.Fatal("there is no plan")
	}
	return b.f, p, b.slots
}

func TestPlanHoldsForAllSizes(t *testing.T) {
	f, p, _ := sample(t)
	for _, n := range []int64{1, 2, 3, 5, 16, 63, 64, 65, 1000, 1 << 30} {
		if err := plan.Check(f, p, n); err != nil {
			t.Errorf("N = %d: %v", n, err)
		}
	}
	if p.Peak.Per < p.Bound.Per || p.Peak.Fixed < p.Bound.Fixed {
		t.Errorf("the peak %v is below the bound %v", p.Peak, p.Bound)
	}
}

// TestCheckRejects spoils a good plan or program in every way that the checker knows.
func TestCheckRejects(t *testing.T) {
	cases := []struct {
		name  string
		want  string
		spoil func(f *program.Func, p *program.Plan, s map[string]int)
	}{
		{"overwritten", "is read and does not hold its value", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["y"]] = p.Offsets[s["g"]]
			p.Sizes[s["y"]] = p.Sizes[s["g"]]
		}},
		{"never written", "is read and does not hold its value", func(f *program.Func, _ *program.Plan, _ map[string]int) {
			f.Instrs = f.Instrs[1:]
			f.Commit--
		}},
		{"output gone", "output y", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Outputs[0].Slot = s["b"]
		}},
		{"update gone", "update of variable 0", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Updates[0].Slot = s["b"]
		}},
		{"stale view", "is read and does not hold its value", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Slots[s["d"]].Index = s["v"]
			f.Instrs[5].In = []int{s["a"]}
		}},
		{"foreign view", "which the instruction does not pass on", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Slots[s["v"]].Index = s["b"]
		}},
		{"written constant", "is written to", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Slots[s["y"]].Place = program.Constant
		}},
		{"early commit", "is overwritten before the commit", func(f *program.Func, _ *program.Plan, _ map[string]int) {
			f.Commit = len(f.Instrs)
		}},
		{"variable read after its update", "is read and does not hold its value", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Instrs = append(f.Instrs, program.Instr{In: []int{s["w"]}, Out: []int{s["y"]}})
		}},
		{"reuse of no operand", "which is no operand", func(f *program.Func, _ *program.Plan, s map[string]int) {
			f.Instrs[3].In = []int{s["v"]}
		}},
		{"reuse of another size", "of another size", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Sizes[s["d"]].Per++
		}},
		{"beyond the arena", "beyond the arena", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["a"]].Fixed += 1 << 20
		}},
		{"before the arena", "beyond the arena", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["a"]].Fixed = -1 << 20
		}},
		{"not aligned", "is not aligned", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["y"]].Fixed += 4
			p.Peak.Fixed += 64
		}},
		{"over an operand", "is written over operand", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["b"]] = p.Offsets[s["a"]]
		}},
		{"results overlap", "overlap", func(_ *program.Func, p *program.Plan, s map[string]int) {
			p.Offsets[s["c"]] = p.Offsets[s["b"]]
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, p, s := sample(t)
			c.spoil(f, p, s)
			err := plan.Check(f, p, 16)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the checker says %v, want %q", err, c.want)
			}
		})
	}
}

// TestRandomFunctions plans random functions, whose values live for random times.
func TestRandomFunctions(t *testing.T) {
	worst := 1.0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := newBuild()
		b.slot("x", "f32[N,3]", program.Input, 0)
		names := []string{"x"}
		count := 2 + r.IntN(120)
		if seed%50 == 0 {
			count = 2500 // more than orders are searched for
		}
		for i := range count {
			name := fmt.Sprintf("s%d", i)
			var typ string
			switch r.IntN(4) {
			case 0:
				typ = fmt.Sprintf("f32[%d]", 1+r.IntN([]int{5000, 20}[r.IntN(2)]))
			case 1:
				typ = fmt.Sprintf("f32[N+%d,%d]", r.IntN(3), 1+r.IntN(9))
			default:
				typ = fmt.Sprintf("f32[N,%d]", 1+r.IntN(300))
			}
			b.slot(name, typ, program.Arena, 0)
			in := names[max(0, len(names)-1-r.IntN(12))] + " " + names[max(0, len(names)-1-r.IntN(40))]
			b.instr(name, in)
			names = append(names, name)
		}
		b.f.Outputs = []program.Port{{Name: "y", Slot: b.slots[names[len(names)-1]]}}
		p := plan.Make(b.f, "N", nil)
		if p == nil {
			t.Fatalf("seed %d: there is no plan", seed)
		}
		for _, n := range []int64{1, 7, 64} {
			if err := plan.Check(b.f, p, n); err != nil {
				t.Fatalf("seed %d, N = %d: %v", seed, n, err)
			}
		}
		if p.Bound.Per > 0 && count < 1000 {
			worst = max(worst, float64(p.Peak.Per)/float64(p.Bound.Per))
		}
	}
	t.Logf("the worst part that grows with N takes %.3f of its bound", worst)
	if worst > 1.25 {
		t.Errorf("a plan takes %.3f of its bound", worst)
	}
}

// TestNoPlan refuses sizes that no plan can hold for.
func TestNoPlan(t *testing.T) {
	for _, typ := range []string{"f32[N,N]", "f32[M]", "f32[floordiv(N,2)]", "f32[N,4611686018427387904]", "string[N]"} {
		b := newBuild()
		b.slot("x", "f32[N]", program.Input, 0)
		b.slot("y", typ, program.Arena, 0)
		b.instr("y", "x")
		if p := plan.Make(b.f, "N", nil); p != nil {
			t.Errorf("%s has a plan", typ)
		}
	}
}

// TestCheckFollowsOutputs knows that what is written over a value in a tensor of the caller ends it, as in the arena.
func TestCheckFollowsOutputs(t *testing.T) {
	f, _, s := sample(t)
	f.Slots[s["b"]].Place = program.Output
	f.Outputs[0].Slot = s["d"] // which takes the place of b
	p := plan.Make(f, "N", nil)
	for _, n := range []int64{1, 64} {
		if err := plan.Check(f, p, n); err != nil {
			t.Errorf("N = %d: %v", n, err)
		}
	}
	f.Instrs[5].In = []int{s["b"]}
	if err := plan.Check(f, p, 64); err == nil || !strings.Contains(err.Error(), "is read and does not hold its value") {
		t.Errorf("a value that is gone is read: %v", err)
	}
}
