// Command rows writes the assembly of package simd for rows and columns of matrices: sums, extrema, softmax and standardization.
package main

import (
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/graphrun/graphrun/runtime/kernels/simd/gen/internal/vector"
)

var isas = []vector.ISA{vector.AVX2, vector.AVX512}

// kernel is one function over the rows of matrices: for each row, what goes through it element by element.
type kernel struct {
	name, doc string
	// matrices are walked row by row, vectors from their start in every row; of scalars there is one per row.
	matrices, vectors, scalars []string
	unroll                     int
	// result names the scalar that is written, by combining what the elements add up to; empty if there is none.
	result  string
	combine func(s vector.ISA) func(a Op, b, to reg.VecVirtual)
	neutral uint32
	// double: the result is float64, and so is what adds up to it.
	double bool
	// flip turns the signs of what is loaded and of the result.
	flip bool
	// each computes on a register of each matrix and vector; what it returns is stored in the first matrix, or goes into the result.
	each func(s vector.ISA, in []reg.VecVirtual, scalar []reg.VecVirtual) reg.VecVirtual
	// both: the value is stored and goes into the result. inPlace: the first matrix is read, too.
	both, inPlace bool
}

func (k *kernel) params() string {
	var p []string
	for _, n := range k.matrices {
		p = append(p, n+" *float32")
	}
	p = append(p, "ld int", "rows int", "n int")
	for _, list := range [][]string{k.scalars, k.vectors} {
		for _, n := range list {
			p = append(p, n+" *float32")
		}
	}
	switch {
	case k.double:
		p = append(p, k.result+" *float64")
	case k.result != "":
		p = append(p, k.result+" *float32")
	}
	return strings.Join(p, ", ")
}

// add is the combination of sums.
func add(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VADDPS(a, b, to) }
}

func addDouble(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VADDPD(a, b, to) }
}

// widen adds the lanes of v, which it destroys, to the half as many lanes of a sum in double precision.
func widen(s vector.ISA, v, sum reg.VecVirtual) {
	low := s.Register()
	if s.Wide() {
		VCVTPS2PD(v.AsY(), low)
		VADDPD(low, sum, sum)
		VEXTRACTF64X4(Imm(1), v, v.AsY())
		VCVTPS2PD(v.AsY(), low)
	} else {
		VCVTPS2PD(v.AsX(), low)
		VADDPD(low, sum, sum)
		VEXTRACTF128(Imm(1), v, v.AsX())
		VCVTPS2PD(v.AsX(), low)
	}
	VADDPD(low, sum, sum)
}

func larger(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VMAXPS(a, b, to) }
}

// least is the minimum to which NaN and -0 win: both orders of VMINPS together have the bits of both operands where one is NaN or both
// are zero.
func least(s vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) {
		var t reg.VecVirtual
		switch b.Size() {
		case 16:
			t = XMM()
		case 32:
			t = YMM()
		default:
			t = ZMM()
		}
		VMINPS(a, b, t)
		VMINPS(b, a.(reg.VecVirtual), to)
		if b.Size() == 64 {
			VPORD(t, to, to)
		} else {
			VPOR(t, to, to)
		}
	}
}

const (
	posInf   = 0x7f800000
	negInf   = 0xff800000
	signBits = 0x80000000
)

var kernels = []*kernel{
	{
		name: "rowTop", doc: "stores the maximum of each row; NaN counts as nothing or wins.",
		matrices: []string{"x"}, result: "top", combine: larger, neutral: negInf, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowExp", doc: "stores e^(x-top) and the sum of each row.",
		matrices: []string{"y", "x"}, scalars: []string{"top"}, result: "sum", combine: add, unroll: 2, both: true,
		each: func(s vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			s.Exp(in[1])
			return in[1]
		},
	},
	{
		name: "rowSumExp", doc: "stores the sum of e^(x-top) of each row.",
		matrices: []string{"x"}, scalars: []string{"top"}, result: "sum", combine: addDouble, unroll: 2, double: true,
		each: func(s vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[0], in[0])
			s.Exp(in[0])
			return in[0]
		},
	},
	{
		name: "rowScale", doc: "multiplies each row by its scale.",
		matrices: []string{"y"}, scalars: []string{"scale"}, unroll: 4, inPlace: true,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VMULPS(c[0], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowShift", doc: "stores x-top-shift.",
		matrices: []string{"y", "x"}, scalars: []string{"top", "shift"}, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VSUBPS(c[1], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowSum", doc: "stores the sum of each row.",
		matrices: []string{"x"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowSumWide", doc: "stores the sum of each row in double precision.",
		matrices: []string{"x"}, result: "sum", combine: addDouble, unroll: 4, double: true,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowSquares", doc: "stores the sum of (x-mean)^2 of each row.",
		matrices: []string{"x"}, scalars: []string{"mean"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[0], in[0])
			VMULPS(in[0], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowDot", doc: "stores the sum of x*y of each row.",
		matrices: []string{"x", "y"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual {
			VMULPS(in[1], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowNorm", doc: "stores (x-mean)*scale.",
		matrices: []string{"y", "x"}, scalars: []string{"mean", "scale"}, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VMULPS(c[1], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowAffine", doc: "stores (x-mean)*scale*weight + bias.",
		matrices: []string{"y", "x"}, scalars: []string{"mean", "scale"}, vectors: []string{"weight", "bias"}, unroll: 2,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VMULPS(c[1], in[1], in[1])
			VFMADD213PS(in[3], in[2], in[1])
			return in[1]
		},
	},
	{
		name: "rowNormGrad", doc: "stores (dy - mean - y*along)*scale.",
		matrices: []string{"dx", "dy", "y"}, scalars: []string{"mean", "along", "scale"}, unroll: 2,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VFNMADD231PS(in[2], c[1], in[1])
			VMULPS(c[2], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowMin", doc: "stores the minimum of each row: NaN wins, -0 is below +0.",
		matrices: []string{"x"}, result: "least", combine: least, neutral: posInf, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowMax", doc: "stores the maximum of each row: NaN wins, +0 is above -0.",
		matrices: []string{"x"}, result: "greatest", combine: least, neutral: negInf, flip: true, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
}

func (k *kernel) generate(s vector.ISA) {
	name := k.name + s.Name
	TEXT(name, attr.NOSPLIT, "func("+k.params()+")")
	Doc(name + " " + k.doc + " Rows of n elements are ld apart; rows > 0.")
	Pragma("noescape")
	load := func(name string) reg.GPVirtual {
		r := GP64()
		Load(Param(name), r)
		return r
	}
	var matrices, vectors, scalars []reg.GPVirtual
	for _, n := range k.matrices {
		matrices = append(matrices, load(n))
	}
	for _, n := range k.vectors {
		vectors = append(vectors, load(n))
	}
	for _, n := range k.scalars {
		scalars = append(scalars, load(n))
	}
	ld, rows := load("ld"), load("rows")
	var result reg.GPVirtual
	if k.result != "" {
		result = load(k.result)
	}
	SHLQ(Imm(2), ld)
	// In bytes: where the unrolled loop and the loop of single registers end.
	tail := load("n")
	far, near := GP64(), GP64()
	MOVQ(tail, far)
	ANDQ(I32(int32(-k.unroll*s.Lanes())), far)
	SHLQ(Imm(2), far)
	MOVQ(tail, near)
	ANDQ(I32(int32(-s.Lanes())), near)
	SHLQ(Imm(2), near)
	ANDQ(Imm(uint64(s.Lanes()-1)), tail)
	end := s.NewTail(tail)
	var neutral, sign reg.VecVirtual
	var acc []reg.VecVirtual
	if k.result != "" {
		for range k.unroll {
			acc = append(acc, s.Register())
		}
		if k.neutral != 0 {
			neutral = s.Register()
			VMOVUPS(vector.Bits(k.neutral), neutral)
		}
	}
	if k.flip {
		sign = s.Register()
		VMOVUPS(vector.Bits(signBits), sign)
	}
	off := GP64()

	Label("row")
	var c []reg.VecVirtual
	for _, p := range scalars {
		v := s.Register()
		VBROADCASTSS(Mem{Base: p}, v)
		ADDQ(Imm(4), p)
		c = append(c, v)
	}
	for _, a := range acc {
		switch {
		case k.neutral == 0:
			s.Zero(a)
		case k.flip:
			s.Xor(sign, neutral, a)
		default:
			VMOVAPS(neutral, a)
		}
	}
	XORQ(off, off)
	var combine func(a Op, b, to reg.VecVirtual)
	if k.combine != nil {
		combine = k.combine(s)
	}
	// step does the registers from off on.
	step := func(count int, last bool) {
		for u := range count {
			var in []reg.VecVirtual
			for i, p := range append(append([]reg.GPVirtual(nil), matrices...), vectors...) {
				v := s.Register()
				in = append(in, v)
				m := Mem{Base: p, Index: off, Scale: 1, Disp: u * s.Bytes}
				if i == 0 && k.stores() && !k.inPlace {
					continue // written only
				}
				switch {
				case last && neutral != nil:
					end.LoadOver(m, neutral, v)
				case last:
					end.Load(m, v)
				default:
					VMOVUPS(m, v)
				}
				if k.flip {
					s.Xor(sign, v, v)
				}
			}
			v := k.each(s, in, c)
			if k.result != "" {
				if last && k.neutral == 0 {
					end.Clear(v)
				}
				if k.double {
					widen(s, v, acc[u])
				} else {
					combine(v, acc[u], acc[u])
				}
			}
			if k.stores() {
				m := Mem{Base: matrices[0], Index: off, Scale: 1, Disp: u * s.Bytes}
				if last {
					end.Store(v, m)
				} else {
					VMOVUPS(v, m)
				}
			}
		}
	}
	CMPQ(off, far)
	JGE(LabelRef("single"))
	Label("unrolled")
	step(k.unroll, false)
	ADDQ(U32(k.unroll*s.Bytes), off)
	CMPQ(off, far)
	JLT(LabelRef("unrolled"))
	Label("single")
	CMPQ(off, near)
	JGE(LabelRef("tail"))
	Label("loop")
	step(1, false)
	ADDQ(U32(s.Bytes), off)
	CMPQ(off, near)
	JLT(LabelRef("loop"))
	Label("tail")
	TESTQ(tail, tail)
	JZ(LabelRef("end"))
	step(1, true)
	Label("end")
	if k.result != "" {
		for w := len(acc) / 2; w > 0; w /= 2 {
			for i := range w {
				combine(acc[i+w], acc[i], acc[i])
			}
		}
		low := s.Horizontal(acc[0], k.double, combine)
		if k.flip {
			VPXOR(sign.AsX(), low, low)
		}
		if k.double {
			VMOVSD(low, Mem{Base: result})
			ADDQ(Imm(8), result)
		} else {
			VMOVSS(low, Mem{Base: result})
			ADDQ(Imm(4), result)
		}
	}
	for _, p := range matrices {
		ADDQ(ld, p)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func (k *kernel) stores() bool { return k.result == "" || k.both }

// column writes a kernel that combines the rows of a matrix, element by element.
func column(s vector.ISA, name, doc string, combine func(a Op, b, to reg.VecVirtual), flip bool) {
	name += s.Name
	TEXT(name, attr.NOSPLIT, "func(x *float32, ld int, rows int, n int, y *float32)")
	Doc(name + " " + doc + " Rows are ld apart; rows > 0.")
	Pragma("noescape")
	load := func(name string) reg.GPVirtual {
		r := GP64()
		Load(Param(name), r)
		return r
	}
	x, ld, rows, n, y := load("x"), load("ld"), load("rows"), load("n"), load("y")
	SHLQ(Imm(2), ld)
	DECQ(rows)
	var sign reg.VecVirtual
	if flip {
		sign = s.Register()
		VMOVUPS(vector.Bits(signBits), sign)
	}
	tail := GP64()
	MOVQ(n, tail)
	ANDQ(Imm(uint64(s.Lanes()-1)), tail)
	end := s.NewTail(tail)
	block := func(width int, last bool) {
		label := fmt.Sprintf("%d", width)
		if last {
			label = "tail"
		}
		at, left := GP64(), GP64()
		MOVQ(x, at)
		MOVQ(rows, left)
		read := func(i int, v reg.VecVirtual) {
			m := Mem{Base: at, Disp: i * s.Bytes}
			if last {
				end.Load(m, v)
			} else {
				VMOVUPS(m, v)
			}
			if flip {
				s.Xor(sign, v, v)
			}
		}
		var acc []reg.VecVirtual
		for i := range width {
			acc = append(acc, s.Register())
			read(i, acc[i])
		}
		TESTQ(left, left)
		JZ(LabelRef("store" + label))
		Label("rows" + label)
		ADDQ(ld, at)
		for i := range width {
			v := s.Register()
			read(i, v)
			combine(v, acc[i], acc[i])
		}
		DECQ(left)
		JNZ(LabelRef("rows" + label))
		Label("store" + label)
		for i := range width {
			if flip {
				s.Xor(sign, acc[i], acc[i])
			}
			m := Mem{Base: y, Disp: i * s.Bytes}
			if last {
				end.Store(acc[i], m)
			} else {
				VMOVUPS(acc[i], m)
			}
		}
		if !last {
			ADDQ(U32(width*s.Bytes), x)
			ADDQ(U32(width*s.Bytes), y)
			SUBQ(U32(width*s.Lanes()), n)
		}
	}
	for _, width := range []int{8, 1} {
		Label(fmt.Sprintf("block%d", width))
		CMPQ(n, U32(width*s.Lanes()))
		JLT(LabelRef(fmt.Sprintf("after%d", width)))
		block(width, false)
		JMP(LabelRef(fmt.Sprintf("block%d", width)))
		Label(fmt.Sprintf("after%d", width))
	}
	TESTQ(tail, tail)
	JZ(LabelRef("end"))
	block(1, true)
	Label("end")
	VZEROUPPER()
	RET()
}

func main() {
	tables := flag.String("tables", "", "output file of the tables of kernels")
	flag.Parse()
	ConstraintExpr("amd64,!noasm")
	for _, s := range isas {
		for _, k := range kernels {
			k.generate(s)
		}
		column(s, "colSum", "stores the sum of each column, in the order of the rows.", add(s), false)
		column(s, "colMin", "stores the minimum of each column: NaN wins, -0 is below +0.", least(s), false)
		column(s, "colMax", "stores the maximum of each column: NaN wins, +0 is above -0.", least(s), true)
	}
	if *tables != "" {
		src, err := format.Source([]byte(tablesFile()))
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(*tables, src, 0o644); err != nil {
			log.Fatal(err)
		}
	}
	Generate()
}

// tablesFile returns the Go file that lists the kernels.
func tablesFile() string {
	var w strings.Builder
	w.WriteString("// Code generated by gen/rows. DO NOT EDIT.\n\n//go:build amd64 && !noasm\n\npackage simd\n\n")
	w.WriteString("// rowTable holds the kernels of an instruction set.\ntype rowTable struct {\n")
	for _, k := range kernels {
		fmt.Fprintf(&w, "\t%s func(%s)\n", k.name, k.params())
	}
	w.WriteString("\tcolSum, colMin, colMax func(x *float32, ld int, rows int, n int, y *float32)\n}\n")
	for _, s := range isas {
		fmt.Fprintf(&w, "\nvar rows%s = rowTable{\n", s.Name)
		for _, k := range kernels {
			fmt.Fprintf(&w, "\t%s: %s%s,\n", k.name, k.name, s.Name)
		}
		for _, n := range []string{"colSum", "colMin", "colMax"} {
			fmt.Fprintf(&w, "\t%s: %s%s,\n", n, n, s.Name)
		}
		w.WriteString("}\n")
	}
	return w.String()
}
