package compile

import (
	"hash/maphash"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/value"
)

var cse = &Pass{
	Name: "cse",
	Doc: "Merges nodes of one op with the same operands and the same attributes, all compared in full: " +
		"hashes only find candidates, and constants are compared by their bits. Random nodes are never merged.",
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { mergeEqual(c, f); return nil })
	},
	After: []string{"autodiff"},
}

func mergeEqual(c *Context, f *graph.Func) {
	w := newRewriter(f)
	h := newNodeHash()
	seen := map[uint64][]*graph.Node{}
next:
	for _, n := range w.take() {
		w.rewire(n)
		if n.Op().Props.Random || len(n.Regions()) > 0 {
			f.Append(n)
			continue
		}
		key := h.sum(n)
		for _, old := range seen[key] {
			if sameNode(old, n) && c.allow(n.Op().Name) {
				w.replace(n, old.Results())
				continue next
			}
		}
		seen[key] = append(seen[key], n)
		f.Append(n)
	}
	w.finish()
}

// sameNode compares op, operands and attributes in full.
func sameNode(a, b *graph.Node) bool {
	if a.Op() != b.Op() || !graph.EqualAttrs(a.Attrs(), b.Attrs()) {
		return false
	}
	if slices.Equal(a.Operands(), b.Operands()) {
		return true
	}
	x, y := a.Operands(), b.Operands()
	return a.Op().Props.Commutative && x[0] == y[1] && x[1] == y[0]
}

// nodeHash hashes nodes so that equal ones have equal hashes.
type nodeHash struct {
	seed maphash.Seed
	ids  map[graph.Value]uint64
}

func newNodeHash() *nodeHash {
	return &nodeHash{seed: maphash.MakeSeed(), ids: map[graph.Value]uint64{}}
}

func (h *nodeHash) id(v graph.Value) uint64 {
	id, ok := h.ids[v]
	if !ok {
		id = uint64(len(h.ids)) + 1
		h.ids[v] = id
	}
	return id
}

func (h *nodeHash) sum(n *graph.Node) uint64 {
	var m maphash.Hash
	m.SetSeed(h.seed)
	m.WriteString(n.Op().Name)
	ids := make([]uint64, len(n.Operands()))
	for i, v := range n.Operands() {
		ids[i] = h.id(v)
	}
	if n.Op().Props.Commutative {
		slices.Sort(ids)
	}
	for _, id := range ids {
		writeUint(&m, id)
	}
	for _, a := range n.Attrs() {
		m.WriteString(a.Name)
		switch x := a.Value.(type) {
		case int64:
			writeUint(&m, uint64(x))
		case float64:
			writeUint(&m, math.Float64bits(x))
		case bool:
			if x {
				m.WriteByte(1)
			}
		case string:
			m.WriteString(x)
		case graph.Symbol:
			m.WriteString(string(x))
		case graph.DType:
			m.WriteByte(byte(x))
		case []int64:
			for _, i := range x {
				writeUint(&m, uint64(i))
			}
		case []float64:
			for _, f := range x {
				writeUint(&m, math.Float64bits(f))
			}
		case []graph.Dim:
			for _, d := range x {
				m.WriteString(d.Key())
			}
		case *value.Tensor:
			m.Write(x.Bytes())
		}
	}
	return m.Sum64()
}

func writeUint(m *maphash.Hash, x uint64) {
	maphash.WriteComparable(m, x)
}
