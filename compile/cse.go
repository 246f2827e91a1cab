package compile

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

var cse = &Pass{
	Name: "cse",
	Doc: "Merges nodes of one op with the same operands and the same attributes, all compared in full: " +
		"hashes only find candidates, and constants are compared by their bits. Random nodes are never merged. " +
		"Equal constants of several functions share their memory, and with it what is packed of them.",
	Run: func(c *Context, m *graph.Module) error {
		s := &sharing{maphash.MakeSeed(), map[uint64]*value.Tensor{}}
		return eachFunc(m, func(f *graph.Func) error { s.mergeEqual(c, f); return nil })
	},
	After: []string{"autodiff"},
}

// sharing is what functions have in common while equal nodes of each are merged.
type sharing struct {
	seed      maphash.Seed
	constants map[uint64]*value.Tensor // the first large one of each hash
}

func (s *sharing) mergeEqual(c *Context, f *graph.Func) {
	first := make(map[uint64]*graph.Node, len(f.Nodes())) // of each hash, and
	var more map[uint64][]*graph.Node                     // those that share it
	rewriteFunc(f, func(n *graph.Node) []graph.Value {
		if n.Op().Props.Random || len(n.Regions()) > 0 {
			return nil
		}
		key := hashNode(s.seed, n)
		old := first[key]
		if old != nil && !sameNode(old, n) {
			i := slices.IndexFunc(more[key], func(k *graph.Node) bool { return sameNode(k, n) })
			if old = nil; i >= 0 {
				old = more[key][i]
			} else {
				if more == nil {
					more = map[uint64][]*graph.Node{}
				}
				more[key] = append(more[key], n)
			}
		} else if old == nil {
			first[key] = n
		}
		if old == nil {
			return s.shareConstant(f, n, key, first)
		}
		if !c.Allow(n.Op().Name, n) {
			return nil
		}
		return old.Results()
	})
}

// shareConstant returns a constant that takes the place of an equal one of a function if another function has that, in the same memory.
func (s *sharing) shareConstant(f *graph.Func, n *graph.Node, key uint64, first map[uint64]*graph.Node) (values []graph.Value) {
	if !n.IsConstant() || first[key] != n {
		return nil
	}
	t, _ := n.Result(0).Constant()
	if t.Len() <= smallConstant {
		return nil
	}
	have := s.constants[key]
	if have == nil {
		s.constants[key] = t
	}
	if have == t || !have.Equal(t) {
		return nil
	}
	f.Module().AtNode(n, func() { values = []graph.Value{f.Const(have)} })
	first[key] = values[0].Node()
	return values
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

// hashNode hashes a node whose operands stand in their function, so that equal ones have equal hashes.
func hashNode(seed maphash.Seed, n *graph.Node) uint64 {
	h := maphash.String(seed, n.Op().Name)
	in := n.Operands()
	if n.Op().Props.Commutative {
		a, b := operandID(in[0]), operandID(in[1])
		h = mix(mix(h, min(a, b)), max(a, b))
	} else {
		for _, v := range in {
			h = mix(h, operandID(v))
		}
	}
	for _, a := range n.Attrs() {
		switch x := a.Value.(type) {
		case int64:
			h = mix(h, uint64(x))
		case float64:
			h = mix(h, math.Float64bits(x))
		case bool:
			if x {
				h = mix(h, 1)
			} else {
				h = mix(h, 0)
			}
		case string:
			h = mix(h, maphash.String(seed, x))
		case graph.Symbol:
			h = mix(h, maphash.String(seed, string(x)))
		case graph.DType:
			h = mix(h, uint64(x))
		case []int64:
			h = mix(h, uint64(len(x)))
			for _, i := range x {
				h = mix(h, uint64(i))
			}
		case []float64:
			h = mix(h, uint64(len(x)))
			for _, f := range x {
				h = mix(h, math.Float64bits(f))
			}
		case []graph.Dim:
			for _, d := range x {
				if size, ok := d.Int(); ok {
					h = mix(h, uint64(size))
				} else {
					h = mix(h, maphash.String(seed, d.Key()))
				}
			}
		case *value.Tensor:
			h = mix(h, maphash.Bytes(seed, x.Bytes()))
		}
	}
	return h
}

// operandID numbers the values of a function: nodes have few results.
func operandID(v graph.Value) uint64 { return uint64(v.Node().Index())<<16 + uint64(v.Index()) }

// mix hashes x into h, by the product of wyhash.
func mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return hi ^ lo
}
