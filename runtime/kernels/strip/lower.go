package strip

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// instr is one call of a primitive on each strip. y, a, b and c are places.
type instr struct {
	f          backend.Vec
	y, a, b, c uint16
	one        bool // whether all operands are the same for the whole strip: the primitive runs on one element
}

// code is the instructions for a strip.
type code struct {
	instrs []instr
	// reads and writes hold, by operand and by result, the last instruction that reads the one and that which writes the other.
	reads, writes []int
	reduced       uint16 // the place of the value that is reduced
	places        []place
}

// Places are numbered: operands, results, then registers and constants as they come.

// lowering turns an expression into code.
type lowering struct {
	*Builder
	nodes  []node // the builder's, products taken into sums
	space  space
	cut    cut
	spans  uint64
	direct bool  // whether instructions write results themselves
	uses   []int // by value: instructions that are left to read it
	at     []uint16
	varies []uint64 // by value: the dims along which it changes
	free   map[int][]uint16
	cost   float64
	code
}

// place is where a strip or a scalar lies.
type place struct {
	kind placeKind
	size int // of an element
	bits uint64
}

type placeKind uint8

const (
	memory    placeKind = iota // of an operand or a result
	register                   // a strip
	scalar                     // one element, computed once for each strip
	immediate                  // a constant
)

func (l *lowering) uniform(v Value) bool { return l.varies[v]&l.spans == 0 }

func (l *lowering) place(p place) uint16 {
	l.places = append(l.places, p)
	return uint16(len(l.places) - 1)
}

// take returns a place for a value of that size: a free register if there is one.
func (l *lowering) take(size int, uniform bool) uint16 {
	if uniform {
		return l.place(place{kind: scalar, size: size})
	}
	if f := l.free[size]; len(f) > 0 {
		l.free[size] = f[:len(f)-1]
		return f[len(f)-1]
	}
	return l.place(place{kind: register, size: size})
}

// release notes that one reader of v is done.
func (l *lowering) release(v Value) {
	l.uses[v]--
	if l.uses[v] == 0 && l.places[l.at[v]].kind == register && l.nodes[v].kind != operand {
		size := l.places[l.at[v]].size
		l.free[size] = append(l.free[size], l.at[v])
	}
}

func (l *lowering) emit(f backend.Vec, one bool, cost float64, y uint16, in ...uint16) {
	i := instr{f: f, y: y, one: one}
	for k, p := range in {
		*[]*uint16{&i.a, &i.b, &i.c}[k] = p
		if int(p) < len(l.operands) {
			l.reads[p] = len(l.instrs)
		}
	}
	if r := int(y) - len(l.operands); r >= 0 && r < len(l.results) {
		l.writes[r] = len(l.instrs)
	}
	if !one {
		l.cost += cost
	}
	l.instrs = append(l.instrs, i)
}

// vectorAt returns a place that holds v as a strip.
func (l *lowering) vectorAt(v Value) (at uint16, temporary bool) {
	if !l.uniform(v) {
		return l.at[v], false
	}
	at = l.take(sizeOf(l.nodes[v].dt), false)
	l.emit(splatVec(sizeOf(l.nodes[v].dt)), false, 1, at, l.at[v])
	return at, true
}

// lower makes the code. Without direct, no result is written before the last operand has been read.
func (b *Builder) lower(s space, c cut, direct bool) *lowering {
	l := &lowering{
		Builder: b, nodes: slices.Clone(b.nodes), space: s, cut: c, spans: c.spans(&s), direct: direct, free: map[int][]uint16{},
		uses: make([]int, len(b.nodes)), at: make([]uint16, len(b.nodes)), varies: make([]uint64, len(b.nodes)),
	}
	l.reads, l.writes = make([]int, len(b.operands)), make([]int, len(b.results))
	for i := range l.reads {
		l.reads[i] = -1
	}
	for _, o := range b.operands {
		l.place(place{kind: memory, size: sizeOf(o.dt)})
	}
	for _, v := range b.results {
		l.place(place{kind: memory, size: sizeOf(b.nodes[v].dt)})
	}
	for v, n := range l.nodes {
		if n.kind == operand {
			l.varies[v] = s.varies(int(n.op))
		}
		for _, in := range n.in[:n.args] {
			l.varies[v] |= l.varies[in]
		}
	}
	live := make([]bool, len(b.nodes))
	for _, v := range b.results {
		live[v] = true
		l.uses[v]++ // by what copies or reduces it: held to the end
	}
	for v := len(b.nodes) - 1; v >= 0; v-- {
		if live[v] {
			for _, in := range b.nodes[v].in[:b.nodes[v].args] {
				live[in] = true
				l.uses[in]++
			}
		}
	}
	l.products(live)
	for v := range l.nodes {
		if live[v] {
			l.node(Value(v))
		}
	}
	l.finish()
	return l
}

// products makes the sum or difference that is the only use of a product compute it too.
func (l *lowering) products(live []bool) {
	for v := range l.nodes {
		n := &l.nodes[v]
		op := backend.BinaryOp(n.op)
		if !live[v] || n.kind != binary || op != backend.Add && op != backend.Sub || !n.dt.IsFloat() || n.in[0] == n.in[1] {
			continue
		}
		for i, other := range []Value{n.in[1], n.in[0]} {
			at := n.in[i]
			p := l.nodes[at]
			square := p.kind == unary && backend.UnaryOp(p.op) == backend.Square
			if !square && (p.kind != binary || backend.BinaryOp(p.op) != backend.Mul) || l.uses[at] > 1 || l.uniform(at) {
				continue
			}
			fused := backend.MulAdd
			switch {
			case op == backend.Sub && i == 0:
				fused = backend.MulSub
			case op == backend.Sub:
				fused = backend.SubMul
			}
			x, y := p.in[0], p.in[1]
			if square {
				y = x
				l.uses[x]++
			}
			if l.uniform(x) {
				x, y = y, x
			}
			*n = node{kind: ternary, dt: n.dt, op: uint8(fused), in: [3]Value{x, y, other}, args: 3}
			live[at] = false
			break
		}
	}
}

// node emits the instruction of a value.
func (l *lowering) node(v Value) {
	n := l.nodes[v]
	switch n.kind {
	case operand:
		l.at[v] = uint16(n.op)
		return
	case constant:
		l.at[v] = l.place(place{kind: immediate, size: sizeOf(n.dt), bits: n.bits})
		return
	}
	one := l.uniform(v)
	scalars := [3]bool{}
	places := make([]uint16, n.args)
	var temporary []uint16
	vector := func(i int) { // the primitive has no form for a scalar here
		if at, temp := l.vectorAt(n.in[i]); temp {
			places[i], scalars[i] = at, false
			temporary = append(temporary, at)
		}
	}
	for i, in := range n.in[:n.args] {
		places[i] = l.at[in]
		scalars[i] = !one && l.uniform(in)
	}
	var f backend.Primitive
	e := elementsOf(l.nodes[n.in[0]].dt)
	switch n.kind {
	case unary:
		f = e.Unary[n.op]
	case binary:
		f = e.Binary[n.op][backend.FormOf(scalars[0], scalars[1])]
	case ternary:
		f = e.Ternary[n.op][backend.FormOf(scalars[1], scalars[2])]
	case compare:
		op := backend.CompareOp(n.op)
		if scalars[0] {
			op = op.Mirrored()
			places[0], places[1] = places[1], places[0]
			scalars[1] = true
		}
		f = e.Compare[op][backend.FormOf(false, scalars[1])]
	case choose:
		vector(0)
		f = elementsOf(n.dt).Select[backend.FormOf(scalars[1], scalars[2])]
	case logical:
		vector(0)
		if backend.LogicOp(n.op) != backend.Not {
			vector(1)
		}
		f = e.Logic[n.op]
	case cast:
		f = castTo(l.nodes[n.in[0]].dt, n.dt)
	}
	for _, i := range n.in[:n.args] {
		l.release(i)
	}
	y := l.result(v)
	if y == none {
		y = l.take(sizeOf(n.dt), one)
	}
	l.at[v] = y
	l.emit(f.Do, one, float64(f.Cost), y, places...)
	for _, at := range temporary {
		l.free[l.places[at].size] = append(l.free[l.places[at].size], at)
	}
}

// none is no place.
const none = 1<<16 - 1

// result returns the place of the result that v's instruction may write itself.
func (l *lowering) result(v Value) uint16 {
	if l.direct && !l.uniform(v) {
		for i, r := range l.results {
			if r == v && (l.reduce == nil || l.reduce.result != i) {
				return uint16(len(l.operands) + i)
			}
		}
	}
	return none
}

// finish writes the results that no instruction has written.
func (l *lowering) finish() {
	at := make([]uint16, len(l.results)) // where the results are
	for i, v := range l.results {
		at[i] = l.at[v]
		if !l.direct && l.nodes[v].kind == operand && !l.uniform(v) { // before another result takes its storage
			size := sizeOf(l.nodes[v].dt)
			at[i] = l.take(size, false)
			l.emit(copyVec(size), false, 1, at[i], l.at[v])
		}
	}
	for i, v := range l.results {
		if l.reduce != nil && l.reduce.result == i {
			l.reduced = at[i]
			if l.uniform(v) {
				l.reduced, _ = l.vectorAt(v)
			}
			if int(l.reduced) < len(l.operands) {
				l.reads[l.reduced] = math.MaxInt
			}
			continue
		}
		size := sizeOf(l.nodes[v].dt)
		y := uint16(len(l.operands) + i)
		switch {
		case l.uniform(v):
			l.emit(splatVec(size), false, 1, y, at[i])
		case at[i] != y:
			l.emit(copyVec(size), false, 1, y, at[i])
		}
	}
}
