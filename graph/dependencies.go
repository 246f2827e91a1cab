package graph

// Dependencies returns the variables that values of functions of the module depend on, those that called functions read included, in the
// module's order. Of a call it counts what any result of the called function depends on.
func (m *Module) Dependencies(vals ...Value) []*Variable {
	found := map[*Variable]bool{}
	r := &reached{m: m}
	r.from(vals, func(v *Variable) { found[v] = true })
	var vars []*Variable
	for _, v := range m.vars {
		if found[v] {
			vars = append(vars, v)
		}
	}
	return vars
}

// markOptimizerState marks the variables of a module that are an optimizer's state, by what the functions do with them; see Parse.
func (m *Module) markOptimizerState() {
	used := map[*Variable]bool{} // by results
	results := &reached{m: m}
	next := map[*Variable][]Value{} // values, by functions
	var follow []Value
	for _, f := range m.funcs {
		for _, r := range f.results {
			results.from([]Value{r.Value}, func(v *Variable) { used[v] = true })
		}
		for _, u := range f.updates {
			next[u.Var] = append(next[u.Var], u.Value)
			if u.Var.trainable {
				follow = append(follow, u.Value)
			}
		}
	}
	updates := &reached{m: m}
	for len(follow) > 0 {
		vals := follow
		follow = nil
		updates.from(vals, func(v *Variable) {
			if !v.trainable && !used[v] && !v.optimizer {
				v.optimizer = true
				follow = append(follow, next[v]...)
			}
		})
	}
}

// reached is what values depend on, as far as it has been followed.
type reached struct {
	m      *Module
	nodes  map[*Node]bool
	called map[*Func]bool
}

// from follows the values to what they depend on, and calls visit for every read of a variable that was not reached before.
func (r *reached) from(vals []Value, visit func(*Variable)) {
	if r.nodes == nil {
		r.nodes, r.called = map[*Node]bool{}, map[*Func]bool{}
	}
	stack := append([]Value(nil), vals...)
	for len(stack) > 0 {
		n := stack[len(stack)-1].Node()
		stack = stack[:len(stack)-1]
		if n == nil || r.nodes[n] {
			continue
		}
		r.nodes[n] = true
		stack = append(stack, n.in...)
		switch n.op {
		case readOp:
			if v := r.m.varByName[string(n.attrs.Symbol("var"))]; v != nil {
				visit(v)
			}
		case callOp:
			if g := r.m.funcByName[string(n.attrs.Symbol("func"))]; g != nil && !r.called[g] {
				r.called[g] = true
				for _, res := range g.results {
					stack = append(stack, res.Value)
				}
			}
		}
	}
}
