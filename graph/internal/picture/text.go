package picture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// mostRows bounds the rows of a box.
const mostRows = 12

// scopeOf is the layer that a node belongs to. A fused node belongs to the layer of the product in it, otherwise to the one that most
// of its nodes come from.
func scopeOf(n *graph.Node) string {
	if !n.IsFused() {
		return n.Scope()
	}
	count := map[string]int{}
	best := n.Scope()
	for _, r := range n.Regions() {
		for _, x := range r.Nodes() {
			if kindOf(x) == Product {
				return x.Scope()
			}
			if isSource(x) {
				continue
			}
			if count[x.Scope()]++; count[x.Scope()] > count[best] {
				best = x.Scope()
			}
		}
	}
	return best
}

func title(n *graph.Node) string {
	callee := n.Callee()
	switch {
	case callee != nil:
		return n.Op().Name + " @" + callee.Name()
	case isSource(n):
		return source(n).Label
	case n.IsFused():
		for _, r := range n.Regions() {
			for _, x := range r.Nodes() {
				if kindOf(x) == Product {
					return x.Op().Name + " + epilogue"
				}
			}
		}
	}
	return n.Op().Name
}

// rows are the result's name, and the attributes that are not at their defaults and not plain from the types, or what is fused.
func rows(n *graph.Node) []string {
	var rows []string
	for i := range n.NumResults() {
		if name := n.ResultName(i); name != "" {
			rows = append(rows, "%"+name)
		}
	}
	if isSource(n) {
		return append(rows, n.Types()[0].String())
	}
	if !n.IsFused() {
		return append(rows, attrs(n)...)
	}
	var ops []string
	for _, r := range n.Regions() {
		for _, x := range r.Nodes() {
			if !isSource(x) {
				ops = append(ops, strings.Join(append([]string{x.Op().Name}, attrs(x)...), ", "))
			}
		}
	}
	if len(ops) > mostRows {
		ops = append(ops[:mostRows-1:mostRows-1], fmt.Sprintf("and %d more", len(ops)-mostRows+1))
	}
	return append(rows, ops...)
}

// attrs are the rows of a node's attributes.
func attrs(n *graph.Node) []string {
	var rows []string
	for i, v := range n.Operands() {
		if arg := n.Op().Arg(i); arg != nil && arg.Window && v.Rank() > 2 {
			rows = append(rows, "kernel "+sizes(v.Shape()[2:], graph.Dim.String))
		}
	}
	for _, a := range n.Attrs() {
		spec := n.Op().Attr(a.Name)
		if spec == nil || spec.Default != nil && graph.EqualAttrValues(a.Value, spec.Default) {
			continue
		}
		ints, _ := a.Value.([]int64)
		equal := len(ints) > 0 && all(ints, ints[0])
		switch {
		case spec.Show == graph.ShowNever,
			spec.Show == graph.ShowSteps && all(ints, 1),
			spec.Show == graph.ShowPads && all(ints, 0):
		case equal && (spec.Show == graph.ShowSteps || spec.Show == graph.ShowPads):
			rows = append(rows, a.Name+" "+strconv.FormatInt(ints[0], 10))
		case spec.Show == graph.ShowSizes:
			rows = append(rows, a.Name+" "+sizes(ints, func(x int64) string { return strconv.FormatInt(x, 10) }))
		case a.Value == true:
			rows = append(rows, a.Name)
		default:
			rows = append(rows, a.Name+" "+short(attrText(a.Value)))
		}
	}
	return rows
}

func all(xs []int64, x int64) bool {
	return !slices.ContainsFunc(xs, func(y int64) bool { return y != x })
}

func sizes[T any](dims []T, text func(T) string) string {
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = text(d)
	}
	return strings.Join(parts, "×")
}

// longest is the number of characters of a value that is shown.
const longest = 40

func short(s string) string {
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}

// source is a constant or a variable's value, or what gives one another shape.
func source(n *graph.Node) *Source {
	if !isSource(n) {
		s := source(n.Operands()[0].Node())
		s.Type, s.Shown, s.Tip = n.Op().Name+" "+n.Types()[0].String(), true, s.Type+" "+s.Tip
		s.Nodes = append([]*graph.Node{n}, s.Nodes...)
		return s
	}
	s := &Source{Kind: Constant, Type: n.Types()[0].String(), Tip: tip(n), Nodes: []*graph.Node{n}}
	if v := n.Variable(); v != nil {
		s.Kind, s.Shown, s.Label = Variable, true, v.Name()
		s.Tip = "@" + s.Label + ": " + s.Tip
		return s
	}
	if s.Label = constant(n.Attrs().Tensor("value")); s.Label == s.Type {
		s.Label, s.Shown = n.Op().Name, true
	}
	return s
}

// tip is the line of the call that declared a node, and its layer.
func tip(n *graph.Node) string {
	var parts []string
	if n.Pos().IsKnown() {
		parts = append(parts, n.Pos().String())
	}
	if n.Scope() != "" {
		parts = append(parts, n.Scope())
	}
	return strings.Join(parts, " · ")
}

func operandName(op *graph.Op, i int) string {
	a := op.Arg(i)
	switch {
	case a == nil:
		return strconv.Itoa(i)
	case a.Variadic:
		return fmt.Sprintf("%s[%d]", a.Name, i-len(op.Args)+1)
	}
	return a.Name
}

// shownElems is the number of elements up to which a constant is shown with its elements.
const shownElems = 4

func constant(t *value.Tensor) string {
	if t == nil {
		return "?"
	}
	if t.Len() <= shownElems {
		text := string(t.AppendText(nil))
		if t.Rank() == 0 {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
		}
		if len(text) <= longest {
			return text
		}
	}
	return graph.TypeOf(t).String()
}

func attrText(v any) string {
	switch v := v.(type) {
	case graph.Symbol:
		return "@" + string(v)
	case string:
		return strconv.Quote(v)
	case *value.Tensor:
		return constant(v)
	case []graph.Dim:
		return list(v, graph.Dim.String)
	case []int64:
		return list(v, func(x int64) string { return strconv.FormatInt(x, 10) })
	case []float64:
		return list(v, func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) })
	}
	return fmt.Sprint(v)
}

func list[T any](xs []T, text func(T) string) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = text(x)
	}
	return "[" + strings.Join(parts, ",") + "]"
}
