package graph

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// PrintOptions change what Print writes. The zero value prints a text that is complete by itself and
// leaves positions out, so that it does not change when code moves.
type PrintOptions struct {
	// Locations adds the position and the layer of every declaration as loc("model.go":42, "features.0").
	// Files are named by their last element: a stored model does not tell where it was built.
	Locations bool
	// External offers a constant of more than 64 elements under a name made from its contents. If it
	// returns true, the caller keeps the tensor under that name and the text holds name and sha256
	// only. Equal tensors have equal names and may be offered again. It is not called in a program that
	// does not link crypto/sha256.
	External func(name string, t *value.Tensor) bool
	// Editable leaves out numbers of values that are sizes or other integers of the module too: a text in which a layer's 84
	// stands for nothing else can be edited by search and replace. The numbers are then not those of Func.ValueNames.
	Editable bool
}

// Print writes the text form of m. Parse reads it back as an equal module, or reports the faults that
// Verify finds in m.
func Print(w io.Writer, m *Module, opt PrintOptions) error {
	if w == nil || m == nil {
		return errors.New("want a writer and a module, have nil")
	}
	p := &printer{opt: opt}
	if opt.Editable {
		p.taken = integers(m)
	}
	p.module(m)
	_, err := w.Write(p.text)
	return err
}

// String returns the text form without positions, all constants included.
func (m *Module) String() string {
	return printed(PrintOptions{}, func(p *printer) { p.module(m) })
}

// String returns the text form of one function without positions, all constants included.
func (f *Func) String() string {
	return printed(PrintOptions{}, func(p *printer) {
		if f.detached {
			p.put("region")
		} else {
			p.put("func @", f.name)
		}
		p.function(f, p.nameValues(f), "", "")
		p.put("\n")
	})
}

// String returns the node's statement on one line, for messages: regions and long constants are left
// out. Values are called as in the text of the whole function.
func (n *Node) String() string {
	return printed(PrintOptions{}, func(p *printer) {
		p.brief = true
		p.node(n, p.nameValues(n.fn), "")
	})
}

func printed(opt PrintOptions, write func(*printer)) string {
	p := &printer{opt: opt}
	write(p)
	return string(p.text)
}

type printer struct {
	text  []byte
	opt   PrintOptions
	brief bool
	taken map[string]bool // numbers that no value gets
}

// put writes strings one after the other.
// Not inlined: 7.9 kB of the service.
//
//go:noinline
func (p *printer) put(parts ...string) {
	for _, s := range parts {
		p.text = append(p.text, s...)
	}
}

// ValueNames returns what every value of f, parameters included, is called in the text, without the %: the user's name, or a
// number. Numbers count the values without a name in the order of the text, so they are other ones after a change of f.
func (f *Func) ValueNames() map[Value]string { return (&printer{}).nameValues(f) }

// nameValues names every value of f: the user's name, or a number in the order of the text. Regions are
// closed, so each has numbers of its own.
func (p *printer) nameValues(f *Func) map[Value]string {
	if f == nil {
		return nil
	}
	names := make(map[Value]string, len(f.params)+len(f.nodes))
	next := 0
	add := func(n *Node) {
		for i := range n.types {
			name := n.ResultName(i)
			if name == "" {
				for name = strconv.Itoa(next); p.taken[name]; name = strconv.Itoa(next) {
					next++
				}
				next++
			}
			names[n.Result(i)] = name
		}
	}
	for _, n := range f.params {
		add(n)
	}
	for _, n := range f.nodes {
		add(n)
	}
	return names
}

// integers returns the integers in the types and attributes of m, as they are printed.
func integers(m *Module) map[string]bool {
	found := map[string]bool{}
	words := func(text string) {
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
			found[w] = true
		}
	}
	ofType := func(t Type) { eachDim(t, func(d Dim) { words(d.String()) }) }
	var ofFunc func(f *Func)
	ofFunc = func(f *Func) {
		for _, n := range f.params {
			ofType(n.types[0])
		}
		for _, n := range f.nodes {
			for _, t := range n.types {
				ofType(t)
			}
			for _, a := range n.attrs {
				switch x := a.Value.(type) {
				case int64:
					words(strconv.FormatInt(x, 10))
				case []int64:
					for _, k := range x {
						words(strconv.FormatInt(k, 10))
					}
				case []Dim:
					ofType(TensorType{Shape: x})
				case Type:
					ofType(x)
				}
			}
			for _, r := range n.regions {
				ofFunc(r)
			}
		}
	}
	for _, v := range m.vars {
		ofType(v.typ)
		if v.init != nil {
			ofFunc(v.init)
		}
	}
	for _, f := range m.funcs {
		ofFunc(f)
	}
	return found
}

func (p *printer) module(m *Module) {
	p.put("graphrun ", strconv.Itoa(FormatVersion), "\nmodule @", m.name, "\n")
	for _, k := range m.MetaKeys() {
		p.put("meta ", strconv.Quote(k), " = ", strconv.Quote(m.meta[k]), "\n")
	}
	for i, v := range m.vars {
		if i == 0 {
			p.put("\n")
		}
		p.variable(v)
	}
	for _, f := range m.funcs {
		p.put("\nfunc @", f.name)
		p.function(f, p.nameValues(f), "", "")
		p.put("\n")
	}
}

func (p *printer) variable(v *Variable) {
	p.put("var @", v.name, ": ", v.typ.String())
	switch {
	case v.optimizer:
		p.put(" {optimizer_state=", strconv.FormatBool(v.optimizer), ", trainable=", strconv.FormatBool(v.trainable), "}")
	case !v.trainable:
		p.put(" {trainable=false}")
	}
	p.loc(v.pos, "")
	if v.init != nil {
		p.put(" = init")
		p.functionAt(v.init, v.pos, p.nameValues(v.init), "", "")
	}
	p.put("\n")
}

// function prints all that follows the name of f. The scope is that of the node that carries f.
func (p *printer) function(f *Func, names map[Value]string, indent, scope string) {
	p.functionAt(f, Pos{Line: -1}, names, indent, scope)
}

// functionAt leaves out the positions that are those of the declaration that f is part of, which Parse
// assumes for what has none.
func (p *printer) functionAt(f *Func, decl Pos, names map[Value]string, indent, scope string) {
	p.put("(")
	for i, n := range f.params {
		if i > 0 {
			p.put(", ")
		}
		p.put("%", names[n.Result(0)], ": ", n.Result(0).Type().String())
		if n.pos != f.pos || n.scope != scope {
			p.loc(n.pos, n.scope)
		}
	}
	p.put(")")
	if f.pos != decl {
		p.loc(f.pos, "")
	}
	p.put(" {\n")
	inner := indent + "  "
	for _, n := range f.nodes {
		p.put(inner)
		p.node(n, names, inner)
		p.put("\n")
	}
	for _, u := range f.updates {
		p.put(inner, "update @", u.Var.name, " = ", operand(u.Value, names), "\n")
	}
	for i, r := range f.results {
		if i == 0 {
			p.put(inner, "return ")
		} else {
			p.put(", ")
		}
		p.put(r.Name, ": ", operand(r.Value, names))
	}
	if len(f.results) > 0 {
		p.put("\n")
	}
	p.put(indent, "}")
}

// operand names a value; one that is not of the function, which the verifier refuses, is %?.
func operand(v Value, names map[Value]string) string {
	if name, ok := names[v]; ok {
		return "%" + name
	}
	return "%?"
}

func (p *printer) node(n *Node, names map[Value]string, indent string) {
	for i := range n.types {
		if i > 0 {
			p.put(", ")
		}
		p.put(operand(n.Result(i), names))
	}
	if len(n.types) > 0 {
		p.put(" = ")
	}
	p.put(n.op.Name)
	if n.op.Version > 1 {
		p.put(".", strconv.Itoa(n.op.Version))
	}
	for i, v := range n.in {
		if i > 0 {
			p.put(",")
		}
		p.put(" ", operand(v, names))
	}
	for _, r := range n.regions {
		p.put(" region")
		if p.brief {
			p.put("(...)")
			continue
		}
		p.functionAt(r, n.pos, p.nameValues(r), indent, n.scope)
	}
	open, end := " {", ""
	for _, a := range n.attrs {
		if s := n.op.Attr(a.Name); s != nil && s.Quiet && EqualAttrValues(a.Value, s.Default) {
			continue
		}
		p.put(open, a.Name, "=")
		p.attr(a.Value)
		open, end = ", ", "}"
	}
	p.put(end)
	for i, t := range n.types {
		if i == 0 {
			p.put(" : ")
		} else {
			p.put(", ")
		}
		if t == nil {
			t = invalidType{}
		}
		p.put(t.String())
	}
	p.loc(n.pos, n.scope)
}

// loc prints a position and a layer, " loc(unknown)" where there is neither: a text with locations says
// something about every declaration, because Parse takes the text's own line otherwise.
func (p *printer) loc(pos Pos, scope string) {
	if !p.opt.Locations {
		return
	}
	p.put(" loc(")
	if pos.IsKnown() {
		file := filepath.ToSlash(pos.File)
		file = file[strings.LastIndexByte(file, '/')+1:]
		p.put(strconv.Quote(file), ":", strconv.Itoa(pos.Line))
	} else {
		p.put("unknown")
	}
	if scope != "" {
		p.put(", ", strconv.Quote(scope))
	}
	p.put(")")
}

func (p *printer) attr(v any) {
	switch v := v.(type) {
	case int64:
		p.put(strconv.FormatInt(v, 10))
	case float64:
		p.put(formatFloat(v))
	case bool:
		p.put(strconv.FormatBool(v))
	case string:
		p.put(strconv.Quote(v))
	case []int64:
		p.list(len(v), func(i int) string { return strconv.FormatInt(v[i], 10) })
	case []float64:
		p.list(len(v), func(i int) string { return formatFloat(v[i]) })
	case DType:
		p.put(v.String())
	case []Dim:
		p.list(len(v), func(i int) string { return v[i].String() })
	case *value.Tensor:
		p.tensor(v)
	case Type:
		p.put(v.String())
	case Symbol:
		p.put("@", string(v))
	default:
		p.put("?")
	}
}

func (p *printer) list(n int, text func(i int) string) {
	p.put("[")
	for i := range n {
		if i > 0 {
			p.put(",")
		}
		p.put(text(i))
	}
	p.put("]")
}

// formatFloat writes the shortest text that reads back as the same bits.
func formatFloat(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case math.IsNaN(x) && !sameBits(x, math.NaN()):
		return "nan:0x" + strconv.FormatUint(math.Float64bits(x), 16)
	case math.IsNaN(x):
		return "nan"
	case x == math.Trunc(x) && math.Abs(x) < 1e7:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// maxInline is the number of elements up to which a constant is printed element by element.
const maxInline = 64

func (p *printer) tensor(t *value.Tensor) {
	if t == nil {
		p.put("?")
		return
	}
	p.put(TypeOf(t).String(), " ")
	switch {
	case t.Len() > maxInline && p.brief:
		p.put("...")
	case t.Len() <= maxInline || t.DType() == String:
		p.text = t.AppendText(p.text)
	case p.opt.External != nil && p.external(t):
	default:
		p.put(`base64 "`)
		p.text = base64.StdEncoding.AppendEncode(p.text, t.Bytes())
		p.put(`"`)
	}
}

func (p *printer) external(t *value.Tensor) bool {
	sum, ok := checksumOf(t)
	if !ok {
		return false // the text holds it whole
	}
	name := ExternalName(t, sum)
	if !p.opt.External(name, t) {
		return false
	}
	p.put("external ", strconv.Quote(name), " sha256 ", strconv.Quote(sum))
	return true
}

// ExternalPrefix starts the names of constants that are stored outside the text, beside the variables.
const ExternalPrefix = "const."

// ExternalName returns the name under which Print offers a constant: made from the sha256 of its bytes in
// hexadecimal, and from its type, so that equal names mean equal tensors.
func ExternalName(t *value.Tensor, sum string) string {
	name := ExternalPrefix + sum[:16] + "." + t.DType().String()
	for i, d := range t.Shape() {
		if i == 0 {
			name += "."
		} else {
			name += "x"
		}
		name += strconv.Itoa(d)
	}
	return name
}

// checksum is SHA-256 where the program links crypto/sha256, which is 150 kB: a program whose models have no constants beside their text need
// not pay for it.
var checksum = crypto.SHA256

// checksumOf returns the checksum of a tensor's bytes, little-endian and row-major; ok is false where the program has no checksum.
func checksumOf(t *value.Tensor) (sum string, ok bool) {
	if !checksum.Available() {
		return "", false
	}
	h := checksum.New()
	h.Write(t.Bytes())
	return hex.EncodeToString(h.Sum(nil)), true
}
