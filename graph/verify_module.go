package graph

import (
	"fmt"
	"strings"
)

func (v *verifier) module() {
	m := v.m
	if !isSymbol(m.name) {
		v.faultf(Pos{}, "module", "%q is not a name", m.name)
	}
	for _, vr := range m.vars {
		switch {
		case vr == nil:
			v.faultf(Pos{}, "var", "a variable is nil")
		case !isSymbol(vr.name):
			v.faultf(vr.pos, "var", "%q is not a name", vr.name)
		case m.varByName[vr.name] != vr:
			v.faultf(vr.pos, "var", "@%s is not what the module finds under its name", vr.name)
		}
	}
	for _, f := range m.funcs {
		switch {
		case f == nil:
			v.faultf(Pos{}, "func", "a function is nil")
		case !isSymbol(f.name):
			v.faultf(f.pos, "func", "%q is not a name", f.name)
		case m.funcByName[f.name] != f:
			v.faultf(f.pos, "func", "@%s is not what the module finds under its name", f.name)
		}
	}
	if len(m.vars) != len(m.varByName) || len(m.funcs) != len(m.funcByName) {
		v.faultf(Pos{}, "module", "the tables hold %d variables and %d functions, the lists %d and %d", len(m.varByName), len(m.funcByName), len(m.vars), len(m.funcs))
	}
	for k, val := range m.meta {
		if val == "" {
			v.faultf(Pos{}, "meta", "%q has no value", k)
		}
	}
}

func (v *verifier) variables() {
	for _, vr := range v.m.vars {
		_, constant := vr.typ.ConstShape()
		switch {
		case vr.module != v.m:
			v.faultf(vr.pos, "var", "@%s belongs to another module", vr.name)
		case !vr.typ.DType.Valid() || !constant:
			v.faultf(vr.pos, "var", "@%s: want a tensor with constant dims, have %s", vr.name, vr.typ)
		default:
			if fault := typeFault(vr.typ); fault != "" {
				v.faultf(vr.pos, "var", "@%s is %s: %s", vr.name, vr.typ, fault)
			}
			if fault := vr.stateFault(); fault != "" {
				v.faultf(vr.pos, "var", "@%s: %s", vr.name, fault)
			}
		}
	}
}

// stateFault says what is wrong with what the variable is for, "" if nothing is.
func (v *Variable) stateFault() string {
	if v.optimizer && v.trainable {
		return "the state of an optimizer is not trainable"
	}
	return ""
}

// checkInit says what is wrong with the initializer, "" if it is sound.
func (v *Variable) checkInit() string {
	key := TensorType{DType: U64, Shape: Ints(2)}
	switch f := v.init; {
	case f == nil:
		return "there is no initializer"
	case len(f.params) != 1 || !EqualTypes(f.params[0].types[0], key):
		return fmt.Sprintf("the initializer takes %s, want one %s", typeList(f.Params()), key)
	case len(f.results) != 1 || !EqualTypes(f.results[0].Value.Type(), v.typ):
		var vals []Value
		for _, r := range f.results {
			vals = append(vals, r.Value)
		}
		return fmt.Sprintf("the initializer gives %s, want one %s", typeList(vals), v.typ)
	}
	return ""
}

func typeList(vals []Value) string {
	if len(vals) == 0 {
		return "nothing"
	}
	types := make([]string, len(vals))
	for i, x := range vals {
		types[i] = x.Type().String()
	}
	return strings.Join(types, ", ")
}

func (v *verifier) initializers() {
	for _, vr := range v.m.vars {
		if fault := vr.checkInit(); fault != "" {
			v.faultf(vr.pos, "var", "@%s: %s", vr.name, fault)
		}
	}
}
