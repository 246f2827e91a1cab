// Package program is a compiled module: per function a flat list of instructions over numbered slots.
// It is plain data, immutable once compiled: many sessions run one program at the same time.
package program

import (
	"github.com/graphrun/graphrun/graph"
)

// Program is a compiled module.
type Program struct {
	// Module is the optimized module that the instructions come from.
	Module *graph.Module
	// Funcs are the functions that a session can run, by name.
	Funcs map[string]*Func
	// Variables are the module's variables in declaration order, each with the function that computes its first value.
	Variables []Variable
}

// Variable is a variable and its initializer, which has one input: a u64[2] random key.
type Variable struct {
	Name      string
	Type      graph.TensorType
	Trainable bool
	Init      *Func
}

// Func is a function as a flat list of instructions. Slots hold one value each, assigned once per run.
type Func struct {
	Name    string
	Inputs  []Port
	Outputs []Port
	Updates []Update
	Instrs  []Instr
	Slots   int
}

// Port is a named input or output.
type Port struct {
	Name string
	Type graph.Type
	Slot int
}

// Update maps a variable to the slot of its next value.
type Update struct {
	Var  string
	Slot int
}

// Instr computes one node.
type Instr struct {
	Node *graph.Node
	In   []int // slots of the operands
	Out  []int // slots of the results
	Free []int // slots that no later instruction, output or update needs
}
