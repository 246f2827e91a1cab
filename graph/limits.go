package graph

import "github.com/graphrun/graphrun/graph/value"

// mostNodes is how many nodes a function may have, with those that its calls stand for. A few lines of text can ask for more than any
// memory holds: functions that call one another twice, gradients of gradients.
func mostNodes() int { return min(1<<20, value.Memory()>>12) }

// fewNodes is how many any memory holds.
const fewNodes = 1 << 12

// full reports a function that has no room for another node, once.
func (f *Func) full(n *Node) bool {
	if len(f.nodes) < fewNodes {
		return false
	}
	most := mostNodes()
	if len(f.nodes) < most {
		return false
	}
	if m := f.module; !m.full {
		m.full = true
		m.Report(n.pos, n.op.Name, "@%s is too large: it would have more than %d nodes", f.name, most)
	}
	return true
}

// IsFull reports whether a function of the module has no room for what was to become part of it, which Err says.
func (m *Module) IsFull() bool { return m.full }
