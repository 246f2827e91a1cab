package kernels

import (
	"sync"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// Spec is what is known of a node when its function is bound to sizes. It does not change from call to call; each that is bound is one kernel's own.
type Spec struct {
	// Attrs are the node's attributes; their dims are constant.
	graph.Attrs
	// Node is the node itself, whose types may be symbolic.
	Node *graph.Node
	// Regions are the node's regions; their dims are constant.
	Regions []*graph.Func
	// InTypes and OutTypes are the types of operands and results; their dims are constant.
	InTypes, OutTypes []graph.TensorType
	// Symbols are the sizes that the symbols of the node's types stand for.
	Symbols map[string]graph.Dim
	// Packed holds, by operand, those in the layouts that the kernel's Pack asked for, whose Data calls read; nil where there is none, as
	// a whole too.
	Packed []*Packed

	// Stop, if not nil, ends calls early whose results nobody waits for.
	Stop *parallel.Stop
	// Room, if not nil, is what scratch is counted against.
	Room *Room

	byReference bool // whether Bind has left the sizes to the reference
}

// ByReference reports whether the kernel computes these sizes by the op's reference, slower but right: no plan takes them. It is known
// once Bind has returned.
func (s *Spec) ByReference() bool { return s.byReference }

// Call is one application of a kernel. Out is allocated with the inferred types and holds arbitrary data,
// all of which the kernel overwrites; In is read only.
type Call struct {
	*Spec
	In  []*value.Tensor
	Out []*value.Tensor
}

// Func computes the results of a call. An error, such as an index out of range, ends the run. A Func that Bind returned
// may keep what it needs from call to call; calls of it do not overlap.
type Func func(c *Call) error

// Signature is what a kernel is chosen by. It holds no sizes, so that the choice is made once, when a program is compiled.
type Signature struct {
	// In are the operands.
	In []Operand
	// Attrs are the node's attributes, of which dims are not to be read.
	graph.Attrs
	// Regions are the node's regions, as many as its op has.
	Regions []*graph.Func

	few   [4]Operand // storage of In
	asked bool       // whether a row has asked for the form of a fused node,
	form  form       // which this is
	ok    bool       // if it has one
}

// Operand is the dtype and the rank of an operand.
type Operand struct {
	DType graph.DType
	Rank  int
}

// Kernel is one row of the table.
type Kernel struct {
	// Op is the op that the kernel computes. If it is a composite, the compiler keeps it whole.
	Op string
	// DTypes are the dtypes of the first operand that the kernel takes.
	DTypes graph.DTypeSet
	// Match, if set, narrows the kernel down to operands and attributes that it takes.
	Match func(s *Signature) bool
	// Alias marks a kernel that moves no data: the first result is the first operand's storage with another shape, and
	// there is no Bind.
	Alias bool
	// InPlace lists the operands whose storage the first result may take, as graph.Op.InPlace does for the reference: the
	// kernel then reads an element of the operand no later than it writes that of the result. What an element-wise op declares
	// holds for its kernels too.
	InPlace []int
	// Optional lists the results that the kernel leaves out when their tensor is nil, since nobody needs them.
	Optional []int
	// Pack, if set, returns the layout in which the kernel best reads an operand that stays the same from call to call, nil if that is
	// the one it has. Dims may be symbolic: a layout that depends on them is nil. Where Bind finds the operand in Spec.Packed, calls read
	// it there and not in Call.In.
	Pack func(s *Spec, operand int) *Layout
	// Bind prepares the kernel for sizes: plans, scratch and tasks are made here, so that the Func it returns does not
	// allocate. It takes all sizes; an error says that the op itself refuses them.
	Bind func(s *Spec) (Func, error)

	// Element, if set, adds the op to an expression of package strip: the op can be a member of fused nodes and epilogues, on the dtypes
	// that strips hold. Where Bind is nil, a node alone is such an expression too.
	Element func(b *strip.Builder, in []strip.Value, attrs graph.Attrs) strip.Value
	// Reduce, if set, is the reduction that the op is at the end of a fused node, on the floats that strips hold.
	Reduce *backend.ReduceOp
	// BindEpilogue, if set, is Bind for a node that a fused one begins with: what it returns calls Apply once for every element of the
	// first result. A nil epilogue is none; where Bind is nil, a node alone has none.
	BindEpilogue func(s *Spec, epilogue backend.Epilogue) (Func, error)
	// Rows is how many axes of the result of such a node are the rows of the matrix that the epilogue sees; 0 stands for all but the last.
	Rows int
}

// Role is what a node may be in a fused one.
type Role uint8

// The roles of nodes.
const (
	Apart  Role = iota // none
	Member             // an element of a map or of an epilogue
	End                // the reduction that ends a map
	Begin              // the product or convolution whose epilogue the other members are
)

// RoleOf returns what a node may be in a fused one.
func RoleOf(n *graph.Node) Role {
	if len(n.Operands()) == 0 {
		return Apart
	}
	k := selectOf(table[n.Op().Name], n)
	switch {
	case k == nil:
	case k.BindEpilogue != nil:
		return Begin
	case k.Element == nil && k.Reduce == nil, !allStrips(n):
	case k.Element != nil && n.NumResults() == 1:
		return Member
	case k.Reduce != nil && n.Operands()[0].DType().IsFloat():
		return End
	}
	return Apart
}

// allStrips reports whether strips hold all operands and results of a node.
func allStrips(n *graph.Node) bool {
	for _, v := range n.Operands() {
		if !inStrips(v.Type()) {
			return false
		}
	}
	for _, t := range n.Types() {
		if !inStrips(t) {
			return false
		}
	}
	return true
}

func inStrips(t graph.Type) bool {
	tt, ok := t.(graph.TensorType)
	return ok && strip.Holds(tt.DType) && !graph.HasUnknown(t)
}

// binder makes the function of a row of the table; see Kernel.Bind.
type binder = func(s *Spec) (Func, error)

// byFloat is the Bind of a row for f32 and f64.
func byFloat(f32, f64 binder) binder {
	return func(s *Spec) (Func, error) {
		if s.InTypes[0].DType == graph.F64 {
			return f64(s)
		}
		return f32(s)
	}
}

var table = map[string][]*Kernel{}

// Register adds rows, also from another module. Of rows of one op whose dtypes overlap at most one may match; that needs a Match in
// each. It is for init functions: the table must not change once a program has been compiled.
func Register(rows ...*Kernel) error {
	for _, k := range rows {
		switch {
		case k.Bind != nil || k.Alias:
		case k.BindEpilogue != nil:
			k.Bind = func(s *Spec) (Func, error) { return k.BindEpilogue(s, nil) }
		case k.Element != nil:
			k.Bind = k.bindElement
		}
		if k.Op == "" || k.DTypes == 0 || (k.Bind == nil) != k.Alias {
			return errfmt.Errorf("kernels: the row of %q needs Op, DTypes, and a way to bind it or Alias", k.Op)
		}
		for _, other := range table[k.Op] {
			if k.DTypes&other.DTypes != 0 && (k.Match == nil || other.Match == nil) {
				return errfmt.Errorf("kernels: two rows of %q take %v", k.Op, k.DTypes&other.DTypes)
			}
		}
		table[k.Op] = append(table[k.Op], k)
	}
	return nil
}

//go:noinline
func register(rows ...*Kernel) {
	if err := Register(rows...); err != nil {
		panic(err)
	}
}

// Select chooses the kernel that computes a node, nil if its reference does. The choice depends on dtypes, ranks and attributes, so that it
// holds for all sizes.
func Select(n *graph.Node) *Kernel {
	return selectOf(table[n.Op().Name], n)
}

func selectOf(rows []*Kernel, n *graph.Node) *Kernel {
	if len(rows) == 0 {
		return nil
	}
	in := n.Operands()
	return row(rows, len(in), func(i int) graph.Type { return in[i].Type() }, n.Attrs(), n.Regions())
}

// Lookup is Select for an op on operands of the given types.
func Lookup(op string, in []graph.Type, attrs graph.Attrs, regions ...*graph.Func) *Kernel {
	return row(table[op], len(in), func(i int) graph.Type { return in[i] }, attrs, regions)
}

// Widens reports whether a node on floats for storage has a kernel in f32 and none of its own.
func Widens(n *graph.Node) bool {
	rows, in := table[n.Op().Name], n.Operands()
	return selectOf(rows, n) == nil && row(rows, len(in), func(i int) graph.Type { return graph.Wide(in[i].Type()) }, n.Attrs(), nil) != nil
}

// signatures are those that no row looks at: a signature is gone when Match returns.
var signatures = sync.Pool{New: func() any { return new(Signature) }}

// row returns the row that takes n operands, nil if there is none. All types are asked for only where a row looks at them.
func row(rows []*Kernel, n int, typeOf func(i int) graph.Type, attrs graph.Attrs, regions []*graph.Func) *Kernel {
	var first graph.DType
	if n > 0 {
		t, ok := typeOf(0).(graph.TensorType)
		if !ok {
			return nil
		}
		first = t.DType
	}
	for i, k := range rows {
		if n > 0 && !k.DTypes.Has(first) {
			continue
		}
		if k.Match == nil {
			return k
		}
		return matching(rows[i:], n, first, typeOf, attrs, regions)
	}
	return nil
}

// matching is row where the first of the rows has a Match.
func matching(rows []*Kernel, n int, first graph.DType, typeOf func(i int) graph.Type, attrs graph.Attrs, regions []*graph.Func) *Kernel {
	s := signatures.Get().(*Signature)
	defer func() {
		*s = Signature{}
		signatures.Put(s)
	}()
	s.Attrs, s.Regions = attrs, regions
	if s.In = s.few[:min(n, len(s.few))]; n > len(s.few) {
		s.In = make([]Operand, n)
	}
	for i := range s.In {
		t, ok := typeOf(i).(graph.TensorType)
		if !ok {
			return nil
		}
		s.In[i] = Operand{t.DType, t.Rank()}
	}
	for _, k := range rows {
		if (n == 0 || k.DTypes.Has(first)) && (k.Match == nil || k.Match(s)) {
			return k
		}
	}
	return nil
}

// CPU returns the instruction set that the kernels use: avx512, avx2, or generic for plain Go. The environment variable
// GRAPHRUN_CPU overrides what the processor offers; an error says that its value could not be obeyed.
func CPU() (string, error) { return level.Name(), level.Err }

// Rows returns all kernels of an op.
func Rows(op string) []*Kernel { return table[op] }

// byReference is a Bind for sizes that no plan takes: the op's reference computes them.
func byReference(s *Spec) (Func, error) {
	s.byReference = true
	return s.evaluate, nil
}

// evaluate computes a call by the op's reference.
func (s *Spec) evaluate(c *Call) error {
	in := make([]value.Value, len(c.In))
	for i, t := range c.In {
		in[i] = t
	}
	outs, err := (&graph.Interpreter{Done: s.Stop.Done()}).Node(s.Node, in, s.Symbols)
	if err != nil {
		return err
	}
	for i, v := range outs {
		if c.Out[i] != nil {
			copy(c.Out[i].Bytes(), v.(*value.Tensor).Bytes())
		}
	}
	return nil
}
