package compile

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// Target is what the rows fold, decompose and fuse ask about the machine that a program is made for. They ask nothing else.
type Target struct {
	// Name is the target's name in messages.
	Name string
	// Whole reports whether the target computes a composite as one, so that it stays a node.
	Whole func(n *graph.Node) bool
	// Wide reports whether the target computes a node in f32 only, whose operands are floats for storage; nil stands for no.
	Wide func(n *graph.Node) bool
	// Role returns what a node may be in a fused one.
	Role func(n *graph.Node) kernels.Role
	// Evaluate computes a node of constants when the module is compiled; nil leaves it to the op's reference.
	Evaluate func(n *graph.Node, in []value.Value) ([]value.Value, error)
}

// CPU is the target that the kernels of this build describe.
var CPU = &Target{
	Name:  "cpu",
	Whole: func(n *graph.Node) bool { return kernels.Select(n) != nil },
	Wide:  kernels.Widens,
	Role:  kernels.RoleOf,

	Evaluate: byKernel,
}

// anywhere is the target of what leaves this build. Composites that targets commonly compute as one say so themselves.
var anywhere = &Target{
	Name:  "anywhere",
	Whole: func(n *graph.Node) bool { return n.Op().Props.Whole },
	Role:  func(*graph.Node) kernels.Role { return kernels.Apart },
}

// For makes the program for a target; the default is CPU.
func For(t *Target) Option { return func(c *Context) { c.target = t } }
