// Command vec writes the element-wise primitives of package avx with avo, each for AVX2 with FMA and for AVX-512. The
// code of a function is written once, on vectors of either width; what differs between the instruction sets is in
// isa.go. Both compute an element by the same operations in the same order.
package main

import (
	"flag"
	"fmt"
	"go/format"
	"log"
	"regexp"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/graphrun/graphrun/runtime/kernels/backend/avx/gen/internal/family"
)

// vecs are the primitives: for each instruction set the same ones, in the same order.
var vecs = family.New("vecCall", "n int, y, a, b, c *byte", 40)

// kind is what an operand of a primitive is.
type kind byte

const (
	elements kind = 'V' // n elements
	scalar   kind = 'S' // one element, for all n
	mask     kind = 'M' // n bytes, 0 or 1
)

// entry is a line of the tables: the number of a function under its key, negative if it takes the first two operands in each other's
// place.
type entry struct {
	table, key string
	unit       unit
	number     int
}

var entries []entry

func main() {
	tables := flag.String("tables", "", "output file of the tables of primitives")
	flag.Parse()
	ConstraintExpr("amd64,!noasm")
	for _, s := range isas {
		for _, e := range []elem{f32, f64} {
			primitives(unit{s, e})
		}
	}
	family.Generate(*tables, tablesFile())
}

// The forms of operands; package avx numbers them in this order.
var (
	binaryForms  = []string{"VV", "VS", "SV"}
	compareForms = []string{"VV", "VS"}
	selectForms  = []string{"VV", "VS", "SV", "SS"}
)

// mirrored are comparisons that are others of the operands in each other's place.
var mirrored = map[string]string{"Greater": "Less", "GreaterEqual": "LessEqual"}

func primitives(u unit) {
	unary := func(op, code string, unroll int, body func(x reg.VecVirtual) reg.VecVirtual) {
		u.elementwise("unary", op, "V", code, unroll, func(in []Op) reg.VecVirtual { return body(in[0].(reg.VecVirtual)) })
	}
	unary("Neg", "-a", 4, func(x reg.VecVirtual) reg.VecVirtual { return u.xor(u.sign(), x) })
	unary("Abs", "abs(a)", 4, func(x reg.VecVirtual) reg.VecVirtual { return u.abs(x) })
	unary("Sign", "sign(a)", 4, u.signum)
	unary("Square", "a * a", 4, func(x reg.VecVirtual) reg.VecVirtual { return u.mul(x, x) })
	unary("Sqrt", "sqrt(a)", 1, func(x reg.VecVirtual) reg.VecVirtual { return u.sqrt(x) })
	unary("Rsqrt", "1 / sqrt(a)", 1, func(x reg.VecVirtual) reg.VecVirtual { return u.div(u.load(u.c(1)), u.sqrt(x)) })
	unary("Reciprocal", "1 / a", 1, func(x reg.VecVirtual) reg.VecVirtual { return u.div(u.load(u.c(1)), x) })
	unary("ReLU", "max(a, 0)", 4, func(x reg.VecVirtual) reg.VecVirtual { return u.maxRaw(u.zero(), x) })
	for _, r := range []struct {
		op, code string
		mode     uint64
	}{{"Round", "roundToEven(a)", 8}, {"Floor", "floor(a)", 9}, {"Ceil", "ceil(a)", 10}, {"Trunc", "trunc(a)", 11}} {
		unary(r.op, r.code, 4, func(x reg.VecVirtual) reg.VecVirtual { return u.round(r.mode, x) })
	}
	if u.e == f32 {
		for _, f := range []struct {
			op   string
			body func(x reg.VecVirtual) reg.VecVirtual
		}{
			{"Exp", u.exp},
			{"Expm1", u.expm1},
			{"Log", u.log},
			{"Log1p", u.log1p},
			{"Tanh", u.tanh},
			{"Sigmoid", u.sigmoid},
			{"Erf", u.erf},
		} {
			unary(f.op, strings.ToLower(f.op)+"(a)", 1, f.body)
		}
	}

	type binary func(a reg.VecVirtual, b Op) reg.VecVirtual
	for _, b := range []struct {
		op, code string
		commutes bool
		unroll   int
		f        binary
	}{
		{"Add", "a + b", true, 4, u.add},
		{"Sub", "a - b", false, 4, u.sub},
		{"Mul", "a * b", true, 4, u.mul},
		{"Div", "a / b", false, 1, u.div},
		{"Max", "max(a, b)", true, 4, func(a reg.VecVirtual, b Op) reg.VecVirtual { return u.max(a, b.(reg.VecVirtual)) }},
		{"Min", "min(a, b)", true, 4, func(a reg.VecVirtual, b Op) reg.VecVirtual { return u.min(a, b.(reg.VecVirtual)) }},
	} {
		for _, kinds := range binaryForms {
			if b.commutes && kinds == "SV" {
				u.swapped("binary", b.op, b.op+"VS")
				continue
			}
			u.elementwise("binary", b.op, kinds, b.code, b.unroll, func(in []Op) reg.VecVirtual {
				return b.f(in[0].(reg.VecVirtual), in[1])
			})
		}
	}
	for _, m := range []struct {
		op, code string
		f        func(product, c reg.VecVirtual) reg.VecVirtual
	}{
		{"MulAdd", "round(a*b) + c", func(p, c reg.VecVirtual) reg.VecVirtual { return u.add(p, c) }},
		{"MulSub", "round(a*b) - c", func(p, c reg.VecVirtual) reg.VecVirtual { return u.sub(p, c) }},
		{"SubMul", "c - round(a*b)", func(p, c reg.VecVirtual) reg.VecVirtual { return u.sub(c, p) }},
	} {
		for _, kinds := range selectForms {
			u.elementwise("ternary", m.op, "V"+kinds, m.code, 2, func(in []Op) reg.VecVirtual {
				return m.f(u.mul(in[0].(reg.VecVirtual), in[1]), in[2].(reg.VecVirtual))
			})
		}
	}
	for _, kinds := range selectForms {
		u.selects(kinds)
	}
	for _, c := range []struct {
		op, code  string
		predicate uint64
	}{
		{"Equal", "==", cmpEQ},
		{"NotEqual", "!=", cmpNE},
		{"Less", "<", cmpLT},
		{"LessEqual", "<=", cmpLE},
		{"Greater", ">", cmpGT},
		{"GreaterEqual", ">=", cmpGE},
	} {
		for _, kinds := range compareForms {
			if less, ok := mirrored[c.op]; ok && kinds == "VV" {
				u.swapped("compare", c.op, less+"VV")
				continue
			}
			u.compares(c.op, c.code, c.predicate, kinds)
		}
	}
	u.converts()
	u.reduces("Sum", "0", "sums[j] + x", u.zero, func(u unit, acc, x reg.VecVirtual) reg.VecVirtual { return u.add(acc, x) })
	u.reduces("MaxOf", "inf(-1)", "max(sums[j], x)", func() reg.VecVirtual { return u.load(u.bits(u.e.inf | u.e.signBit)) }, unit.max)
	u.reduces("MinOf", "inf(1)", "min(sums[j], x)", func() reg.VecVirtual { return u.load(u.bits(u.e.inf)) }, unit.min)
}

// tablesFile returns the Go file that lists the primitives of AVX2.
func tablesFile() []byte {
	var w strings.Builder
	fmt.Fprint(&w, "// Code generated by gen/vec. DO NOT EDIT.\n\n//go:build amd64 && !noasm\n\npackage avx\n\n")
	fmt.Fprint(&w, "import \"github.com/graphrun/graphrun/runtime/kernels/backend\"\n")
	fmt.Fprintf(&w, "\n// vecWide is what the number of a primitive of AVX-512 is above that of AVX2.\nconst vecWide = %d\n", vecs.Len()/len(isas))
	for _, e := range []elem{f32, f64} {
		fmt.Fprintf(&w, "\nvar vec%s = vecTable{\n", e.Name)
		for _, t := range []struct{ name, typ string }{
			{"unary", "[backend.UnaryOps]vecNumber"},
			{"binary", "[backend.BinaryOps][backend.SS]vecNumber"},
			{"ternary", "[backend.TernaryOps][backend.Forms]vecNumber"},
			{"compare", "[backend.CompareOps][backend.SV]vecNumber"},
			{"choose", "[backend.Forms]vecNumber"},
			{"reduce", "[backend.ReduceOps]vecNumber"},
			{"to", "[1]vecNumber"},
		} {
			fmt.Fprintf(&w, "\t%s: %s{", t.name, t.typ)
			last := ""
			for _, x := range entries {
				if x.table != t.name || x.unit != (unit{isas[0], e}) {
					continue
				}
				switch {
				case x.key == "":
					fmt.Fprintf(&w, "%d, ", x.number)
				case !strings.Contains(t.typ, "]["):
					fmt.Fprintf(&w, "\n\t\tbackend.%s: %d,", x.key, x.number)
				case x.key != last:
					if last != "" {
						fmt.Fprint(&w, "},")
					}
					fmt.Fprintf(&w, "\n\t\tbackend.%s: {%d", x.key, x.number)
					last = x.key
				default:
					fmt.Fprintf(&w, ", %d", x.number)
				}
			}
			if last != "" {
				fmt.Fprint(&w, "},")
			}
			if t.name != "choose" && t.name != "to" {
				fmt.Fprint(&w, "\n\t")
			}
			fmt.Fprint(&w, "},\n")
		}
		fmt.Fprint(&w, "}\n")
	}
	src, err := format.Source([]byte(strings.ReplaceAll(w.String(), ", }", "}")))
	if err != nil {
		log.Fatal(err)
	}
	return src
}

// swapped is a line for a function that is another one of the first two operands in each other's place.
func (u unit) swapped(table, op, of string) {
	entries = append(entries, entry{table, op, u, -vecs.Number("vec" + of + u.e.Name + u.s.Name)})
}

var operandName = regexp.MustCompile(`\b[abc]\b`)

// each is the Go code of a function of operands, named from a on, element by element.
func each(kinds, code string) string {
	code = operandName.ReplaceAllStringFunc(code, func(name string) string {
		if kind(kinds[name[0]-'a']) == scalar {
			return name + "[0]"
		}
		return name + "[i]"
	})
	return "for i := range n {\n" + code + "\n}"
}

// begin starts a function of the type backend.Vec.
func (u unit) begin(table, op, kinds, code string) {
	forms := kinds
	if table == "unary" || table == "reduce" {
		forms = ""
	}
	name := "vec" + op + forms + u.e.Name + u.s.Name
	key := op
	if table == "choose" || table == "to" {
		key = ""
	}
	number := vecs.Text(name, "n int, y, a, b, c *byte", name+" is a Vec.", code)
	entries = append(entries, entry{table, key, u, number})
}

// input is an operand while a function is being written.
type input struct {
	kind kind
	base reg.Register
	all  reg.VecVirtual // the scalar in every lane
}

func (u unit) inputs(kinds string) []input {
	in := make([]input, len(kinds))
	for i := range in {
		in[i] = input{kind: kind(kinds[i]), base: Load(Param(string(rune('a'+i))), GP64())}
		if in[i].kind == scalar {
			in[i].all = u.broadcast(Mem{Base: in[i].base})
		}
	}
	return in
}

// loops writes the loops over blocks of unroll vectors, over single vectors, and the last part. body writes the code for
// some vectors at index, in bytes of the element type; tail is nil in whole vectors.
func (u unit) loops(unroll int, body func(vectors int, index reg.Register, t *tail)) {
	left := Load(Param("n"), GP64())
	index := GP64()
	XORQ(index, index)
	blocks := []int{1}
	if unroll > 1 {
		blocks = []int{unroll, 1}
	}
	for _, vectors := range blocks {
		label := fmt.Sprintf("loop%d", vectors)
		next := fmt.Sprintf("end%d", vectors)
		CMPQ(left, U32(vectors*u.lanes()))
		JLT(LabelRef(next))
		Label(label)
		body(vectors, index, nil)
		ADDQ(U32(vectors*u.s.Bytes), index)
		SUBQ(U32(vectors*u.lanes()), left)
		CMPQ(left, U32(vectors*u.lanes()))
		JGE(LabelRef(label))
		Label(next)
	}
	TESTQ(left, left)
	JZ(LabelRef("done"))
	t := u.tail(left)
	body(1, index, &t)
	Label("done")
}

func (u unit) end() {
	VZEROUPPER()
	RET()
}

// elementwise writes a function of operands to a result of the same type.
func (u unit) elementwise(table, op, kinds, code string, unroll int, body func(in []Op) reg.VecVirtual) {
	u.begin(table, op, kinds, each(kinds, "y[i] = "+code))
	y := Load(Param("y"), GP64())
	in := u.inputs(kinds)
	// A second operand may be read from memory by the instruction itself, unless the code uses it twice.
	direct := table == "ternary" || table == "binary" && op != "Max" && op != "Min"
	u.loops(unroll, func(vectors int, index reg.Register, t *tail) {
		args := make([][]Op, vectors)
		for v := range vectors {
			for i, x := range in {
				m := Mem{Base: x.base, Index: index, Scale: 1, Disp: v * u.s.Bytes}
				switch {
				case x.kind == scalar:
					args[v] = append(args[v], x.all)
				case t != nil:
					args[v] = append(args[v], u.maskLoad(*t, m))
				case direct && i == 1:
					args[v] = append(args[v], m)
				default:
					args[v] = append(args[v], u.load(m))
				}
			}
		}
		out := make([]reg.VecVirtual, vectors)
		for v := range vectors {
			out[v] = body(args[v])
		}
		for v := range vectors {
			m := Mem{Base: y, Index: index, Scale: 1, Disp: v * u.s.Bytes}
			if t != nil {
				u.maskStore(*t, out[v], m)
			} else {
				u.store(out[v], m)
			}
		}
	})
	u.end()
}

// selects writes y = b where a, else c.
func (u unit) selects(kinds string) {
	u.begin("choose", "Select", kinds, each("M"+kinds, "if a { y[i] = b\n} else { y[i] = c\n}"))
	y := Load(Param("y"), GP64())
	in := u.inputs("M" + kinds)
	cond := in[0].base
	u.loops(2, func(vectors int, index reg.Register, t *tail) {
		out := make([]reg.VecVirtual, vectors)
		for v := range vectors {
			m := Mem{Base: cond, Disp: v * u.lanes()}
			var p pred
			if t != nil {
				p = u.tailTruth(*t, cond)
			} else {
				p = u.truth(m)
			}
			var args [2]reg.VecVirtual
			for i, x := range in[1:] {
				at := Mem{Base: x.base, Index: index, Scale: 1, Disp: v * u.s.Bytes}
				switch {
				case x.kind == scalar:
					args[i] = x.all
				case t != nil:
					args[i] = u.maskLoad(*t, at)
				default:
					args[i] = u.load(at)
				}
			}
			out[v] = u.blend(p, args[0], args[1])
		}
		for v := range vectors {
			m := Mem{Base: y, Index: index, Scale: 1, Disp: v * u.s.Bytes}
			if t != nil {
				u.maskStore(*t, out[v], m)
			} else {
				u.store(out[v], m)
			}
		}
		ADDQ(U32(vectors*u.lanes()), cond)
	})
	u.end()
}

// compares writes a comparison, whose result is bytes 0 and 1.
func (u unit) compares(op, code string, predicate uint64, kinds string) {
	u.begin("compare", op, kinds, each(kinds, "y[i] = a "+code+" b"))
	y := Load(Param("y"), GP64())
	in := u.inputs(kinds)
	o := u.newTruths()
	u.loops(4, func(vectors int, index reg.Register, t *tail) {
		p := make([]pred, vectors)
		for v := range vectors {
			var args [2]reg.VecVirtual
			for i, x := range in {
				m := Mem{Base: x.base, Index: index, Scale: 1, Disp: v * u.s.Bytes}
				switch {
				case x.kind == scalar:
					args[i] = x.all
				case t != nil:
					args[i] = u.maskLoad(*t, m)
				default:
					args[i] = u.load(m)
				}
			}
			p[v] = u.cmp(predicate, args[0], args[1])
		}
		if t != nil {
			u.storeTailTruth(o, *t, p[0], y)
			return
		}
		u.storeTruths(o, p, y)
		ADDQ(U32(vectors*u.lanes()), y)
	})
	u.end()
}

// converts writes the conversion to the other type of floats.
func (u unit) converts() {
	to, size, one, all := f64, 8, VCVTSS2SD, VCVTPS2PD
	if u.e == f64 {
		to, size, one, all = f32, 4, VCVTSD2SS, VCVTPD2PSX
		switch {
		case u.wide():
			all = VCVTPD2PS
		default:
			all = VCVTPD2PSY
		}
	}
	u.begin("to", to.Name, "", each("V", "y[i] = "+to.Go+"(a)"))
	y, a, left := Load(Param("y"), GP64()), Load(Param("a"), GP64()), Load(Param("n"), GP64())
	const vectors = 2
	lanes := u.s.Bytes / 8 // of the wider type
	CMPQ(left, U32(vectors*lanes))
	JLT(LabelRef("rest"))
	Label("loop")
	for v := range vectors {
		wide, narrow := u.new(), u.half()
		x, end := Mem{Base: a, Disp: v * lanes * u.e.Size}, Mem{Base: y, Disp: v * lanes * size}
		if u.e == f32 {
			all(x, wide)
			VMOVUPD(wide, end)
		} else {
			all(x, narrow)
			VMOVUPS(narrow, end)
		}
	}
	ADDQ(U32(vectors*lanes*u.e.Size), a)
	ADDQ(U32(vectors*lanes*size), y)
	SUBQ(U32(vectors*lanes), left)
	CMPQ(left, U32(vectors*lanes))
	JGE(LabelRef("loop"))
	Label("rest")
	TESTQ(left, left)
	JZ(LabelRef("done"))
	x := XMM()
	VXORPS(x, x, x)
	one(Mem{Base: a}, x, x)
	if u.e == f32 {
		VMOVSD(x, Mem{Base: y})
	} else {
		VMOVSS(x, Mem{Base: y})
	}
	ADDQ(U32(u.e.Size), a)
	ADDQ(U32(size), y)
	DECQ(left)
	JMP(LabelRef("rest"))
	Label("done")
	u.end()
}

// half returns a register of half the width.
func (u unit) half() reg.VecVirtual {
	if u.wide() {
		return YMM()
	}
	return XMM()
}

// reduceBytes is what one round of a reduction takes, for either instruction set, so that both add in the same order.
const reduceBytes = 128

// combine is one step of a reduction.
type combine func(u unit, acc, x reg.VecVirtual) reg.VecVirtual

// reduces writes the reduction of a to y[0]: accumulator i takes the elements i, i+m, i+2m ..., where m is the number of
// elements in reduceBytes, and then takes in accumulator i+m/2, m/2 being halved down to 1.
func (u unit) reduces(op, zero, code string, start func() reg.VecVirtual, f combine) {
	u.begin("reduce", op, "", fmt.Sprintf(`
var sums [%d]%s
for j := range sums {
	sums[j] = %s
}
for i, x := range a[:n] {
	j := i %% len(sums)
	sums[j] = %s
}
for m := len(sums) / 2; m > 0; m /= 2 {
	for j, x := range sums[m:2*m] {
		sums[j] = %[4]s
	}
}
y[0] = sums[0]`, reduceBytes/u.e.Size, u.e.Go, zero, code))
	a := Load(Param("a"), GP64())
	count := reduceBytes / u.s.Bytes
	acc := make([]reg.VecVirtual, count)
	for i := range acc {
		acc[i] = u.new()
		u.move(start(), acc[i])
	}
	left := Load(Param("n"), GP64())
	per := count * u.lanes()
	CMPQ(left, U32(per))
	JLT(LabelRef("rest"))
	Label("loop")
	for i := range acc {
		u.move(f(u, acc[i], u.load(Mem{Base: a, Disp: i * u.s.Bytes})), acc[i])
	}
	ADDQ(U32(reduceBytes), a)
	SUBQ(U32(per), left)
	CMPQ(left, U32(per))
	JGE(LabelRef("loop"))
	Label("rest")
	for i := range acc {
		whole := fmt.Sprintf("whole%d", i)
		TESTQ(left, left)
		JZ(LabelRef("fold"))
		CMPQ(left, U32(u.lanes()))
		JGE(LabelRef(whole))
		t := u.tail(left)
		u.move(u.only(t, f(u, acc[i], u.maskLoad(t, Mem{Base: a, Disp: i * u.s.Bytes})), acc[i]), acc[i])
		JMP(LabelRef("fold"))
		Label(whole)
		u.move(f(u, acc[i], u.load(Mem{Base: a, Disp: i * u.s.Bytes})), acc[i])
		SUBQ(U32(u.lanes()), left)
	}
	Label("fold")
	for n := count; n > 1; n /= 2 {
		for i := range n / 2 {
			u.move(f(u, acc[i], acc[i+n/2]), acc[i])
		}
	}
	y := Load(Param("y"), GP64())
	u.fold(acc[0], f, y)
	u.end()
}
