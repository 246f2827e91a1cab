package main

import (
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

func init() { commands = append(commands, diffCommand) }

func diffCommand() *cobra.Command {
	var asJSON bool
	var within closeness
	cmd := &cobra.Command{
		Use:   "diff MODEL MODEL",
		Short: "Compare two models: functions, nodes, variables and weights",
		Long: `diff compares the text of two models and, if both have stored weights, their weights. A line that only the first model has begins
with -, one that only the second has with +:

  inputs, nodes, results and updates of functions, and functions missing from one model
  variables, their types, initializers and kinds, and the model's metadata, such as classes
  for weights that differ by more than --atol + --rtol*|first|, the largest absolute and relative difference

Nodes are matched by content, so one inserted node does not change the match of those after it. Source positions, names of models and
values, and the order of functions are ignored. The exit code is 0 if nothing differs, else 1.

` + modelHelp,
		Example: `  graphrun diff lenet5 trained
  graphrun diff lenet5 lenet5.graph
  graphrun diff lenet5/ trained/ --rtol 1e-5 --json`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return modelArgs(cmd, args[min(1, len(args)):], toComplete)
		},
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return usagef("two models are missing")
			case 1:
				return usagef("the model to compare %s with is missing", args[0])
			case 2:
				return nil
			}
			return usagef("unexpected argument %q after %s", args[2], args[1])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := within.check(); err != nil {
				return err
			}
			return runDiff(args[0], args[1], within, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.Float64Var(&within.rtol, "rtol", 0, "tolerance relative to the weight of the first model")
	f.Float64Var(&within.atol, "atol", 0, "absolute tolerance")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func runDiff(nameA, nameB string, within closeness, asJSON bool, stdout, stderr io.Writer) error {
	a, err := openModel(nameA)
	if err != nil {
		return err
	}
	b, err := openModel(nameB)
	if err != nil {
		return err
	}
	a.tell(stderr)
	b.tell(stderr)
	if (a.weights == nil) != (b.weights == nil) {
		without := nameA
		if b.weights == nil {
			without = nameB
		}
		fmt.Fprintf(stderr, "graphrun: note: %s has no stored weights: they are not compared\n", without)
	}
	d := diffModels(a, b, within)
	if asJSON {
		err = printJSON(stdout, d)
	} else {
		err = d.print(stdout)
	}
	if err == nil && !d.Same {
		err = fmt.Errorf("%s and %s differ", nameA, nameB)
	}
	return err
}

// modelDiff is how two models differ.
type modelDiff struct {
	Same      bool       `json:"same"`
	Meta      []partDiff `json:"meta"`
	Variables []partDiff `json:"variables"`
	Functions []partDiff `json:"functions"`
}

// partDiff is how a part of two models differs that both, or only one, have under a name.
type partDiff struct {
	Name    string      `json:"name"`
	Removed []string    `json:"removed,omitempty"` // what the first has
	Added   []string    `json:"added,omitempty"`   // what the second has
	Weights *difference `json:"weights,omitempty"` // how far values are apart, if they are
}

func (d *modelDiff) print(w io.Writer) error {
	var b strings.Builder
	for _, section := range []struct {
		title string
		parts []partDiff
	}{{"meta", d.Meta}, {"variable", d.Variables}, {"function", d.Functions}} {
		for _, p := range section.parts {
			fmt.Fprintf(&b, "%s %s\n", section.title, p.Name)
			for _, line := range p.Removed {
				fmt.Fprintf(&b, "  - %s\n", line)
			}
			for _, line := range p.Added {
				fmt.Fprintf(&b, "  + %s\n", line)
			}
			if p.Weights != nil {
				fmt.Fprintf(&b, "  %d of %d elements differ; largest absolute difference %.3g, relative %.3g\n",
					p.Weights.Off, p.Weights.Elements, float64(p.Weights.MaxAbs), float64(p.Weights.MaxRel))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diffModels compares two models. Where both have stored weights, these may be apart as within says.
func diffModels(a, b *model, within closeness) *modelDiff {
	d := &modelDiff{Meta: []partDiff{}, Variables: []partDiff{}, Functions: []partDiff{}}
	for _, key := range union(a.module.MetaKeys(), b.module.MetaKeys()) {
		if x, y := a.module.Meta(key), b.module.Meta(key); x != y {
			d.Meta = append(d.Meta, partDiff{Name: key, Removed: quoted(x), Added: quoted(y)})
		}
	}
	names := func(m *model) (list []string) {
		for _, v := range m.module.Variables() {
			list = append(list, v.Name())
		}
		return list
	}
	for _, name := range union(names(a), names(b)) {
		if p := diffVariable(name, a, b, within); p != nil {
			d.Variables = append(d.Variables, *p)
		}
	}
	for _, name := range union(funcNames(a.module), funcNames(b.module)) {
		removed, added := diffFuncs(a.module.LookupFunc(name), b.module.LookupFunc(name))
		if removed != nil || added != nil {
			d.Functions = append(d.Functions, partDiff{Name: name, Removed: removed, Added: added})
		}
	}
	d.Same = len(d.Meta)+len(d.Variables)+len(d.Functions) == 0
	return d
}

// union returns the names in a, then those in b alone.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, name := range b {
		if !slices.Contains(a, name) {
			all = append(all, name)
		}
	}
	return all
}

// quoted is an entry of the meta table as a line, none if there is none.
func quoted(text string) []string {
	if text == "" {
		return nil
	}
	return []string{fmt.Sprintf("%q", text)}
}

// diffVariable compares what two models say of a variable, and its values; nil if it is the same.
func diffVariable(name string, a, b *model, within closeness) *partDiff {
	x, y := a.module.LookupVariable(name), b.module.LookupVariable(name)
	describe := func(v *graph.Variable) []string {
		if v == nil {
			return nil
		}
		kind := "trained"
		switch {
		case v.IsOptimizerState():
			kind = "an optimizer's state"
		case !v.Trainable():
			kind = "not trained"
		}
		return []string{fmt.Sprintf("%s, %s", v.Type(), kind)}
	}
	p := &partDiff{Name: name}
	if r, s := describe(x), describe(y); !slices.Equal(r, s) {
		p.Removed, p.Added = r, s
	}
	if x != nil && y != nil {
		r, s := diffFuncs(x.Init(), y.Init())
		p.Removed, p.Added = append(p.Removed, r...), append(p.Added, s...)
		p.Weights = diffValues(a.weights[name], b.weights[name], within)
	}
	if p.Removed == nil && p.Added == nil && p.Weights == nil {
		return nil
	}
	return p
}

// diffValues returns how two tensors differ; nil if they do not, or cannot be compared.
func diffValues(x, y *value.Tensor, within closeness) *difference {
	if x == nil || y == nil || !slices.Equal(x.Shape(), y.Shape()) {
		return nil
	}
	d, err := compareArrays(y, x, within)
	if err != nil || d.Off == 0 {
		return nil
	}
	return &d
}

// statement is a line of a function: an input, a node, a result or an update.
type statement struct {
	key   string // what it says but for its operands
	deep  uint64 // and what they compute
	text  string
	takes []graph.Value
	gives []graph.Value
}

// statements returns the lines of a function, none of a nil one.
func statements(f *graph.Func) []*statement {
	if f == nil {
		return nil
	}
	names := f.ValueNames()
	var all []*statement
	from := map[graph.Value]*statement{}
	add := func(s *statement) {
		h := newHash()
		h.WriteString(s.key)
		for _, v := range s.takes {
			fmt.Fprint(h, " ", from[v].deep, " ", v.Index())
		}
		s.deep = h.Sum64()
		for _, v := range s.gives {
			from[v] = s
		}
		all = append(all, s)
	}
	for _, v := range f.Params() {
		text := fmt.Sprintf("input %%%s: %s", names[v], v.Type())
		add(&statement{key: text, text: text, gives: []graph.Value{v}})
	}
	for _, n := range f.Nodes() {
		add(&statement{key: nodeKey(n), text: n.String(), takes: n.Operands(), gives: n.Results()})
	}
	for _, u := range f.Updates() {
		key := "update @" + u.Var.Name()
		add(&statement{key: key, text: fmt.Sprintf("%s = %%%s", key, names[u.Value]), takes: []graph.Value{u.Value}})
	}
	for _, r := range f.Results() {
		key := "return " + r.Name
		add(&statement{key: key, text: fmt.Sprintf("%s: %%%s", key, names[r.Value]), takes: []graph.Value{r.Value}})
	}
	return all
}

// hashSeed makes the hashes of one process comparable.
var hashSeed = maphash.MakeSeed()

func newHash() *maphash.Hash {
	h := &maphash.Hash{}
	h.SetSeed(hashSeed)
	return h
}

// nodeKey is all that a node says but for its operands.
func nodeKey(n *graph.Node) string {
	var b strings.Builder
	b.WriteString(n.Op().Name)
	for _, a := range n.Attrs() {
		if t, ok := a.Value.(*value.Tensor); ok && t.DType() != value.String {
			fmt.Fprintf(&b, " %s=%s %x", a.Name, graph.TypeOf(t), maphash.Bytes(hashSeed, t.Bytes()))
			continue
		}
		fmt.Fprintf(&b, " %s=%v", a.Name, a.Value)
	}
	for _, r := range n.Regions() {
		b.WriteString(r.String())
	}
	fmt.Fprint(&b, " ", n.Types())
	return b.String()
}

// diffFuncs returns the lines that only one of two functions has: those that no line of the other matches, and those that take other
// values there. What takes a value of a line that is another is the same if it takes it of such a line in both. A missing function has no
// lines.
func diffFuncs(f, g *graph.Func) (removed, added []string) {
	a, b := statements(f), statements(g)
	twin := map[*statement]*statement{}
	for i, j := range matched(a, b) {
		twin[a[i]], twin[b[j]] = b[j], a[i]
	}
	from := map[graph.Value]*statement{}
	for _, s := range slices.Concat(a, b) {
		for _, v := range s.gives {
			from[v] = s
		}
	}
	same := func(x, y graph.Value) bool {
		s, t := from[x], from[y]
		if x.Index() != y.Index() {
			return false
		}
		return twin[s] == t || s.deep == t.deep || twin[s] == nil && twin[t] == nil
	}
	kept := func(s *statement) bool { return twin[s] != nil && slices.EqualFunc(s.takes, twin[s].takes, same) }
	for _, s := range a {
		if !kept(s) {
			removed = append(removed, s.text)
		}
	}
	for _, s := range b {
		if !kept(s) {
			added = append(added, s.text)
		}
	}
	return removed, added
}

// maxTable bounds the table by which lines are matched; functions beyond it match where they begin and end alike.
const maxTable = 1 << 24

// matched returns a longest common subsequence of two lists of lines by their keys: the places in b by those in a.
func matched(a, b []*statement) map[int]int {
	pairs := map[int]int{}
	start, endA, endB := 0, len(a), len(b)
	for start < endA && start < endB && a[start].key == b[start].key {
		pairs[start] = start
		start++
	}
	for endA > start && endB > start && a[endA-1].key == b[endB-1].key {
		endA, endB = endA-1, endB-1
		pairs[endA] = endB
	}
	a, b = a[start:endA], b[start:endB]
	if len(a) == 0 || len(b) == 0 || len(a) > maxTable/len(b) {
		return pairs
	}
	// longest[i][j] is the length for a[i:] and b[j:].
	longest := make([][]int32, len(a)+1)
	for i := range longest {
		longest[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if longest[i][j] = max(longest[i+1][j], longest[i][j+1]); a[i].key == b[j].key {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].key == b[j].key:
			pairs[start+i] = start + j
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}
