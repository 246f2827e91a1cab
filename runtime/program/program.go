package program

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// Program is a compiled module.
type Program struct {
	// Module is the optimized module that the instructions come from.
	Module *graph.Module
	// Funcs are the functions that a session can run, by name.
	Funcs map[string]*Func
	// Variables are the module's variables in declaration order, each with the function that computes its first value.
	Variables []Variable
	// Packs are constants in the layouts in which kernels read them, one copy for all sessions, by their tensors. It is the one part
	// that grows, where a layout depends on sizes.
	Packs *kernels.Packs
}

// Variable is a variable, its initializer, which has one input: a u64[2] random key, and the first value that takes the initializer's
// place where it is not nil.
type Variable struct {
	Name      string
	Type      graph.TensorType
	Trainable bool
	Init      *Func
	First     *value.Tensor
}

// Func is a function as a flat list of instructions. Slots hold one value each, assigned once per run.
type Func struct {
	Name    string
	Inputs  []Port
	Outputs []Port
	Updates []Update
	Slots   []Slot

	// Instrs are the instructions in order. Those from Commit on write the next values of variables over the present ones:
	// they run when nothing can fail any more and after the outputs have been taken.
	Instrs []Instr
	Commit int
	// Keep are the variables whose present values are needed after they have been updated: the next value of one of these
	// takes new storage.
	Keep []int

	// Dynamic says that the size of some value depends on data, or that some value is no tensor: there is no plan, and
	// storage is allocated as values come.
	Dynamic bool
	// Plan is where the slots lie, for every size of the function's one symbol. It is nil for a dynamic function and for
	// one whose sizes are not affine in one symbol, which is planned when its sizes are known.
	Plan *Plan
}

// Port is a named input or output.
type Port struct {
	Name string
	Type graph.Type
	Slot int
}

// Update maps a variable, by its index in Program.Variables, to the slot of its next value. Unless that slot lies in the
// variable itself, its value is copied there when the run has succeeded.
type Update struct {
	Var  int
	Slot int
}

// Place says what kind of storage a slot has.
type Place uint8

// The places of slots.
const (
	Arena    Place = iota // the memory of a run: see Plan
	Input                 // the caller's tensor; Index is the input
	Output                // the tensor that the caller is given; Index is the output
	Constant              // Slot.Const
	Read                  // the present value of variable Index
	Next                  // the next value of variable Index, written over the present one
	View                  // the storage of slot Index, seen in another shape
	Reuse                 // the storage of slot Index, whose value is not needed any more
	Omitted               // none: nobody needs the value, and the kernel leaves it out
)

// Slot is one value of a function.
type Slot struct {
	Type  graph.Type
	Place Place
	Index int
	Const *value.Tensor
}

// Instr computes one node.
type Instr struct {
	Node *graph.Node
	In   []int // slots of the operands
	Out  []int // slots of the results
	Free []int // slots that no later instruction, output or update needs
	// Kernel computes the node; nil leaves it to its op's reference.
	Kernel *kernels.Kernel
}

// Alias reports whether the instruction moves nothing: its result is a View of its operand.
func (in *Instr) Alias() bool { return in.Kernel != nil && in.Kernel.Alias }

// Root follows views and reuses to the slot that has storage of its own.
func (f *Func) Root(slot int) int {
	for f.Slots[slot].Place == View || f.Slots[slot].Place == Reuse {
		slot = f.Slots[slot].Index
	}
	return slot
}

// Steps returns the number of instructions that are executed: all but aliases.
func (f *Func) Steps() int {
	n := 0
	for i := range f.Instrs {
		if !f.Instrs[i].Alias() {
			n++
		}
	}
	return n
}

// Affine is a number of bytes that grows with the plan's symbol: Per*N + Fixed.
type Affine struct{ Per, Fixed int64 }

// At returns the number of bytes for N = n.
func (a Affine) At(n int64) int64 { return a.Per*n + a.Fixed }

// Plan is where the slots of a function lie in its arena.
type Plan struct {
	// Symbol is the size that offsets grow with, "" if all sizes are constant.
	Symbol string
	// Sizes and Offsets are those of the slots whose Place is Arena; those of Output and Reuse have sizes too. The offset for N = n
	// is Per*n rounded up to a multiple of the slot's alignment, plus Fixed.
	Sizes, Offsets []Affine
	// Peak is the size of the arena: what lies beyond it is never touched.
	Peak Affine
	// Bound is the most that is live at once: per symbol and fixed, each for itself. No plan of offsets that hold for all N needs less.
	Bound Affine
}

// Align is the alignment of slots in bytes, a line of the cache. Slots that take less than a line, for each unit of the symbol if they grow
// with it, have SmallAlign: a line for each would be most of a small arena.
const (
	Align      = 64
	SmallAlign = 8
)

// Alignment returns the alignment of a slot of the given size.
func (a Affine) Alignment() int64 {
	if a.Per >= Align || a.Per == 0 && a.Fixed >= Align {
		return Align
	}
	return SmallAlign
}

// RoundUp returns the least multiple of align, a power of two, that is not below n.
func RoundUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

// Offset returns where a slot lies for N = n.
func (p *Plan) Offset(slot int, n int64) int64 {
	return RoundUp(p.Offsets[slot].Per*n, p.Sizes[slot].Alignment()) + p.Offsets[slot].Fixed
}

// Size returns the size of the arena for N = n.
func (p *Plan) Size(n int64) int64 { return p.Peak.At(n) }
