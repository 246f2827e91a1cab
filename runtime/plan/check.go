package plan

import (
	"slices"
	"sort"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/program"
)

// Check runs a function over its plan for N = n without computing anything, and reports the first instruction that would
// read what another has overwritten, or write over what it reads or what is needed after it. Sizes come from the
// plan; whether they are those of the types is the caller's to know.
//
// It follows who owns each byte, instruction by instruction, and knows nothing of lifetimes or of how the plan was made.
func Check(f *program.Func, p *program.Plan, n int64) error {
	c := &checker{f: f, p: p, n: n, valid: make([]bool, len(f.Slots)), readers: map[int][]int{}}
	beyond := p.Size(n)
	for i, s := range f.Slots {
		switch s.Place {
		case program.Arena, program.Reuse:
		case program.Output:
			if c.outputs == nil {
				c.outputs = make([]int64, len(f.Slots))
			}
			beyond = program.RoundUp(beyond, program.Align)
			c.outputs[i] = beyond
			beyond += p.Sizes[i].At(n)
		case program.View:
			if root, _, _ := c.storage(i); f.Slots[root].Place == program.Read {
				c.readers[f.Slots[root].Index] = append(c.readers[f.Slots[root].Index], i)
			}
		case program.Read:
			c.readers[s.Index] = append(c.readers[s.Index], i)
			c.valid[i] = true
		default:
			c.valid[i] = true
		}
	}
	for i := range f.Instrs {
		if i == f.Commit {
			if err := c.results(); err != nil {
				return err
			}
		}
		if err := c.step(i); err != nil {
			return err
		}
	}
	if f.Commit >= len(f.Instrs) {
		if err := c.results(); err != nil {
			return err
		}
	}
	for _, u := range f.Updates { // copied when all instructions have run
		if f.Slots[u.Slot].Place != program.Next {
			if err := c.read(u.Slot); err != nil {
				return errfmt.Errorf("update of variable %d: %w", u.Var, err)
			}
		}
	}
	return nil
}

// owner is a stretch of the arena and the slot whose value it holds.
type owner struct {
	at, end int64
	slot    int
}

type checker struct {
	f      *program.Func
	p      *program.Plan
	n      int64
	valid  []bool  // slots that hold their value
	owners []owner // by place, without overlap
	views  map[int][]int
	// readers are the slots that see a variable, in whatever shape.
	readers map[int][]int
	// outputs are where slots in tensors of the caller lie: these are storage as the arena is, one behind the other beyond its end.
	outputs []int64
}

// storage returns the slot whose storage a slot uses and where that lies, size 0 if it is neither in the arena nor in an output.
func (c *checker) storage(slot int) (root int, at, end int64) {
	root = slot
	for range c.f.Slots {
		s := &c.f.Slots[root]
		if s.Place != program.View && s.Place != program.Reuse {
			break
		}
		root = s.Index
	}
	switch c.f.Slots[root].Place {
	case program.Arena:
		at = c.p.Offset(root, c.n)
	case program.Output:
		at = c.outputs[root]
	default:
		return root, 0, 0
	}
	return root, at, at + c.p.Sizes[root].At(c.n)
}

func (c *checker) read(slot int) error {
	if !c.valid[slot] {
		return errfmt.Errorf("slot %d is read and does not hold its value", slot)
	}
	return nil
}

func (c *checker) results() error {
	for _, o := range c.f.Outputs {
		if err := c.read(o.Slot); err != nil {
			return errfmt.Errorf("output %s: %w", o.Name, err)
		}
	}
	return nil
}

// step runs an instruction: its operands must hold their values, and what its results overwrite holds none afterwards.
func (c *checker) step(i int) error {
	ins := &c.f.Instrs[i]
	fail := func(err error) error {
		if ins.Node == nil {
			return errfmt.Errorf("instruction %d: %w", i, err)
		}
		return errfmt.Errorf("instruction %d (%s at %s): %w", i, ins.Node.Op().Name, ins.Node.Pos(), err)
	}
	for _, s := range ins.In {
		if err := c.read(s); err != nil {
			return fail(err)
		}
	}
	for k, out := range ins.Out {
		root, at, end := c.storage(out)
		s := c.f.Slots[out]
		switch s.Place {
		case program.View:
			if !ins.Alias() || s.Index != ins.In[0] {
				return fail(errfmt.Errorf("slot %d views slot %d, which the instruction does not pass on", out, s.Index))
			}
			c.own(out, at, end)
			continue
		case program.Input, program.Constant, program.Read:
			return fail(errfmt.Errorf("slot %d is written to", out))
		case program.Next:
			if i < c.f.Commit {
				return fail(errfmt.Errorf("variable %d is overwritten before the commit", s.Index))
			}
			c.overwriteVariable(s.Index)
			c.valid[out] = true
			continue
		case program.Reuse:
			if !slices.Contains(ins.In, s.Index) {
				return fail(errfmt.Errorf("slot %d reuses slot %d, which is no operand", out, s.Index))
			}
			if c.p.Sizes[root] != c.p.Sizes[out] {
				return fail(errfmt.Errorf("slot %d reuses slot %d of another size", out, s.Index))
			}
		}
		if at < 0 || end > c.p.Size(c.n) && c.f.Slots[root].Place != program.Output {
			return fail(errfmt.Errorf("slot %d lies beyond the arena", out))
		}
		if at%c.p.Sizes[root].Alignment() != 0 {
			return fail(errfmt.Errorf("slot %d is not aligned", out))
		}
		for _, in := range ins.In { // an operand may only be overwritten where the result reuses it
			inRoot, a, e := c.storage(in)
			if a < end && at < e && !(s.Place == program.Reuse && inRoot == root) {
				return fail(errfmt.Errorf("slot %d is written over operand %d, slot %d", out, slices.Index(ins.In, in), in))
			}
		}
		for _, other := range ins.Out[:k] {
			if _, a, e := c.storage(other); a < end && at < e && c.f.Slots[other].Place != program.View {
				return fail(errfmt.Errorf("results in slots %d and %d overlap", other, out))
			}
		}
		c.overwrite(out, at, end)
	}
	return nil
}

// own adds a slot that shares the bytes of another one.
func (c *checker) own(slot int, at, end int64) {
	c.valid[slot] = true
	if end == at {
		return
	}
	if c.views == nil {
		c.views = map[int][]int{}
	}
	i := sort.Search(len(c.owners), func(i int) bool { return c.owners[i].at >= at })
	if i < len(c.owners) && c.owners[i].at == at && c.owners[i].end >= end {
		o := c.owners[i].slot
		c.views[o] = append(c.views[o], slot)
	}
}

// overwrite gives a stretch to a slot; whatever owned part of it holds its value no longer.
func (c *checker) overwrite(slot int, at, end int64) {
	c.valid[slot] = true
	if end == at {
		return
	}
	lo := sort.Search(len(c.owners), func(i int) bool { return c.owners[i].end > at })
	hi := lo
	for ; hi < len(c.owners) && c.owners[hi].at < end; hi++ {
		old := c.owners[hi].slot
		c.valid[old] = false
		for _, v := range c.views[old] {
			c.valid[v] = false
		}
		delete(c.views, old)
	}
	if lo == hi {
		c.owners = insert(c.owners, lo, owner{at, end, slot})
		return
	}
	c.owners[lo] = owner{at, end, slot}
	c.owners = slices.Delete(c.owners, lo+1, hi)
}

// overwriteVariable marks the reads of a variable as gone, for the instructions that follow.
func (c *checker) overwriteVariable(index int) {
	if slices.Contains(c.f.Keep, index) {
		return
	}
	for _, s := range c.readers[index] {
		c.valid[s] = false
	}
}
