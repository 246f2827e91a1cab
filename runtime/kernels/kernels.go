package kernels

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// Spec is what is known of a node when its function is bound to sizes. It does not change from call to call.
type Spec struct {
	// Attrs are the node's attributes; their dims are constant.
	graph.Attrs
	// Node is the node itself, whose types may be symbolic.
	Node *graph.Node
	// Regions are the node's regions; their dims are constant.
	Regions []*graph.Func
	// InTypes and OutTypes are the types of operands and results; their dims are constant.
	InTypes, OutTypes []graph.TensorType
	// Packed holds, by operand, what the kernel's Pack made of a constant when the program was compiled; nil where there is nothing.
	Packed []any
}

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

// Kernel is one row of the table.
type Kernel struct {
	// Op is the op that the kernel computes. If it is a composite, the compiler keeps it whole.
	Op string
	// DTypes are the dtypes of the first operand that the kernel takes.
	DTypes graph.DTypeSet
	// Match, if set, narrows the kernel down to operand types and attributes that it takes.
	Match func(in []graph.TensorType, attrs graph.Attrs) bool
	// Alias marks a kernel that moves no data: the first result is the first operand's storage with another shape, and
	// there is no Bind.
	Alias bool
	// InPlace lists the operands whose storage the first result may take, as graph.Op.InPlace does for the reference: the
	// kernel then reads an element of the operand no later than it writes that of the result.
	InPlace []int
	// Optional lists the results that the kernel leaves out when their tensor is nil, since nobody needs them.
	Optional []int
	// Pack, if set, returns a constant operand in the layout that the kernel reads it in, nil if it is to stay as it is. The
	// compiler calls it once; Spec.Packed then holds what it returned, which does not change.
	Pack func(attrs graph.Attrs, operand int, t *value.Tensor) any
	// Bind prepares the kernel for sizes: plans, scratch and tasks are made here, so that the Func it returns does not
	// allocate. nil, nil leaves the node to the reference.
	Bind func(s *Spec) (Func, error)
}

// Pack returns what the kernel of a node makes of a constant operand when the program is compiled, nil if nothing. For a fused node with
// a producer it is what the producer's kernel makes of it.
func Pack(n *graph.Node, operand int, t *value.Tensor) any {
	attrs := n.Attrs()
	if p := producerOf(n); p != nil {
		operand = slices.Index(p.Operands(), n.Regions()[0].Params()[operand])
		if n, attrs = p, p.Attrs(); operand < 0 {
			return nil
		}
	}
	k := Lookup(n.Op().Name, n.OperandTypes(), attrs)
	if k == nil || k.Pack == nil {
		return nil
	}
	return k.Pack(attrs, operand, t)
}

// producerOf returns the matrix product or convolution that a fused node begins with, nil if it is a map or not fused.
func producerOf(n *graph.Node) *graph.Node {
	if n.Op().Name != "fused" {
		return nil
	}
	for _, m := range n.Regions()[0].Nodes() {
		switch {
		case m.Op().Name == "constant":
		case producers[m.Op().Name] != nil:
			return m
		default:
			return nil
		}
	}
	return nil
}

// producers are the ops whose kernels take an epilogue, each with the function that binds the op to sizes: what it returns
// calls Apply once for every element of the first result, and is otherwise as Kernel.Bind says. A nil epilogue is none.
var producers = map[string]func(s *Spec, epilogue backend.Epilogue) (Func, error){}

var table = map[string][]*Kernel{}

// Register adds a row, also from another module. Of rows of one op whose dtypes overlap at most one may match; that needs a Match in
// each. It is for init functions: the table must not change once a program has been compiled.
func Register(k *Kernel) error {
	if k.Op == "" || k.DTypes == 0 || (k.Bind == nil) != k.Alias {
		return fmt.Errorf("kernels: the row of %q needs Op, DTypes, and Bind or Alias", k.Op)
	}
	for _, other := range table[k.Op] {
		if k.DTypes&other.DTypes != 0 && (k.Match == nil || other.Match == nil) {
			return fmt.Errorf("kernels: two rows of %q take %v", k.Op, k.DTypes&other.DTypes)
		}
	}
	table[k.Op] = append(table[k.Op], k)
	return nil
}

//go:noinline
func register(k *Kernel) {
	if err := Register(k); err != nil {
		panic(err)
	}
}

// Lookup returns the kernel for an op on operands of the given types, nil if the reference computes it.
func Lookup(op string, in []graph.Type, attrs graph.Attrs) *Kernel {
	rows := table[op]
	if len(rows) == 0 {
		return nil
	}
	types := make([]graph.TensorType, len(in))
	for i, t := range in {
		tt, ok := t.(graph.TensorType)
		if !ok {
			return nil
		}
		types[i] = tt
	}
	for _, k := range rows {
		if len(types) > 0 && !k.DTypes.Has(types[0].DType) {
			continue
		}
		if k.Match == nil || k.Match(types, attrs) {
			return k
		}
	}
	return nil
}

// Of returns the kernel that computes a node, nil if its reference does.
func Of(n *graph.Node) *Kernel {
	if len(table[n.Op().Name]) == 0 { // without looking at types
		return nil
	}
	return Lookup(n.Op().Name, n.OperandTypes(), n.Attrs())
}

// Claims reports whether a kernel computes the node whole.
func Claims(n *graph.Node) bool { return Of(n) != nil }

// Produces reports whether element-wise nodes may follow a node as its epilogue: its kernel applies them to each part of its result
// while that is in cache.
func Produces(n *graph.Node) bool { return producers[n.Op().Name] != nil && Claims(n) }

// CPU returns the instruction set that the kernels use: avx512, avx2, or generic for plain Go. The environment variable
// GRAPHRUN_CPU overrides what the processor offers; an error says that its value could not be obeyed.
func CPU() (string, error) { return level.Name(), level.Err }

// Rows returns all kernels of an op.
func Rows(op string) []*Kernel { return table[op] }
