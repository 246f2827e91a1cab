package own

import (
	"sync"
	"weak"

	"github.com/graphrun/graphrun/graph"
)

// Eval is a layer that was applied for evaluation though nobody asked for it: the call had no mode.
type Eval struct {
	Kind string
	Pos  graph.Pos // of the call
	node weak.Pointer[graph.Node]
}

var evals struct {
	sync.Mutex
	of map[weak.Pointer[graph.Func]][]Eval
}

// NoteEval notes that a layer of the kind gave y for evaluation without being asked for it, in the function of y.
func NoteEval(kind string, y graph.Value) {
	evals.Lock()
	defer evals.Unlock()
	f := weak.Make(y.Func())
	if evals.of == nil {
		evals.of = map[weak.Pointer[graph.Func]][]Eval{}
	}
	if evals.of[f] == nil {
		for q := range evals.of { // forget functions that are gone
			if q.Value() == nil {
				delete(evals.of, q)
			}
		}
	}
	evals.of[f] = append(evals.of[f], Eval{kind, graph.Caller(), weak.Make(y.Node())})
}

// TakeEvals returns what was noted of the layers on which v depends, and forgets all that was noted of its function.
func TakeEvals(v graph.Value) []Eval {
	evals.Lock()
	f := weak.Make(v.Func())
	noted := evals.of[f]
	delete(evals.of, f)
	evals.Unlock()
	if len(noted) == 0 {
		return nil
	}
	needed := map[*graph.Node]bool{}
	for open := []graph.Value{v}; len(open) > 0; {
		n := open[len(open)-1].Node()
		open = open[:len(open)-1]
		if n != nil && !needed[n] {
			needed[n] = true
			open = append(open, n.Operands()...)
		}
	}
	var list []Eval
	for _, e := range noted {
		if n := e.node.Value(); n == nil || needed[n] {
			list = append(list, e)
		}
	}
	return list
}
